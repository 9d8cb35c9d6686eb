//! The RTMP session against what real encoders sent (whole connections, client to server) and against made-up faults.
#![allow(clippy::unwrap_used)] // a test that fails here says where

#[path = "support/rtmp.rs"]
#[allow(dead_code)]
mod client;

use client::{AAC_HEADER, Run, audio, chunk, contains, number, object, publishing, run_pieces, string, timed_chunk};
use proptest::prelude::*;
use pypackager_core::demux::rtmp::{Event, Limits, RtmpSession};

const FFMPEG: &[u8] = include_bytes!("data/rtmp_ffmpeg5_wrap.bin");
const GSTREAMER: &[u8] = include_bytes!("data/rtmp_gstreamer.bin");
const LIBRTMP: &[u8] = include_bytes!("data/rtmp_librtmp.bin");
const OBS: &[u8] = include_bytes!("data/rtmp_obs29.bin");

fn frame_times(events: &[Event], number: u32) -> Vec<i64> {
    let time = |event: &Event| match event {
        Event::Frame(frame) if frame.track == number => Some(frame.time),
        _ => None,
    };
    events.iter().filter_map(time).collect()
}

#[test]
fn real_encoders_are_read_whole() {
    for (name, capture, app, frames) in [
        ("ffmpeg 5.1", FFMPEG, "news/secondary", (60, 95)),
        ("GStreamer rtmp2sink", GSTREAMER, "news", (50, 87)),
        ("librtmp", LIBRTMP, "news", (50, 87)),
        ("OBS 29", OBS, "news", (68, 104)),
    ] {
        let run = run_pieces([capture]);
        assert_eq!(run.error, None, "{name}");
        let Some(Event::Publish(publish)) = run.events.first() else { panic!("{name}: {:?}", run.events.first()) };
        assert_eq!((publish.app.as_str(), publish.stream.as_str()), (app, "cam"), "{name}");
        assert_eq!(publish.query, if name == "ffmpeg 5.1" { "key=x" } else { "" });
        let (video, audio) = (frame_times(&run.events, 1), frame_times(&run.events, 2));
        assert_eq!((video.len(), audio.len()), frames, "{name}");
        // ffmpeg's times wrap at 2^31 in the middle of this capture; none may step back or leap.
        assert!(video.windows(2).all(|pair| (0..=80).contains(&(pair[1] - pair[0]))), "{name}: {video:?}");
        assert!(audio.windows(2).all(|pair| (20..=25).contains(&(pair[1] - pair[0]))), "{name}: {audio:?}");
        let tracks = run.events.iter().filter(|event| matches!(event, Event::Track(_))).count();
        assert_eq!((tracks, run.events.last()), (2, Some(&Event::End)), "{name}");
        assert!(!run.events.iter().any(|event| matches!(event, Event::Warning(_))), "{name}");
        assert!(contains(&run.output, "NetStream.Publish.Start"), "{name}");
    }
    assert!(*frame_times(&run_pieces([FFMPEG]).events, 1).last().unwrap() > 1 << 31);
}

#[test]
fn one_byte_at_a_time_gives_the_same() {
    for capture in [FFMPEG, GSTREAMER, LIBRTMP, OBS] {
        let (whole, bytes) = (run_pieces([capture]), run_pieces(capture.chunks(1)));
        assert!(whole.events == bytes.events && whole.error == bytes.error);
    }
}

#[test]
fn a_digest_is_answered_with_a_digest() {
    // ffmpeg's C1 has a digest (and ffmpeg checks ours), GStreamer's has none: the first gets a version back, the second its echo.
    assert_ne!(run_pieces([FFMPEG]).output[5..9], [0; 4]);
    let plain = run_pieces([GSTREAMER]).output;
    assert_eq!(plain[1537..3073], GSTREAMER[1..1537]);
}

#[test]
fn a_connection_is_asked_about_before_its_publish() {
    let asking = || RtmpSession::new(Limits { ask_connect: true, ..Limits::default() });
    let (mut session, mut events) = (asking(), Vec::new());
    session.feed(FFMPEG, &mut events).unwrap();
    assert!(session.paused() && session.greeted());
    let [(0, Event::Connect(asked))] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&*asked.app, &*asked.stream), ("news/secondary", ""));
    session.take_output();
    session.accept_publish();
    assert!(session.greeted(), "that was not asked");
    session.accept_connect();
    session.feed(&[], &mut events).unwrap();
    assert!(contains(&session.take_output(), "NetConnection.Connect.Success"));
    assert!(session.paused() && !session.greeted());
    session.accept_publish();
    session.feed(&[], &mut events).unwrap();
    let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
    assert!(events[1..] == run_pieces([FFMPEG]).events, "all else is as without the question");

    let mut refused = asking();
    refused.feed(FFMPEG, &mut Vec::new()).unwrap();
    refused.take_output();
    let text = format!("[ AccessManager.Reject ] : {}", "x".repeat(200));
    refused.refuse_connect(&text);
    assert!(refused.should_close() && !refused.paused());
    let output = refused.take_output();
    let (bound, answer) = output.split_at(output.windows(6).position(|at| at == b"_error").unwrap());
    assert!(bound.windows(4).any(|size| size == 4096u32.to_be_bytes()), "the chunk size stands before a long answer");
    assert!(contains(answer, &text) && contains(answer, "NetConnection.Connect.Rejected"));
    refused.refuse_connect("again");
    assert!(refused.take_output().is_empty());

    let mut twice = publishing();
    twice.feed(&chunk(3, 20, 0, &[string("connect"), number(4.0), object(&[("app", &string("else"))])].concat()));
    assert_eq!(twice.error.map(|error| error.code), Some("RTMP_SEQUENCE"));
}

#[test]
fn nothing_is_read_before_the_decision() {
    let mut session = RtmpSession::new(Limits::default());
    let mut events = Vec::new();
    session.feed(FFMPEG, &mut events).unwrap();
    assert!(session.paused());
    assert!(matches!(events[..], [(0, Event::Publish(_))]));
    let mut refused = RtmpSession::new(Limits::default());
    refused.feed(FFMPEG, &mut Vec::new()).unwrap();
    refused.refuse_publish(0, "NetStream.Publish.BadName", "no such channel");
    assert!(refused.should_close() && !refused.paused());
    assert!(contains(&refused.take_output(), "no such channel"));
    let error = (0..20).find_map(|_| session.feed(&[0; 16_000], &mut events).err()).unwrap();
    assert_eq!(error.code, "RTMP_INPUT_LIMIT");
}

#[test]
fn chunk_size_one_interleaving_and_abort() {
    let mut run = publishing();
    run.feed(&chunk(2, 1, 0, &1u32.to_be_bytes()));
    // The header on chunk stream 4 and a message on 70 (two-byte form) in turns, a byte at a time; another on 400 (three-byte form) aborted.
    let header = [&[4, 0, 0, 0, 0, 0, 4, 8, 1, 0, 0, 0][..], &AAC_HEADER[..1]].concat();
    let other = [0, 6, 0, 0, 5, 0, 0, 3, 18, 1, 0, 0, 0, 2];
    let aborted = [1, 80, 1, 0, 0, 0, 0, 0, 9, 9, 1, 0, 0, 0, 0x17];
    run.feed(&[&header[..], &other, &aborted].concat());
    for byte in 0..3 {
        run.feed(&[0xC4, AAC_HEADER[1 + byte]]);
        if byte < 2 {
            run.feed(&[0xC0, 6, 0]);
        }
    }
    run.feed(&[&[2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0][..], &[0xC2, 0, 0xC2, 1, 0xC2, 144]].concat());
    run.feed(&[1, 80, 1, 0, 0, 7, 0, 0, 1, 8, 1, 0, 0, 0, 0xAF]);
    assert_eq!(run.error, None);
    assert!(matches!(run.events.last(), Some(Event::Track(_) | Event::Warning(_))), "{:?}", run.events);
    assert!(run.events.iter().any(|event| matches!(event, Event::Track(track) if track.number == 2)));
}

#[test]
fn extended_times_with_and_without_repetition() {
    for repeated in [true, false] {
        let mut run = publishing();
        run.feed(&chunk(4, 8, 1, &AAC_HEADER));
        let time = 0x0100_0000u32;
        let body: Vec<u8> = [0xAF, 1].into_iter().chain((0..200).map(|byte| byte as u8)).collect();
        let mut bytes = timed_chunk(4, 8, 1, time, &body[..128]);
        bytes[4..7].copy_from_slice(&[0, 0, 202]);
        bytes.push(0xC4);
        if repeated {
            bytes.extend(time.to_be_bytes());
        }
        bytes.extend(&body[128..]);
        run.feed(&bytes);
        run.feed(&audio(time + 21, 7));
        assert_eq!(run.error, None);
        assert_eq!(frame_times(&run.events, 2), [i64::from(time), i64::from(time) + 21], "repeated: {repeated}");
        let Some(Event::Frame(frame)) = run.events.iter().find(|event| matches!(event, Event::Frame(_))) else {
            panic!("no frame");
        };
        assert_eq!(*frame.data, body[2..]);
    }
}

#[test]
fn acknowledgements_and_pings_are_answered() {
    let mut run = publishing();
    run.output.clear();
    run.feed(&chunk(2, 5, 0, &5000u32.to_be_bytes()));
    run.feed(&chunk(2, 4, 0, &[0, 6, 1, 2, 3, 4]));
    assert!(run.output.ends_with(&[4, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4]), "{:?}", run.output);
    run.output.clear();
    (0..200).for_each(|n| run.feed(&audio(n, 0)));
    let received = run.session.bytes_received();
    assert_eq!(run.output[..12], [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0]);
    let acknowledged = u32::from_be_bytes(run.output[12..16].try_into().unwrap());
    assert!((5000..=received).contains(&u64::from(acknowledged)));
}

#[test]
fn metadata_reaches_the_tracks_and_other_data_becomes_signals() {
    let mut run = publishing();
    let fields = object(&[("audiodatarate", &number(96.0)), ("language", &string("DEU"))]);
    run.feed(&chunk(4, 18, 1, &[&string("@setDataFrame")[..], &string("onMetaData"), &fields].concat()));
    run.feed(&chunk(4, 8, 1, &AAC_HEADER));
    run.feed(&chunk(4, 8, 1, &AAC_HEADER));
    run.feed(&audio(5000, 1));
    run.feed(&chunk(4, 18, 1, &[string("onAdCue"), number(1.0)].concat()));
    let tracks: Vec<_> = run
        .events
        .iter()
        .filter_map(|event| if let Event::Track(track) = event { Some(track) } else { None })
        .collect();
    assert_eq!(tracks.len(), 1, "an identical header is no new track");
    assert_eq!((tracks[0].bitrate, tracks[0].language.as_str()), (96_000, "deu"));
    let [.., Event::SignalTrack(track), Event::Signal(signal)] = &run.events[..] else { panic!("{:?}", run.events) };
    assert_eq!((track.name.as_str(), track.number, signal.track), ("onAdCue", 3, 3));
    assert_eq!((signal.time, signal.timescale, &signal.data[..]), (5000, 1000, &b"[1]"[..]), "0 is now");
    run.feed(&timed_chunk(4, 18, 1, 6000, &[string("onAdCue"), number(2.0)].concat()));
    assert!(
        matches!(run.events.last(), Some(Event::Signal(signal)) if (signal.time, &signal.data[..]) == (6000, b"[2]"))
    );
    let count = run.events.len();
    run.feed(&chunk(4, 18, 1, &string("@clearDataFrame")));
    assert_eq!(run.events.len(), count, "of the protocol, and nothing to tell of");
    run.feed(&chunk(4, 18, 1, &[string("|RtmpSampleAccess"), vec![1, 1]].concat()));
    assert!(matches!(run.events.last(), Some(Event::Warning(error)) if error.code == "RTMP_DATA_DROPPED"));
    run.feed(&chunk(4, 8, 1, &[0xAF, 0, 0x12, 0x10]));
    assert!(matches!(run.events.last(), Some(Event::Track(_))), "a changed header is");
}

#[test]
fn faults_have_stable_codes() {
    let long = "a".repeat(2000);
    let deep = [string("@setDataFrame"), [10, 0, 0, 0, 1].repeat(10_000)].concat();
    let big_chunks = chunk(2, 1, 0, &0x7FFF_FFFFu32.to_be_bytes());
    let cases: [(&str, Vec<u8>); 10] = [
        ("RTMP_CHUNK_SIZE", chunk(2, 1, 0, &[0; 4])),
        ("RTMP_CHUNK_SIZE", chunk(2, 1, 0, &[0x80, 0, 0, 0])),
        ("RTMP_CHUNK_HEADER", vec![0xC9]),
        ("RTMP_CHUNK_HEADER", chunk(5, 0, 1, &[1])),
        ("RTMP_CHUNK_HEADER", chunk(5, 77, 1, &[1])),
        ("RTMP_CHUNK_HEADER", chunk(5, 9, 0x0102_0304, &[1])),
        ("CODEC_UNSUPPORTED", chunk(4, 8, 1, &[0x2F, 0])),
        ("RTMP_PLAY_REFUSED", chunk(3, 20, 1, &[&string("play")[..], &number(4.0), &[5], &string("x")].concat())),
        ("RTMP_COMMAND", chunk(3, 20, 1, &[5])),
        ("TRUNCATED", chunk(2, 5, 0, &[0])),
    ];
    for (code, bytes) in cases {
        let mut run = publishing();
        run.feed(&bytes);
        assert_eq!(run.error.map(|error| error.code), Some(code));
        assert!(run.session.should_close() && contains(&run.output, "\x00\x05error"), "{code} is told to the encoder");
    }
    let mut run = publishing();
    run.feed(&[&big_chunks[..], &chunk(4, 18, 1, &deep)].concat());
    assert!(matches!(run.events.last(), Some(Event::Warning(error)) if error.code == "AMF_TOO_DEEP"));
    let mut run = Run::new(Limits::default());
    run.feed(&[0x16, 3, 1]);
    assert_eq!(run.error.map(|error| error.code), Some("RTMP_VERSION"));
    let mut run = Run::new(Limits::default());
    run.feed(&[&[3][..], &[0; 1536 * 2], &big_chunks].concat());
    run.feed(&chunk(3, 20, 0, &[string("connect"), number(1.0), object(&[("app", &string(&long))])].concat()));
    assert_eq!(run.error.map(|error| error.code), Some("RTMP_NAME_TOO_LONG"));
}

#[test]
fn chunk_streams_and_partial_messages_are_bounded() {
    let mut run = publishing();
    (0..70).for_each(|id| run.feed(&[0, id, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0]));
    assert_eq!(run.error.map(|error| error.code), Some("RTMP_CHUNK_HEADER"), "a message must end before the next");
    let mut run = publishing();
    for id in 0..70 {
        let header = [&[0, id, 0, 0, 0, 0, 1, 0, 9, 1, 0, 0, 0][..], &[0; 128]].concat();
        run.feed(&header);
    }
    assert_eq!(run.error.map(|error| error.code), Some("RTMP_CHUNK_STREAMS"));
    let limits = Limits { max_message: 1000, max_unparsed: 500, ..Limits::default() };
    let mut run = Run::new(limits);
    run.feed(&[&[3][..], &[0; 1536 * 2]].concat());
    run.feed(&[4, 0, 0, 0, 0, 4, 0, 9, 1, 0, 0, 0]);
    assert_eq!(run.error.map(|error| error.code), Some("RTMP_MESSAGE_TOO_LARGE"));
    let mut run = Run::new(limits);
    run.feed(&[&[3][..], &[0; 1536 * 2]].concat());
    for id in 10..30 {
        run.feed(&[&[id, 0, 0, 0, 0, 1, 0, 9, 1, 0, 0, 0][..], &[0; 128]].concat());
    }
    assert_eq!(run.error.map(|error| error.code), Some("RTMP_PARTIAL_LIMIT"));
}

#[test]
fn a_second_publish_on_one_message_stream_is_refused_and_the_first_goes_on() {
    let mut run = publishing();
    run.feed(&chunk(3, 20, 1, &[&string("publish")[..], &number(5.0), &[5], &string("other")].concat()));
    assert!(matches!(run.events.last(), Some(Event::Warning(error)) if error.code == "RTMP_SECOND_PUBLISH"));
    assert!(contains(&run.output, "NetStream.Publish.BadName"));
    run.feed(&chunk(4, 8, 1, &AAC_HEADER));
    assert!(matches!(run.events.last(), Some(Event::Track(_))));
}

#[test]
fn aggregates_and_the_amf3_forms_are_read() {
    let mut run = publishing();
    assert!(matches!(&run.events[0], Event::Publish(p) if (&*p.app, &*p.stream, &*p.query) == ("news", "cam", "k=v")));
    let tag = |time: u8, body: &[u8]| {
        [&[8, 0, 0, body.len() as u8, 0, 0, time, 0, 0, 0, 0][..], body, &[0, 0, 0, 11 + body.len() as u8]].concat()
    };
    let tags = [tag(50, &AAC_HEADER), tag(50, &[0xAF, 1, 1]), tag(71, &[0xAF, 1, 2])].concat();
    run.feed(&timed_chunk(4, 22, 1, 1000, &tags));
    assert_eq!(frame_times(&run.events, 2), [1000, 1021]);
    run.feed(&chunk(4, 15, 1, &[&[0][..], &string("onTextData"), &number(1.0)].concat()));
    assert!(matches!(&run.events[..], [.., Event::SignalTrack(track), Event::Signal(_)] if track.name == "onTextData"));
    run.output.clear();
    run.feed(&chunk(3, 17, 0, &[&[0][..], &string("_checkbw"), &number(9.0), &[5]].concat()));
    assert!(contains(&run.output, "_result"));
    run.feed(&chunk(3, 20, 0, &[&string("nonsense")[..], &number(10.0), &[5]].concat()));
    assert!(contains(&run.output, "NetConnection.Call.Failed"));
}

#[test]
fn after_the_end_commands_are_answered_and_media_is_not_read() {
    let mut run = publishing();
    run.feed(&chunk(4, 8, 1, &AAC_HEADER));
    run.feed(&chunk(3, 20, 1, &[&string("closeStream")[..], &number(0.0), &[5]].concat()));
    run.feed(&audio(1000, 1));
    assert_eq!(run.events.last(), Some(&Event::End));
    run.output.clear();
    run.feed(&chunk(3, 20, 0, &[&string("FCUnpublish")[..], &number(7.0), &[5], &string("cam")].concat()));
    assert!(contains(&run.output, "_result") && !run.session.should_close() && run.error.is_none());
    assert!(contains(&run.output, "onFCUnpublish"), "FMLE waits for it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_split_gives_the_same_events(which in 0usize..4, mut cuts in prop::collection::vec(0usize..31_000, 0..60)) {
        let capture = [FFMPEG, GSTREAMER, LIBRTMP, OBS][which];
        for cut in &mut cuts { *cut = (*cut).min(capture.len()); }
        cuts.sort_unstable();
        let mut last = 0;
        let mut pieces: Vec<&[u8]> = cuts.iter().map(|cut| { let piece = &capture[last..*cut]; last = *cut; piece }).collect();
        pieces.push(&capture[last..]);
        let (whole, split) = (run_pieces([capture]), run_pieces(pieces));
        prop_assert!(whole.events == split.events);
        prop_assert_eq!(whole.error, split.error);
    }

    #[test]
    fn damage_never_panics(which in 0usize..3, damage in prop::collection::vec((3073usize..31_000, any::<u8>()), 1..40)) {
        let mut capture = [FFMPEG, GSTREAMER, LIBRTMP, OBS][which].to_vec();
        for (position, byte) in damage {
            let last = capture.len() - 1;
            capture[position.min(last)] = byte;
        }
        let (whole, split) = (run_pieces([&capture[..]]), run_pieces(capture.chunks(97)));
        prop_assert!(whole.events == split.events);
        prop_assert_eq!(whole.error, split.error);
    }

    #[test]
    fn random_bytes_after_the_handshake_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let mut run = publishing();
        bytes.chunks(333).for_each(|piece| run.feed(piece));
    }
}
