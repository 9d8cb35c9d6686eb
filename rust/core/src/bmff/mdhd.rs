//! `mdhd` (ISO 14496-12 8.4.2): timescale and language of a track.

use super::{put_full_box, version_and_flags};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// A media header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mdhd {
    /// Ticks per second, never 0.
    pub timescale: u32,
    /// ISO 639-2/T code, `und` when unknown.
    pub language: String,
}

impl Mdhd {
    /// Parses the box body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (version, _) = version_and_flags(&mut reader)?;
        reader.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = reader.u32()?;
        if timescale == 0 {
            return Err(Error::new("TIMESCALE", reader.position() as u64 - 4, "timescale is 0"));
        }
        reader.skip(if version == 1 { 8 } else { 4 })?;
        Ok(Self { timescale, language: unpack(reader.u16()?) })
    }

    /// Writes the box; a language that is not three lower-case letters becomes `und` (the `elng` box carries it).
    ///
    /// A duration of 0 is that of a track all of which is in fragments.
    pub fn write(&self, out: &mut Vec<u8>, duration: u64) {
        let short = u32::try_from(duration).ok();
        put_full_box(out, *b"mdhd", short.is_none().into(), 0, |out| {
            out.put(&[0; 16][..if short.is_some() { 8 } else { 16 }]); // creation_time, modification_time
            out.put_u32(self.timescale);
            match short {
                Some(duration) => out.put_u32(duration),
                None => out.put_u64(duration),
            }
            out.put_u16(pack(&self.language).or_else(|| pack("und")).unwrap_or(0));
            out.put_u16(0);
        });
    }
}

/// Three letters as 5-bit differences from 0x60.
fn pack(language: &str) -> Option<u16> {
    match language.as_bytes() {
        letters @ [_, _, _] if letters.iter().all(u8::is_ascii_lowercase) => {
            Some(letters.iter().fold(0, |packed, &letter| packed << 5 | u16::from(letter - 0x60)))
        }
        _ => None,
    }
}

fn unpack(packed: u16) -> String {
    let letters = [packed >> 10 & 31, packed >> 5 & 31, packed & 31];
    if letters.iter().all(|letter| (1..=26).contains(letter)) {
        letters.iter().map(|&letter| (letter as u8 + 0x60) as char).collect()
    } else {
        "und".to_owned() // QuickTime's language numbers, or zeros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_survive_and_others_become_und() {
        for (given, expected) in [("deu", "deu"), ("und", "und"), ("de-AT", "und"), ("", "und"), ("DEU", "und")] {
            let mut out = Vec::new();
            for duration in [0, u64::from(u32::MAX) + 1] {
                out.clear();
                Mdhd { timescale: 48_000, language: given.to_owned() }.write(&mut out, duration);
                assert_eq!(Mdhd::parse(&out[8..]).unwrap(), Mdhd { timescale: 48_000, language: expected.to_owned() });
            }
        }
        assert_eq!(unpack(0), "und");
        assert_eq!(unpack(0x7fff), "und");
    }

    #[test]
    fn a_timescale_of_zero_is_refused() {
        assert_eq!(Mdhd::parse(&[0; 24]).unwrap_err().code, "TIMESCALE");
    }
}
