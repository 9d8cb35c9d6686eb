//! The ingest pump: one thread that reads all ingest sockets (docs/design/pump.md).
//!
//! What comes in: connected sockets and decisions. What goes out: [`Event`]s, announced by one descriptor. Never: an accept, a decision, a
//! write of media.
//!
//! # Theory of operation
//! Where TLS is spoken it lies between the socket and the session: both go on as they do in the clear, where nothing lies between.
//!
//! A socket is in one of three states. While its peer *talks* (handshake, commands, request heads) it is in the epoll set and answered at
//! once. While the pump *waits* for a decision nothing is read. While *media* flows the socket leaves the epoll set and is read at the tick:
//! a ladder that arrives in 500 small packets a second then costs 20 wake-ups, not 500. One that a tick finds empty is in the epoll set until
//! something comes. Without media there is no tick.
//!
//! A connection can go on in another pump as long as a decision on it is due. What its peer sent is then read again there by a fresh session,
//! which comes to the same question, whatever the pieces were; what that session says on the way is not sent, as the peer has it already.
//!
//! A session's fault, even a panic, ends its own connection with one [`Event::Closed`]; what comes out of a connection before it stands
//! before it. Memory is bounded by the sessions' own limits, by what one read returns, by [`Options::max_waiting`] (media that nobody
//! fetches stops the reading of more) and by each channel's [`Budget`]: when its open fragments hold more, the largest goes to the spill
//! file, and so on until they do not.

mod budget;
mod clocks;
mod connection;
mod context;
mod event;
mod further;
mod http;
mod relay;
mod rtmp;
mod run;
mod session;
mod shared;
mod socket;
mod tls;

pub use budget::Budget;
pub use event::{Answer, Event, Number, Parcel, Protocol};
pub use pypackager_core::demux::http::RequestHead;
pub use pypackager_core::demux::rtmp::Publish;
pub use shared::Stats;

use event::Command;
use pypackager_core::error::Error;
use run::Loop;
use rustls::ServerConfig;
use shared::{Shared, lock};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Limits and intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Interval at which sockets with media are read.
    pub tick: Duration,
    /// A peer that completes nothing for so long has gone.
    pub idle_timeout: Duration,
    /// A TLS handshake that takes longer is none.
    pub handshake_timeout: Duration,
    /// A decision that takes longer does not come.
    pub decision_timeout: Duration,
    /// Bytes of a connection that may be held unparsed.
    pub max_unparsed: usize,
    /// Bytes of one fragment.
    pub max_fragment: usize,
    /// Fragment length of channels without video.
    pub audio_grid: Duration,
    /// Bytes of events, their media included, that may wait to be fetched.
    pub max_waiting: usize,
    /// Where the spill file is made when a channel's open fragments exceed its [`Budget`].
    pub spill_directory: PathBuf,
    /// Whether RTMP connects are asked about before their publish: users are known by what they show there.
    pub ask_connect: bool,
    /// Whether what a connection sends before it is accepted is kept, so that it can be given away.
    pub keep_openings: bool,
    /// Bytes of one read.
    pub buffer_bytes: usize,
    /// Bytes that one connection may bring in one turn, so that one cannot starve the others.
    pub turn_bytes: usize,
    /// A connection that brings more than this in one turn is read again soon: it is not paced by media time.
    pub busy_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(80),
            idle_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            decision_timeout: Duration::from_secs(30),
            max_unparsed: 256 << 10,
            max_fragment: 32 << 20,
            audio_grid: Duration::from_secs(2),
            max_waiting: 16 << 20,
            spill_directory: std::env::temp_dir(),
            ask_connect: false,
            keep_openings: false,
            buffer_bytes: 256 << 10,
            turn_bytes: 1 << 20,
            busy_bytes: 128 << 10,
        }
    }
}

/// The callers' side of the thread: every call is cheap and may come from any thread. Dropping it stops the thread.
#[derive(Debug)]
pub struct Pump {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Pump {
    /// Starts the thread.
    pub fn new(options: Options) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        let reader = Loop::new(options, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("pump".into()).spawn(move || reader.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes over a connected socket, whose peer is to speak TLS where a configuration of it is given.
    pub fn add(&self, socket: OwnedFd, protocol: Protocol, tls: Option<Arc<ServerConfig>>) -> Number {
        let conn = self.shared.enroll();
        self.shared.command(Command::Add { conn, socket, protocol, tls });
        conn
    }

    /// Takes over a connection that another pump gave away: it is asked about again.
    pub fn adopt(&self, parcel: Parcel) -> Number {
        let conn = self.shared.enroll();
        self.shared.command(Command::Adopt { conn, parcel });
        conn
    }

    /// Gives away a connection on whose request, connect or first publish a decision is due: [`Event::Given`] is the last of it, if it is not
    /// closed before. What can't be given away is closed as `NOT_GIVEN`.
    pub fn give(&self, conn: Number) {
        self.shared.command(Command::Give(conn));
    }

    /// Lets the requested POST or publish go on. What its open fragments hold counts against the budget, which the connections of a
    /// channel share; without one it is not counted.
    pub fn accept(&self, conn: Number, budget: Option<Arc<Budget>>) {
        self.shared.command(Command::Accept { conn, budget });
    }

    /// RTMP: says on which source clock the connection runs.
    pub fn bind(&self, conn: Number, clock: u64) {
        self.shared.command(Command::Bind { conn, clock });
    }

    /// HTTP: answers the request.
    pub fn respond(&self, conn: Number, answer: Answer) {
        self.shared.command(Command::Respond { conn, answer });
    }

    /// RTMP: refuses or ends the publish with a code of the protocol; the connection goes on while others of it do.
    pub fn refuse(&self, conn: Number, code: &str, description: &str) {
        let (code, description) = (code.to_owned(), description.to_owned());
        self.shared.command(Command::Refuse { conn, code, description });
    }

    /// Closes the connection once its output is sent; of a further publish that alone.
    pub fn close(&self, conn: Number) {
        self.shared.command(Command::Close(conn));
    }

    /// Stops or resumes reading a connection; a further publish goes with its connection.
    pub fn hold(&self, conn: Number, held: bool) {
        self.shared.command(Command::Hold { conn, held });
    }

    /// All events so far, in order per connection; silences the descriptor.
    pub fn events(&self) -> Vec<Event> {
        self.shared.take_events()
    }

    /// What each open connection received.
    pub fn stats(&self) -> Vec<Stats> {
        self.shared.stats()
    }

    /// Closes every connection and ends the thread; the events that wait stay.
    pub fn stop(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            self.shared.command(Command::Stop);
            // Sessions' panics are caught inside; one outside was reported by its hook.
            let _ = thread.join();
        }
    }
}

impl AsRawFd for Pump {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.ready.as_raw_fd()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What was wrong and where, for a person; the code stands beside it.
pub fn located(error: &Error) -> String {
    let Error { offset, path, detail, .. } = error;
    if path.is_empty() {
        format!("at byte {offset}: {detail}")
    } else {
        format!("at byte {offset} in {path}: {detail}")
    }
}
