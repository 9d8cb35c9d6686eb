//! HTTP ingest over loopback: what encoders sent, cut anywhere, cut off, stalled, wrong.
#![allow(clippy::unwrap_used)]

mod support;

use pypackager_pump::pump::{Event, Options, Protocol};
use std::net::Shutdown;
use std::time::Duration;
use support::{Bench, ISMV, quick, read_all, send};

/// Length of the request head of the capture.
fn head_length() -> usize {
    ISMV.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4
}

/// The body of the capture, without its chunk framing, under a head with Content-Length.
fn with_length(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn body() -> Vec<u8> {
    let (mut rest, mut body) = (&ISMV[head_length()..], Vec::new());
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

fn story_of(pieces: &[&[u8]]) -> Vec<String> {
    let mut bench = Bench::quick();
    let (mut client, number) = bench.connect(Protocol::Http);
    for (index, piece) in pieces.iter().enumerate() {
        send(&mut client, piece);
        // The first pause lets the request be decided on before the rest comes, the others part the reads.
        if index == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        if index < 4 {
            std::thread::sleep(Duration::from_millis(7));
        }
    }
    bench.request(number);
    bench.pump.accept(number, None);
    bench.body_end(number);
    bench.ok(number, true);
    assert_eq!(bench.closed(number).0, "");
    let answer = read_all(&mut client);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    bench.story(number)
}

#[test]
fn a_body_becomes_tracks_and_chunks_however_it_is_cut() {
    let whole = story_of(&[ISMV]);
    assert_eq!(whole[0], "POST /ch/ingest.isml/Streams(x)");
    assert_eq!(whole[1..4], ["track 1 Video", "track 2 Video", "track 3 Audio"]);
    assert!(whole.iter().filter(|line| line.starts_with("chunk")).count() >= 9, "{whole:#?}");
    assert_eq!(whole[whole.len() - 2..], ["end of body", "closed "]);
    for size in [1, 7, 1000, 9001] {
        let pieces: Vec<&[u8]> = ISMV.chunks(size).collect();
        assert_eq!(story_of(&pieces), whole, "pieces of {size}");
    }
}

#[test]
fn a_kept_connection_needs_the_header_boxes_once_a_path() {
    let body = body();
    let first = body.windows(4).position(|window| window == b"moof").unwrap() - 4;
    let mut bench = Bench::quick();
    let (mut client, number) = bench.connect(Protocol::Http);
    for part in [&body[..first], &body[first..]] {
        send(&mut client, &with_length("/ch/ingest.isml/Streams(x)", part));
        bench.request(number);
        bench.pump.accept(number, None);
        bench.body_end(number);
        bench.ok(number, false);
    }
    let story = bench.story(number);
    assert_eq!(story.iter().filter(|line| line.starts_with("track")).count(), 6, "{story:#?}");
    assert!(story.iter().any(|line| line.starts_with("chunk 3 Audio")), "{story:#?}");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bench.closed(number).0, "");
    assert_eq!(read_all(&mut client).matches("HTTP/1.1 200 OK").count(), 2);
}

#[test]
fn a_body_that_is_cut_off_is_one_warning_and_a_fault() {
    let mut bench = Bench::quick();
    let (mut client, number) = bench.connect(Protocol::Http);
    send(&mut client, &ISMV[..ISMV.len() / 2]);
    bench.request(number);
    bench.pump.accept(number, None);
    drop(client);
    let (code, detail) = bench.closed(number);
    assert_eq!(code, "HTTP_BODY_TRUNCATED");
    assert!(detail.starts_with(&format!("at byte {}", ISMV.len() / 2)), "{detail}");
    let story = bench.story(number);
    assert!(story.contains(&"warning TRUNCATED_FRAGMENT".to_owned()), "{story:#?}");
    assert!(story.iter().any(|line| line.starts_with("chunk")), "what was complete counts: {story:#?}");
}

#[test]
fn a_body_that_stalls_is_closed_and_harms_nobody() {
    let mut bench = Bench::new(Options { idle_timeout: Duration::from_millis(150), ..quick() });
    let (mut stalled, first) = bench.connect(Protocol::Http);
    send(&mut stalled, &ISMV[..ISMV.len() / 2]);
    bench.request(first);
    bench.pump.accept(first, None);
    let (mut other, second) = bench.connect(Protocol::Http);
    send(&mut other, ISMV);
    bench.request(second);
    bench.pump.accept(second, None);
    bench.body_end(second);
    assert_eq!(bench.closed(first).0, "IDLE_TIMEOUT");
    let answer = read_all(&mut stalled);
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("\"code\":\"IDLE_TIMEOUT\""), "{answer}");
    bench.ok(second, true);
    assert_eq!(bench.closed(second).0, "");
}

#[test]
fn a_connection_that_never_asks_ends_in_good_order_and_half_a_head_does_not() {
    let mut bench = Bench::new(Options { idle_timeout: Duration::from_millis(60), ..quick() });
    let (mut silent, first) = bench.connect(Protocol::Http);
    assert_eq!(bench.closed(first).0, "");
    assert_eq!(read_all(&mut silent), "");
    let (mut slow, second) = bench.connect(Protocol::Http);
    send(&mut slow, b"POST /ch");
    assert_eq!(bench.closed(second).0, "IDLE_TIMEOUT");
    assert!(read_all(&mut slow).starts_with("HTTP/1.1 408 "));
}

#[test]
fn garbage_is_answered_where_the_protocol_can() {
    let table: [(&[u8], &str, &str); 3] = [
        (b"\x03\x00\x00\x00nonsense\r\n\r\n", "HTTP/1.1 400 ", "HTTP_HEAD"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 ", "HTTP_TRANSFER_CODING"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n\xff\xff\xff\xffmoovxxxxxxxxxxxx", "HTTP/1.1 4", ""),
    ];
    for (bytes, status, wanted) in table {
        let mut bench = Bench::quick();
        let (mut client, number) = bench.connect(Protocol::Http);
        send(&mut client, bytes);
        bench.pump.accept(number, None);
        bench.next("Request or Closed", |event| matches!(event, Event::Request { .. } | Event::Closed { .. }));
        bench.pump.accept(number, None);
        let answer = read_all(&mut client);
        assert!(answer.starts_with(status), "{answer}");
        let closed = bench.events.iter().chain(&bench.pump.events()).find_map(|event| match event {
            Event::Closed { code, .. } => Some(*code),
            _ => None,
        });
        let code = closed.unwrap_or_else(|| bench.closed(number).0);
        assert!(!code.is_empty() && (wanted.is_empty() || code == wanted), "{code}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    }
}

#[test]
fn a_decision_that_never_comes_is_a_503() {
    let mut bench = Bench::new(Options { decision_timeout: Duration::from_millis(50), ..quick() });
    let (mut client, number) = bench.connect(Protocol::Http);
    send(&mut client, ISMV);
    assert_eq!(bench.closed(number).0, "DECISION_TIMEOUT");
    assert!(read_all(&mut client).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_refusal_reaches_a_sender_that_goes_on_sending() {
    let mut bench = Bench::quick();
    let (mut client, number) = bench.connect(Protocol::Http);
    send(&mut client, &ISMV[..head_length()]);
    bench.request(number);
    let answer = pypackager_pump::pump::Answer {
        status: 403,
        content_type: "text/plain".into(),
        headers: vec![("X-Reason".into(), "allow-list".into())],
        body: b"no".to_vec(),
        close: true,
    };
    bench.pump.respond(number, answer);
    send(&mut client, &ISMV[head_length()..]);
    let answer = read_all(&mut client);
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n") && answer.ends_with("\r\n\r\nno"), "{answer}");
    assert!(answer.contains("\r\nX-Reason: allow-list\r\n"), "{answer}");
    assert_eq!(bench.closed(number).0, "");
}

#[test]
fn a_held_connection_is_not_read_and_does_not_grow_idle() {
    let mut bench = Bench::new(Options { idle_timeout: Duration::from_millis(100), ..quick() });
    let (mut client, number) = bench.connect(Protocol::Http);
    send(&mut client, &ISMV[..head_length()]);
    bench.request(number);
    bench.pump.accept(number, None);
    bench.pump.hold(number, true);
    std::thread::sleep(Duration::from_millis(20));
    let before = bench.pump.stats()[0].bytes_received;
    send(&mut client, &ISMV[head_length()..]);
    std::thread::sleep(Duration::from_millis(250));
    let stats = bench.pump.stats();
    assert_eq!((stats.len(), stats[0].bytes_received), (1, before));
    assert!(stats[0].idle >= Duration::from_millis(200));
    bench.pump.hold(number, false);
    bench.body_end(number);
    assert_eq!(bench.pump.stats()[0].bytes_received, ISMV.len() as u64);
}

#[test]
fn nothing_more_is_read_while_nobody_fetches_what_was() {
    let mut bench = Bench::new(Options { max_waiting: 100, idle_timeout: Duration::from_millis(100), ..quick() });
    let (mut client, number) = bench.connect(Protocol::Http);
    send(&mut client, &ISMV[..head_length()]);
    bench.request(number);
    bench.pump.accept(number, None);
    send(&mut client, &ISMV[head_length()..12_000]);
    assert!(support::wait(&bench.pump, Duration::from_secs(10)), "tracks and chunks wait");
    let before = bench.pump.stats()[0].bytes_received;
    send(&mut client, &ISMV[12_000..]);
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(bench.pump.stats()[0].bytes_received, before);
    while bench.pump.stats()[0].bytes_received < ISMV.len() as u64 {
        bench.next("events", |_| true);
    }
    bench.body_end(number);
}

#[test]
fn many_connections_at_once_all_get_through() {
    let mut bench = Bench::quick();
    let mut clients: Vec<_> = (0..60).map(|_| bench.connect(Protocol::Http)).collect();
    for piece in ISMV.chunks(3000) {
        for (client, _) in &mut clients {
            send(client, piece);
        }
    }
    for (_, number) in &clients {
        bench.pump.accept(*number, None);
    }
    let mut accepted = 0;
    while accepted < clients.len() {
        let Event::Request { conn, .. } = bench.next("Request", |event| matches!(event, Event::Request { .. })) else {
            unreachable!()
        };
        bench.pump.accept(conn, None);
        accepted += 1;
    }
    for _ in 0..clients.len() {
        bench.next("BodyEnd", |event| matches!(event, Event::BodyEnd { .. }));
    }
    let expected = bench.story(clients[0].1);
    for (_, number) in &clients {
        assert_eq!(bench.story(*number), expected);
    }
    bench.pump.stop();
    let events = bench.pump.events();
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Closed { code: "", .. })).count(), 60);
    assert!(bench.pump.stats().is_empty());
}
