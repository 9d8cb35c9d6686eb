//! One track: its waiting frames, and the chunks they become.

use std::collections::VecDeque;

use super::edges::MAX_EDGES;
use super::place::{PHASE_FRAMES, Phases, Placer, Spacing, VIDEO_TIMESCALE};
use super::{CutOptions, Input, Output};
use crate::error::Error;
use crate::media::{Chunk, Codec, Frame, Kind, Sample, Track};
use crate::payload::{Part, Payload, Spill, spill_parts};
use std::io;

#[derive(Debug)]
pub(super) struct Source {
    pub(super) key: u64,
    pub(super) track: Track,
    /// Time of the last frame.
    pub(super) last_ms: Option<i64>,
    /// What came since a jump.
    pub(super) parked: Option<Vec<Input>>,
    /// Whether no chunk has come out yet.
    pub(super) is_new: bool,
    /// Start times of this video track's last fragments.
    pub(super) edges: VecDeque<i64>,
    /// What aligns this track's counter with the clock's: a multiple of 2^31 ms, where RTMP counters wrap.
    shift_ms: i64,
    frames: VecDeque<Waiting>,
    bytes: usize,
    /// Bytes of `frames` that are in memory.
    held: usize,
    parked_bytes: usize,
    /// Video: the number of frames of each whole fragment at the front of `frames`.
    cuts: VecDeque<usize>,
    open: Open,
    spacings: Vec<Spacing>,
    placer: Option<Placer>,
    /// The place of the first waiting frame, when the fragment before it has fixed it.
    start: Option<(i64, i32)>,
    /// The last duration of a frame, for the last frame where no grid says it.
    usual: u32,
    warned_key: bool,
    warned_parked: bool,
}

/// A frame that waits for the end of its fragment.
#[derive(Debug)]
struct Waiting {
    /// Not falling.
    time: i64,
    composition: i32,
    sync: bool,
    data: Part,
}

/// The video fragment that grows at the end of the queue.
#[derive(Debug, Default)]
struct Open {
    frames: usize,
    bytes: usize,
    start_ms: i64,
}

impl Source {
    pub(super) fn new(key: u64, track: Track) -> Self {
        Self {
            key,
            last_ms: None,
            parked: None,
            is_new: true,
            edges: VecDeque::new(),
            shift_ms: 0,
            frames: VecDeque::new(),
            bytes: 0,
            held: 0,
            parked_bytes: 0,
            cuts: VecDeque::new(),
            open: Open::default(),
            spacings: spacings(&track),
            placer: None,
            start: None,
            usual: VIDEO_TIMESCALE / 25,
            warned_key: false,
            warned_parked: false,
            track,
        }
    }

    /// Takes on another configuration; nothing is waiting.
    pub(super) fn change_track(&mut self, track: Track) {
        self.spacings = spacings(&track);
        self.placer = None;
        self.start = None;
        self.warned_key = false;
        self.track = track;
    }

    /// Forgets the time before a jump.
    pub(super) fn restart(&mut self) {
        self.last_ms = None;
        self.start = None;
        self.parked_bytes = 0;
        self.warned_parked = false;
        if let Some(placer) = &mut self.placer {
            placer.restart();
        }
    }

    /// A frame's time on the clock's counter; the first frame settles how often the counter wrapped before the track was there.
    pub(super) fn aligned(&mut self, time: i64, latest: Option<i64>) -> i64 {
        let time = time.clamp(-MAX_TIME, MAX_TIME);
        if self.last_ms.is_none() {
            let wraps = latest.map_or(0, |latest| (latest - time + COUNTER / 2).div_euclid(COUNTER));
            self.shift_ms = wraps * COUNTER;
        }
        time + self.shift_ms
    }

    /// Keeps what comes after a jump, unplaced.
    pub(super) fn park(&mut self, input: Input, options: &CutOptions, out: &mut Vec<Output>) {
        let parked = self.parked.get_or_insert_default();
        match (&input, parked.last_mut()) {
            (Input::Frame(frame), _) if self.parked_bytes + weight(frame) > options.max_pending_bytes => {
                if !std::mem::replace(&mut self.warned_parked, true) {
                    let detail = "frames after a jump are dropped until it is decided on";
                    out.push(warning(self.key, "PENDING_LIMIT", detail));
                }
                return;
            }
            (Input::Frame(frame), _) => self.parked_bytes += weight(frame),
            // Nothing came between the two: only the later one matters.
            (Input::Track(_), Some(last @ Input::Track(_))) => {
                *last = input;
                return;
            }
            // Never dropped, but it takes the place of frames, so that these are as many as the bound allows.
            (Input::Track(track), _) => self.parked_bytes += track_weight(track),
        }
        parked.push(input);
    }

    /// Puts a frame in the queue; says whether it starts a video fragment.
    pub(super) fn enqueue(&mut self, frame: Frame, time: i64, options: &CutOptions, out: &mut Vec<Output>) -> bool {
        let rising = self.last_ms.map_or(time, |last| time.max(last));
        self.last_ms = Some(rising);
        let size = weight(&frame);
        let is_video = self.kind() == Kind::Video;
        let mut edge = false;
        if is_video {
            let open = &self.open;
            if open.frames == 0 && !frame.sync {
                if !std::mem::replace(&mut self.warned_key, true) {
                    out.push(warning(self.key, "NO_KEY_FRAME", "frames before the first key frame are dropped"));
                }
                return false;
            }
            let long = rising - open.start_ms >= options.max_fragment_ms;
            let large = open.bytes + size > options.max_pending_bytes;
            edge = open.frames == 0 || frame.sync || long || large;
            if edge && open.frames > 0 {
                if !frame.sync {
                    out.push(warning(
                        self.key,
                        "FRAGMENT_TOO_LONG",
                        "no key frame in time: the fragment is cut without one",
                    ));
                }
                self.cuts.push_back(open.frames);
            }
            if edge {
                self.open = Open { frames: 0, bytes: 0, start_ms: rising };
                if self.edges.len() == MAX_EDGES {
                    self.edges.pop_front();
                }
                self.edges.push_back(rising);
            }
            self.open.frames += 1;
            self.open.bytes += size;
        }
        self.bytes += size;
        self.held += frame.data.len();
        self.frames.push_back(Waiting {
            time: rising,
            composition: frame.composition.saturating_add((time - rising) as i32),
            sync: frame.sync,
            data: Part::Memory(frame.data),
        });
        edge
    }

    /// Bytes of the frames that are in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Stores the frames that are in memory.
    pub(super) fn spill(&mut self, spill: &mut dyn Spill) -> io::Result<()> {
        spill_parts(&mut self.frames.iter_mut().map(|frame| &mut frame.data), spill)?;
        self.held = 0;
        Ok(())
    }

    /// Gives up the frames that wait; video goes on at the next key frame.
    pub(super) fn drop_frames(&mut self) {
        self.frames.clear();
        self.cuts.clear();
        self.open = Open::default();
        self.start = None;
        (self.bytes, self.held) = (0, 0);
    }

    /// Whether the phase can be fixed with what waits; `waits` when an earlier track is to fix it first.
    pub(super) fn is_ready(&self, waits: bool, options: &CutOptions) -> bool {
        let (Some(front), Some(back)) = (self.frames.front(), self.frames.back()) else { return false };
        if self.spacings.is_empty() || self.bytes > options.max_pending_bytes {
            return true;
        }
        let span = back.time - front.time;
        let enough = match self.kind() {
            Kind::Audio => self.frames.len() >= PHASE_FRAMES,
            Kind::Video => self.frames.len() >= VIDEO_PHASE_FRAMES || span >= 1000,
        };
        enough && (!waits || span > options.hold_ms)
    }

    pub(super) fn fix_phase(&mut self, phases: &mut Phases) {
        let times: Vec<i64> = self.frames.iter().take(PHASE_FRAMES).map(|frame| frame.time).collect();
        self.placer = Some(match (self.kind(), self.spacings.first()) {
            (Kind::Audio, Some(spacing)) => Placer::audio(*spacing, &times, phases),
            _ => Placer::video(&self.spacings, &times, phases),
        });
    }

    /// Puts out the whole fragments of a video track.
    pub(super) fn close_cuts(&mut self, phases: &mut Phases, out: &mut Vec<Output>) {
        while let Some(count) = self.cuts.pop_front() {
            self.emit(count, false, phases, out);
        }
    }

    /// Puts out the audio frames before `border`.
    pub(super) fn close_before(&mut self, border: i64, partial: bool, phases: &mut Phases, out: &mut Vec<Output>) {
        let count = self.frames.iter().position(|frame| frame.time >= border).unwrap_or(self.frames.len());
        self.emit(count, partial, phases, out);
    }

    /// Puts out audio that waits with more bytes than are allowed.
    pub(super) fn close_over_limit(&mut self, options: &CutOptions, phases: &mut Phases, out: &mut Vec<Output>) {
        if self.bytes > options.max_pending_bytes {
            out.push(warning(self.key, "FRAGMENT_TOO_LONG", "too many bytes wait for an edge: the fragment is cut"));
            self.emit(self.frames.len(), false, phases, out);
        }
    }

    /// Puts out all that is left; audio that reaches up to its `border` is whole.
    pub(super) fn close_rest(
        &mut self,
        partial: bool,
        border: Option<i64>,
        phases: &mut Phases,
        out: &mut Vec<Output>,
    ) {
        let end = self.last_ms.map_or(0, |last| last + self.frame_ms() + 1);
        let whole = self.kind() == Kind::Audio && border.is_some_and(|border| end >= border);
        self.emit(self.frames.len(), partial && !whole, phases, out);
        self.open = Open::default();
    }

    pub(super) fn kind(&self) -> Kind {
        self.track.codec.kind()
    }

    pub(super) fn wants_phase(&self) -> bool {
        self.placer.is_none() && self.parked.is_none()
    }

    /// Whether this track is to fix its phase before `later` does, so that they share this one's.
    pub(super) fn wants_phase_of(&self, later: &Self) -> bool {
        self.wants_phase() && !self.spacings.is_empty() && self.spacings.first() == later.spacings.first()
    }

    /// Time of the first waiting frame.
    pub(super) fn front_ms(&self) -> Option<i64> {
        self.frames.front().map(|frame| frame.time)
    }

    /// Duration of a frame in milliseconds, rounded up; 0 when unknown.
    pub(super) fn frame_ms(&self) -> i64 {
        self.spacings.first().map_or(0, |spacing| spacing.frame_ms())
    }

    /// What a frame lasts as far as is known, in milliseconds, rounded up.
    pub(super) fn usual_ms(&self) -> i64 {
        let ticks = i64::from(self.usual) * 1000;
        (ticks + i64::from(VIDEO_TIMESCALE) - 1) / i64::from(VIDEO_TIMESCALE)
    }

    fn emit(&mut self, count: usize, partial: bool, phases: &mut Phases, out: &mut Vec<Output>) {
        let Some(placer) = self.placer.as_mut().filter(|_| count > 0) else { return };
        let mut samples: Vec<Sample> = Vec::with_capacity(count);
        let mut parts = Vec::with_capacity(count);
        let (mut first, mut last) = (0, 0);
        for (index, frame) in self.frames.drain(..count).enumerate() {
            let fixed = self.start.take();
            let (time, composition) =
                fixed.unwrap_or_else(|| placer.place(frame.time, frame.composition, index == 0, phases));
            if let Some(before) = samples.last_mut() {
                before.duration = duration(last, time);
                self.usual = before.duration;
            } else {
                first = time;
            }
            last = time;
            samples.push(Sample { size: frame.data.len() as u32, duration: 0, composition, sync: frame.sync });
            self.bytes -= frame.data.len() + FRAME_OVERHEAD;
            self.held -= frame.data.held();
            parts.push(frame.data);
        }
        self.start = self.frames.front().map(|next| placer.place(next.time, next.composition, true, phases));
        let frame_ticks = placer.frame_ticks().map(|ticks| ticks as u32);
        let to_next = self.start.map(|(next, _)| duration(last, next));
        let is_audio = self.track.codec.kind() == Kind::Audio;
        if let Some(sample) = samples.last_mut() {
            sample.duration = match (to_next, frame_ticks) {
                // Frames missing at a border are a gap between fragments, not a long frame.
                (Some(ticks), Some(frame)) if is_audio && ticks > frame + frame / 2 => frame,
                (Some(ticks), _) => ticks,
                (None, ticks) => ticks.unwrap_or(self.usual),
            };
        }
        self.is_new = false;
        let timescale = match &self.track.codec {
            Codec::Avc(_) => VIDEO_TIMESCALE,
            Codec::Aac(config) => config.timescale(),
        };
        let track = self.track.number;
        // The frames' own memory, one part each: joining them would copy every byte once more.
        let payload = Payload::new(parts);
        let chunk = Chunk { track, time: first, timescale, samples, payload, index: None, partial };
        out.push(Output::Chunk { key: self.key, chunk });
    }
}

/// The grids a track may lie on, the most trusted first.
fn spacings(track: &Track) -> Vec<Spacing> {
    match &track.codec {
        Codec::Aac(config) => {
            vec![Spacing {
                timescale: config.timescale().max(1),
                ticks: i64::from(config.frame_ticks().max(1)),
                per: 1,
            }]
        }
        Codec::Avc(config) => [config.frame_rate, track.frame_rate].into_iter().filter_map(Spacing::video).collect(),
    }
}

/// What a frame takes in memory: a sender of one-byte frames must reach the bounds as well.
fn weight(frame: &Frame) -> usize {
    frame.data.len() + FRAME_OVERHEAD
}

fn track_weight(track: &Track) -> usize {
    let record = match &track.codec {
        Codec::Avc(config) => 2 * config.record.len(), // the parameter sets are kept a second time
        Codec::Aac(config) => config.record.len(),
    };
    record + FRAME_OVERHEAD
}

fn duration(from: i64, to: i64) -> u32 {
    u32::try_from(to - from).unwrap_or(0)
}

pub(super) fn warning(key: u64, code: &'static str, detail: &'static str) -> Output {
    Output::Warning { key, error: Error::new(code, 0, detail) }
}

/// Where RTMP's time counters wrap: ffmpeg uses 31 bits, and 32-bit ones repeat there as well.
const COUNTER: i64 = 1 << 31;
/// Times beyond this (140,000 years) are no times; the bound keeps products of times within 64 bits.
const MAX_TIME: i64 = 1 << 52;
/// A frame's record and the least that an allocator gives out.
const FRAME_OVERHEAD: usize = size_of::<Frame>() + 32;
const VIDEO_PHASE_FRAMES: usize = 25;
