//! What ffmpeg sent, as tracks to be played.

use pypackager_core::demux::fmp4::{Fmp4Reader, Limits};
use pypackager_core::demux::http::{self, HttpSession};
use pypackager_pump::replay::{Track, tracks_of};
use std::sync::Arc;

/// Two video tracks with B-frames, and sound.
const CAPTURE: &[u8] = include_bytes!("../../../core/tests/data/ffmpeg-9.0-cmaf.http");

/// The tracks, in their order.
pub fn material() -> Vec<Arc<Track>> {
    let (mut session, mut events) = (HttpSession::new(), Vec::new());
    session.feed(CAPTURE, &mut events).unwrap();
    session.accept(Fmp4Reader::new(Limits::default()));
    session.feed(&[], &mut events).unwrap();
    let media = events.into_iter().filter_map(|event| match event {
        http::Event::Media(event) => Some(event),
        _ => None,
    });
    tracks_of(media).unwrap().into_iter().map(Arc::new).collect()
}
