//! `tfdt` (ISO 14496-12 8.8.12): decode time of a track fragment's first sample.

use super::{put_full_box, version_and_flags};
use crate::error::Result;
use crate::wire::{Reader, Writer};

/// A decode time with the width it was sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tfdt {
    /// Ticks of the track's timescale.
    pub time: u64,
    /// Sent in 64 bits (version 1). A 32-bit time may be the low half of a longer one.
    pub wide: bool,
}

impl Tfdt {
    /// Parses the box body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (version, _) = version_and_flags(&mut reader)?;
        let wide = version == 1;
        Ok(Self { time: if wide { reader.u64()? } else { u64::from(reader.u32()?) }, wide })
    }
}

/// Writes the box, always with 64 bits: 32 wrap after 13 hours at 90 kHz.
pub fn write(out: &mut Vec<u8>, time: u64) {
    put_full_box(out, *b"tfdt", 1, 0, |out| out.put_u64(time));
}
