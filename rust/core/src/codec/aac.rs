//! AAC: the AudioSpecificConfig (ISO 14496-3 1.6.2.1), explicit and implicit SBR and PS, and the ADTS header (1.A.2.2).
//!
//! What comes in: the config of an `esds` box or an RTMP sequence header. What goes out: rates, channels and frame length, the RFC 6381
//! string, ADTS headers. Never: a look into raw frames.

use super::bits::BitReader;
use crate::error::{Error, Result};

/// A parsed AudioSpecificConfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacConfig {
    /// The AudioSpecificConfig as the source sent it.
    pub record: Vec<u8>,
    /// Object type to announce: 2 LC, 5 HE-AAC v1 (SBR), 29 HE-AAC v2 (SBR + PS).
    pub object_type: u8,
    /// Sample rate of the AAC-LC core in Hz.
    pub core_rate: u32,
    /// Sample rate a decoder gives out (twice the core's with SBR).
    pub output_rate: u32,
    /// Channels a decoder gives out.
    pub channels: u8,
    /// Object type of the core, which an ADTS header carries: 1 Main, 2 LC, 3 SSR, 4 LTP.
    pub core_object_type: u8,
    /// `channelConfiguration` of the core; 0 when a program config element describes the channels.
    pub channel_config: u8,
    /// Samples of a frame at the core's rate: 1024, or 960.
    pub frame_length: u16,
}

impl AacConfig {
    /// Parses an AudioSpecificConfig (`esds` DecoderSpecificInfo, RTMP AAC sequence header).
    ///
    /// Reads hierarchical and backward compatible signalling of SBR and PS (1.6.5.2); trailing bytes are tolerated.
    pub fn parse(record: &[u8]) -> Result<Self> {
        let mut reader = BitReader::new(record);
        let fields = read_config(&mut reader).ok_or_else(|| {
            invalid(reader.position(), "the AudioSpecificConfig is cut short or holds a reserved value")
        })?;
        if !matches!(fields.core_object_type, 1..=4) {
            let detail = format!("audio object type {} is not AAC Main, LC, SSR or LTP", fields.core_object_type);
            return Err(invalid(0, detail).with_status(415));
        }
        let ratio_fits = fields.output_rate == fields.core_rate || fields.output_rate == fields.core_rate * 2;
        if !(1..=MAX_RATE).contains(&fields.output_rate) || !ratio_fits {
            return Err(invalid(0, format!("sample rates {} and {}", fields.core_rate, fields.output_rate)));
        }
        Ok(Self { record: record.to_vec(), ..fields })
    }

    /// RFC 6381 string, `mp4a.40.N`.
    pub fn rfc6381(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }

    /// Timescale of stored tracks: the output sample rate, so that one frame is 1024 (LC) or 2048 (SBR) ticks.
    pub fn timescale(&self) -> u32 {
        self.output_rate
    }

    /// Ticks of one access unit at [`Self::timescale`].
    pub fn frame_ticks(&self) -> u32 {
        u32::from(self.frame_length) * (self.output_rate / self.core_rate.max(1)).max(1)
    }

    /// The ADTS header without CRC for a raw frame of `frame_size` bytes; `None` when 13 bits cannot hold it or the core's rate has no index.
    ///
    /// The header states the core: SBR and PS stay implicit, as 1.A.3 has it.
    pub fn adts_header(&self, frame_size: usize) -> Option<[u8; ADTS_HEADER_SIZE]> {
        let size = u16::try_from(frame_size.checked_add(ADTS_HEADER_SIZE)?).ok().filter(|size| *size < 1 << 13)?;
        let rate = SAMPLE_RATES.iter().position(|rate| *rate == self.core_rate)? as u8;
        // The header has three bits: layouts beyond it, and those of a program config element, become the plain one of as many channels.
        let channels = match (self.channel_config, self.channels) {
            (config @ 1..=7, _) => config,
            (_, 8) => 7,
            (_, count) => {
                if count < 7 {
                    count
                } else {
                    0
                }
            }
        };
        Some([
            0xff,
            0xf1, // MPEG-4, layer 0, no CRC
            (self.core_object_type.saturating_sub(1) & 3) << 6 | rate << 2 | channels >> 2,
            (channels & 3) << 6 | (size >> 11) as u8,
            (size >> 3) as u8,
            (size as u8 & 7) << 5 | 0x1f, // buffer fullness 0x7ff: variable rate
            0xfc,
        ])
    }
}

fn read_config(reader: &mut BitReader<'_>) -> Option<AacConfig> {
    let mut object_type = read_object_type(reader)?;
    let core_rate = read_rate(reader)?;
    let channel_config = reader.bits(4)? as u8;
    let mut core_object_type = object_type;
    let mut output_rate = core_rate;
    if matches!(object_type, SBR | PS) {
        output_rate = read_rate(reader)?;
        core_object_type = read_object_type(reader)?;
    }
    // GASpecificConfig, 4.4.1; the other object types have configs of their own, and the caller refuses them.
    let (mut frame_length, mut channels) = (1024, channel_count(channel_config));
    if matches!(core_object_type, 1..=4) {
        if reader.flag()? {
            frame_length = 960;
        }
        if reader.flag()? {
            reader.skip(14)?; // coreCoderDelay
        }
        reader.flag()?; // extensionFlag
        if channel_config == 0 {
            channels = Some(read_program_channels(reader)?);
        }
        if object_type == core_object_type {
            if let Some((extension, rate)) = read_extension(reader) {
                (object_type, output_rate) = (extension, rate);
            }
        }
    }
    let channels = if object_type == PS { Some(2) } else { channels };
    Some(AacConfig {
        record: Vec::new(),
        object_type,
        core_rate,
        output_rate,
        channels: channels?,
        core_object_type,
        channel_config,
        frame_length,
    })
}

/// Backward compatible signalling behind the core's config: object type to announce and output rate.
fn read_extension(reader: &mut BitReader<'_>) -> Option<(u8, u32)> {
    if reader.bits(11)? != SYNC_SBR || read_object_type(reader)? != SBR || !reader.flag()? {
        return None;
    }
    let rate = read_rate(reader)?;
    let mut parametric_stereo = || Some(reader.bits(11)? == SYNC_PS && reader.flag()?);
    Some((if parametric_stereo() == Some(true) { PS } else { SBR }, rate))
}

fn read_object_type(reader: &mut BitReader<'_>) -> Option<u8> {
    match reader.bits(5)? {
        31 => Some(32 + reader.bits(6)? as u8),
        object_type => Some(object_type as u8),
    }
}

fn read_rate(reader: &mut BitReader<'_>) -> Option<u32> {
    match reader.bits(4)? {
        15 => reader.bits(24),
        index => SAMPLE_RATES.get(index as usize).copied(),
    }
}

/// Table 1.19; `None` for reserved values, and for 0 which leaves it to a program config element.
fn channel_count(config: u8) -> Option<u8> {
    match config {
        1..=6 => Some(config),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        13 => Some(24),
        _ => None,
    }
}

/// Counts the channels of a program config element (4.4.1.1) and leaves the reader behind it.
fn read_program_channels(reader: &mut BitReader<'_>) -> Option<u8> {
    reader.skip(10)?; // element_instance_tag, object_type, sampling_frequency_index
    let (front, side, back) = (reader.bits(4)?, reader.bits(4)?, reader.bits(4)?);
    let (low, data, coupling) = (reader.bits(2)?, reader.bits(3)?, reader.bits(4)?);
    for mixdown_bits in [4, 4, 3] {
        if reader.flag()? {
            reader.skip(mixdown_bits)?;
        }
    }
    let mut channels = low;
    for _ in 0..front + side + back {
        channels += 1 + reader.bits(1)?; // a channel pair element
        reader.skip(4)?;
    }
    reader.skip((low * 4 + data * 4 + coupling * 5) as usize)?;
    reader.align();
    let comment = reader.bits(8)? as usize;
    reader.skip(comment * 8)?;
    (channels > 0).then_some(channels as u8)
}

fn invalid(bit: usize, detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new("AAC_CONFIG_INVALID", (bit / 8) as u64, detail)
}

/// Bytes of an ADTS header without CRC.
pub const ADTS_HEADER_SIZE: usize = 7;
/// Twice the highest rate of table 1.18; the escape could say 16 MHz.
const MAX_RATE: u32 = 192_000;
const SBR: u8 = 5;
const PS: u8 = 29;
const SYNC_SBR: u32 = 0x2b7;
const SYNC_PS: u32 = 0x548;
/// Table 1.18.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_to_signal_sbr_and_ps() {
        type Row = (&'static [u8], &'static str, u32, u32, u8, u32);
        let table: [Row; 8] = [
            (&[0x12, 0x10], "mp4a.40.2", 44_100, 44_100, 2, 1024),
            (&[0x11, 0xb0], "mp4a.40.2", 48_000, 48_000, 6, 1024),
            (&[0x12, 0x14], "mp4a.40.2", 44_100, 44_100, 2, 960),
            // Hierarchical: the outer object type is 5 or 29.
            (&[0x2b, 0x92, 0x08, 0x00], "mp4a.40.5", 22_050, 44_100, 2, 2048),
            (&[0xeb, 0x8a, 0x08, 0x00], "mp4a.40.29", 22_050, 44_100, 2, 2048),
            // Backward compatible: an LC config with the extension behind it.
            (&[0x13, 0x90, 0x56, 0xe5, 0xa0], "mp4a.40.5", 22_050, 44_100, 2, 2048),
            (&[0x13, 0x88, 0x56, 0xe5, 0xa5, 0x48, 0x80], "mp4a.40.29", 22_050, 44_100, 2, 2048),
            // Sample rate index 15: 24 bits of rate follow.
            (&[0x17, 0x80, 0x5d, 0xc0, 0x10], "mp4a.40.2", 48_000, 48_000, 2, 1024),
        ];
        for (record, name, core, output, channels, ticks) in table {
            let config = AacConfig::parse(record).expect(name);
            assert_eq!(config.rfc6381(), name);
            assert_eq!((config.core_rate, config.output_rate, config.channels), (core, output, channels), "{name}");
            assert_eq!((config.frame_ticks(), config.record.as_slice()), (ticks, record));
        }
    }

    #[test]
    fn a_program_config_element_gives_the_channels() {
        // Quadraphonic: front and back pair, a comment, then an extension that says "no SBR". 2.1: front pair and LFE.
        let comment = b"\x0cLavc63.1.102\x56\xe5\x00";
        for (head, channels) in [
            (&[0x11, 0x80, 0x04, 0xc4, 0x04, 0x00, 0x21, 0x10][..], 4),
            (&[0x11, 0x80, 0x04, 0xc4, 0x01, 0x00, 0x20, 0x00], 3),
            (&[0x11, 0x80, 0x04, 0xc8, 0x0c, 0x00, 0x01, 0x08, 0xc8, 0x20], 8),
        ] {
            let config = AacConfig::parse(&[head, comment].concat()).expect("valid");
            assert_eq!((config.channels, config.channel_config, config.object_type), (channels, 0, 2));
        }
    }

    #[test]
    fn other_object_types_are_unsupported_and_cut_configs_invalid() {
        // 42 (USAC) takes the escape: 31, then 10 in six bits.
        let usac = AacConfig::parse(&[0xf9, 0x46, 0x40, 0x00]).expect_err("USAC");
        assert_eq!((usac.code, usac.status), ("AAC_CONFIG_INVALID", 415));
        for cut in [&[][..], &[0x12], &[0x2b, 0x92], &[0x17, 0x80, 0x5d], &[0x16, 0x90]] {
            let error = AacConfig::parse(cut).expect_err("cut short");
            assert_eq!((error.code, error.status), ("AAC_CONFIG_INVALID", 400));
        }
    }

    #[test]
    fn impossible_rates_are_refused() {
        // AOT 5 with an escaped core rate of 1 Hz, of 0 Hz, and a core that is faster than what comes out.
        for record in
            [[0x2f, 0x80, 0x00, 0x00, 0x92, 0x08], [0x2f, 0x80, 0x00, 0x00, 0x12, 0x08], [0x29, 0x92, 0x08, 0, 0, 0]]
        {
            assert_eq!(AacConfig::parse(&record).expect_err("rates").code, "AAC_CONFIG_INVALID");
        }
    }

    #[test]
    fn adts_states_the_core() {
        let config = AacConfig::parse(&[0x2b, 0x92, 0x08, 0x00]).expect("valid");
        let header = config.adts_header(500).expect("fits");
        // syncword; LC, 22.05 kHz, stereo; 507 bytes; variable rate
        assert_eq!(header, [0xff, 0xf1, 0x5c, 0x80, 0x3f, 0x7f, 0xfc]);
        assert_eq!(config.adts_header(8184), config.adts_header(8184).filter(|h| h[3] & 3 == 3));
        assert_eq!(config.adts_header(8185), None);
        assert_eq!(config.adts_header(usize::MAX), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_config_or_an_error(record in prop::collection::vec(any::<u8>(), 0..64)) {
            match AacConfig::parse(&record) {
                Ok(config) => {
                    prop_assert!(config.channels > 0 && config.core_rate > 0 && config.frame_ticks() > 0);
                    config.adts_header(record.len());
                }
                Err(error) => prop_assert_eq!(error.code, "AAC_CONFIG_INVALID"),
            }
        }
    }
}
