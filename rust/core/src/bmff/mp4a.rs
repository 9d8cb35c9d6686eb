//! `mp4a` sample entry with `esds` (ISO 14496-12 12.2.3, ISO 14496-14 5.6).

use super::btrt::Btrt;
use super::esds::Esds;
use super::scan::boxes;
use crate::codec::aac::AacConfig;
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// Parses the sample entry's body into the configuration and the announced bitrate.
pub fn parse(body: &[u8]) -> Result<(AacConfig, Option<Btrt>)> {
    let mut reader = Reader::new(body);
    reader.skip(8)?;
    let version = reader.u16()?;
    reader.skip(18)?;
    // QuickTime sound descriptions (QTFF, "Sound Sample Descriptions") put more fields in front of the boxes.
    match version {
        0 => {}
        1 => reader.skip(16)?,
        2 => reader.skip(36)?,
        _ => return Err(Error::new("CODEC_UNSUPPORTED", 8, format!("mp4a version {version}")).with_status(415)),
    }
    let start = reader.position() as u64;
    let (mut config, mut bitrate) = (None, None);
    for found in boxes(reader.rest()) {
        let found = found.map_err(|error| error.at(start))?;
        let locate = |error| found.locate(error).at(start);
        match &found.kind {
            b"esds" => {
                let esds = Esds::parse(found.body).map_err(locate)?;
                if !matches!(esds.object_type, 0x40 | 0x66..=0x68) {
                    let detail = format!("mp4a with object type {:#04x}, which is not AAC", esds.object_type);
                    return Err(locate(Error::new("CODEC_UNSUPPORTED", 0, detail).with_status(415)));
                }
                config = Some(AacConfig::parse(esds.config).map_err(locate)?);
                if esds.average_bitrate != 0 && bitrate.is_none() {
                    bitrate = Some(Btrt { max: esds.max_bitrate, average: esds.average_bitrate });
                }
            }
            b"btrt" => bitrate = Some(Btrt::parse(found.body).map_err(locate)?),
            _ => {}
        }
    }
    let config = config.ok_or_else(|| Error::new("BOX_MISSING", 0, "no esds"))?;
    Ok((config, bitrate))
}

/// Writes an `mp4a` sample entry.
pub fn write(out: &mut Vec<u8>, config: &AacConfig, bitrate: Option<Btrt>) {
    out.put_box(*b"mp4a", |out| {
        out.put(&[0; 6]);
        out.put_u16(1); // data_reference_index
        out.put(&[0; 8]);
        out.put_u16(u16::from(config.channels));
        out.put_u16(16); // samplesize
        out.put_u32(0);
        // 16.16: a rate that does not fit is left to the AudioSpecificConfig (ISO 14496-12 12.2.3.1).
        out.put_u32(u16::try_from(config.output_rate).map_or(0, |rate| u32::from(rate) << 16));
        let (max_bitrate, average_bitrate) = bitrate.map_or((0, 0), |rate| (rate.max, rate.average));
        Esds { object_type: 0x40, max_bitrate, average_bitrate, config: &config.record }.write(out);
        if let Some(bitrate) = bitrate {
            bitrate.write(out);
        }
    });
}
