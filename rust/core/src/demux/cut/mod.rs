//! From the frames of one source clock to chunks with exact times.
//!
//! In: tracks and frames with millisecond times, each under a key that the caller gives (one track of one connection), in any interleaving
//! that keeps each key's own order. Out: one chunk per fragment and key, video at 90 kHz, audio at its sample rate. Never: arrival times,
//! clocks, the choice of which connections share a source clock, the move to output time.
//!
//! # Theory of operation
//! *Borders* depend on media time alone. A video fragment starts at a key frame. The reference is the first video track that was added and
//! is still there; audio is cut at its fragment edges: frames with `v0 <= t < v1`, compared in milliseconds. Where the reference is more than
//! half of its longest fragment (at least [`CutOptions::switch_ms`]) behind the audio, another video track that has the edge becomes the
//! reference. Where none has it, audio waits as long as the reference's time is within the hold (twice the longest fragment seen, at least
//! [`CutOptions::hold_ms`]) of its own; after that it is cut on a fixed grid of [`CutOptions::audio_grid_ms`]. Where the last video track
//! leaves, audio is cut at its end, and on the grid from there on. Audio that starts up to half a second before the first edge of all joins the first fragment.
//!
//! *Times*: a track's first frames wait until the phase of its frame grid is known (`place.rs`); then each frame gets its place on the grid,
//! and durations are differences of places, so nothing adds up. The last frame of a fragment takes its duration from the first of the next.
//!
//! *Jumps*: when a key's time steps back or leaps forward, what is open closes as partial, [`Output::Jump`] is put out, and that frame and
//! all later ones of the key are parked, unplaced. The caller then either moves the track to the cutter of another source clock
//! ([`Cutter::take`], push the frames there) or goes on in this one ([`Cutter::resume`], meant for leaps forward).
//!
//! All state is bounded: fragments by time and bytes, parked frames by bytes, edges by number. The bytes of waiting frames may leave the
//! memory at any time ([`Cutter::spill`]); a chunk is made of its frames' bytes wherever they are, never of a copy.

mod edges;
mod place;
mod source;

use crate::error::Error;
use crate::media::{Chunk, Frame, Kind, Track};
use crate::payload::Spill;
use edges::Edges;
use place::Phases;
use source::Source;
use std::io;

/// Bounds and grids of a [`Cutter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOptions {
    /// Fragment length of audio without video; borders lie at multiples of it.
    pub audio_grid_ms: i64,
    /// A video fragment that gets longer is cut at a frame that is no key frame, with a warning.
    pub max_fragment_ms: i64,
    /// Frames of one track that wait, with what each takes beside its data: a fragment that gets larger is cut likewise.
    pub max_pending_bytes: usize,
    /// How far audio may be ahead of the reference video, at least, before it is cut without it.
    pub hold_ms: i64,
    /// How far, at least, before it is cut at the edge that another video track has there.
    pub switch_ms: i64,
    /// Steps forward beyond this are jumps.
    pub max_step_ms: i64,
    /// Steps back within this are rounding of the sender, beyond it jumps.
    pub max_back_ms: i64,
}

impl Default for CutOptions {
    fn default() -> Self {
        Self {
            audio_grid_ms: 2000,
            max_fragment_ms: 20_000,
            max_pending_bytes: 32 << 20,
            hold_ms: 4000,
            switch_ms: 500,
            max_step_ms: 10_000,
            max_back_ms: 10,
        }
    }
}

/// What a [`Cutter`] gives out, in order for each key.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A track, new or changed; chunks of the key that follow belong to it.
    Track {
        /// The caller's key.
        key: u64,
        /// As it was set.
        track: Track,
    },
    /// A fragment, or a part of one where a bound cut it.
    Chunk {
        /// The caller's key.
        key: u64,
        /// With exact times on the source clock.
        chunk: Chunk,
    },
    /// Frames were dropped or a fragment was cut by a bound.
    Warning {
        /// The caller's key.
        key: u64,
        /// What happened.
        error: Error,
    },
    /// The key's time jumped; its frames are parked until [`Cutter::take`] or [`Cutter::resume`].
    Jump {
        /// The caller's key.
        key: u64,
        /// Time of the last frame before.
        from_ms: i64,
        /// Time of the first frame after.
        to_ms: i64,
    },
}

/// What is parked of a track that jumped, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A changed configuration, as [`Cutter::set_track`] got it.
    Track(Track),
    /// A frame, as [`Cutter::push`] got it.
    Frame(Frame),
}

/// Cuts the tracks of one source clock.
#[derive(Debug)]
pub struct Cutter {
    options: CutOptions,
    /// In the order in which they were added.
    sources: Vec<Source>,
    edges: Edges,
    phases: Phases,
    /// The latest time of any track.
    latest: Option<i64>,
}

impl Cutter {
    /// A cutter without tracks.
    pub fn new(options: CutOptions) -> Self {
        Self { options, sources: Vec::new(), edges: Edges::default(), phases: Phases::default(), latest: None }
    }

    /// Adds a track (timescale 1000), or changes the one under this key: what is open closes first.
    pub fn set_track(&mut self, key: u64, track: Track, out: &mut Vec<Output>) {
        if let Some(index) = self.position(key) {
            if self.sources[index].parked.is_some() {
                return self.sources[index].park(Input::Track(track), &self.options, out);
            }
            if self.sources[index].track == track {
                return;
            }
            if self.sources[index].track.codec == track.codec {
                self.sources[index].track = track.clone();
            } else {
                self.finish(index, false, out);
                self.sources[index].change_track(track.clone());
                self.edges.update(&self.sources);
            }
        } else {
            self.sources.push(Source::new(key, track.clone()));
            self.edges.update(&self.sources);
        }
        out.push(Output::Track { key, track });
    }

    /// Takes the next frame of a track.
    pub fn push(&mut self, key: u64, frame: Frame, out: &mut Vec<Output>) {
        let Some(index) = self.position(key) else {
            let error = Error::new("UNKNOWN_TRACK", 0, "a frame of a track that was not set");
            return out.push(Output::Warning { key, error });
        };
        let latest = self.latest;
        let source = &mut self.sources[index];
        if source.parked.is_some() {
            return source.park(Input::Frame(frame), &self.options, out);
        }
        let time = source.aligned(frame.time, latest);
        if let Some(last) = source.last_ms {
            if time < last - self.options.max_back_ms || time > last + self.options.max_step_ms {
                self.finish(index, true, out);
                self.sources[index].park(Input::Frame(frame), &self.options, out);
                return out.push(Output::Jump { key, from_ms: last, to_ms: time });
            }
        }
        self.latest = Some(latest.map_or(time, |latest| latest.max(time)));
        let edge = source.enqueue(frame, time, &self.options, out);
        if source.kind() == Kind::Video {
            let was = self.edges.len();
            self.edges.advance(source, edge);
            self.process(index, out);
            if self.edges.len() != was {
                self.process_all(out);
            }
        } else {
            self.process(index, out);
        }
    }

    /// Ends a track: what is open comes out as a partial chunk. What is parked is dropped, unless [`Self::take`] or [`Self::resume`] had it.
    pub fn remove_track(&mut self, key: u64, out: &mut Vec<Output>) {
        let Some(index) = self.position(key) else { return };
        if self.sources[index].parked.is_none() {
            self.finish(index, true, out);
        }
        self.sources.remove(index);
        self.edges.update(&self.sources);
        self.process_all(out);
    }

    /// Takes a track out that jumped: its configuration at the jump, and what came since, to be given to another cutter.
    pub fn take(&mut self, key: u64, out: &mut Vec<Output>) -> Option<(Track, Vec<Input>)> {
        let index = self.position(key)?;
        let inputs = self.sources[index].parked.take()?;
        let source = self.sources.remove(index);
        self.edges.update(&self.sources);
        self.process_all(out);
        Some((source.track, inputs))
    }

    /// Goes on with a track that jumped; it may jump again inside what was parked.
    pub fn resume(&mut self, key: u64, out: &mut Vec<Output>) {
        let Some(index) = self.position(key) else { return };
        let Some(inputs) = self.sources[index].parked.take() else { return };
        self.sources[index].restart();
        for input in inputs {
            match input {
                Input::Track(track) => self.set_track(key, track, out),
                Input::Frame(frame) => self.push(key, frame, out),
            }
        }
    }

    /// Bytes of a track's frames that are in memory until their fragment ends.
    pub fn held(&self, key: u64) -> usize {
        self.position(key).map_or(0, |index| self.sources[index].held())
    }

    /// Stores them; what comes out later is the same.
    ///
    /// # Errors
    /// They could not be stored and are still in memory.
    pub fn spill(&mut self, key: u64, spill: &mut dyn Spill) -> io::Result<()> {
        self.position(key).map_or(Ok(()), |index| self.sources[index].spill(spill))
    }

    /// Gives up the frames of a track that wait, when there is no room for them; video goes on at the next key frame.
    pub fn drop_frames(&mut self, key: u64) {
        if let Some(index) = self.position(key) {
            self.sources[index].drop_frames();
        }
    }

    fn position(&self, key: u64) -> Option<usize> {
        self.sources.iter().position(|source| source.key == key)
    }

    /// Puts out what is whole of one track; when that fixed a phase, of all.
    fn process(&mut self, index: usize, out: &mut Vec<Output>) {
        if self.process_one(index, out) {
            self.process_all(out);
        }
    }

    fn process_all(&mut self, out: &mut Vec<Output>) {
        let mut index = 0;
        while index < self.sources.len() {
            // A phase that was just fixed can free a track anywhere that waited for it; each track fixes its phase once.
            index = if self.process_one(index, out) { 0 } else { index + 1 };
        }
    }

    /// Says whether the track's phase was fixed by this.
    fn process_one(&mut self, index: usize, out: &mut Vec<Output>) -> bool {
        let mut fixed = false;
        if self.sources[index].wants_phase() {
            let (earlier, rest) = self.sources.split_at_mut(index);
            let source = &mut rest[0];
            let waits = earlier.iter().any(|other| other.wants_phase_of(source));
            if !source.is_ready(waits, &self.options) {
                return false;
            }
            source.fix_phase(&mut self.phases);
            fixed = true;
        }
        let source = &mut self.sources[index];
        match source.kind() {
            Kind::Video => source.close_cuts(&mut self.phases, out),
            Kind::Audio => {
                while let Some((border, late)) = self.edges.border(&self.sources, index, &self.options) {
                    self.sources[index].close_before(border, late, &mut self.phases, out);
                }
                self.sources[index].close_over_limit(&self.options, &mut self.phases, out);
            }
        }
        fixed
    }

    /// Closes all that a track has.
    fn finish(&mut self, index: usize, partial: bool, out: &mut Vec<Output>) {
        if self.sources[index].wants_phase() && self.sources[index].front_ms().is_some() {
            self.sources[index].fix_phase(&mut self.phases);
        }
        self.process_one(index, out);
        let border = self.edges.next_edge(&self.sources[index]);
        self.sources[index].close_rest(partial, border, &mut self.phases, out);
    }
}
