//! Answers of plans, and `onMetaData`.

use crate::error::{core_error, read_error};
use crate::plan::Body;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use pypackager_core::media::Sample;
use pypackager_core::mux::f4f::{self, Value};
use pypackager_core::mux::movie::{self, Index};
use pypackager_core::mux::smooth;
use pypackager_frontdoor::movie::{Piece, read_pieces};
use pypackager_frontdoor::plan::Fault;
use pypackager_frontdoor::progressive::{self, Fragment};

/// The bytes of a body.
#[pyfunction]
pub fn make_body(py: Python<'_>, body: Body) -> PyResult<Bound<'_, PyBytes>> {
    let made = py.detach(|| body.0.execute()).map_err(|fault| match fault {
        Fault::Read(error) => read_error(error),
        Fault::Core(error) => core_error(&error),
    })?;
    Ok(PyBytes::new(py, &made))
}

/// A value of `onMetaData` as Python gives it; a bool is no number here.
#[derive(FromPyObject)]
enum Property {
    Boolean(bool),
    Number(f64),
    Text(String),
}

/// AMF0 `onMetaData`.
#[pyfunction]
#[allow(private_interfaces)] // only Python calls it
pub fn flv_metadata(py: Python<'_>, values: Vec<(String, Property)>) -> Bound<'_, PyBytes> {
    let properties: Vec<_> = values
        .iter()
        .map(|(name, property)| {
            let value = match property {
                Property::Boolean(flag) => Value::Boolean(*flag),
                Property::Number(number) => Value::Number(*number),
                Property::Text(text) => Value::Text(text),
            };
            (name.as_str(), value)
        })
        .collect();
    PyBytes::new(py, &f4f::write_metadata(&properties))
}

/// A Smooth Streaming fragment of a signal.
#[pyfunction]
pub fn signal_fragment<'py>(
    py: Python<'py>,
    track_id: u32,
    sequence: u32,
    time: u64,
    duration: u64,
    data: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let length = u32::try_from(duration).unwrap_or(u32::MAX);
    let sample = Sample { size: data.len() as u32, duration: length, composition: 0, sync: true };
    let fragment = smooth::Fragment {
        track_id,
        sequence,
        time,
        duration,
        samples: &[sample],
        composition_shift: 0,
        successors: &[],
    };
    let mut out = fragment.write_head(data.len() as u64).map_err(|error| core_error(&error))?;
    out.extend_from_slice(data);
    Ok(PyBytes::new(py, &out))
}

/// What stands in front of the fragments of a downloaded movie.
#[pyfunction]
pub fn movie_head(
    py: Python<'_>,
    inits: Vec<PyBackedBytes>,
    duration_ms: u64,
    track_id: u32,
    timescale: u32,
    start: u64,
    entries: Vec<(u32, u32)>,
) -> PyResult<Bound<'_, PyBytes>> {
    let inits: Vec<&[u8]> = inits.iter().map(|init| &**init).collect();
    let index = Index { track_id, timescale, start, entries: &entries };
    let head = movie::write_head(&inits, duration_ms, index).map_err(|error| core_error(&error))?;
    Ok(PyBytes::new(py, &head))
}

/// The head of a progressive movie of stored fragments (track, path, offset, size), and the media behind it: rows of three numbers of 64
/// bits (path, offset, size).
#[pyfunction]
pub fn progressive_head(
    py: Python<'_>,
    tracks: Vec<(PyBackedBytes, u32)>,
    paths: Vec<String>,
    fragments: Vec<(u32, u32, u64, u64)>,
) -> PyResult<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)> {
    let tracks: Vec<(&[u8], u32)> = tracks.iter().map(|(init, timescale)| (&**init, *timescale)).collect();
    let made = py.detach(|| {
        let convert = |(track, path, offset, size)| Fragment { track, path, offset, size };
        let fragments: Vec<_> = fragments.into_iter().map(convert).collect();
        let (head, runs) = progressive::lay_out(&tracks, &paths, &fragments)?;
        let rows = runs.iter().flat_map(|run| [u64::from(run.0), run.1, run.2]);
        Ok((head, rows.flat_map(u64::to_ne_bytes).collect::<Vec<_>>()))
    });
    let (head, rows) = made.map_err(|fault| match fault {
        Fault::Read(error) => read_error(error),
        Fault::Core(error) => core_error(&error),
    })?;
    Ok((PyBytes::new(py, &head), PyBytes::new(py, &rows)))
}

/// Parts of stored fragments as they are in a movie: path, offset, size, first byte, count of bytes, ticks that its times are earlier
/// (none: plain bytes).
#[pyfunction]
pub fn read_movie(
    py: Python<'_>,
    pieces: Vec<(String, u64, u64, u64, usize, Option<u64>)>,
) -> PyResult<Bound<'_, PyBytes>> {
    let convert = |(path, offset, size, skip, take, earlier)| Piece { path, offset, size, skip, take, earlier };
    let pieces: Vec<_> = pieces.into_iter().map(convert).collect();
    let read = py.detach(|| read_pieces(&pieces)).map_err(|fault| match fault {
        Fault::Read(error) => read_error(error),
        Fault::Core(error) => core_error(&error),
    })?;
    Ok(PyBytes::new(py, &read))
}
