//! The cutter, with any frames of a few tracks in any order.

use std::collections::HashMap;

use arbitrary::Arbitrary;
use pypackager_core::demux::cut::{CutOptions, Cutter, Input as Parked, Output};
use pypackager_core::media::{Frame, Kind, Track};

use crate::{fmp4, mux};

/// What is done to the cutter, one after the other.
#[derive(Debug, Arbitrary)]
pub struct Input<'a> {
    steps: Vec<Step>,
    media: &'a [u8],
}

#[derive(Debug, Arbitrary)]
enum Step {
    Add {
        key: u8,
        video: bool,
        rate: (u32, u32),
    },
    Remove {
        key: u8,
    },
    /// A frame some milliseconds behind the last one of its track, or at any time at all.
    Push {
        key: u8,
        step: u8,
        composition: i32,
        sync: bool,
        size: u16,
    },
    Leap {
        key: u8,
        time: i64,
        sync: bool,
    },
    Resume {
        key: u8,
    },
    Take {
        key: u8,
    },
}

/// Bytes that a track may keep; a few times less than an input can push.
const PENDING: usize = 4000;

#[derive(Default)]
struct Witness {
    times: HashMap<u64, i64>,
    /// Bytes of each track that went in and did not come out.
    inside: HashMap<u64, usize>,
}

/// Does the steps, and looks at all that comes out.
pub fn run(input: &Input<'_>) {
    let options = CutOptions { max_pending_bytes: PENDING, ..CutOptions::default() };
    let (mut cutter, mut out, mut witness) = (Cutter::new(options), Vec::new(), Witness::default());
    for step in &input.steps {
        step.take(&mut cutter, &mut witness, input.media, &mut out);
        witness.look(&mut out);
    }
    for key in 0..KEYS {
        cutter.remove_track(u64::from(key), &mut out);
        witness.look(&mut out);
    }
}

/// Few keys meet more often.
const KEYS: u8 = 4;

impl Step {
    fn take(&self, cutter: &mut Cutter, witness: &mut Witness, media: &[u8], out: &mut Vec<Output>) {
        match *self {
            Self::Add { key, video, rate } => cutter.set_track(key_of(key), track(video, rate), out),
            Self::Remove { key } => cutter.remove_track(key_of(key), out),
            Self::Push { key, step, composition, sync, size } => {
                let time = witness.times.get(&key_of(key)).copied().unwrap_or(0).saturating_add(i64::from(step));
                let data = &media[..media.len().min(usize::from(size) % 2048)];
                push(
                    cutter,
                    witness,
                    key,
                    Frame { track: 1, time, composition, sync, data: data.to_vec().into() },
                    out,
                );
            }
            Self::Leap { key, time, sync } => {
                push(cutter, witness, key, Frame { track: 1, time, composition: 0, sync, data: vec![0].into() }, out);
            }
            Self::Resume { key } => cutter.resume(key_of(key), out),
            Self::Take { key } => {
                if let Some((_, parked)) = cutter.take(key_of(key), out) {
                    let size = |input: &Parked| if let Parked::Frame(frame) = input { frame.data.len() } else { 0 };
                    assert!(parked.iter().map(size).sum::<usize>() <= PENDING, "what is parked is bounded");
                }
            }
        }
    }
}

fn push(cutter: &mut Cutter, witness: &mut Witness, key: u8, frame: Frame, out: &mut Vec<Output>) {
    witness.times.insert(key_of(key), frame.time);
    *witness.inside.entry(key_of(key)).or_default() += frame.data.len();
    cutter.push(key_of(key), frame, out);
}

impl Witness {
    fn look(&mut self, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            if let Output::Chunk { key, chunk } = output {
                fmp4::check(&chunk);
                let inside = self.inside.entry(key).or_default();
                assert!(chunk.payload.len() <= *inside, "no byte comes out twice");
                *inside -= chunk.payload.len();
                assert!(chunk.payload.len() <= PENDING + 2048, "fragments are bounded by bytes");
            }
        }
    }
}

fn key_of(key: u8) -> u64 {
    u64::from(key % KEYS)
}

fn track(video: bool, frame_rate: (u32, u32)) -> Track {
    let codec = if video { mux::video().clone() } else { mux::audio().clone() };
    let number = if codec.kind() == Kind::Video { 1 } else { 2 };
    Track { number, timescale: 1000, codec, name: String::new(), language: "und".to_owned(), bitrate: 0, frame_rate }
}
