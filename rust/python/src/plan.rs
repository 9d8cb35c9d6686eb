//! Plans of answers (`pypackager.model.plan`) as the front door executes them.

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use pypackager_frontdoor::plan::{Plan, Smooth, Source};

use crate::ranges::{StoredRange, convert};

/// A body: bytes, or one of the structs of `pypackager.model.plan`.
pub struct Body(pub Plan);

#[derive(FromPyObject)]
struct PySource {
    init: PyBackedBytes,
    ranges: Vec<StoredRange>,
}

#[derive(FromPyObject)]
pub struct PyText {
    parts: Vec<PyBackedBytes>,
}

/// Bytes in one piece or in several.
#[derive(FromPyObject)]
pub enum Pieces {
    One(PyBackedBytes),
    Several(PyText),
}

#[derive(FromPyObject)]
struct PyStored {
    ranges: Vec<StoredRange>,
}

#[derive(FromPyObject)]
struct PyTs {
    video: Option<PySource>,
    audio: Option<PySource>,
}

#[derive(FromPyObject)]
struct PyF4f {
    video: Option<PySource>,
    audio: Option<PySource>,
    origin_ns: i64,
}

#[derive(FromPyObject)]
struct PySmooth {
    source: PySource,
    track_id: u32,
    sequence: u32,
    time: u64,
    duration: u64,
    composition_shift: u32,
    successors: Vec<(u64, u64)>,
    inband: bool,
}

/// The same bytes, shared with Python: nothing is copied.
pub fn shared(data: PyBackedBytes) -> Bytes {
    Bytes::from_owner(data)
}

impl<'a, 'py> FromPyObject<'a, 'py> for Body {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyBytes>() {
            return Ok(Self(Plan::Bytes(shared(value.extract()?))));
        }
        let name = value.get_type().name()?;
        let plan = match name.to_str()? {
            "Text" => Plan::Parts(value.extract::<Pieces>()?.into()),
            "Stored" => Plan::Stored(convert(value.extract::<PyStored>()?.ranges)),
            "TsSegment" => {
                let PyTs { video, audio } = value.extract()?;
                Plan::Ts { video: video.map(Source::from), audio: audio.map(Source::from) }
            }
            "F4fFragment" => {
                let PyF4f { video, audio, origin_ns } = value.extract()?;
                Plan::F4f { video: video.map(Source::from), audio: audio.map(Source::from), origin_ns }
            }
            "SmoothFragment" => {
                let PySmooth { source, track_id, sequence, time, duration, composition_shift, successors, inband } =
                    value.extract()?;
                let source = source.into();
                Plan::Smooth(Smooth {
                    source,
                    track_id,
                    sequence,
                    time,
                    duration,
                    composition_shift,
                    successors,
                    inband,
                })
            }
            other => return Err(PyTypeError::new_err(format!("{other} is no body of an answer"))),
        };
        Ok(Self(plan))
    }
}

impl From<Pieces> for Vec<Bytes> {
    fn from(pieces: Pieces) -> Self {
        match pieces {
            Pieces::One(bytes) => vec![shared(bytes)],
            Pieces::Several(text) => text.parts.into_iter().map(shared).collect(),
        }
    }
}

impl From<PySource> for Source {
    fn from(source: PySource) -> Self {
        Self { init: shared(source.init), ranges: convert(source.ranges) }
    }
}
