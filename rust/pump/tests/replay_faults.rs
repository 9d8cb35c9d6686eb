//! An encoder's rules and faults as a server sees them: what is sent again, what is left out, and how connections end.
#![allow(clippy::unwrap_used, missing_docs)] // a test that fails here says where

#[path = "support/intake.rs"]
mod intake;
#[path = "support/recording.rs"]
mod recording;

use intake::{Answers, Intake, Seen};
use pypackager_core::media::Kind;
use pypackager_pump::replay::{Broken, Injection, Options, Phase, Replay, Stream, StreamStats, Target, Track, What};
use recording::material;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

const LENGTH: Duration = Duration::from_secs(24);
const NONE: Duration = Duration::ZERO;

fn layer() -> Arc<Track> {
    material().into_iter().rfind(|track| track.header.codec.kind() == Kind::Video).unwrap()
}

fn options() -> Options {
    Options { speed: 0.0, repeat: true, duration: Some(LENGTH), seed: 11, ..Options::default() }
}

fn fault(what: What, seconds: u64) -> Injection {
    let from = Duration::from_secs(seconds);
    Injection { what, number: 0, apart: false, from, within: NONE, every: NONE }
}

fn push(options: Options, answers: Answers, faults: Vec<Injection>) -> (StreamStats, Vec<Seen>) {
    let intake = Intake::start(answers);
    let url = format!("http://127.0.0.1:{}/news/ingest.isml/Streams(v1)", intake.port);
    let target = Target::parse(&url).unwrap();
    let replay = Replay::new(vec![Stream { target, track: layer(), name: "v1".to_owned(), faults }], options).unwrap();
    replay.run().unwrap();
    (replay.stats().remove(0), intake.finish())
}

fn well(_: usize, _: bool) -> u16 {
    200
}

/// Times of a stream without a fault.
fn whole() -> Vec<i64> {
    let (stats, seen) = push(options(), well, Vec::new());
    assert_eq!((stats.phase, stats.reconnects, stats.resent), (Phase::Done, 0, 0));
    assert_eq!((seen.len(), seen[0].probes, seen[0].headers, seen[0].complete), (1, 1, 1, true));
    seen[0].times()
}

fn all(seen: &[Seen]) -> BTreeSet<i64> {
    seen.iter().flat_map(Seen::times).collect()
}

#[test]
fn every_kind_of_end_is_followed_by_two_fragments_more_and_loses_nothing() {
    let expected = whole();
    for what in [What::Cut(NONE), What::Hangup(NONE), What::Truncate(None), What::Truncate(Some(9)), What::Vanish] {
        let (stats, seen) = push(options(), well, vec![fault(what, 9)]);
        assert_eq!((stats.phase, stats.reconnects, seen.len()), (Phase::Done, 1, 2), "{what:?}: {stats:?}");
        assert_eq!(all(&seen), expected.iter().copied().collect(), "{what:?}");
        assert!(stats.resent >= 2 && stats.units == expected.len() as u64, "{what:?}: {stats:?}");
        assert_eq!(stats.injected.len(), 1);
        for one in &seen {
            assert_eq!((one.probes, one.headers), (1, 1), "{what:?}: each POST is probed and has its header boxes");
        }
        let (first, second) = (seen[0].times(), seen[1].times());
        assert!(!seen[0].complete && seen[1].complete);
        assert_eq!(second, expected[expected.len() - second.len()..], "{what:?}: in order, without a hole");
        assert!(first.contains(&second[0]) && first.contains(&second[1]), "{what:?}: {first:?} {second:?}");
        assert_eq!(seen[0].chunks.iter().find(|chunk| chunk.time == second[0]), seen[1].chunks.first());
    }
}

#[test]
fn without_the_resend_a_truncated_fragment_alone_is_sent_whole_once() {
    let (stats, seen) = push(Options { resend: 0, ..options() }, well, vec![fault(What::Hangup(NONE), 9)]);
    assert_eq!((stats.phase, stats.resent, stats.reconnects), (Phase::Done, 0, 1));
    assert!(seen[0].times().last() < seen[1].times().first());
}

#[test]
fn a_dead_encoder_comes_back_live_and_a_restarted_one_from_zero() {
    let expected = whole();
    let outage = Duration::from_secs(4);
    let (stats, seen) = push(options(), well, vec![fault(What::Kill(outage), 8)]);
    assert_eq!((stats.phase, stats.resent, seen.len()), (Phase::Done, 0, 2), "{stats:?}");
    let timescale = i64::from(layer().header.timescale);
    let second = seen[1].times();
    let begin = second[0] - expected[0];
    assert!(begin >= 12 * timescale && begin < 15 * timescale, "{second:?}");
    assert!(expected.contains(&second[0]));
    let (_, seen) = push(options(), well, vec![fault(What::Restart(outage), 8)]);
    let again = seen[1].times();
    assert_eq!(again.iter().map(|time| time + 12 * timescale).collect::<Vec<_>>(), second);
}

#[test]
fn units_are_repeated_left_out_swapped_and_moved() {
    let expected = whole();
    let times = |what| {
        let (stats, seen) = push(options(), well, vec![fault(what, 9)]);
        assert_eq!((stats.phase, seen.len(), stats.injected.len()), (Phase::Done, 1, 1), "{what:?}");
        seen[0].times()
    };
    let at = expected.iter().zip(times(What::Repeat(2))).take_while(|(one, other)| **one == *other).count();
    let mut repeated = expected.clone();
    (0..2).for_each(|_| repeated.insert(at, expected[at - 1]));
    assert_eq!(times(What::Repeat(2)), repeated);
    let mut dropped = expected.clone();
    dropped.remove(at - 1);
    assert_eq!(times(What::Drop(NONE)), dropped);
    let mut swapped = expected.clone();
    swapped.swap(at - 1, at);
    assert_eq!(times(What::Reorder), swapped);
    let off = 5 * i64::from(layer().header.timescale);
    let moved = |sign: i64| -> Vec<i64> {
        expected
            .iter()
            .enumerate()
            .map(|(index, time)| if index < at - 1 { *time } else { time + sign * off })
            .collect()
    };
    assert_eq!((times(What::Jump(5000)), times(What::Jump(-5000))), (moved(1), moved(-1)));
}

#[test]
fn garbage_is_refused_and_the_stream_goes_on() {
    let expected = whole();
    // Without a pace the server has more than two fragments behind the noise before it refuses: all of them come again.
    let (stats, seen) = push(Options { resend: 1000, ..options() }, well, vec![fault(What::Garbage(500), 9)]);
    assert_eq!((stats.phase, stats.reconnects), (Phase::Done, 1), "{stats:?}");
    assert!(!seen[0].fault.is_empty());
    assert!(stats.said.iter().any(|said| said.text == "400 what is wrong"), "{:?}", stats.said);
    assert_eq!(all(&seen), expected.into_iter().collect());
}

#[test]
fn a_probe_that_is_refused_for_good_ends_the_stream_with_the_answer() {
    for (status, answers) in [(404, (|_, _| 404) as Answers), (403, |_, _| 403), (401, |_, _| 401), (400, |_, _| 400)] {
        let (stats, seen) = push(options(), answers, Vec::new());
        let fault = stats.fault.unwrap();
        assert_eq!((fault.code, fault.detail), ("HTTP_REFUSED", format!("{status} what the server says")));
        assert_eq!((seen.len(), seen[0].headers, stats.units), (1, 0, 0), "no media after a refused probe");
    }
}

#[test]
fn a_server_that_is_not_ready_is_asked_again() {
    let (stats, seen) = push(options(), |number, _| if number < 2 { 503 } else { 200 }, Vec::new());
    // Without a pace a stream that never began is over when the others have ended, hence a pace.
    assert_eq!(stats.phase, Phase::Failed);
    assert_eq!(seen.len(), 1);
    let paced = Options { speed: 8.0, duration: Some(Duration::from_secs(12)), ..options() };
    let (stats, seen) = push(paced, |number, _| if number < 2 { 503 } else { 200 }, Vec::new());
    assert_eq!((stats.phase, seen.len(), stats.said.len()), (Phase::Done, 3, 4), "{stats:?}");
}

#[test]
fn a_final_answer_that_is_no_success_brings_the_end_again() {
    let expected = whole();
    let (stats, seen) = push(options(), |number, probe| if number == 0 && !probe { 500 } else { 200 }, Vec::new());
    assert_eq!((stats.phase, seen.len()), (Phase::Done, 2), "{stats:?}");
    assert_eq!(seen[1].times(), expected[expected.len() - 2..]);
}

#[test]
fn rules_that_are_broken_show() {
    let broken = Broken { probe: true, ..Broken::default() };
    let (_, seen) = push(Options { broken, ..options() }, well, Vec::new());
    assert_eq!((seen.len(), seen[0].probes, seen[0].complete), (1, 0, true));
    let broken = Broken { end: true, ..Broken::default() };
    let (stats, seen) = push(Options { broken, ..options() }, well, Vec::new());
    assert_eq!((stats.phase, seen[0].complete), (Phase::Done, false));
    let broken = Broken { headers: true, ..Broken::default() };
    let answers: Answers = |number, probe| if number == 1 && !probe { 412 } else { 200 };
    let (stats, seen) = push(Options { broken, ..options() }, answers, vec![fault(What::Hangup(NONE), 9)]);
    assert_eq!(seen.iter().map(|one| one.headers).collect::<Vec<_>>(), [1, 0, 1], "{stats:?}");
    assert_eq!(stats.phase, Phase::Done);
}

#[test]
fn a_server_that_reads_nothing_is_left_for_another_connection() {
    // The first connection is never read, nor closed by the server before the end.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/news/ingest.isml/Streams(v1)", listener.local_addr().unwrap());
    let (silent, taken) = mpsc::channel();
    let server = thread::spawn(move || {
        silent.send(listener.accept().unwrap().0).unwrap();
        // Its successor shows that it was left.
        listener.accept().unwrap();
    });
    let stream =
        Stream { target: Target::parse(&url).unwrap(), track: layer(), name: "v1".to_owned(), faults: Vec::new() };
    let patience = Duration::from_millis(200);
    let replay = Arc::new(Replay::new(vec![stream], Options { patience, speed: 1.0, ..options() }).unwrap());
    let running = thread::spawn({
        let replay = Arc::clone(&replay);
        move || replay.run().unwrap()
    });
    server.join().unwrap();
    replay.stop();
    running.join().unwrap();
    drop(taken);
    assert_eq!(replay.stats()[0].said[0].text, "TIMEOUT: no permission to publish within 0.2 s");
}

#[test]
fn a_stalled_stream_and_a_late_one_keep_their_place() {
    let expected = whole();
    let (stats, seen) = push(options(), well, vec![fault(What::Stall(Duration::from_secs(5)), 9)]);
    assert_eq!((stats.phase, seen.len(), seen[0].times()), (Phase::Done, 1, expected.clone()));
    let (stats, seen) = push(options(), well, vec![fault(What::Late, 9)]);
    assert_eq!((stats.phase, seen.len()), (Phase::Done, 1), "{stats:?}");
    let times = seen[0].times();
    assert_eq!(times, expected[expected.len() - times.len()..]);
    assert!(times[0] - expected[0] >= 9 * i64::from(layer().header.timescale));
}
