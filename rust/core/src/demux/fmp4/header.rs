//! The header boxes of a body: what its tracks are, and what their fragments leave out.

use std::sync::Arc;

use crate::bmff::live_manifest::Entry;
use crate::bmff::moov::Moov;
use crate::bmff::{init, trex::Trex};
use crate::error::{Error, Result};
use crate::media::{Codec, Track};

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
    pub track: Track,
    pub trex: Trex,
    /// Added to a decode time of `tfdt` to place it on the presentation timeline (edit list).
    pub shift: i64,
}

impl KnownTrack {
    /// Bytes of a NAL unit length in the source, for video.
    pub fn nal_length_size(&self) -> Option<u8> {
        match &self.track.codec {
            Codec::Avc(config) => Some(config.source_length_size),
            Codec::Aac(_) => None,
        }
    }
}

impl Header {
    /// Parses the body of a `moov`.
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let moov = Moov::parse(body)?;
        if moov.tracks.len() > MAX_TRACKS {
            let detail = format!("{} tracks, at most {MAX_TRACKS} are taken", moov.tracks.len());
            return Err(Error::new("TOO_MANY_TRACKS", 0, detail).with_status(413));
        }
        let tracks = moov.tracks.iter().map(|trak| KnownTrack {
            track: init::track(trak),
            trex: moov.defaults_of(trak.track_id),
            shift: trak.edit.shift(moov.timescale, trak.media.timescale),
        });
        Ok(Self { tracks: tracks.collect() })
    }

    /// The tracks as the sender announces them; what the live manifest says of one goes before its `trak`.
    pub(super) fn tracks(&self, names: &[Entry]) -> impl Iterator<Item = Track> {
        self.tracks.iter().map(move |known| {
            let mut track = known.track.clone();
            if let Some(entry) = names.iter().find(|entry| entry.track_id == track.number) {
                track.name.clone_from(&entry.name);
                if !entry.language.is_empty() && entry.language != "und" {
                    track.language.clone_from(&entry.language);
                }
                if entry.bitrate != 0 {
                    track.bitrate = entry.bitrate;
                }
            }
            track
        })
    }

    pub(super) fn find(&self, track_id: u32) -> Option<&KnownTrack> {
        self.tracks.iter().find(|known| known.track.number == track_id)
    }
}
