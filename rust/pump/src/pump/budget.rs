//! How many bytes of open fragments a channel's connections may keep in memory together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the connections of one channel share.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: AtomicUsize,
    peak: AtomicUsize,
    spilled: AtomicU64,
}

/// What one connection takes of it; dropping it gives that back.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) budget: Arc<Budget>,
    held: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0), peak: AtomicUsize::new(0), spilled: AtomicU64::new(0) }
    }

    /// Bytes of open fragments in memory.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The most that they were: what one read brings may stand above the limit until it is spilled.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes that went to the spill file so far.
    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.held() > self.limit
    }

    pub(super) fn count_spilled(&self, bytes: usize) {
        self.spilled.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// One thread changes the counts, the pump's; others only look.
impl Share {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0 }
    }

    /// The connection holds `held` bytes now.
    pub(super) fn set(&mut self, held: usize) {
        let total = self.budget.held() - self.held + held;
        self.held = held;
        self.budget.held.store(total, Ordering::Relaxed);
        self.budget.peak.fetch_max(total, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
