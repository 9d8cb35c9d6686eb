//! Several publishes over one RTMP connection: to who decides each is a connection of its own, and only the socket is shared.
#![allow(clippy::unwrap_used)]

#[path = "../../core/tests/support/rtmp.rs"]
#[allow(dead_code)]
mod client;
mod support;

use client::{AAC_HEADER, chunk, number, object, string, timed_chunk};
use pypackager_pump::pump::{Budget, Event, Number, Options, Protocol};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use support::{Bench, quick, read_all, send};

fn command(stream: u32, name: &str, transaction: f64, argument: &[u8]) -> Vec<u8> {
    chunk(3, 20, stream, &[&string(name)[..], &number(transaction), &[5], argument].concat())
}

/// Handshake, `connect`, three streams created and a publish on each, then a second of sound on each from `start`.
fn three(start: u32) -> Vec<u8> {
    let mut out = [&[3][..], &[0; 1536 * 2]].concat();
    out.extend(chunk(3, 20, 0, &[string("connect"), number(1.0), object(&[("app", &string("news"))])].concat()));
    for stream in 1..=3 {
        out.extend(command(0, "createStream", 2.0, &[]));
        out.extend(command(stream, "publish", 3.0, &string(&format!("name{stream}"))));
        out.extend(chunk(4, 8, stream, &AAC_HEADER));
    }
    out.extend(sound(start, 1000, &[1, 2, 3]));
    out
}

/// Sound of so many milliseconds on some message streams.
fn sound(start: u32, span: u32, streams: &[u32]) -> Vec<u8> {
    let frame = |time: u32, stream: u32| timed_chunk(4, 8, stream, time, &[0xAF, 1, stream as u8, 0, 0, 0, 0, 0]);
    let times = (0..span * 48 / 1024).map(|index| start + index * 1024 / 48);
    times.flat_map(|time| streams.iter().flat_map(move |&stream| frame(time, stream))).collect()
}

/// The three publishes are asked about one after the other; takes all decisions.
fn publish(bench: &mut Bench, budget: Option<&Arc<Budget>>) -> (TcpStream, [Number; 3]) {
    let (mut client, first) = bench.connect(Protocol::Rtmp);
    send(&mut client, &three(0));
    let numbers = [first, asked(bench, budget), asked(bench, budget)];
    (client, numbers)
}

/// Accepts the next publish, or binds who asks for its clock, until a further publish was accepted; gives its number.
fn asked(bench: &mut Bench, budget: Option<&Arc<Budget>>) -> Number {
    loop {
        match bench.next("question", |event| matches!(event, Event::PublishRequested { .. } | Event::NeedClock { .. }))
        {
            Event::PublishRequested { conn, parent, .. } => {
                bench.pump.accept(conn, budget.map(Arc::clone));
                if parent.is_some() {
                    return conn;
                }
            }
            Event::NeedClock { conn, .. } => bench.pump.bind(conn, 1),
            _ => unreachable!(),
        }
    }
}

/// Binds those who ask until `who` was bound.
fn bound(bench: &mut Bench, who: Number) {
    loop {
        let event = bench.next("NeedClock", |event| matches!(event, Event::NeedClock { .. }));
        let Event::NeedClock { conn, .. } = event else { unreachable!() };
        bench.pump.bind(conn, 1);
        if conn == who {
            return;
        }
    }
}

fn ready(bench: &mut Bench) -> (TcpStream, [Number; 3]) {
    let (client, numbers) = publish(bench, None);
    // The sound of all three comes after the last publish, the first one's first.
    bound(bench, numbers[2]);
    (client, numbers)
}

fn samples(bench: &Bench, number: Number) -> usize {
    let count = |event: &Event| match event {
        Event::ChunkReady { conn, chunk, .. } if *conn == number => chunk.samples.len(),
        _ => 0,
    };
    bench.events.iter().map(count).sum()
}

fn closed_once(bench: &Bench, number: Number) {
    let story = bench.story(number);
    assert_eq!(story.iter().filter(|line| line.starts_with("closed")).count(), 1, "{story:#?}");
    assert!(story.last().unwrap().starts_with("closed"), "{story:#?}");
}

const SECOND: usize = 46;

#[test]
fn each_has_a_number_tracks_and_chunks_and_is_closed_once() {
    let mut bench = Bench::quick();
    let (mut client, [first, second, third]) = ready(&mut bench);
    send(&mut client, &command(0, "deleteStream", 0.0, &number(2.0)));
    assert_eq!(bench.closed(second).0, "");
    send(&mut client, &sound(1000, 1000, &[1, 3]));
    send(&mut client, &command(0, "deleteStream", 0.0, &number(1.0)));
    bench.next("PublishEnded", |event| matches!(event, Event::PublishEnded { conn, code: "", .. } if *conn == first));
    let stats: Vec<Number> = bench.pump.stats().iter().map(|stats| stats.conn).collect();
    assert_eq!(stats, [first, third]);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bench.closed(third).0, "PEER_CLOSED");
    assert_eq!(bench.closed(first).0, "PEER_CLOSED");
    assert!(read_all(&mut client).contains("NetStream.Unpublish.Success"));
    assert_eq!([first, second, third].map(|number| samples(&bench, number)), [2 * SECOND, SECOND, 2 * SECOND]);
    for number in [first, second, third] {
        closed_once(&bench, number);
        assert!(bench.story(number).contains(&"track 2 Audio".to_owned()));
    }
    let parents = bench.events.iter().filter_map(|event| match event {
        Event::PublishRequested { conn, parent, publish } => Some((*conn, *parent, publish.stream.as_str())),
        _ => None,
    });
    let parents: Vec<_> = parents.collect();
    assert_eq!(parents, [(first, None, "name1"), (second, Some(first), "name2"), (third, Some(first), "name3")]);
    let bytes = |number| {
        bench.events.iter().find_map(|event| match event {
            Event::Closed { conn, bytes_received, .. } if *conn == number => Some(*bytes_received as usize),
            _ => None,
        })
    };
    assert_eq!((bytes(second), bytes(third)), (Some(SECOND * 6), Some(2 * SECOND * 6)), "bytes of their frames");
    assert!(bytes(first).unwrap() > 3073 + 5 * SECOND * 20, "bytes of the socket");
    assert!(bench.pump.stats().is_empty());
}

#[test]
fn one_is_refused_and_one_sent_away_while_the_others_go_on() {
    let mut bench = Bench::quick();
    let (mut client, first) = bench.connect(Protocol::Rtmp);
    send(&mut client, &three(0));
    // The first is refused; the encoder has created no other stream yet, so it is told and the connection ends.
    bench.next("PublishRequested", |event| matches!(event, Event::PublishRequested { .. }));
    bench.pump.refuse(first, "NetStream.Publish.Denied", "not you");
    assert_eq!(bench.closed(first).0, "");
    assert!(read_all(&mut client).contains("not you"));

    let (mut client, [first, second, third]) = ready(&mut bench);
    bench.pump.refuse(first, "NetStream.Publish.Denied", "BITRATE_EXCEEDED");
    bench.pump.refuse(second, "NetStream.Publish.Denied", "BITRATE_EXCEEDED");
    assert_eq!(bench.closed(second).0, "");
    send(&mut client, &sound(1000, 1000, &[1, 2, 3]));
    send(&mut client, &command(0, "deleteStream", 0.0, &number(3.0)));
    assert_eq!(bench.closed(third).0, "");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bench.closed(first).0, "");
    assert_eq!(read_all(&mut client).matches("BITRATE_EXCEEDED").count(), 2);
    assert_eq!([first, second, third].map(|number| samples(&bench, number)), [SECOND, SECOND, 2 * SECOND]);
    for number in [first, second, third] {
        closed_once(&bench, number);
    }

    // The last one that is sent away takes the connection with it.
    let (mut client, numbers) = ready(&mut bench);
    for number in numbers {
        bench.pump.refuse(number, "NetConnection.Connect.Closed", "DRAINED");
    }
    assert_eq!(bench.closed(numbers[0]).0, "");
    assert_eq!(read_all(&mut client).matches("DRAINED").count(), 3);
    for number in numbers {
        closed_once(&bench, number);
    }
}

#[test]
fn what_is_wrong_with_one_is_told_of_it_alone() {
    let mut bench = Bench::quick();
    let (mut client, [first, second, third]) = ready(&mut bench);
    send(&mut client, &chunk(4, 8, 2, &[0x2F, 0]));
    assert_eq!(bench.closed(second).0, "CODEC_UNSUPPORTED");
    send(&mut client, &chunk(4, 8, 1, &[0x2F, 0]));
    let ended = |event: &Event| matches!(event, Event::PublishEnded { code: "CODEC_UNSUPPORTED", .. });
    bench.next("PublishEnded", ended);
    send(&mut client, &sound(1000, 1000, &[1, 2, 3]));
    // It is the last one: now it is the connection's.
    send(&mut client, &chunk(4, 8, 3, &[0x2F, 0]));
    assert_eq!(bench.closed(third).0, "CODEC_UNSUPPORTED");
    assert_eq!(bench.closed(first).0, "CODEC_UNSUPPORTED");
    assert_eq!(samples(&bench, third), 2 * SECOND);
    assert_eq!(read_all(&mut client).matches("NetStream.Publish.Rejected").count(), 3);
}

#[test]
fn an_encoder_that_vanishes_ends_all_of_them() {
    let mut bench = Bench::new(Options { idle_timeout: Duration::from_millis(200), ..quick() });
    let (mut client, numbers) = ready(&mut bench);
    for number in [numbers[1], numbers[2], numbers[0]] {
        assert_eq!(bench.closed(number).0, "IDLE_TIMEOUT");
        assert_eq!(samples(&bench, number), SECOND, "what was sent is there");
    }
    assert_eq!(read_all(&mut client).matches("IDLE_TIMEOUT").count(), 3);
    let (client, numbers) = ready(&mut bench);
    drop(client);
    for number in [numbers[1], numbers[2], numbers[0]] {
        assert!(["PEER_CLOSED", "CONNECTION_LOST"].contains(&bench.closed(number).0));
    }
    for number in numbers {
        closed_once(&bench, number);
    }
}

#[test]
fn while_one_waits_for_a_decision_nothing_of_the_others_is_read() {
    let mut bench = Bench::quick();
    let (mut client, first) = bench.connect(Protocol::Rtmp);
    send(&mut client, &three(0));
    let second = asked(&mut bench, None);
    // The third waits; 3 MB of the others' sound is on its way and has to stay there.
    let third = |event: &Event| matches!(event, Event::PublishRequested { publish, .. } if publish.stream == "name3");
    let Event::PublishRequested { conn: third, .. } = bench.next("the third", third) else { unreachable!() };
    let mut link = client.try_clone().unwrap();
    // The kernel may take all of it, or reset the sender at the end.
    let sender = std::thread::spawn(move || {
        (1..60).try_for_each(|at| link.write_all(&sound(at * 1000, 1000, &[1, 2]).repeat(20)))
    });
    std::thread::sleep(Duration::from_millis(300));
    let read = bench.pump.stats().iter().find(|stats| stats.conn == first).unwrap().bytes_received;
    assert!(read < 600_000, "{read} bytes were read");
    bench.pump.close(first);
    for number in [second, third, first] {
        assert_eq!(bench.closed(number).0, "");
    }
    drop(client);
    let _ = sender.join().unwrap();
}

#[test]
fn what_they_hold_counts_against_one_budget_and_is_spilled_of_the_largest() {
    let mut bench = Bench::quick();
    let budget = Arc::new(Budget::new(2000));
    let (client, numbers) = publish(&mut bench, Some(&budget));
    bound(&mut bench, numbers[2]);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while budget.held() + (budget.spilled() as usize) < 3 * SECOND * 5 && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(budget.held() <= 2000, "{budget:?}");
    let mut client = client;
    client.shutdown(Shutdown::Write).unwrap();
    read_all(&mut client);
    for number in [numbers[1], numbers[2], numbers[0]] {
        assert_eq!(bench.closed(number).0, "PEER_CLOSED");
        assert_eq!(samples(&bench, number), SECOND);
    }
    assert_eq!(budget.held(), 0);
}
