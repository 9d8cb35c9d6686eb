//! What is stored can be read again: CMAF headers and chunks, over all shapes of sample tables.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use pypackager_core::bmff::init::parse_init;
use pypackager_core::bmff::stored::{StoredChunk, parse_all};
use pypackager_core::codec::{aac::AacConfig, avc::AvcConfig};
use pypackager_core::media::{Chunk, Codec, Kind, Sample};
use pypackager_core::mux::cmaf::{retime, write_chunk_head, write_init};
use pypackager_core::time::rescale;

/// 160x90 at 25 frames a second, as x264 makes it.
fn video() -> Codec {
    let sps = b"\x67\xf4\x00\x0b\x91\x9b\x28\x51\xbf\x3e\x02\x20\x00\x00\x03\x00\x20\x00\x00\x06\x41\xe2\x85\x32\xc0";
    Codec::Avc(AvcConfig::from_parameter_sets(&[sps], &[b"\x68\xea\xec\x44\x84\x40"]).unwrap())
}

fn audio() -> Codec {
    Codec::Aac(AacConfig::parse(&[0x11, 0x88, 0x56, 0xe5, 0x00]).unwrap())
}

#[test]
fn a_header_gives_back_the_track() {
    for (codec, timescale, language, bitrate) in
        [(video(), 90_000, "und", 2_000_000), (audio(), 48_000, "deu", 0), (audio(), 48_000, "es-419", 64_000)]
    {
        let init = parse_init(&write_init(&codec, timescale, language, bitrate, 7)).unwrap();
        assert_eq!(init.track.codec, codec);
        assert_eq!(init.track.number, 7);
        assert_eq!(init.track.timescale, timescale);
        assert_eq!(init.track.language, language);
        assert_eq!(init.track.bitrate, bitrate);
        assert_eq!(init.defaults.track_id, 7);
    }
}

#[test]
fn constant_fields_cost_nothing_per_sample() {
    let sample = |sync| Sample { size: 10, duration: 1024, composition: 0, sync };
    let constant = |count: usize| write_chunk_head(1, 1, 0, &vec![sample(true); count], 10 * count as u64, Kind::Audio);
    assert_eq!(constant(1).len(), constant(500).len());
    let gop = |count: usize| {
        let mut samples = vec![sample(false); count];
        samples[0].sync = true;
        write_chunk_head(1, 1, 0, &samples, 10 * count as u64, Kind::Video)
    };
    assert_eq!(gop(2).len(), gop(500).len());
}

#[test]
fn samples_without_bytes_are_read_back() {
    let samples = [Sample { size: 0, duration: 1024, composition: 0, sync: true }; 3];
    let head = write_chunk_head(1, 1, 0, &samples, 0, Kind::Audio);
    assert_eq!(StoredChunk::parse(&head).unwrap().samples, samples);
    let endless = vec![Sample { size: 0, duration: 0, composition: 0, sync: true }; 1 << 20 | 1];
    let head = write_chunk_head(1, 1, 0, &endless, 0, Kind::Audio);
    assert_eq!(StoredChunk::parse(&head).unwrap_err().code, "TOO_MANY_SAMPLES");
}

fn samples(kind: Kind) -> impl Strategy<Value = Vec<Sample>> {
    let small = prop_oneof![Just(3u32), 0u32..40];
    let sample =
        (small, prop_oneof![Just(1024u32), any::<u32>()], prop_oneof![Just(0i32), any::<i32>()], any::<bool>());
    prop::collection::vec(sample, 1..40).prop_map(move |rows| {
        rows.into_iter()
            .map(|(size, duration, composition, sync)| Sample {
                size,
                duration,
                composition,
                sync: sync || kind == Kind::Audio,
            })
            .collect()
    })
}

fn chunk_bytes(sequence: u32, time: u64, samples: &[Sample], kind: Kind) -> (Vec<u8>, Vec<u8>) {
    let length: u32 = samples.iter().map(|sample| sample.size).sum();
    let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
    let mut bytes = write_chunk_head(sequence, 5, time, samples, u64::from(length), kind);
    bytes.extend_from_slice(&payload);
    (bytes, payload)
}

proptest! {
    #[test]
    fn a_chunk_gives_back_its_samples(
        samples in prop_oneof![samples(Kind::Video), samples(Kind::Audio)],
        sequence in any::<u32>(),
        time in any::<u64>(),
    ) {
        let kind = if samples.iter().all(|sample| sample.sync) { Kind::Audio } else { Kind::Video };
        let (bytes, payload) = chunk_bytes(sequence, time, &samples, kind);
        let chunk = StoredChunk::parse(&bytes).unwrap();
        prop_assert_eq!(chunk.samples.as_slice(), samples.as_slice());
        prop_assert_eq!(chunk.payload, payload.as_slice());
        prop_assert_eq!((chunk.sequence, chunk.track_id, chunk.decode_time), (sequence, 5, time));
        let glued: Vec<u8> = chunk.frames().flat_map(|(_, _, frame)| frame.to_vec()).collect();
        prop_assert_eq!(glued, payload);
    }

    #[test]
    fn chunks_back_to_back_are_told_apart(groups in prop::collection::vec(samples(Kind::Video), 1..5)) {
        let mut bytes = b"\0\0\0\x10stypmsdh\0\0\0\0".to_vec();
        for (index, samples) in groups.iter().enumerate() {
            bytes.extend_from_slice(&chunk_bytes(index as u32, 9, samples, Kind::Video).0);
        }
        let chunks = parse_all(&bytes).unwrap();
        prop_assert_eq!(chunks.iter().map(|chunk| chunk.samples.clone()).collect::<Vec<_>>(), groups);
    }

    #[test]
    fn damaged_chunks_never_panic(samples in samples(Kind::Video), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let (mut bytes, _) = chunk_bytes(1, 2, &samples, Kind::Video);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = parse_all(&bytes[..cut.index(bytes.len())]);
        let _ = parse_all(&bytes);
        let mut header = write_init(&video(), 90_000, "und", 1, 1);
        let at = at % header.len();
        header[at] = byte;
        let _ = parse_init(&header);
    }

    #[test]
    fn converted_durations_join_at_every_border(
        start in -1_000_000_000i64..1_000_000_000_000,
        durations in prop::collection::vec(1u32..1_000_000, 2..60),
        split in any::<prop::sample::Index>(),
        (from, to) in prop_oneof![Just((10_000_000u32, 90_000u32)), Just((1000, 44_100)), (1u32..20_000_000, 1u32..1_000_000)],
    ) {
        let offset = 1 << 55;
        let sample = |duration| Sample { size: 0, duration, composition: 0, sync: true };
        let whole: Vec<Sample> = durations.iter().copied().map(sample).collect();
        let chunk = |time, samples: &[Sample]| Chunk {
            track: 1, time, timescale: from, samples: samples.to_vec(), payload: Vec::new().into(), index: None, partial: false,
        };
        let split = split.index(whole.len() - 1) + 1;
        let middle = start + durations[..split].iter().map(|&duration| i64::from(duration)).sum::<i64>();
        let (first, head) = retime(&chunk(start, &whole[..split]), to, offset).unwrap();
        let (second, tail) = retime(&chunk(middle, &whole[split..]), to, offset).unwrap();
        prop_assert_eq!(first as i64, rescale(start, from, to) + offset);
        prop_assert_eq!(first + head.iter().map(|sample| u64::from(sample.duration)).sum::<u64>(), second);
        let joined: Vec<Sample> = head.into_iter().chain(tail).collect();
        prop_assert_eq!(joined, retime(&chunk(start, &whole), to, offset).unwrap().1);
    }

    #[test]
    fn any_time_is_converted_or_refused(time in any::<i64>(), duration in any::<u32>(), composition in any::<i32>(), from in any::<u32>(), to in any::<u32>(), offset in any::<i64>()) {
        let samples = vec![Sample { size: 0, duration, composition, sync: true }];
        let _ = retime(&Chunk { track: 1, time, timescale: from, samples, payload: Vec::new().into(), index: None, partial: false }, to, offset);
    }
}

#[test]
fn a_time_before_zero_is_refused_by_name() {
    let samples = vec![Sample { size: 0, duration: 213_333, composition: 0, sync: true }];
    let chunk = Chunk {
        track: 3,
        time: -213_333,
        timescale: 10_000_000,
        samples,
        payload: Vec::new().into(),
        index: None,
        partial: false,
    };
    assert_eq!(retime(&chunk, 48_000, 0).unwrap_err().code, "TIME_NEGATIVE");
    assert_eq!(retime(&chunk, 48_000, 1024).unwrap().0, 0);
}
