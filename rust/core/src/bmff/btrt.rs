//! `btrt` (ISO 14496-12 8.5.2): the bitrate the encoder announces.

use crate::error::Result;
use crate::wire::{Reader, Writer};

/// Announced bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Btrt {
    /// Peak over any second.
    pub max: u32,
    /// Average; 0 when not known.
    pub average: u32,
}

impl Btrt {
    /// Parses the box body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        reader.skip(4)?; // bufferSizeDB
        Ok(Self { max: reader.u32()?, average: reader.u32()? })
    }

    /// Writes the box.
    pub fn write(self, out: &mut Vec<u8>) {
        out.put_box(*b"btrt", |out| {
            out.put_u32(0);
            out.put_u32(self.max);
            out.put_u32(self.average);
        });
    }
}
