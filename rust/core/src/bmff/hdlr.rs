//! `hdlr` (ISO 14496-12 8.4.3): what a track carries, and the name its writer gave it.

use super::{put_full_box, version_and_flags};
use crate::error::Result;
use crate::media::Kind;
use crate::wire::{Reader, Writer};

/// The handler type, `vide` or `soun` for what is taken in.
pub fn parse(body: &[u8]) -> Result<[u8; 4]> {
    let mut reader = Reader::new(body);
    version_and_flags(&mut reader)?;
    reader.skip(4)?;
    let kind = reader.bytes(4)?;
    Ok([kind[0], kind[1], kind[2], kind[3]])
}

/// Writes the handler of a video or audio track.
pub fn write(out: &mut Vec<u8>, kind: Kind) {
    let (handler, name): (_, &[u8]) = match kind {
        Kind::Video => (b"vide", b"video\0"),
        Kind::Audio => (b"soun", b"audio\0"),
    };
    put_full_box(out, *b"hdlr", 0, 0, |out| {
        out.put_u32(0);
        out.put(handler);
        out.put(&[0; 12]);
        out.put(name);
    });
}
