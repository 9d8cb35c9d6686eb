//! A socket that never blocks, what is queued for it, and what of that has arrived.

use super::target::Target;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    /// What epoll tells its events under.
    number: u64,
    watching: EventFlags,
    connected: bool,
    /// Bytes for the kernel, and how many of them it took.
    pub(super) out: Vec<u8>,
    taken: usize,
    /// Bytes that the kernel took since the connection began.
    total: u64,
    /// When it last took any.
    moved: Instant,
    /// Bytes that had arrived when it was looked at last, and when that was news.
    arrived: (u64, Instant),
}

impl Wire {
    /// Begins to connect; what comes of it is told by epoll under `number`.
    pub(super) fn connect(target: &Target, number: u64, epoll: BorrowedFd<'_>, now: Instant) -> io::Result<Self> {
        let family = if target.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        match connect(&socket, &target.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        let socket = TcpStream::from(socket);
        // A frame is sent when it is due, not when the next one fills the packet.
        socket.set_nodelay(true)?;
        let watching = EventFlags::OUT;
        epoll::add(epoll, &socket, EventData::new_u64(number), watching)?;
        let (out, taken, total, arrived) = (Vec::new(), 0, 0, (0, now));
        Ok(Self { socket, number, watching, connected: false, out, taken, total, moved: now, arrived })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Epoll spoke for the first time: whether there is a connection.
    pub(super) fn established(&mut self) -> io::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        self.connected = true;
        Ok(())
    }

    /// Bytes that came; `None`: no more for now; 0: the other side closed.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.socket.read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands at most `most` bytes to the kernel, and says how many it took.
    pub(super) fn flush(&mut self, most: usize, now: Instant) -> io::Result<usize> {
        let before = self.total;
        let end = self.out.len().min(self.taken.saturating_add(most));
        while self.taken < end {
            match self.socket.write(&self.out[self.taken..end]) {
                Ok(count) => {
                    self.taken += count;
                    self.total += count as u64;
                    self.moved = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.taken == self.out.len() {
            self.out.clear();
            self.taken = 0;
        }
        Ok((self.total - before) as usize)
    }

    /// Watches for what comes, and for room when something is queued that may go.
    pub(super) fn watch(&mut self, epoll: BorrowedFd<'_>, writes: bool) -> io::Result<()> {
        let wanted = if writes && !self.out.is_empty() { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        if self.connected && wanted != self.watching {
            self.watching = wanted;
            epoll::modify(epoll, self.socket.as_fd(), EventData::new_u64(self.number), wanted)?;
        }
        Ok(())
    }

    /// Bytes of the connection up to the end of what is queued.
    pub(super) fn end(&self) -> u64 {
        self.total + (self.out.len() - self.taken) as u64
    }

    /// Bytes that the other side's system has acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        let mut queued: libc::c_int = 0;
        // SAFETY: the descriptor is ours and open, and TIOCOUTQ (tcp(7): SIOCOUTQ) writes one int.
        #[allow(unsafe_code)]
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
        // Nothing is known of a socket that can not say: all is taken for lost.
        if result == 0 { self.total.saturating_sub(queued.unsigned_abs().into()) } else { 0 }
    }

    /// For how long the other side's system has acknowledged nothing of what the kernel has for it, as far as was looked.
    pub(super) fn stuck(&mut self, now: Instant) -> Duration {
        let arrived = self.acknowledged();
        if arrived > self.arrived.0 || arrived == self.total {
            self.arrived = (arrived, now);
        }
        now.saturating_duration_since(self.arrived.1)
    }

    /// When the kernel last took anything.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// The other side is waited for from now on.
    pub(super) fn wait(&mut self, now: Instant) {
        self.moved = now;
    }

    /// Our side ends; what is on its way arrives.
    pub(super) fn hang_up(&self) {
        // A connection that is gone already shows so when it is read.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends with a reset, as a network that is torn does; what is queued is gone.
    pub(super) fn reset(self) {
        // Without the option it would be an orderly end.
        let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
    }

    /// The socket alone, as it is: nobody looks at it any more.
    pub(super) fn abandon(self, epoll: BorrowedFd<'_>) -> TcpStream {
        // What is not in the set any more tells nothing either.
        let _ = epoll::delete(epoll, &self.socket);
        self.socket
    }
}
