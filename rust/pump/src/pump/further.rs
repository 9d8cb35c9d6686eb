//! Publishes of one connection beyond its first: to everybody but the socket each is a connection of its own.

use super::event::{Event, Number};
use super::shared::{Counters, Shared};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Those of one connection that are not over.
#[derive(Debug, Default)]
pub(super) struct Further(BTreeMap<Number, Arc<Counters>>);

impl Further {
    /// A number for one more publish of `parent`.
    pub(super) fn open(&mut self, parent: Number, shared: &Shared) -> Number {
        let number = shared.enroll_under(parent);
        if let Some(counters) = shared.counters(number) {
            self.0.insert(number, counters);
        }
        number
    }

    pub(super) fn numbers(&self) -> Vec<Number> {
        self.0.keys().copied().collect()
    }

    /// Counts what came of one of them; the connection's own number counts its socket.
    pub(super) fn count(&self, number: Number, bytes: usize, now_ms: u64) {
        if let Some(counters) = self.0.get(&number) {
            counters.count(bytes, now_ms);
        }
    }

    /// One of them is over.
    pub(super) fn close(
        &mut self,
        conn: Number,
        (code, detail): (&'static str, Cow<'static, str>),
        shared: &Shared,
        events: &mut Vec<Event>,
    ) {
        let Some(counters) = self.0.remove(&conn) else { return };
        shared.forget(conn);
        events.push(Event::Closed { conn, code, detail, bytes_received: counters.received() });
    }

    /// Their socket is gone.
    pub(super) fn close_all(
        &mut self,
        (code, detail): (&'static str, &Cow<'static, str>),
        shared: &Shared,
        events: &mut Vec<Event>,
    ) {
        for number in self.numbers() {
            self.close(number, (code, detail.clone()), shared, events);
        }
    }
}
