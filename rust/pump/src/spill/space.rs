//! Which bytes of a file are in use: whole pages, the lowest that fit.

use std::collections::BTreeMap;

/// The free extents below the end, by start; two that touch are one.
#[derive(Debug, Default)]
pub(super) struct Space {
    free: BTreeMap<u64, u64>,
    end: u64,
}

impl Space {
    /// Where `len` bytes may go.
    pub(super) fn take(&mut self, len: u64) -> u64 {
        let len = Self::rounded(len);
        let found = self.free.iter().find(|&(_, &room)| room >= len).map(|(&start, &room)| (start, room));
        let Some((start, room)) = found else {
            let start = self.end;
            self.end += len;
            return start;
        };
        self.free.remove(&start);
        if room > len {
            self.free.insert(start + len, room - len);
        }
        start
    }

    /// Takes back what [`take`](Self::take) gave.
    pub(super) fn give(&mut self, start: u64, len: u64) {
        let (mut start, mut len) = (start, Self::rounded(len));
        if let Some((&before, &room)) = self.free.range(..start).next_back().filter(|&(&at, &room)| at + room == start)
        {
            self.free.remove(&before);
            (start, len) = (before, len + room);
        }
        if let Some(room) = self.free.remove(&(start + len)) {
            len += room;
        }
        if start + len == self.end {
            self.end = start;
        } else {
            self.free.insert(start, len);
        }
    }

    /// Bytes that `len` bytes take.
    pub(super) fn rounded(len: u64) -> u64 {
        len.max(1).next_multiple_of(PAGE)
    }
}

/// A hole frees whole pages only.
const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_never_given_twice_and_all_comes_back() {
        let mut space = Space::default();
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let mut seed = 1u64;
        for _ in 0..5000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let draw = seed >> 33;
            if draw % 5 < 2 && !taken.is_empty() {
                let (start, len) = taken.swap_remove(draw as usize % taken.len());
                space.give(start, len);
            } else {
                let len = draw % 100_000;
                let start = space.take(len);
                let end = start + Space::rounded(len);
                assert!(taken.iter().all(|&(at, size)| end <= at || at + Space::rounded(size) <= start));
                taken.push((start, len));
            }
        }
        for (start, len) in taken {
            space.give(start, len);
        }
        assert_eq!((space.end, space.free.len()), (0, 0));
    }

    #[test]
    fn the_lowest_place_that_fits_is_reused() {
        let mut space = Space::default();
        let places: Vec<u64> = (0..4).map(|_| space.take(PAGE)).collect();
        assert_eq!(places, [0, PAGE, 2 * PAGE, 3 * PAGE]);
        space.give(PAGE, PAGE);
        assert_eq!(space.take(PAGE + 1), 4 * PAGE);
        assert_eq!(space.take(1), PAGE);
    }
}
