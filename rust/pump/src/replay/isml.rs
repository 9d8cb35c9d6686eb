//! A sender's side of fragmented MP4 ingest: an empty POST, then one long POST of `ftyp`, live manifest, `moov`, and fragments with `tfxd`.

use super::answer::{Answer, Answers};
use super::client::{Client, Ending};
use super::isml_headers::write_headers;
use super::login::Login;
use super::material::Track;
use super::source::Next;
use super::stats::Fault;
use super::target::Target;
use pypackager_core::bmff::mfhd;
use pypackager_core::bmff::tfhd::{Base, Tfhd};
use pypackager_core::bmff::tfxd::Tfxd;
use pypackager_core::bmff::trun::{self, Columns, SYNC_FLAGS};
use pypackager_core::media::{Kind, Track as Header};
use pypackager_core::wire::Writer;
use std::sync::Arc;

/// One connection: the empty POST and the long one, or the long one alone.
#[derive(Debug)]
pub(super) struct IsmlClient {
    header: Header,
    /// Request line and the fields that all requests have.
    request: String,
    /// Target of the request.
    target: String,
    login: Option<Arc<Login>>,
    wants_login: bool,
    /// Header boxes; empty when they are left out.
    boxes: Vec<u8>,
    step: Step,
    answers: Answers,
    last: Option<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Probing,
    /// The empty POST was taken, and the other side wants a new connection.
    Probed,
    Streaming,
    Closed,
    Done,
}

impl IsmlClient {
    /// A client that begins with the empty POST if it `probes`, and sends header boxes unless they are left out.
    pub(super) fn new(target: &Target, track: &Track, name: &str, probes: bool, headers: bool) -> Self {
        let path = format!("/{}", target.path);
        let request = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {AGENT}\r\n", target.authority);
        Self {
            header: track.header.clone(),
            request,
            target: path,
            login: target.login.clone(),
            wants_login: false,
            boxes: if headers { write_headers(&track.header, name) } else { Vec::new() },
            step: if probes { Step::Probing } else { Step::Streaming },
            answers: Answers::default(),
            last: None,
        }
    }

    /// The head of a request but for what is its own.
    fn head(&self, out: &mut Vec<u8>) {
        out.put(self.request.as_bytes());
        if let Some(who) = self.login.as_ref().and_then(|login| login.authorization("POST", &self.target)) {
            out.put(format!("Authorization: {who}\r\n").as_bytes());
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.step = Step::Streaming;
        self.head(out);
        out.put(b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
        put_chunk(out, &self.boxes);
    }

    fn answered(&mut self, answer: Answer, out: &mut Vec<u8>) -> Result<(), Fault> {
        let (good, closes, fault) = (answer.is_good(), answer.closes, answer.fault());
        if let Some(login) = &self.login {
            if good {
                login.taken();
            } else if answer.status == 401 && login.challenged(&answer.challenges) {
                self.wants_login = true;
                return Ok(());
            }
        }
        self.last = Some(answer);
        match self.step {
            Step::Probing if good && closes => self.step = Step::Probed,
            Step::Probing if good => self.begin(out),
            Step::Closed if good => self.step = Step::Done,
            Step::Streaming if good => return Err(Fault::new("HTTP_ENDED", "answered before the end")),
            _ => return Err(fault),
        }
        Ok(())
    }
}

impl Client for IsmlClient {
    fn open(&mut self, out: &mut Vec<u8>) {
        if self.step == Step::Probing {
            self.head(out);
            out.put(b"Content-Length: 0\r\n\r\n");
        } else {
            self.begin(out);
        }
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.answers.feed(bytes);
        match self.answers.next(false) {
            Some(answer) => self.answered(answer, out),
            None => Ok(()),
        }
    }

    /// Media may follow the headers at once; a refusal comes when it comes.
    fn is_open(&self) -> bool {
        self.step == Step::Streaming
    }

    fn send(&mut self, next: &Next<'_>, out: &mut Vec<u8>) {
        let video = self.header.codec.kind() == Kind::Video;
        let header = Tfhd {
            track_id: TRACK_ID,
            base: Base::Moof,
            sample_description_index: None,
            duration: None,
            size: None,
            flags: (!video).then_some(SYNC_FLAGS),
        };
        let composition = next.samples.iter().any(|sample| sample.composition != 0);
        let columns = Columns { duration: true, size: true, flags: video, first_flags: None, composition };
        let duration = next.samples.iter().map(|sample| u64::from(sample.duration)).sum();
        let mut head = Vec::with_capacity(160 + 16 * next.samples.len());
        let mut run = 0;
        head.put_box(*b"moof", |out| {
            mfhd::write(out, next.sequence);
            out.put_box(*b"traf", |out| {
                header.write(out);
                run = out.len();
                trun::write(out, next.samples, columns);
                Tfxd { time: next.time, duration, index: None }.write(out);
            });
        });
        let data_offset = (head.len() + 8) as u32;
        let at = run + trun::DATA_OFFSET_AT;
        head[at..at + 4].copy_from_slice(&data_offset.to_be_bytes());
        head.put_u32(next.payload.len() as u32 + 8);
        head.put(b"mdat");
        put_chunk(out, &head);
        put_chunk(out, next.payload);
    }

    fn noise(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        put_chunk(out, bytes);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.step == Step::Streaming {
            // An empty mfra ends the file, as encoders send it.
            put_chunk(out, b"\0\0\0\x08mfra");
            out.put(b"0\r\n\r\n");
            self.step = Step::Closed;
        }
    }

    /// A body whose end is announced needs no other; a server may take a closed side for a sender that gave up.
    fn hangs_up(&self) -> bool {
        false
    }

    fn ended(&mut self) -> Result<Ending, Fault> {
        if let Some(answer) = self.answers.next(true) {
            self.answered(answer, &mut Vec::new())?;
        }
        if self.wants_login {
            return Ok(Ending::Challenged);
        }
        match self.step {
            Step::Probed => Ok(Ending::Probed),
            Step::Done => Ok(Ending::Done),
            _ => Err(Fault::new("CONNECTION_LOST", "the other side closed the connection without an answer")),
        }
    }

    fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    fn wants_login(&self) -> bool {
        self.wants_login
    }

    fn answer(&mut self) -> Option<String> {
        self.last.take().map(|answer| answer.to_string())
    }
}

/// A chunk of the body (RFC 9112 7.1); an empty one would end it.
fn put_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        out.put(format!("{:x}\r\n", data.len()).as_bytes());
        out.put(data);
        out.put(b"\r\n");
    }
}

pub(super) const AGENT: &str = concat!("pypackager/", env!("CARGO_PKG_VERSION"));
pub(super) const TRACK_ID: u32 = 1;
