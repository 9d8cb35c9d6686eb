//! A connection over TLS that goes on in another pump: the keys stay here, and what is unsealed goes through a pair of sockets.
//!
//! What comes in: the peer's records, the other pump's answers. What goes out: each in the other's form. Never: a look at what they say, a
//! limit of patience but for the last answer; these are the other pump's, whose end ends this.
//!
//! While the other side answers, the peer is in the epoll set; when nothing was answered for a while media flows, and it is read at the tick.

use super::context::Context;
use super::event::Number;
use super::socket::{Read, Socket};
use super::tls::Tls;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// The epoll set knows the other pump's end by the connection's number with this bit.
pub(super) const INNER: Number = 1 << 63;

/// One connection.
pub(super) struct Relay {
    number: Number,
    peer: Socket,
    tls: Box<Tls>,
    inner: Socket,
    /// What the peer sent, unsealed.
    inward: Vec<u8>,
    /// What is for the peer, sealed.
    outward: Vec<u8>,
    /// The peer sends no more, or nobody is there to take it.
    peer_ended: bool,
    /// The other pump was told.
    inner_told: bool,
    /// When the other pump ended; what is left to send has some time.
    ended: Option<Instant>,
    talking: Instant,
    watched: [EventFlags; 2],
    gone: bool,
}

impl Relay {
    pub(super) fn new(
        number: Number,
        peer: Socket,
        tls: Box<Tls>,
        inner: Socket,
        outward: Vec<u8>,
        now: Instant,
    ) -> Self {
        Self {
            number,
            peer,
            peer_ended: tls.ended(),
            tls,
            inner,
            inward: Vec::new(),
            outward,
            inner_told: false,
            ended: None,
            talking: now + TALK,
            watched: [EventFlags::empty(); 2],
            gone: false,
        }
    }

    /// Passes on what there is both ways. False when nothing is left to do.
    pub(super) fn work(&mut self, cx: &mut Context) -> bool {
        let mut buffer = std::mem::take(&mut cx.buffer);
        self.take_outward(&mut buffer, cx.now);
        self.take_inward(&mut buffer, &mut cx.plain);
        cx.buffer = buffer;
        self.send();
        let told = self.ended.is_some() && self.outward.is_empty();
        self.gone |= told && (self.peer_ended || self.deadline().is_some_and(|deadline| deadline <= cx.now));
        self.gone |= self.watch(cx).is_err();
        if self.gone {
            self.forget(cx);
        }
        !self.gone
    }

    /// Whether the tick is to read the peer.
    pub(super) fn ticks(&self, now: Instant) -> bool {
        self.reads_peer() && now >= self.talking
    }

    /// When what is left to send has had its time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ended.map(|ended| ended + LINGER)
    }

    fn reads_peer(&self) -> bool {
        !self.peer_ended && self.inward.len() < ROOM
    }

    fn take_inward(&mut self, buffer: &mut [u8], plain: &mut Vec<u8>) {
        while self.reads_peer() {
            match self.peer.read(buffer) {
                Ok(Read::Bytes(count)) => {
                    plain.clear();
                    let read = self.tls.read(&buffer[..count], plain, &mut self.outward);
                    if self.ended.is_none() {
                        self.inward.extend_from_slice(plain);
                    }
                    // What is no record any more is the end of what can be read.
                    self.peer_ended |= read.is_err() || self.tls.ended();
                    if count < buffer.len() {
                        return;
                    }
                }
                Ok(Read::Empty) => return,
                Ok(Read::End) => self.peer_ended = true,
                Err(_) => {
                    self.peer_ended = true;
                    self.outward.clear();
                }
            }
        }
    }

    fn take_outward(&mut self, buffer: &mut [u8], now: Instant) {
        while self.ended.is_none() && self.outward.len() < ROOM {
            match self.inner.read(buffer) {
                Ok(Read::Bytes(count)) => {
                    self.tls.write(&buffer[..count], &mut self.outward);
                    self.talking = now + TALK;
                }
                Ok(Read::Empty) => return,
                Ok(Read::End) | Err(_) => {
                    self.tls.close(&mut self.outward);
                    self.ended = Some(now);
                    self.inward.clear();
                }
            }
        }
    }

    fn send(&mut self) {
        match self.inner.write(&self.inward) {
            Ok(count) => drop(self.inward.drain(..count)),
            // Its last answer may still be there to read.
            Err(_) => self.inward.clear(),
        }
        if self.peer_ended && self.inward.is_empty() && !std::mem::replace(&mut self.inner_told, true) {
            self.inner.end();
        }
        if let Ok(count) = self.peer.write(&self.outward) {
            self.outward.drain(..count);
        } else {
            self.outward.clear();
            self.peer_ended = true;
        }
        if self.ended.is_some() && self.outward.is_empty() {
            self.peer.end();
        }
    }

    fn watch(&mut self, cx: &Context) -> Result<(), Errno> {
        let mut wanted = [EventFlags::empty(); 2];
        wanted[0].set(EventFlags::IN, self.reads_peer() && cx.now < self.talking);
        wanted[0].set(EventFlags::OUT, !self.outward.is_empty());
        wanted[1].set(EventFlags::IN, self.ended.is_none() && self.outward.len() < ROOM);
        wanted[1].set(EventFlags::OUT, !self.inward.is_empty());
        for (at, socket) in [&self.peer, &self.inner].into_iter().enumerate() {
            let data = EventData::new_u64(if at == 0 { self.number } else { self.number | INNER });
            let before = std::mem::replace(&mut self.watched[at], wanted[at]);
            match (before.is_empty(), wanted[at].is_empty()) {
                _ if before == wanted[at] => {}
                (_, true) => epoll::delete(&cx.epoll, socket)?,
                (true, false) => epoll::add(&cx.epoll, socket, data, wanted[at])?,
                (false, false) => epoll::modify(&cx.epoll, socket, data, wanted[at])?,
            }
        }
        Ok(())
    }

    fn forget(&self, cx: &Context) {
        for (socket, watched) in [&self.peer, &self.inner].into_iter().zip(self.watched) {
            if !watched.is_empty() {
                // They leave the set with their last copy, and there is no other.
                let _ = epoll::delete(&cx.epoll, socket);
            }
        }
    }
}

/// Bytes that wait to be passed on in one direction; then no more are read.
const ROOM: usize = 1 << 20;
/// How long a peer that was answered is listened to at once.
const TALK: Duration = Duration::from_secs(1);
/// How long a peer may take to read the last answer and end its side.
const LINGER: Duration = Duration::from_secs(2);
