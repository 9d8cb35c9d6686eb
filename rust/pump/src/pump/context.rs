//! What the connections of one loop share.

use super::Options;
use super::clocks::Clocks;
use super::event::Event;
use super::shared::Shared;
use crate::spill::SpillFile;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// The loop's side of everything but the connections.
pub(super) struct Context {
    pub(super) epoll: OwnedFd,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) clocks: Clocks,
    /// Events of this turn.
    pub(super) events: Vec<Event>,
    pub(super) spill: SpillFile,
    /// Every socket is read into it.
    pub(super) buffer: Vec<u8>,
    /// What TLS makes of it.
    pub(super) plain: Vec<u8>,
    /// When this turn began.
    pub(super) now: Instant,
}

impl Context {
    /// Milliseconds since the pump started.
    pub(super) fn elapsed(&self) -> u64 {
        self.now.saturating_duration_since(self.shared.started).as_millis() as u64
    }
}
