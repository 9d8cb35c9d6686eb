//! RTMP after a lost connection: live at a key frame, or with the last GOPs again.
#![allow(clippy::unwrap_used, missing_docs)] // a test that fails here says where

#[path = "support/recording.rs"]
mod recording;

use pypackager_core::demux::rtmp::{self, RtmpSession};
use pypackager_core::media::{Frame, Kind};
use pypackager_pump::replay::{Injection, Options, Phase, Replay, Stream, StreamStats, Target, What};
use recording::material;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Plays 24 s with one fault at 9.1 s to a server that takes two connections; the frames of each.
fn push(what: What, rtmp_keeps: bool) -> (StreamStats, Vec<Vec<Frame>>) {
    let track = material().into_iter().find(|track| track.header.codec.kind() == Kind::Video).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/news/v1", listener.local_addr().unwrap());
    let server = thread::spawn(move || [take(&listener), take(&listener)].into());
    let from = Duration::from_millis(9_100);
    let fault = Injection { what, number: 0, apart: false, from, within: Duration::ZERO, every: Duration::ZERO };
    let stream = Stream { target: Target::parse(&url).unwrap(), track, name: "v1".to_owned(), faults: vec![fault] };
    let duration = Some(24 * SECOND);
    let options = Options { speed: 0.0, repeat: true, duration, rtmp_keeps, ..Options::default() };
    let replay = Replay::new(vec![stream], options).unwrap();
    replay.run().unwrap();
    (replay.stats().remove(0), server.join().unwrap())
}

fn take(listener: &TcpListener) -> Vec<Frame> {
    let (mut socket, _) = listener.accept().unwrap();
    let (mut session, mut events) = (RtmpSession::new(rtmp::Limits::default()), Vec::new());
    let mut buffer = vec![0; 10_000];
    loop {
        let count = socket.read(&mut buffer).unwrap_or(0);
        let end = session.feed(&buffer[..count], &mut events).is_err() || count == 0;
        if session.paused() {
            session.accept_publish();
            session.feed(&[], &mut events).unwrap();
        }
        let gone = socket.write_all(&session.take_output()).is_err();
        if end || gone {
            break;
        }
    }
    let frames = events.into_iter().filter_map(|(_, event)| match event {
        rtmp::Event::Frame(frame) => Some(frame),
        _ => None,
    });
    frames.collect()
}

fn times(connections: &[Vec<Frame>]) -> BTreeSet<i64> {
    connections.iter().flatten().map(|frame| frame.time).collect()
}

#[test]
fn the_stream_goes_on_live_at_a_key_frame() {
    let (stats, connections) = push(What::Hangup(3 * SECOND), false);
    assert_eq!((stats.phase, stats.reconnects, stats.resent), (Phase::Done, 1, 0), "{stats:?}");
    let (last, first) = (connections[0].last().unwrap(), connections[1].first().unwrap());
    assert!(last.time <= 9_200, "{}", last.time);
    assert!(first.sync && first.time >= 12_000 && first.time < 14_100, "{}", first.time);
}

#[test]
fn with_resend_nothing_is_missing() {
    let (stats, connections) = push(What::Truncate(None), true);
    assert_eq!((stats.phase, stats.reconnects), (Phase::Done, 1), "{stats:?}");
    assert!(stats.resent > 0 && connections[1][0].sync);
    assert!(connections[1][0].time < connections[0].last().unwrap().time);
    let all: Vec<i64> = times(&connections).into_iter().collect();
    let steps: Vec<i64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().max().unwrap() - steps.iter().min().unwrap() <= 1, "{steps:?}");
    assert_eq!(all.len() as u64, stats.units);
}

#[test]
fn a_dead_encoder_takes_its_clock_along_and_a_restarted_one_does_not() {
    let (_, connections) = push(What::Kill(2 * SECOND), true);
    let first = connections[1][0].time;
    assert!((11_100..14_000).contains(&first), "{first}");
    let (_, connections) = push(What::Restart(2 * SECOND), true);
    assert_eq!(connections[1][0].time, first - 11_100);
}
