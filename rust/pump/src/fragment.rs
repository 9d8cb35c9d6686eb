//! A CMAF fragment on its way to the disk: the head is its own, the payload is shared with the chunk it came from.

use pypackager_core::media::Chunk;
use pypackager_core::payload::{Part, Payload};
use std::sync::Arc;

/// `moof` and `mdat` of one stored chunk, ready to be written.
#[derive(Debug, Clone)]
pub struct Fragment {
    head: Arc<[u8]>,
    chunk: Arc<Chunk>,
    crc: u32,
}

impl Fragment {
    /// A fragment of `head` (`moof` and the header of `mdat`) and the payload of `chunk`.
    pub fn new(head: Vec<u8>, chunk: Arc<Chunk>) -> Self {
        let start = crc32c::crc32c(&head);
        let crc = chunk.payload.parts().iter().fold(start, |crc, part| match part {
            Part::Memory(bytes) => crc32c::crc32c_append(crc, bytes),
            Part::Stored(stored) => crc32c::crc32c_combine(crc, stored.crc, stored.len),
        });
        Self { head: head.into(), chunk, crc }
    }

    /// `moof` and the header of `mdat`.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The samples' bytes.
    pub fn payload(&self) -> &Payload {
        &self.chunk.payload
    }

    /// Bytes of head and payload.
    pub fn size(&self) -> usize {
        self.head.len() + self.chunk.payload.len()
    }

    /// CRC32C of head and payload.
    pub fn crc(&self) -> u32 {
        self.crc
    }
}
