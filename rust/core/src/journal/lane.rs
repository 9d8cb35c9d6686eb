//! One track while a stretch is folded.

use super::record::{Fragment, Row};
use std::collections::VecDeque;

/// A track's state in the ledger, and the rows that the stretch adds.
#[derive(Debug, Default, Clone)]
pub struct Lane {
    /// The track's number.
    pub number: i64,
    /// Ticks per second, at least 1.
    pub timescale: i64,
    /// Whether it is the kind that leads.
    pub video: bool,
    /// Numbers of its configurations.
    pub configs: Vec<i64>,
    /// Start of the last row; -1 before the first.
    pub last_time: i64,
    /// End of the last row.
    pub last_end: i64,
    /// Where the media that goes up to the last row without a hole begins; -1 in a gap.
    pub begun: i64,
    /// End of the last row that has media.
    pub reached: i64,
    /// Segment number of the last row.
    pub segment: i64,
    /// Configuration of the last row.
    pub config: i64,
    /// HLS discontinuity sequence number.
    pub discontinuity: i64,
    /// Written and not published, in the order of writing.
    pub pending: VecDeque<Fragment>,
    /// Blob of the newest fragment of the stretch.
    pub used: Option<i64>,
    /// What is listed, in ten columns: time, duration, size, segment, flags, config, period, discontinuity, blob, offset.
    pub columns: [Vec<i64>; 10],
}

impl Lane {
    /// A fragment waits; one that was sent again takes the place of the one before.
    pub(super) fn wait(&mut self, fragment: Fragment) {
        match self.pending.iter_mut().find(|one| one.time == fragment.time) {
            Some(before) => *before = fragment,
            None => self.pending.push_back(fragment),
        }
    }

    /// Publishes a row, which is behind the last one; returns its blob, None when it is a gap.
    pub(super) fn list(&mut self, row: &Row, period: i64) -> Option<i64> {
        if row.flags & FLAG_PERIOD != 0 || self.last_time < 0 {
            self.discontinuity = period;
        }
        let place = self.pending.iter().position(|one| one.time == row.time).filter(|_| row.flags & FLAG_GAP == 0);
        let fragment = place.and_then(|place| self.pending.remove(place));
        if let Some(fragment) = &fragment {
            if self.begun < 0 || row.time - self.reached > self.timescale / 10 {
                self.begun = row.time;
            }
            self.reached = row.time + row.duration;
            self.config = fragment.config;
        } else {
            self.begun = -1;
        }
        let (size, blob, offset) = fragment.as_ref().map_or((0, -1, 0), |one| (one.size, one.blob, one.offset));
        let flags = if fragment.is_some() { row.flags } else { row.flags | FLAG_GAP };
        let cells =
            [row.time, row.duration, size, row.segment, flags, self.config, period, self.discontinuity, blob, offset];
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.segment = row.segment;
        self.last_time = row.time;
        self.last_end = self.last_end.max(row.time + row.duration);
        while self.pending.front().is_some_and(|one| one.time <= row.time) {
            self.pending.pop_front();
        }
        fragment.map(|one| one.blob)
    }

    /// A time of the track in nanoseconds, rounded down.
    pub(super) fn ns(&self, time: i64) -> i128 {
        (i128::from(time) * NS).div_euclid(self.timescale.into())
    }
}

const NS: i128 = 1_000_000_000;
const FLAG_GAP: i64 = 4;
const FLAG_PERIOD: i64 = 16;
