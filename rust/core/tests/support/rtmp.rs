//! An RTMP client made of bytes, and the session under test.

use pypackager_core::demux::rtmp::{Event, Limits, Mark, RtmpSession};
use pypackager_core::error::Error;

/// A session, what it said and what it answered.
pub struct Run {
    pub session: RtmpSession,
    pub events: Vec<Event>,
    /// Of which publish each event is.
    pub marks: Vec<Mark>,
    pub output: Vec<u8>,
    pub error: Option<Error>,
}

impl Run {
    pub fn new(limits: Limits) -> Self {
        Self {
            session: RtmpSession::new(limits),
            events: Vec::new(),
            marks: Vec::new(),
            output: Vec::new(),
            error: None,
        }
    }

    /// Feeds one piece and grants a publish at once.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut events = Vec::new();
        let mut result = self.session.feed(bytes, &mut events);
        while self.session.paused() {
            self.session.accept_publish();
            result = result.and_then(|()| self.session.feed(&[], &mut events));
        }
        for (mark, event) in events {
            self.marks.push(mark);
            self.events.push(event);
        }
        self.output.extend(self.session.take_output());
        if let Err(error) = result {
            assert!(self.error.is_none(), "a session fails once");
            self.error = Some(error);
        }
    }
}

pub fn run_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Run {
    let mut run = Run::new(Limits::default());
    pieces.into_iter().for_each(|piece| run.feed(piece));
    run
}

/// A client after its handshake and `connect`, `createStream` and `publish` with one-chunk messages.
pub fn publishing() -> Run {
    let mut run = Run::new(Limits::default());
    run.feed(&[&[3][..], &[0; 1536 * 2]].concat());
    run.feed(&chunk(3, 20, 0, &[string("connect"), number(1.0), object(&[("app", &string("news/"))])].concat()));
    run.feed(&chunk(3, 20, 0, &[&string("createStream")[..], &number(2.0), &[5]].concat()));
    run.feed(&chunk(3, 20, 1, &[&string("publish")[..], &number(3.0), &[5], &string("cam?k=v")].concat()));
    run
}

/// One message in one type 0 chunk at time 0; at most 128 bytes unless the chunk size was raised.
pub fn chunk(id: u8, kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    timed_chunk(id, kind, stream, 0, payload)
}

pub fn timed_chunk(id: u8, kind: u8, stream: u32, time: u32, payload: &[u8]) -> Vec<u8> {
    let short = time.min(0xFF_FFFF);
    let mut out = vec![id];
    out.extend(&short.to_be_bytes()[1..]);
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.push(kind);
    out.extend(stream.to_le_bytes());
    if short == 0xFF_FFFF {
        out.extend(time.to_be_bytes());
    }
    out.extend(payload);
    out
}

pub fn string(text: &str) -> Vec<u8> {
    [&[2][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

pub fn number(value: f64) -> Vec<u8> {
    [&[0][..], &value.to_be_bytes()].concat()
}

pub fn object(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = vec![3];
    for (name, value) in fields {
        out.extend(&string(name)[1..]);
        out.extend(*value);
    }
    out.extend([0, 0, 9]);
    out
}

/// AAC-LC, 48 kHz, stereo.
pub const AAC_HEADER: [u8; 4] = [0xAF, 0, 0x11, 0x90];

pub fn audio(time: u32, byte: u8) -> Vec<u8> {
    timed_chunk(4, 8, 1, time, &[0xAF, 1, byte])
}

pub fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}
