//! Synchronised encoders: what is sent is a function of the recording and of UTC, whoever sends it and since when.
#![allow(clippy::unwrap_used, missing_docs)] // a test that fails here says where

#[path = "support/intake.rs"]
mod intake;
#[path = "support/recording.rs"]
mod recording;

use intake::{Intake, Seen};
use pypackager_core::demux::rtmp::{self, RtmpSession};
use pypackager_core::media::{Chunk, Kind};
use pypackager_pump::replay::{Injection, Options, Phase, Replay, Stream, Target, Track, What};
use recording::material;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LENGTH: Duration = Duration::from_secs(24);

fn layer() -> Arc<Track> {
    material().into_iter().find(|track| track.header.codec.kind() == Kind::Video).unwrap()
}

fn options(duration: Duration) -> Options {
    Options { speed: 0.0, repeat: true, synchronised: true, duration: Some(duration), seed: 11, ..Options::default() }
}

fn fault(what: What, seconds: u64) -> Injection {
    let from = Duration::from_secs(seconds);
    Injection { what, number: 0, apart: false, from, within: Duration::ZERO, every: Duration::ZERO }
}

/// What an encoder sends that is started now.
fn push(track: Arc<Track>, duration: Duration, faults: Vec<Injection>) -> Vec<Seen> {
    let intake = Intake::start(|_, _| 200);
    let target = Target::parse(&format!("http://127.0.0.1:{}/news/ingest.isml/Streams(v1)", intake.port)).unwrap();
    let replay = Replay::new(vec![Stream { target, track, name: "v1".to_owned(), faults }], options(duration)).unwrap();
    replay.run().unwrap();
    assert_eq!(replay.stats()[0].phase, Phase::Done);
    intake.finish()
}

fn sent(seen: &[Seen]) -> Vec<Chunk> {
    seen.iter().flat_map(|one| one.chunks.clone()).collect()
}

fn utc() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn encoders_that_are_started_apart_send_the_same_at_the_same_times() {
    for track in material() {
        let timescale = f64::from(track.header.timescale);
        let sound = track.header.codec.kind() == Kind::Audio;
        let longest = track.chunks.iter().map(Chunk::duration).max().unwrap() as f64 / timescale;
        let before = utc();
        let first = sent(&push(Arc::clone(&track), LENGTH, Vec::new()));
        let after = utc();
        thread::sleep(Duration::from_millis(700));
        let second = sent(&push(track, LENGTH, Vec::new()));
        let head = &first[0].samples[0];
        let begin = (first[0].time + i64::from(head.composition)) as f64 / timescale;
        // Sound begins with the frame that is being played, pictures with the next key frame.
        let playing = if sound { f64::from(head.duration) / timescale } else { 0.0 };
        assert!(
            begin > before - playing && begin < after + longest,
            "{sound} {before} {begin} {after}, frames of {playing} s"
        );
        assert!(first[0].samples[0].sync && second[0].samples[0].sync);
        assert!(first.windows(2).all(|pair| pair[0].time < pair[1].time));
        let at = first.iter().position(|chunk| chunk.time == second[0].time).unwrap();
        assert!(first.len() - at > 5, "{} {at}", first.len());
        for (one, other) in first[at..].iter().zip(&second) {
            assert_eq!(one, other);
        }
    }
}

#[test]
fn one_that_dies_or_restarts_keeps_the_time() {
    for what in [What::Kill(Duration::from_secs(4)), What::Restart(Duration::from_secs(4))] {
        let began = utc();
        let seen = push(layer(), LENGTH, vec![fault(what, 8)]);
        assert_eq!(seen.len(), 2, "{what:?}");
        let timescale = f64::from(layer().header.timescale);
        let [last, first] =
            [seen[0].chunks.last(), seen[1].chunks.first()].map(|chunk| chunk.unwrap().time as f64 / timescale - began);
        assert!(last < 8.5 && (11.5..16.0).contains(&first), "{what:?}: {last} {first}");
    }
}

#[test]
fn rtmp_sends_the_milliseconds_of_utc_in_32_bits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/news/v1", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut session, mut events) = (RtmpSession::new(rtmp::Limits::default()), Vec::new());
        let mut buffer = vec![0; 10_000];
        loop {
            let count = socket.read(&mut buffer).unwrap_or(0);
            session.feed(&buffer[..count], &mut events).unwrap();
            if session.paused() {
                session.accept_publish();
                session.feed(&[], &mut events).unwrap();
            }
            if socket.write_all(&session.take_output()).is_err() || count == 0 {
                return events;
            }
        }
    });
    let stream =
        Stream { target: Target::parse(&url).unwrap(), track: layer(), name: "v1".to_owned(), faults: Vec::new() };
    let now = (utc() * 1000.0) as i64;
    Replay::new(vec![stream], options(Duration::from_secs(6))).unwrap().run().unwrap();
    let frames = server.join().unwrap().into_iter().filter_map(|(_, event)| match event {
        rtmp::Event::Frame(frame) => Some(frame),
        _ => None,
    });
    let times: Vec<i64> = frames.map(|frame| frame.time).collect();
    let behind = (times[0] - now).rem_euclid(1 << 32);
    assert!(behind < 5_000, "{behind} ms");
    assert!(times.windows(2).all(|pair| (30..45).contains(&(pair[1] - pair[0]))), "{times:?}");
}
