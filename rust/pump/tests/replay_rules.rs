//! Rules of an encoder that take their time: the send timeout, the POST that has nothing more to send, and a slow connection.
#![allow(clippy::unwrap_used, missing_docs)] // a test that fails here says where

#[path = "support/intake.rs"]
mod intake;
#[path = "support/recording.rs"]
mod recording;

use intake::Intake;
use pypackager_core::media::{Chunk, Kind};
use pypackager_pump::replay::{Broken, Injection, Options, Phase, Replay, Stream, StreamStats, Target, Track, What};
use recording::material;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes.
const EXTRA: usize = 256 << 10;

fn layer() -> Arc<Track> {
    material().into_iter().rfind(|track| track.header.codec.kind() == Kind::Video).unwrap()
}

/// The layer with fragments that are larger than what a kernel takes of a connection that nobody reads.
fn heavy() -> Arc<Track> {
    let mut track = Track::clone(&layer());
    for chunk in &mut track.chunks {
        let mut bytes = chunk.payload.bytes().unwrap().into_owned();
        bytes.resize(bytes.len() + EXTRA, 0);
        chunk.samples.last_mut().unwrap().size += EXTRA as u32;
        chunk.payload = bytes.into();
    }
    Arc::new(track)
}

fn stream(port: u16, name: &str, track: Arc<Track>, faults: Vec<Injection>) -> Stream {
    let target = Target::parse(&format!("http://127.0.0.1:{port}/news/ingest.isml/Streams({name})")).unwrap();
    Stream { target, track, name: name.to_owned(), faults }
}

/// Plays until `until` says so of the streams, then stops.
fn play(streams: Vec<Stream>, options: Options, mut until: impl FnMut(&[StreamStats]) -> bool) -> Vec<StreamStats> {
    let replay = Arc::new(Replay::new(streams, options).unwrap());
    let running = thread::spawn({
        let replay = Arc::clone(&replay);
        move || replay.run().unwrap()
    });
    while !until(&replay.stats()) && !running.is_finished() {
        thread::sleep(Duration::from_millis(2));
    }
    replay.stop();
    running.join().unwrap();
    replay.stats()
}

/// A server that answers the empty POST and reads no more: how long after that the encoder's next connection came.
fn deaf(speed: f64, timeout: bool, patience: Duration) -> Option<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Less than a fragment: its first bytes are the last that are acknowledged.
    set_socket_recv_buffer_size(&listener, 2048).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut socket, _): (TcpStream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let began = Instant::now();
        listener.set_nonblocking(true).unwrap();
        while began.elapsed() < patience {
            if listener.accept().is_ok() {
                return Some(began.elapsed());
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    });
    let broken = Broken { timeout, ..Broken::default() };
    let options = Options { speed, repeat: true, resend: 0, broken, ..Options::default() };
    play(vec![stream(port, "v1", heavy(), Vec::new())], options, |_| server.is_finished());
    server.join().unwrap()
}

#[test]
fn a_server_that_reads_nothing_is_left_between_one_and_two_fragments_later() {
    let track = heavy();
    let ticks = track.chunks.iter().map(Chunk::duration).max().unwrap();
    let fragment = Duration::from_secs_f64(ticks as f64 / f64::from(track.header.timescale));
    let speed = fragment.as_secs_f64() / 2.0; // fragments of two seconds
    let patient = thread::spawn(move || deaf(speed, true, Duration::from_secs(8)));
    let left = deaf(speed, false, Duration::from_secs(20)).expect("another connection");
    // The first fragment goes when it is done, after two seconds; that is the last that is acknowledged.
    let after = left.saturating_sub(Duration::from_secs(2));
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&after), "{after:?} after the last sign of life");
    assert_eq!(patient.join().unwrap(), None, "without the rule it waits");
}

#[test]
fn a_stream_that_has_ended_closes_its_post_or_keeps_it_on_request() {
    let long = layer();
    let chunks = long.chunks[..long.chunks.len() / 2].to_vec();
    let short = Arc::new(Track { header: long.header.clone(), chunks });
    let count = |track: &Track| track.chunks.iter().map(|chunk| chunk.samples.len() as u64).sum::<u64>();
    let (of_short, of_long) = (count(&short), count(&long));
    for idle in [false, true] {
        let intake = Intake::start(|_, _| 200);
        let streams = vec![
            stream(intake.port, "long", Arc::clone(&long), Vec::new()),
            stream(intake.port, "short", Arc::clone(&short), Vec::new()),
        ];
        let options = Options { speed: 4.0, broken: Broken { idle, ..Broken::default() }, ..Options::default() };
        // What the short one is while the long one still has media.
        let mut phases = Vec::new();
        let stats = play(streams, options, |stats| {
            if stats[1].samples == of_short && stats[0].samples < of_long {
                phases.push(stats[1].phase);
            }
            stats.iter().all(|one| one.phase == Phase::Done)
        });
        assert_eq!(phases.contains(&Phase::Done), !idle, "{stats:#?}");
        assert!(stats.iter().all(|one| one.phase == Phase::Done && one.reconnects == 0), "{stats:#?}");
        assert!(intake.finish().iter().all(|one| one.complete));
    }
}

#[test]
fn a_slow_connection_is_late_and_loses_nothing() {
    let track = layer();
    let from = Duration::from_secs(2);
    let what = What::Slow(Duration::from_secs(4));
    let fault = Injection { what, number: 0, apart: false, from, within: Duration::ZERO, every: Duration::ZERO };
    let intake = Intake::start(|_, _| 200);
    let began = Instant::now();
    let duration = Some(Duration::from_secs(12));
    let options = Options { speed: 4.0, repeat: true, duration, ..Options::default() };
    let stats = play(vec![stream(intake.port, "v1", track, vec![fault])], options, |_| false).remove(0);
    assert!(began.elapsed() >= Duration::from_millis(2900), "the media clock goes on");
    assert_eq!((stats.phase, stats.reconnects), (Phase::Done, 0), "{stats:?}");
    assert_eq!(stats.injected[0].name, "slow");
    // At four times the pace half of the bit rate is an eighth of what comes: a fragment waits for the end of the fault.
    assert!(stats.late >= 250_000, "{stats:?}");
    let (seen, whole) = (intake.finish(), Intake::start(|_, _| 200));
    let options = Options { speed: 0.0, repeat: true, duration, ..Options::default() };
    play(vec![stream(whole.port, "v1", layer(), Vec::new())], options, |_| false);
    assert_eq!(seen[0].times(), whole.finish()[0].times());
}
