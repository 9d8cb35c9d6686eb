//! A connection of the HTTP ingest: requests, their framing, and fragmented MP4 in their bodies.

use pypackager_core::demux::fmp4::Fmp4Reader;
use pypackager_core::demux::http::{Event, HttpSession, UNPARSED_LIMIT};

use crate::{fmp4, split};

/// Reads the connection whole and in pieces.
pub fn run(data: &[u8]) {
    let whole = read(std::iter::once(data));
    let parts = read(split::pieces(data));
    assert_eq!(whole, parts, "the split shows");
    for event in &whole.0 {
        if let Event::Media(pypackager_core::demux::fmp4::Event::Chunk(chunk)) = event {
            fmp4::check(chunk);
        }
    }
}

/// Everything that was read, the code of the error, and what was sent.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<&'static str>, Vec<u8>) {
    let (mut session, mut events, mut output, mut failed) = (HttpSession::new(), Vec::new(), Vec::new(), None);
    for piece in pieces {
        let mut input = piece;
        loop {
            let seen = events.len();
            let result = session.feed(input, &mut events);
            input = &[];
            assert!(session.held_bytes() <= UNPARSED_LIMIT + (fmp4::LIMITS.fragment + fmp4::LIMITS.header) as usize);
            if let Err(error) = result {
                assert!(failed.is_none(), "a connection fails once");
                assert!((400..600).contains(&error.status));
                failed = Some(error.code);
                session.respond(error.status, "Bad", "text/plain", error.to_string().as_bytes(), true);
            } else if !decide(&mut session, &events[seen..]) {
                break;
            }
        }
        output.extend(session.take_output());
        if session.should_close() {
            break;
        }
    }
    if failed.is_none() {
        session.finish(&mut events);
    }
    // Offsets inside a gzip stream and texts of errors depend on how it was cut; that it is an error does not.
    let sent = if failed.is_some() { Vec::new() } else { output };
    (events, failed, sent)
}

/// Decides as the daemon would; says whether there was something to decide.
fn decide(session: &mut HttpSession, events: &[Event]) -> bool {
    if !session.is_paused() {
        return false;
    }
    match events.last() {
        Some(Event::Request(head)) if head.method == "POST" => {
            let reader = match session.header() {
                Some(header) => Fmp4Reader::with_header(fmp4::LIMITS, header),
                None => Fmp4Reader::new(fmp4::LIMITS),
            };
            session.accept(reader);
        }
        Some(Event::BodyEnd) => session.respond(200, "OK", "text/plain", b"", false),
        _ => session.respond(404, "Not Found", "text/plain", b"nothing here", false),
    }
    true
}
