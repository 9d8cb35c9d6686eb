//! The bytes of a chunk: in memory, or part of them stored early because the memory of an open fragment is bounded.
//!
//! In: bytes in the order of the samples. Out: the same bytes, as parts that say where each lies. Never: a file, a copy of what is in memory.

mod memory;

pub use memory::Memory;
use std::any::Any;
use std::borrow::Cow;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// Bytes that were stored early; when the last who points to them is gone, their space is free.
pub trait Region: Any + Debug + Send + Sync {
    /// Reads from byte `start` of the region until `target` is full.
    fn read(&self, start: u64, target: &mut [u8]) -> io::Result<()>;

    /// For the one who made it, to find again what it is.
    fn as_any(&self) -> &dyn Any;
}

/// Takes bytes that are to leave the memory before their fragment is whole.
pub trait Spill {
    /// Stores the pieces one behind the other, all or none; says where each is.
    fn store(&mut self, pieces: &[&[u8]]) -> io::Result<Vec<Stored>>;
}

/// A piece of a region.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where it lies.
    pub region: Arc<dyn Region>,
    /// First byte in the region.
    pub start: u64,
    /// Bytes.
    pub len: usize,
    /// CRC32C of the bytes.
    pub crc: u32,
}

/// Consecutive bytes of a payload.
#[derive(Debug, Clone)]
pub enum Part {
    /// In memory.
    Memory(Memory),
    /// Stored early.
    Stored(Stored),
}

/// The samples' bytes, back to back, in parts that have nothing to do with the samples.
///
/// Two payloads are equal when their bytes are; one whose stored parts cannot be read equals none.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    parts: Vec<Part>,
}

impl Stored {
    /// Reads the piece; `target` has its length.
    pub fn read(&self, target: &mut [u8]) -> io::Result<()> {
        self.region.read(self.start, target)
    }
}

impl Part {
    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Stored(stored) => stored.len,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are in memory.
    pub fn held(&self) -> usize {
        if let Self::Memory(bytes) = self { bytes.len() } else { 0 }
    }
}

impl Payload {
    /// A payload of these parts.
    pub fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Its parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are in memory.
    pub fn held(&self) -> usize {
        self.parts.iter().map(Part::held).sum()
    }

    /// The bytes when they lie in memory one behind the other, as those of a fragmented MP4 chunk do that was not spilled.
    pub fn contiguous(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(&[]),
            [Part::Memory(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// The bytes, copied together unless they are [`contiguous`](Self::contiguous).
    ///
    /// # Errors
    /// A stored part cannot be read.
    pub fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        if let Some(bytes) = self.contiguous() {
            return Ok(Cow::Borrowed(bytes));
        }
        let mut bytes = vec![0; self.len()];
        self.read(&mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    /// Copies the bytes to `target`, which has their length.
    ///
    /// # Errors
    /// A stored part cannot be read.
    pub fn read(&self, target: &mut [u8]) -> io::Result<()> {
        let mut rest = target;
        for part in &self.parts {
            let (here, behind) = rest.split_at_mut(part.len());
            match part {
                Part::Memory(bytes) => here.copy_from_slice(bytes),
                Part::Stored(stored) => stored.read(here)?,
            }
            rest = behind;
        }
        Ok(())
    }

    /// Makes room in memory for the first `size` bytes.
    pub(crate) fn reserve(&mut self, size: usize) {
        if self.parts.is_empty() {
            self.parts.push(Part::Memory(Memory::with_capacity(size)));
        }
    }

    /// Appends bytes, in memory: in one vector, until the first was stored; then in pieces of one size, which the allocator uses again
    /// without leaving holes.
    pub(crate) fn extend(&mut self, mut bytes: &[u8]) {
        if !matches!(self.parts.first(), Some(Part::Stored(_))) {
            self.reserve(bytes.len());
            if let Some(Part::Memory(memory)) = self.parts.last_mut() {
                memory.extend(bytes);
            }
            return;
        }
        while !bytes.is_empty() {
            match self.parts.last_mut() {
                Some(Part::Memory(memory)) if memory.len() < PIECE => {
                    let taken = (PIECE - memory.len()).min(bytes.len());
                    memory.extend(&bytes[..taken]);
                    bytes = &bytes[taken..];
                }
                _ => self.parts.push(Part::Memory(Memory::with_capacity(PIECE))),
            }
        }
    }

    /// Stores what is in memory; on an error nothing has changed.
    pub(crate) fn spill(&mut self, spill: &mut dyn Spill) -> io::Result<()> {
        spill_parts(&mut self.parts.iter_mut(), spill)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self { parts: vec![Part::Memory(bytes.into())] }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && matches!((self.bytes(), other.bytes()), (Ok(bytes), Ok(others)) if bytes == others)
    }
}

impl Eq for Payload {}

/// Stores all of `parts` that is in memory, together; on an error nothing has changed.
pub(crate) fn spill_parts(parts: &mut dyn Iterator<Item = &mut Part>, spill: &mut dyn Spill) -> io::Result<()> {
    let in_memory: Vec<&mut Part> = parts.filter(|part| part.held() > 0).collect();
    let pieces: Vec<&[u8]> =
        in_memory.iter().map(|part| if let Part::Memory(bytes) = &**part { &**bytes } else { &[][..] }).collect();
    if pieces.is_empty() {
        return Ok(());
    }
    let stored = spill.store(&pieces)?;
    for (part, stored) in in_memory.into_iter().zip(stored) {
        *part = Part::Stored(stored);
    }
    Ok(())
}

/// Memory of a payload that is on its way to the disk grows by so much.
const PIECE: usize = 256 << 10;
