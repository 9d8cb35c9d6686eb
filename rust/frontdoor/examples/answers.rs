//! So many answers of one kind over one connection, for a profiler: `answers KIND COUNT`, the kind one of `manifest`, `gzip`, `unchanged`,
//! `segment` (90 kB) and `large` (1.7 MB).
//!
//! The front runs on its own thread (`frontdoor-0`), the viewer on another. What an answer costs is the difference of two counts, divided.

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use pypackager_core::proxies::Proxies;
use pypackager_frontdoor::answer::{Answer, Kind};
use pypackager_frontdoor::plan::Plan;
use pypackager_frontdoor::server::{Options, Server};
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, kind, count] = arguments.as_slice() else { return Err("usage: answers KIND COUNT".into()) };
    let (size, field) = match kind.as_str() {
        "manifest" => (2_000, ""),
        "gzip" => (2_000, "Accept-Encoding: gzip\r\n"),
        "unchanged" => (2_000, "If-None-Match: \"one\"\r\n"),
        "segment" => (90_000, ""),
        "large" => (1_700_000, ""),
        other => return Err(format!("no kind {other:?}").into()),
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let server = Server::start(&[listener], &options())?;
    if size < 10_000 {
        server.shelf().add(ROOT, TARGET, answer(Kind::Manifest, size));
    } else {
        server.shelf().put(ROOT, TARGET, answer(Kind::Segment, size), Instant::now() + HOUR);
    }
    let request = format!("GET {TARGET} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: a player\r\n{field}\r\n");
    let mut viewer = TcpStream::connect(address)?;
    for _ in 0..count.parse::<usize>()? {
        viewer.write_all(request.as_bytes())?;
        take_answer(&mut viewer)?;
    }
    server.stop();
    Ok(())
}

fn options() -> Options {
    Options {
        upstream: "/nonexistent".into(),
        threads: 1,
        keep_alive: HOUR,
        certificates: None,
        handshake: HOUR,
        stall: HOUR,
        grace: Duration::from_secs(1),
        max_connections: 64,
        max_questions: 1,
        cache_bytes: 1 << 24,
        max_lines: 100,
        proxies: Proxies::default(),
    }
}

/// With the fields of the daemon's answers.
fn answer(kind: Kind, size: usize) -> Answer {
    let fields = [
        ("content-type", "application/vnd.apple.mpegurl"),
        ("cache-control", "public, max-age=1"),
        ("vary", "Accept-Encoding"),
        ("access-control-allow-origin", "*"),
        (
            "access-control-expose-headers",
            "Date, Age, Content-Length, Content-Range, ETag, Pragma, Server-Timing, X-Cache",
        ),
        ("timing-allow-origin", "*"),
        ("server", "pypackager"),
    ];
    Answer::new(
        kind,
        fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
        HeaderValue::from_static("\"one\""),
        HeaderValue::from_static("\"one-gzip\""),
        Plan::Bytes(vec![7; size].into()),
        (kind == Kind::Manifest).then(|| vec![Bytes::from(vec![7; size / 4])]),
    )
}

/// Reads one answer to its end.
fn take_answer(viewer: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    let mut buffer = vec![0; 1 << 16];
    let (mut head, mut filled) = (None, 0);
    loop {
        let count = viewer.read(&mut buffer[filled..])?;
        if count == 0 {
            return Err("the front closed the connection".into());
        }
        filled += count;
        if head.is_none() {
            let text = String::from_utf8_lossy(&buffer[..filled.min(4096)]).to_ascii_lowercase();
            if let Some(end) = text.find("\r\n\r\n") {
                let length = text[..end].lines().find_map(|line| line.strip_prefix("content-length: "));
                head = Some(end + 4 + length.map_or(Ok(0), str::parse)?);
            }
        }
        if let Some(whole) = head {
            if filled >= whole {
                return Ok(());
            }
            // The body is thrown away.
            head = Some(whole - filled);
            filled = 0;
        }
    }
}

const ROOT: &str = "/show/show.ism";
const TARGET: &str = "/show/show.ism/QualityLevels(1000000)/Fragments(video=0,format=m4s)";
const HOUR: Duration = Duration::from_secs(3600);
