//! `avc1` and `avc3` sample entries with `avcC` (ISO 14496-12 12.1.3, ISO 14496-15 5.4.2).

use super::btrt::Btrt;
use super::scan::boxes;
use crate::codec::avc::AvcConfig;
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// Parses the sample entry's body into the configuration and the announced bitrate.
pub fn parse(body: &[u8]) -> Result<(AvcConfig, Option<Btrt>)> {
    let mut reader = Reader::new(body);
    reader.skip(FIELDS)?;
    let (mut config, mut bitrate) = (None, None);
    for found in boxes(reader.rest()) {
        let found = found.map_err(|error| error.at(FIELDS as u64))?;
        let locate = |error| found.locate(error).at(FIELDS as u64);
        match &found.kind {
            b"avcC" => config = Some(AvcConfig::parse(found.body).map_err(locate)?),
            b"btrt" => bitrate = Some(Btrt::parse(found.body).map_err(locate)?),
            _ => {}
        }
    }
    let config = config.ok_or_else(|| Error::new("BOX_MISSING", 0, "no avcC"))?;
    Ok((config, bitrate))
}

/// Writes an `avc1` sample entry: parameter sets are out of band.
pub fn write(out: &mut Vec<u8>, config: &AvcConfig, bitrate: Option<Btrt>) {
    out.put_box(*b"avc1", |out| {
        out.put(&[0; 6]);
        out.put_u16(1); // data_reference_index
        out.put(&[0; 16]);
        out.put_u16(config.width);
        out.put_u16(config.height);
        out.put_u32(0x48_0000); // 72 dpi, which the standard fixes
        out.put_u32(0x48_0000);
        out.put_u32(0);
        out.put_u16(1); // frame_count
        out.put(&[0; 32]); // compressorname
        out.put_u16(0x18); // depth
        out.put_u16(0xffff); // pre_defined -1
        out.put_box(*b"avcC", |out| out.put(&config.record));
        if config.pixel_aspect.0 != config.pixel_aspect.1 {
            out.put_box(*b"pasp", |out| {
                out.put_u32(u32::from(config.pixel_aspect.0));
                out.put_u32(u32::from(config.pixel_aspect.1));
            });
        }
        if let Some(bitrate) = bitrate {
            bitrate.write(out);
        }
    });
}

/// Bytes of SampleEntry and VisualSampleEntry fields in front of the boxes.
const FIELDS: usize = 78;
