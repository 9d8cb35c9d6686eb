//! What became of each stream, readable while it plays.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Where a stream is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Connecting and saying hello.
    #[default]
    Opening,
    /// The other side waits for media.
    Open,
    /// Media flows.
    Playing,
    /// All was sent; the last answer is awaited.
    Closing,
    /// Ended well.
    Done,
    /// Ended by a fault.
    Failed,
}

/// Why a stream failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable code.
    pub code: &'static str,
    /// What was said, for a person.
    pub detail: String,
}

impl Fault {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// A snapshot of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStats {
    /// Where it goes.
    pub url: String,
    /// Where it is.
    pub phase: Phase,
    /// Bytes that the kernel took.
    pub bytes: u64,
    /// Samples handed to the connection.
    pub samples: u64,
    /// Media time sent, in nanoseconds.
    pub media_time: i64,
    /// How late its latest unit was at the worst, in microseconds; 0 without pace.
    pub late: u64,
    /// Why it failed.
    pub fault: Option<Fault>,
}

/// The counters behind a snapshot, written by the replay's thread.
#[derive(Debug, Default)]
pub(super) struct Counters {
    bytes: AtomicU64,
    samples: AtomicU64,
    media_time: AtomicI64,
    late: AtomicU64,
    state: Mutex<(Phase, Option<Fault>)>,
}

impl Counters {
    pub(super) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn played(&self, samples: usize, media_time: i64, late: u64) {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
        self.media_time.store(media_time, Ordering::Relaxed);
        self.late.fetch_max(late, Ordering::Relaxed);
    }

    pub(super) fn enter(&self, phase: Phase, fault: Option<Fault>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (phase, fault);
    }

    pub(super) fn snapshot(&self, url: &str) -> StreamStats {
        let (phase, fault) = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        StreamStats {
            url: url.to_owned(),
            phase,
            bytes: self.bytes.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
            media_time: self.media_time.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            fault,
        }
    }
}
