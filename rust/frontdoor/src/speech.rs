//! What a connection speaks: TLS or nothing around HTTP/1.1 or HTTP/2, each with an end to what takes too long.

use crate::connection::Patient;
use crate::door::Door;
use crate::exchange::{Exchanges, Framed};
use crate::server::Options;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// What the connections of one thread are served with.
#[derive(Clone)]
pub struct Speech {
    /// Answers requests.
    pub door: Arc<Door>,
    /// Where TLS is spoken.
    pub tls: Option<TlsAcceptor>,
    /// Whether all is to end.
    pub stopped: watch::Receiver<bool>,
    /// Times and counts.
    pub options: Options,
}

/// By ALPN (RFC 7301), the favourite first.
pub const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];

impl Speech {
    /// Serves a connection until its end. What goes wrong on it is its viewer's business and ends it.
    pub async fn serve(mut self, socket: TcpStream) {
        let Ok(peer) = socket.peer_addr().map(|address| address.ip().to_canonical()) else { return };
        // Answers are written whole: waiting for more would only delay their last packet.
        drop(socket.set_nodelay(true));
        let Some(tls) = self.tls.take() else {
            let Some(Ok(h2)) = self.within(self.options.keep_alive, knows_h2(&socket)).await else { return };
            let stream = Patient::new(socket, self.options.stall);
            return self.speak(stream, h2, "http", peer).await;
        };
        let accepted = tls.accept(Patient::new(socket, self.options.stall));
        let Some(Ok(stream)) = self.within(self.options.handshake, accepted).await else { return };
        let h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
        self.speak(stream, h2, "https", peer).await;
    }

    /// What comes of something that has to be done by some time, and before the end of all.
    async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            done = timeout(limit, work) => done.ok(),
            _ = stopped.wait_for(|stopped| *stopped) => None,
        }
    }

    async fn speak<S>(self, stream: S, h2: bool, scheme: &'static str, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if h2 { self.speak_h2(stream, scheme, peer).await } else { self.speak_h1(stream, scheme, peer).await }
    }

    async fn speak_h1<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S, scheme: &'static str, peer: IpAddr) {
        let door = Arc::clone(&self.door);
        let answer = move |request| {
            let door = Arc::clone(&door);
            async move { Ok::<_, Infallible>(door.answer(request, scheme, peer).await) }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.keep_alive)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        let mut connection = pin!(connection);
        tokio::select! {
            served = connection.as_mut() => return drop(served),
            _ = self.stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
        }
        drop(connection.await);
    }

    async fn speak_h2<S>(mut self, stream: S, scheme: &'static str, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let door = Arc::clone(&self.door);
        let answer = move |request| {
            let door = Arc::clone(&door);
            async move { Ok::<_, Infallible>(door.answer(request, scheme, peer).await.map(Framed::new)) }
        };
        let exchanges = Exchanges::new(self.options.stall);
        let connection = http2::Builder::new(exchanges.clone())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .max_send_buf_size(MAX_UNSENT)
            .initial_stream_window_size(UPLOAD_WINDOW)
            .initial_connection_window_size(UPLOAD_WINDOW)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        let mut connection = pin!(connection);
        tokio::select! {
            served = connection.as_mut() => return drop(served),
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
            () = exchanges.idle(self.options.keep_alive) => {}
        }
        connection.as_mut().graceful_shutdown();
        // What is under way ends first, and a peer that does not confirm the end (RFC 9113 6.8) gets it all the same.
        tokio::select! {
            served = connection => drop(served),
            () = farewell(&exchanges) => {}
        }
    }
}

/// Returns when nothing is under way any more, and a peer that is there has had time to say so.
async fn farewell(exchanges: &Exchanges) {
    sleep(FAREWELL).await;
    exchanges.idle(FAREWELL).await;
}

/// Whether a connection in the clear begins as HTTP/2 does (RFC 9113 3.4): no request of HTTP/1.1 has that method, and who speaks HTTP/2 sends
/// its preface at once.
async fn knows_h2(socket: &TcpStream) -> std::io::Result<bool> {
    let mut begin = [0; PREFACE.len()];
    Ok(socket.peek(&mut begin).await? == begin.len() && begin == PREFACE)
}

const H2: &[u8] = b"h2";
const PREFACE: [u8; 4] = *b"PRI ";
/// A viewer's request head; the application answers 414 to a target above 4 KiB.
const MAX_HEAD: usize = 16 * 1024;
/// Answers of a connection under way. Players ask for a handful at once, and each may hold a segment for as long as its viewer takes it slowly.
const MAX_STREAMS: u32 = 32;
/// Bytes of an answer that wait for room on the connection.
const MAX_UNSENT: usize = 64 * 1024;
const FAREWELL: Duration = Duration::from_secs(1);
/// Nobody uploads here.
const UPLOAD_WINDOW: u32 = 64 * 1024;
