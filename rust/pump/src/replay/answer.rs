//! An HTTP server's answers on a sender's connection.

use super::stats::Fault;
use std::time::Duration;

/// A final answer (RFC 9110 15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its body as text.
    pub(super) body: String,
    /// Whether no other request can follow on the connection.
    pub(super) closes: bool,
    /// `Retry-After`.
    pub(super) pause: Option<Duration>,
    /// `WWW-Authenticate`.
    pub(super) challenges: Vec<String>,
}

impl Answer {
    pub(super) fn is_good(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// Why the stream can not go on with it.
    pub(super) fn fault(&self) -> Fault {
        let fault = Fault::new("HTTP_REFUSED", self.to_string());
        // What only a person can mend: the URL, the key, the permission, the protocol, the codec.
        let lasting = matches!(self.status, 400 | 401 | 403..=407 | 410 | 411 | 413..=417 | 501 | 505);
        Fault { lasting, pause: self.pause, ..fault }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", format!("{} {}", self.status, self.body.trim()).trim())
    }
}

/// What arrived and is not read yet.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<u8>);

impl Answers {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let room = MAX_ANSWER.saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The next final answer, once its body is whole, or as long as it can get when the connection has `ended`. Interim ones are read over.
    pub(super) fn next(&mut self, ended: bool) -> Option<Answer> {
        loop {
            let end = self.0.windows(4).position(|window| window == b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&self.0[..end]).into_owned();
            let status = head.get(9..12).and_then(|text| text.parse().ok()).unwrap_or(0);
            if (100..=199).contains(&status) {
                self.0.drain(..end + 4);
                continue;
            }
            let fields = |name: &'static str| {
                let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
                lines.filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
            };
            let field = |name| fields(name).next();
            let length = field("content-length").and_then(|text| text.parse::<usize>().ok());
            let rest = self.0.len() - end - 4;
            let size = match length {
                Some(length) if length <= rest => length,
                _ if ended || self.0.len() >= MAX_ANSWER => rest,
                _ => return None,
            };
            let closes =
                length.is_none() || field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let pause = field("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
            let challenges = fields("www-authenticate").map(str::to_owned).collect();
            let body = String::from_utf8_lossy(&self.0[end + 4..end + 4 + size]).into_owned();
            self.0.drain(..end + 4 + size);
            return Some(Answer { status, body, closes, pause, challenges });
        }
    }
}

const MAX_ANSWER: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_follow_each_other_and_interim_ones_are_read_over() {
        let mut answers = Answers::default();
        answers.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 503 No\r\nRetry-After: 7\r\n");
        let first = answers.next(false).unwrap();
        assert_eq!((first.status, first.body.as_str(), first.closes), (200, "ok", false));
        assert_eq!(answers.next(false), None);
        answers.feed(b"Connection: Close\r\nContent-Length: 5\r\n\r\nlat");
        assert_eq!(answers.next(false), None);
        let last = answers.next(true).unwrap();
        assert_eq!(
            (last.to_string().as_str(), last.closes, last.pause),
            ("503 lat", true, Some(Duration::from_secs(7)))
        );
        assert!(!last.fault().lasting);
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let mut answers = Answers::default();
        answers.feed(b"HTTP/1.1 415 No\r\n\r\nwhich");
        assert_eq!(answers.next(false), None);
        let answer = answers.next(true).unwrap();
        assert!(answer.fault().lasting && answer.closes && answer.body == "which");
    }
}
