//! Text that is deflated once and assembled often.

use crate::error::core_error;
use crate::plan::shared;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyTuple};
use pypackager_core::mux::gzip::{Block, Member};

/// Text deflated once, to be put together with others into one gzip member.
#[pyclass(frozen, module = "pypackager._core")]
pub struct DeflatedBlock {
    inner: Block,
    /// Its bytes, when they are no part of another block's.
    bytes: Option<Py<PyBytes>>,
}

#[pymethods]
impl DeflatedBlock {
    #[getter]
    fn size(&self) -> usize {
        self.inner.len()
    }

    fn __repr__(&self) -> String {
        format!("DeflatedBlock(size={})", self.inner.len())
    }
}

/// What a member is put together from.
#[derive(FromPyObject)]
pub enum Part {
    Block(Py<DeflatedBlock>),
    Text(PyBackedBytes),
}

/// Deflates `data`.
#[pyfunction]
pub fn deflate_block(py: Python<'_>, data: &[u8]) -> PyResult<DeflatedBlock> {
    let inner = py.detach(|| Block::deflate(data)).map_err(|error| core_error(&error))?;
    Ok(DeflatedBlock { inner, bytes: None })
}

/// One block of several, and these again as parts of it.
#[pyfunction]
pub fn join_blocks(py: Python<'_>, blocks: Vec<Py<DeflatedBlock>>) -> (DeflatedBlock, Vec<DeflatedBlock>) {
    let blocks: Vec<_> = blocks.iter().map(|block| &block.get().inner).collect();
    let mut bytes = None;
    let (inner, parts) = Block::join(&blocks, |joined| {
        let owner = bytes.insert(PyBytes::new(py, &joined));
        shared(owner.clone().into())
    });
    let parts = parts.into_iter().map(|inner| DeflatedBlock { inner, bytes: None }).collect();
    (DeflatedBlock { inner, bytes: bytes.map(Bound::unbind) }, parts)
}

/// One gzip member of texts and blocks in order, in pieces.
#[pyfunction]
pub fn assemble_gzip(py: Python<'_>, parts: Vec<Part>) -> PyResult<Bound<'_, PyTuple>> {
    let mut member = Member::default();
    let mut pieces = Vec::with_capacity(parts.len() + 1);
    for part in &parts {
        match part {
            Part::Text(text) => py.detach(|| member.add_text(text)).map_err(|error| core_error(&error))?,
            Part::Block(block) => {
                let DeflatedBlock { inner, bytes } = block.get();
                pieces.push(PyBytes::new(py, &member.add_block(inner)));
                pieces.push(
                    bytes.as_ref().map_or_else(|| PyBytes::new(py, inner.bytes()), |bytes| bytes.bind(py).clone()),
                );
            }
        }
    }
    pieces.push(PyBytes::new(py, &member.finish()));
    PyTuple::new(py, pieces)
}
