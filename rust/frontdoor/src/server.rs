//! The threads: listening sockets in, connections served until the end.

use crate::door::{Door, Shared};
use crate::shelf::Shelf;
use crate::speech::{PROTOCOLS, Speech};
use crate::tally::Tally;
use crate::upstream::Upstream;
use pypackager_core::endpoint::Policy;
use pypackager_core::proxies::Proxies;
use pypackager_tls::Certificates;
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::net::TcpListener as Listener;
use tokio::runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How the front serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Unix socket of the application.
    pub upstream: PathBuf,
    /// Threads that serve.
    pub threads: usize,
    /// How long a connection may be idle, or take to send a request's head.
    pub keep_alive: Duration,
    /// What TLS is spoken with; none: HTTP in the clear.
    pub certificates: Option<Arc<Certificates>>,
    /// How long a viewer may take for the handshake of TLS.
    pub handshake: Duration,
    /// How long a viewer may take no byte of its answer.
    pub stall: Duration,
    /// How long answers under way may take at the end.
    pub grace: Duration,
    /// Connections at once; more wait in the backlog.
    pub max_connections: usize,
    /// Questions to the application at once, each thread.
    pub max_questions: usize,
    /// Bytes of made bodies that are kept.
    pub cache_bytes: usize,
    /// Lines of the access log between two looks.
    pub max_lines: usize,
    /// Those that are believed about a viewer's address.
    pub proxies: Proxies,
}

/// A running front.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Serves connections of `listeners` until it is stopped.
    pub fn start(listeners: &[TcpListener], options: &Options) -> io::Result<Self> {
        let (shelf, tally) = (Shelf::new(options.cache_bytes), Tally::new(options.max_lines));
        let shared = Arc::new(Shared::new(shelf, tally, options.proxies.clone()));
        let (stop, stopped) = watch::channel(false);
        let slots = Arc::new(Semaphore::new(options.max_connections));
        let tls = options.certificates.as_ref().map(acceptor).transpose()?;
        let mut threads = Vec::new();
        for number in 0..options.threads.max(1) {
            let upstream = Upstream::new(options.upstream.clone(), options.max_questions);
            let serving = Serving {
                speech: Speech {
                    door: Arc::new(Door::new(Arc::clone(&shared), upstream)),
                    tls: tls.clone(),
                    stopped: stopped.clone(),
                    options: options.clone(),
                },
                slots: Arc::clone(&slots),
            };
            let own = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
            let runtime =
                runtime::Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(4).build()?;
            let run = move || {
                runtime.block_on(serving.run(own));
                // A read that hangs in the file system must not hold up the end.
                runtime.shutdown_background();
            };
            threads.push(Builder::new().name(format!("frontdoor-{number}")).spawn(run)?);
        }
        Ok(Self { shared, stop, threads: Mutex::new(threads) })
    }

    /// Where the application publishes.
    pub fn shelf(&self) -> &Shelf {
        &self.shared.shelf
    }

    /// Which applications answer for which channels and locators from now on; the one of the options answers for the rest.
    pub fn route(&self, routes: HashMap<String, Arc<Path>>) {
        self.shared.routes.replace(routes);
    }

    /// The rules of its endpoint from now on.
    pub fn obey(&self, policy: Policy) {
        self.shared.obey(policy);
    }

    /// What was answered.
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Ends: no new connection, idle ones at once, answers under way within the time of grace. Blocks until all threads ended.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic was shown where it happened.
            drop(thread.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Clone)]
struct Serving {
    speech: Speech,
    slots: Arc<Semaphore>,
}

fn acceptor(certificates: &Arc<Certificates>) -> io::Result<TlsAcceptor> {
    certificates.config(&PROTOCOLS).map(|config| TlsAcceptor::from(Arc::new(config))).map_err(io::Error::other)
}

impl Serving {
    async fn run(self, listeners: Vec<TcpListener>) {
        let (grace, mut stopped) = (self.speech.options.grace, self.speech.stopped.clone());
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(self.clone().accept(listener));
        }
        // An error means that the server is gone, which is an end as well.
        drop(stopped.wait_for(|stopped| *stopped).await);
        let ended = async { while accepting.join_next().await.is_some() {} };
        drop(timeout(grace, ended).await);
    }

    /// Accepts until the end, then waits for its connections.
    async fn accept(self, listener: TcpListener) {
        let Ok(listener) = Listener::from_std(listener) else { return };
        let mut stopped = self.speech.stopped.clone();
        let mut connections = JoinSet::new();
        loop {
            let slot = tokio::select! {
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            };
            match accepted {
                Ok((socket, _)) => {
                    let speech = self.speech.clone();
                    connections.spawn(async move {
                        speech.serve(socket).await;
                        drop(slot);
                    });
                }
                // No descriptor is free: the viewers that are there go on, and one of them will leave.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
