//! Published answers: everything about a 200 but the bytes themselves.

use crate::plan::Plan;
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};

/// An answer that the application published.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What its requests are counted as.
    pub kind: Kind,
    /// Header fields of all its forms, but those that follow from the form: content-length, content-encoding, content-range, etag.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Entity tag of the plain form, as it goes over the wire.
    pub etag: HeaderValue,
    /// Entity tag of the gzip form.
    pub etag_gzip: HeaderValue,
    /// The plain form.
    pub plan: Plan,
    /// The body as one gzip member in pieces, where there is one.
    pub gzip: Option<Vec<Bytes>>,
}

/// What a request is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Changes with the live edge.
    Manifest,
    /// Never changes.
    Segment,
}

impl Kind {
    /// As in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Segment => "segment",
        }
    }
}
