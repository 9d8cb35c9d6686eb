//! An RTMP publisher as the loop sees it.
//!
//! Tracks are held back until the first frame says on which time they run and a clock is named; from then on frames go to the cutter of
//! that clock, which all connections of one encoder share.

use super::Options;
use super::clocks::{Clocks, Jump};
use super::event::{Event, Number};
use super::session::{Held, Outlet, Session, State};
use pypackager_core::demux::rtmp::{self, Limits, RtmpSession};
use pypackager_core::error::{Error, Result};
use pypackager_core::media::{Frame, Track};
use pypackager_core::payload::Spill;
use std::collections::{BTreeMap, VecDeque};

/// One connection.
pub(super) struct RtmpConnection {
    session: RtmpSession,
    stage: Stage,
    /// What the session said and the clock has not been named for; no more than one read brings.
    queue: VecDeque<rtmp::Event>,
    /// Tracks that wait for the clock.
    waiting: BTreeMap<u32, Track>,
    clock: Option<u64>,
    question: Option<Question>,
}

/// What the clock was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    First,
    Jump { track: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the publish is accepted.
    Open,
    Publishing,
    /// The encoder ended its publish.
    Ended,
}

impl RtmpConnection {
    pub(super) fn new(options: &Options) -> Self {
        let limits = Limits {
            max_unparsed: options.max_unparsed,
            max_message: options.max_fragment.min(Limits::default().max_message),
            ask_connect: options.ask_connect,
            ..Limits::default()
        };
        Self {
            session: RtmpSession::new(limits),
            stage: Stage::Open,
            queue: VecDeque::new(),
            waiting: BTreeMap::new(),
            clock: None,
            question: None,
        }
    }

    /// Hands on what the session said, up to the next question.
    fn hand_on(&mut self, out: &mut Outlet<'_>) -> Result<()> {
        while self.question.is_none() {
            let Some(event) = self.queue.pop_front() else { break };
            match event {
                rtmp::Event::Connect(publish) => out.events.push(Event::ConnectRequested { conn: out.conn, publish }),
                rtmp::Event::Publish(publish) => out.events.push(Event::PublishRequested { conn: out.conn, publish }),
                rtmp::Event::Track(track) => self.track(track, out)?,
                rtmp::Event::Frame(frame) => self.frame(frame, out)?,
                rtmp::Event::Warning(error) => out.events.push(Event::Warned { conn: out.conn, error }),
                // What the metadata says is in the tracks already; data messages are of no use to the timeline yet.
                rtmp::Event::Metadata(_) | rtmp::Event::Data { .. } => {}
                rtmp::Event::End => {
                    self.stage = Stage::Ended;
                    out.clocks.leave(out.conn, out.events);
                }
            }
        }
        Ok(())
    }

    fn track(&mut self, track: Track, out: &mut Outlet<'_>) -> Result<()> {
        if let Some(clock) = self.clock {
            return out.clocks.set_track(clock, out.conn, track, out.events);
        }
        self.waiting.insert(track.number, track);
        Ok(())
    }

    fn frame(&mut self, frame: Frame, out: &mut Outlet<'_>) -> Result<()> {
        if let Some(clock) = self.clock {
            let jump = out.clocks.push(clock, out.conn, frame, out.events)?;
            self.ask_after(jump, out);
            return Ok(());
        }
        let timescale = self.waiting.get(&frame.track).map_or(MILLISECONDS, |track| track.timescale);
        let (track, time) = (frame.track, frame.time);
        out.events.push(Event::NeedClock { conn: out.conn, track, time, timescale, jump: false });
        self.question = Some(Question::First);
        self.queue.push_front(rtmp::Event::Frame(frame));
        Ok(())
    }

    fn ask_after(&mut self, jump: Option<Jump>, out: &mut Outlet<'_>) {
        if let Some(Jump { track, to_ms: time }) = jump {
            let event = Event::NeedClock { conn: out.conn, track, time, timescale: MILLISECONDS, jump: true };
            out.events.push(event);
            self.question = Some(Question::Jump { track });
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
        if self.stage != Stage::Open || !self.session.paused() {
            return Ok(());
        }
        if self.session.greeted() {
            self.session.accept_connect();
            return self.feed(&[], out);
        }
        self.session.accept_publish();
        self.stage = Stage::Publishing;
        self.feed(&[], out)
    }

    fn bind(&mut self, clock: u64, out: &mut Outlet<'_>) -> Result<()> {
        let Some(question) = self.question.take() else { return Ok(()) };
        self.clock = Some(clock);
        match question {
            Question::First => {
                for track in std::mem::take(&mut self.waiting).into_values() {
                    out.clocks.set_track(clock, out.conn, track, out.events)?;
                }
            }
            Question::Jump { track } => {
                let jump = out.clocks.go_on(clock, out.conn, track, out.events)?;
                self.ask_after(jump, out);
            }
        }
        self.hand_on(out)
    }

    fn refuse(&mut self, code: &str, description: &str) {
        if self.session.greeted() {
            self.session.refuse_connect(description);
        } else {
            self.session.refuse_publish(code, description);
        }
    }

    fn held(&self, conn: Number, clocks: &Clocks) -> Held {
        clocks.held(conn)
    }

    fn spill(&mut self, spill: &mut dyn Spill, out: &mut Outlet<'_>) -> usize {
        out.clocks.spill(out.conn, spill, out.events)
    }

    fn end_of_input(&mut self, _out: &mut Outlet<'_>) -> Result<()> {
        match self.stage {
            Stage::Publishing => {
                let text = "the connection ended without the end of its publish";
                Err(Error::new("PEER_CLOSED", self.session.bytes_received(), text))
            }
            Stage::Open | Stage::Ended => Ok(()),
        }
    }

    fn fail(&mut self, error: &Error) {
        // Before the publish there is no stream to give a status of.
        if self.stage != Stage::Open || self.session.paused() {
            self.refuse("NetStream.Publish.Rejected", &error.to_string());
        }
    }

    fn detach(&mut self, out: &mut Outlet<'_>) {
        out.clocks.leave(out.conn, out.events);
    }

    fn take_output(&mut self) -> Vec<u8> {
        self.session.take_output()
    }

    fn state(&self) -> State {
        if self.session.should_close() {
            State::Closing
        } else if self.question.is_some() || self.session.paused() {
            State::Waiting
        } else {
            match self.stage {
                Stage::Open => State::Talking { quiet: false },
                Stage::Publishing => State::Media,
                Stage::Ended => State::Talking { quiet: true },
            }
        }
    }
}

/// RTMP's own timescale, and the cutters'.
const MILLISECONDS: u32 = 1000;
