//! Replay of recorded tracks to an ingest: the encoder's side of RTMP and of fragmented MP4 over HTTP (`pypackager push`).
//!
//! In: [`Track`]s read from files, where each goes, and what is to go wrong. Out: connections that send them at the pace of their media
//! time, or as fast as the other side takes them, and what became of each ([`StreamStats`]). Never: an encoder, a second thread.
//!
//! # Theory of operation
//! 1. One thread drives all streams of a [`Replay`]. A stream is a `session`: a sequence of connections (`wire`, each with a sans-IO client,
//!    `rtmp` or `isml`), and a `feed` that says which samples come next, at what time, and which come again on a new connection.
//! 2. The media clock starts when every stream is open or has failed to open once, so that a ladder is in step. A stream that is away does
//!    not hold the others. Without pace there is no clock but the streams: they keep within half a second of each other and of one that is away.
//! 3. A connection that ends before its stream does is opened again, without limit, after a small growing pause. Fragmented MP4 goes on with
//!    the header boxes, the two fragments that the other side's system acknowledged last, and all that followed. RTMP goes on live.
//! 4. Synchronised streams count their rounds from 1970: what is sent is a function of the recording and of UTC, whoever sends it and since when.
//! 5. Faults that are asked for (`inject`) come at media times that the seed decides. They work on the session as the real thing would:
//!    what follows a fault is the same code that follows a lost network.

mod answer;
mod attempts;
mod client;
mod feed;
mod inject;
mod isml;
mod isml_headers;
mod login;
mod material;
mod play;
mod rolling;
mod rtmp;
mod run;
mod seal;
mod session;
mod source;
mod stats;
mod target;
mod trust;
mod wire;

pub use inject::{Injection, What};
pub use material::{MaterialError, Track, read_tracks, tracks_of};
pub use run::Replay;
pub use stats::{Fault, Injected, Phase, Said, StreamStats};
pub use target::{Protocol, Target, TargetError};
pub use trust::Trust;

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
    /// What is to go wrong.
    pub faults: Vec<Injection>,
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
    /// How long a connection may take to open and to give its last answer, and to take bytes where no fragment says how long.
    pub patience: Duration,
    /// How long a stream is tried in vain before it has failed; `None`: for ever.
    pub give_up: Option<Duration>,
    /// Acknowledged fragments that a new POST begins with; with 0 nothing is sent again.
    pub resend: usize,
    /// Whether media time is UTC: whoever plays the same recording so sends the same at the same time. Each stream begins live.
    pub synchronised: bool,
    /// Whether RTMP sends its last GOPs and all that followed on a new connection; else it goes on live at a key frame.
    pub rtmp_keeps: bool,
    /// Decides pauses, noise and drawn instants.
    pub seed: u64,
    /// Rules of an encoder that are not kept.
    pub broken: Broken,
}

/// Rules of the ingest specification that are broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a rule of its own
pub struct Broken {
    /// No empty POST comes before the stream's.
    pub probe: bool,
    /// A POST after the first has no header boxes.
    pub headers: bool,
    /// A connection that takes nothing is waited for without end.
    pub timeout: bool,
    /// At the end the connection is dropped: no last chunk, no wait for the answer.
    pub end: bool,
    /// A stream that has ended keeps its POST open until all have ended.
    pub idle: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: 1.0,
            duration: None,
            repeat: false,
            patience: Duration::from_secs(10),
            give_up: None,
            resend: 2,
            synchronised: false,
            rtmp_keeps: false,
            seed: 0,
            broken: Broken::default(),
        }
    }
}
