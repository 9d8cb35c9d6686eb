//! `tfhd` (ISO 14496-12 8.8.7): which track a fragment belongs to, where its data is counted from, and its sample defaults.

use super::{put_full_box, version_and_flags};
use crate::error::Result;
use crate::wire::{Reader, Writer};

/// Where data offsets of a track fragment count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// An absolute position in the stream (base-data-offset-present).
    Stream(u64),
    /// The first byte of the `moof` (default-base-is-moof).
    Moof,
    /// Not said: the `moof` for the first track fragment, the end of the one before for the others.
    Implied,
}

/// A track fragment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tfhd {
    /// The track.
    pub track_id: u32,
    /// What data offsets count from.
    pub base: Base,
    /// Sample description, when it is not `trex`'s.
    pub sample_description_index: Option<u32>,
    /// Default sample duration.
    pub duration: Option<u32>,
    /// Default sample size.
    pub size: Option<u32>,
    /// Default sample flags.
    pub flags: Option<u32>,
}

impl Tfhd {
    /// Parses the box body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (_, flags) = version_and_flags(&mut reader)?;
        let track_id = reader.u32()?;
        let base = if flags & BASE_DATA_OFFSET != 0 {
            Base::Stream(reader.u64()?)
        } else if flags & DEFAULT_BASE_IS_MOOF != 0 {
            Base::Moof
        } else {
            Base::Implied
        };
        let mut optional = |bit| if flags & bit != 0 { reader.u32().map(Some) } else { Ok(None) };
        Ok(Self {
            track_id,
            base,
            sample_description_index: optional(SAMPLE_DESCRIPTION_INDEX)?,
            duration: optional(DEFAULT_DURATION)?,
            size: optional(DEFAULT_SIZE)?,
            flags: optional(DEFAULT_FLAGS)?,
        })
    }

    /// Writes the box with the defaults that are there; offsets count from the `moof` (demanded by ISO 23000-19 7.5.16).
    pub fn write(&self, out: &mut Vec<u8>) {
        let fields = [
            (SAMPLE_DESCRIPTION_INDEX, self.sample_description_index),
            (DEFAULT_DURATION, self.duration),
            (DEFAULT_SIZE, self.size),
            (DEFAULT_FLAGS, self.flags),
        ];
        let present =
            fields.iter().filter(|field| field.1.is_some()).fold(DEFAULT_BASE_IS_MOOF, |all, field| all | field.0);
        put_full_box(out, *b"tfhd", 0, present, |out| {
            out.put_u32(self.track_id);
            fields.iter().filter_map(|field| field.1).for_each(|value| out.put_u32(value));
        });
    }
}

const BASE_DATA_OFFSET: u32 = 0x1;
const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
const DEFAULT_DURATION: u32 = 0x8;
const DEFAULT_SIZE: u32 = 0x10;
const DEFAULT_FLAGS: u32 = 0x20;
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_for_every_choice_of_defaults() {
        for bits in 0..16 {
            let given = |bit: u32, value: u32| (bits & bit != 0).then_some(value);
            let tfhd = Tfhd {
                track_id: 5,
                base: Base::Moof,
                sample_description_index: given(1, 1),
                duration: given(2, 1024),
                size: given(4, 77),
                flags: given(8, 0x0200_0000),
            };
            let mut out = Vec::new();
            tfhd.write(&mut out);
            assert_eq!(Tfhd::parse(&out[8..]).unwrap(), tfhd);
        }
    }

    #[test]
    fn a_base_data_offset_has_64_bits() {
        let body = [&[0, 0, 0, 0x39, 0, 0, 0, 1][..], &0x1_0000_0000u64.to_be_bytes(), &[0; 12]].concat();
        assert_eq!(Tfhd::parse(&body).unwrap().base, Base::Stream(0x1_0000_0000));
        assert_eq!(Tfhd::parse(&body[..27]).unwrap_err().code, "TRUNCATED");
    }
}
