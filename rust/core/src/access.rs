//! Who may have what a locator publishes, and when: one judgement, which every front asks.
//!
//! What comes in: what the operator set, a request's token, its viewer's address, the time. What goes out: admitted, or why not. Never: a
//! clock, a log line; a secret or a token is in no output but a URL that is being signed.
//!
//! A token is one element of the path, `/{locator}/~{token}/{asset}.ism/…`, so that every relative URL below inherits it while all that is
//! kept of an answer is kept under the path without it. It reads `{key}.{expires}.{mac}` or, good for one address only,
//! `{key}.{expires}.a.{mac}`:
//!
//! ```text
//! key      id of the key, [a-z0-9]{1,16}
//! expires  seconds since 1970, decimal
//! mac      64 lower-case hex digits: HMAC-SHA256 with that key over
//!          "pypackager-token-1\n" root "\n" expires "\n" address, root being `/{locator}/{asset}.ism`, address empty when any may ask
//! ```

use hmac::{Hmac, Mac};
use memchr::memchr;
use sha2::Sha256;
use std::fmt;
use std::net::IpAddr;

/// A key that signs tokens.
#[derive(Clone)]
pub struct Key {
    id: String,
    /// With the secret taken in: a token costs its own bytes only.
    mac: Hmac<Sha256>,
    secret: Vec<u8>,
}

/// What stands before a publication; the default one knows no token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    root: String,
    terms: Terms,
    keys: Vec<Key>,
}

/// What the operator set. Instants are microseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Nobody is admitted before.
    pub starts: Option<i64>,
    /// Nobody is admitted from then on.
    pub expires: Option<i64>,
    /// Nobody is admitted without a token.
    pub signed: bool,
}

/// Why somebody is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The publication has not begun.
    Early,
    /// The publication is over.
    Over,
    /// It is for those with a token only.
    Missing,
    /// The token is none of ours, or another publication's, or another viewer's.
    Invalid,
    /// The token's time is over.
    Expired,
}

/// A path that has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split<'a> {
    /// What stands before the token's element.
    pub before: &'a str,
    /// The token.
    pub token: &'a str,
    /// What stands behind it, with its slash; empty at the path's end.
    pub behind: &'a str,
}

impl Key {
    /// A key. Tokens name it by its id.
    #[allow(clippy::missing_panics_doc)] // HMAC takes keys of any length (RFC 2104 2)
    pub fn new(id: &str, secret: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("a key of any length");
        Self { id: id.into(), mac, secret: secret.into() }
    }

    /// A token for what is below `root` until `expires`, in seconds since 1970; with an address, for viewers from there only.
    pub fn sign(&self, root: &str, expires: u64, address: Option<IpAddr>) -> String {
        let expires = expires.to_string();
        let mac = self.mac(root, &expires, address).finalize().into_bytes();
        let bound = if address.is_some() { "a." } else { "" };
        let mut out = format!("{}.{expires}.{bound}", self.id);
        for byte in mac {
            out.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
        out
    }

    fn mac(&self, root: &str, expires: &str, address: Option<IpAddr>) -> Hmac<Sha256> {
        let address = address.map_or_else(String::new, |address| address.to_canonical().to_string());
        let mut mac = self.mac.clone();
        for part in ["pypackager-token-1\n", root, "\n", expires, "\n", &address] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A secret is never shown.
        write!(out, "Key({})", self.id)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.secret == other.secret
    }
}

impl Eq for Key {}

impl Gate {
    /// The gate before what is published below `root`, `/{locator}/{asset}.ism`.
    pub fn new(root: &str, terms: Terms, keys: Vec<Key>) -> Self {
        Self { root: root.into(), terms, keys }
    }

    /// Whether anybody is admitted at any time without a token.
    pub fn is_open(&self) -> bool {
        self.terms == Terms::default()
    }

    /// Whether a token may stand behind `before`: it has one place.
    pub fn has_token_at(&self, before: &str) -> bool {
        self.root.rsplit_once('/').is_some_and(|(locator, _)| locator == before)
    }

    /// Admits a viewer or says why not. A token is looked at wherever there is one, demanded or not: one content has no made-up URLs.
    ///
    /// `now` is in microseconds since 1970, `viewer` `None` when the address can't be told.
    pub fn judge(&self, now: i64, token: Option<&str>, viewer: Option<IpAddr>) -> Result<(), Refusal> {
        if self.terms.starts.is_some_and(|starts| now < starts) {
            return Err(Refusal::Early);
        }
        if self.terms.expires.is_some_and(|expires| expires <= now) {
            return Err(Refusal::Over);
        }
        match token {
            Some(token) => self.judge_token(now, token, viewer),
            None if self.terms.signed => Err(Refusal::Missing),
            None => Ok(()),
        }
    }

    fn judge_token(&self, now: i64, token: &str, viewer: Option<IpAddr>) -> Result<(), Refusal> {
        let token = Token::parse(token).ok_or(Refusal::Invalid)?;
        let key = self.keys.iter().find(|key| key.id == token.key).ok_or(Refusal::Invalid)?;
        let address = if token.bound { Some(viewer.ok_or(Refusal::Invalid)?) } else { None };
        // In constant time: how long a wrong one takes tells nothing of the right one.
        key.mac(&self.root, token.expires, address).verify_slice(&token.mac).map_err(|_| Refusal::Invalid)?;
        if token.until() <= now { Err(Refusal::Expired) } else { Ok(()) }
    }
}

impl Refusal {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Early => "LOCATOR_EARLY",
            Self::Over => "LOCATOR_EXPIRED",
            Self::Missing => "TOKEN_MISSING",
            Self::Invalid => "TOKEN_INVALID",
            Self::Expired => "TOKEN_EXPIRED",
        }
    }
}

/// The path without its token, when it has one: the first element behind another that begins with `~`.
pub fn split_token(path: &str) -> Option<Split<'_>> {
    // Few paths have one, and all are asked.
    memchr(b'~', path.as_bytes())?;
    // Behind the first slash: what is the first element is no token.
    let at = 1 + path.get(1..)?.find("/~")?;
    let (before, rest) = path.split_at(at);
    let rest = &rest[2..];
    let end = rest.find('/').unwrap_or(rest.len());
    let (token, behind) = rest.split_at(end);
    Some(Split { before, token, behind })
}

impl Split<'_> {
    /// The path as it would be without the token.
    pub fn target(&self) -> String {
        [self.before, self.behind].concat()
    }

    /// The path as it may be shown.
    pub fn shown(&self) -> String {
        [self.before, "/~", self.behind].concat()
    }
}

struct Token<'a> {
    key: &'a str,
    expires: &'a str,
    bound: bool,
    mac: [u8; 32],
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (key, rest) = text.split_once('.')?;
        let (expires, rest) = rest.split_once('.')?;
        let (bound, hex) = rest.strip_prefix("a.").map_or((false, rest), |hex| (true, hex));
        // Above twelve digits microseconds would leave an i64.
        let number = (1..=12).contains(&expires.len()) && expires.bytes().all(|digit| digit.is_ascii_digit());
        let mut mac = [0; 32];
        if !number || hex.len() != 2 * mac.len() {
            return None;
        }
        let digit = |byte: u8| HEX.iter().position(|digit| *digit == byte);
        for (byte, pair) in mac.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Self { key, expires, bound, mac })
    }

    fn until(&self) -> i64 {
        self.expires.parse::<i64>().unwrap_or(0) * 1_000_000
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests;
