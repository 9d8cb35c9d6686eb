//! The server side of HTTP/1.1 ingest: requests whose bodies are fragmented MP4.
//!
//! In: the bytes of one connection, cut anywhere, and the caller's decisions. Out: request heads, what is in the bodies, and the bytes to
//! send back. Never: a decision on a request, a route, a clock.
//!
//! # Theory of operation
//! 1. A head that is complete becomes [`Event::Request`]; the session is then *paused*: it keeps at most [`UNPARSED_LIMIT`] bytes that arrive
//!    and reads none until [`HttpSession::accept`] or [`HttpSession::respond`]. Call `feed(&[], …)` after either: bytes may be waiting.
//! 2. The body of an accepted request goes through its [`Fmp4Reader`]; its end is [`Event::BodyEnd`], and the session is paused until `respond`.
//! 3. Then the next request is read, pipelined or not, unless someone wanted the connection closed.
//! 4. An error from `feed` is the end of the connection's requests: `respond` with its status, send the output, close. The same holds for a
//!    refusal while a body is in flight, except that a short rest of a body is read over to keep the connection.
//! 5. To close well while a body is in flight: send the output, shut down writing, go on feeding (the bytes are dropped) until the peer closes, time is up
//!    or [`HttpSession::is_drained`]; else the peer gets a reset in place of the response.

mod chunked;
mod head;
mod inflate;
mod response;

use crate::demux::fmp4::{self, Fmp4Reader};
use crate::error::{Error, Result};
use crate::payload::Spill;
use chunked::Chunked;
pub use head::RequestHead;
use head::{Framing, HEAD_LIMIT, Length};
use inflate::Inflate;
use std::io;

/// Bytes that are kept unread while the session is paused.
pub const UNPARSED_LIMIT: usize = 256 << 10;
/// Bytes of a refused body that are read over.
pub const DRAIN_LIMIT: u64 = 1 << 20;
/// The first byte of TLS (RFC 8446 5.1); no method begins with it, and no end of a head would come.
const TLS_HANDSHAKE: u8 = 22;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A request to decide on.
    Request(RequestHead),
    /// Something in the body of the accepted request.
    Media(fmp4::Event),
    /// The body of the accepted request has ended; respond when what it brought is safe.
    BodyEnd,
}

/// One connection.
#[derive(Debug)]
pub struct HttpSession {
    state: State,
    /// Bytes received and not read: part of a head, or what came while paused.
    input: Vec<u8>,
    /// The head of the request at hand, as it came.
    head: Vec<u8>,
    output: Vec<u8>,
    /// Bytes read since the connection began.
    position: u64,
    framing: Framing,
    /// Header boxes of the last body.
    header: Option<fmp4::Header>,
    scratch: Vec<fmp4::Event>,
}

#[derive(Debug)]
enum State {
    Head,
    /// A request waits for the caller's decision.
    Decision,
    /// A body on its way to its reader.
    Body {
        body: Body,
        media: Box<Media>,
    },
    /// A body that is read over after the response.
    Discard {
        body: Body,
        left: u64,
    },
    /// The body has ended and waits for its response.
    Answer,
    /// An error was returned and waits for its response.
    Failed,
    /// Nothing more is read.
    Closing {
        left: u64,
    },
}

#[derive(Debug)]
enum Body {
    Known(u64),
    Chunked(Chunked),
}

#[derive(Debug)]
struct Media {
    reader: Fmp4Reader,
    inflate: Option<Inflate>,
}

impl Default for HttpSession {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpSession {
    /// A connection that was just accepted.
    pub fn new() -> Self {
        Self {
            state: State::Head,
            input: Vec::new(),
            head: Vec::new(),
            output: Vec::new(),
            position: 0,
            framing: Framing {
                length: Length::Known(0),
                gzip: false,
                expects_continue: false,
                keep_alive: false,
                is_head: false,
            },
            header: None,
            scratch: Vec::new(),
        }
    }

    /// Takes the next bytes of the connection; none to go on after a decision.
    ///
    /// # Errors
    /// What the peer sent breaks HTTP (offset from the start of the connection) or is no media that can be taken (offset from the start of
    /// the body). Respond with the error's status and close.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let result = if self.input.is_empty() {
            self.read(bytes, events).map(|used| self.input.extend_from_slice(&bytes[used..]))
        } else {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(bytes);
            self.read(&input, events).map(|used| {
                input.drain(..used);
                self.input = input;
            })
        };
        let result = match result {
            Ok(()) if self.input.len() > UNPARSED_LIMIT => {
                let detail = format!("more than {UNPARSED_LIMIT} bytes ahead of the response");
                Err(Error::new("HTTP_UNPARSED", self.position, detail).with_status(413))
            }
            other => other,
        };
        if result.is_err() {
            self.keep_header();
            self.input = Vec::new();
            self.state = State::Failed;
        }
        result
    }

    /// Takes the end of the connection: what a body in flight held is given up, with a warning that says so.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        self.keep_header();
        if let State::Body { media, .. } = &mut self.state {
            // The reader's error, if any, was returned by `feed`.
            let _ = media.reader.finish(&mut self.scratch);
            events.extend(self.scratch.drain(..).map(Event::Media));
            let detail = "the connection ended inside the body";
            let lost = Error::new("HTTP_BODY_TRUNCATED", self.position, detail);
            events.push(Event::Media(fmp4::Event::Warning(lost)));
        }
        self.state = State::Closing { left: 0 };
        self.input = Vec::new();
    }

    /// Takes the body of the request at hand into `reader`, and asks for it when the peer waits to be asked. Without a request nothing happens.
    pub fn accept(&mut self, reader: Fmp4Reader) {
        if !matches!(self.state, State::Decision) {
            return;
        }
        if self.framing.expects_continue && self.framing.length != Length::Known(0) {
            self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let inflate = self.framing.gzip.then(Inflate::new);
        self.state = State::Body { body: Body::new(self.framing.length), media: Box::new(Media { reader, inflate }) };
    }

    /// Answers the request at hand (or, with `close`, the connection as it is), refusing a body that was not accepted or has not ended.
    pub fn respond(&mut self, status: u16, reason: &str, content_type: &str, body: &[u8], close: bool) {
        self.respond_with(status, reason, content_type, &[], body, close);
    }

    /// The same with header fields of the caller's (`Allow`, `Retry-After`).
    pub fn respond_with(
        &mut self,
        status: u16,
        reason: &str,
        content_type: &str,
        fields: &[(String, String)],
        body: &[u8],
        close: bool,
    ) {
        let (next, close) = match &self.state {
            State::Closing { .. } | State::Discard { .. } => return,
            State::Answer => (State::Head, close || !self.framing.keep_alive),
            State::Decision => match self.framing.length {
                Length::Known(0) => (State::Head, close || !self.framing.keep_alive),
                // A peer that waits for 100 may send the body or not: nobody can tell what follows.
                length => {
                    let body = Body::new(length);
                    (
                        State::Discard { body, left: DRAIN_LIMIT },
                        close || !self.framing.keep_alive || self.framing.expects_continue,
                    )
                }
            },
            State::Head | State::Body { .. } | State::Failed => (State::Head, true),
        };
        let answer = response::Answer { status, reason, content_type, fields, body };
        answer.write(&mut self.output, close, self.framing.is_head);
        self.framing.is_head = false;
        self.keep_header();
        self.state = if close { State::Closing { left: DRAIN_LIMIT } } else { next };
    }

    /// The bytes to send, each once.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether a decision is needed before anything more is read.
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Decision | State::Answer | State::Failed)
    }

    /// The request that waits for its decision and what came behind it: a session that begins with these bytes is where this one is, but for
    /// the header boxes of earlier requests.
    pub fn opening(&self) -> Option<Vec<u8>> {
        matches!(self.state, State::Decision).then(|| [self.head.as_slice(), &self.input].concat())
    }

    /// Whether the connection is to be closed once the output is sent.
    pub fn should_close(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// Whether enough has been read over for the sake of a peer that does not stop sending.
    pub fn is_drained(&self) -> bool {
        matches!(self.state, State::Closing { left: 0 })
    }

    /// The header boxes of the last body that had some, for senders that put each segment in a request of its own.
    pub fn header(&self) -> Option<fmp4::Header> {
        self.header.clone()
    }

    /// Bytes held for what is not complete.
    pub fn held_bytes(&self) -> usize {
        let media = if let State::Body { media, .. } = &self.state { media.reader.held_bytes() } else { 0 };
        self.input.len() + media
    }

    /// Those of them that are media of a fragment that is coming, which [`spill`](Self::spill) would store.
    pub fn held_media(&self) -> usize {
        if let State::Body { media, .. } = &self.state { media.reader.held_media() } else { 0 }
    }

    /// Stores the media of the fragment that is coming, as far as it is in memory.
    ///
    /// # Errors
    /// It could not be stored and is still in memory.
    pub fn spill(&mut self, spill: &mut dyn Spill) -> io::Result<()> {
        if let State::Body { media, .. } = &mut self.state { media.reader.spill(spill) } else { Ok(()) }
    }

    /// Gives up the fragment that is coming ([`Fmp4Reader::refuse`]).
    pub fn refuse_fragment(&mut self, error: Error, events: &mut Vec<Event>) {
        if let State::Body { media, .. } = &mut self.state {
            media.reader.refuse(error, &mut self.scratch);
            events.extend(self.scratch.drain(..).map(Event::Media));
        }
    }

    /// Reads as much of `input` as can be read now; gives the number of bytes.
    fn read(&mut self, input: &[u8], events: &mut Vec<Event>) -> Result<usize> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let taken = match &mut self.state {
                State::Head => self.read_head(rest, events)?,
                State::Body { body, media } => {
                    let (taken, data) = body.next(rest).map_err(|error| error.at(self.position))?;
                    let result = media.take(data, &mut self.scratch);
                    let result =
                        if body.ended() { result.and_then(|()| media.finish(&mut self.scratch)) } else { result };
                    let ended = body.ended();
                    events.extend(self.scratch.drain(..).map(Event::Media));
                    result?;
                    if ended {
                        self.keep_header();
                        self.state = State::Answer;
                        events.push(Event::BodyEnd);
                    }
                    taken
                }
                State::Discard { body, left } => {
                    let (taken, data) = body.next(rest).map_err(|error| error.at(self.position))?;
                    *left = left.saturating_sub(data.len() as u64);
                    if body.ended() {
                        self.state = State::Head;
                    } else if *left == 0 {
                        self.state = State::Closing { left: 0 };
                    }
                    taken
                }
                State::Closing { left } => {
                    *left = left.saturating_sub(rest.len() as u64);
                    rest.len()
                }
                State::Failed => rest.len(),
                State::Decision | State::Answer => return Ok(used),
            };
            used += taken;
            self.position += taken as u64;
            if taken == 0 {
                return Ok(used);
            }
        }
    }

    /// Reads a head when it is complete; empty lines in front of it are passed over (RFC 9112 2.2).
    fn read_head(&mut self, input: &[u8], events: &mut Vec<Event>) -> Result<usize> {
        let blank = input.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2;
        let rest = &input[blank..];
        if rest.first() == Some(&TLS_HANDSHAKE) {
            let detail = "no request: is it TLS? https:// has a port of its own";
            return Err(Error::new("HTTP_HEAD", self.position, detail));
        }
        let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") else {
            if rest.len() > HEAD_LIMIT {
                return Err(head::too_large(format!("no end of the head in {HEAD_LIMIT} bytes")).at(self.position));
            }
            return Ok(blank);
        };
        if end + 4 > HEAD_LIMIT {
            return Err(head::too_large(format!("a head of more than {HEAD_LIMIT} bytes")).at(self.position));
        }
        let start = self.position + blank as u64;
        let (head, framing) = head::parse(&rest[..end + 4]).map_err(|error| error.at(start))?;
        self.framing = framing;
        self.head.clear();
        self.head.extend_from_slice(&rest[..end + 4]);
        self.state = State::Decision;
        events.push(Event::Request(head));
        Ok(blank + end + 4)
    }

    fn keep_header(&mut self) {
        if let State::Body { media, .. } = &self.state {
            self.header = media.reader.header().or(self.header.take());
        }
    }
}

impl Body {
    fn new(length: Length) -> Self {
        match length {
            Length::Known(left) => Self::Known(left),
            Length::Chunked => Self::Chunked(Chunked::default()),
        }
    }

    /// Consumes some of `input`: the number of bytes, and the data among them.
    fn next<'a>(&mut self, input: &'a [u8]) -> Result<(usize, &'a [u8])> {
        match self {
            Self::Known(left) => {
                let taken = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= taken as u64;
                Ok((taken, &input[..taken]))
            }
            Self::Chunked(chunked) => chunked.next(input),
        }
    }

    fn ended(&self) -> bool {
        match self {
            Self::Known(left) => *left == 0,
            Self::Chunked(chunked) => chunked.ended(),
        }
    }
}

impl Media {
    fn take(&mut self, data: &[u8], events: &mut Vec<fmp4::Event>) -> Result<()> {
        match &mut self.inflate {
            Some(inflate) => inflate.take(data, |piece| self.reader.feed(piece, events)),
            None => self.reader.feed(data, events),
        }
    }

    fn finish(&mut self, events: &mut Vec<fmp4::Event>) -> Result<()> {
        if let Some(inflate) = &mut self.inflate {
            inflate.finish(|piece| self.reader.feed(piece, events))?;
        }
        self.reader.finish(events)
    }
}
