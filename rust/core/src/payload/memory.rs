//! Bytes in memory that stay where they came.
//!
//! In: a vector, and how many of its first bytes are of what the others came wrapped in. Out: the others, as a slice. Never: a move of them.

use std::fmt;
use std::ops::Deref;

/// Bytes without the first few of the vector that they came in: a frame behind the header of its FLV tag.
///
/// Two are equal when their bytes are.
#[derive(Clone, Default)]
pub struct Memory {
    vector: Vec<u8>,
    start: usize,
}

impl Memory {
    /// Those from `start` on, which is in the vector.
    pub fn behind(vector: Vec<u8>, start: usize) -> Self {
        if start > MOST_SPARE {
            // What is not counted must not be held: a long wrapping would be.
            return vector[start..].to_vec().into();
        }
        Self { vector, start }
    }

    pub(super) fn with_capacity(size: usize) -> Self {
        Vec::with_capacity(size).into()
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.vector.extend_from_slice(bytes);
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.vector[self.start..]
    }
}

impl From<Vec<u8>> for Memory {
    fn from(vector: Vec<u8>) -> Self {
        Self { vector, start: 0 }
    }
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Memory {}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

/// The header of an FLV tag has five bytes at most, that of Enhanced RTMP a few more.
const MOST_SPARE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_front_is_not_among_the_bytes() {
        let memory = Memory::behind(vec![1, 2, 3, 4, 5, 6], 5);
        assert_eq!((&*memory, memory.vector.len()), (&[6][..], 6));
        assert_eq!(memory, Memory::from(vec![6]));
        assert_eq!(format!("{memory:?}"), "[6]");
    }

    #[test]
    fn a_long_wrapping_is_not_held() {
        let memory = Memory::behind(vec![7; 1 << 20], (1 << 20) - 3);
        assert_eq!(*memory, [7; 3]);
        assert!(memory.vector.capacity() < 1000);
    }
}
