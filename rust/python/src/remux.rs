//! Stored fragments in, one answer out.

use crate::error::{core_error, read_error};
use crate::ranges::{StoredRange, convert};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pypackager_core::bmff::init::parse_init;
use pypackager_core::bmff::stored::{StoredChunk, parse_all};
use pypackager_core::error::{Error, Result};
use pypackager_core::media::{Codec, Track};
use pypackager_core::mux::f4f::{self, Value};
use pypackager_core::mux::{Piece, smooth, ts};
use pypackager_pump::files::{ReadError, read_all};

/// An MPEG-TS segment.
#[pyfunction]
pub fn ts_segment<'py>(
    py: Python<'py>,
    video_init: Option<&[u8]>,
    video: Vec<StoredRange>,
    audio_init: Option<&[u8]>,
    audio: Vec<StoredRange>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (video, audio) = (Source::new(video_init, video), Source::new(audio_init, audio));
    let segment = py.detach(|| with_pieces(video, audio, ts::write_segment));
    Ok(PyBytes::new(py, &segment.map_err(raise)?))
}

/// A Smooth Streaming fragment.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // the call is the plan, field by field
pub fn smooth_fragment<'py>(
    py: Python<'py>,
    init: &[u8],
    ranges: Vec<StoredRange>,
    track_id: u32,
    sequence: u32,
    time: u64,
    duration: u64,
    composition_shift: u32,
    successors: Vec<(u64, u64)>,
    inband: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let ranges = convert(ranges);
    let data = py.detach(|| read_all(&ranges)).map_err(read_error)?;
    let written = py.detach(|| {
        let chunks = parse_all(&data)?;
        let samples: Vec<_> = chunks.iter().flat_map(|chunk| chunk.samples.iter().copied()).collect();
        let successors = &successors;
        let fragment =
            smooth::Fragment { track_id, sequence, time, duration, samples: &samples, composition_shift, successors };
        if let (true, Codec::Avc(config)) = (inband, parse_init(init)?.track.codec) {
            let payload: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.payload).copied().collect();
            return Ok((fragment.write_with_parameter_sets(&config, &payload)?, Vec::new()));
        }
        let size = chunks.iter().map(|chunk| chunk.payload.len() as u64).sum();
        Ok((fragment.write_head(size)?, chunks))
    });
    let (head, chunks) = written.map_err(|error: Error| core_error(&error))?;
    join(py, &head, &chunks)
}

/// FLV tags of one HDS fragment.
#[pyfunction]
pub fn f4f_fragment<'py>(
    py: Python<'py>,
    video_init: Option<&[u8]>,
    video: Vec<StoredRange>,
    audio_init: Option<&[u8]>,
    audio: Vec<StoredRange>,
    origin_ns: i64,
) -> PyResult<Bound<'py, PyBytes>> {
    let (video, audio) = (Source::new(video_init, video), Source::new(audio_init, audio));
    let write = |video: Pieces<'_, '_>, audio: Pieces<'_, '_>| f4f::write_fragment(video, audio, origin_ns);
    let fragment = py.detach(|| with_pieces(video, audio, write));
    Ok(PyBytes::new(py, &fragment.map_err(raise)?))
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

/// A track of a remuxed segment: the CMAF header of its configuration, and the stored fragments.
struct Source<'a> {
    init: Option<&'a [u8]>,
    ranges: Vec<StoredRange>,
}

type Pieces<'a, 'b> = Option<&'a [Piece<'b>]>;

enum Fault {
    Read(ReadError),
    Core(Error),
}

impl<'a> Source<'a> {
    fn new(init: Option<&'a [u8]>, ranges: Vec<StoredRange>) -> Self {
        Self { init, ranges }
    }

    /// The track, and the bytes of its fragments; `None` when the presentation has no such track.
    fn load(self) -> std::result::Result<Option<(Track, Vec<u8>)>, Fault> {
        let Some(init) = self.init else { return Ok(None) };
        let track = parse_init(init).map_err(Fault::Core)?.track;
        let data = read_all(&convert(self.ranges)).map_err(Fault::Read)?;
        Ok(Some((track, data)))
    }
}

/// Reads and parses both sources and lets `write` make one output of them.
fn with_pieces(
    video: Source<'_>,
    audio: Source<'_>,
    write: impl FnOnce(Pieces<'_, '_>, Pieces<'_, '_>) -> Result<Vec<u8>>,
) -> std::result::Result<Vec<u8>, Fault> {
    let (video, audio) = (video.load()?, audio.load()?);
    let video_chunks = video.as_ref().map(|(_, data)| parse_all(data)).transpose().map_err(Fault::Core)?;
    let audio_chunks = audio.as_ref().map(|(_, data)| parse_all(data)).transpose().map_err(Fault::Core)?;
    let video_pieces = video.as_ref().zip(video_chunks.as_ref()).map(|((track, _), chunks)| pieces(track, chunks));
    let audio_pieces = audio.as_ref().zip(audio_chunks.as_ref()).map(|((track, _), chunks)| pieces(track, chunks));
    write(video_pieces.as_deref(), audio_pieces.as_deref()).map_err(Fault::Core)
}

fn pieces<'a>(track: &'a Track, chunks: &'a [StoredChunk<'a>]) -> Vec<Piece<'a>> {
    let piece = |chunk: &'a StoredChunk<'a>| Piece {
        codec: &track.codec,
        timescale: track.timescale,
        decode_time: chunk.decode_time,
        samples: &chunk.samples,
        payload: chunk.payload,
    };
    chunks.iter().map(piece).collect()
}

/// `head` and the payloads of `chunks` in one `bytes`, each copied once.
fn join<'py>(py: Python<'py>, head: &[u8], chunks: &[StoredChunk<'_>]) -> PyResult<Bound<'py, PyBytes>> {
    let parts = || std::iter::once(head).chain(chunks.iter().map(|chunk| chunk.payload));
    let size = parts().try_fold(0usize, |sum, part| sum.checked_add(part.len()));
    let size = size.ok_or_else(|| PyOverflowError::new_err("the fragment is too large"))?;
    PyBytes::new_with(py, size, |target| {
        let mut rest = target;
        for part in parts() {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        Ok(())
    })
}

fn raise(fault: Fault) -> PyErr {
    match fault {
        Fault::Read(error) => read_error(error),
        Fault::Core(error) => core_error(&error),
    }
}
