//! A connected socket that never blocks.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing now.
    Empty,
    /// The peer sends no more.
    End,
}

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Takes over a connected socket.
    pub(super) fn new(socket: OwnedFd) -> Result<Self, Errno> {
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
        // Answers are short and waited for. A socket that is not TCP has nothing to switch off.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        Ok(Self(socket))
    }

    /// The socket itself.
    pub(super) fn into_inner(self) -> OwnedFd {
        self.0
    }

    /// Reads what is there, at most `target`.
    pub(super) fn read(&self, target: &mut [u8]) -> Result<Read, Errno> {
        loop {
            match recv(&self.0, &mut *target, RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Read::End),
                Ok((count, _)) => return Ok(Read::Bytes(count)),
                Err(Errno::AGAIN) => return Ok(Read::Empty),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Writes what the kernel takes of `data` and returns its length.
    pub(super) fn write(&self, data: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < data.len() {
            match send(&self.0, &data[done..], SendFlags::NOSIGNAL) {
                Ok(count) => done += count,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(done)
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn end(&self) {
        // A peer that is gone already needs no word.
        let _ = shutdown(&self.0, Shutdown::Write);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
