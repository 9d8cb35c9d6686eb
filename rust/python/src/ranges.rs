//! Stored ranges.

use pyo3::prelude::*;
use pypackager_pump::files::Range;

/// A stored range as Python gives it: path, offset, size.
#[derive(FromPyObject)]
pub struct StoredRange(String, u64, usize);

impl From<StoredRange> for Range {
    fn from(StoredRange(path, offset, size): StoredRange) -> Self {
        Self { path, offset, size }
    }
}

/// The ranges of a call.
pub fn convert(ranges: Vec<StoredRange>) -> Vec<Range> {
    ranges.into_iter().map(Range::from).collect()
}
