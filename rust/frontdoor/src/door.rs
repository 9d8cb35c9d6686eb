//! One request: from the shelf, else from the application.

use crate::audience::Address;
use crate::conditions::{Asked, accepts_gzip, none_match, parse_range, range_holds};
use crate::routes::Routes;
use crate::shelf::{Entry, Shelf};
use crate::tally::{Line, Tally};
use crate::upstream::{Lease, Unanswered, Upstream};
use crate::wanted::{FORWARDED_FOR, FORWARDED_PROTO, Wanted, introduce, let_read, seen, served, text};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE, TRANSFER_ENCODING,
    USER_AGENT,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode};
use pypackager_core::cmcd;
use pypackager_core::endpoint::Policy;
use pypackager_core::proxies::Proxies;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::Semaphore;

/// What the connections of all threads share.
#[derive(Debug)]
pub struct Shared {
    /// What was published.
    pub shelf: Shelf,
    /// What was answered.
    pub tally: Tally,
    /// Which application answers for what.
    pub routes: Routes,
    proxies: Proxies,
    policy: RwLock<Arc<Policy>>,
}

impl Shared {
    /// With an endpoint that has no rules, behind these proxies.
    pub fn new(shelf: Shelf, tally: Tally, proxies: Proxies) -> Self {
        Self {
            shelf,
            tally,
            routes: Routes::default(),
            proxies,
            policy: RwLock::new(Arc::new(Policy { running: true, ..Policy::default() })),
        }
    }

    /// The endpoint's rules from now on.
    pub fn obey(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the connections of one thread share.
#[derive(Debug)]
pub struct Door {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    /// The applications that routes lead to, by their sockets.
    others: Mutex<HashMap<Arc<Path>, Arc<Upstream>>>,
    /// Targets that the application is asked for now; whoever wants one of them waits for its semaphore to be closed.
    flights: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

/// The body of an answer.
pub enum Answered {
    /// One piece, until it was taken.
    One(Option<Bytes>),
    /// What is left of it, piece by piece.
    Whole(VecDeque<Bytes>),
    /// As it comes from the application.
    Relayed {
        /// What comes.
        body: Incoming,
        /// The connection it comes on.
        _lease: Lease,
    },
}

impl Door {
    /// A thread's door.
    pub fn new(shared: Arc<Shared>, upstream: Upstream) -> Self {
        Self { shared, upstream: Arc::new(upstream), others: Mutex::default(), flights: Mutex::default() }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>, scheme: &'static str, peer: IpAddr) -> Response<Answered> {
        let begun = Instant::now();
        let plain = request.uri().query().is_none_or(cmcd::is_all);
        let published = plain && matches!(*request.method(), Method::GET | Method::HEAD);
        if published {
            let wanted = Wanted::of(request.uri().path());
            if let Some(response) = self.on_shelf(&request, &wanted, peer, begun).await {
                return response;
            }
            let Some(_flight) = self.take_off(&wanted.target).await else {
                // Somebody asked while we waited.
                return match self.on_shelf(&request, &wanted, peer, begun).await {
                    Some(response) => response,
                    None => self.ask(&request, scheme, peer).await,
                };
            };
            return self.ask(&request, scheme, peer).await;
        }
        self.ask(&request, scheme, peer).await
    }

    /// What was published, for who is admitted; else the application has the word.
    async fn on_shelf(
        &self,
        request: &Request<Incoming>,
        wanted: &Wanted<'_>,
        peer: IpAddr,
        begun: Instant,
    ) -> Option<Response<Answered>> {
        let entry = self.shared.shelf.find(&wanted.target, begun)?;
        let policy = self.shared.policy();
        let address = seen(&self.shared.proxies, request.headers(), peer);
        let viewer = match address {
            Address::Known(address) => Some(address),
            Address::Hidden(_) => None,
        };
        if !served(&policy, request, viewer) || !wanted.admitted(&entry.gate, viewer) {
            return None;
        }
        entry.asked.store(true, Ordering::Relaxed);
        let head = request.method() == Method::HEAD;
        let mut response = self.published(&entry, request.headers(), head).await?;
        let_read(&policy, request.headers(), response.headers_mut());
        let bytes = response.body().size();
        let status = response.status().as_u16();
        let (kind, took) = (entry.answer.kind, begun.elapsed());
        introduce(request, address, |who| entry.room.gave(who, bytes, begun));
        self.shared.tally.add(kind, status, bytes, took, || Line {
            client: match address {
                Address::Known(address) => address.to_string(),
                Address::Hidden(name) => name.to_owned(),
            },
            method: request.method().to_string(),
            target: wanted.shown(request.uri().path()),
            status,
            kind,
            bytes,
            took,
            agent: text(request.headers(), &USER_AGENT).to_owned(),
        });
        Some(response)
    }

    /// The answer of an entry; `None` when its plan can't be carried out: the application says why.
    async fn published(&self, entry: &Arc<Entry>, asked: &HeaderMap, head: bool) -> Option<Response<Answered>> {
        let answer = &entry.answer;
        let wanted = text_of(asked, &RANGE);
        let gzip = answer.gzip.as_ref().filter(|_| wanted.is_none() && accepts_gzip(text(asked, &ACCEPT_ENCODING)));
        if let Some(known) = asked.get(IF_NONE_MATCH) {
            let (plain, zipped) = (answer.etag.to_str().unwrap_or(""), answer.etag_gzip.to_str().unwrap_or(""));
            if none_match(known.to_str().unwrap_or(""), plain, zipped) {
                return Some(reply(StatusCode::NOT_MODIFIED, answer.unchanged(gzip.is_some()), Answered::One(None)));
            }
        }
        if let Some(zipped) = gzip {
            let body = if head { Answered::One(None) } else { Answered::pieces(&zipped.pieces) };
            return Some(reply(StatusCode::OK, zipped.head.clone(), body));
        }
        if let Some(size) = head.then(|| answer.plan.size()).flatten() {
            return Some(reply(StatusCode::OK, answer.whole(size), Answered::One(None)));
        }
        let Ok(body) = entry.body(&self.shared.shelf).await else {
            self.shared.shelf.forget(entry);
            return None;
        };
        let size = body.len() as u64;
        let mut fields = answer.whole(size);
        // RFC 9110 14.2: a Range header means something to GET alone.
        let part = match wanted {
            Some(value) if !head && range_holds(text_of(asked, &IF_RANGE), answer.etag.to_str().unwrap_or("")) => {
                parse_range(value, size)
            }
            _ => Asked::Whole,
        };
        match part {
            // Rare, and an error: the application words those.
            Asked::Outside => None,
            Asked::Part { offset, length } => {
                let part = body.slice(offset as usize..(offset + length) as usize);
                let range = format!("bytes {offset}-{}/{size}", offset + length - 1);
                fields.insert(CONTENT_LENGTH, length.into());
                fields.insert(CONTENT_RANGE, header(&range));
                Some(reply(StatusCode::PARTIAL_CONTENT, fields, Answered::One(Some(part))))
            }
            Asked::Whole => Some(reply(StatusCode::OK, fields, Answered::One((!head).then_some(body)))),
        }
    }

    /// Waits while another viewer has the application asked for the same; `None` when it waited.
    async fn take_off(&self, target: &str) -> Option<Flight<'_>> {
        let known = {
            let mut flights = self.flights();
            if let Some(known) = flights.get(target) {
                Arc::clone(known)
            } else {
                flights.insert(target.into(), Arc::new(Semaphore::new(0)));
                return Some(Flight { door: self, target: target.into() });
            }
        };
        // It never has a permit: what ends the wait is that it is closed.
        let _ = known.acquire().await;
        None
    }

    /// Asks the application.
    async fn ask(&self, request: &Request<Incoming>, scheme: &str, peer: IpAddr) -> Response<Answered> {
        match self.upstream(request.uri().path()).ask(question(request, scheme, peer)).await {
            Ok((response, lease)) => relay(response, lease),
            Err(error) => unanswered(&error),
        }
    }

    /// Who answers for a path.
    fn upstream(&self, path: &str) -> Arc<Upstream> {
        let Some(socket) = self.shared.routes.find(path) else { return Arc::clone(&self.upstream) };
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(self.upstream.beside(&socket));
        Arc::clone(others.entry(Arc::clone(&socket)).or_insert_with(new))
    }

    fn flights(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<Semaphore>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is on its way to the application; its end wakes those who wait for it.
struct Flight<'a> {
    door: &'a Door,
    target: Box<str>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(waited_for) = self.door.flights().remove(&self.target) {
            waited_for.close();
        }
    }
}

impl Answered {
    fn pieces(pieces: &[Bytes]) -> Self {
        match pieces {
            [one] => Self::One(Some(one.clone())),
            all => Self::Whole(all.iter().cloned().collect()),
        }
    }

    /// Count of bytes, where it is known.
    fn size(&self) -> u64 {
        match self {
            Self::One(piece) => piece.as_ref().map_or(0, |piece| piece.len() as u64),
            Self::Whole(pieces) => length(pieces),
            Self::Relayed { .. } => 0,
        }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut *self {
            Self::One(piece) => Poll::Ready(piece.take().map(|piece| Ok(Frame::data(piece)))),
            Self::Whole(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            Self::Relayed { body, .. } => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::One(piece) => piece.is_none(),
            Self::Whole(pieces) => pieces.is_empty(),
            Self::Relayed { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::One(_) | Self::Whole(_) => SizeHint::with_exact(self.size()),
            Self::Relayed { body, .. } => body.size_hint(),
        }
    }
}

/// The request as the application gets it: without a body, with the viewer's address, and how it came, behind those that were there.
fn question<B>(request: &Request<B>, scheme: &str, peer: IpAddr) -> Request<Empty<Bytes>> {
    let mut out = Request::new(Empty::new());
    *out.method_mut() = request.method().clone();
    // Over HTTP/2 the host is in the target alone, and there it has precedence in any version (RFC 9112 3.2.2).
    let target = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *out.uri_mut() = target.into();
    let host = request.uri().authority().map(|authority| header(authority.as_str()));
    let (mut addresses, mut schemes) = (String::new(), String::new());
    for (name, value) in request.headers() {
        let text = value.to_str().unwrap_or("");
        if *name == FORWARDED_FOR {
            addresses.extend([text, ", "]);
        } else if *name == FORWARDED_PROTO {
            schemes.extend([text, ", "]);
        } else if *name == HOST && host.is_some() {
        } else if !HOP_BY_HOP.contains(&name.as_str()) {
            out.headers_mut().append(name, value.clone());
        }
    }
    addresses.push_str(&peer.to_string());
    schemes.push_str(scheme);
    out.headers_mut().insert(FORWARDED_FOR, header(&addresses));
    out.headers_mut().insert(FORWARDED_PROTO, header(&schemes));
    if let Some(host) = host {
        out.headers_mut().insert(HOST, host);
    }
    out
}

fn relay(response: Response<Incoming>, lease: Lease) -> Response<Answered> {
    let (mut head, body) = response.into_parts();
    for name in [CONNECTION, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    Response::from_parts(head, Answered::Relayed { body, _lease: lease })
}

/// RFC 9457 problem details, as the application writes them.
fn unanswered(error: &Unanswered) -> Response<Answered> {
    let detail = error.to_string().replace(['"', '\\'], "'");
    let body = format!(
        r#"{{"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": "{detail}", "code": "ORIGIN_UNAVAILABLE"}}"#
    );
    let mut response = Response::new(Answered::One(Some(body.into())));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn reply(status: StatusCode, fields: HeaderMap, body: Answered) -> Response<Answered> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn length(pieces: &VecDeque<Bytes>) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// RFC 9110 7.6.1, and the length of the body that is not passed on.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
