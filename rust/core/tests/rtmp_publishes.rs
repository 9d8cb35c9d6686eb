//! Several publishes over one RTMP connection, as Flash Media Live Encoder's multi-bitrate output sends them; there is no capture of one.
#![allow(clippy::unwrap_used)] // a test that fails here says where

#[path = "support/rtmp.rs"]
#[allow(dead_code)]
mod client;

use client::{AAC_HEADER, Run, chunk, contains, number, object, run_pieces, string, timed_chunk};
use proptest::prelude::*;
use pypackager_core::demux::rtmp::{Event, Limits, Mark, RtmpSession};

/// Handshake, `connect`, and a stream created for each of `count` publishes.
fn opening(count: u32) -> Vec<u8> {
    let mut out = [&[3][..], &[0; 1536 * 2]].concat();
    out.extend(chunk(3, 20, 0, &[string("connect"), number(1.0), object(&[("app", &string("news"))])].concat()));
    for stream in 0..count {
        out.extend(command(0, "createStream", 2.0 + f64::from(stream), &[]));
    }
    out
}

fn command(stream: u32, name: &str, transaction: f64, argument: &[u8]) -> Vec<u8> {
    chunk(3, 20, stream, &[&string(name)[..], &number(transaction), &[5], argument].concat())
}

fn publish(stream: u32) -> Vec<u8> {
    command(stream, "publish", 9.0, &string(&format!("name{stream}")))
}

fn header(stream: u32) -> Vec<u8> {
    chunk(chunks_of(stream), 8, stream, &AAC_HEADER)
}

fn audio(stream: u32, time: u32) -> Vec<u8> {
    timed_chunk(chunks_of(stream), 8, stream, time, &[0xAF, 1, stream as u8, time as u8])
}

fn chunks_of(stream: u32) -> u8 {
    8 + stream as u8
}

/// Three publishes with sound each.
fn three() -> Run {
    let mut run = run_pieces([&opening(3)[..]]);
    for stream in 1..=3 {
        run.feed(&[publish(stream), header(stream), audio(stream, 1000)].concat());
    }
    run
}

fn of(run: &Run, mark: Mark) -> Vec<&Event> {
    run.marks.iter().zip(&run.events).filter(|(of, _)| **of == mark).map(|(_, event)| event).collect()
}

fn times(run: &Run, mark: Mark) -> Vec<i64> {
    let time = |event: &&Event| if let Event::Frame(frame) = event { Some(frame.time) } else { None };
    of(run, mark).iter().filter_map(time).collect()
}

/// Whether `code` was said on a message stream.
fn told(output: &[u8], stream: u32, code: &str) -> bool {
    // Our statuses go out in type 0 chunks of chunk stream 5; what they say is within the first 200 bytes.
    let said = output
        .windows(12)
        .enumerate()
        .filter(|(_, head)| head[0] == 5 && head[7] == 20 && head[8..12] == stream.to_le_bytes());
    said.into_iter().any(|(at, _)| contains(&output[at..output.len().min(at + 200)], code))
}

#[test]
fn each_publish_has_its_own_names_tracks_and_frames() {
    let run = three();
    assert_eq!(run.error, None);
    for (mark, stream) in [(0, 1), (1, 2), (2, 3)] {
        let [Event::Publish(asked), Event::Track(_), Event::Frame(frame)] = &of(&run, mark)[..] else {
            panic!("{:?}", of(&run, mark))
        };
        assert_eq!((&*asked.app, asked.stream.as_str()), ("news", &*format!("name{stream}")));
        assert_eq!((frame.time, frame.data[0]), (1000, stream as u8));
        assert!(told(&run.output, stream, "NetStream.Publish.Start"));
    }
}

#[test]
fn messages_of_several_streams_may_lie_in_each_other() {
    let mut run = three();
    run.feed(&chunk(2, 1, 0, &1u32.to_be_bytes()));
    let body = |stream: u8| [0xAF, 1, stream, 9];
    for stream in 1..=3u8 {
        let head = [8 + stream, 0, 7, 208, 0, 0, 4, 8, stream, 0, 0, 0];
        run.feed(&[&head[..], &body(stream)[..1]].concat());
    }
    for byte in 1..4 {
        for stream in [2, 3, 1] {
            run.feed(&[0xC0 | (8 + stream), body(stream)[byte]]);
        }
    }
    assert_eq!(run.error, None);
    for mark in 0..3 {
        assert_eq!(times(&run, mark), [1000, 2000]);
    }
}

#[test]
fn one_ends_by_any_of_the_commands_and_the_others_go_on() {
    let ends: [(&str, Vec<u8>); 4] = [
        ("deleteStream", command(0, "deleteStream", 0.0, &number(2.0))),
        ("FCUnpublish", command(0, "FCUnpublish", 0.0, &string("name2"))),
        ("closeStream", command(2, "closeStream", 0.0, &[])),
        ("publish", command(2, "publish", 0.0, &[1, 0])),
    ];
    for (name, end) in ends {
        let mut run = three();
        run.output.clear();
        run.feed(&end);
        assert_eq!(of(&run, 1).last(), Some(&&Event::End), "{name}");
        assert!(told(&run.output, 2, "NetStream.Unpublish.Success"), "{name}");
        run.feed(&[audio(1, 2000), audio(2, 2000), audio(3, 2000)].concat());
        assert_eq!([times(&run, 0).len(), times(&run, 1).len(), times(&run, 2).len()], [2, 1, 2], "{name}");
        assert!(run.error.is_none() && !run.session.should_close());
        // On the stream that is free again, or another, it may begin anew: a publish of its own.
        run.feed(&[publish(2), header(2), audio(2, 3000)].concat());
        assert_eq!(times(&run, 3), [3000], "{name}");
    }
}

#[test]
fn one_is_refused_or_sent_away_and_the_others_go_on() {
    let mut session = RtmpSession::new(Limits::default());
    let mut events = Vec::new();
    session.feed(&[opening(2), publish(1), publish(2), header(2), audio(2, 1000)].concat(), &mut events).unwrap();
    session.refuse_publish(0, "NetStream.Publish.Denied", "no");
    assert!(!session.should_close(), "it has created another stream");
    session.feed(&[], &mut events).unwrap();
    assert!(session.paused() && matches!(events.last(), Some((1, Event::Publish(_)))), "{events:?}");
    session.refuse_publish(0, "NetStream.Publish.Denied", "again");
    assert!(session.paused(), "that one was refused before");
    session.accept_publish();
    session.feed(&[], &mut events).unwrap();
    assert!(matches!(events.last(), Some((1, Event::Frame(_)))), "{events:?}");
    session.refuse_publish(1, "NetStream.Publish.Denied", "too much");
    assert!(session.should_close(), "nothing is left");
    let output = session.take_output();
    assert!(told(&output, 1, "NetStream.Publish.Denied") && told(&output, 2, "NetStream.Publish.Denied"));

    let mut run = three();
    run.session.refuse_publish(1, "NetStream.Publish.Denied", "too much");
    run.feed(&[audio(1, 2000), audio(2, 2000), audio(3, 2000)].concat());
    assert!(told(&run.output, 2, "NetStream.Publish.Denied"));
    assert_eq!([times(&run, 0).len(), times(&run, 1).len(), times(&run, 2).len()], [2, 1, 2]);
}

#[test]
fn what_is_wrong_with_the_media_of_one_ends_it_and_what_is_wrong_with_the_connection_all() {
    let mut run = three();
    run.output.clear();
    run.feed(&chunk(10, 8, 2, &[0x2F, 0]));
    run.feed(&[audio(1, 2000), audio(2, 2000), audio(3, 2000)].concat());
    assert!(
        matches!(of(&run, 1)[..], [.., Event::Failed(error)] if error.code == "CODEC_UNSUPPORTED" && error.offset > 3073)
    );
    assert!(told(&run.output, 2, "NetStream.Publish.Rejected") && run.error.is_none());
    assert_eq!([times(&run, 0).len(), times(&run, 1).len(), times(&run, 2).len()], [2, 1, 2]);
    run.output.clear();
    run.feed(&chunk(3, 20, 0, &[5]));
    assert_eq!(run.error.map(|error| error.code), Some("RTMP_COMMAND"));
    assert!(run.session.should_close());
    for (stream, open) in [(1, true), (2, false), (3, true)] {
        assert_eq!(told(&run.output, stream, "NetStream.Publish.Rejected"), open, "stream {stream}");
    }
}

#[test]
fn all_are_refused_alike() {
    let mut run = three();
    run.output.clear();
    run.session.refuse_all("NetStream.Publish.Rejected", "IDLE_TIMEOUT");
    let output = run.session.take_output();
    assert!(run.session.should_close() && (1..=3).all(|stream| told(&output, stream, "IDLE_TIMEOUT")));
}

#[test]
fn media_of_no_publish_is_dropped_and_told_once() {
    let mut run = run_pieces([&opening(3)[..]]);
    run.feed(&[publish(1), header(1), header(2), audio(2, 1000), audio(3, 1000), audio(1, 1000)].concat());
    let warnings: Vec<_> = run.events.iter().filter(|event| matches!(event, Event::Warning(_))).collect();
    assert!(matches!(warnings[..], [Event::Warning(error)] if error.code == "RTMP_STREAM_UNKNOWN"), "{warnings:?}");
    assert_eq!(times(&run, 0), [1000]);
    // A stream that nobody created is taken for the only publish: some encoders number their messages as they like.
    run.feed(&[audio(0, 2000), audio(7, 3000)].concat());
    assert_eq!(times(&run, 0), [1000, 2000, 3000]);
}

#[test]
fn their_number_is_bounded() {
    let mut run = Run::new(Limits { max_publishes: 2, ..Limits::default() });
    run.feed(&[opening(3), publish(1), publish(2), publish(3)].concat());
    assert!(matches!(run.events.last(), Some(Event::Warning(error)) if error.code == "RTMP_TOO_MANY_PUBLISHES"));
    assert!(told(&run.output, 3, "NetStream.Publish.BadName"));
    run.feed(&[header(1), header(2), header(3)].concat());
    assert_eq!(
        [of(&run, 0).len(), of(&run, 1).len(), of(&run, 2).len()],
        [4, 2, 0],
        "a refusal and stray media are the connection's own"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Chunks of four message streams in each other, in any order and split: the same events, and each publish has all of its own.
    #[test]
    fn any_order_and_split_gives_each_publish_its_own(
        order in prop::collection::vec(0u8..4, 0..120),
        cuts in prop::collection::vec(1usize..400, 1..40),
    ) {
        let mut bytes = opening(4);
        (1..=4).for_each(|stream| bytes.extend([publish(stream), header(stream)].concat()));
        bytes.extend(chunk(2, 1, 0, &5u32.to_be_bytes()));
        // A message of 12 bytes is three chunks, of which others lie between; each is begun when the one before it is whole.
        let (mut done, mut sent) = ([0u32; 4], [0usize; 4]);
        for stream in order {
            let index = usize::from(stream);
            let body: Vec<u8> = [0xAF, 1].into_iter().chain([stream + 1; 10]).collect();
            let time = done[index] * 20;
            match sent[index] {
                0 => bytes.extend(timed_head(stream, time).into_iter().chain(body[..5].iter().copied())),
                1 => bytes.extend([0xC0 | (9 + stream)].into_iter().chain(body[5..10].iter().copied())),
                _ => bytes.extend([0xC0 | (9 + stream)].into_iter().chain(body[10..].iter().copied())),
            }
            sent[index] = (sent[index] + 1) % 3;
            done[index] += u32::from(sent[index] == 0);
        }
        let whole = run_pieces([&bytes[..]]);
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, left) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = left;
        }
        let split = run_pieces(pieces);
        prop_assert!(whole.error.is_none() && split.error.is_none());
        prop_assert!(whole.events == split.events && whole.marks == split.marks);
        for (mark, count) in done.into_iter().enumerate() {
            let expected: Vec<i64> = (0..count).map(|index| i64::from(index) * 20).collect();
            prop_assert_eq!(times(&whole, mark as Mark), expected);
            let own = |event: &&Event| !matches!(event, Event::Frame(frame) if *frame.data != [mark as u8 + 1; 10]);
            prop_assert!(of(&whole, mark as Mark).iter().all(own));
        }
    }

    /// Damaged bytes end the connection, or not, the same way however they are cut.
    #[test]
    fn damage_never_panics(damage in prop::collection::vec((3073usize..4000, any::<u8>()), 1..20)) {
        let mut bytes = opening(3);
        (1..=3).for_each(|stream| bytes.extend([publish(stream), header(stream), audio(stream, 1000)].concat()));
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
        }
        let (whole, split) = (run_pieces([&bytes[..]]), run_pieces(bytes.chunks(7)));
        prop_assert_eq!(format!("{:?}", whole.events), format!("{:?}", split.events));
        prop_assert_eq!(whole.marks, split.marks);
        prop_assert_eq!(whole.error, split.error);
    }
}

/// The type 0 header of a 12-byte sound message.
fn timed_head(stream: u8, time: u32) -> Vec<u8> {
    let mut head = timed_chunk(9 + stream, 8, u32::from(stream) + 1, time, &[]);
    head[6] = 12;
    head
}
