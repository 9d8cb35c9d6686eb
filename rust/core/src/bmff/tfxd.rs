//! `tfxd` (MS-SSTR 2.2.4.4, fragmented MP4 ingest for version 2): absolute time and duration of a Smooth fragment.

use super::{put_uuid_box, version_and_flags};
use crate::error::Result;
use crate::wire::{Reader, Writer};

/// The extended type of the box.
pub const UUID: [u8; 16] =
    [0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2];

/// Time and duration of a fragment, in ticks of its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tfxd {
    /// Absolute time. Signed: encoders send the AAC priming before zero as a 64-bit wrap.
    pub time: i64,
    /// Duration; some encoders send a wrong one with their last fragment.
    pub duration: u64,
    /// Fragment index (version 2; 32 or 64 bits, as the box has room): the same for the same fragment at every site.
    pub index: Option<u64>,
}

impl Tfxd {
    /// Parses what follows the extended type.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (version, _) = version_and_flags(&mut reader)?;
        let (time, duration) = if version == 0 {
            (i64::from(reader.u32()?), u64::from(reader.u32()?))
        } else {
            (reader.u64()? as i64, reader.u64()?)
        };
        let index = match reader.remaining() {
            _ if version < 2 => None,
            4..8 => Some(u64::from(reader.u32()?)),
            _ => Some(reader.u64()?),
        };
        Ok(Self { time, duration, index })
    }

    /// Writes the box, version 2 when there is an index, else version 1.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_uuid_box(out, UUID, if self.index.is_some() { 2 } else { 1 }, |out| {
            out.put_u64(self.time as u64);
            out.put_u64(self.duration);
            if let Some(index) = self.index {
                out.put_u64(index);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_read_and_negative_times_stay_negative() {
        for tfxd in [
            Tfxd { time: -213_333, duration: 9_600_000, index: None },
            Tfxd { time: i64::MAX, duration: u64::MAX, index: Some(7) },
        ] {
            let mut out = Vec::new();
            tfxd.write(&mut out);
            assert_eq!(Tfxd::parse(&out[24..]).unwrap(), tfxd);
        }
        let short = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9];
        assert_eq!(Tfxd::parse(&short).unwrap(), Tfxd { time: 0xffff_ffff, duration: 9, index: None });
        assert_eq!(Tfxd::parse(&short[..11]).unwrap_err().code, "TRUNCATED");
    }

    #[test]
    fn an_index_has_32_or_64_bits_as_the_box_has_room() {
        let mut body = vec![2, 0, 0, 0];
        body.put_u64(u64::MAX - 9);
        body.put_u64(20_000_000);
        assert_eq!(Tfxd::parse(&body).unwrap_err().code, "TRUNCATED");
        let expected = |index| Tfxd { time: -10, duration: 20_000_000, index: Some(index) };
        body.put_u32(0xffff_fffe);
        assert_eq!(Tfxd::parse(&body).unwrap(), expected(0xffff_fffe));
        body.put_u32(7);
        assert_eq!(Tfxd::parse(&body).unwrap(), expected(0xffff_fffe_0000_0007));
        // What a version 1 has behind its fields is no index.
        body[0] = 1;
        assert_eq!(Tfxd::parse(&body).unwrap().index, None);
    }
}
