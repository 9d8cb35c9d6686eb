//! A small demultiplexer reads segments back, with the checks of a strict receiver.

use super::*;
use crate::codec::nal;
use crate::mux::tests::{StoredTrack, pictures, sounds};
use proptest::prelude::*;
use std::collections::BTreeMap;

mod clock;
mod holes;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Stream {
    /// Presentation time, decode time and content of every PES packet.
    packets: Vec<(u64, u64, Vec<u8>)>,
    clocks: Vec<u64>,
    /// Of the packets without payload, how many.
    alone: usize,
    random_access: Vec<usize>,
    transport_packets: usize,
}

/// A PES packet, and the last clock reference before its end.
type Arrived = (Option<u64>, Vec<u8>);

/// Reads concatenated segments; panics where a strict receiver would complain.
fn demux(stream: &[u8]) -> BTreeMap<u16, Stream> {
    assert_eq!(stream.len() % PACKET_SIZE, 0);
    let mut streams: BTreeMap<u16, Stream> = BTreeMap::new();
    let mut raw: BTreeMap<u16, Vec<Arrived>> = BTreeMap::new();
    let mut clock: Option<u64> = None;
    let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
    for packet in stream.chunks(PACKET_SIZE) {
        assert_eq!(packet[0], 0x47);
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (starts, adapted) = (packet[1] & 0x40 != 0, packet[3] & 0x20 != 0);
        let field = if adapted { &packet[5..5 + usize::from(packet[4])] } else { &[] };
        let payload = &packet[4 + if adapted { 1 + field.len() } else { 0 }..];
        let carries = packet[3] & 0x10 != 0;
        assert_eq!(payload.is_empty(), !carries);
        let flags = field.first().copied().unwrap_or(0);
        let counter = packet[3] & 15;
        if let Some(last) = counters.insert(pid, counter) {
            let expected = (last + u8::from(carries)) & 15;
            assert!(flags & 0x80 != 0 || counter == expected, "counter of PID {pid}");
        }
        if pid == Pid::ASSOCIATION.0 || pid == Pid::MAP.0 {
            let length = usize::from(u16::from_be_bytes([payload[2] & 15, payload[3]]));
            assert_eq!(psi::crc32_mpeg(&payload[1..4 + length]), 0);
            continue;
        }
        let stream = streams.entry(pid).or_default();
        if flags & 0x10 != 0 {
            let base = field[1..6].iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte)) >> 7;
            clock = Some(base);
            stream.clocks.push(base);
        }
        if !carries {
            assert_eq!((flags, packet[4]), (0x10, 183), "nothing but a clock reference and stuffing");
            assert!(!starts && field[7..].iter().all(|byte| *byte == 0xff));
            stream.alone += 1;
            continue;
        }
        stream.transport_packets += 1;
        let pes = raw.entry(pid).or_default();
        if starts {
            pes.push((None, Vec::new()));
            if flags & 0x40 != 0 {
                stream.random_access.push(pes.len() - 1);
            }
        }
        let (stamped, data) = pes.last_mut().expect("a PES packet starts");
        *stamped = clock;
        data.extend_from_slice(payload);
    }
    for (pid, packets) in raw {
        for (stamped, pes) in packets {
            assert_eq!(pes[..3], [0, 0, 1]);
            let length = usize::from(u16::from_be_bytes([pes[4], pes[5]]));
            assert!(length == pes.len() - 6 || (length == 0 && pid == Pid::VIDEO.0));
            let time = |at: usize| {
                assert!(pes[at] & pes[at + 2] & pes[at + 4] & 1 == 1, "marker bits");
                u64::from(pes[at] >> 1 & 7) << 30
                    | u64::from(u16::from_be_bytes([pes[at + 1], pes[at + 2]]) >> 1) << 15
                    | u64::from(u16::from_be_bytes([pes[at + 3], pes[at + 4]]) >> 1)
            };
            let pts = time(9);
            let dts = if pes[7] == 0xc0 { time(14) } else { pts };
            assert!(stamped.is_none_or(|clock| ahead(dts, clock) > 0), "there before it is decoded");
            let content = pes[9 + usize::from(pes[8])..].to_vec();
            streams.entry(pid).or_default().packets.push((pts, dts, content));
        }
    }
    streams
}

/// How much later a time is than another, both of 33 bits.
fn ahead(time: u64, other: u64) -> i64 {
    (time.wrapping_sub(other) << 31) as i64 >> 31
}

/// The NAL units of the samples and of the PES packets, but for delimiters and parameter sets.
fn slices<'a>(units: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    units.filter(|unit| !matches!(nal::unit_type(unit), nal::AUD | nal::SPS | nal::PPS)).map(<[u8]>::to_vec).collect()
}

fn assert_same_video(track: &StoredTrack, stream: &Stream) {
    let units: Vec<_> = track.piece().access_units().map(|unit| unit.expect("consistent")).collect();
    assert_eq!(stream.packets.len(), units.len());
    for (unit, (pts, dts, content)) in units.iter().zip(&stream.packets) {
        let wrap = |time: i64| (time + 90_000) as u64 & 0x1_ffff_ffff;
        assert_eq!((*pts, *dts), (wrap(unit.composition + 18_000), wrap(unit.decode)));
        assert_eq!(slices(nal::annexb_units(content)), slices(nal::units(unit.data, 4).map_while(Result::ok)));
        let kinds: Vec<_> = nal::annexb_units(content).map(nal::unit_type).collect();
        assert_eq!(kinds, if unit.sync { vec![9, 7, 8, 5] } else { vec![9, 1] });
    }
}

fn assert_same_audio(track: &StoredTrack, stream: &Stream) {
    let mut units = track.piece().access_units().map(|unit| unit.expect("consistent"));
    for (pts, dts, content) in &stream.packets {
        assert_eq!(pts, dts);
        let mut rest = content.as_slice();
        for number in 0.. {
            if rest.is_empty() {
                break;
            }
            assert_eq!(rest[..2], [0xff, 0xf1]);
            let size = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5] >> 5);
            let unit = units.next().expect("no more frames than went in");
            assert_eq!(&rest[7..size], unit.data);
            // As a decoder does: from the first frame of the packet on it counts.
            let counted = pts.wrapping_add(number * 1920) & 0x1_ffff_ffff;
            assert_eq!(counted, (rescale(unit.decode, 48_000, 90_000) + 108_000) as u64 & 0x1_ffff_ffff);
            rest = &rest[size..];
        }
    }
    assert!(units.next().is_none(), "a frame is missing");
}

#[test]
fn segments_follow_on_each_other_over_the_wrap() {
    // The second segment's times pass 2^33.
    let start = (1u64 << 33) - 90_000 - 3600 * 15;
    let mut whole = Vec::new();
    let mut video = BTreeMap::new();
    for number in 0..3u64 {
        let pictures = pictures(start + number * 36_000, 5, &[900, 10, 0, 184, 4000, 700, 20, 30, 40, 50]);
        let sounds = sounds((start + number * 36_000) * 48 / 90, &[341; 18]);
        let segment = write_segment(Some(&[pictures.piece()]), Some(&[sounds.piece()])).expect("valid");
        let streams = demux(&segment);
        assert_same_video(&pictures, &streams[&Pid::VIDEO.0]);
        assert_same_audio(&sounds, &streams[&Pid::AUDIO.0]);
        assert_eq!(streams[&Pid::VIDEO.0].random_access, [0, 5]);
        assert_eq!(segment[..3], [0x47, 0x40, 0x00], "the PAT is first");
        assert_eq!(segment[188..191], [0x47, 0x50, 0x00], "the PMT is second");
        video.insert(number, streams[&Pid::VIDEO.0].packets.clone());
        whole.extend(segment);
    }
    let all = demux(&whole);
    assert_eq!(all[&Pid::VIDEO.0].packets, video.into_values().flatten().collect::<Vec<_>>());
}

/// Presentation and decode times of twelve pictures in the order I P b whose composition offsets are lower by `lower`, less the decode
/// time of the first.
fn times_with_offsets_lower_by(lower: i32) -> Vec<(i64, i64)> {
    let mut track = pictures(90_000, 6, &[100; 12]);
    track.samples.iter_mut().for_each(|sample| sample.composition -= lower);
    let segment = write_segment(Some(&[track.piece()]), None).expect("valid");
    let packets = &demux(&segment)[&Pid::VIDEO.0].packets;
    packets.iter().map(|(pts, dts, _)| (*pts as i64 - 180_000, *dts as i64 - 180_000)).collect()
}

#[test]
fn negative_composition_offsets_leave_decode_times_alone() {
    let stored: Vec<_> = (0..12).map(|n| n * 3600 + [3600, 7200, 0][n as usize % 6 % 3]).collect();
    for lower in [0, 3600, 7200, 18_000] {
        let expected: Vec<_> =
            stored.iter().zip(0..).map(|(pts, n)| (pts + 18_000 - i64::from(lower), n * 3600)).collect();
        assert_eq!(times_with_offsets_lower_by(lower), expected);
    }
}

#[test]
fn decode_times_make_room_for_offsets_below_the_shift() {
    let times = times_with_offsets_lower_by(20_000);
    assert!(times.iter().all(|(pts, dts)| dts <= pts));
    assert!(times.windows(2).all(|pair| pair[0].1 < pair[1].1));
    let pts: Vec<_> = times.iter().map(|(pts, _)| pts + 2000).collect();
    assert_eq!(pts[..6], [3600, 10_800, 7200, 14_400, 21_600, 18_000]);
}

#[test]
fn parameter_sets_in_band_are_not_doubled() {
    let mut track = pictures(0, 1, &[100]);
    let own = [0, 0, 0, 4, 0x67, 0x42, 0xc0, 0x1f, 0, 0, 0, 2, 0x68, 0xcf];
    track.payload.splice(0..0, own);
    track.samples[0].size += own.len() as u32;
    let segment = write_segment(Some(&[track.piece()]), None).expect("valid");
    let packets = &demux(&segment)[&Pid::VIDEO.0].packets;
    let units: Vec<_> = nal::annexb_units(&packets[0].2).collect();
    assert_eq!(units[1..3], [&own[4..8], &own[12..]]);
    assert_eq!(units.len(), 4);
}

#[test]
fn what_cannot_be_carried_is_an_error() {
    let code = |result: Result<Vec<u8>>| result.expect_err("refused").code;
    let (video, audio) = (pictures(0, 1, &[10]), sounds(0, &[9000]));
    assert_eq!(code(write_segment(None, Some(&[audio.piece()]))), "ADTS_UNSUPPORTED");
    assert_eq!(code(write_segment(None, Some(&[video.piece()]))), "TRACK_KIND");
    let mut broken = video.clone();
    broken.payload[3] = 99;
    assert_eq!(code(write_segment(Some(&[broken.piece()]), None)), "NAL_TRUNCATED");
    broken.payload.clear();
    assert_eq!(code(write_segment(Some(&[broken.piece()]), None)), "CHUNK_INCONSISTENT");
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        start in 0u64..1 << 36,
        video in prop::collection::vec(0usize..3000, 0..30),
        audio in prop_oneof![prop::collection::vec(0usize..2000, 0..60), prop::collection::vec(0usize..30, 0..60)],
        gop in 1usize..12,
    ) {
        let (pictures, sounds) = (pictures(start, gop, &video), sounds(start * 48 / 90, &audio));
            let segment = write_segment(Some(&[pictures.piece()]), Some(&[sounds.piece()])).expect("valid");
        let streams = demux(&segment.repeat(2));
        let none = Stream::default();
        for (pid, stream) in &streams {
            prop_assert_eq!(stream.transport_packets % 32, 0, "two times a multiple of sixteen on PID {}", pid);
        }
        let streams = demux(&segment);
        assert_same_video(&pictures, streams.get(&Pid::VIDEO.0).unwrap_or(&none));
        assert_same_audio(&sounds, streams.get(&Pid::AUDIO.0).unwrap_or(&none));
        let clock = if video.is_empty() { Pid::AUDIO } else { Pid::VIDEO };
        if let Some(stream) = streams.get(&clock.0) {
            prop_assert!(stream.clocks.len() >= stream.packets.len());
            prop_assert!(stream.clocks.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) & 0x1_ffff_ffff <= 9000));
        }
    }
}
