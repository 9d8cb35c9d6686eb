//! A socket that never blocks, what is queued for it, and what of that has arrived.

use super::seal::Seal;
use super::stats::Fault;
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
    /// Where TLS is spoken.
    seal: Option<Box<Seal>>,
    /// What epoll tells its events under.
    number: u64,
    watching: EventFlags,
    connected: bool,
    /// Bytes for the kernel, and how many of them it took, or with TLS were sealed. While sealed ones wait they are not cleared.
    pub(super) out: Vec<u8>,
    taken: usize,
    /// Those since the connection began.
    total: u64,
    /// When it last took any.
    moved: Instant,
    /// Bytes that had arrived when it was looked at last, and when that was news.
    arrived: (u64, Instant),
    looked: Instant,
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
        let seal = match &target.tls {
            Some((config, host)) => Some(Box::new(Seal::new(config, host.clone())?)),
            None => None,
        };
        Ok(Self {
            socket,
            seal,
            number,
            watching,
            connected: false,
            out,
            taken,
            total,
            moved: now,
            arrived,
            looked: now,
        })
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
            let read = match &mut self.seal {
                Some(seal) => seal.read(&mut self.socket, buffer),
                None => self.socket.read(buffer),
            };
            match read {
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
        if self.seal.is_some() {
            self.flush_sealed(end, now)?;
            return Ok((self.total - before) as usize);
        }
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

    /// A piece is sealed when the one before it is with the kernel: what is queued stays where it can be counted.
    fn flush_sealed(&mut self, end: usize, now: Instant) -> io::Result<()> {
        let arrived = self.arrived();
        let Some(seal) = &mut self.seal else { return Ok(()) };
        seal.forget(arrived);
        loop {
            let before = seal.total();
            let through = seal.push(&mut self.socket)?;
            if seal.total() > before {
                self.moved = now;
            }
            if !through {
                return Ok(());
            }
            let count = if self.taken < end { seal.seal(&self.out[self.taken..end])? } else { 0 };
            if count == 0 {
                break;
            }
            self.taken += count;
            self.total += count as u64;
        }
        if self.taken == self.out.len() {
            self.out.clear();
            self.taken = 0;
        }
        Ok(())
    }

    /// Watches for what comes, and for room when something is queued that may go.
    pub(super) fn watch(&mut self, epoll: BorrowedFd<'_>, writes: bool) -> io::Result<()> {
        // In a handshake there may be nothing to send but what waits for its end.
        let waits = match &self.seal {
            Some(seal) => seal.is_waiting() || writes && !seal.is_shaking() && !self.out.is_empty(),
            None => writes && !self.out.is_empty(),
        };
        let wanted = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
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

    /// Bytes of the stream that the other side's system has acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        let arrived = self.arrived();
        self.seal.as_ref().map_or(arrived, |seal| seal.stands_for(arrived))
    }

    /// Bytes that the kernel took.
    fn handed(&self) -> u64 {
        self.seal.as_ref().map_or(self.total, |seal| seal.total())
    }

    /// Those of them that the other side's system has acknowledged.
    fn arrived(&self) -> u64 {
        let mut queued: libc::c_int = 0;
        // SAFETY: the descriptor is ours and open, and TIOCOUTQ (tcp(7): SIOCOUTQ) writes one int.
        #[allow(unsafe_code)]
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
        // Nothing is known of a socket that can not say: all is taken for lost.
        if result == 0 { self.handed().saturating_sub(queued.unsigned_abs().into()) } else { 0 }
    }

    /// For how long the other side's system has acknowledged nothing of what the kernel has for it, as far as was looked.
    pub(super) fn stuck(&mut self, now: Instant) -> Duration {
        let arrived = self.arrived();
        if arrived > self.arrived.0 || arrived == self.handed() {
            self.arrived = (arrived, now);
        }
        self.looked = now;
        now.saturating_duration_since(self.arrived.1)
    }

    /// When that was last looked at.
    pub(super) fn looked(&self) -> Instant {
        self.looked
    }

    /// Whether the kernel has taken more than was acknowledged then.
    pub(super) fn owes(&self) -> bool {
        self.arrived.0 < self.handed()
    }

    /// When the kernel last took anything.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// The other side is waited for from now on.
    pub(super) fn wait(&mut self, now: Instant) {
        self.moved = now;
    }

    /// What an error of reading is called.
    pub(super) fn fault(&self, error: &io::Error) -> Fault {
        let shaking = self.seal.as_ref().is_some_and(|seal| seal.is_shaking());
        match error.kind() {
            // Only a person can mend it: another authority, another port.
            ErrorKind::InvalidData if shaking => {
                Fault { lasting: true, ..Fault::new("TLS_HANDSHAKE", error.to_string()) }
            }
            ErrorKind::InvalidData => Fault::new("TLS_RECORD", error.to_string()),
            _ => Fault::new("CONNECTION_LOST", error.to_string()),
        }
    }

    /// Our side ends in good order; what is on its way arrives.
    pub(super) fn hang_up(&mut self) {
        if let Some(seal) = &mut self.seal {
            seal.farewell();
            // It says no more than the end of the socket does.
            let _ = seal.push(&mut self.socket);
        }
        self.shut();
    }

    /// Our side ends without a word; what is on its way arrives.
    pub(super) fn shut(&self) {
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
