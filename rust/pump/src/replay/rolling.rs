//! The rolling buffer of an encoder: what it sent last and would send again on a new connection.

use std::collections::VecDeque;

/// Units that were sent on one connection, as far back as a new connection would begin.
#[derive(Debug)]
pub(super) struct Rolling<T> {
    /// Fragments behind what is acknowledged that are kept.
    keep: usize,
    marks: VecDeque<Mark<T>>,
}

#[derive(Debug, Clone, Copy)]
struct Mark<T> {
    unit: T,
    /// Whether a fragment begins with it.
    opens: bool,
    /// Bytes of the connection up to its end.
    end: u64,
}

impl<T: Copy> Rolling<T> {
    /// A buffer of `keep` fragments; with 0 nothing is ever sent again, not even what the other side has not acknowledged.
    pub(super) fn new(keep: usize) -> Self {
        Self { keep, marks: VecDeque::new() }
    }

    /// A unit was handed to the connection.
    pub(super) fn sent(&mut self, unit: T, opens: bool, end: u64) {
        if self.keep > 0 {
            self.marks.push_back(Mark { unit, opens, end });
        }
    }

    /// Units in the buffer.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// The other side's system has the first `bytes` of the connection: what lies before the last fragments of them is let go.
    pub(super) fn acknowledge(&mut self, bytes: u64) {
        let acknowledged = self.marks.partition_point(|mark| mark.end <= bytes);
        let mut openings = self.marks.iter().take(acknowledged).enumerate().rev().filter(|(_, mark)| mark.opens);
        if let Some((first, _)) = openings.nth(self.keep.saturating_sub(1)) {
            self.marks.drain(..first);
        }
    }

    /// The connection ended when `bytes` of it were acknowledged: what a new one begins with.
    pub(super) fn take(&mut self, bytes: u64) -> impl DoubleEndedIterator<Item = T> {
        self.acknowledge(bytes);
        std::mem::take(&mut self.marks).into_iter().map(|mark| mark.unit)
    }

    /// Forgets everything: the encoder that kept it is gone.
    pub(super) fn clear(&mut self) {
        self.marks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(keep: usize, units: u64) -> Rolling<u64> {
        let mut rolling = Rolling::new(keep);
        (1..=units).for_each(|unit| rolling.sent(unit, true, unit * 10));
        rolling
    }

    #[test]
    fn the_two_last_acknowledged_and_all_behind_them_are_sent_again() {
        assert_eq!(filled(2, 9).take(60).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        assert_eq!(filled(2, 9).take(69).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        assert_eq!(filled(2, 9).take(90).collect::<Vec<_>>(), [8, 9]);
        assert_eq!(filled(2, 9).take(10).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    }

    #[test]
    fn a_buffer_of_none_keeps_none() {
        assert_eq!(filled(0, 9).take(60).count(), 0);
    }

    #[test]
    fn a_fragment_of_many_units_is_kept_whole() {
        let mut rolling = Rolling::new(1);
        (1..=9).for_each(|unit: u64| rolling.sent(unit, unit % 3 == 1, unit * 10));
        assert_eq!(rolling.take(80).collect::<Vec<_>>(), [7, 8, 9]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_not_acknowledged_is_let_go(keep in 1usize..4, units in 0u64..40, acks in prop::collection::vec(0u64..400, 0..6)) {
            let mut rolling = filled(keep, units);
            let mut acks = acks;
            acks.sort_unstable();
            for bytes in &acks {
                rolling.acknowledge(*bytes);
            }
            let last = acks.last().copied().unwrap_or(0);
            let acknowledged = units.min(last / 10);
            let first = acknowledged.saturating_sub(keep as u64) + 1;
            prop_assert_eq!(rolling.take(last).collect::<Vec<_>>(), (first..=units).collect::<Vec<_>>());
        }
    }
}
