use super::*;
use crate::mux::tests::{StoredTrack, pictures, sounds};
use crate::time::rescale;
use crate::wire::Reader;
use proptest::prelude::*;

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    kind: u8,
    time: u32,
    body: Vec<u8>,
}

/// Reads a fragment as a downloader that appends the payload of the mdat to an FLV file, and a player of that file.
fn read(fragment: &[u8]) -> Vec<Tag> {
    let mut reader = Reader::new(fragment);
    let mut tags = Vec::new();
    let mut parse = || {
        assert_eq!((reader.u32()? as usize, reader.bytes(4)?), (fragment.len(), &b"mdat"[..]));
        while reader.remaining() > 0 {
            let kind = reader.u8()?;
            let size = reader.u24()?;
            let time = reader.u24()? | u32::from(reader.u8()?) << 24;
            assert_eq!(reader.u24()?, 0);
            let body = reader.bytes(size as usize)?.to_vec();
            assert_eq!(reader.u32()?, size + 11);
            tags.push(Tag { kind, time, body });
        }
        Result::Ok(())
    };
    parse().expect("whole tags");
    tags
}

fn expected(video: &StoredTrack, audio: &StoredTrack, base: i64) -> Vec<Tag> {
    let mut tags = Vec::new();
    for unit in video.piece().access_units().map(|unit| unit.expect("consistent")) {
        let [pts, dts] = [unit.composition, unit.decode].map(|time| rescale(time, 90_000, 1000));
        let [_, offset @ ..] = ((pts + 200 - dts) as u32).to_be_bytes();
        let head = [&[if unit.sync { 0x17 } else { 0x27 }, 1][..], &offset].concat();
        tags.push(Tag { kind: 9, time: (dts - base) as u32, body: [&head, unit.data].concat() });
    }
    for unit in audio.piece().access_units().map(|unit| unit.expect("consistent")) {
        let time = rescale(unit.decode, 48_000, 1000) + 200 - base;
        tags.push(Tag { kind: 8, time: time as u32, body: [&[0xaf, 1], unit.data].concat() });
    }
    tags
}

#[test]
fn sequence_headers_come_first_at_the_earliest_time() {
    let (video, audio) = (pictures(90_000, 3, &[10, 20, 30]), sounds(37_400, &[5, 6]));
    let tags = read(&write_fragment(Some(&[video.piece()]), Some(&[audio.piece()]), 0).expect("valid"));
    let (Codec::Avc(avc), Codec::Aac(aac)) = (&video.codec, &audio.codec) else { unreachable!("one of each") };
    assert_eq!(tags[0], Tag { kind: 9, time: 979, body: [&[0x17, 0, 0, 0, 0], avc.record.as_slice()].concat() });
    assert_eq!(tags[1], Tag { kind: 8, time: 979, body: [&[0xaf, 0], aac.record.as_slice()].concat() });
    assert_eq!(
        tags.iter().map(|tag| (tag.kind, tag.time)).skip(2).collect::<Vec<_>>(),
        [(8, 979), (9, 1000), (8, 1001), (9, 1040), (9, 1080)]
    );
}

#[test]
fn negative_composition_offsets_leave_decode_times_alone() {
    let mut track = pictures(0, 3, &[10, 10, 10]);
    track.samples.iter_mut().for_each(|sample| sample.composition -= 3600);
    let tags = read(&write_fragment(Some(&[track.piece()]), None, 0).expect("valid"));
    let times: Vec<_> = tags[1..].iter().map(|tag| (tag.time, tag.body[4])).collect();
    assert_eq!(times, [(0, 200), (40, 240), (80, 160)]);
}

#[test]
fn a_picture_that_is_shown_for_long_leaves_decode_times_alone() {
    let mut track = pictures(0, 1, &[10, 10, 10, 10]);
    track.samples[1].duration = 11 * 3600;
    let tags = read(&write_fragment(Some(&[track.piece()]), None, 0).expect("valid"));
    assert_eq!(tags[1..].iter().map(|tag| tag.time).collect::<Vec<_>>(), [0, 40, 480, 520]);
}

#[test]
fn the_origin_is_exact_to_the_nanosecond() {
    let times = |origin| milliseconds(90_000 * 1_700_000_000 + 45, 90_000, origin);
    assert_eq!(times(1_700_000_000_000_000_000), 1);
    assert_eq!(times(1_700_000_000_000_000_001), 0);
    assert_eq!(times(1_700_000_001_000_000_000), -999);
}

#[test]
fn what_cannot_be_carried_is_an_error() {
    let (video, audio) = (pictures(0, 1, &[1 << 24]), sounds(0, &[5]));
    let (video, audio) = ([video.piece()], [audio.piece()]);
    let code = |video, audio| write_fragment(video, audio, 0).expect_err("refused").code;
    assert_eq!(code(Some(&video), None), "FRAGMENT_TOO_LARGE");
    assert_eq!(code(Some(&audio), None), "TRACK_KIND");
    assert_eq!(code(None, Some(&video)), "TRACK_KIND");
}

proptest! {
    #[test]
    fn every_frame_is_there_once_and_in_order(
        start in 0u64..1 << 50,
        base in 0i64..1 << 40,
        sizes in prop::collection::vec(0usize..100, 0..30),
        frames in prop::collection::vec(0usize..50, 0..60),
    ) {
        let (video, audio) = (pictures(start, 5, &sizes), sounds(start / 90 * 48, &frames));
        let fragment = write_fragment(Some(&[video.piece()]), Some(&[audio.piece()]), base * 1_000_000).expect("valid");
        let tags = read(&fragment);
        let headers = usize::from(!sizes.is_empty()) + usize::from(!frames.is_empty());
        let (_, tags) = tags.split_at(headers);
        // Times wrap, so order is by the distance from the first one.
        let first = tags.iter().map(|tag| tag.time).reduce(|a, b| if a.wrapping_sub(b) > 1 << 31 { a } else { b }).unwrap_or(0);
        prop_assert!(tags.windows(2).all(|pair| pair[1].time.wrapping_sub(first) >= pair[0].time.wrapping_sub(first)));
        let mut sorted: Vec<_> = tags.iter().collect();
        sorted.sort_by_key(|tag| tag.kind != 9);
        let expected = expected(&video, &audio, base);
        prop_assert_eq!(sorted, expected.iter().collect::<Vec<_>>());
    }
}
