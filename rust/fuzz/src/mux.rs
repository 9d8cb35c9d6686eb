//! Every output from chunks with any sample table.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use pypackager_core::bmff::moof::Moof;
use pypackager_core::bmff::scan::boxes;
use pypackager_core::codec::aac::AacConfig;
use pypackager_core::codec::avc::AvcConfig;
use pypackager_core::media::{Codec, Kind, Sample};
use pypackager_core::mux::smooth::Fragment;
use pypackager_core::mux::{Piece, f4f, ts};

/// One chunk's sample table, and the bytes that the samples are cut from.
#[derive(Debug, Arbitrary)]
pub struct Input<'a> {
    timescale: u32,
    tracks: Vec<(bool, u64, Vec<Row>)>,
    media: &'a [u8],
    shift: u32,
    origin: i64,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Row {
    size: u8,
    duration: u32,
    composition: i32,
    sync: bool,
}

/// Writes segments of all tracks that were made up.
pub fn run(input: &Input<'_>) {
    let tables: Vec<_> = input.tracks.iter().map(|track| table(track, input.media)).collect();
    let pieces = |wanted: bool| -> Vec<_> {
        let codec = if wanted { video() } else { audio() };
        let tracks = input.tracks.iter().zip(&tables).filter(move |(track, _)| track.0 == wanted);
        tracks
            .map(|(track, (samples, payload))| Piece {
                codec,
                timescale: input.timescale,
                decode_time: track.1,
                samples,
                payload,
            })
            .collect()
    };
    let (pictures, sounds) = (pieces(true), pieces(false));
    write_all(&pictures);
    write_all(&sounds);
    check_ts(ts::write_segment(Some(&pictures), Some(&sounds)).ok());
    check_f4f(f4f::write_fragment(Some(&pictures), Some(&sounds), input.origin).ok());
    for piece in pictures.iter().chain(&sounds) {
        check_smooth(piece, input.shift);
    }
}

/// A sample table with what it takes of `media`; the last samples get what is left.
fn table<'a>(track: &(bool, u64, Vec<Row>), media: &'a [u8]) -> (Vec<Sample>, &'a [u8]) {
    let mut used = 0;
    let samples = track.2.iter().map(|row| {
        let size = usize::from(row.size).min(media.len() - used);
        used += size;
        Sample { size: size as u32, duration: row.duration, composition: row.composition, sync: row.sync }
    });
    let samples = samples.collect();
    (samples, &media[..used])
}

/// Writes pieces of one track in each format that goes without the other.
pub fn write_all(pieces: &[Piece<'_>]) {
    let kind = pieces.first().map(|piece| piece.codec.kind());
    let (pictures, sounds) = if kind == Some(Kind::Video) { (Some(pieces), None) } else { (None, Some(pieces)) };
    check_ts(ts::write_segment(pictures, sounds).ok());
    check_f4f(f4f::write_fragment(pictures, sounds, 0).ok());
    pieces.iter().for_each(|piece| check_smooth(piece, 0));
}

fn check_ts(segment: Option<Vec<u8>>) {
    let Some(segment) = segment else { return };
    assert_eq!(segment.len() % 188, 0, "whole packets");
    let mut counters = std::collections::HashMap::new();
    for packet in segment.chunks_exact(188) {
        assert_eq!(packet[0], 0x47);
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (counter, last) = (packet[3] & 15, counters.insert(pid, packet[3] & 15));
        // Only payload is counted (ISO 13818-1 2.4.3.3); one that begins with a clock reference has the counter of the segment before.
        let step = packet[3] >> 4 & 1;
        assert!(last.is_none_or(|last| (last + step) & 15 == counter), "the counter of PID {pid} goes on");
        if packet[3] & 0x20 != 0 {
            assert!(packet[4] <= 183, "the adaptation field ends inside the packet");
        }
    }
}

fn check_f4f(fragment: Option<Vec<u8>>) {
    let Some(fragment) = fragment else { return };
    let found = boxes(&fragment).next().expect("an mdat").expect("whole");
    assert_eq!((&found.kind, found.body.len() + 8), (b"mdat", fragment.len()));
    let mut rest = found.body;
    while let [kind, a, b, c, ..] = *rest {
        assert!(kind == 8 || kind == 9);
        let size = 11 + u32::from_be_bytes([0, a, b, c]) as usize;
        assert_eq!(rest[size..size + 4], (size as u32).to_be_bytes(), "the size behind the tag is that in front");
        rest = &rest[size + 4..];
    }
    assert!(rest.is_empty());
}

fn check_smooth(piece: &Piece<'_>, shift: u32) {
    let fragment = Fragment {
        track_id: 1,
        sequence: 2,
        time: piece.decode_time,
        duration: piece.samples.iter().map(|sample| u64::from(sample.duration)).sum(),
        samples: piece.samples,
        composition_shift: shift,
        successors: &[(piece.decode_time, 1)],
    };
    let mut plain = fragment.write_head(piece.payload.len() as u64).expect("it is small");
    plain.extend_from_slice(piece.payload);
    let mut found = boxes(&plain);
    let moof = Moof::parse(found.next().expect("a moof").expect("whole").body).expect("valid");
    assert_eq!(moof.tracks[0].sample_count(), piece.samples.len() as u64);
    assert_eq!(found.next().expect("an mdat").expect("whole").body, piece.payload);
    if let Codec::Avc(config) = piece.codec {
        let _ = fragment.write_with_parameter_sets(config, piece.payload);
    }
}

/// H.264 Baseline, 16x16.
pub fn video() -> &'static Codec {
    static CODEC: LazyLock<Codec> = LazyLock::new(|| {
        let config =
            AvcConfig::from_parameter_sets(&[&[0x67, 66, 0, 10, 0xf8, 0x41, 0xa2]], &[&[0x68, 0xce, 0x38, 0x80]]);
        Codec::Avc(config.expect("valid parameter sets"))
    });
    &CODEC
}

/// AAC-LC, 48 kHz, stereo.
pub fn audio() -> &'static Codec {
    static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::Aac(AacConfig::parse(&[0x11, 0x90]).expect("valid")));
    &CODEC
}
