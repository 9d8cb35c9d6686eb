//! The header boxes of a fragmented MP4 stream: `ftyp`, live manifest, `moov`.

use super::isml::{AGENT, TRACK_ID};
use pypackager_core::bmff::btrt::Btrt;
use pypackager_core::bmff::{live_manifest, moov};
use pypackager_core::media::{Codec, Track as Header};
use pypackager_core::wire::Writer;
use std::fmt::Write;

/// What every POST of the stream begins with; always the same bytes.
pub(super) fn write_headers(header: &Header, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_box(*b"ftyp", |out| {
        out.put(b"isml");
        out.put_u32(1);
        out.put(b"pifs");
        out.put(b"iso2");
    });
    out.put_box(*b"uuid", |out| {
        out.put(&live_manifest::UUID);
        out.put_u32(0);
        out.put(manifest(header, name).as_bytes());
    });
    let rate = (header.bitrate != 0).then_some(Btrt { max: header.bitrate, average: header.bitrate });
    moov::write(&mut out, TRACK_ID, header.timescale, &header.language, &header.codec, rate);
    out
}

fn manifest(header: &Header, name: &str) -> String {
    let Header { language, bitrate, timescale, .. } = header;
    let (element, specific) = match &header.codec {
        Codec::Avc(config) => {
            let size = format!("{}{}", param("MaxWidth", config.width), param("MaxHeight", config.height));
            let private = hexadecimal(&config.codec_private_data());
            ("video", format!("{}{}{size}", param("FourCC", "H264"), param("CodecPrivateData", private)))
        }
        Codec::Aac(config) => {
            let rate = format!("{}{}", param("SamplingRate", config.output_rate), param("Channels", config.channels));
            (
                "audio",
                format!("{}{}{rate}", param("FourCC", "AACL"), param("CodecPrivateData", hexadecimal(&config.record))),
            )
        }
    };
    let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let common = format!("{}{}{}", param("trackID", TRACK_ID), param("trackName", name), param("timescale", timescale));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\"><head>\
         <meta name=\"creator\" content=\"{AGENT}\"/></head><body><switch><{element} src=\"\" systemBitrate=\"{bitrate}\" \
         systemLanguage=\"{language}\">{common}{specific}</{element}></switch></body></smil>"
    )
}

fn param(name: &str, value: impl std::fmt::Display) -> String {
    format!("<param name=\"{name}\" value=\"{value}\" valuetype=\"data\"/>")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}
