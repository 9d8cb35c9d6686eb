//! `trak` (ISO 14496-12 8.3.1) with `mdia`: everything about one track that is said before its first fragment.

use super::btrt::Btrt;
use super::edts::Edit;
use super::mdhd::Mdhd;
use super::scan::boxes;
use super::{elng, hdlr, minf, tkhd};
use crate::error::{Error, Result};
use crate::media::Codec;
use crate::wire::Writer;

/// A parsed track box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trak {
    /// The `track_ID`.
    pub track_id: u32,
    /// Timescale and language.
    pub media: Mdhd,
    /// BCP 47 tag of `elng`, when there is one.
    pub language_tag: Option<String>,
    /// What it carries.
    pub content: Content,
    /// The edit list.
    pub edit: Edit,
}

/// What a track carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Pictures or sound, with the announced bitrate.
    Media(Codec, Option<Btrt>),
    /// Anything else, with the kind of the sample entry when there is one.
    Signals(Option<[u8; 4]>),
}

impl Trak {
    /// Parses the box body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let (mut track_id, mut edit, mut media) = (None, Edit::default(), None);
        for found in boxes(body) {
            let found = found?;
            let locate = |error| found.locate(error);
            match &found.kind {
                b"tkhd" => track_id = Some(tkhd::parse(found.body).map_err(locate)?),
                b"edts" => edit = Edit::parse(found.body).map_err(locate)?,
                b"mdia" => media = Some(Mdia::parse(found.body).map_err(locate)?),
                _ => {}
            }
        }
        let track_id = track_id.ok_or_else(|| Error::new("BOX_MISSING", 0, "no tkhd"))?;
        let media = media.ok_or_else(|| Error::new("BOX_MISSING", 0, "no mdia"))?;
        Ok(Self { track_id, media: media.header, language_tag: media.language_tag, content: media.content, edit })
    }
}

/// Writes a track box without edit list.
pub fn write(out: &mut Vec<u8>, track_id: u32, timescale: u32, language: &str, codec: &Codec, bitrate: Option<Btrt>) {
    out.put_box(*b"trak", |out| {
        tkhd::write(out, track_id, presentation_size(codec));
        out.put_box(*b"mdia", |out| {
            Mdhd { timescale, language: language.to_owned() }.write(out, 0);
            hdlr::write(out, codec.kind());
            if language.len() != 3 && !language.is_empty() {
                elng::write(out, language);
            }
            minf::write(out, codec, bitrate);
        });
    });
}

struct Mdia {
    header: Mdhd,
    language_tag: Option<String>,
    content: Content,
}

impl Mdia {
    fn parse(body: &[u8]) -> Result<Self> {
        let (mut header, mut handler, mut language_tag, mut information) = (None, None, None, None);
        for found in boxes(body) {
            let found = found?;
            match &found.kind {
                b"mdhd" => header = Some(Mdhd::parse(found.body).map_err(|error| found.locate(error))?),
                b"hdlr" => handler = Some(hdlr::parse(found.body).map_err(|error| found.locate(error))?),
                // A tag that is none leaves mdhd's word; it is no reason to refuse the media.
                b"elng" => language_tag = elng::parse(found.body).ok(),
                b"minf" => information = Some(found),
                _ => {}
            }
        }
        let header = header.ok_or_else(|| Error::new("BOX_MISSING", 0, "no mdhd"))?;
        if handler.is_some_and(|handler| handler != *b"vide" && handler != *b"soun") {
            // Nobody decodes it here, so nothing but its times has to be understood.
            let format = information.and_then(|found| minf::format(found.body));
            return Ok(Self { header, language_tag, content: Content::Signals(format) });
        }
        let information = information.ok_or_else(|| Error::new("BOX_MISSING", 0, "no minf"))?;
        let (codec, bitrate) = minf::parse(information.body).map_err(|error| information.locate(error))?;
        let expected = match codec.kind() {
            crate::media::Kind::Video => *b"vide",
            crate::media::Kind::Audio => *b"soun",
        };
        if handler.is_some_and(|handler| handler != expected) {
            return Err(Error::new("HANDLER", 0, "the handler does not fit the codec").within("hdlr"));
        }
        Ok(Self { header, language_tag, content: Content::Media(codec, bitrate) })
    }
}

/// Pixels as shown: width stretched by the sample aspect ratio (ISO 14496-12 8.3.2.3).
fn presentation_size(codec: &Codec) -> (u16, u16) {
    match codec {
        Codec::Avc(config) => {
            let (across, down) = config.pixel_aspect;
            let width = u32::from(config.width) * u32::from(across) / u32::from(down.max(1));
            (u16::try_from(width).unwrap_or(u16::MAX), config.height)
        }
        Codec::Aac(_) => (0, 0),
    }
}
