//! Finished chunks, and the same as fragments ready to be written.

use crate::error::core_error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pypackager_core::media::{self, Kind};
use pypackager_core::mux::cmaf::{retime, write_chunk_head};
use pypackager_pump::fragment::Fragment;
use std::sync::Arc;

/// A finished chunk of one track; its bytes stay in Rust.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Chunk {
    inner: Arc<media::Chunk>,
    kind: Kind,
    duration: u64,
}

impl Chunk {
    /// A chunk of a track of `kind`.
    pub fn new(chunk: Arc<media::Chunk>, kind: Kind) -> Self {
        let duration = chunk.duration();
        Self { inner: chunk, kind, duration }
    }
}

#[pymethods]
impl Chunk {
    #[getter]
    fn track(&self) -> u32 {
        self.inner.track
    }

    #[getter]
    fn time(&self) -> i64 {
        self.inner.time
    }

    #[getter]
    fn duration(&self) -> u64 {
        self.duration
    }

    #[getter]
    fn timescale(&self) -> u32 {
        self.inner.timescale
    }

    #[getter]
    fn samples(&self) -> usize {
        self.inner.samples.len()
    }

    #[getter]
    fn size(&self) -> usize {
        self.inner.payload.len()
    }

    #[getter]
    fn sync(&self) -> bool {
        self.inner.starts_fragment()
    }

    #[getter]
    fn partial(&self) -> bool {
        self.inner.partial
    }

    #[getter]
    fn index(&self) -> Option<u64> {
        self.inner.index
    }

    fn join(&self, py: Python<'_>, others: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let all: Vec<Arc<media::Chunk>> =
            std::iter::once(&self.inner).chain(others.iter().map(|other| &other.inner)).map(Arc::clone).collect();
        let joined = py.detach(|| media::Chunk::joined(&all.iter().map(|chunk| &**chunk).collect::<Vec<_>>()));
        Ok(Self::new(Arc::new(joined.map_err(|error| core_error(&error))?), self.kind))
    }

    fn within(&self, py: Python<'_>, begin: i64, end: i64) -> PyResult<Option<Self>> {
        let part = py.detach(|| self.inner.within(begin, end))?;
        Ok(part.map(|part| Self::new(Arc::new(part), self.kind)))
    }

    fn mux(
        &self,
        py: Python<'_>,
        track_id: u32,
        sequence: u32,
        timescale: u32,
        offset: i64,
    ) -> PyResult<MuxedFragment> {
        py.detach(|| {
            let (time, samples) = retime(&self.inner, timescale, offset)?;
            let size = self.inner.payload.len() as u64;
            let head = write_chunk_head(sequence, track_id, time, &samples, size, self.kind);
            let duration = samples.iter().map(|sample| u64::from(sample.duration)).sum();
            let fragment = Fragment::new(head, Arc::clone(&self.inner));
            Ok(MuxedFragment { fragment, time, duration, samples: samples.len() })
        })
        .map_err(|error| core_error(&error))
    }

    fn __repr__(&self) -> String {
        format!(
            "Chunk(track={}, time={}, duration={}, timescale={}, samples={}, size={}, sync={}, partial={})",
            self.track(),
            self.time(),
            self.duration,
            self.timescale(),
            self.samples(),
            self.size(),
            flag(self.sync()),
            flag(self.partial())
        )
    }
}

/// A CMAF fragment (moof + mdat); the payload is shared with its chunk.
#[pyclass(frozen, module = "pypackager._core")]
pub struct MuxedFragment {
    /// The bytes.
    pub fragment: Fragment,
    #[pyo3(get)]
    time: u64,
    #[pyo3(get)]
    duration: u64,
    #[pyo3(get)]
    samples: usize,
}

#[pymethods]
impl MuxedFragment {
    #[getter]
    fn size(&self) -> usize {
        self.fragment.size()
    }

    #[getter]
    fn crc(&self) -> u32 {
        self.fragment.crc()
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.fragment.size(), |target| {
            let (head, payload) = target.split_at_mut(self.fragment.head().len());
            head.copy_from_slice(self.fragment.head());
            Ok(self.fragment.payload().read(payload)?)
        })
    }

    fn __repr__(&self) -> String {
        format!(
            "MuxedFragment(time={}, duration={}, size={}, crc={:#010x}, samples={})",
            self.time,
            self.duration,
            self.size(),
            self.crc(),
            self.samples
        )
    }
}

fn flag(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}
