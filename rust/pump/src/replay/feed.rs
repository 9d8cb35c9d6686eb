//! What a stream sends next: its recording in order, what comes again on a new connection, and what faults make of the order.

use super::rolling::Rolling;
use super::source::{Cursor, Next, Source};
use std::collections::VecDeque;

/// A unit on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    cursor: Cursor,
    /// Milliseconds that its times are off.
    shift: i64,
    /// Whether it was sent before.
    pub(super) again: bool,
}

/// The units of one stream.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
    /// What comes before the cursor.
    queue: VecDeque<Item>,
    cursor: Cursor,
    shift: i64,
    rolling: Rolling<Item>,
}

impl Feed {
    /// A feed that begins a new connection with the last `resend` fragments of the one before.
    pub(super) fn new(source: Source, resend: usize) -> Self {
        let cursor = source.first();
        Self { source, queue: VecDeque::new(), cursor, shift: 0, rolling: Rolling::new(resend) }
    }

    /// The longest unit, in nanoseconds.
    pub(super) fn longest(&self) -> i64 {
        self.source.longest()
    }

    /// Media time behind which nothing comes.
    pub(super) fn end(&self) -> i64 {
        self.source.end()
    }

    /// Media time at which the next unit starts; `None` at the end.
    pub(super) fn start(&self) -> Option<i64> {
        self.source.start(self.peek().cursor)
    }

    /// When the next unit is due, likewise.
    pub(super) fn due(&self) -> Option<i64> {
        self.source.due(self.peek().cursor)
    }

    /// The next unit and what it carries.
    pub(super) fn next(&self) -> Option<(Item, Next<'_>)> {
        let item = self.peek();
        Some((item, self.source.get(item.cursor, item.shift)?))
    }

    /// Steps over the next unit.
    pub(super) fn advance(&mut self) {
        if self.queue.pop_front().is_none() {
            self.cursor = self.source.after(self.cursor);
        }
    }

    /// A unit was handed to the connection, which has `end` bytes with it; `acknowledged` tells how many of them arrived.
    pub(super) fn sent(&mut self, item: Item, end: u64, acknowledged: impl FnOnce() -> u64) {
        self.rolling.sent(Item { again: true, ..item }, self.source.is_entry(item.cursor), end);
        if self.rolling.len() >= MANY {
            self.rolling.acknowledge(acknowledged());
        }
    }

    /// The connection ended when so many of its bytes had arrived: what it may have lost comes again, with the fragments before.
    pub(super) fn lost(&mut self, acknowledged: u64) {
        for item in self.rolling.take(acknowledged).rev() {
            self.queue.push_front(item);
        }
    }

    /// Goes on live: what starts before this media time is left out, and so is all up to where a decoder can begin.
    pub(super) fn skip(&mut self, clock: i64) {
        self.queue.clear();
        self.rolling.clear();
        while self.start().is_some_and(|start| start < clock || !self.source.is_entry(self.cursor)) {
            self.advance();
        }
    }

    /// The next unit comes so many times more.
    pub(super) fn repeat(&mut self, times: u32) {
        let item = self.peek();
        self.advance();
        let again = std::iter::repeat_n(Item { again: true, ..item }, times as usize);
        again.chain([item]).for_each(|item| self.queue.push_front(item));
    }

    /// The next unit comes behind the one after it, if there is one.
    pub(super) fn swap(&mut self) {
        let first = self.peek();
        self.advance();
        if self.start().is_none() {
            return self.queue.push_front(first);
        }
        let second = self.peek();
        self.advance();
        self.queue.push_front(first);
        self.queue.push_front(second);
    }

    /// The next unit and those that start within so many nanoseconds of its start do not come.
    pub(super) fn drop(&mut self, nanoseconds: i64) {
        let Some(first) = self.start() else { return };
        self.advance();
        while self.start().is_some_and(|start| start - first < nanoseconds) {
            self.advance();
        }
    }

    /// Times that are not sent yet are so many milliseconds later.
    pub(super) fn jump(&mut self, milliseconds: i64) {
        self.shift += milliseconds;
    }

    /// The clock of what follows is zero at this media time.
    pub(super) fn restart(&mut self, at: i64) {
        self.shift = -at.div_euclid(1_000_000);
    }

    fn peek(&self) -> Item {
        self.queue.front().copied().unwrap_or(Item { cursor: self.cursor, shift: self.shift, again: false })
    }
}

/// Units after which the system is asked what of them has arrived.
const MANY: usize = 8;
