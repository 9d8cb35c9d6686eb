//! Replay of recorded tracks to an ingest: the encoder's side of RTMP and of fragmented MP4 over HTTP (`pypackager push`).
//!
//! In: [`Track`]s read from files, and where each goes. Out: connections that send them at the pace of their media time, or as fast as the
//! other side takes them, and what became of each ([`StreamStats`]). Never: an encoder, a decision on a retry, a second thread.
//!
//! # Theory of operation
//! One thread drives all connections of a [`Replay`]. Each stream is a sans-IO client (`rtmp`, `isml`), a `source` that says which samples
//! come next and at what time, and a `link` to the other side. The media clock starts when every stream is open, so that a ladder is in
//! step. A stream that fails is left behind: the others go on. Without pace the streams still keep within half a second of each other, as
//! those of one encoder do.

mod client;
mod isml;
mod link;
mod material;
mod rtmp;
mod run;
mod source;
mod stats;
mod target;

pub use material::{MaterialError, Track, read_tracks, tracks_of};
pub use run::Replay;
pub use stats::{Fault, Phase, StreamStats};
pub use target::{Protocol, Target, TargetError};

use std::sync::Arc;
use std::time::Duration;

/// One track on its way to one URL.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Where it goes.
    pub target: Target,
    /// What is sent.
    pub track: Arc<Track>,
    /// `trackName` of the live manifest.
    pub name: String,
}

/// How the streams are played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Media seconds per second; 0 is as fast as the other side takes them.
    pub speed: f64,
    /// Media time after which the streams end; `None`: with the material, or never when it repeats.
    pub duration: Option<Duration>,
    /// Whether the material starts again at its end, times going on.
    pub repeat: bool,
    /// How long a connection may take to open, to take bytes, and to give its last answer.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { speed: 1.0, duration: None, repeat: false, patience: Duration::from_secs(10) }
    }
}
