//! The application behind, on its Unix socket: HTTP/1.1 with kept connections.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Asks the application.
#[derive(Debug)]
pub struct Upstream {
    path: PathBuf,
    idle: Mutex<Vec<Asker>>,
    slots: Arc<Semaphore>,
}

type Asker = SendRequest<Empty<Bytes>>;

/// The application could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nobody listens.
    #[error("the application is not there: {0}")]
    Connect(#[from] std::io::Error),
    /// It gave up in the middle.
    #[error("the application did not answer: {0}")]
    Http(#[from] hyper::Error),
}

impl Upstream {
    /// The application at `path`, asked at most `questions` things at once.
    pub fn new(path: PathBuf, questions: usize) -> Self {
        Self { path, idle: Mutex::default(), slots: Arc::new(Semaphore::new(questions)) }
    }

    /// Another application; what is asked of both at once is counted together.
    pub fn beside(&self, path: &Path) -> Self {
        Self { path: path.into(), idle: Mutex::default(), slots: Arc::clone(&self.slots) }
    }

    /// Sends a request without a body. The answer's body holds the connection until it was read.
    pub async fn ask(
        self: &Arc<Self>,
        request: Request<Empty<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease), Unanswered> {
        // The semaphore is never closed, so this only waits.
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
        let mut asker = self.asker().await?;
        // A connection that was closed while it was idle is found out here, before anything was sent.
        while asker.ready().await.is_err() {
            asker = self.asker().await?;
        }
        let response = asker.send_request(request).await?;
        Ok((response, Lease { upstream: Arc::clone(self), asker: Some(asker), _permit: permit }))
    }

    async fn asker(&self) -> Result<Asker, Unanswered> {
        let idle = self.idle().pop();
        if let Some(asker) = idle.filter(|asker| !asker.is_closed()) {
            return Ok(asker);
        }
        let (asker, connection) = handshake(TokioIo::new(UnixStream::connect(&self.path).await?)).await?;
        // Its error reaches whoever asks through it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(asker)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Asker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to the application while its answer is read.
#[derive(Debug)]
pub struct Lease {
    upstream: Arc<Upstream>,
    asker: Option<Asker>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(asker) = self.asker.take().filter(|asker| !asker.is_closed()) {
            self.upstream.idle().push(asker);
        }
    }
}
