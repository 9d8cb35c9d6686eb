//! Program specific information: the PAT and the PMT of a single program (ISO 13818-1 2.4.4.3 and 2.4.4.8).

use super::packet::{PACKET_SIZE, Pid};
use crate::wire::Writer;

/// The payload of the packet with the program association section: the pointer field, then the section.
pub(super) fn association() -> Vec<u8> {
    section(0x00, TRANSPORT_STREAM_ID, |body| {
        body.put_u16(PROGRAM_NUMBER);
        body.put_u16(0xe000 | Pid::MAP.0);
    })
}

/// The payload of the packet with the program map section of the given elementary streams.
pub(super) fn map(video: bool, audio: bool, clock: Pid) -> Vec<u8> {
    section(0x02, PROGRAM_NUMBER, |body| {
        body.put_u16(0xe000 | clock.0);
        body.put_u16(0xf000); // program_info_length 0
        let mut stream = |stream_type, pid: Pid| {
            body.put_u8(stream_type);
            body.put_u16(0xe000 | pid.0);
            body.put_u16(0xf000); // ES_info_length 0
        };
        if video {
            stream(STREAM_TYPE_AVC, Pid::VIDEO);
        }
        if audio {
            stream(STREAM_TYPE_ADTS, Pid::AUDIO);
        }
    })
}

fn section(table_id: u8, extension: u16, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::with_capacity(PACKET_SIZE);
    payload.put_u8(0); // pointer_field
    payload.put_u8(table_id);
    payload.put_u16(0);
    payload.put_u16(extension);
    payload.put(&[0xc1, 0, 0]); // version 0, current; section 0 of 0
    body(&mut payload);
    // Behind the length come everything after it and the CRC.
    let length = (payload.len() - 4 + 4) as u16;
    payload[2..4].copy_from_slice(&(0xb000 | length).to_be_bytes());
    let crc = crc32_mpeg(&payload[1..]);
    payload.put_u32(crc);
    payload
}

/// CRC of Annex A: polynomial 0x04c11db7, not reflected, started at all ones. Two short sections a segment need no table.
pub(super) fn crc32_mpeg(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}

const TRANSPORT_STREAM_ID: u16 = 1;
const PROGRAM_NUMBER: u16 = 1;
const STREAM_TYPE_ADTS: u8 = 0x0f;
const STREAM_TYPE_AVC: u8 = 0x1b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_over_a_whole_section_is_zero() {
        assert_eq!(crc32_mpeg(b"123456789"), 0x0376_e6e7, "the check value of CRC-32/MPEG-2");
        for payload in [association(), map(true, true, Pid::VIDEO), map(false, true, Pid::AUDIO)] {
            assert_eq!(crc32_mpeg(&payload[1..]), 0);
            assert_eq!(usize::from(u16::from_be_bytes([payload[2], payload[3]]) & 0xfff), payload.len() - 4);
        }
    }
}
