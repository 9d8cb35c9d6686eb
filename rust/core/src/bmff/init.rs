//! A stored CMAF header (ISO 23000-19 7.3.1): `ftyp` and `moov` of one track.

use super::moov::Moov;
use super::scan::boxes;
use super::trak::Trak;
use super::trex::Trex;
use crate::codec::avc::AvcConfig;
use crate::error::{Error, Result};
use crate::media::{Codec, Track};

/// A parsed CMAF header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// The track, with its codec.
    pub track: Track,
    /// What its chunks leave out.
    pub defaults: Trex,
}

/// Parses a CMAF header; its first track counts.
pub fn parse_init(data: &[u8]) -> Result<Init> {
    for found in boxes(data) {
        let found = found?;
        if &found.kind == b"moov" {
            let moov = Moov::parse(found.body).map_err(|error| found.locate(error))?;
            let trak = moov.tracks.first().ok_or_else(|| Error::new("BOX_MISSING", 0, "no trak"))?;
            return Ok(Init { track: track(trak), defaults: moov.defaults_of(trak.track_id) });
        }
    }
    Err(Error::new("BOX_MISSING", 0, "no moov"))
}

/// The neutral track of a `trak`.
pub fn track(trak: &Trak) -> Track {
    let bitrate = trak.bitrate.map_or(0, |rate| if rate.average == 0 { rate.max } else { rate.average });
    let frame_rate = match &trak.codec {
        Codec::Avc(AvcConfig { frame_rate, .. }) => *frame_rate,
        Codec::Aac(_) => (0, 1),
    };
    Track {
        number: trak.track_id,
        timescale: trak.media.timescale,
        codec: trak.codec.clone(),
        name: String::new(),
        language: trak.language_tag.clone().unwrap_or_else(|| trak.media.language.clone()),
        bitrate,
        frame_rate,
    }
}
