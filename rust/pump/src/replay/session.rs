//! The life of one stream: a connection, and another when it ends before its time.

use super::attempts::Attempts;
use super::client::{Client, Ending};
use super::feed::Feed;
use super::inject::{Random, Schedule, nanoseconds};
use super::isml::IsmlClient;
use super::rtmp::RtmpClient;
use super::source::{Grain, Source, Timeline};
use super::stats::{Counters, Fault, Phase};
use super::target::Protocol;
use super::wire::Wire;
use super::{Options, Stream};
use rustix::event::epoll::EventFlags;
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a session acts with: the set that its socket is watched in, and the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) epoll: BorrowedFd<'a>,
    pub(super) now: Instant,
}

/// A stream being played; what it sends when is in `play`.
#[allow(clippy::struct_excessive_bools)] // each is a thing of its own that may come with any other
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) stream: Stream,
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
    pub(super) feed: Feed,
    pub(super) schedule: Schedule,
    pub(super) random: Random,
    pub(super) client: Box<dyn Client>,
    /// `None` while there is no connection.
    pub(super) wire: Option<Wire>,
    pub(super) phase: Phase,
    pub(super) attempts: Attempts,
    /// Whether the clock has reached an open connection: what is due since then is to be sent.
    pub(super) begun: bool,
    /// The next connection begins live, not before this media time; `None`: where the last one ended.
    pub(super) live: Option<i64>,
    /// Media time before which nothing is done.
    pub(super) hold: Option<i64>,
    /// Media time until which the connection is slow, and when it last took something.
    pub(super) slow: Option<(i64, Instant)>,
    /// Whether the connection ends as soon as its queue is empty.
    pub(super) hangs_up: bool,
    /// Whether a fault was injected: refusals may be its effect.
    pub(super) injected: bool,
    /// Connections that vanished: open, and never looked at.
    pub(super) vanished: Vec<TcpStream>,
    /// Since when media does not flow that has flowed.
    away: Option<Instant>,
    /// Whether the next POST has header boxes.
    headers: bool,
    stopping: bool,
}

impl Session {
    /// A session that begins with the clock, or later when a fault says so.
    pub(super) fn new(
        number: u64,
        stream: &Stream,
        timeline: Timeline,
        options: Options,
        counters: Arc<Counters>,
        now: Instant,
    ) -> Self {
        let (grain, resend) = match stream.target.protocol {
            Protocol::Http => (Grain::Chunk, options.resend),
            Protocol::Rtmp => (Grain::Sample, if options.rtmp_keeps { options.resend } else { 0 }),
        };
        let limit = options.duration.map_or(i64::MAX, nanoseconds);
        let source = Source::new(Arc::clone(&stream.track), grain, timeline, options.repeat, limit);
        let mut schedule = Schedule::new(&stream.faults, options.seed, number);
        let late = schedule.take_late();
        let mut attempts = Attempts::default();
        match late {
            Some(at) => counters.injected("late-start", at),
            None => attempts.set(Some(now)),
        }
        let phase = if late.is_some() { Phase::Away } else { Phase::Opening };
        counters.enter(phase, None);
        Self {
            number,
            stream: stream.clone(),
            options,
            counters,
            feed: Feed::new(source, resend),
            schedule,
            random: Random::of([options.seed, number, 0, 0]),
            client: new_client(stream, true, true),
            wire: None,
            phase,
            attempts,
            begun: false,
            live: late.or(options.synchronised.then_some(0)),
            hold: late,
            slow: None,
            hangs_up: false,
            injected: late.is_some(),
            vanished: Vec::new(),
            away: None,
            headers: true,
            stopping: false,
        }
    }

    /// Whether anything may still happen.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Done | Phase::Failed)
    }

    /// When it wants to act or its patience ends; `None` while it waits for nothing but its media time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let Some(wire) = &self.wire else { return self.attempts.due() };
        let waits = match self.phase {
            Phase::Opening | Phase::Away | Phase::Closing => Some(self.options.patience),
            Phase::Playing if !wire.out.is_empty() => self.send_timeout(),
            _ => None,
        };
        let slow = self.slow.filter(|_| !wire.out.is_empty()).map(|(_, last)| last + SLOW_STEP);
        let looks = self.send_timeout().filter(|_| self.watches_acknowledgements() && wire.owes());
        let looks = looks.map(|timeout| wire.looked() + timeout / LOOKS);
        waits.and_then(|patience| wire.moved().checked_add(patience)).into_iter().chain(slow).chain(looks).min()
    }

    /// Does what the time asks for: another attempt, a step of a slow connection, an end of patience.
    pub(super) fn tick(&mut self, context: Context<'_>) {
        if self.deadline().is_none_or(|deadline| deadline > context.now) {
            return;
        }
        if self.wire.is_none() {
            return self.connect(context, true);
        }
        if self.slow.is_some() {
            return self.flush(context);
        }
        if self.watches_acknowledgements() {
            return self.look(context);
        }
        let Some(wire) = &mut self.wire else { return };
        let what = match (self.phase, wire.is_connected()) {
            (Phase::Opening | Phase::Away, false) => "no connection",
            (Phase::Opening | Phase::Away, true) => "no permission to publish",
            (Phase::Closing, _) => "no last answer",
            // The kernel's queue may be full while the other side takes something of it.
            _ if wire.stuck(context.now).is_zero() => return wire.wait(context.now),
            _ => "no byte was taken",
        };
        self.give_up(what, context);
    }

    /// Whether media flows whose acknowledgement is watched. The kernel's queue takes many fragments that nobody reads.
    fn watches_acknowledgements(&self) -> bool {
        self.phase == Phase::Playing && self.stream.target.protocol == Protocol::Http
    }

    /// Leaves an other side that has acknowledged nothing for too long.
    pub(super) fn look(&mut self, context: Context<'_>) {
        let (Some(timeout), Some(wire)) = (self.send_timeout(), &mut self.wire) else { return };
        if wire.stuck(context.now) >= timeout {
            self.give_up("nothing was acknowledged", context);
        } else {
            wire.wait(context.now);
        }
    }

    /// The other side does nothing: another connection.
    pub(super) fn give_up(&mut self, what: &str, context: Context<'_>) {
        let patience = Some(self.options.patience);
        let waited = if self.phase == Phase::Playing { self.send_timeout() } else { patience }.unwrap_or_default();
        self.lose(Fault::new("TIMEOUT", format!("{what} within {:.1} s", waited.as_secs_f64())), context);
    }

    /// How long media may wait for room: one and a half fragments, where the stream has fragments and a pace; `None`: for ever.
    pub(super) fn send_timeout(&self) -> Option<Duration> {
        if self.options.broken.timeout {
            return None;
        }
        let paced = self.stream.target.protocol == Protocol::Http && self.options.speed > 0.0;
        let seconds = self.feed.longest() as f64 * 1.5e-9 / self.options.speed;
        Some(if paced { Duration::from_secs_f64(seconds.clamp(1.0, 60.0)) } else { self.options.patience })
    }

    /// Opens a connection, for the empty POST or behind it.
    fn connect(&mut self, context: Context<'_>, probes: bool) {
        self.attempts.set(None);
        self.client = new_client(&self.stream, probes && !self.options.broken.probe, self.headers);
        match Wire::connect(&self.stream.target, self.number, context.epoll, context.now) {
            Ok(wire) => self.wire = Some(wire),
            Err(error) => self.lose(Fault::new("CONNECT_FAILED", error.to_string()), context),
        }
    }

    /// The socket has something, or takes something.
    pub(super) fn ready(&mut self, flags: EventFlags, buffer: &mut [u8], context: Context<'_>) {
        let Some(wire) = &mut self.wire else { return };
        if !wire.is_connected() {
            wire.wait(context.now);
            if let Err(error) = wire.established() {
                return self.lose(Fault::new("CONNECT_FAILED", error.to_string()), context);
            }
            self.client.open(&mut wire.out);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(buffer, context);
        }
        let waits = matches!(self.phase, Phase::Opening | Phase::Away);
        if waits && self.wire.as_ref().is_some_and(Wire::is_connected) && self.client.is_open() {
            self.attempts.opened(context.now);
            self.headers = !self.options.broken.headers;
            if let Some(since) = self.away.take() {
                self.counters.reconnected(context.now.saturating_duration_since(since));
            }
            self.enter(Phase::Open);
        }
        self.flush(context);
    }

    fn read(&mut self, buffer: &mut [u8], context: Context<'_>) {
        while let Some(wire) = &mut self.wire {
            let result = match wire.read(buffer) {
                Ok(None) => return,
                Ok(Some(0)) => self.client.ended().map(Some),
                Ok(Some(count)) => {
                    let read = self.client.read(&buffer[..count], &mut wire.out);
                    read.map(|()| self.client.wants_login().then_some(Ending::Challenged))
                }
                // After our good-bye a reset says no more than an end.
                Err(_) if self.phase == Phase::Closing && self.client.ended().is_ok() => Ok(Some(Ending::Done)),
                Err(error) => Err(wire.fault(&error)),
            };
            if let Some(answer) = self.client.answer() {
                self.counters.said(answer);
            }
            match result {
                Ok(None) => {}
                Ok(Some(Ending::Done)) => return self.finish(),
                Ok(Some(Ending::Probed)) => return self.connect(context, false),
                Ok(Some(Ending::Challenged)) => return self.connect(context, true),
                Err(fault) => return self.lose(fault, context),
            }
        }
    }

    /// Hands to the kernel what it takes, and watches for room when it does not take all.
    pub(super) fn flush(&mut self, context: Context<'_>) {
        let most = self.allowance(context.now);
        let Some(wire) = self.wire.as_mut().filter(|wire| wire.is_connected()) else { return };
        let flushed = wire.flush(most, context.now).and_then(|count| {
            self.counters.sent(count);
            wire.watch(context.epoll, most == usize::MAX)
        });
        match flushed {
            Err(error) => return self.lose(Fault::new("CONNECTION_LOST", error.to_string()), context),
            Ok(()) if !wire.out.is_empty() => return,
            Ok(()) => {}
        }
        if self.hangs_up {
            self.disconnect(context.now, |mut wire| wire.hang_up());
            self.attempts.set(self.hold.is_none().then_some(context.now));
        } else if self.phase == Phase::Closing {
            if self.client.is_done() {
                self.finish();
            } else if self.client.hangs_up() {
                wire.hang_up();
            }
        }
    }

    /// The connection ended, or did not come about, without our will.
    pub(super) fn lose(&mut self, fault: Fault, context: Context<'_>) {
        if !fault.code.ends_with("REFUSED") {
            self.counters.said(format!("{}: {}", fault.code, fault.detail));
        }
        self.headers |= fault.detail.starts_with("412");
        let Options { give_up, .. } = self.options;
        let again = self.attempts.lost(fault, self.injected, give_up, &mut self.random, context.now);
        self.disconnect(context.now, Wire::reset);
        if !again || self.stopping {
            self.fail();
        } else if self.hold.is_some() {
            self.attempts.set(None);
        }
    }

    /// The connection is gone: what it may have lost comes again, or what follows begins live.
    pub(super) fn disconnect<T>(&mut self, now: Instant, end: impl FnOnce(Wire) -> T) -> Option<T> {
        let wire = self.wire.take();
        self.feed.lost(wire.as_ref().map_or(0, Wire::acknowledged));
        let forgets = self.stream.target.protocol == Protocol::Rtmp && !self.options.rtmp_keeps;
        if forgets || !self.begun {
            self.live.get_or_insert(self.hold.unwrap_or(0));
        }
        self.attempts.ended();
        (self.slow, self.hangs_up) = (None, false);
        if self.begun {
            self.away.get_or_insert(now);
        }
        self.enter(Phase::Away);
        wire.map(end)
    }

    /// Ends the stream in an orderly way.
    pub(super) fn close(&mut self, context: Context<'_>) {
        let Some(wire) = self.wire.as_mut().filter(|_| matches!(self.phase, Phase::Open | Phase::Playing)) else {
            return;
        };
        if self.options.broken.end {
            return self.finish();
        }
        self.client.close(&mut wire.out);
        wire.wait(context.now);
        self.slow = None;
        self.enter(Phase::Closing);
        self.flush(context);
    }

    /// The run ends: nothing is tried again.
    pub(super) fn stop(&mut self, context: Context<'_>) {
        self.stopping = true;
        match self.phase {
            Phase::Away if self.attempts.fault().is_some() => self.fail(),
            Phase::Away | Phase::Opening => self.finish(),
            _ => self.close(context),
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.counters.enter(phase, None);
    }

    fn finish(&mut self) {
        self.enter(Phase::Done);
        self.wire = None;
        self.vanished.clear();
    }

    pub(super) fn fail(&mut self) {
        self.phase = Phase::Failed;
        self.counters.enter(Phase::Failed, self.attempts.fault().cloned());
        self.attempts.set(None);
        self.wire = None;
        self.vanished.clear();
    }
}

fn new_client(stream: &Stream, probes: bool, headers: bool) -> Box<dyn Client> {
    match stream.target.protocol {
        Protocol::Rtmp => Box::new(RtmpClient::new(&stream.target, &stream.track)),
        Protocol::Http => Box::new(IsmlClient::new(&stream.target, &stream.track, &stream.name, probes, headers)),
    }
}

/// How often a slow connection takes something.
const SLOW_STEP: Duration = Duration::from_millis(50);
/// How often within the send timeout it is looked whether anything was acknowledged: a sign of life is known to this part of it.
const LOOKS: u32 = 8;
