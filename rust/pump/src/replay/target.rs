//! Where a stream goes: an ingest URL taken apart.

use super::login::Login;
use super::trust::Trust;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// The protocol of an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `rtmp://`, `rtmps://`.
    Rtmp,
    /// `http://`, `https://`: fragmented MP4 in one long POST.
    Http,
}

/// A URL that can be pushed to.
#[derive(Debug, Clone)]
pub struct Target {
    /// The URL as given, without the password.
    pub url: String,
    /// How to speak.
    pub protocol: Protocol,
    /// `host[:port]` as it stands in the URL, without the user.
    pub authority: String,
    /// What follows the authority, without its leading slash.
    pub path: String,
    /// Where to connect to.
    pub address: SocketAddr,
    /// Where TLS is spoken: how, and whose certificate is wanted.
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Who pushes.
    pub(super) login: Option<Arc<Login>>,
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
    /// Takes a URL apart and looks its host up; over TLS the system's authorities have to vouch for it.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        Self::parse_trusting(url, &Trust::default())
    }

    /// The same, with who is trusted over TLS.
    pub fn parse_trusting(url: &str, trust: &Trust) -> Result<Self, TargetError> {
        let shown = shown(url);
        let refuse = |reason: String| TargetError { url: shown.clone(), reason };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refuse("not a URL".to_owned()))?;
        let (protocol, port, sealed) = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => (Protocol::Rtmp, 1935, false),
            "rtmps" => (Protocol::Rtmp, 443, true),
            "http" => (Protocol::Http, 80, false),
            "https" => (Protocol::Http, 443, true),
            other => {
                let reason = format!("{other}:// cannot be pushed to, only rtmp://, rtmps://, http:// and https://");
                return Err(refuse(reason));
            }
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // What stands in a request line must not end it.
        if url.chars().any(|character| character.is_control() || character == ' ') {
            return Err(refuse("a space or a control character".to_owned()));
        }
        let (user, authority) = authority.rsplit_once('@').map_or((None, authority), |(user, rest)| (Some(user), rest));
        let with_port = match authority.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => authority.to_owned(),
            _ => format!("{authority}:{port}"),
        };
        let mut found = with_port.to_socket_addrs().map_err(|error| refuse(error.to_string()))?;
        let address = found.next().ok_or_else(|| refuse("the host has no address".to_owned()))?;
        let tls = if sealed {
            let host = with_port.rsplit_once(':').map_or(&*with_port, |(host, _)| host).trim_matches(['[', ']']);
            let host = ServerName::try_from(host.to_owned()).map_err(|error| refuse(error.to_string()))?;
            Some((trust.config().map_err(refuse)?, host))
        } else {
            None
        };
        let (authority, path) = (authority.to_owned(), path.to_owned());
        let login = user.map(|user| Arc::new(Login::new(user)));
        Ok(Self { url: shown, protocol, authority, path, address, tls, login })
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

/// A URL as it may stand in a report: without the password.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else { return url.to_owned() };
    let user = rest[..at].split(':').next().unwrap_or_default();
    format!("{scheme}://{user}{}", &rest[at..])
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
        assert!(target.tls.is_none() && target.login.is_none());
    }

    #[test]
    fn a_user_and_tls_are_of_the_connection_and_not_of_the_name() {
        let trust = Trust::new(None, true, None);
        let target = Target::parse_trusting("RTMPS://user:a@b@127.0.0.1:1936/news/v1?key=k", &trust).unwrap();
        assert_eq!((target.authority.as_str(), target.address.port()), ("127.0.0.1:1936", 1936));
        assert_eq!(target.url, "RTMPS://user@127.0.0.1:1936/news/v1?key=k");
        assert!(target.tls.is_some() && target.login.is_some());
        assert_eq!(Target::parse_trusting("https://[::1]/x/ingest.isml", &trust).unwrap().address.port(), 443);
        let nobody = Trust::new(Some("/nonexistent/ca.pem".into()), false, None);
        let error = Target::parse_trusting("https://127.0.0.1/x", &nobody).unwrap_err();
        assert!(error.reason.starts_with("/nonexistent/ca.pem: "), "{error}");
        assert!(Target::parse_trusting("http://127.0.0.1/x", &nobody).is_ok(), "it is not asked for");
    }

    #[test]
    fn what_cannot_be_pushed_to_is_refused_with_its_reason() {
        for (url, reason) in [
            ("127.0.0.1/x", "not a URL"),
            ("ftp://127.0.0.1/x", "only rtmp://, rtmps://, http:// and https://"),
            ("http://127.0.0.1/a\r\nb", "control character"),
            ("http://user:hidden@127.0.0.1:99999/a", "invalid port"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.reason.contains(reason) && !error.to_string().contains("hidden"), "{error}");
        }
    }
}
