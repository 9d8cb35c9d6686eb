//! `moov` (ISO 14496-12 8.2.1): the tracks of a movie and their fragment defaults.

use super::btrt::Btrt;
use super::mvhd;
use super::scan::boxes;
use super::trak::{self, Trak};
use super::trex::Trex;
use crate::error::{Error, Result};
use crate::media::Codec;
use crate::wire::Writer;

/// A parsed movie box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moov {
    /// Ticks per second of edit lists.
    pub timescale: u32,
    /// Tracks in their order; their numbers differ.
    pub tracks: Vec<Trak>,
    /// Fragment defaults, by track number.
    pub defaults: Vec<Trex>,
}

impl Moov {
    /// Parses the box body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut moov = Self { timescale: 1000, tracks: Vec::new(), defaults: Vec::new() };
        for found in boxes(body) {
            let found = found?;
            let locate = |error| found.locate(error);
            match &found.kind {
                b"mvhd" => moov.timescale = mvhd::parse(found.body).map_err(locate)?.max(1),
                b"trak" => {
                    let track = Trak::parse(found.body).map_err(locate)?;
                    if moov.tracks.iter().any(|other| other.track_id == track.track_id) {
                        let detail = format!("track_ID {} twice", track.track_id);
                        return Err(locate(Error::new("TRACK_ID", 0, detail)));
                    }
                    moov.tracks.push(track);
                }
                b"mvex" => {
                    for inner in boxes(found.body) {
                        let inner = inner.map_err(locate)?;
                        if &inner.kind == b"trex" {
                            let trex = Trex::parse(inner.body).map_err(|error| locate(inner.locate(error)))?;
                            moov.defaults.push(trex);
                        }
                    }
                }
                _ => {}
            }
        }
        if moov.tracks.is_empty() {
            return Err(Error::new("BOX_MISSING", 0, "no trak"));
        }
        Ok(moov)
    }

    /// The fragment defaults of a track; zeros when the movie has none for it.
    pub fn defaults_of(&self, track_id: u32) -> Trex {
        self.defaults.iter().find(|trex| trex.track_id == track_id).copied().unwrap_or(Trex {
            track_id,
            sample_description_index: 1,
            ..Trex::default()
        })
    }
}

/// Writes the movie box of one live track.
pub fn write(out: &mut Vec<u8>, track_id: u32, timescale: u32, language: &str, codec: &Codec, bitrate: Option<Btrt>) {
    out.put_box(*b"moov", |out| {
        mvhd::write(out, timescale, track_id.saturating_add(1), 0);
        trak::write(out, track_id, timescale, language, codec, bitrate);
        out.put_box(*b"mvex", |out| {
            Trex { track_id, sample_description_index: 1, ..Trex::default() }.write(out);
        });
    });
}
