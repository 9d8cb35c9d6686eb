//! The pump's events as Python objects.

use crate::chunk::Chunk;
use crate::header::TrackHeader;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use pypackager_core::media::{Signal, SignalTrack};
use pypackager_pump::pump::{self, Event, Number};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

/// An HTTP request head; the body waits until accept() or respond().
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct Request {
    conn: Number,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

/// An RTMP connect; the publish waits until accept() or refuse().
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct ConnectRequested {
    conn: Number,
    app: String,
    query: String,
    tc_url: String,
    encoder: String,
}

/// An RTMP publish; media waits until accept() or refuse().
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct PublishRequested {
    conn: Number,
    parent: Option<Number>,
    app: String,
    stream: String,
    query: String,
    tc_url: String,
    encoder: String,
}

/// A track's header arrived: first, again at a reconnect, or changed in mid-stream.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct TrackFound {
    conn: Number,
    header: Py<TrackHeader>,
}

/// The first frame of an RTMP connection, or the first after a jump of its timestamps.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct NeedClock {
    conn: Number,
    track: u32,
    time: i64,
    timescale: u32,
    jump: bool,
}

/// A chunk is complete.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct ChunkReady {
    conn: Number,
    chunk: Py<Chunk>,
}

/// A track of signals was announced: what stands in its header and its entry of the live manifest.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct SignalsFound {
    conn: Number,
    number: u32,
    timescale: u32,
    format: String,
    name: String,
    language: String,
    parent: String,
    output: bool,
    subtype: String,
    scheme: String,
}

/// A signal is complete.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct SignalReady {
    conn: Number,
    track: u32,
    time: i64,
    duration: u64,
    timescale: u32,
    data: Py<PyBytes>,
}

/// The body of an accepted request is complete and all its chunks were handed over.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct BodyEnd {
    conn: Number,
}

/// The first publish of an RTMP connection is over, the connection is not.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct PublishEnded {
    conn: Number,
    code: &'static str,
    detail: String,
}

/// A fault that did not end the connection.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct Warned {
    conn: Number,
    code: &'static str,
    detail: String,
    offset: u64,
}

/// The connection was given away; what another pump needs to go on with it.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Given {
    #[pyo3(get)]
    conn: Number,
    parcel: Arc<pump::Parcel>,
}

#[pymethods]
impl Given {
    fn fileno(&self) -> RawFd {
        self.parcel.socket.as_raw_fd()
    }

    #[getter]
    fn protocol(&self) -> &'static str {
        match self.parcel.protocol {
            pump::Protocol::Rtmp => "rtmp",
            pump::Protocol::Http => "http",
        }
    }

    #[getter]
    fn opening<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.parcel.opening)
    }

    #[getter]
    fn decided(&self) -> usize {
        self.parcel.decided
    }

    #[getter]
    fn unsent<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.parcel.unsent)
    }
}

/// The connection is gone; its number is not used again.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct Closed {
    conn: Number,
    code: &'static str,
    detail: String,
    bytes_received: u64,
}

/// What a connection received so far.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct ConnectionStats {
    conn: Number,
    bytes_received: u64,
    idle_ms: u64,
}

impl From<pump::Stats> for ConnectionStats {
    fn from(stats: pump::Stats) -> Self {
        let pump::Stats { conn, bytes_received, idle } = stats;
        Self { conn, bytes_received, idle_ms: idle.as_millis() as u64 }
    }
}

/// The Python object of an event.
pub fn convert(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    Ok(match event {
        Event::Request { conn, head } => {
            let pump::RequestHead { method, target, headers } = head;
            Py::new(py, Request { conn, method, target, headers })?.into_any()
        }
        Event::ConnectRequested { conn, publish } => {
            let pump::Publish { app, stream: _, query, tc_url, flash_ver: encoder } = publish;
            Py::new(py, ConnectRequested { conn, app, query, tc_url, encoder })?.into_any()
        }
        Event::PublishRequested { conn, parent, publish } => {
            let pump::Publish { app, stream, query, tc_url, flash_ver: encoder } = publish;
            Py::new(py, PublishRequested { conn, parent, app, stream, query, tc_url, encoder })?.into_any()
        }
        Event::TrackFound { conn, track } => {
            let header = Py::new(py, TrackHeader(track))?;
            Py::new(py, TrackFound { conn, header })?.into_any()
        }
        Event::NeedClock { conn, track, time, timescale, jump } => {
            Py::new(py, NeedClock { conn, track, time, timescale, jump })?.into_any()
        }
        Event::ChunkReady { conn, chunk, kind } => {
            let chunk = Py::new(py, Chunk::new(chunk, kind))?;
            Py::new(py, ChunkReady { conn, chunk })?.into_any()
        }
        Event::SignalsFound { conn, track } => {
            let SignalTrack { number, timescale, format, name, language, parent, output, subtype, scheme } = track;
            let found =
                SignalsFound { conn, number, timescale, format, name, language, parent, output, subtype, scheme };
            Py::new(py, found)?.into_any()
        }
        Event::SignalReady { conn, signal } => {
            let Signal { track, time, duration, timescale, data } = signal;
            let data = PyBytes::new(py, &data).unbind();
            Py::new(py, SignalReady { conn, track, time, duration, timescale, data })?.into_any()
        }
        Event::BodyEnd { conn } => Py::new(py, BodyEnd { conn })?.into_any(),
        Event::PublishEnded { conn, code, detail } => {
            Py::new(py, PublishEnded { conn, code, detail: detail.into_owned() })?.into_any()
        }
        Event::Warned { conn, error } => {
            let warned = Warned { conn, code: error.code, detail: pump::located(&error), offset: error.offset };
            Py::new(py, warned)?.into_any()
        }
        Event::Given { conn, parcel } => Py::new(py, Given { conn, parcel })?.into_any(),
        Event::Closed { conn, code, detail, bytes_received } => {
            Py::new(py, Closed { conn, code, detail: detail.into_owned(), bytes_received })?.into_any()
        }
    })
}

/// Adds `PumpEvent`, the union of all events.
pub fn add_union(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let classes = [
        py.get_type::<ConnectRequested>(),
        py.get_type::<PublishRequested>(),
        py.get_type::<TrackFound>(),
        py.get_type::<NeedClock>(),
        py.get_type::<ChunkReady>(),
        py.get_type::<SignalsFound>(),
        py.get_type::<SignalReady>(),
        py.get_type::<BodyEnd>(),
        py.get_type::<PublishEnded>(),
        py.get_type::<Warned>(),
        py.get_type::<Given>(),
        py.get_type::<Closed>(),
    ];
    let union = classes.into_iter().try_fold(py.get_type::<Request>().into_any(), |union, class| union.bitor(class))?;
    module.add("PumpEvent", union)
}

/// `Name(field=repr, …)` of an object, from its fields as Python sees them.
fn represent(object: &Bound<'_, PyAny>, fields: &[&str]) -> PyResult<String> {
    let mut parts = Vec::with_capacity(fields.len());
    for field in fields {
        let value = object.getattr(PyString::new(object.py(), field))?;
        parts.push(format!("{field}={}", value.repr()?));
    }
    Ok(format!("{}({})", object.get_type().name()?, parts.join(", ")))
}

/// Gives classes a `repr` of the named fields.
macro_rules! represented {
    ($($class:ident: $($field:literal),+;)+) => {$(
        #[pymethods]
        impl $class {
            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                represent(slf.as_any(), &[$($field),+])
            }
        }
    )+};
}

represented! {
    Request: "conn", "method", "target", "headers";
    ConnectRequested: "conn", "app", "query", "tc_url", "encoder";
    PublishRequested: "conn", "parent", "app", "stream", "query", "tc_url", "encoder";
    TrackFound: "conn", "header";
    NeedClock: "conn", "track", "time", "timescale", "jump";
    ChunkReady: "conn", "chunk";
    SignalsFound: "conn", "number", "timescale", "format", "name", "language", "parent", "output", "subtype", "scheme";
    SignalReady: "conn", "track", "time", "duration", "timescale", "data";
    BodyEnd: "conn";
    PublishEnded: "conn", "code", "detail";
    Warned: "conn", "code", "detail", "offset";
    Closed: "conn", "code", "detail", "bytes_received";
    ConnectionStats: "conn", "bytes_received", "idle_ms";
}
