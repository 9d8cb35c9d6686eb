//! One error for everything that can be wrong with bytes from outside.

use std::borrow::Cow;
use std::fmt;

/// What is wrong with the input, where, and under which stable code.
///
/// `code` is part of the interface (documented in the reference, used in alerts and problem details): SCREAMING_SNAKE, never reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Stable code, for instance `BOX_TOO_LARGE`.
    pub code: &'static str,
    /// HTTP status that fits when the sender speaks HTTP (400 unless the code says more).
    pub status: u16,
    /// Bytes from the start of the stream (request body, RTMP connection, file) to the fault.
    pub offset: u64,
    /// Path of the element, outermost first, for instance `moof/traf/trun`; empty where there is none.
    pub path: String,
    /// What was found and what was expected, for a person.
    pub detail: Cow<'static, str>,
}

/// Result of everything that reads outside bytes.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A fault of the peer (status 400) found at `offset`.
    pub fn new(code: &'static str, offset: u64, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status: 400, offset, path: String::new(), detail: detail.into() }
    }

    /// The same with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds one element in front of the path while the error unwinds outward.
    #[must_use]
    pub fn within(mut self, element: &str) -> Self {
        if self.path.is_empty() {
            element.clone_into(&mut self.path);
        } else {
            self.path = format!("{element}/{}", self.path);
        }
        self
    }

    /// Moves an offset that counts from an inner slice to the stream that holds it at `base`.
    #[must_use]
    pub fn at(mut self, base: u64) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.code, self.offset)?;
        if !self.path.is_empty() {
            write!(f, " in {}", self.path)?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for Error {}
