//! The ingest pump.

use crate::event::{ConnectionStats, convert};
use crate::tls::IngestTls;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pypackager_pump::pump::{Answer, Budget as InnerBudget, Number, Options, Parcel, Protocol, Pump as Inner};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the open fragments of a channel may hold in memory.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Budget(Arc<InnerBudget>);

#[pymethods]
impl Budget {
    #[new]
    fn new(limit: usize) -> Self {
        Self(Arc::new(InnerBudget::new(limit)))
    }

    #[getter]
    fn held(&self) -> usize {
        self.0.held()
    }

    #[getter]
    fn peak(&self) -> usize {
        self.0.peak()
    }

    #[getter]
    fn spilled(&self) -> u64 {
        self.0.spilled()
    }

    fn __repr__(&self) -> String {
        format!("Budget(held={}, peak={}, spilled={})", self.held(), self.peak(), self.spilled())
    }
}

/// One thread with an epoll set of ingest sockets.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Pump(Inner);

#[pymethods]
impl Pump {
    #[new]
    #[pyo3(signature = (
        *, tick_ms=50, idle_timeout_ms=60_000, max_unparsed=262_144, max_fragment=33_554_432, audio_grid_ms=2000,
        spill_directory=None, ask_connect=false, keep_openings=false
    ))]
    #[allow(clippy::too_many_arguments)] // its options, by name
    fn new(
        tick_ms: u64,
        idle_timeout_ms: u64,
        max_unparsed: usize,
        max_fragment: usize,
        audio_grid_ms: u64,
        spill_directory: Option<PathBuf>,
        ask_connect: bool,
        keep_openings: bool,
    ) -> PyResult<Self> {
        let plain = Options::default();
        let options = Options {
            tick: Duration::from_millis(tick_ms.max(1)),
            idle_timeout: Duration::from_millis(idle_timeout_ms),
            max_unparsed,
            max_fragment,
            audio_grid: Duration::from_millis(audio_grid_ms.max(1)),
            ask_connect,
            keep_openings,
            spill_directory: spill_directory.unwrap_or(plain.spill_directory),
            ..plain
        };
        Ok(Self(Inner::new(options)?))
    }

    fn fileno(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    fn events(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        self.0.events().into_iter().map(|event| convert(py, event)).collect()
    }

    #[pyo3(signature = (fd, protocol, tls=None))]
    fn add(&self, fd: RawFd, protocol: &str, tls: Option<&Bound<'_, IngestTls>>) -> PyResult<Number> {
        let protocol = protocol_of(protocol)?;
        let socket = take(fd)?;
        Ok(self.0.add(socket, protocol, tls.map(|tls| Arc::clone(&tls.get().0))))
    }

    fn adopt(&self, fd: RawFd, protocol: &str, opening: Vec<u8>, decided: usize, unsent: Vec<u8>) -> PyResult<Number> {
        let protocol = protocol_of(protocol)?;
        Ok(self.0.adopt(Parcel { socket: take(fd)?, protocol, opening, decided, unsent }))
    }

    fn give(&self, conn: Number) {
        self.0.give(conn);
    }

    #[pyo3(signature = (conn, budget=None))]
    fn accept(&self, conn: Number, budget: Option<&Bound<'_, Budget>>) {
        self.0.accept(conn, budget.map(|budget| Arc::clone(&budget.get().0)));
    }

    fn bind(&self, conn: Number, clock: u64) {
        self.0.bind(conn, clock);
    }

    fn respond(
        &self,
        conn: Number,
        status: u16,
        content_type: String,
        body: &[u8],
        headers: Vec<(String, String)>,
        close: bool,
    ) {
        self.0.respond(conn, Answer { status, content_type, headers, body: body.to_vec(), close });
    }

    fn refuse(&self, conn: Number, code: &str, description: &str) {
        self.0.refuse(conn, code, description);
    }

    fn close(&self, conn: Number) {
        self.0.close(conn);
    }

    fn hold(&self, conn: Number, held: bool) {
        self.0.hold(conn, held);
    }

    fn stats(&self) -> Vec<ConnectionStats> {
        self.0.stats().into_iter().map(ConnectionStats::from).collect()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn __repr__(&self) -> String {
        format!("Pump(connections={})", self.0.stats().len())
    }
}

fn protocol_of(name: &str) -> PyResult<Protocol> {
    match name {
        "rtmp" => Ok(Protocol::Rtmp),
        "http" => Ok(Protocol::Http),
        other => Err(PyValueError::new_err(format!("protocol {other:?} is neither 'rtmp' nor 'http'"))),
    }
}

fn take(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("{fd} is no descriptor")));
    }
    // SAFETY: the descriptor is open and the caller gives it away with this call (`socket.detach()`), so nobody else closes it.
    #[allow(unsafe_code)]
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
