//! A stored CMAF header (ISO 23000-19 7.3.1): `ftyp` and `moov` of one track.

use super::moov::Moov;
use super::scan::{boxes, name};
use super::trak::{Content, Trak};
use super::trex::Trex;
use crate::codec::avc::AvcConfig;
use crate::error::{Error, Result};
use crate::media::{Codec, SignalTrack, Track};

/// A parsed CMAF header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// The track, with its codec.
    pub track: Track,
    /// What its chunks leave out.
    pub defaults: Trex,
}

/// Parses a CMAF header; its first track of pictures or sound counts.
pub fn parse_init(data: &[u8]) -> Result<Init> {
    for found in boxes(data) {
        let found = found?;
        if &found.kind == b"moov" {
            let moov = Moov::parse(found.body).map_err(|error| found.locate(error))?;
            let found = moov.tracks.iter().find_map(track);
            let track = found.ok_or_else(|| Error::new("BOX_MISSING", 0, "no trak of pictures or sound"))?;
            let defaults = moov.defaults_of(track.number);
            return Ok(Init { track, defaults });
        }
    }
    Err(Error::new("BOX_MISSING", 0, "no moov"))
}

/// The neutral track of a `trak` of pictures or sound.
pub fn track(trak: &Trak) -> Option<Track> {
    let Content::Media(codec, bitrate) = &trak.content else { return None };
    let bitrate = bitrate.map_or(0, |rate| if rate.average == 0 { rate.max } else { rate.average });
    let frame_rate = match codec {
        Codec::Avc(AvcConfig { frame_rate, .. }) => *frame_rate,
        Codec::Aac(_) => (0, 1),
    };
    Some(Track {
        number: trak.track_id,
        timescale: trak.media.timescale,
        codec: codec.clone(),
        name: String::new(),
        language: language(trak),
        bitrate,
        frame_rate,
    })
}

/// The neutral track of a `trak` of signals, as far as it says what it is.
pub fn signals(trak: &Trak) -> Option<SignalTrack> {
    let Content::Signals(format) = trak.content else { return None };
    Some(SignalTrack {
        number: trak.track_id,
        timescale: trak.media.timescale,
        format: format.map(name).unwrap_or_default(),
        language: language(trak),
        ..SignalTrack::default()
    })
}

fn language(trak: &Trak) -> String {
    trak.language_tag.clone().unwrap_or_else(|| trak.media.language.clone())
}
