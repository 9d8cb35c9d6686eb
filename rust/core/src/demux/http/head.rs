//! The head of a request (RFC 9112 2 to 6): what is asked, and how the body is framed.
//!
//! Framing that two readers could understand differently is refused, not repaired (RFC 9112 11.2, request smuggling).

use crate::error::{Error, Result};

/// What the caller decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The method as sent.
    pub method: String,
    /// The request target as sent: neither decoded nor normalised.
    pub target: String,
    /// Header fields in their order; names in lower case.
    pub headers: Vec<(String, String)>,
}

impl RequestHead {
    /// The values of a header field, by its name in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// How long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Chunked,
}

/// What the session needs of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is one header field of its own
pub(super) struct Framing {
    pub length: Length,
    pub gzip: bool,
    pub expects_continue: bool,
    pub keep_alive: bool,
    /// A response to HEAD has no body.
    pub is_head: bool,
}

/// Bytes of a head, request line and field lines together.
pub(super) const HEAD_LIMIT: usize = 16 << 10;
const HEADER_LIMIT: usize = 100;

/// Parses a head that ends with its empty line.
pub(super) fn parse(bytes: &[u8]) -> Result<(RequestHead, Framing)> {
    if let Some(at) = memchr::memchr_iter(b'\n', bytes).find(|&at| at == 0 || bytes[at - 1] != b'\r') {
        return Err(Error::new("HTTP_HEAD", at as u64, "a line that ends without CR"));
    }
    let mut fields = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(Error::new("HTTP_HEAD", 0, "the head does not end where its empty line is")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(too_large(format!("more than {HEADER_LIMIT} header fields")));
        }
        Err(error) => return Err(Error::new("HTTP_HEAD", 0, error.to_string())),
    }
    let headers = request.headers.iter();
    let headers =
        headers.map(|field| (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).trim().to_owned()));
    let head = RequestHead {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        headers: headers.collect(),
    };
    let modern = request.version == Some(1);
    let framing = framing(&head, modern)?;
    Ok((head, framing))
}

/// A head or header section beyond its limit.
pub(super) fn too_large(detail: String) -> Error {
    Error::new("HTTP_HEAD_TOO_LARGE", 0, detail).with_status(431)
}

fn framing(head: &RequestHead, modern: bool) -> Result<Framing> {
    // RFC 9112 3.2: a 1.1 request has exactly one Host.
    if modern && head.values("host").count() != 1 {
        return Err(Error::new("HTTP_HEAD", 0, "not exactly one Host header"));
    }
    let expect: Vec<_> = head.values("expect").collect();
    if expect.iter().any(|value| !value.eq_ignore_ascii_case("100-continue")) {
        return Err(Error::new("HTTP_EXPECT", 0, format!("Expect: {}", expect.join(", "))).with_status(417));
    }
    let mut gzip = false;
    for value in head.values("content-encoding") {
        match value.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" if !gzip => gzip = true,
            "identity" | "" => {}
            _ => {
                return Err(Error::new("HTTP_CONTENT_CODING", 0, format!("Content-Encoding: {value}")).with_status(415));
            }
        }
    }
    let has_token = |token: &str| {
        head.values("connection")
            .flat_map(|value| value.split(','))
            .any(|found| found.trim().eq_ignore_ascii_case(token))
    };
    Ok(Framing {
        length: length(head, modern)?,
        gzip,
        expects_continue: modern && !expect.is_empty(),
        keep_alive: modern && !has_token("close"),
        is_head: head.method == "HEAD",
    })
}

/// RFC 9112 6.1 to 6.3, strictly.
fn length(head: &RequestHead, modern: bool) -> Result<Length> {
    let refuse = |detail: String| Err(Error::new("HTTP_FRAMING", 0, detail));
    let lengths: Vec<_> = head.values("content-length").collect();
    let codings: Vec<_> = head.values("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Length::Known(0)),
        ([length], []) => match length.parse() {
            Ok(known) if length.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Length::Known(known)),
            _ => refuse(format!("Content-Length: {length}")),
        },
        ([], [coding]) if modern && coding.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
        ([], _) if !modern => refuse("Transfer-Encoding in HTTP/1.0".to_owned()),
        ([], codings) => {
            let detail = format!("Transfer-Encoding: {}; chunked alone is taken", codings.join(", "));
            Err(Error::new("HTTP_TRANSFER_CODING", 0, detail).with_status(501))
        }
        (_, []) => refuse("more than one Content-Length".to_owned()),
        _ => refuse("both Content-Length and Transfer-Encoding".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> Result<(RequestHead, Framing)> {
        parse(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())
    }

    fn with(line: &str) -> Result<Framing> {
        request(&["POST /ch/ingest.isml/Streams(x) HTTP/1.1", "Host: h", line]).map(|parsed| parsed.1)
    }

    #[test]
    fn targets_and_headers_come_as_sent() {
        let (head, _) = request(&["PUT /a/../b%2f?q HTTP/1.1", "HOST:  h:1 ", "X-A: \u{e9}"]).unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str()), ("PUT", "/a/../b%2f?q"));
        assert_eq!(head.headers, [("host".into(), "h:1".into()), ("x-a".to_owned(), "\u{e9}".to_owned())]);
    }

    #[test]
    fn framing_is_exact_or_refused() {
        let table = [
            ("X: y", Ok(Length::Known(0))),
            ("Content-Length: 12", Ok(Length::Known(12))),
            ("Transfer-Encoding: Chunked", Ok(Length::Chunked)),
            ("Content-Length: +12", Err("HTTP_FRAMING")),
            ("Content-Length: 12, 12", Err("HTTP_FRAMING")),
            ("Content-Length: 12\r\nContent-Length: 12", Err("HTTP_FRAMING")),
            ("Content-Length: 99999999999999999999", Err("HTTP_FRAMING")),
            ("Content-Length:", Err("HTTP_FRAMING")),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Err("HTTP_FRAMING")),
            ("Transfer-Encoding: gzip, chunked", Err("HTTP_TRANSFER_CODING")),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Err("HTTP_TRANSFER_CODING")),
            ("Transfer-Encoding : chunked", Err("HTTP_HEAD")),
            ("X: y\r\n folded", Err("HTTP_HEAD")),
            ("X: y\nZ: a", Err("HTTP_HEAD")),
            ("Host: again", Err("HTTP_HEAD")),
            ("Expect: 200-ok", Err("HTTP_EXPECT")),
            ("Content-Encoding: br", Err("HTTP_CONTENT_CODING")),
        ];
        for (line, expected) in table {
            assert_eq!(with(line).map(|framing| framing.length).map_err(|error| error.code), expected, "{line}");
        }
        assert_eq!(request(&["POST / HTTP/1.0", "Transfer-Encoding: chunked"]).unwrap_err().code, "HTTP_FRAMING");
        assert_eq!(request(&["POST / HTTP/1.1"]).unwrap_err().code, "HTTP_HEAD");
        assert_eq!(request(&["POST / HTTP/2.0", "Host: h"]).unwrap_err().code, "HTTP_HEAD");
    }

    #[test]
    fn connections_live_on_unless_someone_says_otherwise() {
        assert!(with("X: y").unwrap().keep_alive);
        assert!(!with("Connection: TE, Close").unwrap().keep_alive);
        assert!(!request(&["POST / HTTP/1.0"]).unwrap().1.keep_alive);
    }

    #[test]
    fn a_hundred_and_one_fields_are_too_many() {
        let fields = vec!["A: b"; 100].join("\r\n");
        assert_eq!(with(&fields).unwrap_err().status, 431);
    }
}
