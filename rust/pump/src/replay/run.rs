//! The loop that drives all connections from one thread.

use super::play::Clock;
use super::session::{Context, Session};
use super::source::Timeline;
use super::stats::{Counters, Phase, StreamStats};
use super::{Options, Stream};
use crate::bell::Bell;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Streams that are played together.
#[derive(Debug)]
pub struct Replay {
    streams: Vec<Stream>,
    options: Options,
    counters: Vec<Arc<Counters>>,
    bell: Bell,
    stopped: AtomicBool,
}

impl Replay {
    /// Nothing happens before [`Self::run`].
    pub fn new(streams: Vec<Stream>, options: Options) -> io::Result<Self> {
        let counters = streams.iter().map(|_| Arc::default()).collect();
        Ok(Self { streams, options, counters, bell: Bell::new()?, stopped: AtomicBool::new(false) })
    }

    /// Plays until every stream has ended. Faults of single streams are in [`Self::stats`].
    ///
    /// # Errors
    /// The system has no epoll set to give.
    pub fn run(&self) -> io::Result<()> {
        let mut player = Player::new(self)?;
        while player.sessions.iter().any(Session::is_live) {
            player.turn()?;
        }
        Ok(())
    }

    /// Ends all streams in an orderly way; [`Self::run`] returns when they have ended.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// What became of each stream so far, in their order.
    pub fn stats(&self) -> Vec<StreamStats> {
        let streams = self.streams.iter().zip(&self.counters);
        streams.map(|(stream, counters)| counters.snapshot(&stream.target.url)).collect()
    }
}

struct Player<'a> {
    replay: &'a Replay,
    epoll: OwnedFd,
    sessions: Vec<Session>,
    /// When media time was zero.
    started: Option<Instant>,
    buffer: Vec<u8>,
}

impl<'a> Player<'a> {
    fn new(replay: &'a Replay) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &replay.bell, EventData::new_u64(BELL), EventFlags::IN)?;
        let timeline = Timeline::of(replay.streams.iter().map(|stream| stream.track.as_ref()));
        let now = Instant::now();
        let synchronised = replay.options.synchronised;
        let timeline = if synchronised { timeline.synchronised(utc()) } else { timeline };
        let streams = replay.streams.iter().zip(&replay.counters).enumerate();
        let sessions = streams.map(|(number, (stream, counters))| {
            Session::new(number as u64, stream, timeline, replay.options, Arc::clone(counters), now)
        });
        let sessions = sessions.collect();
        // The time of others does not wait for anybody's connections.
        let started = synchronised.then_some(now);
        Ok(Self { replay, epoll, sessions, started, buffer: vec![0; 64 << 10] })
    }

    fn turn(&mut self) -> io::Result<()> {
        let timeout = self.timeout(Instant::now());
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 64];
        let count = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        let context = Context { epoll: self.epoll.as_fd(), now: Instant::now() };
        for event in &events[..count] {
            // Fields of a packed struct are copied out, not borrowed.
            let (number, flags) = (event.data.u64(), event.flags);
            if number == BELL {
                self.replay.bell.clear();
            } else if let Some(session) = self.sessions.get_mut(number as usize) {
                session.ready(flags, &mut self.buffer, context);
            }
        }
        if self.replay.stopped.load(Ordering::Acquire) {
            self.sessions.iter_mut().for_each(|session| session.stop(context));
        }
        if self.started.is_some() || self.sessions.iter().all(|session| session.phase != Phase::Opening) {
            let started = *self.started.get_or_insert(context.now);
            play(&mut self.sessions, started, self.replay.options.speed, context);
        }
        self.sessions.iter_mut().for_each(|session| session.tick(context));
        Ok(())
    }

    /// How long nothing needs to be done; `None` without end.
    fn timeout(&self, now: Instant) -> Option<Timespec> {
        let deadlines = self.sessions.iter().filter_map(Session::deadline);
        let speed = self.replay.options.speed;
        let due = self.started.filter(|_| speed > 0.0).and_then(|started| {
            let media_time = self.sessions.iter().filter_map(Session::due).min()?;
            let wait = Duration::try_from_secs_f64(media_time as f64 / speed / 1e9).unwrap_or_default();
            started.checked_add(wait)
        });
        // Whoever is open already waits for the others, and a session may just have failed: then the clock starts now.
        let begins = self.started.is_none() && self.sessions.iter().all(|session| session.phase != Phase::Opening);
        let until = deadlines.chain(due).chain(begins.then_some(now)).min()?;
        let wait = until.saturating_duration_since(now);
        // epoll_wait(2) counts in milliseconds: rounded down it would return early and spin.
        let milliseconds = wait.as_micros().div_ceil(1000);
        Some(Timespec { tv_sec: (milliseconds / 1000) as i64, tv_nsec: (milliseconds % 1000) as i64 * 1_000_000 })
    }
}

/// Lets every stream send what the clock allows.
fn play(sessions: &mut [Session], started: Instant, speed: f64, context: Context<'_>) {
    // Only those that keep an idle POST ask for the end of all.
    let has_ended = |sessions: &[Session]| {
        let mut live = sessions.iter().filter(|session| session.is_live());
        live.all(|session| session.options.broken.idle && session.has_ended())
    };
    let elapsed = context.now.saturating_duration_since(started).as_nanos() as f64;
    let paced = speed > 0.0;
    // Without pace each pass moves the slowest stream, and the window with it, until nobody takes more.
    let mut moving = true;
    while moving {
        let front = || sessions.iter().filter_map(Session::front).min().unwrap_or(i64::MAX);
        let now = if paced { (elapsed * speed) as i64 } else { front() };
        let ended = has_ended(sessions);
        moving = false;
        for session in &mut *sessions {
            moving |= session.play(Clock { now, paced, ended }, context);
        }
        // With a pace a second pass is only for those that wait for the end of all.
        moving = if paced { !ended && has_ended(sessions) } else { moving };
    }
}

/// Nanoseconds since 1970.
fn utc() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

const BELL: u64 = u64::MAX;
