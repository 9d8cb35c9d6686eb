//! A connection that goes on in another pump.

use super::super::context::Context;
use super::super::event::{Event, Parcel};
use super::Connection;
use pypackager_core::error::Error;
use rustix::event::epoll;

impl Connection {
    /// Gives the connection away at a decision that is due. One that can't be given away comes back.
    pub(in super::super) fn give(self, cx: &mut Context) -> Option<Box<Self>> {
        let opening = self.session.as_ref().and_then(|session| session.opening());
        let Some(opening) = opening.filter(|_| self.tls.is_none() && !self.gone) else { return Some(Box::new(self)) };
        if !self.interest.is_empty() {
            // The other pump's copy of the socket would keep it in the set.
            let _ = epoll::delete(&cx.epoll, &self.socket);
        }
        cx.shared.forget(self.number);
        let parcel = Parcel {
            socket: self.socket.into_inner(),
            protocol: opening.protocol,
            opening: opening.bytes,
            decided: opening.decided,
            unsent: self.output,
        };
        cx.events.push(Event::Given { conn: self.number, parcel: parcel.into() });
        None
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
