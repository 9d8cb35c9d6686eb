//! What a viewer or a proxy before it writes into a request: tokens, CMCD, the fields of proxies, ranges, conditions and encodings.

use pypackager_core::access::{Gate, Key, Refusal, Terms, split_token};
use pypackager_core::policy::Networks;
use pypackager_core::proxies::{Field, Proxies, parse_address};
use pypackager_core::{cmcd, error::Error};
use pypackager_frontdoor::conditions::{Asked, accepts_gzip, none_match, parse_range, range_holds};
use std::net::{IpAddr, Ipv4Addr};

const ROOT: &str = "/one/two.ism";
const NOW: i64 = 1_800_000_000_000_000;

/// Reads a text as each of them.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    tokens(text);
    let (rest, said) = cmcd::split(text);
    assert!(rest.len() <= text.len());
    assert!(!rest.split('&').any(|pair| pair.starts_with("CMCD=")));
    if let Some(session) = cmcd::session(said.as_deref().unwrap_or(text)) {
        assert!(!session.is_empty());
    }
    proxies(text);
    ranges(text);
    none_match(text, "\"a\"", "\"a-gzip\"");
    range_holds(Some(text), "\"a\"");
    accepts_gzip(text);
    if let Err(Error { code, .. }) = Networks::parse(text.split('\n')) {
        assert_eq!(code, "NETWORK_INVALID");
    }
}

/// A token that was signed is good at its own place alone, whatever stands around it.
fn tokens(text: &str) {
    let key = Key::new("k", b"secret");
    let terms = Terms { signed: true, ..Terms::default() };
    let gate = Gate::new(ROOT, terms, vec![key.clone()]);
    let viewer = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if let Some(split) = split_token(text) {
        let whole = [split.before, "/~", split.token, split.behind].concat();
        assert_eq!(whole, text);
        assert!(!split.token.contains('/'));
        assert_eq!(split.target().len() + 2 + split.token.len(), text.len());
        assert_eq!(split.shown().len() + split.token.len(), text.len());
        assert!(matches!(gate.judge(NOW, Some(split.token), viewer), Err(Refusal::Invalid | Refusal::Expired)));
    }
    let good = key.sign(ROOT, 2_000_000_000, None);
    assert_eq!(gate.judge(NOW, Some(&good), viewer), Ok(()));
    if text != good {
        assert!(gate.judge(NOW, Some(text), viewer).is_err());
    }
}

/// Who is told of is in the field, and nobody is who stands behind a stranger.
fn proxies(text: &str) {
    let peer = parse_address("10.0.0.1");
    let trusted = Networks::parse(["10.0.0.0/8"]).expect("a network");
    for field in [Field::XForwardedFor, Field::Forwarded] {
        let proxies = Proxies { trusted: trusted.clone(), field };
        if let Some(told) = proxies.told(peer, text.split('\n')) {
            assert!(told == "unknown" || text.contains(told));
        }
        assert_eq!(proxies.told(parse_address("192.0.2.1"), text.split('\n')), None);
    }
}

fn ranges(text: &str) {
    for size in [0, 1, 1000, u64::MAX] {
        if let Asked::Part { offset, length } = parse_range(text, size) {
            assert!(length > 0 && offset < size && length <= size - offset);
        }
    }
}
