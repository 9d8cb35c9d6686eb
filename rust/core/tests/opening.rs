//! A connection that goes on in another session: what was read before the decision is fed again to a fresh one.
#![allow(clippy::unwrap_used)] // a test that fails here says where

use proptest::prelude::*;
use pypackager_core::demux::fmp4::{Fmp4Reader, Limits as MediaLimits};
use pypackager_core::demux::http::{Event as Request, HttpSession};
use pypackager_core::demux::rtmp::{Event, Limits, Mark, RtmpSession};

const CAPTURES: [&[u8]; 3] = [
    include_bytes!("data/rtmp_ffmpeg5_wrap.bin"),
    include_bytes!("data/rtmp_gstreamer.bin"),
    include_bytes!("data/rtmp_obs29.bin"),
];
const ISMV: &[u8] = include_bytes!("data/ffmpeg-9.0-ismv.http");

fn asking() -> RtmpSession {
    RtmpSession::new(Limits { ask_connect: true, keep_opening: true, ..Limits::default() })
}

/// Feeds pieces until the session pauses; gives what is left of them.
fn feed_up_to_the_question<'a>(
    session: &mut RtmpSession,
    mut rest: &'a [u8],
    piece: usize,
) -> (Vec<(Mark, Event)>, &'a [u8]) {
    let mut events = Vec::new();
    while !session.paused() {
        let (now, then) = rest.split_at(piece.min(rest.len()));
        session.feed(now, &mut events).unwrap();
        rest = then;
    }
    (events, rest)
}

/// All that a session says of the rest of its connection, and to its peer, once its decisions are taken.
fn go_on(session: &mut RtmpSession, rest: &[u8]) -> (Vec<(Mark, Event)>, Vec<u8>) {
    let (mut events, mut output) = (Vec::new(), Vec::new());
    session.feed(rest, &mut events).unwrap();
    while session.paused() {
        if session.greeted() {
            session.accept_connect();
        } else {
            session.accept_publish();
        }
        session.feed(&[], &mut events).unwrap();
        output.extend(session.take_output());
    }
    (events, output)
}

proptest! {
    #[test]
    fn a_fresh_session_goes_on_where_another_was_asked(
        capture in 0..CAPTURES.len(), piece in prop_oneof![1usize..100, 1000usize..9000], again in 1usize..6000, late in any::<bool>()
    ) {
        let mut first = asking();
        let (mut asked, mut rest) = feed_up_to_the_question(&mut first, CAPTURES[capture], piece);
        if late {
            first.accept_connect();
            first.feed(&[], &mut asked).unwrap();
            let (more, left) = feed_up_to_the_question(&mut first, rest, piece);
            asked.extend(more);
            rest = left;
        }
        first.take_output();
        let opening = first.opening().unwrap().to_vec();
        prop_assert_eq!(opening.len() + rest.len(), CAPTURES[capture].len());

        let mut second = asking();
        let mut told = Vec::new();
        for piece in opening.chunks(again) {
            second.feed(piece, &mut told).unwrap();
        }
        if late {
            second.accept_connect();
            second.feed(&[], &mut told).unwrap();
        }
        second.take_output();
        prop_assert!(told == asked, "the questions are the same");
        let (events, output) = go_on(&mut second, rest);
        let (expected, said) = go_on(&mut first, rest);
        prop_assert!(events == expected);
        prop_assert!(output == said, "and the peer is told the same");
        prop_assert!(second.opening().is_none(), "a publish that runs stays where it is");
    }

    #[test]
    fn a_fresh_session_is_asked_the_same_request(piece in 1usize..3000, again in 1usize..3000) {
        let (mut first, mut events) = (HttpSession::new(), Vec::new());
        let mut rest = ISMV;
        while !first.is_paused() {
            let (now, then) = rest.split_at(piece.min(rest.len()));
            first.feed(now, &mut events).unwrap();
            rest = then;
        }
        let opening = first.opening().unwrap();
        let (mut second, mut told) = (HttpSession::new(), Vec::new());
        opening.chunks(again).for_each(|piece| second.feed(piece, &mut told).unwrap());
        prop_assert_eq!(&told, &events);
        for session in [&mut first, &mut second] {
            session.accept(Fmp4Reader::new(MediaLimits::default()));
            prop_assert!(session.opening().is_none());
        }
        for piece in [&[], rest] {
            first.feed(piece, &mut events).unwrap();
            second.feed(piece, &mut told).unwrap();
        }
        prop_assert_eq!(events.last(), Some(&Request::BodyEnd));
        prop_assert!(told == events);
    }
}

#[test]
fn a_later_request_of_a_connection_is_told_without_those_before() {
    let bytes = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n\r\nPUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
    let (mut session, mut events) = (HttpSession::new(), Vec::new());
    session.feed(bytes, &mut events).unwrap();
    session.respond(200, "OK", "", &[], false);
    session.feed(&[], &mut events).unwrap();
    let opening = session.opening().unwrap();
    assert!(
        opening.starts_with(b"PUT /b") && opening.ends_with(b"\r\n\r\nbody"),
        "{:?}",
        String::from_utf8_lossy(&opening)
    );
}

#[test]
fn nothing_is_kept_where_nobody_asked_for_it_or_too_much_came() {
    let mut plain = RtmpSession::new(Limits::default());
    plain.feed(CAPTURES[1], &mut Vec::new()).unwrap();
    assert!(plain.paused());
    assert!(plain.opening().is_none());

    // A message that never ends its chunks: pings are answered, and counted.
    let mut flood = asking();
    flood.feed(&CAPTURES[1][..=2 * 1536], &mut Vec::new()).unwrap();
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    for _ in 0..(1 << 20) / ping.len() {
        flood.feed(&ping, &mut Vec::new()).unwrap();
        flood.take_output();
    }
    flood.feed(&CAPTURES[1][1 + 2 * 1536..], &mut Vec::new()).unwrap();
    assert!(flood.greeted());
    assert!(flood.opening().is_none());
}
