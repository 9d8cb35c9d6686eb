//! The loop that drives all connections from one thread.

use super::link::{Horizon, Link};
use super::source::{Grain, Source, Timeline};
use super::stats::{Counters, Phase, StreamStats};
use super::target::Protocol;
use super::{Options, Stream};
use crate::bell::Bell;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
        while player.links.iter().any(Link::is_live) {
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
    links: Vec<Link>,
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
        let streams = replay.streams.iter().zip(&replay.counters).enumerate();
        let links = streams.map(|(number, (stream, counters))| {
            let grain = if stream.target.protocol == Protocol::Rtmp { Grain::Sample } else { Grain::Chunk };
            let source = Source::new(Arc::clone(&stream.track), grain, timeline, replay.options.repeat);
            let counters = Arc::clone(counters);
            Link::connect(number as u64, stream, source, replay.options, counters, epoll.as_fd(), now)
        });
        let links = links.collect();
        Ok(Self { replay, epoll, links, started: None, buffer: vec![0; 64 << 10] })
    }

    fn turn(&mut self) -> io::Result<()> {
        let timeout = self.timeout(Instant::now());
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 64];
        let count = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        let now = Instant::now();
        for event in &events[..count] {
            // Fields of a packed struct are copied out, not borrowed.
            let (number, flags) = (event.data.u64(), event.flags);
            if number == BELL {
                self.replay.bell.clear();
            } else if let Some(link) = self.links.get_mut(number as usize) {
                link.ready(flags, &mut self.buffer, self.epoll.as_fd(), now);
            }
        }
        if self.replay.stopped.load(Ordering::Acquire) {
            self.links.iter_mut().for_each(|link| link.close(self.epoll.as_fd(), now));
        }
        self.play(now);
        for link in &mut self.links {
            if link.deadline().is_some_and(|deadline| deadline <= now) {
                link.give_up();
            }
        }
        Ok(())
    }

    fn play(&mut self, now: Instant) {
        if self.links.iter().any(|link| link.phase() == Phase::Opening) {
            return;
        }
        let started = *self.started.get_or_insert(now);
        self.links.iter_mut().for_each(Link::start);
        if self.replay.options.speed > 0.0 {
            let elapsed = now.saturating_duration_since(started).as_nanos() as f64;
            let horizon = Horizon::Due((elapsed * self.replay.options.speed) as i64);
            for link in &mut self.links {
                link.play(horizon, self.epoll.as_fd(), now);
            }
            return;
        }
        // Each pass moves the slowest stream, and the window with it, until nobody takes more.
        let mut moving = true;
        while moving {
            moving = false;
            let front = self.links.iter().filter_map(Link::front).min().unwrap_or(i64::MAX);
            for link in &mut self.links {
                moving |= link.play(Horizon::Start(front.saturating_add(WINDOW)), self.epoll.as_fd(), now);
            }
        }
    }

    /// How long nothing needs to be done; `None` without end.
    fn timeout(&self, now: Instant) -> Option<Timespec> {
        let patience = self.links.iter().filter_map(Link::deadline);
        let speed = self.replay.options.speed;
        let due = self.started.filter(|_| speed > 0.0).and_then(|started| {
            let media_time = self.links.iter().filter_map(Link::due).min()?;
            let wait = Duration::try_from_secs_f64(media_time as f64 / speed / 1e9).unwrap_or_default();
            started.checked_add(wait)
        });
        // Whoever is open already waits for the others, and a link may just have failed: then the clock starts now.
        let begin =
            (self.started.is_none() && self.links.iter().all(|link| link.phase() != Phase::Opening)).then_some(now);
        let until = patience.chain(due).chain(begin).min()?;
        let wait = until.saturating_duration_since(now);
        // epoll_wait(2) counts in milliseconds: rounded down it would return early and spin.
        let milliseconds = wait.as_micros().div_ceil(1000);
        Some(Timespec { tv_sec: (milliseconds / 1000) as i64, tv_nsec: (milliseconds % 1000) as i64 * 1_000_000 })
    }
}

const BELL: u64 = u64::MAX;
/// Media time in nanoseconds by which a stream without pace may be ahead of the slowest.
const WINDOW: i64 = 500_000_000;
