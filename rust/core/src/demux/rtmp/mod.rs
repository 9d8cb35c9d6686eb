//! RTMP from a publisher (Adobe RTMP 1.0), the server's side, sans-IO.
//!
//! In: the bytes of one connection in any split, and the decision on its publish command. Out: [`Event`]s and the bytes to send back.
//! Never: sockets, clocks, threads, routing, players (`play` is refused), encryption (RTMPE; RTMPS is TLS around this).
//!
//! Where [`Limits::ask_connect`] says so, there is a decision on the connection before that, with [`RtmpSession::accept_connect`] or
//! [`RtmpSession::refuse_connect`].
//!
//! The session is driven as [`RtmpSession::feed`] → handle the events → [`RtmpSession::take_output`]. After [`Event::Publish`] it is
//! [paused](RtmpSession::paused): bytes that come are held unparsed until [`RtmpSession::accept_publish`] or
//! [`RtmpSession::refuse_publish`]; the next `feed` (also of an empty slice) then goes on with what was held. An error of `feed` ends the
//! session; what [`RtmpSession::take_output`] still has tells the encoder why.
//!
//! An encoder may publish several streams over one connection, each on a message stream of its own (Flash Media Live Encoder's multi-bitrate
//! output does). Each publish has a [`Mark`], and so have its events; it is asked about, refused and ended by itself, and what is wrong with
//! its media ends it alone while others run. What is wrong with the connection (chunks, commands) ends all.

pub mod amf0;
pub mod chunk;
mod command;
mod handshake;
mod media;
mod message;
mod publishes;
mod session;
mod signals;

pub use amf0::Value;
pub use session::RtmpSession;

use crate::error::Error;
use crate::media::{Frame, Signal, SignalTrack, Track};

/// Which publish of its connection an event is of: 0 for the first and for what is of the connection itself, then 1, 2, …
pub type Mark = u32;

/// Bounds of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest message; the protocol cannot announce more than 16 MiB.
    pub max_message: usize,
    /// Longest message before the publish is accepted, and bytes held unparsed beside the message being assembled.
    pub max_unparsed: usize,
    /// Chunk streams of one connection.
    pub max_chunk_streams: usize,
    /// Publishes that one connection may have at a time.
    pub max_publishes: usize,
    /// Bytes waiting for [`RtmpSession::take_output`].
    pub max_output: usize,
    /// Whether [`Event::Connect`] asks about the connection before its publish: users are asked for there. Else it is granted.
    pub ask_connect: bool,
    /// Whether what comes before the first publish is accepted is kept, so that [`RtmpSession::opening`] can tell it.
    pub keep_opening: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 16 << 20,
            max_unparsed: 256 << 10,
            max_chunk_streams: 64,
            max_publishes: 16,
            max_output: 64 << 10,
            ask_connect: false,
            keep_opening: false,
        }
    }
}

/// What a connection says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The encoder asks for a connection, the stream not being named yet; the session waits for the decision.
    Connect(Publish),
    /// The encoder asks to publish; the session waits for the decision.
    Publish(Publish),
    /// A track, new or with a changed configuration; frames that follow belong to it.
    Track(Track),
    /// One access unit.
    Frame(Frame),
    /// `onMetaData`.
    Metadata(Metadata),
    /// A handler of data messages other than `onMetaData` (`onAdCue`, `onTextData`, …) was called first.
    SignalTrack(SignalTrack),
    /// It was called: its arguments as JSON, on the clock of the frames.
    Signal(Signal),
    /// Something was dropped; the session goes on.
    Warning(Error),
    /// The encoder ended this publish: no track, frame or data of it follows. It closes the connection itself once it said good-bye; one that
    /// does not is for the idle limit.
    End,
    /// This publish ended for a fault of its own while others of its connection go on; the encoder was told.
    Failed(Error),
}

/// The wish to publish. Names are as sent, but without surrounding slashes and without a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Publish {
    /// Application name: the first part of the URL's path, as the encoder divides it.
    pub app: String,
    /// Stream name: the rest of the path; empty when the encoder puts all of it in `app`.
    pub stream: String,
    /// Query of the application, then that of the stream, joined by `&`, without `?`.
    pub query: String,
    /// `tcUrl` as sent.
    pub tc_url: String,
    /// `flashVer` as sent: the name of the encoder.
    pub flash_ver: String,
}

/// What `onMetaData` announces; zero or empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second as a ratio; (0, 1) when unknown.
    pub frame_rate: (u32, u32),
    /// Bits per second.
    pub video_bitrate: u32,
    /// Bits per second.
    pub audio_bitrate: u32,
    /// Name of the encoder.
    pub encoder: String,
    /// ISO 639-2 code of the audio; empty when not sent.
    pub language: String,
}
