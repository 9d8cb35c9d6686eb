//! `stsd` (ISO 14496-12 8.5.2): the codec of a track.

use super::btrt::Btrt;
use super::scan::{boxes, name};
use super::{avc1, mp4a, put_full_box, version_and_flags};
use crate::error::{Error, Result};
use crate::media::Codec;
use crate::wire::{Reader, Writer};

/// Parses the first sample entry; fragments that name another one are refused where they do.
pub fn parse(body: &[u8]) -> Result<(Codec, Option<Btrt>)> {
    let mut reader = Reader::new(body);
    version_and_flags(&mut reader)?;
    reader.skip(4)?; // entry_count
    let start = reader.position() as u64;
    let entry = boxes(reader.rest()).next().ok_or_else(|| Error::new("BOX_MISSING", start, "no sample entry"))?;
    let entry = entry.map_err(|error| error.at(start))?;
    let parsed = match &entry.kind {
        b"avc1" | b"avc3" => avc1::parse(entry.body).map(|(config, bitrate)| (Codec::Avc(config), bitrate)),
        b"mp4a" => mp4a::parse(entry.body).map(|(config, bitrate)| (Codec::Aac(config), bitrate)),
        other => {
            let detail = format!("codec {}; avc1, avc3 and mp4a (AAC) are taken", name(*other).escape_default());
            Err(Error::new("CODEC_UNSUPPORTED", 0, detail).with_status(415))
        }
    };
    parsed.map_err(|error| entry.locate(error).at(start))
}

/// Writes the box with one sample entry.
pub fn write(out: &mut Vec<u8>, codec: &Codec, bitrate: Option<Btrt>) {
    put_full_box(out, *b"stsd", 0, 0, |out| {
        out.put_u32(1);
        match codec {
            Codec::Avc(config) => avc1::write(out, config, bitrate),
            Codec::Aac(config) => mp4a::write(out, config, bitrate),
        }
    });
}
