//! What a request is for, and whether who asks may have it.

use crate::audience::{Address, Who};
use hyper::Request;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, USER_AGENT, VARY};
use pypackager_core::access::{Gate, Split, split_token};
use pypackager_core::cmcd;
use pypackager_core::endpoint::{Policy, Viewer};
use pypackager_core::proxies::Proxies;
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

    /// Whether the front may give it by itself to who is at an address.
    pub fn admitted(&self, gate: &Gate, viewer: Option<IpAddr>) -> bool {
        let Some(split) = self.split else {
            return gate.is_open() || gate.judge(now(), None, viewer).is_ok();
        };
        gate.has_token_at(split.before) && gate.judge(now(), Some(split.token), viewer).is_ok()
    }

    /// The path for the log, which has no token.
    pub fn shown(&self, path: &str) -> String {
        self.split.map_or_else(|| path.to_owned(), |split| split.shown())
    }
}

/// Where the viewer is: the peer's address, or what the proxies that are believed say.
pub fn seen<'a>(proxies: &Proxies, asked: &'a HeaderMap, peer: IpAddr) -> Address<'a> {
    if !proxies.trusted.allows(peer) {
        return Address::Known(peer);
    }
    let lines = asked.get_all(proxies.field.name()).iter().filter_map(|line| line.to_str().ok());
    proxies.told(Some(peer), lines).map_or(Address::Known(peer), Address::of)
}

/// Calls `count` with who asks.
pub fn introduce<B>(request: &Request<B>, address: Address<'_>, count: impl FnOnce(&Who<'_>)) {
    let told = request.uri().query().and_then(|query| cmcd::split(query).1);
    let session = told.as_deref().and_then(cmcd::session);
    let session = session.or_else(|| cmcd::session(text(request.headers(), &CMCD_SESSION)));
    count(&Who { session, address, agent: text(request.headers(), &USER_AGENT) });
}

/// A field's text; empty when it is not there or not text.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Whether the endpoint's rules let the front answer by itself.
pub fn served<B>(policy: &Policy, request: &Request<B>, viewer: Option<IpAddr>) -> bool {
    let asked = request.headers();
    // Only what there is a rule for is looked for. RFC 9112 3.2.2: a name in the target has precedence.
    let named = || request.uri().authority().map_or_else(|| text(asked, &HOST), |authority| authority.as_str());
    let host = if policy.hosts.is_empty() { "" } else { named() };
    let secret = policy.secret.as_ref().map_or("", |_| text(asked, &CDN_SECRET));
    policy.judge(&Viewer { address: viewer, host, secret }).is_ok()
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

/// Microseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// What a CDN proves itself with.
const CDN_SECRET: HeaderName = HeaderName::from_static("x-cdn-secret");

/// What a player tells of its session (CTA-5004 3.1).
const CMCD_SESSION: HeaderName = HeaderName::from_static("cmcd-session");

/// The addresses that proxies have seen.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How they were asked, hop by hop as the addresses.
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
