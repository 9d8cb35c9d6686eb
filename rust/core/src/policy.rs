//! Who may connect: allow-lists of addresses, evaluated the same way by every listener.
//!
//! What comes in: rules as an operator writes them, and the address of a peer. What goes out: yes or no. Never: names, or what an empty
//! list means, which differs between ingest and preview.

use crate::error::{Error, Result};
use std::net::{IpAddr, Ipv4Addr};

/// A list of networks. An address is allowed when any of them holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    networks: Vec<Network>,
}

/// Addresses as IPv6: IPv4 networks are those of mapped addresses (RFC 4291 2.5.5.2), so that one comparison serves both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    prefix: u128,
    mask: u128,
}

impl Networks {
    /// Parses rules: an address, `address/bits`, or `address(dotted mask)` for IPv4. Host bits are ignored; `0.0.0.0/0` is everybody.
    ///
    /// The error names the rule that cannot be read.
    pub fn parse<R: AsRef<str>>(rules: impl IntoIterator<Item = R>) -> Result<Self> {
        let parse = |rule: R| {
            let rule = rule.as_ref();
            Network::parse(rule.trim()).ok_or_else(|| {
                let detail = format!("{rule:?} is not an address, address/bits or address(mask)");
                Error::new("NETWORK_INVALID", 0, detail)
            })
        };
        Ok(Self { networks: rules.into_iter().map(parse).collect::<Result<_>>()? })
    }

    /// Whether a rule holds `address`; an IPv4 address and the IPv6 address that maps it are the same.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = as_bits(address);
        self.networks.iter().any(|network| address & network.mask == network.prefix)
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }
}

impl Network {
    fn parse(rule: &str) -> Option<Self> {
        let (address, bits) = if let Some((address, bits)) = rule.split_once('/') {
            (address.parse().ok()?, Some(parse_bits(bits)?))
        } else if let Some((address, mask)) = rule.split_once('(') {
            let address: Ipv4Addr = address.trim_end().parse().ok()?;
            (address.into(), Some(mask_bits(mask.strip_suffix(')')?.parse().ok()?)?))
        } else {
            (rule.parse::<IpAddr>().ok()?, None)
        };
        let mask = match (address, bits) {
            (_, None) => u128::MAX,
            // The whole of IPv4 is meant as the whole Internet.
            (IpAddr::V4(_), Some(0)) => 0,
            (IpAddr::V4(_), Some(bits @ 1..=32)) => leading_ones(96 + bits),
            (IpAddr::V6(_), Some(bits @ 0..=128)) => leading_ones(bits),
            _ => return None,
        };
        Some(Self { prefix: as_bits(address) & mask, mask })
    }
}

/// Decimal digits only: `u32` alone would take a sign.
fn parse_bits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The number of ones of a dotted mask; `None` when they are not all in front.
fn mask_bits(mask: Ipv4Addr) -> Option<u32> {
    let mask = mask.to_bits();
    (mask.leading_ones() == mask.count_ones()).then(|| mask.count_ones())
}

fn leading_ones(count: u32) -> u128 {
    u128::MAX.checked_shl(128 - count).unwrap_or(0)
}

fn as_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    fn allows(rules: &[&str], address: &str) -> bool {
        Networks::parse(rules).expect("valid rules").allows(address.parse().expect("an address"))
    }

    #[test]
    fn every_form_of_a_rule() {
        let table = [
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("10.0.0.1/22", "10.0.3.255", "10.0.4.0"),
            ("10.0.0.1(255.255.252.0)", "10.0.3.255", "10.0.4.0"),
            ("10.0.0.1 (255.255.255.255)", "10.0.0.1", "10.0.0.0"),
            (" 192.168.1.0/24 ", "192.168.1.77", "192.168.2.1"),
            ("192.168.1.5/32", "192.168.1.5", "192.168.1.4"),
            ("128.0.0.0/1", "255.0.0.1", "127.255.255.255"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::1", "::1", "127.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
            ("fe80::1/128", "fe80::1", "fe80::"),
        ];
        for (rule, inside, outside) in table {
            assert!(allows(&[rule], inside), "{rule} holds {inside}");
            assert!(!allows(&[rule], outside), "{rule} does not hold {outside}");
        }
    }

    #[test]
    fn zero_bits_are_everybody() {
        for rule in ["0.0.0.0/0", "1.2.3.4/0", "0.0.0.0(0.0.0.0)", "::/0"] {
            for address in ["0.0.0.0", "203.0.113.9", "::1", "2001:db8::1"] {
                assert!(allows(&[rule], address), "{rule} holds {address}");
            }
        }
    }

    #[test]
    fn an_empty_list_allows_nobody_and_any_rule_suffices() {
        assert!(!allows(&[], "127.0.0.1"));
        assert!(Networks::default().is_empty());
        assert!(allows(&["::1", "10.0.0.0/8"], "10.1.1.1"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let rules = [
            "",
            "localhost",
            "10.0.0",
            "10.0.0.1/33",
            "10.0.0.1/",
            "10.0.0.1/+8",
            "10.0.0.1/-1",
            "10.0.0.1/8/8",
            "::1/129",
            "10.0.0.1(255.0.255.0)",
            "10.0.0.1(255.0.0.0",
            "10.0.0.1()",
            "::1(255.0.0.0)",
            "010.0.0.1",
            "10.0.0.1/99999999999",
        ];
        for rule in rules {
            let error = Networks::parse(["127.0.0.1", rule]).expect_err(rule);
            assert_eq!(error.code, "NETWORK_INVALID");
            assert!(error.detail.contains(&format!("{rule:?}")));
        }
    }

    proptest! {
        #[test]
        fn a_rule_holds_exactly_the_addresses_with_its_prefix(rule in any::<u32>(), bits in 1u32..=32, other in any::<u32>(), near in 0u32..32) {
            let network = Networks::parse([format!("{}/{bits}", Ipv4Addr::from_bits(rule))]).expect("valid");
            for address in [other, rule ^ 1 << near] {
                let held = (address ^ rule) >> (32 - bits) == 0;
                prop_assert_eq!(network.allows(Ipv4Addr::from_bits(address).into()), held);
                prop_assert_eq!(network.allows(Ipv4Addr::from_bits(address).to_ipv6_mapped().into()), held);
            }
        }

        #[test]
        fn any_text_is_a_rule_or_an_error(rule in "[0-9a-f.:/() ]{0,24}") {
            if let Ok(networks) = Networks::parse([&rule]) {
                networks.allows(IpAddr::V6(Ipv6Addr::LOCALHOST));
            }
        }
    }
}
