//! HTTP ingest: what real encoders send arrives whatever way it is cut, and what nobody may send is refused without harm.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use pypackager_core::demux::fmp4::{self, Fmp4Reader, Limits};
use pypackager_core::demux::http::{DRAIN_LIMIT, Event, HttpSession, RequestHead, UNPARSED_LIMIT};
use pypackager_core::error::Error;
use support::{body, data};

const CAPTURES: [&str; 3] = ["ffmpeg-9.0-ismv.http", "ffmpeg-9.0-cmaf.http", "gstreamer-1.22-ismlmux.http"];

/// Feeds pieces, accepts every request and answers 200 at the end of its body.
fn serve<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, String, HttpSession) {
    let (mut session, mut events) = (HttpSession::new(), Vec::new());
    for piece in pieces {
        session.feed(piece, &mut events).unwrap();
        while session.is_paused() {
            if events.last() == Some(&Event::BodyEnd) {
                session.respond(200, "OK", "", b"", false);
            } else {
                session.accept(Fmp4Reader::new(Limits::default()));
            }
            session.feed(&[], &mut events).unwrap();
        }
    }
    let output = String::from_utf8(session.take_output()).unwrap();
    (events, output, session)
}

fn media(events: &[Event]) -> Vec<fmp4::Event> {
    let media =
        events.iter().filter_map(|event| if let Event::Media(event) = event { Some(event.clone()) } else { None });
    media.collect()
}

fn heads(events: &[Event]) -> Vec<&RequestHead> {
    events.iter().filter_map(|event| if let Event::Request(head) = event { Some(head) } else { None }).collect()
}

fn direct(bytes: &[u8]) -> Vec<fmp4::Event> {
    let (mut reader, mut events) = (Fmp4Reader::new(Limits::default()), Vec::new());
    reader.feed(bytes, &mut events).unwrap();
    reader.finish(&mut events).unwrap();
    events
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST /ch/ingest.isml/Streams(a) HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n").as_bytes(), body].concat()
}

fn with_length(body: &[u8]) -> Vec<u8> {
    post(&format!("Content-Length: {}", body.len()), body)
}

#[test]
fn captured_requests_give_the_media_of_their_bodies() {
    for name in CAPTURES {
        let request = data(name);
        let (events, output, session) = serve([request.as_slice()]);
        assert_eq!(heads(&events)[0].target, "/ch/ingest.isml/Streams(x)");
        assert_eq!(media(&events), direct(&body(name)), "{name}");
        assert_eq!(events.last(), Some(&Event::BodyEnd));
        let closes = !name.starts_with("gstreamer");
        assert_eq!(session.should_close(), closes);
        let expected = if closes {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        } else {
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        };
        assert_eq!(output, expected, "{name}");
    }
}

#[test]
fn requests_follow_each_other_on_one_connection_pipelined_or_not() {
    let media_bytes = body(CAPTURES[1]);
    let requests =
        [with_length(&media_bytes), post("Content-Length: 0", b""), post("X: y", b""), with_length(&media_bytes)];
    let (events, output, session) = serve([requests.concat().as_slice()]);
    assert_eq!(heads(&events).len(), 4);
    assert_eq!(events.iter().filter(|event| **event == Event::BodyEnd).count(), 4);
    assert_eq!(media(&events), [direct(&media_bytes), direct(&media_bytes)].concat());
    assert_eq!(output, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(4));
    assert!(!session.should_close());
    assert_eq!(serve(requests.iter().map(Vec::as_slice)).0, events);
}

#[test]
fn a_later_request_can_read_on_with_the_header_of_an_earlier_one() {
    let bytes = body(CAPTURES[1]);
    let cut = bytes.windows(4).position(|window| window == b"moof").unwrap() - 4;
    let (mut events, _, mut session) = serve([with_length(&bytes[..cut]).as_slice()]);
    session.feed(&with_length(&bytes[cut..]), &mut events).unwrap();
    session.accept(Fmp4Reader::with_header(Limits::default(), session.header().unwrap()));
    session.feed(&[], &mut events).unwrap();
    assert_eq!(media(&events), direct(&bytes));
}

#[test]
fn packed_bodies_are_unpacked() {
    let bytes = body(CAPTURES[0]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    let packed = encoder.finish().unwrap();
    let request = |packed: &[u8]| post(&format!("Content-Encoding: gzip\r\nContent-Length: {}", packed.len()), packed);
    assert_eq!(media(&serve(request(&packed).chunks(1000)).0), direct(&bytes));
    for broken in [&packed[..packed.len() - 3], b"no gzip at all, not even a bit of it"] {
        let (mut session, mut events) = (HttpSession::new(), Vec::new());
        session.feed(&request(broken), &mut events).unwrap();
        session.accept(Fmp4Reader::new(Limits::default()));
        assert_eq!(session.feed(&[], &mut events).unwrap_err().code, "HTTP_CONTENT_CODING");
    }
}

#[test]
fn zeros_without_end_are_unpacked_in_bounded_memory() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let free = [&(16u32 << 20).to_be_bytes()[..], b"free", &vec![0; (16 << 20) - 8]].concat();
    encoder.write_all(&free).unwrap();
    let packed = encoder.finish().unwrap();
    let request = post(&format!("Content-Encoding: gzip\r\nContent-Length: {}", packed.len()), &packed);
    let (events, _, session) = serve([request.as_slice()]);
    assert_eq!(events.last(), Some(&Event::BodyEnd));
    assert_eq!(session.held_bytes(), 0);
}

/// A session that has read `bytes` and has not decided.
fn undecided(bytes: &[u8]) -> (HttpSession, Vec<Event>) {
    let (mut session, mut events) = (HttpSession::new(), Vec::new());
    session.feed(bytes, &mut events).unwrap();
    assert!(session.is_paused());
    (session, events)
}

#[test]
fn a_refused_request_with_a_short_body_keeps_the_connection() {
    for bytes in [with_length(&[0; 1000]), post("Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")] {
        let (mut session, mut events) = undecided(&[&bytes[..], &post("X: y", b"")].concat());
        session.respond(403, "Forbidden", "text/plain", b"no", false);
        session.feed(&[], &mut events).unwrap();
        assert_eq!(heads(&events).len(), 2);
        assert!(!session.should_close());
        let expected = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nno";
        assert_eq!(session.take_output(), expected.as_bytes());
        assert!(session.take_output().is_empty());
    }
}

#[test]
fn a_refused_request_that_does_not_end_is_read_over_up_to_a_bound() {
    let (mut session, mut events) = undecided(&post("Transfer-Encoding: chunked", b""));
    session.respond(403, "Forbidden", "", b"", false);
    let piece = [b"10000\r\n".as_slice(), &vec![0; 0x10000], b"\r\n"].concat();
    let mut fed = 0;
    while !session.should_close() {
        session.feed(&piece, &mut events).unwrap();
        fed += 0x10000;
        assert!(fed <= DRAIN_LIMIT);
    }
    assert!(session.is_drained());
    assert_eq!(session.held_bytes(), 0);
}

#[test]
fn a_peer_that_waits_for_100_is_closed_when_refused() {
    let (mut session, _) = undecided(&post("Expect: 100-continue\r\nContent-Length: 5", b""));
    session.respond(401, "Unauthorized\r\nX: y", "", b"", false);
    let expected = "HTTP/1.1 401 UnauthorizedX: y\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(session.take_output(), expected.as_bytes());
    assert!(session.should_close() && !session.is_drained());
}

#[test]
fn an_error_in_the_body_is_answered_and_the_rest_dropped() {
    let (mut session, mut events) = undecided(&post("Transfer-Encoding: chunked", b"8\r\n\x00\x00\x00\x08moof\r\n"));
    session.accept(Fmp4Reader::new(Limits::default()));
    let error = session.feed(&[], &mut events).unwrap_err();
    assert_eq!((error.code, error.status), ("HEADER_MISSING", 412));
    session.feed(&vec![0; 100_000], &mut events).unwrap();
    session.respond(412, "Precondition Failed", "text/plain", error.to_string().as_bytes(), false);
    assert!(session.should_close());
    session.feed(&vec![0; DRAIN_LIMIT as usize], &mut events).unwrap();
    assert!(session.is_drained());
    assert_eq!(session.held_bytes(), 0);
}

#[test]
fn a_connection_that_ends_in_a_body_names_the_loss() {
    let request = data(CAPTURES[1]);
    let (mut events, _, mut session) = serve([&request[..request.len() - 4000]]);
    session.finish(&mut events);
    let codes: Vec<_> = media(&events)
        .into_iter()
        .filter_map(|event| if let fmp4::Event::Warning(error) = event { Some(error.code) } else { None })
        .collect();
    assert_eq!(codes, ["TRUNCATED_FRAGMENT", "HTTP_BODY_TRUNCATED"]);
    assert!(session.should_close());
}

#[test]
fn the_response_to_head_has_no_body() {
    let (mut session, _) = undecided(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    session.respond(405, "Method Not Allowed", "text/plain", b"POST or PUT", false);
    assert!(session.take_output().ends_with(b"\r\n\r\n"));
}

fn refusal(pieces: &[&[u8]]) -> Error {
    let (mut session, mut events) = (HttpSession::new(), Vec::new());
    for piece in pieces {
        if let Err(error) = session.feed(piece, &mut events) {
            assert!(session.is_paused());
            session.respond(error.status, "Bad", "", b"", false);
            assert!(session.should_close());
            return error;
        }
    }
    panic!("nothing was refused: {events:?}");
}

#[test]
fn what_breaks_http_is_refused_with_its_place() {
    let endless = vec![b'a'; 17 << 10];
    let long = post(&format!("X: {}", "y".repeat(17 << 10)), b"");
    let smuggle = post("Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n");
    let request = post("X: y", b"");
    let table: [(&[&[u8]], &str, u16, u64); 5] = [
        (&[&endless], "HTTP_HEAD_TOO_LARGE", 431, 0),
        (&[&long], "HTTP_HEAD_TOO_LARGE", 431, 0),
        (&[b"\r\n\r\n", &smuggle], "HTTP_FRAMING", 400, 4),
        (&[b"\x16\x03\x01\x02\x00\x01\r\n\r\n"], "HTTP_HEAD", 400, 0),
        (&[&request, &vec![0; UNPARSED_LIMIT + 1]], "HTTP_UNPARSED", 413, request.len() as u64),
    ];
    for (pieces, code, status, offset) in table {
        let error = refusal(pieces);
        assert_eq!((error.code, error.status, error.offset), (code, status, offset), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_split_gives_the_same_events(
        name in prop::sample::select(CAPTURES.to_vec()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let bytes = [with_length(&body(CAPTURES[1])), data(name)].concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let (events, output, _) = serve(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
        let (expected, expected_output, _) = serve([bytes.as_slice()]);
        prop_assert_eq!(events, expected);
        prop_assert_eq!(output, expected_output);
    }

    #[test]
    fn any_bytes_end_in_events_or_one_error(
        name in prop::sample::select(CAPTURES.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        reach in prop::sample::select(vec![300usize, 6000, 17_000]),
    ) {
        let mut bytes = data(name);
        for (at, value) in changes {
            bytes[at.index(reach)] = value;
        }
        let (mut session, mut events) = (HttpSession::new(), Vec::new());
        for piece in bytes.chunks(777) {
            let before = events.len();
            if session.feed(piece, &mut events).is_err() {
                break;
            }
            if session.is_paused() && events[before..].iter().any(|event| matches!(event, Event::Request(_))) {
                session.accept(Fmp4Reader::new(Limits::default()));
            }
        }
        prop_assert!(session.held_bytes() <= bytes.len());
        session.finish(&mut events);
    }
}

#[test]
fn one_byte_at_a_time() {
    let bytes = data(CAPTURES[2]);
    assert_eq!(serve(bytes.chunks(1)).0, serve([bytes.as_slice()]).0);
}
