//! What was answered: counts of everything, and log lines up to a bound.

use crate::answer::Kind;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Address of the viewer, as far as the proxies that are believed tell it.
    pub client: String,
    /// Method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// Status of the answer.
    pub status: u16,
    /// What it is counted as.
    pub kind: Kind,
    /// Bytes of the body.
    pub bytes: u64,
    /// Until the answer was ready to be sent.
    pub took: Duration,
    /// User-Agent.
    pub agent: String,
}

/// Sums over answers of one kind and status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Time until they were ready, all together.
    pub took: Duration,
    /// How many were ready within each of [`BOUNDS`], and, last, later: not cumulative.
    pub within: [u64; BOUNDS.len() + 1],
}

/// What was answered since the last look.
#[derive(Debug, Default)]
pub struct Report {
    /// The first answers.
    pub lines: Vec<Line>,
    /// How many have no line.
    pub unsaid: u64,
    /// All of them, by kind and status.
    pub sums: HashMap<(Kind, u16), Sum>,
}

/// As they are summed up: there are a handful of kinds and statuses, which are found sooner than a hash is made.
#[derive(Debug, Default)]
struct Counted {
    lines: Vec<Line>,
    unsaid: u64,
    sums: Vec<((Kind, u16), Sum)>,
}

/// Bounds of the latency histogram.
pub const BOUNDS: [Duration; 10] = [
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Collects; shared by all connections.
#[derive(Debug)]
pub struct Tally {
    counted: Mutex<Counted>,
    max_lines: usize,
}

impl Tally {
    /// Keeps at most `max_lines` lines between two looks.
    pub fn new(max_lines: usize) -> Self {
        Self { counted: Mutex::default(), max_lines }
    }

    /// Adds one answer.
    pub fn add(&self, kind: Kind, status: u16, bytes: u64, took: Duration, line: impl FnOnce() -> Line) {
        let mut state = self.state();
        state.sum((kind, status)).add(bytes, took);
        if state.lines.len() < self.max_lines {
            state.lines.push(line());
        } else {
            state.unsaid += 1;
        }
    }

    /// What came since the last call.
    pub fn take(&self) -> Report {
        let Counted { lines, unsaid, sums } = std::mem::take(&mut *self.state());
        Report { lines, unsaid, sums: sums.into_iter().collect() }
    }

    fn state(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn sum(&mut self, of: (Kind, u16)) -> &mut Sum {
        let at = self.sums.iter().position(|(known, _)| *known == of).unwrap_or_else(|| {
            self.sums.push((of, Sum::default()));
            self.sums.len() - 1
        });
        &mut self.sums[at].1
    }
}

impl Sum {
    fn add(&mut self, bytes: u64, took: Duration) {
        self.count += 1;
        self.bytes += bytes;
        self.took += took;
        self.within[BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len())] += 1;
    }
}
