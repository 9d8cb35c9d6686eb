//! The header boxes of a body: what its tracks are, and what their fragments leave out.

use std::sync::Arc;

use super::Event;
use crate::bmff::live_manifest::Entry;
use crate::bmff::moov::Moov;
use crate::bmff::{init, trak::Trak, trex::Trex};
use crate::error::{Error, Result};
use crate::media::{Codec, SignalTrack, Track};

/// Tracks of one body, and track fragments of one `moof`: far above any ladder, and what is searched stays short.
pub(super) const MAX_TRACKS: usize = 64;

/// The tracks of a `moov`; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    tracks: Arc<[KnownTrack]>,
}

/// A track with what is needed to read its fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownTrack {
    pub number: u32,
    pub timescale: u32,
    content: Content,
    pub trex: Trex,
    /// Added to a decode time of `tfdt` to place it on the presentation timeline (edit list).
    pub shift: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Media(Track),
    Signals(SignalTrack),
}

impl KnownTrack {
    fn new(trak: &Trak, moov: &Moov) -> Option<Self> {
        let content = init::track(trak).map(Content::Media).or_else(|| init::signals(trak).map(Content::Signals))?;
        let timescale = trak.media.timescale;
        let shift = trak.edit.shift(moov.timescale, timescale);
        Some(Self { number: trak.track_id, timescale, content, trex: moov.defaults_of(trak.track_id), shift })
    }

    /// Bytes of a NAL unit length in the source, for video.
    pub fn nal_length_size(&self) -> Option<u8> {
        match &self.content {
            Content::Media(Track { codec: Codec::Avc(config), .. }) => Some(config.source_length_size),
            Content::Media(_) | Content::Signals(_) => None,
        }
    }

    /// Whether its fragments are signals.
    pub fn carries_signals(&self) -> bool {
        matches!(self.content, Content::Signals(_))
    }

    fn announce(&self, entry: Option<&Entry>) -> Event {
        match (&self.content, entry) {
            (Content::Media(track), None) => Event::Track(track.clone()),
            (Content::Media(track), Some(entry)) => Event::Track(Track {
                name: entry.name.clone(),
                language: language(&track.language, entry),
                bitrate: if entry.bitrate == 0 { track.bitrate } else { entry.bitrate },
                ..track.clone()
            }),
            (Content::Signals(track), None) => Event::SignalTrack(track.clone()),
            (Content::Signals(track), Some(entry)) => Event::SignalTrack(SignalTrack {
                name: entry.name.clone(),
                language: language(&track.language, entry),
                parent: entry.parent.clone(),
                output: entry.output,
                subtype: entry.subtype.clone(),
                scheme: entry.scheme.clone(),
                ..track.clone()
            }),
        }
    }
}

fn language(own: &str, entry: &Entry) -> String {
    if entry.language.is_empty() || entry.language == "und" { own.to_owned() } else { entry.language.clone() }
}

impl Header {
    /// Parses the body of a `moov`.
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let moov = Moov::parse(body)?;
        if moov.tracks.len() > MAX_TRACKS {
            let detail = format!("{} tracks, at most {MAX_TRACKS} are taken", moov.tracks.len());
            return Err(Error::new("TOO_MANY_TRACKS", 0, detail).with_status(413));
        }
        Ok(Self { tracks: moov.tracks.iter().filter_map(|trak| KnownTrack::new(trak, &moov)).collect() })
    }

    /// The tracks as the sender announces them; what the live manifest says of one goes before its `trak`.
    pub(super) fn announce(&self, names: &[Entry]) -> impl Iterator<Item = Event> {
        self.tracks.iter().map(|known| known.announce(names.iter().find(|entry| entry.track_id == known.number)))
    }

    pub(super) fn find(&self, track_id: u32) -> Option<&KnownTrack> {
        self.tracks.iter().find(|known| known.number == track_id)
    }
}
