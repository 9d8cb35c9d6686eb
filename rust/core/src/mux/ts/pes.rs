//! PES packets (ISO 13818-1 2.4.3.6): a header with time stamps, then one video access unit as a byte stream or some ADTS frames.

use crate::codec::aac::{ADTS_HEADER_SIZE, AacConfig};
use crate::codec::avc::AvcConfig;
use crate::codec::nal;
use crate::error::{Error, Result};
use crate::wire::Writer;

/// Bytes of ADTS frames that one audio PES packet can hold: its length field counts 16 bits from behind itself.
pub(super) const AUDIO_CAPACITY: usize = u16::MAX as usize - 8;

/// Replaces `pes` by the packet of one H.264 access unit (with 4-byte NAL unit lengths).
///
/// ISO 13818-1 2.14 asks for an access unit delimiter; parameter sets go before every sync sample, unless it brings its own.
pub(super) fn write_video(
    sample: &[u8],
    sync: bool,
    config: &AvcConfig,
    pts: i64,
    dts: i64,
    pes: &mut Vec<u8>,
) -> Result<()> {
    pes.clear();
    write_header(STREAM_VIDEO, 0, pts, dts, pes); // length 0: unbounded, which is for video only
    pes.put(&nal::START_CODE);
    pes.put(&[nal::AUD, 0xf0]);
    if sync && nal::parameter_sets(sample).0.is_empty() {
        for set in config.sps.iter().chain(&config.pps) {
            pes.put(&nal::START_CODE);
            pes.put(set);
        }
    }
    for unit in nal::units(sample, 4) {
        let unit = unit?;
        match nal::unit_type(unit) {
            nal::AUD => continue,
            nal::SPS | nal::PPS => pes.put(&nal::START_CODE),
            _ => pes.put(&nal::START_CODE[1..]),
        }
        pes.put(unit);
    }
    Ok(())
}

/// Replaces `pes` by the packet of some raw AAC frames, each behind an ADTS header.
pub(super) fn write_audio<'a>(
    frames: impl Iterator<Item = (&'a AacConfig, &'a [u8])>,
    pts: i64,
    pes: &mut Vec<u8>,
) -> Result<()> {
    pes.clear();
    write_header(STREAM_AUDIO, 0, pts, pts, pes);
    for (config, frame) in frames {
        let header = config.adts_header(frame.len()).ok_or_else(|| {
            let detail = format!("ADTS cannot carry a frame of {} bytes at {} Hz", frame.len(), config.core_rate);
            Error::new("ADTS_UNSUPPORTED", 0, detail).with_status(500)
        })?;
        pes.put(&header);
        pes.put(frame);
    }
    let length = u16::try_from(pes.len() - 6)
        .map_err(|_| Error::new("ADTS_UNSUPPORTED", 0, "more audio than a PES packet holds").with_status(500))?;
    pes[4..6].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Bytes that a raw AAC frame takes in a PES packet.
pub(super) fn audio_size(frame: &[u8]) -> usize {
    frame.len() + ADTS_HEADER_SIZE
}

fn write_header(stream_id: u8, length: u16, pts: i64, dts: i64, pes: &mut Vec<u8>) {
    pes.put(&[0, 0, 1, stream_id]);
    pes.put_u16(length);
    pes.put_u8(0x84); // data_alignment_indicator: an access unit starts here
    if pts == dts {
        pes.put(&[0x80, 5]);
        write_time(0x2, pts, pes);
    } else {
        pes.put(&[0xc0, 10]);
        write_time(0x3, pts, pes);
        write_time(0x1, dts, pes);
    }
}

/// A time stamp modulo 2^33 in three parts, each behind a marker bit.
fn write_time(prefix: u8, time: i64, pes: &mut Vec<u8>) {
    let time = time as u64;
    pes.put_u8(prefix << 4 | (time >> 29) as u8 & 0x0e | 1);
    pes.put_u16((time >> 14) as u16 & 0xfffe | 1);
    pes.put_u16((time << 1) as u16 | 1);
}

const STREAM_AUDIO: u8 = 0xc0;
const STREAM_VIDEO: u8 = 0xe0;
