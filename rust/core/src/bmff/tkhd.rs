//! `tkhd` (ISO 14496-12 8.3.2): the track's number and its visual size.

use super::mvhd::UNITY;
use super::{put_full_box, version_and_flags};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// The `track_ID`, which is never 0.
pub fn parse(body: &[u8]) -> Result<u32> {
    let mut reader = Reader::new(body);
    let (version, _) = version_and_flags(&mut reader)?;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    match reader.u32()? {
        0 => Err(Error::new("TRACK_ID", reader.position() as u64 - 4, "track_ID is 0")),
        id => Ok(id),
    }
}

/// Writes a track header; `size` is the presentation size in pixels, (0, 0) for sound.
pub fn write(out: &mut Vec<u8>, track_id: u32, size: (u16, u16)) {
    // Flags: track enabled, in movie, in preview.
    put_full_box(out, *b"tkhd", 0, 7, |out| {
        out.put_u32(0); // creation_time
        out.put_u32(0); // modification_time
        out.put_u32(track_id);
        out.put_u32(0);
        out.put_u32(0); // duration: all of it is in fragments
        out.put(&[0; 8]);
        out.put_u16(0); // layer
        out.put_u16(0); // alternate_group
        out.put_u16(if size == (0, 0) { 0x100 } else { 0 }); // volume
        out.put_u16(0);
        for value in UNITY {
            out.put_u32(value);
        }
        out.put_u32(u32::from(size.0) << 16);
        out.put_u32(u32::from(size.1) << 16);
    });
}
