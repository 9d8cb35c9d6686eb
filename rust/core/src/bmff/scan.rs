//! Box headers (ISO 14496-12 4.2.2) and walking the boxes of a slice.
//!
//! Sizes are outside data: 0 means "to the end", 1 means a 64-bit size follows, and neither may be smaller than the header itself.

use crate::error::{Error, Result};

/// A box header: type, optional extended type, and how long header and box are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The four-character code.
    pub kind: [u8; 4],
    /// The extended type of a `uuid` box.
    pub uuid: Option<[u8; 16]>,
    /// Bytes of the header: 8, 16, 24 or 32.
    pub length: usize,
    /// Bytes of the whole box; `None` when it reaches to the end of the stream (size 0).
    pub size: Option<u64>,
}

impl Header {
    /// The longest header: 32-bit size, type, 64-bit size, extended type.
    pub const MAX: usize = 32;

    /// Bytes of the header that starts with `data`, as far as `data` tells: 8 until the first eight bytes are there.
    pub fn needed(data: &[u8]) -> usize {
        if data.len() < 8 {
            return 8;
        }
        let large = if data[..4] == [0, 0, 0, 1] { 8 } else { 0 };
        let extended = if &data[4..8] == b"uuid" { 16 } else { 0 };
        8 + large + extended
    }

    /// Parses the header at the start of `data`; `None` when more bytes are needed.
    ///
    /// A type that is not printable is `BOX_TYPE`: what follows are not boxes. A size below the header's own length is `BOX_SIZE`.
    pub fn parse(data: &[u8]) -> Result<Option<Self>> {
        let length = Self::needed(data);
        if data.len() < length {
            return Ok(None);
        }
        let kind = [data[4], data[5], data[6], data[7]];
        if !kind.iter().all(|&byte| (0x20..0x7f).contains(&byte) || byte == 0xa9) {
            return Err(Error::new("BOX_TYPE", 4, format!("{kind:02x?} is not a box type")));
        }
        let small = u32::from_be_bytes([data[0], data[1], data[2], data[3]]);
        let size = match small {
            0 => None,
            1 => Some(u64::from_be_bytes(data[8..16].try_into().unwrap_or_default())),
            _ => Some(u64::from(small)),
        };
        if size.is_some_and(|size| size < length as u64) {
            return Err(Error::new(
                "BOX_SIZE",
                0,
                format!("size {} is below the header's {length} bytes", size.unwrap_or(0)),
            )
            .within(&name(kind)));
        }
        let uuid = (&kind == b"uuid").then(|| data[length - 16..length].try_into().unwrap_or_default());
        Ok(Some(Self { kind, uuid, length, size }))
    }
}

/// The type as text, for error paths.
pub fn name(kind: [u8; 4]) -> String {
    kind.iter().map(|&byte| byte as char).collect()
}

/// A box inside a slice that is all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The four-character code.
    pub kind: [u8; 4],
    /// The extended type of a `uuid` box.
    pub uuid: Option<[u8; 16]>,
    /// What follows the header.
    pub body: &'a [u8],
    /// Where the body starts in the walked slice.
    pub offset: u64,
}

impl Found<'_> {
    /// Places an error of this box's body: offset from the walked slice, type in the path.
    pub fn locate(&self, error: Error) -> Error {
        error.at(self.offset).within(&name(self.kind))
    }
}

/// Walks the boxes of `data` one after the other; ends after the first error.
pub fn boxes(data: &[u8]) -> Boxes<'_> {
    Boxes { data, position: 0 }
}

/// Iterator of [`boxes`].
#[derive(Debug, Clone)]
pub struct Boxes<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> Boxes<'a> {
    fn step(&mut self) -> Result<Found<'a>> {
        let rest = &self.data[self.position..];
        let start = self.position as u64;
        let header = Header::parse(rest)
            .map_err(|error| error.at(start))?
            .ok_or_else(|| Error::new("TRUNCATED", start, format!("{} bytes are no box header", rest.len())))?;
        let size = header.size.unwrap_or(rest.len() as u64);
        if size > rest.len() as u64 {
            let detail = format!("size {size} exceeds the {} bytes of its container", rest.len());
            return Err(Error::new("BOX_SIZE", start, detail).within(&name(header.kind)));
        }
        let body = &rest[header.length..size as usize];
        self.position += size as usize;
        Ok(Found { kind: header.kind, uuid: header.uuid, body, offset: start + header.length as u64 })
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<Found<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.data.len() {
            return None;
        }
        let found = self.step();
        if found.is_err() {
            self.position = self.data.len();
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(size: u32, kind: &str, rest: &[u8]) -> Vec<u8> {
        [&size.to_be_bytes()[..], kind.as_bytes(), rest].concat()
    }

    #[test]
    fn every_form_of_size_is_read() {
        let table = [
            (header(0, "mdat", &[]), Some((8, None))),
            (header(8, "free", &[]), Some((8, Some(8)))),
            (header(u32::MAX, "mdat", &[]), Some((8, Some(u64::from(u32::MAX))))),
            (header(1, "mdat", &(1u64 << 63).to_be_bytes()), Some((16, Some(1 << 63)))),
            (header(1, "mdat", &[0; 7]), None),
            (header(24, "uuid", &[7; 16]), Some((24, Some(24)))),
            (header(24, "uuid", &[7; 15]), None),
            (header(1, "uuid", &[&32u64.to_be_bytes()[..], &[7; 16]].concat()), Some((32, Some(32)))),
        ];
        for (bytes, expected) in table {
            let parsed = Header::parse(&bytes).unwrap();
            assert_eq!(parsed.map(|header| (header.length, header.size)), expected, "{bytes:?}");
        }
    }

    #[test]
    fn impossible_headers_are_refused() {
        for bytes in [
            header(7, "free", &[]),
            header(23, "uuid", &[0; 16]),
            header(1, "mdat", &15u64.to_be_bytes()),
            header(1, "mdat", &0u64.to_be_bytes()),
        ] {
            assert_eq!(Header::parse(&bytes).unwrap_err().code, "BOX_SIZE");
        }
        assert_eq!(Header::parse(&header(8, "a\tbc", &[])).unwrap_err().code, "BOX_TYPE");
    }

    #[test]
    fn a_child_larger_than_its_container_is_refused_where_it_starts() {
        let bytes = [header(8, "free", &[]), header(100, "trak", &[0; 20])].concat();
        let error = boxes(&bytes).nth(1).unwrap().unwrap_err();
        assert_eq!((error.code, error.offset, error.path.as_str()), ("BOX_SIZE", 8, "trak"));
    }

    proptest! {
        #[test]
        fn walking_ends_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(boxes(&bytes).count() <= bytes.len() / 8 + 1);
        }
    }
}
