//! The thread: waits, reads, publishes.

use super::Options;
use super::budget::Budget;
use super::clocks::Clocks;
use super::connection::Connection;
use super::connection::given::Gift;
use super::context::Context;
use super::event::{Command, Event, Number, Parcel, Protocol};
use super::http::HttpConnection;
use super::relay::{INNER, Relay};
use super::rtmp::RtmpConnection;
use super::session::Session;
use super::shared::Shared;
use super::socket::Socket;
use super::tls::Tls;
use crate::spill::SpillFile;
use pypackager_core::demux::cut::CutOptions;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustls::ServerConfig;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All connections and what they share.
pub(super) struct Loop {
    connections: BTreeMap<Number, Connection>,
    /// Connections over TLS that were given away.
    relays: BTreeMap<Number, Box<Relay>>,
    cx: Context,
    next_tick: Option<Instant>,
    stopped: bool,
}

impl Loop {
    pub(super) fn new(options: Options, shared: Arc<Shared>) -> rustix::io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &shared.wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let buffer = vec![0; options.buffer_bytes];
        let clocks = Clocks::new(CutOptions {
            audio_grid_ms: options.audio_grid.as_millis() as i64,
            max_pending_bytes: options.max_fragment,
            ..CutOptions::default()
        });
        let now = Instant::now();
        let spill = SpillFile::new(options.spill_directory.clone());
        let cx = Context { epoll, options, shared, clocks, events: Vec::new(), spill, buffer, plain: Vec::new(), now };
        Ok(Self { connections: BTreeMap::new(), relays: BTreeMap::new(), cx, next_tick: None, stopped: false })
    }

    /// Runs until the stop.
    pub(super) fn run(mut self) {
        while !self.stopped {
            let ready = self.wait();
            self.cx.now = Instant::now();
            self.turn(ready);
        }
    }

    /// Acts on what woke it and on what is due.
    fn turn(&mut self, ready: Vec<Number>) {
        let mut bursts = false;
        for number in ready {
            if number == WAKE {
                self.cx.shared.wake.clear();
                self.obey();
            } else if self.relays.contains_key(&(number & !INNER)) {
                self.relay(number & !INNER);
            } else {
                self.touch(number, |connection, cx| bursts |= connection.ready(cx));
            }
        }
        if bursts {
            let soon = self.cx.now + BURST_PAUSE;
            self.next_tick = Some(self.next_tick.map_or(soon, |due| due.min(soon)));
        }
        self.tick();
        self.expire();
        self.cx.shared.publish(&mut self.cx.events);
    }

    /// Sleeps until a socket that is watched has something, a command comes, the tick is due or somebody's patience ends.
    fn wait(&mut self) -> Vec<Number> {
        let now = Instant::now();
        if self.connections.values().any(Connection::ticks) || self.relays.values().any(|relay| relay.ticks(now)) {
            self.next_tick.get_or_insert(now + self.cx.options.tick);
        } else {
            self.next_tick = None;
        }
        let deadlines = self.connections.values().filter_map(|connection| connection.deadline(&self.cx));
        let lingering = self.relays.values().filter_map(|relay| relay.deadline());
        let until = deadlines.chain(lingering).chain(self.next_tick).min();
        let timeout = until.map(|until| timespec(until.saturating_duration_since(now)));
        let mut ready = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 64];
        match epoll::wait(&self.cx.epoll, &mut ready[..], timeout.as_ref()) {
            Ok(count) => ready[..count].iter().map(|event| event.data.u64()).collect(),
            // Interrupted: the caller's turn is empty, and the next one waits again.
            Err(_) => Vec::new(),
        }
    }

    fn tick(&mut self) {
        let Some(due) = self.next_tick.filter(|due| *due <= self.cx.now) else { return };
        // Nobody fetches what was read: reading on would only fill the memory.
        let congested = self.cx.shared.waiting_bytes() > self.cx.options.max_waiting;
        let mut busy = false;
        let numbers: Vec<Number> =
            self.connections.iter().filter(|(_, connection)| connection.ticks()).map(|(&number, _)| number).collect();
        for number in numbers {
            self.touch(number, |connection, cx| {
                if congested {
                    connection.rest(cx);
                } else {
                    busy |= connection.tick(cx);
                }
            });
        }
        let relayed: Vec<Number> =
            self.relays.iter().filter(|(_, relay)| relay.ticks(self.cx.now)).map(|(&number, _)| number).collect();
        for number in relayed {
            self.relay(number);
        }
        let next = if busy { self.cx.now + BUSY_PAUSE } else { due + self.cx.options.tick };
        self.next_tick = Some(if next > self.cx.now { next } else { self.cx.now + self.cx.options.tick });
    }

    fn expire(&mut self) {
        let now = self.cx.now;
        let due = |connection: &Connection| connection.deadline(&self.cx).is_some_and(|deadline| deadline <= now);
        let numbers: Vec<Number> =
            self.connections.iter().filter(|(_, connection)| due(connection)).map(|(&number, _)| number).collect();
        for number in numbers {
            self.touch(number, Connection::expire);
        }
        let late = |relay: &Relay| relay.deadline().is_some_and(|deadline| deadline <= now);
        let numbers: Vec<Number> =
            self.relays.iter().filter(|(_, relay)| late(relay)).map(|(&number, _)| number).collect();
        for number in numbers {
            self.relay(number);
        }
    }

    fn obey(&mut self) {
        for command in self.cx.shared.take_commands() {
            match command {
                Command::Add { conn, socket, protocol, tls } => self.add(conn, socket, protocol, tls),
                Command::Adopt { conn, parcel } => self.adopt(conn, parcel),
                Command::Give(conn) => self.give(conn),
                Command::Accept { conn, budget } => {
                    self.touch_owner(conn, |connection, cx| connection.accept(conn, budget, cx));
                }
                Command::Bind { conn, clock } => {
                    self.touch_owner(conn, |connection, cx| connection.bind(conn, clock, cx));
                }
                Command::Respond { conn, answer } => {
                    self.touch(conn, |connection, cx| connection.respond(&answer, cx));
                }
                Command::Refuse { conn, code, description } => {
                    self.touch_owner(conn, |connection, cx| connection.refuse(conn, &code, &description, cx));
                }
                Command::Close(conn) => self.touch_owner(conn, |connection, cx| connection.leave(conn, cx)),
                Command::Hold { conn, held } => self.touch(conn, |connection, cx| connection.hold(held, cx)),
                Command::Stop => {
                    self.stopped = true;
                    let numbers: Vec<Number> = self.connections.keys().copied().collect();
                    for number in numbers {
                        self.touch(number, Connection::close);
                    }
                }
            }
        }
    }

    fn add(&mut self, number: Number, socket: OwnedFd, protocol: Protocol, tls: Option<Arc<ServerConfig>>) {
        if self.enlist(number, socket, protocol, tls) {
            // The peer spoke first, most likely before the socket came here.
            self.touch(number, |connection, cx| {
                connection.drain(cx);
            });
        }
    }

    fn enlist(&mut self, number: Number, socket: OwnedFd, protocol: Protocol, tls: Option<Arc<ServerConfig>>) -> bool {
        let counters = self.cx.shared.counters(number);
        // What can fail in TLS is the system's random numbers.
        let tls = tls.map(|config| Tls::new(config).map(Box::new)).transpose();
        let (Ok(socket), Ok(tls), Some(counters)) = (Socket::new(socket), tls, counters) else {
            self.cx.shared.forget(number);
            let detail = Cow::Borrowed("not a socket");
            self.cx.events.push(Event::Closed { conn: number, code: "CONNECTION_LOST", detail, bytes_received: 0 });
            return false;
        };
        let session: Box<dyn Session> = match protocol {
            Protocol::Rtmp => Box::new(RtmpConnection::new(number, &self.cx.options)),
            Protocol::Http => Box::new(HttpConnection::new(&self.cx.options)),
        };
        self.connections.insert(number, Connection::new(number, socket, tls, session, counters, self.cx.now));
        true
    }

    fn adopt(&mut self, number: Number, parcel: Parcel) {
        let Parcel { socket, protocol, opening, decided, unsent } = parcel;
        if self.enlist(number, socket, protocol, None) {
            self.touch(number, |connection, cx| connection.replay(&opening, decided, unsent, cx));
        }
    }

    fn give(&mut self, number: Number) {
        let Some(connection) = self.connections.remove(&number) else { return };
        match connection.give(&mut self.cx) {
            Gift::Whole => {}
            Gift::Relayed(relay) => {
                self.relays.insert(number, relay);
                self.relay(number);
            }
            Gift::Stays(connection) => {
                self.connections.insert(number, *connection);
                self.touch(number, Connection::not_given);
            }
        }
    }

    /// Lets one relay pass on what there is. A panic is its end, and nobody else's.
    fn relay(&mut self, number: Number) {
        let Some(mut relay) = self.relays.remove(&number) else { return };
        let cx = &mut self.cx;
        let kept = catch_unwind(AssertUnwindSafe(|| relay.work(cx))).unwrap_or_else(|_| {
            cx.buffer.resize(cx.options.buffer_bytes, 0);
            false
        });
        if kept {
            self.relays.insert(number, relay);
        }
    }

    /// [`touch`](Self::touch) for a number that may stand for a further publish.
    fn touch_owner(&mut self, number: Number, act: impl FnOnce(&mut Connection, &mut Context)) {
        self.touch(self.cx.shared.connection_of(number), act);
    }

    /// Lets one connection act, and brings its channel back under its budget.
    fn touch(&mut self, number: Number, act: impl FnOnce(&mut Connection, &mut Context)) {
        self.act(number, act);
        let over = self.connections.get(&number).and_then(|connection| connection.over_budget().cloned());
        if let Some(budget) = over {
            self.relieve(&budget);
        }
    }

    /// Spills the largest open fragment of a budget, and again, until it is kept. The largest of n is at least an n-th of the budget: that is
    /// what makes the pieces large.
    fn relieve(&mut self, budget: &Arc<Budget>) {
        loop {
            let cx = &self.cx;
            let sizes = self.connections.iter_mut().map(|(&number, connection)| (connection.count(budget, cx), number));
            let largest = sizes.max();
            match largest {
                Some((size, number)) if size > 0 && budget.is_over() => self.act(number, Connection::spill),
                _ => return,
            }
        }
    }

    /// Lets one connection act. A panic is that connection's end, and nobody else's.
    fn act(&mut self, number: Number, act: impl FnOnce(&mut Connection, &mut Context)) {
        let Some(mut connection) = self.connections.remove(&number) else { return };
        let cx = &mut self.cx;
        let start = cx.events.len();
        let kept = catch_unwind(AssertUnwindSafe(|| {
            act(&mut connection, cx);
            connection.settle(cx)
        }));
        let kept = kept.unwrap_or_else(|_| {
            cx.buffer.resize(cx.options.buffer_bytes, 0);
            for number in connection.numbers() {
                cx.clocks.evict(number, &mut cx.events);
            }
            connection.abandon(cx);
            connection.settle(cx)
        });
        limit_warnings(&mut cx.events, start);
        if kept {
            self.connections.insert(number, connection);
        }
    }
}

/// Leaves the first few warnings of a turn: a peer that sends nothing but faults must not flood the one who reads them.
fn limit_warnings(events: &mut Vec<Event>, start: usize) {
    let (mut index, mut warnings) = (0, 0);
    events.retain(|event| {
        index += 1;
        let warned = index > start && matches!(event, Event::Warned { .. });
        warnings += usize::from(warned);
        !warned || warnings <= MAX_WARNINGS
    });
}

fn timespec(duration: Duration) -> Timespec {
    // epoll_wait(2) counts in milliseconds: rounded down it would return early and spin.
    let milliseconds = duration.as_micros().div_ceil(1000);
    Timespec { tv_sec: (milliseconds / 1000) as i64, tv_nsec: (milliseconds % 1000) as i64 * 1_000_000 }
}

/// Warnings of one connection in one turn.
const MAX_WARNINGS: usize = 8;
const WAKE: Number = Number::MAX;
/// After a turn that left something in a socket: long enough for the next one to read much at once.
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// After the first socket of a ladder has a fragment: the others have theirs by then, and all are read in one turn.
const BURST_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod full_disk;

#[cfg(test)]
mod tests {
    use super::super::session::{Outlet, State};
    use super::*;
    use pypackager_core::error::{Error, Result};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A session amid media: does what a test wants whenever it is fed.
    struct Fed<F>(F);

    impl<F: FnMut() + Send> Session for Fed<F> {
        fn feed(&mut self, _: &[u8], _: &mut Outlet<'_>) -> Result<()> {
            (self.0)();
            Ok(())
        }
        fn accept(&mut self, _: &mut Outlet<'_>) -> Result<()> {
            Ok(())
        }
        fn refuse(&mut self, _: &str, _: &str, _: &mut Outlet<'_>) -> Result<()> {
            Ok(())
        }
        fn end_of_input(&mut self, _: &mut Outlet<'_>) -> Result<()> {
            Ok(())
        }
        fn fail(&mut self, _: &Error) {}
        fn detach(&mut self, _: &mut Outlet<'_>) {}
        fn take_output(&mut self) -> Vec<u8> {
            Vec::new()
        }
        fn state(&self) -> State {
            State::Media
        }
    }

    /// A pump with one connection amid media, its encoder's end, and how often the session was fed.
    fn amid_media() -> (Loop, UnixStream, Arc<AtomicUsize>) {
        let shared = Arc::new(Shared::new().expect("an eventfd"));
        let mut pump = Loop::new(Options::default(), Arc::clone(&shared)).expect("an epoll set");
        let (encoder, socket) = UnixStream::pair().expect("a socket pair");
        let number = shared.enroll();
        let counters = shared.counters(number).expect("just enrolled");
        let fed = Arc::new(AtomicUsize::new(0));
        let socket = Socket::new(socket.into()).expect("a socket");
        let count = Arc::clone(&fed);
        let session = Box::new(Fed(move || _ = count.fetch_add(1, Ordering::Relaxed)));
        pump.connections.insert(number, Connection::new(number, socket, None, session, counters, pump.cx.now));
        (pump, encoder, fed)
    }

    #[test]
    fn a_socket_that_brought_nothing_is_read_soon_after_it_has_something() {
        let (mut pump, mut encoder, fed) = amid_media();
        pump.next_tick = Some(pump.cx.now);
        pump.tick();
        assert!(!pump.connections.values().any(Connection::ticks), "nobody looks at a socket that has nothing");
        for round in 1..4 {
            encoder.write_all(b"a fragment").expect("room in the socket");
            let ready = pump.wait();
            assert_eq!((ready.len(), pump.next_tick), (1, None), "the kernel says so");
            pump.cx.now = Instant::now();
            pump.turn(ready);
            assert_eq!(fed.load(Ordering::Relaxed), round - 1, "what the others of its ladder bring is read with it");
            assert_eq!(pump.next_tick, Some(pump.cx.now + BURST_PAUSE));
            assert!(pump.wait().is_empty(), "it is told of once");
            pump.cx.now += BURST_PAUSE;
            pump.tick();
            assert_eq!(fed.load(Ordering::Relaxed), round);
            for _ in 0..2 {
                // It brought little and sits one out, then has nothing.
                pump.next_tick = Some(pump.cx.now);
                pump.tick();
            }
            assert!(!pump.connections.values().any(Connection::ticks));
        }
    }

    #[test]
    fn a_socket_that_brings_little_sits_out_every_other_tick() {
        for (size, looks) in [(1000, [1, 1, 2, 2]), (40 << 10, [1, 2, 3, 4])] {
            let (mut pump, mut encoder, fed) = amid_media();
            for look in looks {
                encoder.write_all(&vec![0; size]).expect("room in the socket");
                pump.next_tick = Some(pump.cx.now);
                pump.tick();
                assert_eq!(fed.load(Ordering::Relaxed), look, "{size} bytes a tick");
            }
        }
    }

    #[test]
    fn a_flood_of_warnings_is_cut_and_nothing_else() {
        let warned = || Event::Warned { conn: 1, error: Error::new("X", 0, "x") };
        let mut events = vec![warned(), Event::BodyEnd { conn: 1 }];
        for _ in 0..100 {
            events.extend([warned(), Event::BodyEnd { conn: 1 }]);
        }
        limit_warnings(&mut events, 2);
        assert_eq!(events.iter().filter(|event| matches!(event, Event::BodyEnd { .. })).count(), 101);
        assert_eq!(events.len(), 101 + 1 + MAX_WARNINGS);
    }

    #[test]
    fn a_panic_ends_its_own_connection() {
        let shared = Arc::new(Shared::new().expect("an eventfd"));
        let mut pump = Loop::new(Options::default(), Arc::clone(&shared)).expect("an epoll set");
        let (mut faulty, socket) = UnixStream::pair().expect("a socket pair");
        let number = shared.enroll();
        let counters = shared.counters(number).expect("just enrolled");
        let socket = Socket::new(socket.into()).expect("a socket");
        let session = Box::new(Fed(|| panic!("a fault that nobody has found yet")));
        pump.connections.insert(number, Connection::new(number, socket, None, session, counters, pump.cx.now));
        let (mut other, socket) = UnixStream::pair().expect("a socket pair");
        let neighbour = shared.enroll();
        pump.add(neighbour, socket.into(), Protocol::Http, None);

        faulty.write_all(b"x").expect("room in the socket");
        pump.touch(number, |connection, cx| {
            connection.drain(cx);
        });
        let closed = |event: &Event| matches!(event, Event::Closed { conn, code: "INTERNAL", .. } if *conn == number);
        assert!(matches!(pump.cx.events.as_slice(), [event] if closed(event)), "{:?}", pump.cx.events);
        assert_eq!(faulty.read(&mut [0; 8]).expect("an end"), 0);

        other.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("room in the socket");
        pump.touch(neighbour, |connection, cx| {
            connection.drain(cx);
        });
        assert!(matches!(pump.cx.events.last(), Some(Event::Request { .. })), "{:?}", pump.cx.events);
    }
}
