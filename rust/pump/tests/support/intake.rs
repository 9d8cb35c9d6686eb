//! An ingest of fragmented MP4 that takes any number of connections and keeps what each brought.
#![allow(dead_code, clippy::unwrap_used)]

use pypackager_core::demux::fmp4::{self, Fmp4Reader, Limits};
use pypackager_core::demux::http::{Event, HttpSession};
use pypackager_core::media::Chunk;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One connection as the server saw it.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Bodies without a byte.
    pub probes: usize,
    /// Header boxes.
    pub headers: usize,
    pub chunks: Vec<Chunk>,
    /// Whether the body ended as it should.
    pub complete: bool,
    /// Why it did not, else empty.
    pub fault: String,
}

impl Seen {
    pub fn times(&self) -> Vec<i64> {
        self.chunks.iter().map(|chunk| chunk.time).collect()
    }
}

/// What to answer: (number of the connection, whether to an empty body) to a status.
pub type Answers = fn(usize, bool) -> u16;

pub struct Intake {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    over: Arc<AtomicBool>,
    acceptor: JoinHandle<()>,
}

impl Intake {
    pub fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (seen, over) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<AtomicBool>::default());
        let port = listener.local_addr().unwrap().port();
        let acceptor = thread::spawn({
            let (seen, over) = (Arc::clone(&seen), Arc::clone(&over));
            move || {
                let mut takers = Vec::new();
                loop {
                    let (socket, _) = listener.accept().unwrap();
                    if over.load(Ordering::Acquire) {
                        break;
                    }
                    seen.lock().unwrap().push(Seen::default());
                    let (number, seen) = (takers.len(), Arc::clone(&seen));
                    takers.push(thread::spawn(move || take(socket, number, answers, &seen)));
                }
                for taker in takers {
                    taker.join().unwrap();
                }
            }
        });
        Self { port, seen, over, acceptor }
    }

    /// All connections, in their order, when all have ended.
    pub fn finish(self) -> Vec<Seen> {
        self.over.store(true, Ordering::Release);
        TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        self.acceptor.join().unwrap();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn take(mut socket: TcpStream, number: usize, answers: Answers, seen: &Mutex<Vec<Seen>>) {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut session = HttpSession::new();
    let mut buffer = vec![0; 10_000];
    loop {
        let mut events = Vec::new();
        let (count, torn) = match socket.read(&mut buffer) {
            Ok(count) => (count, String::new()),
            Err(error) => (0, error.to_string()),
        };
        let mut result = session.feed(&buffer[..count], &mut events);
        if matches!(events.last(), Some(Event::Request(_))) && session.is_paused() {
            session.accept(Fmp4Reader::new(Limits::default()));
            result = session.feed(&[], &mut events);
        }
        let mut seen = seen.lock().unwrap();
        let own = &mut seen[number];
        let mut closes = count == 0;
        for event in events {
            match event {
                Event::Media(fmp4::Event::Track(_)) => own.headers += 1,
                Event::Media(fmp4::Event::Chunk(chunk)) => own.chunks.push(chunk),
                Event::BodyEnd => {
                    let probe = own.headers == 0;
                    let status = answers(number, probe);
                    (own.probes, own.complete) = (own.probes + usize::from(probe), !probe);
                    closes |= !probe || status != 200;
                    session.respond(status, "said", "text/plain", b"what the server says", closes);
                }
                _ => {}
            }
        }
        if let Err(error) = result {
            own.fault = error.to_string();
            let status = if answers(number, false) == 200 { 400 } else { answers(number, false) };
            session.respond(status, "No", "text/plain", b"what is wrong", true);
            closes = true;
        } else if !torn.is_empty() {
            own.fault = torn;
        }
        drop(seen);
        let _ = socket.write_all(&session.take_output());
        if closes {
            let _ = socket.shutdown(std::net::Shutdown::Write);
            while socket.read(&mut buffer).is_ok_and(|count| count > 0) {}
            return;
        }
    }
}
