//! An eventfd that one side rings and the other polls.

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{self, Errno};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A counter in the kernel (eventfd(2)): readable from [`ring`](Self::ring) until [`clear`](Self::clear).
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A silent bell.
    pub fn new() -> io::Result<Self> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self)
    }

    /// Makes the descriptor readable.
    pub fn ring(&self) {
        // EAGAIN means that the counter is full, hence readable already; nothing else can happen to a descriptor that we own.
        while io::write(&self.0, &1u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// Makes the descriptor silent. Call it before the data is taken, so that a ring in between is not lost.
    pub fn clear(&self) {
        let mut count = [0u8; 8];
        while io::read(&self.0, &mut count[..]) == Err(Errno::INTR) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
