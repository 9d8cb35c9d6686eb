//! Whose address a request has: the peer's, or what the proxies in front of us say.
//!
//! What comes in: the peer's address, the lines of one header field. What goes out: the address of who asks. Never: a word of a proxy that the
//! operator has not named, nor of a field other than the one that they write: what else stands there, the client may have sent.

use crate::policy::Networks;
use std::net::IpAddr;

/// The proxies that are believed; by default nobody.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Networks,
    /// The field that they append to.
    pub field: Field,
}

/// A header field in which proxies tell whom they saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Field {
    /// What most proxies write: addresses, some with a port.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl Field {
    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

impl Proxies {
    /// Whom the proxies before `peer` tell of: the hop nearest to us that is no trusted proxy's, or the last of all when each of them is.
    /// `None`: it is the peer itself. `lines` are those of the field, in their order.
    pub fn told<'a>(&self, peer: Option<IpAddr>, lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<&'a str> {
        let mut hops = lines.rev().flat_map(|line| line.rsplit(',')).map(str::trim).filter(|hop| !hop.is_empty());
        let (mut address, mut nearest) = (peer, None);
        while address.is_some_and(|address| self.trusted.allows(address)) {
            let Some(hop) = hops.next() else { break };
            let node = match self.field {
                Field::XForwardedFor => without_port(hop),
                Field::Forwarded => node(hop),
            };
            (address, nearest) = (parse_address(node), Some(node));
        }
        nearest
    }
}

/// A link-local address comes with its interface (RFC 4007 11), which is not the client's.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.split('%').next().and_then(|bare| bare.parse().ok())
}

/// The address in an element of Forwarded (RFC 7239 4 and 6); what is hidden stays what it says.
fn node(element: &str) -> &str {
    let named = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let found = named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"));
    found.map_or("unknown", |(_, value)| without_port(value.trim_matches('"')))
}

/// An IPv6 address has brackets where a port may follow, and an IPv4 address one colon at most.
fn without_port(node: &str) -> &str {
    if let Some(bracketed) = node.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or(bracketed);
    }
    node.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(node, |(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(field: Field, peer: &str, lines: &[&str]) -> String {
        let trusted = Networks::parse(["10.0.0.0/8", "2001:db8::/32"]).expect("networks");
        let found = Proxies { trusted, field }.told(parse_address(peer), lines.iter().copied()).map(str::to_owned);
        found.unwrap_or_else(|| peer.to_owned())
    }

    #[test]
    fn addresses_are_believed_from_the_right_up_to_the_first_stranger() {
        let cases: [(&str, &[&str], &str); 10] = [
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[" ,"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9:47011"], "203.0.113.9"),
            ("2001:db8::1", &["[2001:db9::17]:4711"], "2001:db9::17"),
            ("10.0.0.1", &["203.0.113.9, 2001:db8::2"], "203.0.113.9"),
        ];
        for (peer, lines, expected) in cases {
            assert_eq!(told(Field::XForwardedFor, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn the_standard_field_is_read_where_the_proxy_writes_it() {
        let cases = [
            ("for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
            ("For=\"203.0.113.9:47011\"", "203.0.113.9"),
            ("proto=https; for=\"[2001:db9::17]:4711\"", "2001:db9::17"),
            ("for=1.1.1.1, for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
            ("for=1.1.1.1, for=_hidden", "_hidden"),
            ("proto=https", "unknown"),
        ];
        for (line, expected) in cases {
            assert_eq!(told(Field::Forwarded, "10.0.0.1", &[line]), expected, "{line}");
        }
    }

    #[test]
    fn who_is_no_address_is_no_trusted_proxy() {
        assert_eq!(told(Field::XForwardedFor, "10.0.0.1", &["1.1.1.1, who knows"]), "who knows");
        assert_eq!(told(Field::XForwardedFor, "", &["1.1.1.1"]), "");
        assert_eq!(Proxies::default().told(parse_address("127.0.0.1"), ["1.1.1.1"].into_iter()), None);
    }
}
