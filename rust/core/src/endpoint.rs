//! What a streaming endpoint demands of its viewers: one judgement, which every front asks.
//!
//! What comes in: what the operator set, a viewer's address and header fields. What goes out: admitted, or why not; which pages may read the
//! answer. Never: a look at what is asked for, or a default that an operator could take for a rule.

use crate::policy::Networks;
use std::net::IpAddr;

/// The rules of one endpoint; the default one is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Content streams.
    pub running: bool,
    /// Who may watch; empty: everybody.
    pub allow: Networks,
    /// Names by which it is asked, in lower case; empty: any.
    pub hosts: Vec<String>,
    /// What the CDN sends with each request.
    pub secret: Option<String>,
    /// Sites whose pages may read answers; `None`: all.
    pub origins: Option<Vec<String>>,
}

/// A viewer, as far as the rules look at one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Viewer<'a> {
    /// Its address; `None` when it can't be told.
    pub address: Option<IpAddr>,
    /// `Host`, with or without a port.
    pub host: &'a str,
    /// What stands in the field of the CDN's secret.
    pub secret: &'a str,
}

/// Why somebody is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing streams.
    Stopped,
    /// It came past the CDN.
    Secret,
    /// It asks by a name that is not the endpoint's.
    Host,
    /// Its address is on no list.
    Address,
}

impl Policy {
    /// Admits a viewer or says why not.
    pub fn judge(&self, viewer: &Viewer<'_>) -> Result<(), Refusal> {
        if !self.running {
            return Err(Refusal::Stopped);
        }
        if self.secret.as_deref().is_some_and(|secret| !same(secret.as_bytes(), viewer.secret.as_bytes())) {
            return Err(Refusal::Secret);
        }
        if !self.hosts.is_empty() && !self.hosts.iter().any(|host| host.eq_ignore_ascii_case(bare(viewer.host))) {
            return Err(Refusal::Host);
        }
        if !self.allow.is_empty() && !viewer.address.is_some_and(|address| self.allow.allows(address)) {
            return Err(Refusal::Address);
        }
        Ok(())
    }

    /// Whether a page of this site may read answers, where not all may (Fetch 3.2.4; a site is compared as it is written, RFC 6454 7.1).
    pub fn reads(&self, origin: &str) -> bool {
        self.origins.as_ref().is_none_or(|origins| origins.iter().any(|known| known == origin))
    }
}

impl Refusal {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Stopped => "ENDPOINT_STOPPED",
            Self::Secret => "CDN_SECRET_MISSING",
            Self::Host => "HOST_NOT_SERVED",
            Self::Address => "VIEWER_NOT_ALLOWED",
        }
    }
}

/// A host without its port (RFC 3986 3.2.2: an IPv6 address has brackets).
fn bare(host: &str) -> &str {
    let port = host.rfind(':').filter(|at| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()));
    port.filter(|at| !host.contains(']') || host[..*at].ends_with(']')).map_or(host, |at| &host[..at])
}

/// In a time that does not tell where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer<'a>(host: &'a str, secret: &'a str) -> Viewer<'a> {
        Viewer { address: "192.0.2.7".parse().ok(), host, secret }
    }

    fn running() -> Policy {
        Policy { running: true, ..Policy::default() }
    }

    #[test]
    fn without_rules_only_the_state_counts() {
        assert_eq!(Policy::default().judge(&viewer("any", "")), Err(Refusal::Stopped));
        assert_eq!(running().judge(&Viewer::default()), Ok(()));
        assert!(running().reads("https://site.example"));
    }

    #[test]
    fn an_address_is_on_the_list_or_not() {
        let policy = |rule| Policy { allow: Networks::parse([rule]).expect("a rule"), ..running() };
        assert_eq!(policy("192.0.2.0/24").judge(&viewer("", "")), Ok(()));
        assert_eq!(policy("198.51.100.0/24").judge(&viewer("", "")), Err(Refusal::Address));
        assert_eq!(policy("0.0.0.0/0").judge(&Viewer::default()), Err(Refusal::Address), "who can't be told is nobody");
    }

    #[test]
    fn a_host_is_compared_without_case_and_port() {
        let policy = Policy { hosts: vec!["live.example".into(), "[::1]".into()], ..running() };
        for host in ["live.example", "LIVE.example:8080", "[::1]", "[::1]:80", "live.example:"] {
            assert_eq!(policy.judge(&viewer(host, "")), Ok(()), "{host}");
        }
        for host in ["", "other.example", "live.example.org", "live.example:80:80", "[::2]", "[::1", "live.example:x"] {
            assert_eq!(policy.judge(&viewer(host, "")), Err(Refusal::Host), "{host}");
        }
    }

    #[test]
    fn the_secret_is_all_of_it() {
        let policy = Policy { secret: Some("s3cret".into()), ..running() };
        assert_eq!(policy.judge(&viewer("", "s3cret")), Ok(()));
        for wrong in ["", "s3cre", "s3cret ", "S3cret"] {
            assert_eq!(policy.judge(&viewer("", wrong)), Err(Refusal::Secret), "{wrong}");
        }
    }

    #[test]
    fn sites_are_compared_as_they_are_written() {
        let policy = Policy { origins: Some(vec!["https://site.example".into()]), ..running() };
        assert!(policy.reads("https://site.example"));
        assert!(
            !policy.reads("https://site.example:8443") && !policy.reads("http://site.example") && !policy.reads("")
        );
    }
}
