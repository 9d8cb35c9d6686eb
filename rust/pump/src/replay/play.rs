//! What a stream sends when: the units that its clock allows, and the faults between them.

use super::inject::{What, nanoseconds};
use super::session::{Context, Session};
use super::stats::Phase;
use super::target::Protocol;
use super::wire::Wire;
use std::time::Instant;

/// How far the media is; in nanoseconds of media time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Now. Without pace: where the slowest stream is.
    pub(super) now: i64,
    /// Whether units wait until they are due; else they start within half a second of the slowest stream.
    pub(super) paced: bool,
    /// Whether no stream has anything left.
    pub(super) ended: bool,
}

impl Session {
    /// Where the stream is, for those without pace that wait for it; `None`: nobody waits.
    pub(super) fn front(&self) -> Option<i64> {
        match self.phase {
            Phase::Opening | Phase::Closing | Phase::Done | Phase::Failed => None,
            Phase::Away if !self.begun && self.hold.is_none() => None,
            Phase::Away | Phase::Open | Phase::Playing => self.hold.or_else(|| self.feed.start()),
        }
    }

    /// Media time at which it wants to act; `None` while it waits for the other side.
    pub(super) fn due(&self) -> Option<i64> {
        if self.hold.is_some() && self.is_live() {
            return self.hold;
        }
        let ready = self.phase == Phase::Playing && self.wire.as_ref().is_some_and(|wire| wire.out.is_empty());
        let Some(due) = self.feed.due().filter(|_| ready) else {
            return (ready && !self.options.broken.idle).then_some(i64::MIN);
        };
        Some(self.schedule.due().map_or(due, |fault| fault.min(due)))
    }

    /// Whether nothing is left to play.
    pub(super) fn has_ended(&self) -> bool {
        self.feed.start().is_none()
    }

    /// Sends what the clock allows; says whether the stream has moved.
    pub(super) fn play(&mut self, clock: Clock, context: Context<'_>) -> bool {
        if self.hold.is_some_and(|hold| hold <= clock.now) {
            self.hold = None;
            if self.wire.is_none() && self.is_live() {
                self.attempts.set(Some(context.now));
            }
        }
        if self.slow.is_some_and(|(until, _)| until <= clock.now) {
            self.slow = None;
            self.flush(context);
        }
        if self.phase == Phase::Away && !self.begun && self.attempts.fault().is_some() && clock.now >= self.feed.end() {
            // What it has never begun is over.
            self.fail();
        }
        let mut any = false;
        if self.phase == Phase::Open {
            if let Some(at) = self.live.take() {
                self.feed.skip(at.max(clock.now));
                any = true;
            }
            self.begun = true;
            self.enter(Phase::Playing);
        }
        while self.queue() == Some(0) {
            while self.queue().is_some_and(|queued| queued < BATCH) && self.step(clock, context) {
                any = true;
            }
            match self.queue() {
                Some(_) if self.has_ended() => {
                    if self.options.broken.idle && !clock.ended {
                        break;
                    }
                    self.close(context);
                }
                None | Some(0) => break,
                Some(_) => self.flush(context),
            }
        }
        if any {
            // A fault may have stopped the stream behind what is queued.
            self.flush(context);
        }
        any
    }

    /// Bytes that wait for the kernel; `None` while no media may follow them.
    fn queue(&self) -> Option<usize> {
        let flows = self.phase == Phase::Playing && self.hold.is_none() && !self.hangs_up;
        self.wire.as_ref().filter(|_| flows).map(|wire| wire.out.len())
    }

    /// Queues a unit, or lets a fault happen; says whether either was due.
    fn step(&mut self, clock: Clock, context: Context<'_>) -> bool {
        let (Some(start), Some(due)) = (self.feed.start(), self.feed.due()) else { return false };
        let allowed = if clock.paced { due <= clock.now } else { start < clock.now.saturating_add(WINDOW) };
        // A unit that is due by the instant of a fault comes before it.
        let fault = self.schedule.due().filter(|at| *at < due);
        if fault.is_some_and(|at| allowed || clock.paced && at <= clock.now) {
            if let Some((what, at)) = self.schedule.take(if clock.paced { clock.now } else { start }) {
                self.inject(what, at, context);
            }
            return true;
        }
        if allowed {
            self.send(if clock.paced { clock.now - due } else { 0 }, due, context);
        }
        allowed
    }

    fn send(&mut self, late: i64, due: i64, context: Context<'_>) {
        if self.stream.target.protocol == Protocol::Http {
            self.look(context);
        }
        let (Some((item, next)), Some(wire)) = (self.feed.next(), &mut self.wire) else { return };
        let samples = next.samples.len();
        self.client.send(&next, &mut wire.out);
        self.feed.advance();
        self.feed.sent(item, wire.end(), || wire.acknowledged());
        if item.again {
            self.counters.played_again(samples);
        } else {
            let late = if self.options.speed > 0.0 { late as f64 / self.options.speed / 1000.0 } else { 0.0 };
            self.counters.played(samples, due, late as u64);
        }
    }

    fn inject(&mut self, what: What, at: i64, context: Context<'_>) {
        self.injected = true;
        self.counters.injected(what.name(), at);
        let until = |duration| at.saturating_add(nanoseconds(duration));
        match what {
            What::Cut(outage) => drop(self.interrupt(until(outage), at, context, Wire::reset)),
            What::Hangup(outage) => {
                self.hold = (!outage.is_zero()).then(|| until(outage));
                self.hangs_up = true;
                self.flush(context);
            }
            What::Truncate(bytes) => self.truncate(bytes, context),
            What::Vanish => {
                if let Some(socket) = self.interrupt(at, at, context, |wire| wire.abandon(context.epoll)) {
                    self.vanished.push(socket);
                }
            }
            What::Kill(outage) | What::Restart(outage) => {
                self.live = Some(until(outage));
                // One that keeps to UTC is told the time by somebody else.
                if matches!(what, What::Restart(_)) && !self.options.synchronised {
                    self.feed.restart(until(outage));
                }
                // The system of a dead encoder still delivers what it took, and closes.
                self.interrupt(until(outage), at, context, |wire| wire.shut());
            }
            What::Stall(pause) => self.hold = Some(until(pause)),
            What::Slow(duration) => self.slow = Some((until(duration), context.now)),
            What::Repeat(times) => self.feed.repeat(times),
            What::Drop(length) => self.feed.drop(nanoseconds(length)),
            What::Reorder => self.feed.swap(),
            What::Jump(milliseconds) => self.feed.jump(milliseconds),
            What::Garbage(bytes) => {
                let noise: Vec<u8> = (0..bytes).map(|_| self.random.next() as u8).collect();
                if let Some(wire) = &mut self.wire {
                    self.client.noise(&noise, &mut wire.out);
                }
            }
            What::Late => {}
        }
    }

    /// Ends the connection now; the next one comes at once or when the outage is over.
    fn interrupt<T>(&mut self, until: i64, at: i64, context: Context<'_>, end: impl FnOnce(Wire) -> T) -> Option<T> {
        self.hold = (until > at).then_some(until);
        self.attempts.set(self.hold.is_none().then_some(context.now));
        self.disconnect(context.now, end)
    }

    /// Sends a part of the next unit, and hangs up.
    fn truncate(&mut self, bytes: Option<u64>, context: Context<'_>) {
        let (Some((_, next)), Some(wire)) = (self.feed.next(), &mut self.wire) else { return };
        let mut whole = Vec::new();
        self.client.send(&next, &mut whole);
        let most = (whole.len() as u64).saturating_sub(1).max(1);
        let length = bytes.unwrap_or_else(|| 1 + self.random.below(most)).min(most);
        wire.out.extend_from_slice(&whole[..length as usize]);
        self.hangs_up = true;
        self.flush(context);
    }

    /// Bytes that the connection may take now.
    pub(super) fn allowance(&mut self, now: Instant) -> usize {
        let Some((_, last)) = &mut self.slow else { return usize::MAX };
        let bytes_per_second = f64::from(self.stream.track.header.bitrate) / 16.0;
        let bytes = (bytes_per_second * now.saturating_duration_since(*last).as_secs_f64()) as usize;
        if bytes > 0 {
            *last = now;
        }
        bytes
    }
}

/// Bytes gathered before they are handed to the kernel, when more than one unit is due.
const BATCH: usize = 64 << 10;
/// Media time by which a stream without pace may be ahead of the slowest.
const WINDOW: i64 = 500_000_000;
