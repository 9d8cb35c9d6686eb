//! Stored chunks as they may come from a damaged disk, and every output made of them.

use pypackager_core::bmff::stored::parse_limited;
use pypackager_core::mux::Piece;

use crate::mux::{self, audio, video};

/// Small enough for inputs to reach it: samples that the defaults describe cost an input nothing, and a million of them a second.
const MAX_SAMPLES: usize = 512;

/// Parses, and muxes what was found as pictures and as sound.
pub fn run(data: &[u8]) {
    let Ok(chunks) = parse_limited(data, MAX_SAMPLES) else { return };
    for chunk in &chunks {
        let size: u64 = chunk.samples.iter().map(|sample| u64::from(sample.size)).sum();
        assert_eq!(size, chunk.payload.len() as u64);
        assert_eq!(chunk.frames().count(), chunk.samples.len());
    }
    for (codec, timescale) in [(video(), 90_000), (audio(), 48_000)] {
        let pieces: Vec<_> = chunks
            .iter()
            .map(|chunk| Piece {
                codec,
                timescale,
                decode_time: chunk.decode_time,
                samples: &chunk.samples,
                payload: chunk.payload,
            })
            .collect();
        mux::write_all(&pieces);
    }
}
