//! LiveServerManifestBox (fragmented MP4 ingest, `uuid` a5d40b30-…): a SMIL document that names the tracks of a `moov`.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::error::{Error, Result};

/// The extended type of the box.
pub const UUID: [u8; 16] =
    [0xa5, 0xd4, 0x0b, 0x30, 0xe8, 0x14, 0x11, 0xdd, 0xba, 0x2f, 0x08, 0x00, 0x20, 0x0c, 0x9a, 0x66];

/// What the document says of one track; what it does not say is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// `trackID`: the `track_ID` in the `moov`; 0 when it does not say.
    pub track_id: u32,
    /// `trackName`. Not unique: ffmpeg names all video layers alike.
    pub name: String,
    /// `systemLanguage`.
    pub language: String,
    /// `systemBitrate`.
    pub bitrate: u32,
    /// `parentTrackName`: of a sparse track.
    pub parent: String,
    /// `manifestOutput`: payloads of a sparse track stand in the client manifest.
    pub output: bool,
    /// `Subtype` of a text stream.
    pub subtype: String,
    /// `Scheme` of a text stream.
    pub scheme: String,
}

/// Parses what follows the extended type: version, flags and the document.
pub fn parse(body: &[u8]) -> Result<Vec<Entry>> {
    let document = body.get(4..).ok_or_else(|| Error::new("TRUNCATED", 0, "no version and flags"))?;
    let mut reader = Reader::from_reader(document);
    let mut entries: Vec<Entry> = Vec::new();
    let mut open = false;
    loop {
        let event = reader.read_event();
        let at = 4 + reader.buffer_position();
        match event.map_err(|error| Error::new("LIVE_MANIFEST", at, error.to_string()))? {
            Event::Start(element) if is_track(&element) => {
                entries.push(entry(&element));
                open = true;
            }
            Event::Empty(element) if is_track(&element) => entries.push(entry(&element)),
            Event::Start(element) | Event::Empty(element) if open && element.local_name().as_ref() == b"param" => {
                if let Some(entry) = entries.last_mut() {
                    set(entry, &attribute(&element, b"name"), attribute(&element, b"value"));
                }
            }
            Event::End(element) if TRACKS.contains(&element.local_name().as_ref()) => open = false,
            Event::Eof => return Ok(entries),
            _ => {}
        }
    }
}

fn is_track(element: &BytesStart<'_>) -> bool {
    TRACKS.contains(&element.local_name().as_ref())
}

/// Attributes on the element itself say the same as its params (MS-SSTR senders use either).
fn entry(element: &BytesStart<'_>) -> Entry {
    let mut entry = Entry::default();
    for name in ["systemBitrate", "systemLanguage"] {
        set(&mut entry, name, attribute(element, name.as_bytes()));
    }
    entry
}

fn set(entry: &mut Entry, name: &str, value: String) {
    if value.is_empty() || value.len() > 256 {
        return;
    }
    match name {
        "trackID" => entry.track_id = value.parse().unwrap_or(entry.track_id),
        "trackName" => entry.name = value,
        "systemLanguage" => entry.language = value,
        "parentTrackName" => entry.parent = value,
        "manifestOutput" => entry.output = value == "1" || value.eq_ignore_ascii_case("true"),
        "Subtype" => entry.subtype = value,
        "Scheme" => entry.scheme = value,
        "systemBitrate" => entry.bitrate = value.parse().unwrap_or(entry.bitrate),
        _ => {}
    }
}

fn attribute(element: &BytesStart<'_>, name: &[u8]) -> String {
    let found = element.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name);
    found.and_then(|attribute| attribute.unescape_value().ok().map(|value| value.trim().to_owned())).unwrap_or_default()
}

const TRACKS: [&[u8]; 5] = [b"video", b"audio", b"textstream", b"img", b"ref"];

#[cfg(test)]
mod tests {
    use super::*;

    fn document(inside: &str) -> Vec<u8> {
        format!("\0\0\0\0<?xml version=\"1.0\"?><smil xmlns=\"x\"><head/><body><switch>{inside}</switch></body></smil>")
            .into_bytes()
    }

    #[test]
    fn params_and_attributes_are_read_per_track() {
        let body = document(
            "<video systemBitrate='900' src='s'><param name='trackID' value='2'/><param name='trackName' value='a &amp; b'></param></video>\
             <param name='trackID' value='9'/><audio systemBitrate='x' systemLanguage='deu'><param name='trackID' value='3'/></audio>",
        );
        assert_eq!(
            parse(&body).unwrap(),
            [
                Entry { track_id: 2, name: "a & b".into(), bitrate: 900, ..Entry::default() },
                Entry { track_id: 3, language: "deu".into(), ..Entry::default() },
            ]
        );
    }

    #[test]
    fn a_text_stream_names_its_parent_and_says_what_it_carries() {
        let body = document(
            "<textstream systemBitrate='0'><param name='trackName' value='ads'/><param name='parentTrackName' value='v'/>\
             <param name='manifestOutput' value='TRUE'/><param name='Subtype' value='DATA'/>\
             <param name='Scheme' value='urn:scte:scte35:2013:bin'/></textstream><textstream><param name='manifestOutput' value='no'/></textstream>",
        );
        let ads = Entry {
            name: "ads".into(),
            parent: "v".into(),
            output: true,
            subtype: "DATA".into(),
            scheme: "urn:scte:scte35:2013:bin".into(),
            ..Entry::default()
        };
        assert_eq!(parse(&body).unwrap(), [ads, Entry::default()]);
    }

    #[test]
    fn what_is_no_xml_is_refused_and_an_empty_document_names_nothing() {
        assert_eq!(parse(&document("<video></audio>")).unwrap_err().code, "LIVE_MANIFEST");
        assert_eq!(parse(&[0; 4]).unwrap(), []);
        assert_eq!(parse(&[0; 3]).unwrap_err().code, "TRUNCATED");
    }
}
