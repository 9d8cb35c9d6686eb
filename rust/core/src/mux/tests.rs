//! Pieces and made-up tracks for the tests of the writers.

use super::*;
use crate::codec::{aac::AacConfig, avc::AvcConfig};
use proptest::prelude::*;

/// A track held by value, as stored.
#[derive(Debug, Clone)]
pub(super) struct StoredTrack {
    pub(super) codec: Codec,
    pub(super) timescale: u32,
    pub(super) decode_time: u64,
    pub(super) samples: Vec<Sample>,
    pub(super) payload: Vec<u8>,
}

impl StoredTrack {
    pub(super) fn piece(&self) -> Piece<'_> {
        let Self { codec, timescale, decode_time, samples, payload } = self;
        Piece { codec, timescale: *timescale, decode_time: *decode_time, samples, payload }
    }
}

pub(super) fn avc() -> Codec {
    let sps = [
        0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xca, 0x3c, 0x58,
        0xba, 0x80,
    ];
    Codec::Avc(AvcConfig::from_parameter_sets(&[&sps], &[&[0x68, 0xce, 0x0f, 0xc8]]).expect("a valid SPS"))
}

pub(super) fn aac() -> Codec {
    Codec::Aac(AacConfig::parse(&[0x11, 0x90]).expect("LC, 48 kHz, stereo"))
}

/// Pictures of the given payload sizes from a time on, 3600 ticks of 90 kHz each, a key frame every `gop`, in the order I P b.
pub(super) fn pictures(decode_time: u64, gop: usize, sizes: &[usize]) -> StoredTrack {
    let (mut samples, mut payload) = (Vec::new(), Vec::new());
    for (position, size) in sizes.iter().enumerate() {
        let sync = position % gop == 0;
        let body = (0..*size).map(|i| (i as u8).wrapping_mul(31) | 4);
        let start = payload.len();
        payload.extend_from_slice(&(*size as u32 + 1).to_be_bytes());
        payload.push(if sync { 0x65 } else { 0x41 });
        payload.extend(body);
        let composition = [3600, 7200, 0][position % gop % 3];
        samples.push(Sample { size: (payload.len() - start) as u32, duration: 3600, composition, sync });
    }
    StoredTrack { codec: avc(), timescale: 90_000, decode_time, samples, payload }
}

/// AAC frames of the given sizes from a time on.
pub(super) fn sounds(decode_time: u64, sizes: &[usize]) -> StoredTrack {
    let samples =
        sizes.iter().map(|size| Sample { size: *size as u32, duration: 1024, composition: 0, sync: true }).collect();
    let payload = (0..sizes.iter().sum::<usize>()).map(|i| (i % 251) as u8).collect();
    StoredTrack { codec: aac(), timescale: 48_000, decode_time, samples, payload }
}

proptest! {
    #[test]
    fn times_at_the_limits_are_written_or_refused(
        decode_time in prop_oneof![any::<u64>(), (i64::MAX as u64 - 10_000)..=i64::MAX as u64],
        timescale in prop_oneof![any::<u32>(), 0u32..3],
        duration in any::<u32>(),
        composition in any::<i32>(),
    ) {
        let (mut video, mut audio) = (pictures(decode_time, 2, &[5, 6, 7]), sounds(decode_time, &[5, 6, 7]));
        for track in [&mut video, &mut audio] {
            track.timescale = timescale;
            for sample in &mut track.samples {
                (sample.duration, sample.composition) = (duration, composition);
            }
        }
        let (video, audio) = ([video.piece()], [audio.piece()]);
        let results = [
            ts::write_segment(Some(&video), Some(&audio)),
            ts::write_segment(None, Some(&audio)),
            f4f::write_fragment(Some(&video), Some(&audio), i64::MIN),
        ];
        for result in results {
            prop_assert!(result.is_ok() || result.is_err_and(|error| error.code == "CHUNK_INCONSISTENT"));
        }
    }

    #[test]
    fn a_piece_gives_its_samples_or_one_error(
        sizes in prop::collection::vec(0usize..50, 0..20),
        missing in 0usize..60,
        decode_time in prop_oneof![any::<u64>(), 0u64..1 << 40],
    ) {
        let mut track = sounds(decode_time, &sizes);
        let whole = track.payload.clone();
        track.payload.truncate(whole.len().saturating_sub(missing));
        let units: Vec<_> = track.piece().access_units().collect();
        let good: Vec<_> = units.iter().map_while(|unit| unit.as_ref().ok()).collect();
        prop_assert!(units.len() - good.len() <= 1);
        if missing == 0 && decode_time < 1 << 40 {
            prop_assert_eq!(good.len(), sizes.len());
        }
        let mut at = 0;
        for (position, unit) in good.iter().enumerate() {
            prop_assert_eq!(unit.decode, decode_time as i64 + 1024 * position as i64);
            prop_assert_eq!(unit.data, &whole[at..at + sizes[position]]);
            at += sizes[position];
        }
    }
}
