//! Published answers: everything about a 200 but the bytes themselves.

use crate::plan::Plan;
use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue};

/// An answer that the application published. Its heads are put together once: an answer copies one, which costs a quarter of making it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What its requests are counted as.
    pub kind: Kind,
    /// Entity tag of the plain form, as it goes over the wire.
    pub etag: HeaderValue,
    /// Entity tag of the gzip form.
    pub etag_gzip: HeaderValue,
    /// The plain form.
    pub plan: Plan,
    /// Where there is one.
    pub gzip: Option<Gzip>,
    head: HeaderMap,
}

/// The body as one gzip member.
#[derive(Debug, Clone)]
pub struct Gzip {
    /// The fields of its answer.
    pub head: HeaderMap,
    /// One after the other.
    pub pieces: Vec<Bytes>,
}

impl Answer {
    /// `fields` are those of all its forms, but those that follow from the form: content-length, content-encoding, content-range, etag.
    pub fn new(
        kind: Kind,
        fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        etag: HeaderValue,
        etag_gzip: HeaderValue,
        plan: Plan,
        gzip: Option<Vec<Bytes>>,
    ) -> Self {
        let mut head = HeaderMap::new();
        for (name, value) in fields {
            head.append(name, value);
        }
        head.insert(ETAG, etag.clone());
        let gzip = gzip.map(|pieces| {
            let mut head = head.clone();
            head.insert(ETAG, etag_gzip.clone());
            head.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.insert(CONTENT_LENGTH, pieces.iter().map(|piece| piece.len() as u64).sum::<u64>().into());
            Gzip { head, pieces }
        });
        if let Some(size) = plan.size() {
            head.insert(CONTENT_LENGTH, size.into());
        }
        Self { kind, etag, etag_gzip, plan, gzip, head }
    }

    /// Fields of the whole plain form, which has `size` bytes.
    pub fn whole(&self, size: u64) -> HeaderMap {
        let mut head = self.head.clone();
        if self.plan.size() != Some(size) {
            head.insert(CONTENT_LENGTH, size.into());
        }
        head
    }

    /// Fields of the answer that says that nothing changed (RFC 9110 15.4.5).
    pub fn unchanged(&self, gzip: bool) -> HeaderMap {
        let mut head = self.head.clone();
        head.remove(CONTENT_TYPE);
        head.remove(CONTENT_LENGTH);
        if gzip {
            head.insert(ETAG, self.etag_gzip.clone());
        }
        head
    }
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
