//! `trex` (ISO 14496-12 8.8.3): what a track's fragments leave out.

use super::{put_full_box, version_and_flags};
use crate::error::Result;
use crate::wire::{Reader, Writer};

/// Defaults of one track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trex {
    /// The track these are for.
    pub track_id: u32,
    /// Sample description in use, counted from 1.
    pub sample_description_index: u32,
    /// Sample duration.
    pub duration: u32,
    /// Sample size.
    pub size: u32,
    /// Sample flags.
    pub flags: u32,
}

impl Trex {
    /// Parses the box body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        version_and_flags(&mut reader)?;
        Ok(Self {
            track_id: reader.u32()?,
            sample_description_index: reader.u32()?,
            duration: reader.u32()?,
            size: reader.u32()?,
            flags: reader.u32()?,
        })
    }

    /// Writes the box.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_full_box(out, *b"trex", 0, 0, |out| {
            for field in [self.track_id, self.sample_description_index, self.duration, self.size, self.flags] {
                out.put_u32(field);
            }
        });
    }
}
