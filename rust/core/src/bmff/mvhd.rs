//! `mvhd` (ISO 14496-12 8.2.2): the movie's timescale, in which edit lists count.

use super::{put_full_box, version_and_flags};
use crate::error::Result;
use crate::wire::{Reader, Writer};

/// The unity matrix of `mvhd` and `tkhd` (ISO 14496-12 6.2.2).
pub(super) const UNITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// The movie timescale; 0 is left to the reader of times to refuse.
pub fn parse(body: &[u8]) -> Result<u32> {
    let mut reader = Reader::new(body);
    let (version, _) = version_and_flags(&mut reader)?;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    reader.u32()
}

/// Writes a movie header; a duration of 0 is that of a movie all of which is in fragments (ISO 23000-19 7.5.1).
pub fn write(out: &mut Vec<u8>, timescale: u32, next_track_id: u32, duration: u32) {
    put_full_box(out, *b"mvhd", 0, 0, |out| {
        out.put_u32(0); // creation_time
        out.put_u32(0); // modification_time
        out.put_u32(timescale);
        out.put_u32(duration);
        out.put_u32(0x1_0000); // rate 1.0
        out.put_u16(0x100); // volume 1.0
        out.put(&[0; 10]);
        for value in UNITY {
            out.put_u32(value);
        }
        out.put(&[0; 24]);
        out.put_u32(next_track_id);
    });
}
