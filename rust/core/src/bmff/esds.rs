//! `esds` (ISO 14496-14 5.6.1): the ES_Descriptor (ISO 14496-1 7.2.6.5) with an AudioSpecificConfig in it.

use super::{put_full_box, version_and_flags};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// What an elementary stream descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Esds<'a> {
    /// objectTypeIndication: 0x40 for MPEG-4 audio, 0x66..0x68 for MPEG-2 AAC.
    pub object_type: u8,
    /// Peak bits per second; 0 when not known.
    pub max_bitrate: u32,
    /// Average bits per second; 0 when not known.
    pub average_bitrate: u32,
    /// DecoderSpecificInfo: the AudioSpecificConfig; empty when there is none.
    pub config: &'a [u8],
}

impl<'a> Esds<'a> {
    /// Parses the box body.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        version_and_flags(&mut reader)?;
        let mut es = Reader::new(descriptor(&mut reader, ES_DESCRIPTOR)?);
        es.skip(2)?; // ES_ID
        let flags = es.u8()?;
        if flags & 0x80 != 0 {
            es.skip(2)?; // dependsOn_ES_ID
        }
        if flags & 0x40 != 0 {
            let length = es.u8()?;
            es.skip(usize::from(length))?; // URL
        }
        if flags & 0x20 != 0 {
            es.skip(2)?; // OCR_ES_ID
        }
        let mut decoder = Reader::new(descriptor(&mut es, DECODER_CONFIG)?);
        let object_type = decoder.u8()?;
        decoder.skip(4)?; // stream type, buffer size
        let (max_bitrate, average_bitrate) = (decoder.u32()?, decoder.u32()?);
        let config = if decoder.remaining() == 0 { &[][..] } else { descriptor(&mut decoder, DECODER_SPECIFIC)? };
        Ok(Self { object_type, max_bitrate, average_bitrate, config })
    }

    /// Writes the box as ISO 14496-14 fixes it for files: ES_ID 0, SLConfig predefined 2.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_full_box(out, *b"esds", 0, 0, |out| {
            put_descriptor(out, ES_DESCRIPTOR, |out| {
                out.put_u16(0);
                out.put_u8(0);
                put_descriptor(out, DECODER_CONFIG, |out| {
                    out.put_u8(self.object_type);
                    out.put_u8(0x15); // AudioStream, upStream 0, reserved 1
                    out.put_u24(0); // bufferSizeDB
                    out.put_u32(self.max_bitrate);
                    out.put_u32(self.average_bitrate);
                    put_descriptor(out, DECODER_SPECIFIC, |out| out.put(self.config));
                });
                put_descriptor(out, SL_CONFIG, |out| out.put_u8(2));
            });
        });
    }
}

/// The body of the next descriptor, which must carry `tag`.
fn descriptor<'a>(reader: &mut Reader<'a>, tag: u8) -> Result<&'a [u8]> {
    let at = reader.position() as u64;
    let found = reader.u8()?;
    if found != tag {
        return Err(Error::new("ESDS", at, format!("descriptor {found:#04x} where {tag:#04x} belongs")));
    }
    // ISO 14496-1 8.3.3: up to four bytes of seven bits.
    let mut length = 0usize;
    for _ in 0..4 {
        let byte = reader.u8()?;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    reader.bytes(length)
}

fn put_descriptor(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    body(&mut inner);
    out.put_u8(tag);
    let mut shift = [21, 14, 7].into_iter().find(|&shift| inner.len() >> shift != 0).unwrap_or(0);
    while shift > 0 {
        out.put_u8((inner.len() >> shift) as u8 & 0x7f | 0x80);
        shift -= 7;
    }
    out.put_u8(inner.len() as u8 & 0x7f);
    out.put(&inner);
}

const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;
const SL_CONFIG: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_any_length_survive() {
        for length in [2usize, 5, 100, 200, 20_000] {
            let config = vec![0x11; length];
            let esds = Esds { object_type: 0x40, max_bitrate: 2, average_bitrate: 1, config: &config };
            let mut out = Vec::new();
            esds.write(&mut out);
            assert_eq!(Esds::parse(&out[8..]).unwrap(), esds);
        }
    }

    #[test]
    fn padded_lengths_and_a_wrong_tag() {
        let body = [
            &[0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 24, 0, 3, 0, 4, 0x80, 0x80, 0x80, 16, 0x40, 0x15, 0, 0, 0][..],
            &[0, 0, 0, 9, 0, 0, 0, 8, 5, 1, 0x12, 6, 1, 2],
        ]
        .concat();
        let esds = Esds::parse(&body).unwrap();
        assert_eq!((esds.max_bitrate, esds.average_bitrate, esds.config), (9, 8, &[0x12][..]));
        assert_eq!(Esds::parse(&[0, 0, 0, 0, 4, 0]).unwrap_err().code, "ESDS");
    }
}
