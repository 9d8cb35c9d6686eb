//! The cutters of all source clocks, and who runs on which.
//!
//! A clock exists while a track runs on it. A track of a connection stays on its clock until it jumps: then it follows its connection,
//! which may have been moved because of a jump of its other track.

use super::event::{Event, Number};
use super::session::{Held, spill_failed};
use pypackager_core::demux::cut::{CutOptions, Cutter, Input, Output};
use pypackager_core::error::{Error, Result};
use pypackager_core::media::{Frame, Kind, Track};
use pypackager_core::payload::Spill;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Where a track's time stepped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) track: u32,
    pub(super) to_ms: i64,
}

/// All clocks.
#[derive(Debug)]
pub(super) struct Clocks {
    options: CutOptions,
    cutters: BTreeMap<u64, Cutter>,
    homes: BTreeMap<(Number, u32), Home>,
}

#[derive(Debug, Clone, Copy)]
struct Home {
    clock: u64,
    kind: Kind,
}

impl Clocks {
    pub(super) fn new(options: CutOptions) -> Self {
        Self { options, cutters: BTreeMap::new(), homes: BTreeMap::new() }
    }

    /// Adds a track of a connection to `clock`, or changes it where it is.
    pub(super) fn set_track(&mut self, clock: u64, conn: Number, track: Track, events: &mut Vec<Event>) -> Result<()> {
        let kind = track.codec.kind();
        let key = key(conn, track.number)?;
        let home = *self.homes.entry((conn, track.number)).or_insert(Home { clock, kind });
        let cutter = self.cutters.entry(home.clock).or_insert_with(|| Cutter::new(self.options));
        let mut output = Vec::new();
        cutter.set_track(key, track, &mut output);
        self.hand_on(output, events);
        Ok(())
    }

    /// Takes the next frame of a track of a connection that runs on `clock`. After a jump nothing more of the track may be pushed until
    /// [`go_on`](Self::go_on).
    pub(super) fn push(
        &mut self,
        clock: u64,
        conn: Number,
        frame: Frame,
        events: &mut Vec<Event>,
    ) -> Result<Option<Jump>> {
        let track = frame.track;
        let key = key(conn, track)?;
        let Some(home) = self.homes.get(&(conn, track)) else {
            let error = Error::new("UNKNOWN_TRACK", 0, format!("a frame of track {track}, which has no header"));
            events.push(Event::Warned { conn, error });
            return Ok(None);
        };
        let moved = home.clock != clock;
        let mut output = Vec::new();
        self.cutter(home.clock)?.push(key, frame, &mut output);
        match self.hand_on(output, events) {
            Some(_) if moved => self.go_on(clock, conn, track, events),
            jump => Ok(jump),
        }
    }

    /// Goes on after a jump, on `clock`: the same one or another.
    pub(super) fn go_on(
        &mut self,
        clock: u64,
        conn: Number,
        track: u32,
        events: &mut Vec<Event>,
    ) -> Result<Option<Jump>> {
        let key = key(conn, track)?;
        let Some(home) = self.homes.get_mut(&(conn, track)) else { return Ok(None) };
        let before = std::mem::replace(&mut home.clock, clock);
        let mut output = Vec::new();
        if before == clock {
            self.cutter(clock)?.resume(key, &mut output);
            return Ok(self.hand_on(output, events));
        }
        let taken = self.cutter(before)?.take(key, &mut output);
        self.hand_on(output, events);
        self.drop_unused(before);
        let Some((header, inputs)) = taken else { return Ok(None) };
        let mut output = Vec::new();
        let cutter = self.cutters.entry(clock).or_insert_with(|| Cutter::new(self.options));
        cutter.set_track(key, header, &mut output);
        for input in inputs {
            match input {
                Input::Track(header) => cutter.set_track(key, header, &mut output),
                Input::Frame(frame) => cutter.push(key, frame, &mut output),
            }
        }
        Ok(self.hand_on(output, events))
    }

    /// Bytes in memory of what waits of a connection's tracks.
    pub(super) fn held(&self, conn: Number) -> Held {
        self.held_by_track(conn).fold(Held::default(), |held, (bytes, ..)| Held {
            total: held.total + bytes,
            largest: held.largest.max(bytes),
        })
    }

    /// Stores what waits of the track of a connection that holds the most; gives the bytes stored. When that fails it is dropped, and the
    /// track goes on behind it.
    pub(super) fn spill(&mut self, conn: Number, spill: &mut dyn Spill, events: &mut Vec<Event>) -> usize {
        let Some((bytes, clock, key)) = self.held_by_track(conn).max() else { return 0 };
        let Some(cutter) = self.cutters.get_mut(&clock) else { return 0 };
        if let Err(error) = cutter.spill(key, spill) {
            cutter.drop_frames(key);
            events.push(Event::Warned { conn, error: spill_failed(bytes, &error) });
            return 0;
        }
        bytes
    }

    /// Bytes in memory, clock and key of each track of a connection.
    fn held_by_track(&self, conn: Number) -> impl Iterator<Item = (usize, u64, u64)> {
        self.homes.range((conn, 0)..=(conn, u32::MAX)).filter_map(move |(&(_, track), home)| {
            let key = key(conn, track).ok()?;
            Some((self.cutters.get(&home.clock)?.held(key), home.clock, key))
        })
    }

    /// Takes a connection's tracks out; what is open of them comes out first.
    pub(super) fn leave(&mut self, conn: Number, events: &mut Vec<Event>) {
        let own = self.homes.range((conn, 0)..=(conn, u32::MAX));
        let mut tracks: Vec<(bool, u32)> = own.map(|(&(_, track), home)| (home.kind == Kind::Video, track)).collect();
        // Audio first: it is not to be cut where its own pictures end, a frame before it does.
        tracks.sort_unstable();
        for (_, track) in tracks {
            let mut output = Vec::new();
            let clock = self.homes.get(&(conn, track)).map(|home| home.clock);
            let cutter = clock.and_then(|clock| self.cutters.get_mut(&clock));
            if let (Some(cutter), Ok(key)) = (cutter, key(conn, track)) {
                cutter.remove_track(key, &mut output);
            }
            // Before the home goes: it says what the last chunks carry.
            self.hand_on(output, events);
            self.homes.remove(&(conn, track));
            if let Some(clock) = clock {
                self.drop_unused(clock);
            }
        }
    }

    /// The same after a panic that may have left a cutter in pieces: then the cutter goes, and who runs on it is told at its next frame.
    pub(super) fn evict(&mut self, conn: Number, events: &mut Vec<Event>) {
        if catch_unwind(AssertUnwindSafe(|| self.leave(conn, events))).is_err() {
            let clocks: Vec<u64> = self.homes.range((conn, 0)..=(conn, u32::MAX)).map(|(_, home)| home.clock).collect();
            self.homes.retain(|(owner, _), _| *owner != conn);
            self.cutters.retain(|clock, _| !clocks.contains(clock));
        }
    }

    fn cutter(&mut self, clock: u64) -> Result<&mut Cutter> {
        let lost = || Error::new("INTERNAL", 0, "the source clock was lost by a fault of the server").with_status(500);
        self.cutters.get_mut(&clock).ok_or_else(lost)
    }

    fn drop_unused(&mut self, clock: u64) {
        if !self.homes.values().any(|home| home.clock == clock) {
            self.cutters.remove(&clock);
        }
    }

    /// Turns what a cutter put out into events of the connections concerned; a jump can only be that of the key that was pushed.
    fn hand_on(&self, output: Vec<Output>, events: &mut Vec<Event>) -> Option<Jump> {
        let mut jump = None;
        for put_out in output {
            match put_out {
                Output::Track { key, track } => events.push(Event::TrackFound { conn: owner(key).0, track }),
                Output::Chunk { key, chunk } => {
                    let (conn, track) = owner(key);
                    if let Some(&Home { kind, .. }) = self.homes.get(&(conn, track)) {
                        events.push(Event::ChunkReady { conn, chunk: Arc::new(chunk), kind });
                    }
                }
                Output::Warning { key, error } => events.push(Event::Warned { conn: owner(key).0, error }),
                Output::Jump { key, to_ms, .. } => jump = Some(Jump { track: owner(key).1, to_ms }),
            }
        }
        jump
    }
}

/// The cutters' key of a track.
fn key(conn: Number, track: u32) -> Result<u64> {
    let key = conn.checked_mul(TRACKS).filter(|_| u64::from(track) < TRACKS).map(|base| base + u64::from(track));
    key.ok_or_else(|| Error::new("TRACK_NUMBER", 0, format!("track number {track} is not below {TRACKS}")))
}

fn owner(key: u64) -> (Number, u32) {
    (key / TRACKS, (key % TRACKS) as u32)
}

/// Tracks of one connection: RTMP numbers them with a byte.
const TRACKS: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use pypackager_core::codec::aac::AacConfig;
    use pypackager_core::media::Codec;

    fn track(number: u32) -> Track {
        Track {
            number,
            timescale: 1000,
            codec: Codec::Aac(AacConfig::parse(&[0x11, 0x90]).expect("AAC LC, 48 kHz, stereo")),
            name: String::new(),
            language: "und".into(),
            bitrate: 0,
            frame_rate: (0, 1),
        }
    }

    fn frame(track: u32, time: i64) -> Frame {
        Frame { track, time, composition: 0, sync: true, data: vec![0; 10].into() }
    }

    fn chunks(events: &[Event], conn: Number, track: u32) -> Vec<(i64, usize)> {
        let chunks = events.iter().filter_map(|event| match event {
            Event::ChunkReady { conn: owner, chunk, .. } if (*owner, chunk.track) == (conn, track) => {
                Some((chunk.time * 1000 / 48_000, chunk.samples.len()))
            }
            _ => None,
        });
        chunks.collect()
    }

    fn push_second(clocks: &mut Clocks, clock: u64, track: u32, start: i64, events: &mut Vec<Event>) -> Option<Jump> {
        let mut jump = None;
        for index in 0..47 {
            jump = jump.or(clocks.push(clock, 1, frame(track, start + index * 1024 / 48), events).expect("a clock"));
            if jump.is_some() {
                break;
            }
        }
        jump
    }

    #[test]
    fn after_a_jump_both_tracks_of_a_connection_move_and_one_question_is_asked() {
        let mut clocks = Clocks::new(CutOptions::default());
        let mut events = Vec::new();
        for number in [1, 2] {
            clocks.set_track(5, 1, track(number), &mut events).expect("a key");
            assert_eq!(push_second(&mut clocks, 5, number, 50_000, &mut events), None);
        }
        assert_eq!(push_second(&mut clocks, 5, 1, 0, &mut events), Some(Jump { track: 1, to_ms: 0 }));
        assert_eq!(clocks.go_on(6, 1, 1, &mut events).expect("a clock"), None);
        // The other track steps back as well: its connection has moved, so it follows.
        assert_eq!(push_second(&mut clocks, 6, 2, 0, &mut events), None);
        assert_eq!(clocks.cutters.keys().copied().collect::<Vec<_>>(), [6]);
        clocks.leave(1, &mut events);
        assert!(clocks.cutters.is_empty() && clocks.homes.is_empty());
        for number in [1, 2] {
            let found = chunks(&events, 1, number);
            assert!(found.first().is_some_and(|(time, _)| (49_990..=50_010).contains(time)), "{found:?}");
            assert!(found.iter().any(|(time, _)| (-10..=10).contains(time)), "{found:?}");
        }
    }

    #[test]
    fn a_leap_may_go_on_where_it_is() {
        let mut clocks = Clocks::new(CutOptions::default());
        let mut events = Vec::new();
        clocks.set_track(5, 1, track(1), &mut events).expect("a key");
        assert_eq!(push_second(&mut clocks, 5, 1, 0, &mut events), None);
        assert_eq!(push_second(&mut clocks, 5, 1, 60_000, &mut events), Some(Jump { track: 1, to_ms: 60_000 }));
        assert_eq!(clocks.go_on(5, 1, 1, &mut events).expect("a clock"), None);
        clocks.leave(1, &mut events);
        let frames: usize = chunks(&events, 1, 1).iter().map(|(_, count)| count).sum();
        assert_eq!(frames, 48);
    }
}
