//! One connection: its socket, its session, its limits.

pub(super) mod given;
mod sealed;

use super::budget::{Budget, Share};
use super::clocks::Clocks;
use super::context::Context;
use super::event::{Answer, Event, Number};
use super::further::Further;
use super::located;
use super::session::{Held, Outlet, Session, State};
use super::shared::Counters;
use super::socket::{Read, Socket};
use super::tls::Tls;
use pypackager_core::error::{Error, Result};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The way out for the session of a connection: parts of both, that the session may be borrowed beside them.
macro_rules! outlet {
    ($connection:expr, $conn:expr, $cx:expr) => {
        Outlet {
            conn: $conn,
            further: &mut $connection.further,
            shared: &$cx.shared,
            now_ms: $cx.elapsed(),
            events: &mut $cx.events,
            clocks: &mut $cx.clocks,
        }
    };
}

/// Whether the peer can be told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Open,
    /// It knows that nothing more comes.
    Ended,
    /// It takes nothing any more; what it sent before is still to be read.
    Deaf,
}

/// A connection that the loop owns.
pub(super) struct Connection {
    number: Number,
    socket: Socket,
    /// Where the peer is to speak TLS.
    tls: Option<Box<Tls>>,
    /// Gone when the connection is over for everybody but its peer, who may still read the last answer.
    session: Option<Box<dyn Session>>,
    state: State,
    /// When `state` began; while closing, when that began.
    since: Instant,
    last_input: Instant,
    held: bool,
    brought: Brought,
    output: Vec<u8>,
    writing: Writing,
    interest: EventFlags,
    counters: Arc<Counters>,
    /// Its publishes beyond the first.
    further: Further,
    /// What it holds of its channel's budget, once it is accepted.
    share: Option<Share>,
    /// Decisions that were taken elsewhere: what the session says to them is not sent again.
    decided: usize,
    /// Nothing is left to do: the socket can go.
    gone: bool,
}

impl Connection {
    pub(super) fn new(
        number: Number,
        socket: Socket,
        tls: Option<Box<Tls>>,
        session: Box<dyn Session>,
        counters: Arc<Counters>,
        now: Instant,
    ) -> Self {
        Self {
            number,
            socket,
            tls,
            state: session.state(),
            session: Some(session),
            since: now,
            last_input: now,
            held: false,
            brought: Brought::Much,
            output: Vec::new(),
            writing: Writing::Open,
            interest: EventFlags::empty(),
            counters,
            further: Further::default(),
            share: None,
            decided: 0,
            gone: false,
        }
    }

    /// Reads what the socket has, within the turn's bound. True when there may be more.
    pub(super) fn drain(&mut self, cx: &mut Context) -> bool {
        let mut buffer = std::mem::take(&mut cx.buffer);
        let mut total = 0;
        let more = loop {
            if !self.readable() {
                break false;
            }
            // Over the budget nothing more is read before what is open is spilled.
            if total >= cx.options.turn_bytes || self.over_budget().is_some() {
                break true;
            }
            match self.socket.read(&mut buffer) {
                Ok(Read::Bytes(count)) => {
                    total += count;
                    self.receive(&buffer[..count], cx);
                    // A read that leaves room has emptied the socket: asking again costs a system call a turn and connection.
                    if count < buffer.len() {
                        break total >= cx.options.busy_bytes;
                    }
                }
                Ok(Read::Empty) => break false,
                Ok(Read::End) => {
                    self.end_of_input(cx);
                    break false;
                }
                Err(errno) => {
                    self.lost(errno, cx);
                    break false;
                }
            }
        };
        cx.buffer = buffer;
        self.brought = match total {
            0 if !more => Brought::Nothing,
            ..LIGHT_BYTES => Brought::Little,
            _ => Brought::Much,
        };
        more
    }

    /// The kernel says that the socket has something. True when that ends a rest: it is read at a tick, soon.
    pub(super) fn ready(&mut self, cx: &mut Context) -> bool {
        if self.state == State::Media && self.brought == Brought::Nothing {
            self.brought = Brought::Much;
            return true;
        }
        self.drain(cx);
        false
    }

    /// [`drain`](Self::drain) at a tick: a socket that had little is left for every other one, since each look costs much the same.
    pub(super) fn tick(&mut self, cx: &mut Context) -> bool {
        if self.brought == Brought::Little {
            self.brought = Brought::Much;
            return false;
        }
        self.drain(cx)
    }

    /// Its number, and those of its further publishes.
    pub(super) fn numbers(&self) -> Vec<Number> {
        [vec![self.number], self.further.numbers()].concat()
    }

    /// Lets what `conn` asked for go on. Its publishes are of one channel: all that they hold counts against the budget.
    pub(super) fn accept(&mut self, conn: Number, budget: Option<Arc<Budget>>, cx: &mut Context) {
        self.share = budget.map(Share::new);
        self.act_for(conn, cx, |session, out| session.accept(out));
        self.mute();
        // A short body came along with its head or waits in the socket already.
        self.last_input = cx.now;
        self.state = self.session.as_ref().map_or(State::Closing, |session| session.state());
        self.drain(cx);
    }

    pub(super) fn bind(&mut self, conn: Number, clock: u64, cx: &mut Context) {
        self.act_for(conn, cx, |session, out| session.bind(clock, out));
        self.last_input = cx.now;
    }

    pub(super) fn respond(&mut self, answer: &Answer, cx: &mut Context) {
        self.act(cx, |session, out| session.respond(answer, out));
    }

    pub(super) fn refuse(&mut self, conn: Number, code: &str, description: &str, cx: &mut Context) {
        self.act_for(conn, cx, |session, out| session.refuse(code, description, out));
    }

    /// Ends what a number stands for in good order: a further publish, or the connection.
    pub(super) fn leave(&mut self, conn: Number, cx: &mut Context) {
        if conn == self.number {
            return self.close(cx);
        }
        self.act_for(conn, cx, |session, out| session.end(out));
    }

    pub(super) fn hold(&mut self, held: bool, cx: &Context) {
        self.held = held;
        // The peer could not send meanwhile: its silence starts anew.
        self.rest(cx);
    }

    /// Excuses the peer's silence so far.
    pub(super) fn rest(&mut self, cx: &Context) {
        if self.session.is_some() {
            self.last_input = cx.now;
            self.since = cx.now;
        }
    }

    /// Ends the connection in good order; its output is still sent.
    pub(super) fn close(&mut self, cx: &mut Context) {
        self.finish("", Cow::Borrowed(""), cx);
    }

    /// Ends the connection because of a fault, and tells the peer.
    pub(super) fn fail(&mut self, error: &Error, cx: &mut Context) {
        if let Some(session) = &mut self.session {
            session.fail(error);
            let output = session.take_output();
            self.say(&output);
        }
        self.finish(error.code, Cow::Owned(located(error)), cx);
    }

    /// Ends the connection without a word, after a fault of ours.
    pub(super) fn abandon(&mut self, cx: &mut Context) {
        if let Some(session) = self.session.take() {
            // Dropped without a call: it is the session that failed.
            drop(session);
            self.share = None;
            let detail = Cow::Borrowed("a fault in the session, reported on standard error");
            self.further.close_all(("INTERNAL", &detail), &cx.shared, &mut cx.events);
            self.report("INTERNAL", detail, cx);
        }
    }

    /// The budget that it is on when more is held of it than may be.
    pub(super) fn over_budget(&self) -> Option<&Arc<Budget>> {
        self.share.as_ref().map(|share| &share.budget).filter(|budget| budget.is_over())
    }

    /// Counts anew what it holds of `budget`; gives the size of its largest open fragment.
    pub(super) fn count(&mut self, budget: &Arc<Budget>, cx: &Context) -> usize {
        if !self.share.as_ref().is_some_and(|share| Arc::ptr_eq(&share.budget, budget)) {
            return 0;
        }
        self.account(&cx.clocks).largest
    }

    /// Sends its largest open fragment to the spill file.
    pub(super) fn spill(&mut self, cx: &mut Context) {
        let (Some(session), Some(share)) = (&mut self.session, &self.share) else { return };
        let mut out = outlet!(self, self.number, cx);
        share.budget.count_spilled(session.spill(&mut cx.spill, &mut out));
        self.account(&cx.clocks);
    }

    fn account(&mut self, clocks: &Clocks) -> Held {
        let held = self.session.as_ref().map_or_else(Held::default, |session| session.held(clocks));
        if let Some(share) = &mut self.share {
            share.set(held.total);
        }
        held
    }

    /// When the connection's patience ends.
    pub(super) fn deadline(&self, cx: &Context) -> Option<Instant> {
        let idle = cx.options.idle_timeout;
        match (&self.session, self.state) {
            (None, _) => Some(self.since + LINGER),
            (_, State::Waiting) => Some(self.since + cx.options.decision_timeout),
            _ if self.is_shaking() => Some(self.since + cx.options.handshake_timeout),
            _ if self.held => None,
            (_, State::Media) => Some(self.last_input + idle),
            (_, State::Talking { .. } | State::Closing) => Some(self.since + idle),
        }
    }

    /// Acts on the [`deadline`](Self::deadline) when it has passed.
    pub(super) fn expire(&mut self, cx: &mut Context) {
        if self.deadline(cx).is_none_or(|deadline| deadline > cx.now) {
            return;
        }
        let at = self.counters.received();
        match (&self.session, self.state) {
            (None, _) => self.gone = true,
            // A port that is only looked at, as load balancers do, is no fault.
            _ if self.is_shaking() && !self.heard() => self.close(cx),
            _ if self.is_shaking() => {
                let detail = format!("no handshake within {} ms", cx.options.handshake_timeout.as_millis());
                self.fail(&Error::new("TLS_HANDSHAKE", at, detail), cx);
            }
            (_, State::Talking { quiet: true } | State::Closing) => self.close(cx),
            (_, State::Waiting) => {
                let error = Error::new("DECISION_TIMEOUT", at, "the server did not decide in time").with_status(503);
                self.fail(&error, cx);
            }
            (_, State::Talking { quiet: false } | State::Media) => {
                let detail = format!("nothing complete for {} ms", cx.options.idle_timeout.as_millis());
                self.fail(&Error::new("IDLE_TIMEOUT", at, detail).with_status(408), cx);
            }
        }
    }

    /// Whether the tick is to read this socket.
    pub(super) fn ticks(&self) -> bool {
        self.readable() && (self.session.is_none() || self.state == State::Media && self.brought != Brought::Nothing)
    }

    /// Sends output and follows the session's state. False when the connection can be dropped.
    pub(super) fn settle(&mut self, cx: &mut Context) -> bool {
        if let Some(session) = &mut self.session {
            let (output, state) = (session.take_output(), session.state());
            self.say(&output);
            if state != self.state {
                (self.state, self.since) = (state, cx.now);
            }
            if state == State::Closing {
                self.close(cx);
            } else if self.tls.as_ref().is_some_and(|tls| tls.ended()) && self.readable() {
                // The farewell may have come behind what had to be decided first.
                self.end_session(cx);
            }
        }
        self.send(cx);
        if self.session.is_none() && self.output.is_empty() && self.writing == Writing::Open {
            self.writing = Writing::Ended;
            self.socket.end();
        }
        let watched = self.watch(cx);
        if let Err(errno) = watched {
            self.lost(errno, cx);
        }
        if self.gone {
            self.interest = EventFlags::empty();
        }
        !self.gone
    }

    fn readable(&self) -> bool {
        !self.gone
            && match (&self.session, self.state) {
                // What still comes is thrown away, so that closing does not reset the connection under the last answer.
                (None, _) => true,
                (_, State::Talking { .. } | State::Media) => !self.held,
                (_, State::Waiting | State::Closing) => false,
            }
    }

    fn take(&mut self, bytes: &[u8], cx: &mut Context) {
        if self.session.is_none() {
            return;
        }
        self.last_input = cx.now;
        self.counters.count(bytes.len(), cx.elapsed());
        self.act(cx, |session, out| session.feed(bytes, out));
        if let Some(session) = &self.session {
            let state = session.state();
            if state != self.state {
                (self.state, self.since) = (state, cx.now);
            }
        }
    }

    fn end_of_input(&mut self, cx: &mut Context) {
        if self.is_shaking() && self.heard() {
            let detail = "the connection ended inside the handshake: does the encoder accept our certificate?";
            self.fail(&Error::new("TLS_HANDSHAKE", 0, detail), cx);
        }
        self.end_session(cx);
        // One who ended its side may still read, but not for long, and what does not fit its window now is not worth waiting for.
        self.send(cx);
        self.gone = true;
    }

    /// The peer sends no more. With TLS it has said so or not (RFC 9112 9.8): what is whole is known by the protocol inside, to which a cut is
    /// never an end.
    fn end_session(&mut self, cx: &mut Context) {
        self.act(cx, |session, out| session.end_of_input(out));
        self.close(cx);
    }

    fn act(&mut self, cx: &mut Context, call: impl FnOnce(&mut dyn Session, &mut Outlet<'_>) -> Result<()>) {
        self.act_for(self.number, cx, call);
    }

    fn act_for(
        &mut self,
        conn: Number,
        cx: &mut Context,
        call: impl FnOnce(&mut dyn Session, &mut Outlet<'_>) -> Result<()>,
    ) {
        let Some(session) = &mut self.session else { return };
        let mut out = outlet!(self, conn, cx);
        if let Err(error) = call(session.as_mut(), &mut out) {
            self.fail(&error, cx);
        }
        self.account(&cx.clocks);
    }

    fn finish(&mut self, code: &'static str, detail: Cow<'static, str>, cx: &mut Context) {
        let Some(mut session) = self.session.take() else { return };
        let mut out = outlet!(self, self.number, cx);
        session.detach(&mut out);
        self.further.close_all((code, &detail), &cx.shared, &mut cx.events);
        let output = session.take_output();
        self.say(&output);
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.output);
        }
        self.share = None;
        self.report(code, detail, cx);
    }

    fn report(&mut self, code: &'static str, detail: Cow<'static, str>, cx: &mut Context) {
        (self.state, self.since) = (State::Closing, cx.now);
        let bytes_received = self.counters.received();
        cx.shared.forget(self.number);
        cx.events.push(Event::Closed { conn: self.number, code, detail, bytes_received });
    }

    fn lost(&mut self, errno: Errno, cx: &mut Context) {
        self.output.clear();
        // Encoders that have said good-bye do not wait for the answer, which the kernel reports as a reset.
        let orderly = self.state == State::Talking { quiet: true };
        let code = match orderly {
            _ if self.is_shaking() && self.heard() => "TLS_HANDSHAKE",
            true => "",
            false => "CONNECTION_LOST",
        };
        self.finish(code, Cow::Owned(errno.to_string()), cx);
        self.gone = true;
    }

    fn send(&mut self, cx: &mut Context) {
        if self.writing == Writing::Open && !self.output.is_empty() && !self.gone {
            match self.socket.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(_) => self.writing = Writing::Deaf,
            }
        }
        if self.writing == Writing::Deaf {
            self.output.clear();
            self.gone |= self.session.is_none();
        }
        if self.output.len() > MAX_OUTPUT {
            self.output.clear();
            self.finish("OUTPUT_LIMIT", Cow::Borrowed("the peer does not read its answers"), cx);
            self.gone = true;
        }
    }

    /// Asks the kernel for just what is to be acted on at once.
    fn watch(&mut self, cx: &Context) -> std::result::Result<(), Errno> {
        let mut wanted = EventFlags::empty();
        if !self.gone {
            let watched = matches!(self.state, State::Talking { .. })
                || self.state == State::Media && self.brought == Brought::Nothing;
            wanted.set(EventFlags::IN, self.session.is_some() && watched && self.readable());
            wanted.set(EventFlags::OUT, !self.output.is_empty());
        }
        if wanted == self.interest {
            return Ok(());
        }
        let data = EventData::new_u64(self.number);
        let before = std::mem::replace(&mut self.interest, wanted);
        if wanted.is_empty() {
            epoll::delete(&cx.epoll, &self.socket)
        } else if before.is_empty() {
            epoll::add(&cx.epoll, &self.socket, data, wanted)
        } else {
            epoll::modify(&cx.epoll, &self.socket, data, wanted)
        }
    }
}

/// What the last turn found in the socket, or what the next one is to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    /// It is looked at again at the next tick.
    Much,
    /// It sits the next tick out.
    Little,
    /// Amid media it is not looked at before the kernel says that something came.
    Nothing,
}

/// What a look at a socket is worth: audio and the low layers bring less in a tick.
const LIGHT_BYTES: usize = 32 << 10;
/// How long a peer may take to read the last answer and end its side.
const LINGER: Duration = Duration::from_secs(2);
/// Answers are short: a peer that leaves this much unread does not read.
const MAX_OUTPUT: usize = 256 << 10;
