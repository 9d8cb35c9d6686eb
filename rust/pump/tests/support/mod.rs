//! A pump under test: its events until something is true, and what encoders sent.
#![allow(dead_code, clippy::unwrap_used)]

pub mod big;
pub mod tls;

use pypackager_pump::pump::{Answer, Event, Number, Options, Protocol, Pump};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::ServerConfig;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A POST of three tracks, chunked, from ffmpeg.
pub const ISMV: &[u8] = include_bytes!("../../../core/tests/data/ffmpeg-9.0-ismv.http");
/// A publish from GStreamer, with its end.
pub const RTMP: &[u8] = include_bytes!("../../../core/tests/data/rtmp_gstreamer.bin");

/// A pump and all that it said so far.
pub struct Bench {
    pub pump: Pump,
    pub events: Vec<Event>,
    seen: usize,
}

impl Bench {
    pub fn new(options: Options) -> Self {
        Self { pump: Pump::new(options).unwrap(), events: Vec::new(), seen: 0 }
    }

    /// Short intervals.
    pub fn quick() -> Self {
        Self::new(quick())
    }

    /// A client on loopback and its number.
    pub fn connect(&self, protocol: Protocol) -> (TcpStream, Number) {
        self.join(protocol, None)
    }

    /// The same to a port where TLS is spoken.
    pub fn connect_tls(&self, protocol: Protocol, config: &Arc<ServerConfig>) -> (TcpStream, Number) {
        self.join(protocol, Some(Arc::clone(config)))
    }

    fn join(&self, protocol: Protocol, tls: Option<Arc<ServerConfig>>) -> (TcpStream, Number) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let (server, _) = listener.accept().unwrap();
        (client, self.pump.add(server.into(), protocol, tls))
    }

    /// The next event for which `wanted` says yes, among those not passed yet.
    pub fn next(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while self.seen < self.events.len() {
                self.seen += 1;
                if wanted(&self.events[self.seen - 1]) {
                    return self.events[self.seen - 1].clone();
                }
            }
            assert!(Instant::now() < deadline, "no {what} in {:#?}", self.names());
            wait(&self.pump, Duration::from_millis(200));
            self.events.extend(self.pump.events());
        }
    }

    pub fn closed(&mut self, number: Number) -> (&'static str, String) {
        let closed = self.next("Closed", |event| matches!(event, Event::Closed { conn, .. } if *conn == number));
        let Event::Closed { code, detail, .. } = closed else { unreachable!() };
        (code, detail.into_owned())
    }

    pub fn request(&mut self, number: Number) {
        self.next("Request", |event| matches!(event, Event::Request { conn, .. } if *conn == number));
    }

    pub fn body_end(&mut self, number: Number) {
        self.next("BodyEnd", |event| matches!(event, Event::BodyEnd { conn } if *conn == number));
    }

    pub fn ok(&self, conn: Number, close: bool) {
        let answer = Answer { status: 200, content_type: String::new(), headers: Vec::new(), body: Vec::new(), close };
        self.pump.respond(conn, answer);
    }

    /// What one connection said, in order; media as (track, time, samples, payload's CRC).
    pub fn story(&self, number: Number) -> Vec<String> {
        self.events.iter().filter(|event| owner(event) == number).map(describe).collect()
    }

    fn names(&self) -> Vec<String> {
        self.events.iter().map(|event| format!("{} {}", owner(event), describe(event))).collect()
    }
}

pub fn quick() -> Options {
    Options { tick: Duration::from_millis(5), ..Options::default() }
}

/// Waits for the pump's descriptor; true when it is readable.
pub fn wait(pump: &Pump, timeout: Duration) -> bool {
    // SAFETY: the pump outlives the call and owns the descriptor.
    let descriptor = unsafe { BorrowedFd::borrow_raw(pump.as_raw_fd()) };
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// Everything the peer gets up to the end of the connection.
pub fn read_all(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Writes what the pump may stop reading.
pub fn send(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
}

fn owner(event: &Event) -> Number {
    match event {
        Event::Request { conn, .. }
        | Event::ConnectRequested { conn, .. }
        | Event::PublishRequested { conn, .. }
        | Event::TrackFound { conn, .. }
        | Event::NeedClock { conn, .. }
        | Event::ChunkReady { conn, .. }
        | Event::SignalsFound { conn, .. }
        | Event::SignalReady { conn, .. }
        | Event::BodyEnd { conn }
        | Event::PublishEnded { conn, .. }
        | Event::Warned { conn, .. }
        | Event::Given { conn, .. }
        | Event::Closed { conn, .. } => *conn,
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Request { head, .. } => format!("{} {}", head.method, head.target),
        Event::ConnectRequested { publish, .. } => format!("connect {}", publish.app),
        Event::PublishRequested { publish, .. } => format!("publish {}/{}", publish.app, publish.stream),
        Event::TrackFound { track, .. } => format!("track {} {:?}", track.number, track.codec.kind()),
        Event::NeedClock { track, time, jump, .. } => format!("clock? {track} {time} {jump}"),
        Event::ChunkReady { chunk, kind, .. } => format!(
            "chunk {} {kind:?} {} {} {:08x}",
            chunk.track,
            chunk.time,
            chunk.samples.len(),
            crc32c::crc32c(&chunk.payload.bytes().unwrap())
        ),
        Event::SignalsFound { track, .. } => format!("signals {} {}", track.number, track.name),
        Event::SignalReady { signal, .. } => format!("signal {} {}", signal.track, signal.time),
        Event::BodyEnd { .. } => "end of body".to_owned(),
        Event::PublishEnded { code, .. } => format!("publish ended {code}"),
        Event::Warned { error, .. } => format!("warning {}", error.code),
        Event::Given { parcel, .. } => format!("given after {}", parcel.decided),
        Event::Closed { code, .. } => format!("closed {code}"),
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
