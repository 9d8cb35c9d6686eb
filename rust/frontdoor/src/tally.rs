//! What was answered: counts of everything, and log lines up to a bound.

use crate::answer::Kind;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
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
    report: Mutex<Report>,
    max_lines: usize,
}

impl Tally {
    /// Keeps at most `max_lines` lines between two looks.
    pub fn new(max_lines: usize) -> Self {
        Self { report: Mutex::default(), max_lines }
    }

    /// Adds one answer.
    pub fn add(&self, kind: Kind, status: u16, bytes: u64, took: Duration, line: impl FnOnce() -> Line) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = report.sums.entry((kind, status)).or_default();
        sum.count += 1;
        sum.bytes += bytes;
        sum.took += took;
        sum.within[BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len())] += 1;
        if report.lines.len() < self.max_lines {
            report.lines.push(line());
        } else {
            report.unsaid += 1;
        }
    }

    /// What came since the last call.
    pub fn take(&self) -> Report {
        std::mem::take(&mut *self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
