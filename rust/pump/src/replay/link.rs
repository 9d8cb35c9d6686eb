//! One connection: a socket that never blocks, the client that speaks on it, and the source that it plays.

use super::client::Client;
use super::isml::IsmlClient;
use super::rtmp::RtmpClient;
use super::source::Source;
use super::stats::{Counters, Fault, Phase};
use super::target::{Protocol, Target};
use super::{Options, Stream};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

/// A stream being played.
pub(super) struct Link {
    number: u64,
    /// `None` once the connection is closed.
    socket: Option<TcpStream>,
    client: Box<dyn Client>,
    source: Source,
    counters: Arc<Counters>,
    options: Options,
    phase: Phase,
    connected: bool,
    out: Vec<u8>,
    /// Bytes of `out` that the kernel took.
    taken: usize,
    watching: EventFlags,
    /// Last time that anything moved.
    moved: Instant,
}

/// What the media clock allows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Horizon {
    /// Units that are due at this media time, in nanoseconds; late ones are counted.
    Due(i64),
    /// Units that start before this media time.
    Start(i64),
}

impl Link {
    /// Begins to connect; what comes of it is told by epoll under `number`.
    pub(super) fn connect(
        number: u64,
        stream: &Stream,
        source: Source,
        options: Options,
        counters: Arc<Counters>,
        epoll: BorrowedFd<'_>,
        now: Instant,
    ) -> Self {
        let client: Box<dyn Client> = match stream.target.protocol {
            Protocol::Rtmp => Box::new(RtmpClient::new(&stream.target, &stream.track)),
            Protocol::Http => Box::new(IsmlClient::new(&stream.target, &stream.track, &stream.name)),
        };
        counters.enter(Phase::Opening, None);
        let watching = EventFlags::OUT;
        let mut link = Self {
            number,
            socket: None,
            client,
            source,
            counters,
            options,
            phase: Phase::Opening,
            connected: false,
            out: Vec::new(),
            taken: 0,
            watching,
            moved: now,
        };
        let opened = begin(&stream.target).and_then(|socket| {
            epoll::add(epoll, &socket, EventData::new_u64(number), watching)?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => link.socket = Some(socket),
            Err(error) => link.fail(Fault::new("CONNECT_FAILED", error.to_string())),
        }
        link
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether anything may still happen.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Done | Phase::Failed)
    }

    /// Media time at which the next unit starts, while media flows.
    pub(super) fn front(&self) -> Option<i64> {
        (self.phase == Phase::Playing).then(|| self.source.start()).flatten()
    }

    /// Media time at which this link wants to act; `None` while it waits for the other side.
    pub(super) fn due(&self) -> Option<i64> {
        (self.phase == Phase::Playing && self.out.is_empty()).then(|| self.source.due().unwrap_or(i64::MIN))
    }

    /// When its patience ends; `None` while it waits for nothing but its own media time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = match self.phase {
            Phase::Opening | Phase::Closing => true,
            Phase::Playing => !self.out.is_empty(),
            Phase::Open | Phase::Done | Phase::Failed => false,
        };
        waits.then(|| self.moved + self.options.patience)
    }

    /// The media clock starts.
    pub(super) fn start(&mut self) {
        if self.phase == Phase::Open {
            self.enter(Phase::Playing);
        }
    }

    /// Sends what the horizon allows; says whether anything was sent.
    pub(super) fn play(&mut self, horizon: Horizon, epoll: BorrowedFd<'_>, now: Instant) -> bool {
        let mut any = false;
        while self.phase == Phase::Playing && self.out.is_empty() {
            while self.out.len() < BATCH && self.play_unit(horizon) {
                any = true;
            }
            if self.ends() {
                self.close(epoll, now);
            } else if self.out.is_empty() {
                break;
            } else {
                self.flush(epoll, now);
            }
        }
        any
    }

    /// Ends the stream in an orderly way.
    pub(super) fn close(&mut self, epoll: BorrowedFd<'_>, now: Instant) {
        match self.phase {
            Phase::Open | Phase::Playing => {
                self.client.close(&mut self.out);
                self.enter(Phase::Closing);
                self.moved = now;
                self.flush(epoll, now);
            }
            Phase::Opening => self.finish(),
            Phase::Closing | Phase::Done | Phase::Failed => {}
        }
    }

    /// The patience with the other side has ended.
    pub(super) fn give_up(&mut self) {
        let what = match self.phase {
            Phase::Opening if !self.connected => "no connection",
            Phase::Opening => "no permission to publish",
            Phase::Closing => "no last answer",
            _ => "no byte was taken",
        };
        self.fail(Fault::new("TIMEOUT", format!("{what} within {} s", self.options.patience.as_secs())));
    }

    /// The socket has something, or takes something.
    pub(super) fn ready(&mut self, flags: EventFlags, buffer: &mut [u8], epoll: BorrowedFd<'_>, now: Instant) {
        self.moved = now;
        if !self.connected {
            match self.socket.as_ref().map(TcpStream::take_error) {
                Some(Ok(None)) => {}
                Some(Ok(Some(error)) | Err(error)) => {
                    return self.fail(Fault::new("CONNECT_FAILED", error.to_string()));
                }
                None => return,
            }
            self.connected = true;
            self.client.open(&mut self.out);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(buffer);
        }
        if self.phase == Phase::Opening && self.client.is_open() {
            self.enter(Phase::Open);
        }
        self.flush(epoll, now);
    }

    fn read(&mut self, buffer: &mut [u8]) {
        while let Some(socket) = &mut self.socket {
            let result = match socket.read(buffer) {
                Ok(0) => match self.client.ended() {
                    Ok(()) => return self.finish(),
                    Err(fault) => Err(fault),
                },
                Ok(count) => self.client.read(&buffer[..count], &mut self.out),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
                // After our good-bye a reset says no more than an end.
                Err(_) if self.phase == Phase::Closing && self.client.ended().is_ok() => return self.finish(),
                Err(error) => Err(Fault::new("CONNECTION_LOST", error.to_string())),
            };
            if let Err(fault) = result {
                return self.fail(fault);
            }
        }
    }

    fn play_unit(&mut self, horizon: Horizon) -> bool {
        if self.ends() {
            return false;
        }
        let (Some(start), Some(due), Some(next)) = (self.source.start(), self.source.due(), self.source.peek()) else {
            return false;
        };
        let late = match horizon {
            Horizon::Due(now) if due <= now => now - due,
            Horizon::Start(limit) if start < limit => 0,
            _ => return false,
        };
        let samples = next.samples.len();
        self.client.send(&next, &mut self.out);
        self.source.advance();
        self.counters.played(samples, due, self.in_real_time(late));
        true
    }

    fn in_real_time(&self, nanoseconds: i64) -> u64 {
        if self.options.speed > 0.0 { (nanoseconds as f64 / self.options.speed / 1000.0) as u64 } else { 0 }
    }

    /// Whether nothing is left to play.
    fn ends(&self) -> bool {
        let limit = self.options.duration.map_or(i64::MAX, |limit| i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX));
        self.source.start().is_none_or(|start| start >= limit)
    }

    /// Hands to the kernel what it takes, and watches for room when it does not take all.
    fn flush(&mut self, epoll: BorrowedFd<'_>, now: Instant) {
        while self.taken < self.out.len() {
            let Some(socket) = &mut self.socket else { break };
            match socket.write(&self.out[self.taken..]) {
                Ok(count) => {
                    self.taken += count;
                    self.counters.sent(count);
                    self.moved = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(Fault::new("CONNECTION_LOST", error.to_string())),
            }
        }
        if self.taken == self.out.len() {
            self.out.clear();
            self.taken = 0;
            if self.phase == Phase::Closing {
                if self.client.is_done() {
                    return self.finish();
                }
                if let Some(socket) = self.socket.as_ref().filter(|_| self.client.hangs_up()) {
                    // A connection that is gone already shows so when it is read.
                    let _ = socket.shutdown(Shutdown::Write);
                }
            }
        }
        self.watch(epoll);
    }

    fn watch(&mut self, epoll: BorrowedFd<'_>) {
        let Some(socket) = &self.socket else { return };
        let wanted = if self.out.is_empty() { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT };
        if self.connected && wanted != self.watching {
            self.watching = wanted;
            if let Err(errno) = epoll::modify(epoll, socket.as_fd(), EventData::new_u64(self.number), wanted) {
                self.fail(Fault::new("CONNECTION_LOST", errno.to_string()));
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.counters.enter(phase, None);
    }

    fn finish(&mut self) {
        self.enter(Phase::Done);
        self.socket = None;
    }

    fn fail(&mut self, fault: Fault) {
        self.phase = Phase::Failed;
        self.counters.enter(Phase::Failed, Some(fault));
        self.socket = None;
    }
}

fn begin(target: &Target) -> io::Result<TcpStream> {
    let family = if target.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    match connect(&socket, &target.address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let socket = TcpStream::from(socket);
    // A frame is sent when it is due, not when the next one fills the packet.
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Bytes gathered before they are handed to the kernel, when more than one unit is due.
const BATCH: usize = 64 << 10;
