//! Text that is deflated once and assembled often.

use crate::error::core_error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pypackager_core::mux::gzip::{Block, assemble};

/// Text deflated once, to be put together with others into one gzip member.
#[pyclass(frozen, module = "pypackager._core")]
pub struct DeflatedBlock(Block);

#[pymethods]
impl DeflatedBlock {
    #[getter]
    fn size(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        format!("DeflatedBlock(size={})", self.0.len())
    }
}

/// Deflates `data` at `level`.
#[pyfunction]
#[pyo3(signature = (data, level=1))]
pub fn deflate_block(py: Python<'_>, data: &[u8], level: u32) -> PyResult<DeflatedBlock> {
    let block = py.detach(|| Block::deflate(data, level)).map_err(|error| core_error(&error))?;
    Ok(DeflatedBlock(block))
}

/// One gzip member of the blocks in order.
#[pyfunction]
pub fn assemble_gzip(py: Python<'_>, blocks: Vec<Py<DeflatedBlock>>) -> Bound<'_, PyBytes> {
    let member = py.detach(|| assemble(blocks.iter().map(|block| &block.get().0)));
    PyBytes::new(py, &member)
}
