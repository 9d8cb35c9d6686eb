//! `mfhd` (ISO 14496-12 8.8.5): the sequence number of a movie fragment.

use super::{put_full_box, version_and_flags};
use crate::error::Result;
use crate::wire::{Reader, Writer};

/// The sequence number; jumps mean nothing, senders count per track, per connection or not at all.
pub fn parse(body: &[u8]) -> Result<u32> {
    let mut reader = Reader::new(body);
    version_and_flags(&mut reader)?;
    reader.u32()
}

/// Writes the box.
pub fn write(out: &mut Vec<u8>, sequence: u32) {
    put_full_box(out, *b"mfhd", 0, 0, |out| out.put_u32(sequence));
}
