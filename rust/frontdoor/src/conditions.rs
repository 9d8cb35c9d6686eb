//! Conditional and range requests and encodings (RFC 9110), as pure functions of header values.

/// What a Range header asks of a representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// All of it: no range, or one that is to be ignored (another unit, bad syntax, several ranges; RFC 9110 14.2).
    Whole,
    /// A part.
    Part {
        /// First byte.
        offset: u64,
        /// Count of bytes, never zero.
        length: u64,
    },
    /// Nothing of it is there (RFC 9110 15.5.17).
    Outside,
}

/// Reads a Range header against `size` bytes.
pub fn parse_range(value: &str, size: u64) -> Asked {
    let Some((first, last)) = split_range(value) else { return Asked::Whole };
    match (number(first), number(last)) {
        (None, None) => Asked::Whole,
        (None, Some(suffix)) => match suffix.min(size) {
            0 => Asked::Outside,
            length => Asked::Part { offset: size - length, length },
        },
        (Some(first), last) => {
            let last = last.unwrap_or(u64::MAX);
            if last < first {
                Asked::Whole
            } else if first >= size {
                Asked::Outside
            } else {
                Asked::Part { offset: first, length: last.min(size - 1) - first + 1 }
            }
        }
    }
}

/// Whether If-None-Match lets the answer be 304: weak comparison, any encoding of the same content (RFC 9110 13.1.2).
pub fn none_match(value: &str, etag: &str, etag_gzip: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let (plain, zipped) = (opaque(etag), opaque(etag_gzip));
    value.trim() == "*" || value.split(',').map(|part| opaque(part.trim())).any(|tag| tag == plain || tag == zipped)
}

/// Whether If-Range lets a range be served: strong comparison; dates never match, for none is sent (RFC 9110 13.1.5).
pub fn range_holds(if_range: Option<&str>, etag: &str) -> bool {
    if_range.is_none_or(|value| value.trim() == etag && !etag.starts_with("W/"))
}

/// Whether Accept-Encoding allows gzip with a weight above zero (RFC 9110 12.5.3).
pub fn accepts_gzip(value: &str) -> bool {
    for part in value.split(',') {
        let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
        let coding = coding.trim();
        if coding == "*" || coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            let weight: String = parameters.chars().filter(|c| !c.is_whitespace()).collect();
            let zero = weight.strip_prefix("q=0").or_else(|| weight.strip_prefix("Q=0"));
            return zero.is_none_or(|rest| !rest.is_empty() && rest.trim_start_matches('.').bytes().any(|c| c != b'0'));
        }
    }
    false
}

/// The two ends of a single range of bytes, either of which may be empty.
fn split_range(value: &str) -> Option<(&str, &str)> {
    let (unit, range) = value.trim().split_once('=')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let digits = |text: &str| text.len() <= MAX_DIGITS && text.bytes().all(|c| c.is_ascii_digit());
    (unit.trim().eq_ignore_ascii_case("bytes") && digits(first) && digits(last)).then_some((first, last))
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// Of a number that fits 64 bits.
const MAX_DIGITS: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |offset, length| Asked::Part { offset, length };
        for (value, asked) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 8)),
            ("bytes=2-99", part(2, 8)),
            ("Bytes = 3 - 4", part(3, 2)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-99", part(0, 10)),
            ("bytes=-0", Asked::Outside),
            ("bytes=10-", Asked::Outside),
            ("bytes=5-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=99999999999999999999-", Asked::Whole),
        ] {
            assert_eq!(parse_range(value, 10), asked, "{value}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Asked::Outside);
        assert_eq!(parse_range("bytes=-1", 0), Asked::Outside);
    }

    #[test]
    fn entity_tags() {
        assert!(none_match("*", "\"a\"", "\"a-gzip\""));
        assert!(none_match("\"x\", W/\"a\"", "\"a\"", "\"a-gzip\""));
        assert!(none_match("\"a-gzip\"", "\"a\"", "\"a-gzip\""));
        assert!(!none_match("\"b\"", "\"a\"", "\"a-gzip\""));
        assert!(range_holds(None, "\"a\""));
        assert!(range_holds(Some("\"a\""), "\"a\""));
        assert!(!range_holds(Some("W/\"a\""), "W/\"a\""));
        assert!(!range_holds(Some("Sat, 01 Jan 2000 00:00:00 GMT"), "\"a\""));
    }

    #[test]
    fn encodings() {
        for (value, accepted) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("br;q=1, *", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("gzip;q=0.001", true),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(value), accepted, "{value}");
        }
    }
}
