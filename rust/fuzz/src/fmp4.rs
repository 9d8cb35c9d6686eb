//! Fragmented MP4 in, and each chunk stored and read back.

use pypackager_core::bmff::stored::StoredChunk;
use pypackager_core::demux::fmp4::{Event, Fmp4Reader, Limits};
use pypackager_core::error::Error;
use pypackager_core::media::Chunk;
use pypackager_core::mux::cmaf;

use crate::split;

/// Small enough for inputs to reach them.
pub const LIMITS: Limits = Limits { header: 16 << 10, moof: 4 << 10, fragment: 256 << 10, samples: 2000, signal: 4 << 10 };

/// Reads the body whole and in pieces.
pub fn run(data: &[u8]) {
    let whole = read(std::iter::once(data));
    let parts = read(split::pieces(data));
    assert_eq!(whole, parts, "the split shows");
    for event in &whole.0 {
        match event {
            Event::Chunk(chunk) => check(chunk),
            Event::Signal(signal) => assert!(signal.data.len() as u64 <= LIMITS.signal, "{} bytes", signal.data.len()),
            Event::Track(_) | Event::SignalTrack(_) | Event::Warning(_) => {}
        }
    }
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<Error>) {
    let (mut reader, mut events) = (Fmp4Reader::new(LIMITS), Vec::new());
    for piece in pieces {
        let result = reader.feed(piece, &mut events);
        assert!(
            reader.held_bytes() as u64 <= LIMITS.fragment + LIMITS.header,
            "{} bytes are held",
            reader.held_bytes()
        );
        if let Err(error) = result {
            assert_eq!(reader.feed(b"more", &mut events), Err(error.clone()), "the first error is final");
            assert_eq!(reader.held_bytes(), 0);
            return (events, Some(error));
        }
    }
    reader.finish(&mut events).expect("no error came before");
    (events, None)
}

/// What every chunk promises, and that it can be stored.
pub fn check(chunk: &Chunk) {
    assert!(!chunk.samples.is_empty());
    let size: u64 = chunk.samples.iter().map(|sample| u64::from(sample.size)).sum();
    assert_eq!(size, chunk.payload.len() as u64, "the samples are the payload");
    for timescale in [chunk.timescale, 90_000, 48_000] {
        let Ok((time, samples)) = cmaf::retime(chunk, timescale, 1 << 40) else { continue };
        let duration: u64 = samples.iter().map(|sample| u64::from(sample.duration)).sum();
        let exact = u128::from(chunk.duration()) * u128::from(timescale) / u128::from(chunk.timescale.max(1));
        assert!(exact.abs_diff(u128::from(duration)) <= 1, "rounding does not add up: {duration} for {exact}");
        for kind in [pypackager_core::media::Kind::Video, pypackager_core::media::Kind::Audio] {
            let mut bytes = cmaf::write_chunk_head(7, 3, time, &samples, size, kind);
            bytes.extend_from_slice(&chunk.payload.bytes().expect("it is in memory"));
            let stored = StoredChunk::parse(&bytes).expect("what was written is read");
            assert_eq!((stored.sequence, stored.track_id, stored.decode_time), (7, 3, time));
            assert_eq!(stored.payload, &*chunk.payload.bytes().expect("it is in memory"));
            let flags_differ = kind == pypackager_core::media::Kind::Audio;
            assert_eq!(stored.samples.len(), samples.len());
            for (read, written) in stored.samples.iter().zip(&samples) {
                assert_eq!(
                    (read.size, read.duration, read.composition),
                    (written.size, written.duration, written.composition)
                );
                assert_eq!(read.sync, flags_differ || written.sync);
            }
        }
    }
}
