//! Fragments of any size in a POST of one layer, made while they are sent.
#![allow(dead_code, clippy::unwrap_used)]

use super::{ISMV, read_all};
use pypackager_core::media::{Kind, Sample};
use pypackager_core::mux::cmaf::write_chunk_head;
use std::io::Write;
use std::net::TcpStream;

/// `count` pictures of `size` bytes in one fragment of the capture's first track.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    pub count: usize,
    pub size: usize,
    pub salt: u8,
}

impl Layer {
    pub fn bytes(self) -> usize {
        self.count * self.size
    }

    /// One picture: a NAL unit with 4-byte length.
    pub fn picture(self, index: usize) -> Vec<u8> {
        let mut picture = vec![self.salt.wrapping_add(index as u8); self.size];
        picture[..4].copy_from_slice(&(self.size as u32 - 4).to_be_bytes());
        picture[4] = if index == 0 { 0x65 } else { 0x41 };
        picture
    }

    pub fn crc(self) -> u32 {
        (0..self.count).fold(0, |crc, index| crc32c::crc32c_append(crc, &self.picture(index)))
    }

    /// What stands in front of the pictures of fragment `number`.
    pub fn head(self, number: usize) -> Vec<u8> {
        let sample = |index| Sample { size: self.size as u32, duration: 512, composition: 0, sync: index == 0 };
        let samples: Vec<Sample> = (0..self.count).map(sample).collect();
        let time = number as u64 * 512 * self.count as u64;
        write_chunk_head(number as u32 + 1, 1, time, &samples, self.bytes() as u64, Kind::Video)
    }

    /// Request head and header boxes of a body with `fragments` fragments.
    pub fn opening(self, fragments: usize) -> Vec<u8> {
        let boxes = header_boxes();
        let heads: usize = (0..fragments).map(|number| self.head(number).len()).sum();
        let length = boxes.len() + heads + fragments * self.bytes();
        let request = format!(
            "POST /ch/ingest.isml/Streams(v{}) HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n",
            self.salt
        );
        [request.into_bytes(), boxes].concat()
    }

    pub fn send(self, client: &mut TcpStream, pictures: std::ops::Range<usize>) {
        pictures.for_each(|index| client.write_all(&self.picture(index)).unwrap());
    }
}

/// The answer to the body, without its head.
pub fn status_of(client: &mut TcpStream) -> String {
    read_all(client).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// `ftyp`, live manifest and `moov` of the capture.
fn header_boxes() -> Vec<u8> {
    let start = ISMV.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (mut body, mut rest) = (Vec::new(), &ISMV[start..]);
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        if let Some(moof) = body.windows(4).position(|window| window == b"moof") {
            body.truncate(moof - 4);
            return body;
        }
        rest = &rest[line + 2 + size + 2..];
    }
    unreachable!("the capture has a moof");
}
