//! FLV tag bodies (Adobe FLV 10.1 annex E.4) as RTMP audio and video messages carry them, with the single-track part of Enhanced RTMP v1.
//!
//! In: the body of one tag. Out: where its sequence header or its sample is, and what is known of it. Never: times, tag headers, the
//! configuration itself, codecs other than H.264 and AAC, which are refused with status 415 by name.

use crate::error::{Error, Result};
use crate::payload::Memory;
use crate::wire::Reader;

/// What one tag body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// A sequence header, from byte `start` of the body to its end.
    Config {
        /// Where the configuration's bytes start.
        start: usize,
    },
    /// One access unit, from byte `start` of the body to its end.
    Sample {
        /// Where the sample's bytes start.
        start: usize,
        /// Composition time minus decode time in milliseconds.
        composition: i32,
        /// Whether the sender calls it a key frame (every audio sample is one).
        key: bool,
    },
    /// Nothing for a track: an end of sequence, a command, HDR metadata, an empty body.
    Nothing,
}

/// Parses the body of a video tag (E.4.3).
pub fn parse_video(body: &[u8]) -> Result<Tag> {
    let Some(&first) = body.first() else { return Ok(Tag::Nothing) };
    if first & 0x80 != 0 {
        return parse_enhanced_video(body).map_err(|error| error.within("video"));
    }
    let (frame_type, codec) = (first >> 4, first & 0x0F);
    if frame_type == FRAME_COMMAND {
        return Ok(Tag::Nothing);
    }
    if codec != CODEC_AVC {
        return Err(unsupported(VIDEO_CODECS.get(usize::from(codec)).unwrap_or(&"unknown"), codec).within("video"));
    }
    let packet = Reader::new(&body[1..]).u8().map_err(|error| error.at(1).within("video"))?;
    avc_packet(body, 2, packet, frame_type == FRAME_KEY, packet == 1).map_err(|error| error.within("video"))
}

/// Parses the body of an audio tag (E.4.2).
pub fn parse_audio(body: &[u8]) -> Result<Tag> {
    let Some(&first) = body.first() else { return Ok(Tag::Nothing) };
    let format = first >> 4;
    let parsed = match format {
        FORMAT_AAC => match body.get(1) {
            None => Ok(Tag::Nothing),
            Some(0) => Ok(Tag::Config { start: 2 }),
            Some(1) => Ok(sample(body, 2, 0, true)),
            Some(other) => Err(Error::new("FLV_PACKET_TYPE", 1, format!("AAC packet type {other}"))),
        },
        FORMAT_ENHANCED => parse_enhanced_audio(body),
        other => Err(unsupported(AUDIO_FORMATS[usize::from(other)], other)),
    };
    parsed.map_err(|error| error.within("audio"))
}

/// Cuts a video body down to its NAL units with 4-byte lengths; says whether an IDR picture is among them.
pub fn avc_sample(body: Vec<u8>, start: usize, length_size: u8) -> Result<(Memory, bool)> {
    let size = usize::from(length_size);
    let (mut position, mut idr, mut units) = (start, false, 0);
    while position < body.len() {
        let length =
            body.get(position..position + size).map(|field| field.iter().fold(0, |n, &b| n << 8 | usize::from(b)));
        let unit = length.and_then(|length| body.get(position + size..)?.get(..length));
        let Some(unit) = unit else {
            let detail = format!("a NAL unit passes the end of its {}-byte access unit", body.len() - start);
            return Err(Error::new("NAL_TRUNCATED", position as u64, detail).within("video"));
        };
        idr |= unit.first().is_some_and(|header| header & 0x1F == NAL_IDR);
        position += size + unit.len();
        units += 1;
    }
    if size == 4 {
        return Ok((Memory::behind(body, start), idr));
    }
    let mut wide = Vec::with_capacity(body.len() - start + units * (4 - size));
    position = start;
    while position < body.len() {
        let length = body[position..position + size].iter().fold(0, |n, &b| n << 8 | u32::from(b));
        position += size;
        wide.extend_from_slice(&length.to_be_bytes());
        wide.extend_from_slice(&body[position..position + length as usize]);
        position += length as usize;
    }
    Ok((wide.into(), idr))
}

fn parse_enhanced_video(body: &[u8]) -> Result<Tag> {
    let frame_type = body[0] >> 4 & 7;
    let (position, packet) = skip_modifiers(body)?;
    if packet == EX_MULTITRACK {
        return Err(Error::new("CODEC_UNSUPPORTED", 0, "Enhanced RTMP multitrack: send one track a connection")
            .with_status(415));
    }
    if packet == EX_METADATA || frame_type == FRAME_COMMAND {
        return Ok(Tag::Nothing);
    }
    let (position, fourcc) = four_cc(body, position)?;
    if &fourcc != b"avc1" {
        return Err(unsupported_four_cc(fourcc));
    }
    // CodedFrames (1) of AVC have a composition time, CodedFramesX (3) are those with none.
    let legacy = if packet == 3 { 1 } else { packet };
    avc_packet(body, position, legacy, frame_type == FRAME_KEY, packet == 1)
}

fn parse_enhanced_audio(body: &[u8]) -> Result<Tag> {
    let (position, packet) = skip_modifiers(body)?;
    if packet == EX_AUDIO_MULTITRACK {
        return Err(Error::new("CODEC_UNSUPPORTED", 0, "Enhanced RTMP multitrack: send one track a connection")
            .with_status(415));
    }
    let (position, fourcc) = four_cc(body, position)?;
    if &fourcc != b"mp4a" {
        return Err(unsupported_four_cc(fourcc));
    }
    match packet {
        0 => Ok(Tag::Config { start: position }),
        1 => Ok(sample(body, position, 0, true)),
        _ => Ok(Tag::Nothing),
    }
}

/// Steps over ModEx prefixes (Enhanced RTMP v2); returns where the body goes on and its packet type.
fn skip_modifiers(body: &[u8]) -> Result<(usize, u8)> {
    let mut reader = Reader::new(body);
    let mut packet = reader.u8()? & 0x0F;
    while packet == EX_MODIFIER {
        let mut size = usize::from(reader.u8()?) + 1;
        if size == 256 {
            size = usize::from(reader.u16()?) + 1;
        }
        reader.skip(size)?;
        packet = reader.u8()? & 0x0F;
    }
    Ok((reader.position(), packet))
}

fn four_cc(body: &[u8], position: usize) -> Result<(usize, [u8; 4])> {
    let fourcc = Reader::new(&body[position..]).u32().map_err(|error| error.at(position as u64))?;
    Ok((position + 4, fourcc.to_be_bytes()))
}

/// The part of a body that follows the packet type; the legacy form always has a composition time, also where it means nothing.
fn avc_packet(body: &[u8], position: usize, packet: u8, key: bool, timed: bool) -> Result<Tag> {
    if packet == 2 {
        return Ok(Tag::Nothing); // end of sequence, which some senders cut before the composition time
    }
    let enhanced = body[0] & 0x80 != 0;
    let mut reader = Reader::new(&body[position..]);
    let mut composition = 0;
    if timed || !enhanced {
        // SI24, sign-extended.
        let raw = reader.u24().map_err(|error| error.at(position as u64))?;
        composition = (raw << 8) as i32 >> 8;
    }
    let start = position + reader.position();
    match packet {
        0 => Ok(Tag::Config { start }),
        1 => Ok(sample(body, start, composition, key)),
        other => Err(Error::new("FLV_PACKET_TYPE", 1, format!("AVC packet type {other}"))),
    }
}

fn sample(body: &[u8], start: usize, composition: i32, key: bool) -> Tag {
    if start >= body.len() { Tag::Nothing } else { Tag::Sample { start, composition, key } }
}

fn unsupported(name: &str, id: u8) -> Error {
    Error::new("CODEC_UNSUPPORTED", 0, format!("{name} (FLV codec id {id}); H.264 and AAC are taken")).with_status(415)
}

fn unsupported_four_cc(fourcc: [u8; 4]) -> Error {
    let name = fourcc.escape_ascii();
    Error::new("CODEC_UNSUPPORTED", 0, format!("codec '{name}'; H.264 and AAC are taken")).with_status(415)
}

const FRAME_KEY: u8 = 1;
const FRAME_COMMAND: u8 = 5;
const CODEC_AVC: u8 = 7;
const VIDEO_CODECS: [&str; 14] = [
    "codec 0",
    "JPEG",
    "Sorenson H.263",
    "Screen Video",
    "VP6",
    "VP6 with alpha",
    "Screen Video 2",
    "H.264",
    "H.263",
    "MPEG-4 Part 2",
    "codec 10",
    "codec 11",
    "HEVC",
    "AV1",
];
const FORMAT_AAC: u8 = 10;
const FORMAT_ENHANCED: u8 = 9;
const AUDIO_FORMATS: [&str; 16] = [
    "PCM",
    "ADPCM",
    "MP3",
    "PCM",
    "Nellymoser 16 kHz",
    "Nellymoser 8 kHz",
    "Nellymoser",
    "G.711 A-law",
    "G.711 mu-law",
    "Enhanced RTMP",
    "AAC",
    "Speex",
    "audio format 12",
    "audio format 13",
    "MP3 8 kHz",
    "device-specific sound",
];
const EX_METADATA: u8 = 4;
const EX_AUDIO_MULTITRACK: u8 = 5;
const EX_MULTITRACK: u8 = 6;
const EX_MODIFIER: u8 = 7;
const NAL_IDR: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn samples_of_both_forms_are_found() {
        let cases: [(&[u8], Tag); 11] = [
            (&[0x17, 0, 0, 0, 0, 1], Tag::Config { start: 5 }),
            (b"\x90avc1\x01", Tag::Config { start: 5 }),
            (&[0x17, 2], Tag::Nothing),
            (&[0x17, 1, 0, 0, 40, 9, 9], Tag::Sample { start: 5, composition: 40, key: true }),
            (&[0x27, 1, 0xFF, 0xFF, 0xFE, 9], Tag::Sample { start: 5, composition: -2, key: false }),
            (&[0x27, 1, 0, 0, 0], Tag::Nothing),
            (&[0x17, 2, 0, 0, 0], Tag::Nothing),
            (&[0x57, 0], Tag::Nothing),
            (b"\x91avc1\0\0\x28\x09", Tag::Sample { start: 8, composition: 40, key: true }),
            (b"\xA3avc1\x09", Tag::Sample { start: 5, composition: 0, key: false }),
            (b"\x97\x02\x00\x00\x00\x01avc1\xFF\xFF\xFF\x09", Tag::Sample { start: 13, composition: -1, key: true }),
        ];
        for (body, expected) in cases {
            assert_eq!(parse_video(body).expect("valid"), expected, "{body:?}");
        }
        assert_eq!(parse_audio(&[0xAF, 1, 7]).expect("valid"), Tag::Sample { start: 2, composition: 0, key: true });
        assert_eq!(parse_audio(b"\x91mp4a\x07").expect("valid"), Tag::Sample { start: 5, composition: 0, key: true });
        assert_eq!(parse_audio(&[0xAF, 0, 7]).expect("valid"), Tag::Config { start: 2 });
        assert_eq!(parse_audio(&[0xAF, 1]).expect("valid"), Tag::Nothing);
    }

    #[test]
    fn other_codecs_are_refused_by_name() {
        let video: [(&[u8], &str); 5] = [
            (&[0x12, 0], "Sorenson H.263"),
            (&[0x1C, 0], "HEVC"),
            (b"\x90hvc1\x00", "'hvc1'"),
            (b"\x90av01\x00", "'av01'"),
            (&[0x96, 0], "multitrack"),
        ];
        let audio: [(&[u8], &str); 4] =
            [(&[0x2F, 0], "MP3"), (&[0xB2, 0], "Speex"), (b"\x90Opus", "'Opus'"), (&[0x95, 0], "multitrack")];
        let errors = video.map(|(body, name)| (parse_video(body).expect_err(name), name)).into_iter();
        for (error, name) in errors.chain(audio.map(|(body, name)| (parse_audio(body).expect_err(name), name))) {
            assert_eq!((error.code, error.status), ("CODEC_UNSUPPORTED", 415));
            assert!(error.detail.contains(name), "{error}");
        }
    }

    #[test]
    fn short_lengths_become_four_bytes() {
        let expected = (vec![0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x06].into(), true);
        for (size, body) in [
            (1, &[9, 2, 0x65, 1, 1, 0x06][..]),
            (2, &[9, 0, 2, 0x65, 1, 0, 1, 0x06]),
            (3, &[9, 0, 0, 2, 0x65, 1, 0, 0, 1, 0x06]),
            (4, &[9, 0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x06]),
        ] {
            assert_eq!(avc_sample(body.to_vec(), 1, size).expect("valid"), expected);
        }
        assert_eq!(avc_sample(vec![0, 0, 0, 2, 0x41], 0, 4).expect_err("cut").code, "NAL_TRUNCATED");
        assert_eq!(avc_sample(vec![0xFF; 7], 0, 4).expect_err("cut").code, "NAL_TRUNCATED");
    }

    proptest! {
        #[test]
        fn random_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..64), size in 1u8..=4) {
            if let Ok(Tag::Sample { start, .. }) = parse_video(&body) {
                let _ = avc_sample(body.clone(), start, size);
            }
            let _ = parse_audio(&body);
        }
    }
}
