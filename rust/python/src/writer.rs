//! The writer.

use crate::chunk::MuxedFragment;
use crate::error::os_error;
use pyo3::prelude::*;
use pypackager_pump::writer::{Handle, Ticket, Writer as Inner};
use std::os::fd::{AsRawFd, RawFd};

/// One thread that writes blobs and journals in the order of the calls.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Writer(Inner);

#[pymethods]
impl Writer {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self(Inner::new()?))
    }

    fn fileno(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    fn done(&self) -> Vec<(Ticket, i32)> {
        self.0.done()
    }

    fn open(&self, py: Python<'_>, path: &str) -> PyResult<Handle> {
        py.detach(|| self.0.open(path)).map_err(|errno| os_error(errno, path))
    }

    fn append(&self, handle: Handle, data: &[u8]) -> Ticket {
        self.0.append(handle, data.to_vec())
    }

    fn write_fragment(
        &self,
        blob: Handle,
        offset: u64,
        fragment: &Bound<'_, MuxedFragment>,
        journal: Handle,
        record: &[u8],
    ) -> Ticket {
        self.0.write_fragment(blob, offset, fragment.get().fragment.clone(), journal, record.to_vec())
    }

    fn sync(&self, handles: Vec<Handle>) -> Ticket {
        self.0.sync(handles)
    }

    fn close_file(&self, handle: Handle) -> Ticket {
        self.0.close(handle)
    }

    fn queued_bytes(&self) -> u64 {
        self.0.queued_bytes()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn __repr__(&self) -> String {
        format!("Writer(queued_bytes={})", self.0.queued_bytes())
    }
}
