//! What the thread and its callers share: commands one way, events the other, counters.

use super::event::{Command, Event, Number};
use crate::bell::Bell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Both ends hold one.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) started: Instant,
    /// Wakes the thread.
    pub(super) wake: Bell,
    /// Wakes the reader of the events.
    pub(super) ready: Bell,
    commands: Mutex<Vec<Command>>,
    waiting: Mutex<Waiting>,
    connections: Mutex<BTreeMap<Number, Arc<Counters>>>,
    /// The connections of those numbers that stand for a further publish.
    parents: Mutex<BTreeMap<Number, Number>>,
    last_number: AtomicU64,
}

/// Events that nobody fetched yet.
#[derive(Debug, Default)]
struct Waiting {
    events: Vec<Event>,
    bytes: usize,
}

/// What a connection received.
#[derive(Debug, Default)]
pub(super) struct Counters {
    received: AtomicU64,
    last_input_ms: AtomicU64,
}

/// What a connection received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The connection.
    pub conn: Number,
    /// Bytes since it was added.
    pub bytes_received: u64,
    /// How long nothing came.
    pub idle: Duration,
}

impl Shared {
    pub(super) fn new() -> rustix::io::Result<Self> {
        Ok(Self {
            started: Instant::now(),
            wake: Bell::new()?,
            ready: Bell::new()?,
            commands: Mutex::default(),
            waiting: Mutex::default(),
            connections: Mutex::default(),
            parents: Mutex::default(),
            last_number: AtomicU64::new(0),
        })
    }

    /// A number for a new connection, which counts from now on.
    pub(super) fn enroll(&self) -> Number {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let counters = Counters { received: AtomicU64::new(0), last_input_ms: AtomicU64::new(self.elapsed_ms()) };
        lock(&self.connections).insert(number, Arc::new(counters));
        number
    }

    /// A number for a further publish of a connection.
    pub(super) fn enroll_under(&self, parent: Number) -> Number {
        let number = self.enroll();
        lock(&self.parents).insert(number, parent);
        number
    }

    /// The number of the connection, which has the socket, that a number stands for.
    pub(super) fn connection_of(&self, number: Number) -> Number {
        lock(&self.parents).get(&number).copied().unwrap_or(number)
    }

    pub(super) fn counters(&self, number: Number) -> Option<Arc<Counters>> {
        lock(&self.connections).get(&number).cloned()
    }

    pub(super) fn forget(&self, number: Number) {
        lock(&self.connections).remove(&number);
        lock(&self.parents).remove(&number);
    }

    pub(super) fn stats(&self) -> Vec<Stats> {
        let now = self.elapsed_ms();
        let connections = lock(&self.connections);
        let stats = connections.iter().map(|(&conn, counters)| Stats {
            conn,
            bytes_received: counters.received(),
            idle: Duration::from_millis(now.saturating_sub(counters.last_input_ms.load(Ordering::Relaxed))),
        });
        stats.collect()
    }

    pub(super) fn command(&self, command: Command) {
        let mut commands = lock(&self.commands);
        let silent = commands.is_empty();
        commands.push(command);
        drop(commands);
        if silent {
            self.wake.ring();
        }
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.commands))
    }

    /// Hands over the events of one turn: one wake-up however many there are.
    pub(super) fn publish(&self, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let sizes = events.iter().map(|event| match event {
            Event::ChunkReady { chunk, .. } => EVENT_SIZE + chunk.payload.held(),
            Event::SignalReady { signal, .. } => EVENT_SIZE + signal.data.len(),
            _ => EVENT_SIZE,
        });
        let bytes: usize = sizes.sum();
        let mut waiting = lock(&self.waiting);
        let silent = waiting.events.is_empty();
        waiting.events.append(events);
        waiting.bytes += bytes;
        drop(waiting);
        if silent {
            self.ready.ring();
        }
    }

    pub(super) fn take_events(&self) -> Vec<Event> {
        self.ready.clear();
        std::mem::take(&mut *lock(&self.waiting)).events
    }

    /// Bytes of all that nobody fetched yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        lock(&self.waiting).bytes
    }

    fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl Counters {
    pub(super) fn count(&self, bytes: usize, now_ms: u64) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_input_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// A poisoned lock guards plain lists here: their content is whole after any panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an event weighs beside its payload, generously: a flood of tiny ones must count as well.
const EVENT_SIZE: usize = 512;
