//! Bits of a codec header, most significant first, with Exp-Golomb codes (ITU-T H.264 9.1).

/// Reads bit fields from a slice; `None` means that the slice is at its end or a code is longer than its syntax element allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `data`.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Bits not read yet.
    pub(super) fn remaining(&self) -> usize {
        (self.data.len() * 8).saturating_sub(self.position)
    }

    /// An unsigned field of at most 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        if count as usize > self.remaining() {
            return None;
        }
        let mut value = 0u64;
        for _ in 0..count {
            let byte = self.data[self.position / 8];
            value = value << 1 | u64::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Some(value as u32)
    }

    /// A one-bit flag.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    /// Skips `count` bits.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        if count > self.remaining() {
            return None;
        }
        self.position += count;
        Some(())
    }

    /// Skips to the next byte border counted from the start of the slice.
    pub(super) fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }

    /// An unsigned Exp-Golomb code; at most 31 leading zeros, so that the value fits 32 bits.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some(((1u64 << zeros) - 1 + u64::from(rest)) as u32)
    }

    /// An unsigned Exp-Golomb code that may not exceed `limit`.
    pub(super) fn ue_up_to(&mut self, limit: u32) -> Option<u32> {
        self.ue().filter(|value| *value <= limit)
    }

    /// A signed Exp-Golomb code.
    pub(super) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code % 2 == 0 { -(code / 2) } else { (code + 1) / 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exp_golomb_codes_follow_table_9_2() {
        // 1 | 010 | 011 | 00100 | 00111, then the same read as signed: 0 1 -1 2 -3
        let data = [0b1010_0110, 0b0100_0011, 0b1000_0000];
        let mut reader = BitReader::new(&data);
        let unsigned: Vec<_> = (0..5).map_while(|_| reader.ue()).collect();
        assert_eq!(unsigned, [0, 1, 2, 3, 6]);
        let mut reader = BitReader::new(&data);
        let signed: Vec<_> = (0..5).map_while(|_| reader.se()).collect();
        assert_eq!(signed, [0, 1, -1, 2, -3]);
    }

    #[test]
    fn the_longest_code_fits_and_longer_ones_are_refused() {
        let mut longest = vec![0, 0, 0, 1];
        longest.extend([0xff; 4]);
        assert_eq!(BitReader::new(&longest).ue(), Some(u32::MAX - 1));
        assert_eq!(BitReader::new(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]).ue(), None);
        assert_eq!(BitReader::new(&[0]).ue(), None);
    }

    proptest! {
        #[test]
        fn fields_come_back_as_written(fields in prop::collection::vec((1u32..=32, any::<u32>()), 0..40)) {
            let mut bits = Vec::new();
            for (count, value) in &fields {
                bits.extend((0..*count).rev().map(|i| (value >> i & 1) as u8));
            }
            let data: Vec<u8> = bits.chunks(8)
                .map(|byte| byte.iter().enumerate().fold(0, |sum, (i, bit)| sum | bit << (7 - i)))
                .collect();
            let mut reader = BitReader::new(&data);
            for (count, value) in fields {
                let mask = if count == 32 { u32::MAX } else { (1 << count) - 1 };
                prop_assert_eq!(reader.bits(count), Some(value & mask));
            }
            prop_assert!(reader.remaining() < 8);
        }
    }
}
