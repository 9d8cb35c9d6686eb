//! What a request is for, and whether who asks may have it.

use hyper::Request;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY};
use pypackager_core::access::{Gate, Split, split_token};
use pypackager_core::endpoint::{Policy, Viewer};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a request is for: all who want one thing share it, whatever their tokens.
pub struct Wanted<'a> {
    /// The path under which it is published.
    pub target: Cow<'a, str>,
    split: Option<Split<'a>>,
}

impl<'a> Wanted<'a> {
    /// What a path asks for.
    pub fn of(path: &'a str) -> Self {
        let split = split_token(path);
        Self { target: split.map_or(Cow::Borrowed(path), |split| split.target().into()), split }
    }

    /// Whether the front may give it by itself.
    pub fn admitted(&self, gate: &Gate, asked: &HeaderMap, peer: IpAddr) -> bool {
        let Some(split) = self.split else {
            return gate.is_open() || gate.judge(now(), None, Some(peer)).is_ok();
        };
        // Which proxies are believed about a viewer's address the application knows.
        let unsure = told(asked).is_some() && Gate::is_bound(split.token);
        !unsure && gate.has_token_at(split.before) && gate.judge(now(), Some(split.token), Some(peer)).is_ok()
    }

    /// The path for the log, which has no token.
    pub fn shown(&self, path: &str) -> String {
        self.split.map_or_else(|| path.to_owned(), |split| split.shown())
    }
}

/// Whether the endpoint's rules let the front answer by itself.
pub fn served<B>(policy: &Policy, request: &Request<B>, peer: IpAddr) -> bool {
    let asked = request.headers();
    if policy.asks_for_address() && told(asked).is_some() {
        return false;
    }
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
    // RFC 9112 3.2.2: a name in the target has precedence.
    let host = request.uri().authority().map_or_else(|| text(HOST), |authority| authority.as_str());
    policy.judge(&Viewer { address: Some(peer), host, secret: text(CDN_SECRET) }).is_ok()
}

/// Lets the pages of the sites that may read an answer do so, where these are not all.
pub fn let_read(policy: &Policy, asked: &HeaderMap, out: &mut HeaderMap) {
    if policy.origins.is_none() {
        return;
    }
    out.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = asked.get(ORIGIN).filter(|value| value.to_str().is_ok_and(|origin| policy.reads(origin))) {
        out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// What proxies say of the viewer's address, in whichever header.
pub fn told(asked: &HeaderMap) -> Option<&HeaderValue> {
    asked.get(FORWARDED_FOR).or_else(|| asked.get(FORWARDED))
}

/// Microseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// What a CDN proves itself with.
const CDN_SECRET: HeaderName = HeaderName::from_static("x-cdn-secret");

/// The addresses that proxies have seen.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
