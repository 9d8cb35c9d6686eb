//! Which samples of a track come next, and at what time: the recording cut into units, once or over and over.

use super::material::Track;
use pypackager_core::media::{Kind, Sample};
use pypackager_core::time::rescale;
use std::ops::Range;
use std::sync::Arc;

/// What is sent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// A sample at its decode time, as RTMP encoders do.
    Sample,
    /// A chunk when its last sample is done, as fragment writers do.
    Chunk,
}

/// When the recording starts and how long it is, for all its tracks alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeline {
    /// Time of the recording that becomes time `lift` of the stream.
    origin: i64,
    /// Length of one round.
    period: i64,
    /// Ticks per second of both.
    timescale: u32,
    /// Milliseconds added to every time, so that the priming of audio is not below zero, which RTMP cannot say.
    lift: i64,
}

impl Timeline {
    /// The timeline of tracks that were recorded together: the longest video track leads, else the longest track.
    pub(super) fn of<'a>(tracks: impl Iterator<Item = &'a Track> + Clone) -> Self {
        let length = |track: &Track| {
            let ticks = track.end().saturating_sub(track.start());
            (track.header.codec.kind() == Kind::Video, nanoseconds(ticks, track.header.timescale))
        };
        let Some(leader) = tracks.clone().max_by_key(|track| length(track)) else {
            return Self { origin: 0, period: 1, timescale: 1, lift: 0 };
        };
        let (origin, timescale) = (leader.start(), leader.header.timescale);
        let early = tracks.map(|track| {
            let ahead = rescale(origin, timescale, track.header.timescale).saturating_sub(track.start());
            nanoseconds(ahead, track.header.timescale)
        });
        // A track that starts much earlier was not recorded with the leader: its head is left out instead.
        let lift = early.max().unwrap_or(0).clamp(0, MAX_LIFT) / MILLISECOND;
        let lift = if lift > 0 { lift + 1 } else { 0 };
        Self { origin, period: leader.end().saturating_sub(origin).max(1), timescale, lift }
    }
}

/// Samples of one chunk that are sent at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    chunk: usize,
    samples: Range<usize>,
    bytes: Range<usize>,
    /// Decode time of the first, and end of the last, counted from the timeline's origin.
    time: i64,
    end: i64,
}

/// What a client sends next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next<'a> {
    /// Decode time of the first sample, in ticks of the track.
    pub(super) time: i64,
    /// The samples.
    pub(super) samples: &'a [Sample],
    /// Their bytes.
    pub(super) payload: &'a [u8],
}

/// One track being played.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) track: Arc<Track>,
    grain: Grain,
    timeline: Timeline,
    first_round: Arc<[Unit]>,
    /// The same without what lies before the origin; empty when the recording is played once.
    other_rounds: Arc<[Unit]>,
    round: i64,
    position: usize,
}

impl Source {
    pub(super) fn new(track: Arc<Track>, grain: Grain, timeline: Timeline, repeat: bool) -> Self {
        let origin = rescale(timeline.origin, timeline.timescale, track.header.timescale);
        let period = rescale(timeline.period, timeline.timescale, track.header.timescale);
        let lift = rescale(timeline.lift, 1000, track.header.timescale);
        let first_end = if repeat { period } else { i64::MAX };
        let first_round = units(&track, grain, origin, -lift..first_end).into();
        let other_rounds = if repeat { units(&track, grain, origin, 0..period) } else { Vec::new() };
        Self { track, grain, timeline, first_round, other_rounds: other_rounds.into(), round: 0, position: 0 }
    }

    /// When the next unit is due, in nanoseconds of media time since the start; `None` at the end.
    pub(super) fn due(&self) -> Option<i64> {
        let unit = self.unit()?;
        let ticks = if self.grain == Grain::Sample { unit.time } else { unit.end };
        Some(nanoseconds(ticks.saturating_add(self.shift()), self.track.header.timescale))
    }

    /// When the next unit starts, likewise.
    pub(super) fn start(&self) -> Option<i64> {
        Some(nanoseconds(self.unit()?.time.saturating_add(self.shift()), self.track.header.timescale))
    }

    /// The next unit.
    pub(super) fn peek(&self) -> Option<Next<'_>> {
        let unit = self.unit()?;
        let chunk = self.track.chunks.get(unit.chunk)?;
        Some(Next {
            time: unit.time.saturating_add(self.shift()),
            samples: chunk.samples.get(unit.samples.clone())?,
            payload: chunk.payload.contiguous()?.get(unit.bytes.clone())?,
        })
    }

    /// Steps over the unit that [`Self::peek`] gave.
    pub(super) fn advance(&mut self) {
        self.position += 1;
        if self.position >= self.units().len() && !self.other_rounds.is_empty() {
            self.position = 0;
            self.round += 1;
        }
    }

    fn units(&self) -> &[Unit] {
        if self.round == 0 { &self.first_round } else { &self.other_rounds }
    }

    fn unit(&self) -> Option<&Unit> {
        self.units().get(self.position)
    }

    /// Ticks from the recording's times to the stream's.
    fn shift(&self) -> i64 {
        let Timeline { period, timescale, lift, .. } = self.timeline;
        let own = self.track.header.timescale;
        // The whole distance is converted, not the period: rounding must not add up over the rounds.
        rescale(period.saturating_mul(self.round), timescale, own).saturating_add(rescale(lift, 1000, own))
    }
}

/// The units of a track whose samples start within `range`, counted from `origin`.
fn units(track: &Track, grain: Grain, origin: i64, range: Range<i64>) -> Vec<Unit> {
    let mut units = Vec::new();
    for (index, chunk) in track.chunks.iter().enumerate() {
        let mut time = chunk.time.saturating_sub(origin);
        let mut byte = 0;
        let mut open: Option<Unit> = None;
        for (position, sample) in chunk.samples.iter().enumerate() {
            let (end, byte_end) = (time.saturating_add(i64::from(sample.duration)), byte + sample.size as usize);
            if range.contains(&time) {
                let unit = Unit { chunk: index, samples: position..position + 1, bytes: byte..byte_end, time, end };
                match &mut open {
                    Some(unit) if grain == Grain::Chunk => {
                        unit.samples.end = position + 1;
                        unit.bytes.end = byte_end;
                        unit.end = end;
                    }
                    _ => units.extend(open.replace(unit)),
                }
            }
            (time, byte) = (end, byte_end);
        }
        units.extend(open);
    }
    units
}

/// Ticks as nanoseconds; times beyond 292 years stay at the end of the range.
pub(super) fn nanoseconds(ticks: i64, timescale: u32) -> i64 {
    let scaled = i128::from(ticks) * 1_000_000_000 / i128::from(timescale.max(1));
    i64::try_from(scaled).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

const MILLISECOND: i64 = 1_000_000;
const MAX_LIFT: i64 = 1_000 * MILLISECOND;
