//! What players tell of themselves (Common Media Client Data, CTA-5004): as the query parameter `CMCD`, or in header fields.
//!
//! What comes in: the query of a request, the text of a field. What goes out: the query without it, the session. Never: a judgement; who
//! sends it may write there what they like.

use std::borrow::Cow;

/// A query without the parameter, and what the parameter has, decoded.
pub fn split(query: &str) -> (Cow<'_, str>, Option<String>) {
    let Some(found) = query.split('&').find_map(|pair| pair.strip_prefix(PARAMETER)) else {
        return (Cow::Borrowed(query), None);
    };
    let rest: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(PARAMETER)).collect();
    (Cow::Owned(rest.join("&")), Some(decoded(found)))
}

/// Whether a query says nothing else: what is asked for is the same without it.
pub fn is_all(query: &str) -> bool {
    query.starts_with(PARAMETER) && !query.contains('&')
}

/// The session id among `key=value` pairs between commas, where strings have quotes (CTA-5004 3.1 and 3.2).
pub fn session(data: &str) -> Option<&str> {
    let mut rest = data;
    while !rest.is_empty() {
        let end = pair_end(rest);
        if let Some(value) = rest[..end].trim().strip_prefix("sid=") {
            return Some(value.trim_matches('"')).filter(|value| !value.is_empty());
        }
        rest = rest.get(end + 1..).unwrap_or("");
    }
    None
}

/// Where the first pair ends: at a comma that is in no string.
fn pair_end(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// RFC 3986 2.1; what is no escape stays.
fn decoded(text: &str) -> String {
    let digit = |at: usize| text.as_bytes().get(at).and_then(|byte| (*byte as char).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.as_bytes().get(at) {
        if let (b'%', Some(high), Some(low)) = (byte, digit(at + 1), digit(at + 2)) {
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

const PARAMETER: &str = "CMCD=";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_session_is_found_wherever_it_stands() {
        let cases = [
            ("sid=\"6e2fb550-c457-11e9-bb97-0800200c9a66\"", Some("6e2fb550-c457-11e9-bb97-0800200c9a66")),
            ("cid=\"faec5fc2\", pr=1.08,sf=d,sid=\"one\",st=l,v=1", Some("one")),
            ("cid=\"a,sid=no\",sid=\"yes\"", Some("yes")),
            ("cid=\"a\\\",sid=no\",sid=\"yes\"", Some("yes")),
            ("sid=\"\"", None),
            ("xsid=\"no\"", None),
            ("", None),
            (",,", None),
            ("sid=\"open", Some("open")),
        ];
        for (data, expected) in cases {
            assert_eq!(session(data), expected, "{data}");
        }
    }

    #[test]
    fn the_parameter_is_taken_out_of_a_query() {
        let (rest, data) = split("start=1&CMCD=bl%3D21300%2Csid%3D%22one%22&end=2");
        assert_eq!((&*rest, data.as_deref()), ("start=1&end=2", Some("bl=21300,sid=\"one\"")));
        assert_eq!(split("start=1"), ("start=1".into(), None));
        assert_eq!(split("CMCD=su%2"), ("".into(), Some("su%2".into())));
        assert!(is_all("CMCD=su") && !is_all("CMCD=su&start=1") && !is_all("start=1&CMCD=su") && !is_all(""));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,40}") {
            let (rest, data) = split(&text);
            prop_assert!(rest.len() <= text.len());
            session(data.as_deref().unwrap_or(&text));
        }
    }
}
