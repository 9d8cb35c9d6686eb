//! A front, with an application that the test plays.
#![allow(dead_code)] // each test program uses a part of it

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use pypackager_core::proxies::Proxies;
use pypackager_frontdoor::answer::{Answer, Kind};
use pypackager_frontdoor::plan::Plan;
use pypackager_frontdoor::server::{Options, Server};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const ROOT: &str = "/show/show.ism";
pub const MINUTE: Duration = Duration::from_secs(60);

/// A front and what its application was asked.
pub struct World {
    pub server: Arc<Server>,
    pub address: SocketAddr,
    questions: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl World {
    pub fn new(change: impl FnOnce(&mut Options)) -> Self {
        Self::with_application(change, |_, _| ())
    }

    /// `play` runs before the application answers; it gets the server and the request's head.
    pub fn with_application(
        change: impl FnOnce(&mut Options),
        play: impl Fn(&Server, &str) + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let upstream = folder.path().join("application");
        let listening = UnixListener::bind(&upstream).expect("a Unix socket");
        let mut options = Options {
            upstream,
            threads: 1,
            keep_alive: Duration::from_secs(5),
            certificates: None,
            handshake: Duration::from_secs(5),
            stall: Duration::from_secs(5),
            grace: Duration::from_secs(1),
            max_connections: 64,
            max_questions: 8,
            cache_bytes: 1 << 20,
            max_lines: 100,
            proxies: Proxies::default(),
        };
        change(&mut options);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let port = listener.local_addr().expect("its address");
        let server = Arc::new(Server::start(&[listener], &options).expect("a server"));
        let questions = Arc::new(Mutex::new(Vec::new()));
        let (play, server_too, seen) = (Arc::new(play), Arc::clone(&server), Arc::clone(&questions));
        thread::spawn(move || {
            for stream in listening.incoming() {
                let (play, server_too, seen) = (Arc::clone(&play), Arc::clone(&server_too), Arc::clone(&seen));
                let mut stream = BufReader::new(stream.expect("a connection"));
                thread::spawn(move || {
                    while let Some(head) = read_head(&mut stream) {
                        seen.lock().expect("a lock").push(head.clone());
                        play(&server_too, &head);
                        let answer =
                            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n\r\nnothing";
                        stream.get_mut().write_all(answer.as_bytes()).expect("the front reads");
                    }
                });
            }
        });
        Self { server, address: port, questions, _folder: folder }
    }

    pub fn ask(&self, head: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        write!(stream, "{head}\r\nhost: x\r\nconnection: close\r\n\r\n").expect("the front reads");
        read_answer(&mut BufReader::new(stream))
    }

    pub fn questions(&self) -> Vec<String> {
        self.questions.lock().expect("a lock").clone()
    }
}

pub fn read_head(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head.to_ascii_lowercase())
}

pub fn read_answer(stream: &mut impl BufRead) -> (String, Vec<u8>) {
    let head = read_head(stream).expect("a head");
    let mut body = Vec::new();
    stream.read_to_end(&mut body).expect("a body");
    (head, body)
}

pub fn answer(kind: Kind, plan: Plan, gzip: Option<&[&'static [u8]]>) -> Answer {
    Answer::new(
        kind,
        [(CONTENT_TYPE, HeaderValue::from_static("text/x"))],
        HeaderValue::from_static("\"one\""),
        HeaderValue::from_static("\"one-gzip\""),
        plan,
        gzip.map(|pieces| pieces.iter().copied().map(Bytes::from_static).collect()),
    )
}

pub fn bytes(data: &'static [u8]) -> Plan {
    Plan::Bytes(data.into())
}

pub fn segment(world: &World, target: &str, plan: Plan) {
    world.server.shelf().put(ROOT, target, answer(Kind::Segment, plan, None), Instant::now() + MINUTE);
}
