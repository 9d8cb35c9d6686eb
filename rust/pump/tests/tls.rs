//! TLS around RTMP and HTTP: the same events however the bytes are cut, and what is no TLS, or ends in the midst of it.
#![allow(clippy::unwrap_used)]

mod support;

use pypackager_pump::pump::{Event, Number, Options, Protocol};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, ServerConfig};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use support::tls::{Authority, answer, sealed, shake};
use support::{Bench, ISMV, RTMP, quick, read_all};

/// A client that has shaken hands.
fn open(bench: &Bench, authority: &Authority, protocol: Protocol) -> (ClientConnection, TcpStream, Number) {
    let (mut socket, number) = bench.connect_tls(protocol, &authority.server(None));
    let mut client = authority.client(None, &TLS13).unwrap();
    shake(&mut client, &mut socket, usize::MAX);
    (client, socket, number)
}

/// What a POST of the capture leads to when what the handshake has behind it comes in such pieces.
fn post(authority: &Authority, version: &'static rustls::SupportedProtocolVersion, piece: usize) -> Vec<String> {
    let mut bench = Bench::quick();
    let (mut socket, number) = bench.connect_tls(Protocol::Http, &authority.server(None));
    let mut client = authority.client(None, version).unwrap();
    shake(&mut client, &mut socket, piece);
    let stream = sealed(&mut client, ISMV);
    for (index, piece) in stream.chunks(piece).enumerate() {
        socket.write_all(piece).unwrap();
        // The first pauses part the reads, and let the request be decided on.
        if index < 4 {
            std::thread::sleep(Duration::from_millis(7));
        }
    }
    bench.request(number);
    bench.pump.accept(number, None);
    bench.body_end(number);
    bench.ok(number, true);
    assert_eq!(bench.closed(number).0, "");
    let answer = answer(&mut client, &mut socket).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    bench.story(number)
}

#[test]
fn a_body_is_the_same_over_tls_however_its_records_are_cut() {
    let authority = Authority::new();
    let whole = post(&authority, &TLS13, usize::MAX);
    assert_eq!(whole[1..4], ["track 1 Video", "track 2 Video", "track 3 Audio"]);
    assert!(whole.iter().filter(|line| line.starts_with("chunk")).count() >= 9, "{whole:#?}");
    assert_eq!(whole[whole.len() - 2..], ["end of body", "closed "]);
    for piece in [3, 1000, 9001, 16_400] {
        assert_eq!(post(&authority, &TLS13, piece), whole, "pieces of {piece}");
    }
    assert_eq!(post(&authority, &TLS12, 5000), whole, "TLS 1.2");
}

#[test]
fn a_publish_is_the_same_over_tls() {
    let publish = |tls: bool| {
        let mut bench = Bench::quick();
        let authority = Authority::new();
        let (mut client, mut socket, number);
        if tls {
            (client, socket, number) = open(&bench, &authority, Protocol::Rtmp);
            let bytes = sealed(&mut client, RTMP);
            socket.write_all(&bytes).unwrap();
        } else {
            (socket, number) = bench.connect(Protocol::Rtmp);
            socket.write_all(RTMP).unwrap();
        }
        bench.next("publish", |event| matches!(event, Event::PublishRequested { .. }));
        bench.pump.accept(number, None);
        bench.next("clock?", |event| matches!(event, Event::NeedClock { .. }));
        bench.pump.bind(number, 1);
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(bench.closed(number).0, "");
        bench.story(number)
    };
    let plain = publish(false);
    assert!(plain.iter().any(|line| line.starts_with("chunk")), "{plain:#?}");
    assert_eq!(publish(true), plain);
}

#[test]
fn what_is_no_tls_is_told_so() {
    let authority = Authority::new();
    let server = authority.server(None);
    let mut bench = Bench::quick();
    let (mut http, number) = bench.connect_tls(Protocol::Http, &server);
    http.write_all(b"POST /ch/ingest.isml/Streams(x) HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let (code, detail) = bench.closed(number);
    assert_eq!(code, "TLS_HANDSHAKE");
    assert!(detail.contains("HTTP in the clear") && detail.contains("https://"), "{detail}");
    let told = read_all(&mut http);
    assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("\"code\":\"TLS_HANDSHAKE\""), "{told}");

    let (mut rtmp, number) = bench.connect_tls(Protocol::Rtmp, &server);
    rtmp.write_all(RTMP).unwrap();
    let (code, detail) = bench.closed(number);
    assert_eq!(code, "TLS_HANDSHAKE");
    assert!(detail.contains("rtmps://"), "{detail}");
    drop(rtmp);

    // A record whose length cannot be, one of another type, and what is nothing at all.
    for garbage in [&b"\x16\x03\x01\xff\xff\xff"[..], b"\x17\x03\x03\x00\x01x", b"\x00\x00\x00", b"\xff"] {
        let (mut client, number) = bench.connect_tls(Protocol::Http, &server);
        client.write_all(garbage).unwrap();
        assert_eq!(bench.closed(number).0, "TLS_HANDSHAKE", "{garbage:?}");
    }
}

#[test]
fn tls_to_a_port_in_the_clear_is_named() {
    let authority = Authority::new();
    let mut bench = Bench::quick();
    for (protocol, expected) in [(Protocol::Rtmp, "RTMP_VERSION"), (Protocol::Http, "HTTP_HEAD")] {
        let (mut socket, number) = bench.connect(protocol);
        let hello = sealed(&mut authority.client(None, &TLS13).unwrap(), b"");
        socket.write_all(&hello).unwrap();
        let (code, detail) = bench.closed(number);
        assert_eq!(code, expected);
        assert!(detail.contains("TLS"), "{detail}");
    }
}

#[test]
fn a_handshake_has_its_time_and_who_says_nothing_is_no_fault() {
    let authority = Authority::new();
    let server = authority.server(None);
    let mut bench = Bench::new(Options { handshake_timeout: Duration::from_millis(700), ..quick() });
    let hello = sealed(&mut authority.client(None, &TLS13).unwrap(), b"");
    let (silent, first) = bench.connect_tls(Protocol::Http, &server);
    let (mut slow, second) = bench.connect_tls(Protocol::Http, &server);
    slow.write_all(&hello[..hello.len() / 2]).unwrap();
    assert_eq!(bench.closed(first).0, "");
    let (code, detail) = bench.closed(second);
    assert_eq!(code, "TLS_HANDSHAKE");
    assert!(detail.contains("no handshake within 700 ms"), "{detail}");
    // Its time is the handshake's: one who is through has as long as in the clear.
    let (mut client, mut socket, third) = open(&bench, &authority, Protocol::Http);
    std::thread::sleep(Duration::from_millis(800));
    let request =
        sealed(&mut client, b"POST /ch/ingest.isml/Streams(x) HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    socket.write_all(&request).unwrap();
    bench.request(third);
    drop((silent, slow));

    let (mut cut, fourth) = bench.connect_tls(Protocol::Rtmp, &server);
    cut.write_all(&hello[..9]).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bench.closed(fourth).0, "TLS_HANDSHAKE");
    let (mut reset, number) = bench.connect_tls(Protocol::Http, &server);
    reset.write_all(&hello).unwrap();
    // What the server answered is thrown away unread, so that the end is a reset.
    reset.peek(&mut [0]).unwrap();
    drop(reset);
    assert_eq!(bench.closed(number).0, "TLS_HANDSHAKE");
    let (looked_at, fifth) = bench.connect_tls(Protocol::Rtmp, &server);
    drop(looked_at);
    assert_eq!(bench.closed(fifth).0, "");
}

#[test]
fn a_body_that_is_cut_off_is_not_whole_whatever_is_said_last() {
    let authority = Authority::new();
    for farewell in [true, false] {
        let mut bench = Bench::quick();
        let (mut client, mut socket, number) = open(&bench, &authority, Protocol::Http);
        let mut bytes = sealed(&mut client, &ISMV[..ISMV.len() / 2]);
        bytes.extend(sealed(&mut client, &ISMV[ISMV.len() / 2..ISMV.len() - 9]));
        if farewell {
            client.send_close_notify();
            bytes.extend(sealed(&mut client, b""));
        } else {
            bytes.truncate(bytes.len() - 3);
        }
        socket.write_all(&bytes).unwrap();
        bench.request(number);
        bench.pump.accept(number, None);
        if !farewell {
            socket.shutdown(Shutdown::Write).unwrap();
        }
        assert_eq!(bench.closed(number).0, "HTTP_BODY_TRUNCATED");
        let story = bench.story(number);
        assert!(story.iter().any(|line| line.starts_with("chunk")), "what was complete counts: {story:#?}");
    }
}

#[test]
fn who_says_farewell_with_the_request_still_gets_its_answer() {
    let authority = Authority::new();
    let mut bench = Bench::quick();
    let (mut client, mut socket, number) = open(&bench, &authority, Protocol::Http);
    let mut bytes = sealed(&mut client, ISMV);
    client.send_close_notify();
    bytes.extend(sealed(&mut client, b""));
    socket.write_all(&bytes).unwrap();
    bench.request(number);
    bench.pump.accept(number, None);
    bench.body_end(number);
    bench.ok(number, false);
    assert_eq!(bench.closed(number).0, "");
    assert!(answer(&mut client, &mut socket).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_record_that_was_changed_ends_the_connection_and_what_came_before_is_good() {
    let authority = Authority::new();
    let mut bench = Bench::quick();
    let (mut client, mut socket, number) = open(&bench, &authority, Protocol::Http);
    let mut bytes = sealed(&mut client, ISMV);
    let last = bytes.len() - 30;
    bytes[last] ^= 1;
    socket.write_all(&bytes[..last - 100]).unwrap();
    bench.request(number);
    bench.pump.accept(number, None);
    socket.write_all(&bytes[last - 100..]).unwrap();
    assert_eq!(bench.closed(number).0, "TLS_RECORD");
    assert!(bench.story(number).iter().any(|line| line.starts_with("chunk")));
    assert!(answer(&mut client, &mut socket).is_err(), "an alert, and no answer");
}

#[test]
fn no_change_of_a_handshake_harms_more_than_itself() {
    let authority = Authority::new();
    let server = authority.server(Some(&authority));
    let mut bench = Bench::quick();
    let hello = sealed(&mut authority.client(None, &TLS13).unwrap(), b"");
    for at in 0..hello.len() {
        let mut changed = hello.clone();
        changed[at] ^= 1 << (at % 8);
        let (mut socket, number) = bench.connect_tls(Protocol::Http, &server);
        socket.write_all(&changed).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let code = bench.closed(number).0;
        assert!(["TLS_HANDSHAKE", "TLS_CLIENT_CERTIFICATE"].contains(&code), "{code} for a change at {at}");
    }
}

/// How a client fares that shows a certificate of some authority: the code of the end, or the answer.
fn show(server: &Arc<ServerConfig>, client: Result<ClientConnection, rustls::Error>) -> Result<String, &'static str> {
    let mut bench = Bench::quick();
    let mut client = client.unwrap();
    let (mut socket, number) = bench.connect_tls(Protocol::Http, server);
    let request =
        b"POST /ch/ingest.isml/Streams(x) HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    client.writer().write_all(request).unwrap();
    // In TLS 1.3 the client is through before the server has judged it.
    while client.is_handshaking() || client.wants_write() {
        if client.complete_io(&mut socket).is_err() {
            return Err(bench.closed(number).0);
        }
    }
    let first =
        bench.next("an end or a request", |event| matches!(event, Event::Request { .. } | Event::Closed { .. }));
    if let Event::Closed { code, .. } = first {
        return Err(code);
    }
    bench.ok(number, true);
    Ok(answer(&mut client, &mut socket).unwrap())
}

#[test]
fn an_encoder_shows_a_certificate_where_one_is_demanded() {
    let (authority, encoders, strange) = (Authority::new(), Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let server = authority.server(Some(&encoders));
        let fine = show(&server, authority.client(Some(&encoders), version));
        assert!(fine.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")), "{version:?}");
        assert_eq!(show(&server, authority.client(None, version)), Err("TLS_CLIENT_CERTIFICATE"), "{version:?}");
        assert_eq!(show(&server, authority.client(Some(&strange), version)), Err("TLS_CLIENT_CERTIFICATE"));
        let asks_nobody = authority.server(None);
        assert!(show(&asks_nobody, authority.client(Some(&strange), version)).is_ok(), "nobody looks at it");
        assert_eq!(
            show(&server, strange.client(Some(&encoders), version)),
            Err("TLS_HANDSHAKE"),
            "it does not believe us"
        );
    }
}

#[test]
fn the_end_of_all_is_a_farewell() {
    let authority = Authority::new();
    let bench = Bench::quick();
    let (mut client, mut socket, _) = open(&bench, &authority, Protocol::Rtmp);
    bench.pump.stop();
    assert_eq!(answer(&mut client, &mut socket).unwrap(), "");
}
