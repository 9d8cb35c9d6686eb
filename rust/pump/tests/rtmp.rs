//! RTMP ingest over loopback: a publish as an encoder sent it, shared clocks, refusals, faults.
#![allow(clippy::unwrap_used)]

mod support;

use pypackager_pump::pump::{Event, Number, Options, Protocol};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use support::{Bench, RTMP, quick, read_all, send};

/// Sends the publish up to its end and takes all decisions.
fn publish(bench: &mut Bench, clock: u64) -> (TcpStream, Number) {
    let (mut client, number) = bench.connect(Protocol::Rtmp);
    send(&mut client, RTMP);
    asked(bench, number);
    bench.pump.accept(number, None);
    let event = bench.next("NeedClock", |event| matches!(event, Event::NeedClock { conn, .. } if *conn == number));
    assert!(matches!(event, Event::NeedClock { timescale: 1000, jump: false, .. }), "{event:?}");
    bench.pump.bind(number, clock);
    (client, number)
}

/// Ends a connection so that everything arrives: closing with answers unread throws away what is not sent yet.
fn finish(mut client: TcpStream) {
    client.shutdown(Shutdown::Write).unwrap();
    read_all(&mut client);
}

fn asked(bench: &mut Bench, number: Number) {
    bench.next("PublishRequested", |event| matches!(event, Event::PublishRequested { conn, .. } if *conn == number));
}

#[test]
fn a_publish_becomes_tracks_and_chunks_once_its_clock_is_named() {
    let mut bench = Bench::quick();
    let (client, number) = publish(&mut bench, 7);
    finish(client);
    assert_eq!(bench.closed(number).0, "");
    let story = bench.story(number);
    assert!(story[0].starts_with("publish "), "{story:#?}");
    assert!(story[1].starts_with("clock? "), "{story:#?}");
    let tracks: Vec<_> = story.iter().filter(|line| line.starts_with("track")).collect();
    assert_eq!(tracks, ["track 1 Video", "track 2 Audio"], "{story:#?}");
    for track in [1, 2] {
        let found = story.iter().position(|line| line.starts_with(&format!("track {track}"))).unwrap();
        let first = story.iter().position(|line| line.starts_with(&format!("chunk {track}"))).unwrap();
        assert!(found < first, "{story:#?}");
    }
}

#[test]
fn pieces_of_any_size_tell_the_same_story() {
    let mut stories = Vec::new();
    for size in [RTMP.len(), 1, 100, 5000] {
        let mut bench = Bench::quick();
        let (mut client, number) = bench.connect(Protocol::Rtmp);
        let sender = std::thread::spawn(move || {
            RTMP.chunks(size).for_each(|piece| send(&mut client, piece));
            client
        });
        asked(&mut bench, number);
        bench.pump.accept(number, None);
        bench.next("NeedClock", |event| matches!(event, Event::NeedClock { .. }));
        bench.pump.bind(number, 1);
        finish(sender.join().unwrap());
        assert_eq!(bench.closed(number).0, "");
        stories.push(bench.story(number));
    }
    assert!(stories.windows(2).all(|pair| pair[0] == pair[1]), "{stories:#?}");
}

#[test]
fn connections_of_one_clock_leave_it_one_by_one() {
    let mut bench = Bench::quick();
    let (first_client, first) = publish(&mut bench, 1);
    let (second_client, second) = publish(&mut bench, 1);
    let (third_client, third) = publish(&mut bench, 2);
    for (client, number) in [(first_client, first), (third_client, third), (second_client, second)] {
        finish(client);
        assert_eq!(bench.closed(number).0, "");
        let story = bench.story(number);
        assert!(story.iter().any(|line| line.starts_with("chunk 1 Video")), "{story:#?}");
        assert!(story.iter().any(|line| line.starts_with("chunk 2 Audio")), "{story:#?}");
    }
}

#[test]
fn an_encoder_that_vanishes_leaves_what_it_sent() {
    let mut bench = Bench::quick();
    let (mut client, number) = bench.connect(Protocol::Rtmp);
    send(&mut client, &RTMP[..RTMP.len() * 2 / 3]);
    asked(&mut bench, number);
    bench.pump.accept(number, None);
    bench.next("NeedClock", |event| matches!(event, Event::NeedClock { .. }));
    bench.pump.bind(number, 1);
    std::thread::sleep(Duration::from_millis(30));
    drop(client);
    // With answers unread the kernel resets the connection; without, it ends it.
    let code = bench.closed(number).0;
    assert!(["PEER_CLOSED", "CONNECTION_LOST"].contains(&code), "{code}");
    let story = bench.story(number);
    assert!(story.iter().any(|line| line.starts_with("chunk 1 Video")), "{story:#?}");
}

#[test]
fn a_connect_is_let_through_or_refused_where_it_is_asked_about() {
    let mut bench = Bench::new(Options { ask_connect: true, ..quick() });
    let (mut client, number) = bench.connect(Protocol::Rtmp);
    send(&mut client, RTMP);
    bench.next("ConnectRequested", |event| matches!(event, Event::ConnectRequested { conn, .. } if *conn == number));
    bench.pump.accept(number, None);
    asked(&mut bench, number);
    bench.pump.accept(number, None);
    bench.next("NeedClock", |event| matches!(event, Event::NeedClock { .. }));
    bench.pump.bind(number, 1);
    finish(client);
    assert_eq!(bench.closed(number).0, "");
    let story = bench.story(number);
    assert!(story[0].starts_with("connect ") && story[1].starts_with("publish "), "{story:#?}");

    let (mut client, number) = bench.connect(Protocol::Rtmp);
    send(&mut client, &RTMP[..4000]);
    bench.next("ConnectRequested", |event| matches!(event, Event::ConnectRequested { conn, .. } if *conn == number));
    bench.pump.refuse(number, "", "[ code=403 need auth; authmod=adobe ]");
    assert_eq!(bench.closed(number).0, "");
    let answer = read_all(&mut client);
    assert!(answer.contains("_error") && answer.contains("[ code=403 need auth; authmod=adobe ]"), "{answer}");
}

#[test]
fn a_refusal_is_said_in_the_words_of_the_protocol() {
    let mut bench = Bench::quick();
    let (mut client, number) = bench.connect(Protocol::Rtmp);
    send(&mut client, &RTMP[..4000]);
    asked(&mut bench, number);
    bench.pump.refuse(number, "NetStream.Publish.BadName", "not on the list");
    assert_eq!(bench.closed(number).0, "");
    let answer = read_all(&mut client);
    assert!(answer.contains("NetStream.Publish.BadName") && answer.contains("not on the list"));
}

#[test]
fn garbage_and_silence_end_their_own_connection() {
    let mut bench = Bench::new(Options { idle_timeout: Duration::from_millis(100), ..quick() });
    let (mut wrong, first) = bench.connect(Protocol::Rtmp);
    let (mut silent, second) = bench.connect(Protocol::Rtmp);
    send(&mut wrong, &[0x47; 4000]);
    send(&mut silent, &[3]);
    assert_eq!(bench.closed(first).0, "RTMP_VERSION");
    assert_eq!(bench.closed(second).0, "IDLE_TIMEOUT");
    assert_eq!((read_all(&mut wrong).len(), read_all(&mut silent).len()), (0, 0));
}

#[test]
fn a_publish_that_stalls_is_closed_with_what_it_sent() {
    let mut bench = Bench::new(Options { idle_timeout: Duration::from_millis(100), ..quick() });
    let (mut client, number) = bench.connect(Protocol::Rtmp);
    send(&mut client, &RTMP[..RTMP.len() * 2 / 3]);
    asked(&mut bench, number);
    bench.pump.accept(number, None);
    bench.next("NeedClock", |event| matches!(event, Event::NeedClock { .. }));
    bench.pump.bind(number, 1);
    assert_eq!(bench.closed(number).0, "IDLE_TIMEOUT");
    assert!(bench.story(number).iter().any(|line| line.starts_with("chunk 1 Video")));
    assert!(read_all(&mut client).contains("IDLE_TIMEOUT"));
}
