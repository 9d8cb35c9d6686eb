//! HTTP Dynamic Streaming (Adobe F4V specification, annexes C and E): fragments, bootstrap and metadata.
//!
//! What comes in: the pieces of one fragment's video and audio, or properties. What goes out: an `mdat` of FLV tags, an AMF0 `onMetaData`.
//! Times are milliseconds counted from a base that the caller gives. Never: the bootstrap, which is text about the fragments.

mod metadata;

pub use self::metadata::{Value, write_metadata};

use super::{AccessUnit, PRESENTATION_SHIFT_MS, Piece, collect_units, decode_times, wrong_kind};
use crate::error::{Error, Result};
use crate::media::Codec;
use crate::wire::Writer;

/// Writes one fragment: sequence headers stamped with its start, then the frames in decode order.
///
/// `origin` is the media time of zero in nanoseconds. What is left of a time wraps at 32 bits, as FLV has it.
pub fn write_fragment(video: Option<&[Piece<'_>]>, audio: Option<&[Piece<'_>]>, origin: i64) -> Result<Vec<u8>> {
    let pictures = collect_units(video.unwrap_or_default())?;
    let sounds = collect_units(audio.unwrap_or_default())?;
    let bytes: usize = pictures.iter().chain(&sounds).map(|unit| unit.data.len() + TAG_OVERHEAD).sum();
    let mut out = Vec::with_capacity(bytes + 1024);
    out.put(&[0, 0, 0, 0, b'm', b'd', b'a', b't']);
    let decode_times = decode_times(&pictures);
    let decoded = |time: i64, unit: &AccessUnit<'_>| milliseconds(time, unit.timescale, origin);
    let presented = |time: i64, unit: &AccessUnit<'_>| decoded(time, unit).saturating_add(PRESENTATION_SHIFT_MS);
    let first_picture = pictures.first().zip(decode_times.first()).map(|(picture, decode)| decoded(*decode, picture));
    let first_sound = sounds.first().map(|sound| presented(sound.decode, sound));
    let start = first_picture.into_iter().chain(first_sound).min().unwrap_or(0);
    if let Some(picture) = pictures.first() {
        let Codec::Avc(config) = picture.codec else { return Err(wrong_kind("video")) };
        write_tag(TAG_VIDEO, start, &[KEY_FRAME | AVC, SEQUENCE_HEADER, 0, 0, 0], &config.record, &mut out)?;
    }
    if let Some(sound) = sounds.first() {
        let Codec::Aac(config) = sound.codec else { return Err(wrong_kind("audio")) };
        write_tag(TAG_AUDIO, start, &[AAC, SEQUENCE_HEADER], &config.record, &mut out)?;
    }
    let mut sounds = sounds.iter().peekable();
    for (picture, decode) in pictures.iter().zip(decode_times) {
        let time = decoded(decode, picture);
        // On equal times the picture goes first: clients look for the key frame at the start.
        while let Some(sound) = sounds.next_if(|sound| presented(sound.decode, sound) < time) {
            write_tag(TAG_AUDIO, presented(sound.decode, sound), &[AAC, CODED], sound.data, &mut out)?;
        }
        let kind = if picture.sync { KEY_FRAME } else { INTER_FRAME };
        let offset = presented(picture.composition, picture).wrapping_sub(time);
        let [_, offset @ ..] = (offset as i32).to_be_bytes();
        write_tag(TAG_VIDEO, time, &[kind | AVC, CODED, offset[0], offset[1], offset[2]], picture.data, &mut out)?;
    }
    for sound in sounds {
        write_tag(TAG_AUDIO, presented(sound.decode, sound), &[AAC, CODED], sound.data, &mut out)?;
    }
    let size = u32::try_from(out.len()).map_err(|_| too_large(out.len()))?;
    out[..4].copy_from_slice(&size.to_be_bytes());
    Ok(out)
}

/// Milliseconds from the origin, rounded half up once. Composition and decode times are rounded each for itself, so that neither is off
/// by more than half a millisecond.
fn milliseconds(time: i64, timescale: u32, origin: i64) -> i64 {
    let timescale = i128::from(timescale.max(1));
    let nanoseconds = i128::from(time) * 1_000_000_000 - i128::from(origin) * timescale;
    let unit = timescale * 1_000_000;
    (nanoseconds * 2 + unit).div_euclid(unit * 2) as i64
}

/// A tag and the size of it, which stands behind every tag (annex E.3 and E.4.1).
fn write_tag(kind: u8, time: i64, head: &[u8], data: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let size = head.len() + data.len();
    if size >= 1 << 24 {
        return Err(too_large(size));
    }
    let [extension, time @ ..] = (time as u32).to_be_bytes();
    out.put_u8(kind);
    out.put_u24(size as u32);
    out.put(&time);
    out.put_u8(extension);
    out.put_u24(0); // stream
    out.put(head);
    out.put(data);
    out.put_u32(size as u32 + 11);
    Ok(())
}

fn too_large(size: usize) -> Error {
    Error::new("FRAGMENT_TOO_LARGE", 0, format!("{size} bytes are more than FLV can count")).with_status(500)
}

/// Tag header, AVC head and tag size.
const TAG_OVERHEAD: usize = 11 + 5 + 4;
const TAG_AUDIO: u8 = 8;
const TAG_VIDEO: u8 = 9;
const KEY_FRAME: u8 = 0x10;
const INTER_FRAME: u8 = 0x20;
const AVC: u8 = 7;
/// AAC is always said to be 44 kHz stereo with 16 bits; the sequence header has the truth (E.4.2.1).
const AAC: u8 = 0xaf;
const SEQUENCE_HEADER: u8 = 0;
const CODED: u8 = 1;

#[cfg(test)]
mod tests;
