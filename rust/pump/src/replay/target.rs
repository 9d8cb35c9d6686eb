//! Where a stream goes: an ingest URL taken apart.

use std::net::{SocketAddr, ToSocketAddrs};

/// The protocol of an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `rtmp://`.
    Rtmp,
    /// `http://`: fragmented MP4 in one long POST.
    Http,
}

/// A URL that can be pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL as given.
    pub url: String,
    /// How to speak.
    pub protocol: Protocol,
    /// `host[:port]` as it stands in the URL.
    pub authority: String,
    /// What follows the authority, without its leading slash.
    pub path: String,
    /// Where to connect to.
    pub address: SocketAddr,
}

/// Why a URL cannot be pushed to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {reason}")]
pub struct TargetError {
    /// The URL.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Target {
    /// Takes a URL apart and looks its host up.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let refuse = |reason: String| TargetError { url: url.to_owned(), reason };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refuse("not a URL".to_owned()))?;
        let (protocol, port) = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => (Protocol::Rtmp, 1935),
            "http" => (Protocol::Http, 80),
            other => return Err(refuse(format!("{other}:// cannot be pushed to, only rtmp:// and http://"))),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // What stands in a request line must not end it.
        if url.chars().any(|character| character.is_control() || character == ' ') {
            return Err(refuse("a space or a control character".to_owned()));
        }
        if authority.contains('@') {
            return Err(refuse("user names and passwords are not sent".to_owned()));
        }
        let with_port = match authority.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => authority.to_owned(),
            _ => format!("{authority}:{port}"),
        };
        let mut found = with_port.to_socket_addrs().map_err(|error| refuse(error.to_string()))?;
        let address = found.next().ok_or_else(|| refuse("the host has no address".to_owned()))?;
        Ok(Self { url: url.to_owned(), protocol, authority: authority.to_owned(), path: path.to_owned(), address })
    }

    /// Application and stream name of RTMP: the stream is what follows the last slash before the query.
    pub fn app_and_stream(&self) -> (&str, &str) {
        let end = self.path.find('?').unwrap_or(self.path.len());
        match self.path[..end].rfind('/') {
            Some(slash) => (&self.path[..slash], &self.path[slash + 1..]),
            None => (&self.path, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::parse("rtmp://127.0.0.1/news/secondary/v1?key=a/b").unwrap();
        assert_eq!((target.protocol, target.address.port()), (Protocol::Rtmp, 1935));
        assert_eq!(target.app_and_stream(), ("news/secondary", "v1?key=a/b"));
        let target = Target::parse("http://[::1]:8088/news/ingest.isml/Streams(v1)").unwrap();
        assert_eq!((target.authority.as_str(), target.address.port()), ("[::1]:8088", 8088));
        assert_eq!(target.path, "news/ingest.isml/Streams(v1)");
    }

    #[test]
    fn what_cannot_be_pushed_to_is_refused_with_its_reason() {
        for (url, reason) in [
            ("127.0.0.1/x", "not a URL"),
            ("ftp://127.0.0.1/x", "only rtmp:// and http://"),
            ("http://127.0.0.1/a\r\nb", "control character"),
            ("http://user@127.0.0.1/a", "user names"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.reason.contains(reason), "{error}");
        }
    }
}
