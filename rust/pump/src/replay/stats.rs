//! What became of each stream, readable while it plays.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

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
    /// Without a connection, until the next attempt.
    Away,
    /// All was sent; the last answer is awaited.
    Closing,
    /// Ended well.
    Done,
    /// Ended by a fault.
    Failed,
}

/// Why a connection ended, or a stream failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable code.
    pub code: &'static str,
    /// What was said, for a person.
    pub detail: String,
    /// Whether another attempt would be told the same.
    pub lasting: bool,
    /// How long the other side asks to wait.
    pub pause: Option<Duration>,
}

impl Fault {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), lasting: false, pause: None }
    }
}

/// A fault that was asked for and has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// Its name.
    pub name: &'static str,
    /// Media time of its instant, in nanoseconds.
    pub media_time: i64,
    /// When it happened.
    pub wall: SystemTime,
}

/// What the other side answered, or how the connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The answer.
    pub text: String,
    /// When it came.
    pub wall: SystemTime,
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
    /// Samples handed to a connection, those sent again included.
    pub samples: u64,
    /// Fragments of HTTP, samples of RTMP, sent for the first time.
    pub units: u64,
    /// The same, sent again.
    pub resent: u64,
    /// Media time sent, in nanoseconds.
    pub media_time: i64,
    /// How late its latest unit was at the worst, in microseconds, outages included; 0 without pace.
    pub late: u64,
    /// Connections opened after the first.
    pub reconnects: u64,
    /// Time without a connection that takes media, after the first.
    pub away: Duration,
    /// The longest of these times.
    pub longest_away: Duration,
    /// What went wrong on purpose.
    pub injected: Vec<Injected>,
    /// What was answered.
    pub said: Vec<Said>,
    /// Why it failed.
    pub fault: Option<Fault>,
}

/// The counters behind a snapshot, written by the replay's thread.
#[derive(Debug, Default)]
pub(super) struct Counters {
    bytes: AtomicU64,
    samples: AtomicU64,
    units: AtomicU64,
    resent: AtomicU64,
    media_time: AtomicI64,
    late: AtomicU64,
    story: Mutex<Story>,
}

/// What changes seldom.
#[derive(Debug, Clone, Default)]
struct Story {
    phase: Phase,
    fault: Option<Fault>,
    reconnects: u64,
    away: Duration,
    longest_away: Duration,
    injected: Vec<Injected>,
    said: Vec<Said>,
}

impl Counters {
    pub(super) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn played(&self, samples: usize, media_time: i64, late: u64) {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
        self.units.fetch_add(1, Ordering::Relaxed);
        self.media_time.fetch_max(media_time, Ordering::Relaxed);
        self.late.fetch_max(late, Ordering::Relaxed);
    }

    pub(super) fn played_again(&self, samples: usize) {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
        self.resent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn enter(&self, phase: Phase, fault: Option<Fault>) {
        let mut story = self.story();
        (story.phase, story.fault) = (phase, fault);
    }

    pub(super) fn reconnected(&self, away: Duration) {
        let mut story = self.story();
        story.reconnects += 1;
        story.away += away;
        story.longest_away = story.longest_away.max(away);
    }

    pub(super) fn injected(&self, name: &'static str, media_time: i64) {
        let injected = &mut self.story().injected;
        if injected.len() < LONG {
            injected.push(Injected { name, media_time, wall: SystemTime::now() });
        }
    }

    pub(super) fn said(&self, text: String) {
        let said = &mut self.story().said;
        if said.len() < LONG {
            said.push(Said { text, wall: SystemTime::now() });
        }
    }

    pub(super) fn snapshot(&self, url: &str) -> StreamStats {
        let Story { phase, fault, reconnects, away, longest_away, injected, said } = self.story().clone();
        StreamStats {
            url: url.to_owned(),
            phase,
            bytes: self.bytes.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
            units: self.units.load(Ordering::Relaxed),
            resent: self.resent.load(Ordering::Relaxed),
            media_time: self.media_time.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            reconnects,
            away,
            longest_away,
            injected,
            said,
            fault,
        }
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries of a list that a run of days must not fill the memory with.
const LONG: usize = 10_000;
