//! TLS between what an encoder sends and its socket.
//!
//! What comes in: bytes of the stream, sealed bytes of the socket. What goes out: each in the other's form, and how much of the stream the
//! sealed bytes stand for. Never: a socket of its own.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// One connection's TLS.
#[derive(Debug)]
pub(super) struct Seal {
    connection: ClientConnection,
    /// Sealed bytes for the kernel, and how many of them it took.
    out: Vec<u8>,
    taken: usize,
    /// Sealed bytes that the kernel took since the connection began, and bytes of the stream that were sealed.
    total: u64,
    plain: u64,
    /// Where the sealed form of each piece of the stream ends: (sealed bytes, bytes of the stream).
    pieces: VecDeque<(u64, u64)>,
}

impl Seal {
    pub(super) fn new(config: &Arc<ClientConfig>, host: ServerName<'static>) -> io::Result<Self> {
        let connection = ClientConnection::new(Arc::clone(config), host).map_err(io::Error::other)?;
        Ok(Self { connection, out: Vec::new(), taken: 0, total: 0, plain: 0, pieces: VecDeque::new() })
    }

    pub(super) fn is_shaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the kernel has yet to take something sealed.
    pub(super) fn is_waiting(&self) -> bool {
        self.taken < self.out.len() || self.connection.wants_write()
    }

    /// Seals a piece of the stream; gives how much of it, nothing before the end of the handshake.
    pub(super) fn seal(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.is_shaking() {
            return Ok(0);
        }
        let count = self.connection.writer().write(&piece[..piece.len().min(PIECE)])?;
        self.pull()?;
        self.plain += count as u64;
        let end = self.total + (self.out.len() - self.taken) as u64;
        self.pieces.push_back((end, self.plain));
        Ok(count)
    }

    /// Hands to a socket what it takes; false when there is more.
    pub(super) fn push(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        self.pull()?;
        while self.taken < self.out.len() {
            match socket.write(&self.out[self.taken..]) {
                Ok(count) => {
                    self.taken += count;
                    self.total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.taken = 0;
        Ok(true)
    }

    /// Bytes of the stream from a socket; 0: the other side closed, with or without a farewell.
    ///
    /// # Errors
    /// `WouldBlock`: nothing for now. `InvalidData`: what came is not TLS, or not of whom we trust; the other side is to be told by `push`.
    pub(super) fn read(&mut self, socket: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.connection.read_tls(socket)? == 0 {
                return Ok(0);
            }
            let read = self.connection.process_new_packets();
            read.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    /// Says that nothing more comes.
    pub(super) fn farewell(&mut self) {
        self.connection.send_close_notify();
    }

    /// Sealed bytes that the kernel took since the connection began.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of the stream that `sealed` bytes stand for.
    pub(super) fn stands_for(&self, sealed: u64) -> u64 {
        let whole = self.pieces.partition_point(|(end, _)| *end <= sealed);
        whole.checked_sub(1).map_or(0, |last| self.pieces[last].1)
    }

    /// Forgets what is of no use any more once `sealed` bytes have arrived.
    pub(super) fn forget(&mut self, sealed: u64) {
        // The last one that has arrived stays: it says how much has.
        while self.pieces.get(1).is_some_and(|(end, _)| *end <= sealed) {
            self.pieces.pop_front();
        }
    }

    fn pull(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.out)?;
        }
        Ok(())
    }
}

/// Bytes that are sealed at a time: a record (RFC 8446 5.1).
const PIECE: usize = 16 << 10;
