//! A connection that goes on in another pump.

use super::super::context::Context;
use super::super::event::{Event, Parcel};
use super::super::relay::Relay;
use super::super::session::Opening;
use super::super::socket::Socket;
use super::Connection;
use pypackager_core::error::Error;
use rustix::event::epoll;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// What becomes of a connection that is to be given away.
pub(in super::super) enum Gift {
    /// Nothing of it stays.
    Whole,
    /// What it says goes through here.
    Relayed(Box<Relay>),
    /// It can't be given away.
    Stays(Box<Connection>),
}

impl Connection {
    /// Gives the connection away at a decision that is due.
    pub(in super::super) fn give(self, cx: &mut Context) -> Gift {
        let opening = self.session.as_ref().and_then(|session| session.opening());
        let Some(opening) = opening.filter(|_| !self.gone) else { return Gift::Stays(Box::new(self)) };
        let inner = if self.tls.is_some() {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
            let ends = pair.and_then(|(ours, theirs)| Ok((Socket::new(ours)?, theirs)));
            let Ok(ends) = ends else { return Gift::Stays(Box::new(self)) };
            Some(ends)
        } else {
            None
        };
        if !self.interest.is_empty() {
            // The other pump's copy of the socket would keep it in the set.
            let _ = epoll::delete(&cx.epoll, &self.socket);
        }
        cx.shared.forget(self.number);
        let (gift, socket, unsent) = match (self.tls, inner) {
            (Some(tls), Some((ours, theirs))) => {
                let relay = Relay::new(self.number, self.socket, tls, ours, self.output, cx.now);
                (Gift::Relayed(Box::new(relay)), theirs, Vec::new())
            }
            _ => (Gift::Whole, self.socket.into_inner(), self.output),
        };
        let Opening { protocol, bytes: opening, decided } = opening;
        let parcel = Parcel { socket, protocol, opening, decided, unsent };
        cx.events.push(Event::Given { conn: self.number, parcel: parcel.into() });
        gift
    }

    /// Reads again what another pump has read and answered.
    pub(in super::super) fn replay(&mut self, opening: &[u8], decided: usize, unsent: Vec<u8>, cx: &mut Context) {
        self.output = unsent;
        self.decided = decided + 1;
        self.take(opening, cx);
        self.mute();
    }

    /// Throws away what the session has said up to a decision that was taken elsewhere.
    pub(in super::super) fn mute(&mut self) {
        if let (true, Some(session)) = (self.decided > 0, &mut self.session) {
            session.take_output();
            self.decided -= 1;
        }
    }

    /// A connection that stays was to be given away.
    pub(in super::super) fn not_given(&mut self, cx: &mut Context) {
        let detail = "the connection can't go to the worker of its channel: it sent too much before, or was decided on";
        self.fail(&Error::new("NOT_GIVEN", self.counters.received(), detail).with_status(503), cx);
    }
}
