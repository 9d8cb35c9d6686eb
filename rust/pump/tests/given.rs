//! A connection that goes on in another pump: the same events and the same answers as if it had been there from the start.
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use pypackager_pump::pump::{Event, Number, Options, Parcel, Protocol};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use support::{Bench, ISMV, RTMP, quick, read_all, send};

/// The pump of who accepts connections, and that of a worker.
fn benches(ask_connect: bool) -> (Bench, Bench) {
    let options = Options { ask_connect, ..quick() };
    (Bench::new(Options { keep_openings: true, ..options.clone() }), Bench::new(options))
}

/// Gives a connection away; what else than that it is given would be a fault.
fn give(from: &mut Bench, number: Number) -> Parcel {
    from.pump.give(number);
    let given = from.next("Given", |event| matches!(event, Event::Given { conn, .. } if *conn == number));
    let Event::Given { parcel, .. } = given else { unreachable!() };
    from.events.retain(|event| !matches!(event, Event::Given { .. }));
    let Parcel { socket, protocol, opening, decided, unsent } = &*parcel;
    let socket = socket.try_clone().unwrap();
    Parcel { socket, protocol: *protocol, opening: opening.clone(), decided: *decided, unsent: unsent.clone() }
}

fn connect_asked(bench: &mut Bench, number: Number) {
    bench.next("connect?", |event| matches!(event, Event::ConnectRequested { conn, .. } if *conn == number));
}

fn publish_asked(bench: &mut Bench, number: Number) {
    bench.next("publish?", |event| matches!(event, Event::PublishRequested { conn, .. } if *conn == number));
}

/// Sends in two parts, and the second one when the pump has read the first.
fn send_in_two(client: &mut TcpStream, bytes: &'static [u8], split: usize) -> std::thread::JoinHandle<()> {
    let mut client = client.try_clone().unwrap();
    std::thread::spawn(move || {
        client.write_all(&bytes[..split]).unwrap();
        std::thread::sleep(Duration::from_millis(3));
        client.write_all(&bytes[split..]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    })
}

/// When a publish is given away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Connect,
    Publish,
}

/// What a publish leads to, and what its encoder is answered.
fn publish(split: usize, given: Option<At>) -> (Vec<String>, Vec<u8>) {
    let (mut acceptor, mut worker) = benches(true);
    let (mut client, mut number) = acceptor.connect(Protocol::Rtmp);
    let sender = send_in_two(&mut client, RTMP, split);
    connect_asked(&mut acceptor, number);
    if given == Some(At::Publish) {
        acceptor.pump.accept(number, None);
        publish_asked(&mut acceptor, number);
    }
    let serving = if given.is_some() {
        let parcel = give(&mut acceptor, number);
        assert_eq!(parcel.decided, usize::from(given == Some(At::Publish)));
        number = worker.pump.adopt(parcel);
        connect_asked(&mut worker, number);
        &mut worker
    } else {
        &mut acceptor
    };
    serving.pump.accept(number, None);
    publish_asked(serving, number);
    serving.pump.accept(number, None);
    serving.next("clock?", |event| matches!(event, Event::NeedClock { .. }));
    serving.pump.bind(number, 1);
    assert_eq!(serving.closed(number).0, "");
    sender.join().unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut client, &mut answer).unwrap();
    (serving.story(number), answer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_publish_is_the_same_wherever_it_was_split_and_given(split in 1usize..8000, late in any::<bool>()) {
        let (story, answer) = publish(split, Some(if late { At::Publish } else { At::Connect }));
        let (expected, said) = publish(split, None);
        prop_assert_eq!(story, expected);
        prop_assert!(answer == said, "{} bytes for {}", answer.len(), said.len());
    }

    #[test]
    fn a_body_is_the_same_wherever_it_was_split(split in 1usize..6000) {
        let mut stories = Vec::new();
        for given in [false, true] {
            let (mut acceptor, mut worker) = benches(false);
            let (mut client, mut number) = acceptor.connect(Protocol::Http);
            let sender = send_in_two(&mut client, ISMV, split);
            acceptor.request(number);
            let serving = if given {
                number = worker.pump.adopt(give(&mut acceptor, number));
                worker.request(number);
                &mut worker
            } else {
                &mut acceptor
            };
            serving.pump.accept(number, None);
            serving.body_end(number);
            serving.ok(number, true);
            serving.closed(number);
            sender.join().unwrap();
            stories.push((serving.story(number), read_all(&mut client)));
        }
        prop_assert_eq!(&stories[0], &stories[1]);
    }
}

#[test]
fn a_later_request_can_go_elsewhere() {
    let (mut first, mut second) = benches(false);
    let (mut client, number) = first.connect(Protocol::Http);
    send(&mut client, b"POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nPOST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    first.request(number);
    first.pump.accept(number, None);
    first.body_end(number);
    first.ok(number, false);
    first.request(number);
    let number = second.pump.adopt(give(&mut first, number));
    second.request(number);
    second.pump.accept(number, None);
    second.body_end(number);
    second.ok(number, true);
    let answers = read_all(&mut client);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert_eq!(second.story(number)[0], "POST /two");
}

#[test]
fn what_is_given_away_is_gone_and_what_runs_stays() {
    let (mut acceptor, mut worker) = benches(true);
    let (mut client, number) = acceptor.connect(Protocol::Rtmp);
    send(&mut client, &RTMP[..RTMP.len() / 2]);
    connect_asked(&mut acceptor, number);
    let parcel = give(&mut acceptor, number);
    assert!(acceptor.pump.stats().is_empty(), "it is no connection of this pump any more");
    // Decisions that come too late are of nobody.
    acceptor.pump.accept(number, None);
    acceptor.pump.give(number);

    let adopted = worker.pump.adopt(parcel);
    connect_asked(&mut worker, adopted);
    worker.pump.accept(adopted, None);
    publish_asked(&mut worker, adopted);
    worker.pump.accept(adopted, None);
    worker.next("clock?", |event| matches!(event, Event::NeedClock { .. }));
    worker.pump.bind(adopted, 1);
    worker.pump.give(adopted);
    assert_eq!(worker.closed(adopted).0, "NOT_GIVEN");
    assert!(read_all(&mut client).contains("NOT_GIVEN"), "the encoder is told");
    let received = worker.events.iter().find_map(|event| match event {
        Event::Closed { bytes_received, .. } => Some(*bytes_received),
        _ => None,
    });
    assert_eq!(received, Some(RTMP.len() as u64 / 2), "what was read elsewhere counts");
    acceptor.pump.stop();
    acceptor.events.extend(acceptor.pump.events());
    assert_eq!(acceptor.story(number), ["connect news"], "nothing follows of what was given away");
}

#[test]
fn answers_that_were_not_sent_yet_go_first() {
    let bench = Bench::quick();
    let (mut client, server) = std::os::unix::net::UnixStream::pair().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let parcel = Parcel {
        socket: server.into(),
        protocol: Protocol::Http,
        opening: b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        decided: 0,
        unsent: b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
    };
    let number = bench.pump.adopt(parcel);
    bench.ok(number, true);
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answer}");
}
