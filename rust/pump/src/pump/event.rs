//! What the pump reports and what it is told.

use super::budget::Budget;
use pypackager_core::demux::http::RequestHead;
use pypackager_core::demux::rtmp::Publish;
use pypackager_core::error::Error;
use pypackager_core::media::{Chunk, Kind, Signal, SignalTrack, Track};
use rustls::ServerConfig;
use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Number of a connection, never used twice.
pub type Number = u64;

/// One thing that happened; events of one connection are in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An HTTP request head; the body waits for a decision.
    Request {
        /// The connection.
        conn: Number,
        /// Method, target and headers.
        head: RequestHead,
    },
    /// An RTMP connect, where [`Options::ask_connect`](super::Options::ask_connect) says so; the publish waits for a decision.
    ConnectRequested {
        /// The connection.
        conn: Number,
        /// Where to; the stream is not named yet.
        publish: Publish,
    },
    /// An RTMP publish; media waits for a decision.
    PublishRequested {
        /// The connection, or for a further publish of one a number of its own, which is a connection's in all that follows.
        conn: Number,
        /// For a further publish, the connection whose socket it shares.
        parent: Option<Number>,
        /// What is to be published.
        publish: Publish,
    },
    /// A track's header arrived, first, again or changed; chunks that follow belong to it.
    TrackFound {
        /// The connection.
        conn: Number,
        /// The track.
        track: Track,
    },
    /// The first frame of an RTMP connection, or the first after a jump of its timestamps; media waits for the clock it runs on.
    NeedClock {
        /// The connection.
        conn: Number,
        /// The session's number of the frame's track.
        track: u32,
        /// Decode time of the frame in ticks of `timescale`.
        time: i64,
        /// Ticks per second.
        timescale: u32,
        /// Whether the connection had a clock before.
        jump: bool,
    },
    /// A chunk is complete.
    ChunkReady {
        /// The connection.
        conn: Number,
        /// The chunk.
        chunk: Arc<Chunk>,
        /// What its track carries.
        kind: Kind,
    },
    /// A track of signals was announced, first, again or changed; signals that follow belong to it.
    SignalsFound {
        /// The connection.
        conn: Number,
        /// The track.
        track: SignalTrack,
    },
    /// A signal is complete.
    SignalReady {
        /// The connection.
        conn: Number,
        /// The signal.
        signal: Signal,
    },
    /// The body of an accepted request is complete; the answer is due.
    BodyEnd {
        /// The connection.
        conn: Number,
    },
    /// The first publish of an RTMP connection is over while the connection is not. Further publishes are [`Closed`](Self::Closed) then.
    PublishEnded {
        /// The connection.
        conn: Number,
        /// Stable code; empty for an orderly end.
        code: &'static str,
        /// For a person.
        detail: Cow<'static, str>,
    },
    /// A fault that did not end the connection.
    Warned {
        /// The connection.
        conn: Number,
        /// What was wrong.
        error: Error,
    },
    /// The connection was given away; nothing follows of it.
    Given {
        /// The connection.
        conn: Number,
        /// What another pump needs to go on with it.
        parcel: Arc<Parcel>,
    },
    /// The connection is over.
    Closed {
        /// The connection.
        conn: Number,
        /// Stable code; empty for an orderly end.
        code: &'static str,
        /// For a person.
        detail: Cow<'static, str>,
        /// Bytes received over its whole life; of a further publish those of its frames.
        bytes_received: u64,
    },
}

/// A socket is like no other.
impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// A connection on its way to another pump: its socket, and what was read and is to be read again there.
#[derive(Debug)]
pub struct Parcel {
    /// Blocks no call, as long as nobody has changed that.
    pub socket: OwnedFd,
    /// What it speaks.
    pub protocol: Protocol,
    /// What its peer sent, up to the decision that is due and what came behind.
    pub opening: Vec<u8>,
    /// How many decisions were taken on it, and answered.
    pub decided: usize,
    /// Answers that the socket had no room for.
    pub unsent: Vec<u8>,
}

/// What speaks on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP publishers.
    Rtmp,
    /// HTTP/1.1 requests with fragmented MP4 bodies.
    Http,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `Content-Type`; empty for none.
    pub content_type: String,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// Whether the connection ends with it.
    pub close: bool,
}

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command {
    Add { conn: Number, socket: OwnedFd, protocol: Protocol, tls: Option<Arc<ServerConfig>> },
    Adopt { conn: Number, parcel: Parcel },
    Give(Number),
    Accept { conn: Number, budget: Option<Arc<Budget>> },
    Bind { conn: Number, clock: u64 },
    Respond { conn: Number, answer: Answer },
    Refuse { conn: Number, code: String, description: String },
    Close(Number),
    Hold { conn: Number, held: bool },
    Stop,
}
