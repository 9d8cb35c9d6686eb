//! Big-endian reading with an offset for the error, and writing of boxes and tags.

use crate::error::{Error, Result};

/// Reads big-endian fields from a slice; every failure says at which byte.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.data.len() - self.position
    }

    /// The next `count` bytes, borrowed.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.remaining() {
            return Err(Error::new(
                "TRUNCATED",
                self.position as u64,
                format!("needs {count} bytes, {} are left", self.remaining()),
            ));
        }
        let taken = &self.data[self.position..self.position + count];
        self.position += count;
        Ok(taken)
    }

    /// Skips `count` bytes.
    pub fn skip(&mut self, count: usize) -> Result<()> {
        self.bytes(count).map(|_| ())
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let taken = &self.data[self.position..];
        self.position = self.data.len();
        taken
    }

    /// An 8-bit field.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    /// A 16-bit field.
    pub fn u16(&mut self) -> Result<u16> {
        let b = self.bytes(2)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    /// A 24-bit field.
    pub fn u24(&mut self) -> Result<u32> {
        let b = self.bytes(3)?;
        Ok(u32::from_be_bytes([0, b[0], b[1], b[2]]))
    }

    /// A 32-bit field.
    pub fn u32(&mut self) -> Result<u32> {
        let b = self.bytes(4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A 64-bit field.
    pub fn u64(&mut self) -> Result<u64> {
        let b = self.bytes(8)?;
        Ok(u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
    }
}

/// Writes big-endian fields to a vector.
pub trait Writer {
    /// An 8-bit field.
    fn put_u8(&mut self, value: u8);
    /// A 16-bit field.
    fn put_u16(&mut self, value: u16);
    /// A 24-bit field (the low three bytes).
    fn put_u24(&mut self, value: u32);
    /// A 32-bit field.
    fn put_u32(&mut self, value: u32);
    /// A 64-bit field.
    fn put_u64(&mut self, value: u64);
    /// Bytes as they are.
    fn put(&mut self, bytes: &[u8]);
    /// A box (ISO 14496-12 4.2): 32-bit size, type, and what `body` writes.
    fn put_box(&mut self, kind: [u8; 4], body: impl FnOnce(&mut Vec<u8>));
}

impl Writer for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }
    fn put_u24(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes()[1..]);
    }
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    fn put_box(&mut self, kind: [u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.len();
        self.put_u32(0);
        self.put(&kind);
        body(self);
        let size = (self.len() - start) as u32;
        self[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }
}
