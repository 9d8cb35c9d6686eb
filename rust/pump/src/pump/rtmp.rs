//! An RTMP publisher as the loop sees it.
//!
//! Tracks are held back until the first frame says on which time they run and a clock is named; from then on frames go to the cutter of
//! that clock, which all connections of one encoder share.
//!
//! A connection may have several publishes. The first has the connection's number, each further one a number of its own, under which it is
//! asked about, bound, refused and closed; who decides sees connections. One question at a time is open, and the socket is not read meanwhile:
//! what waits behind it is of one read, whatever publish it is of.

use super::Options;
use super::clocks::{Clocks, Jump};
use super::event::{Event, Number, Protocol};
use super::located;
use super::session::{Held, Opening, Outlet, Session, State};
use pypackager_core::demux::rtmp::{self, Limits, Mark, RtmpSession};
use pypackager_core::error::{Error, Result};
use pypackager_core::media::{Frame, Track};
use pypackager_core::payload::Spill;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

/// One connection.
pub(super) struct RtmpConnection {
    conn: Number,
    session: RtmpSession,
    /// Whether its connect is asked about.
    asks_connect: bool,
    /// The publishes that are asked about or run.
    feeds: Vec<Feed>,
    /// Where the last event went.
    latest: usize,
    /// Whether a publish was accepted.
    begun: bool,
    /// What the session said and the clock has not been named for; no more than one read brings.
    queue: VecDeque<(Mark, rtmp::Event)>,
    question: Option<(Number, Question)>,
}

/// One publish.
struct Feed {
    mark: Mark,
    conn: Number,
    accepted: bool,
    /// Tracks that wait for the clock.
    waiting: BTreeMap<u32, Track>,
    /// Tracks of signals and signals that do.
    early: Vec<rtmp::Event>,
    clock: Option<u64>,
}

/// What the clock was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    First,
    Jump { track: u32 },
}

impl RtmpConnection {
    pub(super) fn new(conn: Number, options: &Options) -> Self {
        let limits = Limits {
            max_unparsed: options.max_unparsed,
            max_message: options.max_fragment.min(Limits::default().max_message),
            ask_connect: options.ask_connect,
            keep_opening: options.keep_openings,
            ..Limits::default()
        };
        Self {
            conn,
            session: RtmpSession::new(limits),
            asks_connect: options.ask_connect,
            feeds: Vec::new(),
            latest: 0,
            begun: false,
            queue: VecDeque::new(),
            question: None,
        }
    }

    /// Hands on what the session said, up to the next question.
    fn hand_on(&mut self, out: &mut Outlet<'_>) -> Result<()> {
        while self.question.is_none() {
            let Some((mark, event)) = self.queue.pop_front() else { break };
            match event {
                rtmp::Event::Connect(publish) => {
                    out.events.push(Event::ConnectRequested { conn: self.conn, publish });
                }
                rtmp::Event::Publish(publish) => {
                    let parent = (mark > 0).then_some(self.conn);
                    let conn = parent.map_or(self.conn, |parent| out.further.open(parent, out.shared));
                    let waiting = BTreeMap::new();
                    self.feeds.push(Feed { mark, conn, accepted: false, waiting, early: Vec::new(), clock: None });
                    out.events.push(Event::PublishRequested { conn, parent, publish });
                }
                rtmp::Event::Track(track) => {
                    if let Some(feed) = self.feed_of(mark) {
                        feed.track(track, out)?;
                    }
                }
                rtmp::Event::Frame(frame) => self.frame(mark, frame, out)?,
                rtmp::Event::Warning(error) => {
                    let own = self.conn;
                    let conn = self.feed_of(mark).map_or(own, |feed| feed.conn);
                    out.events.push(Event::Warned { conn, error });
                }
                signal @ (rtmp::Event::SignalTrack(_) | rtmp::Event::Signal(_)) => {
                    if let Some(feed) = self.feed_of(mark) {
                        feed.signal(signal, out);
                    }
                }
                // What the metadata says is in the tracks already.
                rtmp::Event::Metadata(_) => {}
                rtmp::Event::End => self.ended(mark, "", Cow::Borrowed(""), out),
                rtmp::Event::Failed(error) => self.ended(mark, error.code, Cow::Owned(located(&error)), out),
            }
        }
        Ok(())
    }

    /// The publish that an event is of, most often that of the last one.
    fn feed_of(&mut self, mark: Mark) -> Option<&mut Feed> {
        if self.feeds.get(self.latest).is_none_or(|latest| latest.mark != mark) {
            self.latest = self.feeds.iter().position(|feed| feed.mark == mark)?;
        }
        self.feeds.get_mut(self.latest)
    }

    fn frame(&mut self, mark: Mark, frame: Frame, out: &mut Outlet<'_>) -> Result<()> {
        let own = self.conn;
        let Some(feed) = self.feed_of(mark) else { return Ok(()) };
        let conn = feed.conn;
        if let Some(clock) = feed.clock {
            if conn != own {
                out.further.count(conn, frame.data.len(), out.now_ms);
            }
            let jump = out.clocks.push(clock, conn, frame, out.events)?;
            self.ask_after(jump, conn, out);
            return Ok(());
        }
        let timescale = feed.waiting.get(&frame.track).map_or(MILLISECONDS, |track| track.timescale);
        let (track, time) = (frame.track, frame.time);
        out.events.push(Event::NeedClock { conn, track, time, timescale, jump: false });
        self.question = Some((conn, Question::First));
        self.queue.push_front((mark, rtmp::Event::Frame(frame)));
        Ok(())
    }

    fn ask_after(&mut self, jump: Option<Jump>, conn: Number, out: &mut Outlet<'_>) {
        if let Some(Jump { track, to_ms: time }) = jump {
            let event = Event::NeedClock { conn, track, time, timescale: MILLISECONDS, jump: true };
            out.events.push(event);
            self.question = Some((conn, Question::Jump { track }));
        }
    }

    /// The session ended a publish.
    fn ended(&mut self, mark: Mark, code: &'static str, detail: Cow<'static, str>, out: &mut Outlet<'_>) {
        let Some(index) = self.feeds.iter().position(|feed| feed.mark == mark) else { return };
        let Feed { conn, .. } = self.feeds.remove(index);
        out.clocks.leave(conn, out.events);
        if conn == self.conn {
            out.events.push(Event::PublishEnded { conn, code, detail });
        } else {
            out.further.close(conn, (code, detail), out.shared, out.events);
        }
    }
}

impl Feed {
    fn track(&mut self, track: Track, out: &mut Outlet<'_>) -> Result<()> {
        if let Some(clock) = self.clock {
            return out.clocks.set_track(clock, self.conn, track, out.events);
        }
        self.waiting.insert(track.number, track);
        Ok(())
    }

    /// Hands a signal on, or its track, once it is known where times go: those of the clock before may be others.
    fn signal(&mut self, event: rtmp::Event, out: &mut Outlet<'_>) {
        let conn = self.conn;
        match event {
            _ if self.clock.is_none() && self.early.len() >= MAX_EARLY => {
                let detail = "too many data messages before the first frame: dropped";
                out.events.push(Event::Warned { conn, error: Error::new("SIGNALS_TOO_MANY", 0, detail) });
            }
            _ if self.clock.is_none() => self.early.push(event),
            rtmp::Event::SignalTrack(track) => out.events.push(Event::SignalsFound { conn, track }),
            rtmp::Event::Signal(signal) => out.events.push(Event::SignalReady { conn, signal }),
            _ => {}
        }
    }
}

impl Session for RtmpConnection {
    fn feed(&mut self, bytes: &[u8], out: &mut Outlet<'_>) -> Result<()> {
        let mut events = Vec::new();
        let result = self.session.feed(bytes, &mut events);
        self.queue.extend(events);
        // What came before the fault is good.
        self.hand_on(out)?;
        result
    }

    fn accept(&mut self, out: &mut Outlet<'_>) -> Result<()> {
        if self.session.greeted() {
            self.session.accept_connect();
            return self.feed(&[], out);
        }
        let Some(asked) = self.feeds.iter_mut().find(|feed| feed.conn == out.conn && !feed.accepted) else {
            return Ok(());
        };
        asked.accepted = true;
        self.begun = true;
        self.session.accept_publish();
        self.feed(&[], out)
    }

    fn bind(&mut self, clock: u64, out: &mut Outlet<'_>) -> Result<()> {
        let conn = out.conn;
        let Some((_, question)) = self.question.take_if(|(asked, _)| *asked == conn) else { return Ok(()) };
        let Some(feed) = self.feeds.iter_mut().find(|feed| feed.conn == conn) else { return Ok(()) };
        feed.clock = Some(clock);
        match question {
            Question::First => {
                for track in std::mem::take(&mut feed.waiting).into_values() {
                    out.clocks.set_track(clock, conn, track, out.events)?;
                }
                for signal in std::mem::take(&mut feed.early) {
                    feed.signal(signal, out);
                }
            }
            Question::Jump { track } => {
                let jump = out.clocks.go_on(clock, conn, track, out.events)?;
                self.ask_after(jump, conn, out);
            }
        }
        self.hand_on(out)
    }

    fn refuse(&mut self, code: &str, description: &str, out: &mut Outlet<'_>) -> Result<()> {
        let conn = out.conn;
        if self.session.greeted() {
            self.session.refuse_connect(description);
            return Ok(());
        }
        let Some(index) = self.feeds.iter().position(|feed| feed.conn == conn) else { return Ok(()) };
        let Feed { mark, .. } = self.feeds.remove(index);
        self.session.refuse_publish(mark, code, description);
        self.queue.retain(|(of, _)| *of != mark);
        self.question.take_if(|(asked, _)| *asked == conn);
        out.clocks.leave(conn, out.events);
        out.further.close(conn, ("", Cow::Borrowed("")), out.shared, out.events);
        // What others sent behind it was held.
        self.feed(&[], out)
    }

    fn end(&mut self, out: &mut Outlet<'_>) -> Result<()> {
        self.refuse("NetConnection.Connect.Closed", "the server ended the publish", out)
    }

    fn opening(&self) -> Option<Opening> {
        let decided = usize::from(self.asks_connect && !self.session.greeted());
        let bytes = self.session.opening()?.to_vec();
        Some(Opening { protocol: Protocol::Rtmp, bytes, decided })
    }

    fn held(&self, clocks: &Clocks) -> Held {
        self.feeds.iter().map(|feed| clocks.held(feed.conn)).fold(Held::default(), |sum, held| Held {
            total: sum.total + held.total,
            largest: sum.largest.max(held.largest),
        })
    }

    fn spill(&mut self, spill: &mut dyn Spill, out: &mut Outlet<'_>) -> usize {
        let largest = self.feeds.iter().map(|feed| feed.conn).max_by_key(|&conn| out.clocks.held(conn).largest);
        largest.map_or(0, |conn| out.clocks.spill(conn, spill, out.events))
    }

    fn end_of_input(&mut self, _out: &mut Outlet<'_>) -> Result<()> {
        if self.feeds.iter().any(|feed| feed.accepted) {
            let text = "the connection ended without the end of its publish";
            return Err(Error::new("PEER_CLOSED", self.session.bytes_received(), text));
        }
        Ok(())
    }

    fn fail(&mut self, error: &Error) {
        if self.session.greeted() {
            self.session.refuse_connect(&error.to_string());
        } else if self.begun || self.session.paused() {
            // Before the publish there is no stream to give a status of.
            self.session.refuse_all("NetStream.Publish.Rejected", &error.to_string());
        }
    }

    fn detach(&mut self, out: &mut Outlet<'_>) {
        for feed in &self.feeds {
            out.clocks.leave(feed.conn, out.events);
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        self.session.take_output()
    }

    fn state(&self) -> State {
        if self.session.should_close() {
            State::Closing
        } else if self.question.is_some() || self.session.paused() {
            State::Waiting
        } else if self.feeds.iter().any(|feed| feed.accepted) {
            State::Media
        } else {
            // After its publishes an encoder says good-bye.
            State::Talking { quiet: self.begun }
        }
    }
}

/// Data messages that wait for a first frame, 64 KiB each at most.
const MAX_EARLY: usize = 32;
/// RTMP's own timescale, and the cutters'.
const MILLISECONDS: u32 = 1000;
