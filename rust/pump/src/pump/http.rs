//! An HTTP connection that brings fragmented MP4, as the loop sees it.

use super::Options;
use super::clocks::Clocks;
use super::event::{Answer, Event, Protocol};
use super::session::{Held, Opening, Outlet, Session, State, spill_failed};
use pypackager_core::demux::fmp4::{self, Fmp4Reader, Header, Limits};
use pypackager_core::demux::http::{self, HttpSession};
use pypackager_core::error::{Error, Result};
use pypackager_core::media::Track;
use pypackager_core::payload::Spill;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One connection.
pub(super) struct HttpConnection {
    session: HttpSession,
    limits: Limits,
    stage: Stage,
    /// Path of the request at hand.
    path: String,
    /// What the paths of earlier requests brought: senders that put each fragment in a request of its own send header boxes once.
    known: BTreeMap<String, Known>,
    /// Tracks of the body at hand.
    tracks: BTreeMap<u32, Track>,
    received: u64,
    scratch: Vec<http::Event>,
}

#[derive(Debug, Clone)]
struct Known {
    header: Header,
    tracks: BTreeMap<u32, Track>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A head is read; `begun` when some of it is there.
    Head {
        begun: bool,
    },
    /// The decision on the request is due.
    Asked,
    Body,
    /// The answer to the body is due.
    Ended,
}

impl HttpConnection {
    pub(super) fn new(options: &Options) -> Self {
        let unparsed = options.max_unparsed as u64;
        let fragment = options.max_fragment as u64;
        let limits = Limits { header: unparsed, moof: unparsed, fragment, ..Limits::default() };
        Self {
            session: HttpSession::new(),
            limits,
            stage: Stage::Head { begun: false },
            path: String::new(),
            known: BTreeMap::new(),
            tracks: BTreeMap::new(),
            received: 0,
            scratch: Vec::new(),
        }
    }

    fn hand_on(&mut self, out: &mut Outlet<'_>) {
        let conn = out.conn;
        for event in self.scratch.drain(..) {
            match event {
                http::Event::Request(head) => {
                    self.stage = Stage::Asked;
                    head.target.split('?').next().unwrap_or_default().clone_into(&mut self.path);
                    out.events.push(Event::Request { conn, head });
                }
                http::Event::Media(fmp4::Event::Track(track)) => {
                    self.tracks.insert(track.number, track.clone());
                    out.events.push(Event::TrackFound { conn, track });
                }
                http::Event::Media(fmp4::Event::Chunk(chunk)) => {
                    if let Some(kind) = self.tracks.get(&chunk.track).map(|track| track.codec.kind()) {
                        out.events.push(Event::ChunkReady { conn, chunk: Arc::new(chunk), kind });
                    }
                }
                http::Event::Media(fmp4::Event::SignalTrack(track)) => {
                    out.events.push(Event::SignalsFound { conn, track });
                }
                http::Event::Media(fmp4::Event::Signal(signal)) => {
                    out.events.push(Event::SignalReady { conn, signal });
                }
                http::Event::Media(fmp4::Event::Warning(error)) => out.events.push(Event::Warned { conn, error }),
                http::Event::BodyEnd => {
                    self.stage = Stage::Ended;
                    out.events.push(Event::BodyEnd { conn });
                }
            }
        }
    }

    /// Keeps what the body brought, for the next one on the same path.
    fn keep_header(&mut self) {
        // A sender has a few streams; one that names a new path in every request gets no second chance.
        let room = self.known.len() < MAX_PATHS || self.known.contains_key(&self.path);
        match self.session.header() {
            Some(header) if room && !self.tracks.is_empty() => {
                let tracks = std::mem::take(&mut self.tracks);
                self.known.insert(self.path.clone(), Known { header, tracks });
            }
            _ => {}
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let Answer { status, content_type, headers, body, close } = answer;
        self.session.respond_with(*status, reason(*status), content_type, headers, body, *close);
    }
}

impl Session for HttpConnection {
    fn feed(&mut self, bytes: &[u8], out: &mut Outlet<'_>) -> Result<()> {
        if let (Stage::Head { begun }, false) = (&mut self.stage, bytes.is_empty()) {
            *begun = true;
        }
        self.received += bytes.len() as u64;
        let result = self.session.feed(bytes, &mut self.scratch);
        self.hand_on(out);
        result
    }

    fn accept(&mut self, out: &mut Outlet<'_>) -> Result<()> {
        if self.stage != Stage::Asked {
            return Ok(());
        }
        self.stage = Stage::Body;
        self.tracks.clear();
        let reader = match self.known.get(&self.path) {
            Some(Known { header, tracks }) => {
                self.tracks.clone_from(tracks);
                let conn = out.conn;
                out.events.extend(tracks.values().map(|track| Event::TrackFound { conn, track: track.clone() }));
                Fmp4Reader::with_header(self.limits, header.clone())
            }
            None => Fmp4Reader::new(self.limits),
        };
        self.session.accept(reader);
        self.feed(&[], out)
    }

    fn respond(&mut self, answer: &Answer, out: &mut Outlet<'_>) -> Result<()> {
        if !matches!(self.stage, Stage::Asked | Stage::Ended | Stage::Body) {
            return Ok(());
        }
        if self.stage == Stage::Ended {
            self.keep_header();
        }
        self.answer(answer);
        self.stage = Stage::Head { begun: self.session.held_bytes() > 0 };
        self.feed(&[], out)
    }

    fn refuse(&mut self, code: &str, description: &str, _: &mut Outlet<'_>) -> Result<()> {
        let error = Error::new("REFUSED", 0, format!("{code}: {description}")).with_status(403);
        self.fail(&error);
        Ok(())
    }

    fn opening(&self) -> Option<Opening> {
        self.session.opening().map(|bytes| Opening { protocol: Protocol::Http, bytes, decided: 0 })
    }

    fn held(&self, _: &Clocks) -> Held {
        let bytes = self.session.held_media();
        Held { total: bytes, largest: bytes }
    }

    fn spill(&mut self, spill: &mut dyn Spill, out: &mut Outlet<'_>) -> usize {
        let bytes = self.session.held_media();
        let Err(error) = self.session.spill(spill) else { return bytes };
        self.session.refuse_fragment(spill_failed(bytes, &error), &mut self.scratch);
        self.hand_on(out);
        0
    }

    fn end_of_input(&mut self, out: &mut Outlet<'_>) -> Result<()> {
        let stage = self.stage;
        self.session.finish(&mut self.scratch);
        self.hand_on(out);
        let (code, detail) = match stage {
            Stage::Head { begun: false } | Stage::Asked | Stage::Ended => return Ok(()),
            Stage::Head { begun: true } => ("HTTP_HEAD_TRUNCATED", "the connection ended inside a request head"),
            Stage::Body => ("HTTP_BODY_TRUNCATED", "the connection ended inside the body"),
        };
        Err(Error::new(code, self.received, detail))
    }

    fn fail(&mut self, error: &Error) {
        self.answer(&problem(error));
    }

    fn detach(&mut self, _out: &mut Outlet<'_>) {}

    fn take_output(&mut self) -> Vec<u8> {
        self.session.take_output()
    }

    fn state(&self) -> State {
        if self.session.should_close() {
            return State::Closing;
        }
        match self.stage {
            Stage::Head { begun } => State::Talking { quiet: !begun },
            Stage::Asked | Stage::Ended => State::Waiting,
            Stage::Body => State::Media,
        }
    }
}

/// The answer to a fault: problem details (RFC 9457).
fn problem(error: &Error) -> Answer {
    let text = |value: &str| {
        let mut quoted = String::from("\"");
        for character in value.chars() {
            match character {
                '"' | '\\' => quoted.extend(['\\', character]),
                control if control.is_control() => quoted.push(' '),
                other => quoted.push(other),
            }
        }
        quoted + "\""
    };
    let body = format!(
        "{{\"type\":\"about:blank\",\"title\":{},\"status\":{},\"code\":{},\"detail\":{}}}",
        text(reason(error.status)),
        error.status,
        text(error.code),
        text(&super::located(error))
    );
    Answer {
        status: error.status,
        content_type: "application/problem+json".to_owned(),
        headers: Vec::new(),
        body: body.into_bytes(),
        close: true,
    }
}

/// The phrases of RFC 9110 15 for what an ingest answers.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "",
    }
}

/// Paths of one connection whose header boxes are kept.
const MAX_PATHS: usize = 32;
