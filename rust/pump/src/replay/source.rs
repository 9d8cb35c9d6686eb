//! Which samples of a track come next, and at what time: the recording cut into units, once or over and over.

use super::material::Track;
use pypackager_core::media::{Kind, Sample};
use pypackager_core::time::rescale;
use std::cell::Cell;
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
    /// Nanoseconds from the first round's beginning to media time zero.
    base: i64,
}

impl Timeline {
    /// The timeline of tracks that were recorded together: the longest video track leads, else the longest track.
    pub(super) fn of<'a>(tracks: impl Iterator<Item = &'a Track> + Clone) -> Self {
        let length = |track: &Track| {
            let ticks = track.end().saturating_sub(track.start());
            (track.header.codec.kind() == Kind::Video, nanoseconds(ticks, track.header.timescale))
        };
        let Some(leader) = tracks.clone().max_by_key(|track| length(track)) else {
            return Self { origin: 0, period: 1, timescale: 1, lift: 0, base: 0 };
        };
        let (origin, timescale) = (leader.start(), leader.header.timescale);
        let early = tracks.map(|track| {
            let ahead = rescale(origin, timescale, track.header.timescale).saturating_sub(track.start());
            nanoseconds(ahead, track.header.timescale)
        });
        // A track that starts much earlier was not recorded with the leader: its head is left out instead.
        let lift = early.max().unwrap_or(0).clamp(0, MAX_LIFT) / MILLISECOND;
        let lift = if lift > 0 { lift + 1 } else { 0 };
        Self { origin, period: leader.end().saturating_sub(origin).max(1), timescale, lift, base: 0 }
    }

    /// The same with rounds that are counted from 1970, when media time zero is so many nanoseconds later. No round is the first one, so nothing
    /// lies before a beginning that would have to be lifted.
    pub(super) fn synchronised(self, utc: i64) -> Self {
        Self { lift: 0, base: utc, ..self }
    }

    /// The round that media time zero is in; the first one is played by nobody who is synchronised.
    fn first_round(&self) -> i64 {
        let length = (i128::from(self.period) * 1_000_000_000 / i128::from(self.timescale.max(1))).max(1);
        i64::try_from(i128::from(self.base) / length).unwrap_or(0)
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
    /// Its place in the stream, from 1.
    pub(super) sequence: u32,
    /// Decode time of the first sample, in ticks of the track.
    pub(super) time: i64,
    /// The samples.
    pub(super) samples: &'a [Sample],
    /// Their bytes.
    pub(super) payload: &'a [u8],
}

/// A place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    round: i64,
    position: usize,
}

/// One time through the recording.
#[derive(Debug, Clone, Copy)]
struct Round {
    number: i64,
    /// Ticks from the recording's times to the stream's.
    shift: i64,
    /// Whether it is one of the longer ones.
    long: bool,
}

/// The units of one track in order. Media times count in nanoseconds from the start of the stream.
#[derive(Debug)]
pub(super) struct Source {
    track: Arc<Track>,
    grain: Grain,
    timeline: Timeline,
    first_round: Vec<Unit>,
    /// The same without what lies before the origin, of a shorter and of a longer round; empty when the recording is played once.
    other_rounds: [Vec<Unit>; 2],
    /// Ticks of a frame of sound, whose rounds are whole frames: an encoder's go on without a step, and so do these. Else 1.
    grid: i64,
    /// The round that was asked for last: the same one, thousands of times.
    latest: Cell<Round>,
    /// Media time from which on no unit starts, and the same in ticks.
    limit: i64,
    limit_ticks: i64,
}

impl Source {
    /// The recording over and over or once, as far as `limit`.
    pub(super) fn new(track: Arc<Track>, grain: Grain, timeline: Timeline, repeat: bool, limit: i64) -> Self {
        let origin = rescale(timeline.origin, timeline.timescale, track.header.timescale);
        let period = rescale(timeline.period, timeline.timescale, track.header.timescale);
        let lift = rescale(timeline.lift, 1000, track.header.timescale);
        let grid = grid(&track);
        let short = period.div_euclid(grid) * grid;
        let first_end = if repeat { short } else { i64::MAX };
        let first_round = units(&track, grain, origin, -lift..first_end);
        let long = if grid > 1 { short + grid } else { short };
        let other_rounds =
            [short, long].map(|end| if repeat { units(&track, grain, origin, 0..end) } else { Vec::new() });
        let limit = limit.saturating_add(timeline.base);
        let ticks = (i128::from(limit) * i128::from(track.header.timescale) + 999_999_999) / 1_000_000_000;
        let limit_ticks = if limit == i64::MAX { limit } else { i64::try_from(ticks).unwrap_or(i64::MAX) };
        let latest = Cell::new(Round { number: 0, shift: lift, long: false });
        let limit = limit.saturating_sub(timeline.base);
        Self { track, grain, timeline, first_round, other_rounds, grid, latest, limit, limit_ticks }
    }

    /// Where it begins.
    pub(super) fn first(&self) -> Cursor {
        Cursor { round: self.timeline.first_round(), position: 0 }
    }

    /// Duration of the longest unit.
    pub(super) fn longest(&self) -> i64 {
        let ticks = self.first_round.iter().map(|unit| unit.end - unit.time).max().unwrap_or(0);
        nanoseconds(ticks, self.track.header.timescale)
    }

    /// Media time behind which nothing comes.
    pub(super) fn end(&self) -> i64 {
        let last = self.first_round.last().filter(|_| !self.repeats());
        last.map_or(i64::MAX, |unit| self.media_time(unit.end, 0)).min(self.limit)
    }

    /// When the unit is due; `None` at the end.
    pub(super) fn due(&self, cursor: Cursor) -> Option<i64> {
        let unit = self.unit(cursor)?;
        Some(self.media_time(if self.grain == Grain::Sample { unit.time } else { unit.end }, cursor.round))
    }

    /// When it starts, likewise.
    pub(super) fn start(&self, cursor: Cursor) -> Option<i64> {
        Some(self.media_time(self.unit(cursor)?.time, cursor.round))
    }

    /// Whether a decoder can begin with it.
    pub(super) fn is_entry(&self, cursor: Cursor) -> bool {
        let first = || {
            let unit = self.unit(cursor)?;
            self.track.chunks.get(unit.chunk)?.samples.get(unit.samples.start)
        };
        first().is_some_and(|sample| sample.sync || self.track.header.codec.kind() == Kind::Audio)
    }

    /// What it carries, its times so many milliseconds off.
    pub(super) fn get(&self, cursor: Cursor, shift: i64) -> Option<Next<'_>> {
        let unit = self.unit(cursor)?;
        let chunk = self.track.chunks.get(unit.chunk)?;
        let before = self.units_before(cursor.round);
        let shift = rescale(shift, 1000, self.track.header.timescale);
        Some(Next {
            sequence: (before + cursor.position + 1) as u32,
            time: unit.time.saturating_add(self.round(cursor.round).shift).saturating_add(shift),
            samples: chunk.samples.get(unit.samples.clone())?,
            payload: chunk.payload.contiguous()?.get(unit.bytes.clone())?,
        })
    }

    /// The place after.
    pub(super) fn after(&self, cursor: Cursor) -> Cursor {
        let Cursor { round, position } = cursor;
        if position + 1 >= self.units(round).len() && self.repeats() {
            Cursor { round: round + 1, position: 0 }
        } else {
            Cursor { round, position: position + 1 }
        }
    }

    fn repeats(&self) -> bool {
        !self.other_rounds[0].is_empty()
    }

    fn units(&self, round: i64) -> &[Unit] {
        if round == 0 { &self.first_round } else { &self.other_rounds[usize::from(self.round(round).long)] }
    }

    /// How many come before a round.
    fn units_before(&self, round: i64) -> usize {
        if round == 0 {
            return 0;
        }
        let [short, long] = &self.other_rounds;
        let rounds = round as usize - 1;
        let frames = (self.begin(round) - self.begin(1)) / self.grid;
        let longer = if self.grid > 1 { frames - self.begin(1) / self.grid * (round - 1) } else { 0 };
        self.first_round.len() + (rounds - longer as usize) * short.len() + longer as usize * long.len()
    }

    fn unit(&self, cursor: Cursor) -> Option<&Unit> {
        let unit = self.units(cursor.round).get(cursor.position)?;
        (unit.time.saturating_add(self.round(cursor.round).shift) < self.limit_ticks).then_some(unit)
    }

    fn media_time(&self, ticks: i64, round: i64) -> i64 {
        nanoseconds(ticks.saturating_add(self.round(round).shift), self.track.header.timescale)
            .saturating_sub(self.timeline.base)
    }

    fn round(&self, number: i64) -> Round {
        let latest = self.latest.get();
        if latest.number == number {
            return latest;
        }
        let begin = self.begin(number);
        let long = self.grid > 1 && self.begin(number + 1) - begin > self.begin(1);
        let shift = begin.saturating_add(rescale(self.timeline.lift, 1000, self.track.header.timescale));
        let round = Round { number, shift, long };
        self.latest.set(round);
        round
    }

    /// Where a round begins, in ticks of the track: in sound with the last frame that starts no later than the pictures do.
    fn begin(&self, round: i64) -> i64 {
        let Timeline { period, timescale, .. } = self.timeline;
        // The whole distance is converted, not the period: rounding must not add up over the rounds.
        let begin = rescale(period.saturating_mul(round), timescale, self.track.header.timescale);
        begin.div_euclid(self.grid) * self.grid
    }
}

/// Ticks that all frames of sound last, but for a last one that was cut; 1 for pictures, and where they differ.
fn grid(track: &Track) -> i64 {
    let durations: Vec<_> =
        track.chunks.iter().flat_map(|chunk| &chunk.samples).map(|sample| sample.duration).collect();
    match durations.split_last() {
        Some((_, [first, others @ ..]))
            if track.header.codec.kind() == Kind::Audio && others.iter().all(|each| each == first) =>
        {
            i64::from(*first).max(1)
        }
        _ => 1,
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
