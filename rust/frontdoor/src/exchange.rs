//! The exchanges of an HTTP/2 connection: how many are open, and an end to those on which nothing moves.
//!
//! HTTP/1.1 needs none of this. Its library has a time limit for heads, which is one for idle connections too, and a viewer that takes nothing
//! is seen by its socket ([`crate::connection::Patient`]). Here a viewer can stop taking one answer and go on with the others.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// The exchanges of one connection.
#[derive(Debug, Clone)]
pub struct Exchanges {
    state: Arc<Mutex<State>>,
    stall: Duration,
}

#[derive(Debug)]
struct State {
    open: usize,
    /// When the last one ended.
    since: Instant,
}

impl Exchanges {
    /// None yet; one is ended when nothing moves on it for `stall`.
    pub fn new(stall: Duration) -> Self {
        Self { state: Arc::new(Mutex::new(State { open: 0, since: Instant::now() })), stall }
    }

    /// Returns when there was none for `patience`, at most twice as late.
    pub async fn idle(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let end = {
                let state = self.state();
                if state.open > 0 { now } else { state.since }
            } + patience;
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each exchange is a task that is woken by whatever moves on it: its question, room for its answer, its answer.
impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Exchanges {
    fn execute(&self, exchange: F) {
        self.state().open += 1;
        let open = Open(self.clone());
        tokio::spawn(async move {
            while_it_moves(exchange, open.0.stall).await;
            drop(open);
        });
    }
}

struct Open(Exchanges);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.since = Instant::now();
    }
}

/// Drops a future that was woken by nothing for `patience`.
async fn while_it_moves(future: impl Future<Output = ()>, patience: Duration) {
    let mut future = pin!(future);
    let mut waiting = pin!(sleep(patience));
    poll_fn(|context| {
        let over = waiting.as_mut().poll(context).is_ready();
        ready_or(future.as_mut().poll(context), || {
            if over {
                return Poll::Ready(());
            }
            waiting.as_mut().reset(Instant::now() + patience);
            // It has to be asked once for its end to wake us.
            waiting.as_mut().poll(context)
        })
    })
    .await;
}

fn ready_or(polled: Poll<()>, otherwise: impl FnOnce() -> Poll<()>) -> Poll<()> {
    if polled.is_ready() { polled } else { otherwise() }
}

/// A body in pieces of a frame: that the next one is asked for shows that the viewer takes them.
pub struct Framed<B> {
    inner: B,
    rest: Bytes,
}

impl<B> Framed<B> {
    /// Nothing of `inner` was taken yet.
    pub fn new(inner: B) -> Self {
        Self { inner, rest: Bytes::new() }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Framed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let size = self.rest.len().min(FRAME);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// RFC 9113 6.5.2: what every peer takes.
const FRAME: usize = 16 * 1024;
