//! Stored ranges.

use crate::error::read_error;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pypackager_pump::files::{Range, read_into, total_size};

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

/// The bytes of stored ranges, one after the other.
#[pyfunction]
pub fn read_ranges(py: Python<'_>, ranges: Vec<StoredRange>) -> PyResult<Bound<'_, PyBytes>> {
    let ranges = convert(ranges);
    let size = total_size(&ranges).ok_or_else(|| PyOverflowError::new_err("the ranges are too large"))?;
    PyBytes::new_with(py, size, |target| py.detach(|| read_into(&ranges, target)).map_err(read_error))
}
