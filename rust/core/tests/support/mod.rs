//! Captured requests and the packets that went into them.
#![allow(dead_code)] // each test file uses its part

use std::path::PathBuf;

/// A file of `tests/data`.
pub fn data(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

/// The body of a captured request, without its chunk framing.
pub fn body(name: &str) -> Vec<u8> {
    let request = data(name);
    let find = |from: usize, what: &[u8]| {
        from + request[from..].windows(what.len()).position(|window| window == what).unwrap()
    };
    let (mut at, mut body) = (find(0, b"\r\n\r\n") + 4, Vec::new());
    loop {
        let line = find(at, b"\r\n");
        let size = usize::from_str_radix(std::str::from_utf8(&request[at..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&request[line + 2..line + 2 + size]);
        at = line + 4 + size;
    }
}

/// A packet of the file that ffmpeg pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    pub pts: i64,
    pub dts: i64,
    pub size: u32,
    pub sync: bool,
}

/// The packets of one stream, in ticks of its own time base.
pub fn source(stream: usize) -> Vec<Packet> {
    let text = String::from_utf8(data("ffmpeg-source.csv")).unwrap();
    let rows = text
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row.len() >= 6 && row[0] == stream.to_string());
    rows.map(|row| Packet {
        pts: row[1].parse().unwrap(),
        dts: row[2].parse().unwrap(),
        size: row[4].parse().unwrap(),
        sync: row[5].starts_with('K'),
    })
    .collect()
}
