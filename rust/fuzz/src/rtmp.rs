//! A connection of an RTMP publisher, and its frames cut into chunks.

use pypackager_core::demux::cut::{CutOptions, Cutter, Output};
use pypackager_core::demux::rtmp::{Event, Limits, Mark, RtmpSession};

use crate::{fmp4, split};

/// Small enough for inputs to reach them, but for the output, whose limit depends on how often it is taken.
const LIMITS: Limits = Limits {
    max_message: 64 << 10,
    max_unparsed: 8 << 10,
    max_chunk_streams: 8,
    max_publishes: 3,
    max_output: 1 << 24,
    ask_connect: true,
    keep_opening: true,
};

/// Reads the connection whole and in pieces.
pub fn run(data: &[u8]) {
    let whole = read(std::iter::once(data));
    let parts = read(split::pieces(data));
    if whole != parts {
        // NaN is not equal to itself, the text of it is; to write all of it each time would take longer than to read it.
        assert_eq!(format!("{whole:?}"), format!("{parts:?}"), "the split shows");
    }
    cut(whole.0);
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<(Mark, Event)>, Option<&'static str>) {
    let (mut session, mut events) = (RtmpSession::new(LIMITS), Vec::new());
    for piece in pieces {
        let mut result = session.feed(piece, &mut events);
        while session.paused() {
            if session.greeted() {
                session.accept_connect();
            } else {
                session.accept_publish();
            }
            result = result.and_then(|()| session.feed(&[], &mut events));
        }
        session.take_output();
        if let Err(error) = result {
            assert!(session.should_close());
            return (events, Some(error.code));
        }
    }
    (events, None)
}

fn cut(events: Vec<(Mark, Event)>) {
    let options = CutOptions { max_pending_bytes: 32 << 10, ..CutOptions::default() };
    let (mut cutter, mut out) = (Cutter::new(options), Vec::new());
    for (mark, event) in events {
        // Publishes of one connection are cut together.
        let key = |track: u32| u64::from(mark) << 32 | u64::from(track);
        match event {
            Event::Track(track) => cutter.set_track(key(track.number), track, &mut out),
            Event::Frame(frame) => cutter.push(key(frame.track), frame, &mut out),
            _ => {}
        }
        for output in std::mem::take(&mut out) {
            match output {
                Output::Jump { key, .. } => cutter.resume(key, &mut out),
                Output::Chunk { chunk, .. } => fmp4::check(&chunk),
                _ => {}
            }
        }
    }
}
