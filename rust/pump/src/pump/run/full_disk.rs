//! The spill file's disk fails amid the feeds of two connections on one budget.

use super::super::event::{Event, Number, Protocol};
use super::*;
use crate::spill::faulty::Faulty;
use rustix::io::Errno;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

const HTTP: &[u8] = include_bytes!("../../../../core/tests/data/ffmpeg-9.0-ismv.http");
const RTMP: &[u8] = include_bytes!("../../../../core/tests/data/rtmp_gstreamer.bin");

impl Outcome {
    /// Takes note of an event, which is of connection `number`.
    fn take(&mut self, event: Event, number: Number, step: usize) {
        match event {
            Event::ChunkReady { conn, chunk, .. } if conn == number => {
                let bytes = chunk.payload.bytes().expect("readable").into_owned();
                self.chunks.push((chunk.track, chunk.time, bytes));
            }
            Event::Warned { conn, error } if conn == number => {
                self.warned.push(error.code);
            }
            Event::Closed { conn, code, .. } if conn == number => self.closed = Some((step, code)),
            Event::ChunkReady { conn, .. } | Event::Warned { conn, .. } | Event::Closed { conn, .. } => {
                assert_eq!(conn, number, "the other one has nothing to do with it");
            }
            _ => {}
        }
    }
}

const PIECE: usize = 300;

/// Track, time and bytes of a chunk.
type Fragment = (u32, i64, Vec<u8>);

/// What became of one connection: its chunks, the codes of its warnings, and when it ended with which code.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    chunks: Vec<Fragment>,
    warned: Vec<&'static str>,
    closed: Option<(usize, &'static str)>,
}

/// Two encoders send the same, piece by piece in turns, on a budget of nothing; before each piece `between` may change the disk.
fn feed(protocol: Protocol, capture: &[u8], disk: &Faulty, mut between: impl FnMut(usize)) -> [Outcome; 2] {
    let shared = Arc::new(Shared::new().expect("an eventfd"));
    let mut pump = Loop::new(Options::default(), Arc::clone(&shared)).expect("an epoll set");
    pump.cx.spill = disk.spill_file();
    let budget = Arc::new(Budget::new(0));
    let mut encoders = [(); 2].map(|()| {
        let (encoder, socket) = UnixStream::pair().expect("a socket pair");
        let number = shared.enroll();
        pump.add(number, socket.into(), protocol, None);
        (encoder, number)
    });
    let mut outcomes = [Outcome::default(), Outcome::default()];
    for (step, piece) in capture.chunks(PIECE).enumerate() {
        between(step);
        for (index, (encoder, number)) in encoders.iter_mut().enumerate() {
            encoder.write_all(piece).expect("room in the socket");
            if step == last(capture) {
                encoder.shutdown(Shutdown::Write).expect("an open socket");
            }
            pump.touch(*number, |connection, cx| {
                connection.drain(cx);
            });
            while !pump.cx.events.is_empty() {
                for event in std::mem::take(&mut pump.cx.events) {
                    decide(&mut pump, &budget, &event);
                    outcomes[index].take(event, *number, step);
                }
            }
            assert_eq!(budget.held(), 0, "whatever the disk does, nothing stays in memory");
        }
    }
    outcomes
}

/// The last piece of a feed.
fn last(capture: &[u8]) -> usize {
    capture.chunks(PIECE).len() - 1
}

/// Says yes to everything.
fn decide(pump: &mut Loop, budget: &Arc<Budget>, event: &Event) {
    match *event {
        Event::Request { conn, .. } | Event::PublishRequested { conn, .. } => {
            let budget = Some(Arc::clone(budget));
            pump.touch(conn, |connection, cx| connection.accept(conn, budget, cx));
        }
        Event::NeedClock { conn, .. } => pump.touch(conn, |connection, cx| connection.bind(conn, conn, cx)),
        _ => {}
    }
}

#[test]
fn a_write_that_fails_on_the_way_costs_one_fragment_of_one_connection() {
    for (protocol, capture, step) in [(Protocol::Http, HTTP, 40), (Protocol::Rtmp, RTMP, 60)] {
        let [plain, _] = feed(protocol, capture, &Faulty::new(), |_| ());
        assert!(plain.chunks.len() >= 4);
        for fault in [Errno::NOSPC, Errno::IO] {
            let disk = Faulty::new();
            disk.state().full = fault;
            let [first, second] = feed(protocol, capture, &disk, |now| {
                if now == step {
                    // It takes the first bytes of the next write, fails once, and is in order again.
                    disk.state().room = 10;
                    disk.state().faults = 1;
                }
            });
            assert_eq!(second, plain, "{protocol:?} {fault}");
            assert_eq!(first.warned, ["SPILL_FAILED"], "{protocol:?} {fault}");
            // An RTMP track goes on behind what was dropped; its phase may be another one then, by a tick.
            let is_there =
                |chunk: &&Fragment| first.chunks.iter().any(|(t, _, bytes)| (*t, bytes) == (chunk.0, &chunk.2));
            assert_eq!(plain.chunks.iter().filter(is_there).count(), plain.chunks.len() - 1);
            let answered = (protocol == Protocol::Http).then_some((last(capture), "SPILL_FAILED"));
            assert_eq!(first.closed, answered, "a body that lost something is told so at its end, and no earlier");
            assert_eq!(disk.state().files.len(), if fault == Errno::IO { 2 } else { 1 }, "{fault}");
        }
    }
}

#[test]
fn a_disk_that_never_takes_anything_costs_what_is_beyond_the_budget_and_no_connection() {
    for (protocol, capture) in [(Protocol::Http, HTTP), (Protocol::Rtmp, RTMP)] {
        let disk = Faulty::new();
        disk.state().room = 0;
        for outcome in feed(protocol, capture, &disk, |_| ()) {
            assert_eq!(outcome.warned[0], "SPILL_FAILED");
            // Pictures whose key frame was dropped are of no use, which is said as ever.
            assert!(outcome.warned.iter().all(|code| ["SPILL_FAILED", "NO_KEY_FRAME"].contains(code)), "{outcome:?}");
            assert!(outcome.closed.is_none_or(|(step, _)| step == last(capture)));
        }
        assert_eq!(disk.state().files.concat().len(), 0);
    }
}
