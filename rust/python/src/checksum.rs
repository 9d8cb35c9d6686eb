//! CRC32C.

use pyo3::prelude::*;

/// CRC32C (Castagnoli) of `data`.
#[pyfunction]
pub fn crc32c(py: Python<'_>, data: &[u8]) -> u32 {
    py.detach(|| ::crc32c::crc32c(data))
}
