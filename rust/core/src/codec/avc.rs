//! H.264: the AVCDecoderConfigurationRecord (ISO 14496-15 5.3.3.1) and what the SPS says (ITU-T H.264 7.3.2.1).
//!
//! What comes in: the record of an `avcC` box or of an RTMP sequence header, or bare parameter sets. What goes out: a normalised record
//! (4-byte lengths declared, chroma fields filled in where the profile demands them), so that sources which differ only there are one
//! configuration.

use super::nal::{self, START_CODE};
use super::sps::{Sps, has_chroma_fields};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// A parsed AVCDecoderConfigurationRecord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    /// The record as it goes into `avcC`, with 4-byte NAL unit lengths declared.
    pub record: Vec<u8>,
    /// Sequence parameter sets (whole NAL units, without start code).
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets (whole NAL units).
    pub pps: Vec<Vec<u8>>,
    /// Displayed width in pixels (after cropping and sample aspect ratio left alone).
    pub width: u16,
    /// Displayed height in pixels.
    pub height: u16,
    /// Frames per second from the VUI timing as a ratio; (0, 1) when absent.
    pub frame_rate: (u32, u32),
    /// Sample aspect ratio; (1, 1) when absent.
    pub pixel_aspect: (u16, u16),
    /// NAL unit length size of the *source* (1, 2 or 4): payloads are rewritten to 4 by the demuxer.
    pub source_length_size: u8,
}

impl AvcConfig {
    /// Parses an `avcC` payload or the body of an RTMP AVC sequence header.
    ///
    /// Missing chroma fields, missing SPS extensions and trailing bytes are tolerated; at least one SPS and one PPS are needed.
    pub fn parse(record: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(record);
        let truncated = |error: Error| invalid(error.offset, error.detail);
        let version = reader.u8().map_err(truncated)?;
        if version != 1 {
            return Err(invalid(0, format!("configurationVersion is {version}, only 1 is known")));
        }
        let profile = reader.bytes(3).map_err(truncated)?;
        let source_length_size = (reader.u8().map_err(truncated)? & 3) + 1;
        if source_length_size == 3 {
            return Err(invalid(4, "lengthSizeMinusOne is 2, which ISO 14496-15 does not allow"));
        }
        let sps_count = reader.u8().map_err(truncated)? & 0x1f;
        let sps = read_sets(&mut reader, sps_count).map_err(truncated)?;
        let pps_count = reader.u8().map_err(truncated)?;
        let pps = read_sets(&mut reader, pps_count).map_err(truncated)?;
        let extensions = if has_chroma_fields(profile[0]) { read_extensions(&mut reader) } else { Vec::new() };
        Self::build([profile[0], profile[1], profile[2]], &sps, &pps, &extensions, source_length_size)
    }

    /// The configuration of a stream whose parameter sets come in band.
    pub fn from_parameter_sets(sps: &[&[u8]], pps: &[&[u8]]) -> Result<Self> {
        match sps.first() {
            Some([_, profile, compatibility, level, ..]) => {
                Self::build([*profile, *compatibility, *level], sps, pps, &[], 4)
            }
            _ => Err(invalid(0, "no sequence parameter set")),
        }
    }

    /// RFC 6381 string, `avc1.PPCCLL`.
    pub fn rfc6381(&self) -> String {
        match self.record.as_slice() {
            [_, profile, compatibility, level, ..] => format!("avc1.{profile:02X}{compatibility:02X}{level:02X}"),
            _ => "avc1".to_owned(),
        }
    }

    /// Parameter sets as a byte stream: `CodecPrivateData` of Smooth Streaming (MS-SSTR 2.2.2.5), and what goes before an IDR
    /// picture in a transport stream.
    pub fn codec_private_data(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for set in self.sps.iter().chain(&self.pps) {
            data.put(&START_CODE);
            data.put(set);
        }
        data
    }

    fn build(
        profile: [u8; 3],
        sps: &[&[u8]],
        pps: &[&[u8]],
        extensions: &[&[u8]],
        source_length_size: u8,
    ) -> Result<Self> {
        if sps.is_empty() || pps.is_empty() {
            return Err(invalid(0, "a sequence and a picture parameter set are needed"));
        }
        if sps.len() > 31 || pps.len() > 255 || sps.iter().chain(pps).any(|set| set.len() > usize::from(u16::MAX)) {
            return Err(invalid(0, "more or longer parameter sets than a record can hold"));
        }
        if pps.iter().any(|set| nal::unit_type(set) != nal::PPS) {
            return Err(invalid(0, "a picture parameter set of another NAL unit type"));
        }
        if sps.iter().any(|set| nal::unit_type(set) != nal::SPS) {
            return Err(invalid(0, "a sequence parameter set of another NAL unit type"));
        }
        // What the first one says is announced; the others are for pictures that name them.
        let first = Sps::parse(sps[0]).ok_or_else(|| invalid(0, "the sequence parameter set cannot be read"))?;
        Ok(Self {
            record: write_record(profile, sps, pps, extensions, &first),
            sps: sps.iter().map(|set| set.to_vec()).collect(),
            pps: pps.iter().map(|set| set.to_vec()).collect(),
            width: first.width,
            height: first.height,
            frame_rate: first.frame_rate,
            pixel_aspect: first.pixel_aspect,
            source_length_size,
        })
    }
}

fn read_sets<'a>(reader: &mut Reader<'a>, count: u8) -> Result<Vec<&'a [u8]>> {
    (0..count)
        .map(|_| {
            let length = reader.u16()?;
            reader.bytes(usize::from(length))
        })
        .collect()
}

/// SPS extension NAL units behind the chroma fields; sources leave out or cut this part, so its absence is no fault.
fn read_extensions<'a>(reader: &mut Reader<'a>) -> Vec<&'a [u8]> {
    let mut read = || {
        reader.skip(3)?;
        let count = reader.u8()?;
        read_sets(reader, count)
    };
    read().unwrap_or_default()
}

fn write_record(profile: [u8; 3], sps: &[&[u8]], pps: &[&[u8]], extensions: &[&[u8]], first: &Sps) -> Vec<u8> {
    let write_sets = |record: &mut Vec<u8>, sets: &[&[u8]]| {
        for set in sets {
            record.put_u16(set.len() as u16);
            record.put(set);
        }
    };
    let mut record = vec![1];
    record.put(&profile);
    record.put_u8(0xff); // reserved bits and lengthSizeMinusOne = 3
    record.put_u8(0xe0 | sps.len() as u8);
    write_sets(&mut record, sps);
    record.put_u8(pps.len() as u8);
    write_sets(&mut record, pps);
    if has_chroma_fields(profile[0]) {
        record.put(&[0xfc | first.chroma_format, 0xf8 | first.luma_depth, 0xf8 | first.chroma_depth]);
        record.put_u8(extensions.len() as u8);
        write_sets(&mut record, extensions);
    }
    record
}

fn invalid(offset: u64, detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new("AVC_CONFIG_INVALID", offset, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
    }

    /// Records of real encodes: B-frames, cropping to 1080 lines, interlaced with 16:11 pixels, 4:2:2 with scaling lists, 4:4:4 at 10 bits.
    const HIGH: &str = "0164001effe1001a6764001eacd940a02ff97011000003000100000300320f162d9601000468ef8fcbfdf8f800";
    const BASELINE: &str = "0142c028ffe100176742c028da01e0089f97011000003e90000ea600f1832a01000468ce0fc8";
    const INTERLACED: &str = "014d401effe10018674d401ef405a126c104000003000400000300c87c50aa8001000468de0fc8";
    const HIGH_422: &str =
        "017a0015ffe1001a677a0015bcd941519e222f0110000003001000000640f162d96001000568ef8fcc03fef8f800";
    const HIGH_444: &str =
        "01f4001effe1001967f4001e90d9b28363fcfe022000007d20003a9801e2c5b2c001000668ef8f192190fffafa00";

    #[test]
    fn records_of_real_encodes() {
        type Row = (&'static str, &'static str, (u16, u16), (u32, u32), (u16, u16));
        let table: [Row; 5] = [
            (HIGH, "avc1.64001E", (640, 360), (25, 1), (1, 1)),
            (BASELINE, "avc1.42C028", (1920, 1080), (30_000, 1001), (1, 1)),
            (INTERLACED, "avc1.4D401E", (720, 576), (25, 1), (16, 11)),
            (HIGH_422, "avc1.7A0015", (322, 182), (50, 1), (1, 1)),
            (HIGH_444, "avc1.F4001E", (426, 240), (60_000, 1001), (1, 1)),
        ];
        for (hex, name, size, rate, aspect) in table {
            let config = AvcConfig::parse(&bytes(hex)).expect(name);
            assert_eq!(config.rfc6381(), name);
            assert_eq!(((config.width, config.height), config.frame_rate, config.pixel_aspect), (size, rate, aspect));
            assert_eq!(config.record, bytes(hex), "a whole record is kept as it is");
            assert_eq!(AvcConfig::from_parameter_sets(&[&config.sps[0]], &[&config.pps[0]]), Ok(config));
        }
    }

    #[test]
    fn missing_chroma_fields_and_short_lengths_are_normalised() {
        let whole = bytes(HIGH);
        let mut short = whole[..whole.len() - 4].to_vec();
        short[4] = 0xfd; // 2-byte lengths
        let config = AvcConfig::parse(&short).expect("lenient");
        assert_eq!((config.record, config.source_length_size), (whole, 2));
    }

    #[test]
    fn private_data_is_a_byte_stream_of_all_sets() {
        let config = AvcConfig::parse(&bytes(BASELINE)).expect("valid");
        let sets: Vec<_> = nal::annexb_units(&config.codec_private_data()).map(<[u8]>::to_vec).collect();
        assert_eq!(sets, [config.sps[0].clone(), config.pps[0].clone()]);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place() {
        let good = bytes(BASELINE);
        let edit = |at: usize, value: u8| {
            let mut record = good.clone();
            record[at] = value;
            AvcConfig::parse(&record).expect_err("broken").offset
        };
        assert_eq!(edit(0, 0), 0, "version");
        assert_eq!(edit(4, 0xfe), 4, "3-byte lengths");
        assert_eq!(edit(5, 0xe0), 0, "no SPS");
        assert_eq!(edit(7, 0xff), 8, "SPS longer than the record");
        assert_eq!(edit(8, 0x68), 0, "a PPS in place of an SPS");
        for end in 0..good.len() {
            assert_eq!(AvcConfig::parse(&good[..end]).expect_err("cut").code, "AVC_CONFIG_INVALID");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_config_or_an_error(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            edits in prop::collection::vec((0usize..40, any::<u8>()), 0..6),
        ) {
            let mut edited = bytes(HIGH_422);
            for (at, value) in edits {
                edited[at] = value;
            }
            let sps = [&[0x67u8][..], &noise].concat();
            for parsed in [
                AvcConfig::parse(&noise),
                AvcConfig::parse(&edited),
                AvcConfig::from_parameter_sets(&[&sps], &[&[0x68]]),
            ] {
                match parsed {
                    Ok(config) => {
                        let again = AvcConfig::parse(&config.record).expect("what was written is read");
                        prop_assert_eq!(AvcConfig { source_length_size: 4, ..config }, again);
                    }
                    Err(error) => prop_assert_eq!(error.code, "AVC_CONFIG_INVALID"),
                }
            }
        }
    }
}
