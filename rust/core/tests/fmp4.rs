//! What real encoders send comes out as the frames that went in, whatever way the bytes are cut.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use proptest::prelude::*;
use pypackager_core::demux::fmp4::{Event, Fmp4Reader, Limits};
use pypackager_core::error::{Error, Result};
use pypackager_core::media::{Chunk, Kind, SignalTrack, Track};
use pypackager_core::time::rescale;
use support::{Packet, body, source};

const FFMPEG: [&str; 6] = [
    "ffmpeg-5.1-ismv.http",
    "ffmpeg-9.0-ismv.http",
    "ffmpeg-9.0-ismv-delay-moov.http",
    "ffmpeg-9.0-ismv-frag-duration.http",
    "ffmpeg-9.0-cmaf.http",
    "ffmpeg-9.0-mp4-base-offset.http",
];
const GSTREAMER: &str = "gstreamer-1.22-ismlmux.http";

fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Result<()>) {
    let (mut reader, mut events) = (Fmp4Reader::new(Limits::default()), Vec::new());
    for piece in pieces {
        if let Err(error) = reader.feed(piece, &mut events) {
            return (events, Err(error));
        }
    }
    let result = reader.finish(&mut events);
    (events, result)
}

fn read(bytes: &[u8]) -> Vec<Event> {
    let (events, result) = read_pieces([bytes]);
    result.unwrap();
    events
}

fn failure(bytes: &[u8]) -> Error {
    read_pieces([bytes]).1.unwrap_err()
}

fn tracks(events: &[Event]) -> Vec<&Track> {
    events.iter().filter_map(|event| if let Event::Track(track) = event { Some(track) } else { None }).collect()
}

fn chunks(events: &[Event], track: u32) -> Vec<&Chunk> {
    let chunks = events.iter().filter_map(|event| if let Event::Chunk(chunk) = event { Some(chunk) } else { None });
    chunks.filter(|chunk| chunk.track == track).collect()
}

fn warnings(events: &[Event]) -> Vec<&'static str> {
    events.iter().filter_map(|event| if let Event::Warning(error) = event { Some(error.code) } else { None }).collect()
}

/// The frames of chunks as packets in another timescale.
fn packets(chunks: &[&Chunk], timescale: u32) -> Vec<Packet> {
    let mut packets = Vec::new();
    for chunk in chunks {
        let mut time = chunk.time;
        for sample in &chunk.samples {
            let convert = |ticks| rescale(ticks, chunk.timescale, timescale);
            let pts = convert(time + i64::from(sample.composition));
            packets.push(Packet { pts, dts: convert(time), size: sample.size, sync: sample.sync });
            time += i64::from(sample.duration);
        }
    }
    packets
}

#[test]
fn ffmpeg_pushes_come_out_as_the_packets_that_went_in() {
    for name in FFMPEG {
        let events = read(&body(name));
        assert_eq!(warnings(&events), [""; 0], "{name}");
        assert_eq!(tracks(&events).len(), 3, "{name}");
        for (stream, timescale) in [(0, 12_800), (1, 12_800), (2, 48_000)] {
            let found = packets(&chunks(&events, stream as u32 + 1), timescale);
            let expected = source(stream);
            assert_eq!(found.len(), expected.len(), "{name}");
            // ismv shifts decode times so that the first picture's two times agree; what is shown when, it keeps.
            let shift = found[0].dts - expected[0].dts;
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(*found, Packet { dts: expected.dts + shift, ..*expected }, "{name} stream {stream}");
            }
        }
    }
}

#[test]
fn chunks_of_a_track_join_without_gap_and_start_with_a_sync_sample() {
    for name in FFMPEG.iter().chain(&[GSTREAMER]).filter(|name| !name.contains("frag-duration")) {
        let events = read(&body(name));
        for track in tracks(&events) {
            let chunks = chunks(&events, track.number);
            assert!(chunks.len() >= 2, "{name}");
            for pair in chunks.windows(2) {
                assert_eq!(pair[0].time + pair[0].duration() as i64, pair[1].time, "{name} track {}", track.number);
            }
            for chunk in chunks {
                let size: usize = chunk.samples.iter().map(|sample| sample.size as usize).sum();
                assert_eq!(size, chunk.payload.len());
                assert!(chunk.starts_fragment(), "{name}");
                let syncs = chunk.samples.iter().filter(|sample| sample.sync).count();
                let all = if track.codec.kind() == Kind::Audio { chunk.samples.len() } else { 1 };
                assert_eq!(syncs, all, "{name}");
            }
        }
    }
}

#[test]
fn tracks_are_named_by_the_live_manifest_else_by_the_moov() {
    let described = |name| {
        let events = read(&body(name));
        let tracks = tracks(&events).into_iter().cloned();
        tracks
            .map(|track| (track.number, track.name, track.language, track.bitrate > 0, track.timescale))
            .collect::<Vec<_>>()
    };
    let row = |number, name: &str, language: &str, rate, timescale| {
        (number, name.to_owned(), language.to_owned(), rate, timescale)
    };
    let manifest = [
        row(1, "video_und", "und", true, 10_000_000),
        row(2, "video_und", "und", true, 10_000_000),
        row(3, "audio_deu", "deu", true, 10_000_000),
    ];
    assert_eq!(described("ffmpeg-9.0-ismv.http"), manifest);
    assert_eq!(described("ffmpeg-9.0-ismv-delay-moov.http"), manifest);
    assert_eq!(
        described("ffmpeg-9.0-cmaf.http"),
        [row(1, "", "und", true, 12_800), row(2, "", "und", true, 12_800), row(3, "", "deu", true, 48_000)]
    );
    assert_eq!(described(GSTREAMER), [row(1, "", "und", false, 2500), row(2, "", "und", false, 44_100)]);
}

#[test]
fn the_priming_before_zero_stays_before_zero() {
    for (name, time) in [
        ("ffmpeg-9.0-ismv.http", -213_333),
        ("ffmpeg-9.0-ismv-delay-moov.http", -213_333),
        ("ffmpeg-9.0-cmaf.http", -1024),
    ] {
        assert_eq!(chunks(&read(&body(name)), 3)[0].time, time, "{name}");
    }
}

#[test]
fn header_boxes_that_come_again_announce_the_tracks_again() {
    let once = body("ffmpeg-9.0-ismv.http");
    let events = read(&[once.as_slice(), &once].concat());
    let single = read(&once);
    assert_eq!(tracks(&events).len(), 2 * tracks(&single).len());
    assert_eq!(events.len(), 2 * single.len());
}

#[test]
fn later_bodies_may_rely_on_the_header_of_an_earlier_one() {
    let bytes = body("ffmpeg-9.0-cmaf.http");
    let media = bytes.windows(4).position(|window| window == b"moof").unwrap() - 4;
    let (mut reader, mut events) = (Fmp4Reader::new(Limits::default()), Vec::new());
    reader.feed(&bytes[..media], &mut events).unwrap();
    reader.finish(&mut events).unwrap();
    assert_eq!(tracks(&events).len(), 3);
    let mut later = Fmp4Reader::with_header(Limits::default(), reader.header().unwrap());
    later.feed(&bytes[media..], &mut events).unwrap();
    later.finish(&mut events).unwrap();
    assert_eq!(events, read(&bytes));
    assert_eq!(failure(&bytes[media..]).code, "HEADER_MISSING");
    assert_eq!(failure(&bytes[media..]).status, 412);
}

#[test]
fn a_body_cut_anywhere_gives_whole_chunks_and_names_the_loss() {
    let bytes = body("ffmpeg-9.0-cmaf.http");
    let whole = read(&bytes);
    for cut in 0..bytes.len() {
        let events = read(&bytes[..cut]);
        let (last, kept) = events.split_last().map_or((None, &events[..]), |(last, kept)| (Some(last), kept));
        let kept = match last {
            Some(Event::Warning(error)) => {
                assert!(["TRUNCATED_FRAGMENT", "TRUNCATED_BOX"].contains(&error.code), "{error}");
                assert_eq!(error.offset, cut as u64);
                kept
            }
            _ => &events[..],
        };
        assert_eq!(kept, &whole[..kept.len()], "cut at {cut}");
    }
    assert_eq!(read(&[]), []);
}

fn put(kind: &str, size: u32, body: &[u8]) -> Vec<u8> {
    [&size.to_be_bytes()[..], kind.as_bytes(), body].concat()
}

#[test]
fn announced_sizes_are_refused_at_the_header() {
    let table = [
        (put("moov", 1 << 30, &[]), "BOX_TOO_LARGE", 413),
        (put("moov", u32::MAX, &[]), "BOX_TOO_LARGE", 413),
        (put("moov", 1, &(1u64 << 63).to_be_bytes()), "BOX_TOO_LARGE", 413),
        (put("mdat", 1, &(1u64 << 63).to_be_bytes()), "BOX_TOO_LARGE", 413),
        (put("mdat", 1, &u64::MAX.to_be_bytes()), "BOX_TOO_LARGE", 413),
        (put("free", u32::MAX, &[]), "BOX_TOO_LARGE", 413),
        (put("mdat", 0, &[]), "BOX_SIZE", 400),
        (put("moov", 1, &1u64.to_be_bytes()), "BOX_SIZE", 400),
        (put("moov", 7, &[]), "BOX_SIZE", 400),
        (put("moof", 8, &[]), "HEADER_MISSING", 412),
        (put("moov", 8, &[]), "BOX_MISSING", 400),
        (vec![0xff; 8], "BOX_TYPE", 400),
        (b"GET / HTTP/1.1\r\n".to_vec(), "BOX_TOO_LARGE", 413),
    ];
    for (bytes, code, status) in table {
        let error = failure(&[&put("free", 12, &[0; 4])[..], &bytes].concat());
        assert_eq!((error.code, error.status), (code, status), "{bytes:?}");
        assert!((12..=16).contains(&error.offset) || code == "BOX_MISSING", "{error}");
    }
}

#[test]
fn the_first_error_is_final() {
    let (mut reader, mut events) = (Fmp4Reader::new(Limits::default()), Vec::new());
    let error = reader.feed(&put("moof", 8, &[]), &mut events).unwrap_err();
    assert_eq!(reader.feed(&body(GSTREAMER), &mut events).unwrap_err(), error);
    assert_eq!(reader.finish(&mut events).unwrap_err(), error);
    assert!(events.is_empty());
}

/// Replaces the first occurrence of `old` behind the first `after`.
fn patch(bytes: &[u8], after: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let find =
        |from: usize, what: &[u8]| from + bytes[from..].windows(what.len()).position(|window| window == what).unwrap();
    let at = find(find(0, after), old);
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

#[test]
fn a_fragment_of_an_unknown_track_is_dropped_and_others_go_on() {
    let bytes = body("ffmpeg-9.0-cmaf.http");
    let whole = read(&bytes);
    let events = read(&patch(&bytes, b"tfhd", &[0, 2, 0, 0x3a, 0, 0, 0, 1], &[0, 2, 0, 0x3a, 0, 0, 0, 99]));
    assert_eq!(warnings(&events), ["UNKNOWN_TRACK"]);
    assert_eq!(chunks(&events, 1)[..], chunks(&whole, 1)[1..]);
    assert_eq!(chunks(&events, 2), chunks(&whole, 2));
    assert_eq!(chunks(&events, 3), chunks(&whole, 3));
}

/// A real body whose sound is said to be something else: then its fragments are signals.
fn with_signals() -> Vec<u8> {
    patch(&body("ffmpeg-9.0-ismv.http"), b"trak", b"soun", b"meta")
}

#[test]
fn what_is_neither_pictures_nor_sound_comes_as_signals() {
    let whole = read(&body("ffmpeg-9.0-ismv.http"));
    let events = read(&with_signals());
    let sound = tracks(&whole).into_iter().find(|track| track.codec.kind() == Kind::Audio).unwrap();
    let found = events.iter().find_map(|event| if let Event::SignalTrack(track) = event { Some(track) } else { None });
    let expected = SignalTrack {
        number: sound.number,
        timescale: sound.timescale,
        format: "mp4a".into(),
        name: sound.name.clone(),
        language: sound.language.clone(),
        ..SignalTrack::default()
    };
    assert_eq!(found, Some(&expected));
    assert_eq!(tracks(&events).len(), tracks(&whole).len() - 1);
    let signals = events.iter().filter_map(|event| if let Event::Signal(signal) = event { Some(signal) } else { None });
    let seen: Vec<_> = signals.map(|signal| (signal.time, signal.duration, signal.data.clone())).collect();
    let sent = chunks(&whole, sound.number).into_iter();
    let sent: Vec<_> =
        sent.map(|chunk| (chunk.time, chunk.duration(), chunk.payload.bytes().unwrap().into_owned())).collect();
    assert!(!sent.is_empty());
    assert_eq!(seen, sent);
    let pictures = tracks(&events)[0].number;
    assert_eq!(chunks(&events, pictures), chunks(&whole, pictures));
}

#[test]
fn a_signal_that_is_too_large_is_dropped_alone() {
    let bytes = with_signals();
    let (mut reader, mut events) = (Fmp4Reader::new(Limits { signal: 16, ..Limits::default() }), Vec::new());
    reader.feed(&bytes, &mut events).unwrap();
    reader.finish(&mut events).unwrap();
    let whole = read(&bytes);
    let signals = whole.iter().filter(|event| matches!(event, Event::Signal(_))).count();
    assert_eq!(warnings(&events), vec!["SIGNAL_TOO_LARGE"; signals]);
    let pictures = tracks(&events)[0].number;
    assert_eq!(chunks(&events, pictures), chunks(&whole, pictures));
}

#[test]
fn damage_is_named() {
    let cmaf = body("ffmpeg-9.0-cmaf.http");
    let isml = body("ffmpeg-9.0-ismv.http");
    let table = [
        (patch(&cmaf, b"moof", b"tfdt", b"free"), "MISSING_TIME", 400, "moof/traf"),
        (patch(&isml, b"stsd", b"avc1", b"hvc1"), "CODEC_UNSUPPORTED", 415, "moov/trak/mdia/minf/stbl/stsd/hvc1"),
        (patch(&isml, b"stsd", b"mp4a", b"ec-3"), "CODEC_UNSUPPORTED", 415, "moov/trak/mdia/minf/stbl/stsd/ec-3"),
        (
            patch(&cmaf, b"tfhd", &[0, 0, 0, 1, 0, 0, 0, 1], &[0, 0, 0, 1, 0, 0, 0, 2]),
            "SAMPLE_DESCRIPTION",
            400,
            "moof/traf/tfhd",
        ),
        (patch(&cmaf, b"trun", &[0, 0, 0, 25], &[0, 0, 0, 26]), "TRUNCATED", 400, "moof/traf/trun"),
        (patch(&isml, b"mdhd", &10_000_000u32.to_be_bytes(), &[0; 4]), "TIMESCALE", 400, "moov/trak/mdia/mdhd"),
    ];
    for (bytes, code, status, path) in table {
        let error = failure(&bytes);
        assert_eq!((error.code, error.status, error.path.as_str()), (code, status, path), "{error}");
    }
}

#[test]
fn two_different_times_are_reported_and_tfxd_counts() {
    let bytes = body("ffmpeg-9.0-ismv.http");
    let whole = read(&bytes);
    // The mfhd of the first fragment makes room for nothing: the tfdt goes in as a box of its own, sizes grow by 20.
    let with_tfdt = |time: u64| {
        let at = |from: usize, what: &[u8]| from + bytes[from..].windows(4).position(|window| window == what).unwrap();
        let (moof, traf) = (at(0, b"moof"), at(0, b"traf"));
        let (trun, uuid) = (at(traf, b"trun"), at(traf, b"uuid") - 4);
        let mut out = bytes.clone();
        for size in [moof - 4, traf - 4, trun + 12] {
            let grown = u32::from_be_bytes(out[size..size + 4].try_into().unwrap()) + 20;
            out[size..size + 4].copy_from_slice(&grown.to_be_bytes());
        }
        let tfdt = [&[0, 0, 0, 20][..], b"tfdt", &[1, 0, 0, 0], &time.to_be_bytes()].concat();
        out.splice(uuid..uuid, tfdt);
        read(&out)
    };
    assert_eq!(with_tfdt(0), whole);
    let events = with_tfdt(5);
    assert_eq!(warnings(&events), ["TIME_MISMATCH"]);
    assert_eq!(chunks(&events, 1), chunks(&whole, 1));
}

#[test]
fn limits_hold() {
    let bytes = body("ffmpeg-9.0-cmaf.http");
    let table = [
        (Limits { header: 1000, ..Limits::default() }, "BOX_TOO_LARGE"),
        (Limits { moof: 100, ..Limits::default() }, "BOX_TOO_LARGE"),
        (Limits { fragment: 1000, ..Limits::default() }, "FRAGMENT_TOO_LARGE"),
        (Limits { samples: 20, ..Limits::default() }, "TOO_MANY_SAMPLES"),
    ];
    for (limits, code) in table {
        let mut reader = Fmp4Reader::new(limits);
        let error = reader.feed(&bytes, &mut Vec::new()).unwrap_err();
        assert_eq!((error.code, error.status), (code, 413));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_split_gives_the_same_events(
        name in prop::sample::select(FFMPEG.iter().chain(&[GSTREAMER]).copied().collect::<Vec<_>>()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        for bytes in [body(name), with_signals()] {
            let cuts = cuts.iter().map(|cut| cut.index(bytes.len()));
            let mut cuts: Vec<usize> = cuts.chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let (events, result) = read_pieces(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(events, read(&bytes));
        }
    }

    #[test]
    fn damaged_bytes_never_panic_and_hold_little(
        name in prop::sample::select(FFMPEG.iter().chain(&[GSTREAMER]).copied().collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        early in any::<bool>(),
    ) {
        let mut bytes = body(name);
        // Early changes hit the header boxes and the first moof.
        let reach = if early { 6000 } else { bytes.len() };
        for (at, value) in changes {
            bytes[at.index(reach)] = value;
        }
        let (mut reader, mut events) = (Fmp4Reader::new(Limits::default()), Vec::new());
        for piece in bytes.chunks(997) {
            if reader.feed(piece, &mut events).is_err() {
                break;
            }
            prop_assert!(reader.held_bytes() <= bytes.len());
        }
        let _ = reader.finish(&mut events);
        for event in events {
            if let Event::Chunk(chunk) = event {
                prop_assert_eq!(chunk.payload.len(), chunk.samples.iter().map(|sample| sample.size as usize).sum::<usize>());
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_pieces([bytes.as_slice()]);
    }
}

#[test]
fn one_byte_at_a_time() {
    for name in ["ffmpeg-9.0-ismv-delay-moov.http", GSTREAMER] {
        let bytes = body(name);
        assert_eq!(read_pieces(bytes.chunks(1)).0, read(&bytes));
    }
}
