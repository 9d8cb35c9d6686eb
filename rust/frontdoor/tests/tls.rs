//! TLS and HTTP/2 over real sockets.

mod world;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pypackager_frontdoor::answer::Kind;
use pypackager_frontdoor::plan::Plan;
use pypackager_frontdoor::server::Options;
use pypackager_tls::{Certificate, Certificates};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream as Socket;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use world::{ROOT, World, answer, bytes, segment};

const HOST: &str = "live.example";

type Fields = &'static [(&'static str, &'static str)];

/// A front that speaks TLS, and who is trusted by its viewers.
struct Secured {
    world: World,
    certificates: Arc<Certificates>,
    folder: TempDir,
}

impl Secured {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certificates = Arc::new(Certificates::new(vec![make(&folder, "one")]).expect("random bytes"));
        let own = Arc::clone(&certificates);
        let world = World::new(|options| {
            options.certificates = Some(own);
            change(options);
        });
        Self { world, certificates, folder }
    }

    /// A connection of a viewer that trusts the certificate called `trusted`, and offers `protocols`.
    async fn connect(&self, trusted: &str, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let path = self.folder.path().join(format!("{trusted}.pem"));
        roots.add(CertificateDer::from_pem_file(path).expect("a certificate")).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).expect("versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let socket = TcpStream::connect(self.world.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(HOST).expect("a name"), socket).await
    }
}

fn make(folder: &TempDir, name: &str) -> Certificate {
    let key = KeyPair::generate().expect("a key");
    let made = CertificateParams::new([HOST.to_owned()]).expect("a name").self_signed(&key).expect("a certificate");
    let path = |end: &str| folder.path().join(format!("{name}.{end}"));
    fs::write(path("pem"), made.pem()).expect("a file");
    fs::write(path("key"), key.serialize_pem()).expect("a file");
    Certificate::load(&path("pem"), &path("key")).expect("a pair")
}

/// HTTP/2 on a connection. Its streams may each have 64 KiB that nobody has read.
async fn speak_h2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Empty<Bytes>> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(65_535).initial_connection_window_size(1 << 24);
    let (asker, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    asker
}

async fn ask(
    asker: &mut SendRequest<Empty<Bytes>>,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Response<Incoming> {
    let mut request = Request::builder().method(method).uri(format!("https://{HOST}{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    asker.send_request(request.body(Empty::new()).expect("a request")).await.expect("an answer")
}

async fn read(response: Response<Incoming>) -> (u16, HeaderMap, Bytes) {
    let (head, body) = response.into_parts();
    (head.status.as_u16(), head.headers, body.collect().await.expect("a body").to_bytes())
}

/// The end of an HTTP/1.1 exchange on a connection.
async fn ask_h1(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), head: &str) -> String {
    stream
        .write_all(format!("{head}\r\nhost: {HOST}\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .expect("the front reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer and an end");
    text
}

#[tokio::test]
async fn what_was_published_is_answered_in_every_form_over_h2() {
    let secured = Secured::new(|_| ());
    let shelf = secured.world.server.shelf();
    shelf.add(ROOT, "/m", answer(Kind::Manifest, bytes(b"0123456789"), Some(&[b"zip", b"", b"ped"])));
    let stream = secured.connect("one", &[b"h2", b"http/1.1"]).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut asker = speak_h2(stream).await;
    let cases: [(&str, Fields, u16, &[u8], Fields); 6] = [
        ("GET", &[], 200, b"0123456789", &[("content-length", "10"), ("etag", "\"one\""), ("content-type", "text/x")]),
        ("HEAD", &[], 200, b"", &[("content-length", "10")]),
        (
            "GET",
            &[("accept-encoding", "gzip")],
            200,
            b"zipped",
            &[("content-encoding", "gzip"), ("content-length", "6")],
        ),
        ("GET", &[("range", "bytes=2-4")], 206, b"234", &[("content-range", "bytes 2-4/10"), ("content-length", "3")]),
        ("GET", &[("if-none-match", "\"one\"")], 304, b"", &[("etag", "\"one\"")]),
        ("GET", &[("if-none-match", "\"two\"")], 200, b"0123456789", &[]),
    ];
    for (method, fields, status, expected, wanted) in cases {
        let (found, headers, body) = read(ask(&mut asker, method, "/m", fields).await).await;
        assert_eq!((found, &body[..]), (status, expected), "{method} {fields:?}");
        for (name, value) in wanted {
            assert_eq!(headers[*name], *value, "{method} {fields:?}");
        }
        for name in ["connection", "keep-alive", "transfer-encoding"] {
            assert!(!headers.contains_key(name), "{name} is none of HTTP/2 (RFC 9113 8.2.2)");
        }
    }
    assert!(secured.world.questions().is_empty());
}

#[tokio::test]
async fn the_application_is_told_how_it_was_asked() {
    let secured = Secured::new(|_| ());
    let mut asker = speak_h2(secured.connect("one", &[b"h2"]).await.expect("a handshake")).await;
    let (status, headers, body) = read(ask(&mut asker, "GET", "/x?start=1", &[]).await).await;
    assert_eq!((status, &body[..], &headers["content-length"]), (404, &b"nothing"[..], &"7".parse().expect("a value")));
    read(ask(&mut asker, "GET", "/y", &[("x-forwarded-proto", "http"), ("x-forwarded-for", "192.0.2.1")]).await).await;
    let mut stream = secured.connect("one", &[]).await.expect("a handshake");
    assert!(ask_h1(&mut stream, "GET http://other.example/z HTTP/1.1").await.starts_with("HTTP/1.1 404"));
    let clear = World::new(|_| ());
    clear.ask("GET /c HTTP/1.1");
    let questions = [secured.world.questions(), clear.questions()].concat();
    let expected: [(&str, &[&str]); 4] = [
        (
            "get /x?start=1 http/1.1\r\n",
            &["host: live.example", "x-forwarded-proto: https", "x-forwarded-for: 127.0.0.1"],
        ),
        ("get /y http/1.1\r\n", &["x-forwarded-proto: http, https", "x-forwarded-for: 192.0.2.1, 127.0.0.1"]),
        ("get /z http/1.1\r\n", &["host: other.example", "x-forwarded-proto: https"]),
        ("get /c http/1.1\r\n", &["host: x", "x-forwarded-proto: http"]),
    ];
    assert_eq!(questions.len(), expected.len());
    for (question, (line, fields)) in questions.iter().zip(expected) {
        assert!(question.starts_with(line), "{question}");
        assert!(fields.iter().all(|field| question.contains(&format!("\r\n{field}\r\n"))), "{question}");
        assert_eq!(question.matches("\r\nhost: ").count(), 1, "{question}");
    }
}

#[tokio::test]
async fn http_1_1_is_spoken_where_a_viewer_speaks_no_other() {
    let secured = Secured::new(|_| ());
    segment(&secured.world, "/v/1", bytes(b"media"));
    for protocols in [&[b"http/1.1".as_slice()][..], &[]] {
        let mut stream = secured.connect("one", protocols).await.expect("a handshake");
        let text = ask_h1(&mut stream, "GET /v/1 HTTP/1.1").await;
        assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("\r\n\r\nmedia"), "{text}");
    }
}

#[tokio::test]
async fn h2_in_the_clear_is_known_by_its_first_bytes() {
    let world = World::new(|_| ());
    segment(&world, "/v/1", bytes(b"media"));
    let mut asker = speak_h2(TcpStream::connect(world.address).await.expect("a connection")).await;
    assert_eq!(&read(ask(&mut asker, "GET", "/v/1", &[]).await).await.2[..], b"media");
    let mut stream = TcpStream::connect(world.address).await.expect("a connection");
    assert!(ask_h1(&mut stream, "GET /v/1 HTTP/1.1").await.ends_with("media"), "beside it");
}

#[tokio::test]
async fn large_answers_come_whole_over_h2() {
    let secured = Secured::new(|_| ());
    let media: Vec<u8> = (0..3_000_001_u32).map(|number| (number % 251) as u8).collect();
    segment(&secured.world, "/v/1", Plan::Bytes(media.clone().into()));
    let mut asker = speak_h2(secured.connect("one", &[b"h2"]).await.expect("a handshake")).await;
    let mut second = asker.clone();
    let (one, other) = tokio::join!(async { read(ask(&mut asker, "GET", "/v/1", &[]).await).await }, async {
        read(ask(&mut second, "GET", "/v/1", &[("range", "bytes=1000-")]).await).await
    },);
    assert!(one.2 == media && other.2 == media[1000..]);
}

#[tokio::test]
async fn new_certificates_are_for_new_handshakes_and_old_connections_go_on() {
    let secured = Secured::new(|_| ());
    segment(&secured.world, "/v/1", bytes(b"media"));
    let mut asker = speak_h2(secured.connect("one", &[b"h2"]).await.expect("a handshake")).await;
    let mut idle = secured.connect("one", &[]).await.expect("a handshake");
    secured.certificates.replace(vec![make(&secured.folder, "two")]);
    secured.connect("one", &[]).await.expect_err("there is another one now");
    let mut fresh = secured.connect("two", &[]).await.expect("a handshake");
    for stream in [&mut idle, &mut fresh] {
        assert!(ask_h1(stream, "GET /v/1 HTTP/1.1").await.ends_with("media"));
    }
    assert_eq!(&read(ask(&mut asker, "GET", "/v/1", &[]).await).await.2[..], b"media");
}

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let secured = Secured::new(|options| {
        options.handshake = Duration::from_millis(200);
        options.max_connections = 2;
    });
    let begun = Instant::now();
    // One says nothing, one the beginning of a record of TLS, one what is no TLS at all.
    let mut sockets: Vec<_> = [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"]
        .into_iter()
        .map(|begin| {
            let mut socket = Socket::connect(secured.world.address).expect("a connection");
            socket.write_all(begin).expect("a socket");
            socket
        })
        .collect();
    for socket in &mut sockets {
        // With an alert before the end, or without.
        drop(socket.read_to_end(&mut Vec::new()));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "the two that say nothing, and then the one that waited for a place"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(secured.connect("one", &[])).expect("there is a place again");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_alone() {
    let secured = Secured::new(|options| options.stall = Duration::from_secs(1));
    segment(&secured.world, "/v/1", Plan::Bytes(vec![7; 1 << 20].into()));
    segment(&secured.world, "/v/2", bytes(b"media"));
    let mut asker = speak_h2(secured.connect("one", &[b"h2"]).await.expect("a handshake")).await;
    let untaken = ask(&mut asker, "GET", "/v/1", &[]).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(&read(ask(&mut asker, "GET", "/v/2", &[]).await).await.2[..], b"media", "the others go on");
    untaken.into_body().collect().await.expect_err("it was given up");
    assert_eq!(read(ask(&mut asker, "GET", "/v/1", &[]).await).await.2.len(), 1 << 20, "who takes it gets it");
}

#[tokio::test]
async fn connections_on_which_nothing_is_asked_end() {
    let secured = Secured::new(|options| options.keep_alive = Duration::from_secs(1));
    segment(&secured.world, "/v/1", bytes(b"media"));
    let mut asker = speak_h2(secured.connect("one", &[b"h2"]).await.expect("a handshake")).await;
    for _ in 0..4 {
        assert_eq!(&read(ask(&mut asker, "GET", "/v/1", &[]).await).await.2[..], b"media");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = async {
        while !asker.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("an end");
    // A peer that speaks HTTP/2 and then nothing, not even to confirm the end.
    let mut mute = secured.connect("one", &[b"h2"]).await.expect("a handshake");
    mute.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("a preface");
    let ended = async { drop(mute.read_to_end(&mut Vec::new()).await) };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("an end");
}

#[tokio::test]
async fn the_end_lets_answers_under_way_end() {
    let secured = Secured::new(|options| options.grace = Duration::from_secs(20));
    segment(&secured.world, "/v/1", Plan::Bytes(vec![7; 1 << 20].into()));
    let mut asker = speak_h2(secured.connect("one", &[b"h2"]).await.expect("a handshake")).await;
    let _silent = secured.connect("one", &[b"h2"]).await.expect("a handshake");
    let _half = TcpStream::connect(secured.world.address).await.expect("a connection");
    let response = ask(&mut asker, "GET", "/v/1", &[]).await;
    let begun = Instant::now();
    let server = Arc::clone(&secured.world.server);
    let stopping = thread::spawn(move || server.stop());
    assert_eq!(read(response).await.2.len(), 1 << 20);
    tokio::task::spawn_blocking(move || stopping.join().expect("an end")).await.expect("a thread");
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody is waited for who asks nothing");
}
