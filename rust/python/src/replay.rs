//! Replay of recorded tracks to an ingest.

use crate::error::core_error;
use crate::header::TrackHeader;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pypackager_pump::replay::{self as inner, MaterialError, Options, Phase, Stream, Target, read_tracks};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One track of a recording, in memory.
#[pyclass(frozen, module = "pypackager._core")]
pub struct RecordedTrack(Arc<inner::Track>);

#[pymethods]
impl RecordedTrack {
    #[getter]
    fn header(&self) -> TrackHeader {
        TrackHeader(self.0.header.clone())
    }

    #[getter]
    fn samples(&self) -> usize {
        self.0.chunks.iter().map(|chunk| chunk.samples.len()).sum()
    }

    #[getter]
    fn size(&self) -> usize {
        self.0.chunks.iter().map(|chunk| chunk.payload.len()).sum()
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.0.end().saturating_sub(self.0.start()) as f64 / f64::from(self.0.header.timescale.max(1))
    }

    #[getter]
    fn bitrate(&self) -> u32 {
        self.0.measured_bitrate()
    }

    fn __repr__(&self) -> String {
        let header = &self.0.header;
        format!("RecordedTrack(number={}, language='{}', bitrate={})", header.number, header.language, self.bitrate())
    }
}

/// Every track of a fragmented MP4 file; `None` when the file is MP4 without fragments.
#[pyfunction]
pub fn read_recording(py: Python<'_>, path: PathBuf) -> PyResult<Option<Vec<RecordedTrack>>> {
    match py.detach(|| read_tracks(&path)) {
        Ok(tracks) => Ok(Some(tracks.into_iter().map(|track| RecordedTrack(Arc::new(track))).collect())),
        Err(MaterialError::NotFragmented) => Ok(None),
        Err(MaterialError::Media(error)) => Err(core_error(&error)),
        Err(MaterialError::System(error)) => Err(error.into()),
    }
}

/// What became of one stream so far.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct StreamStats {
    url: String,
    phase: &'static str,
    bytes: u64,
    samples: u64,
    media_seconds: f64,
    late_ms: f64,
    code: String,
    detail: String,
}

/// Many streams played from one thread.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Replay(inner::Replay);

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(signature = (streams, *, speed=1.0, seconds=None, repeat=false, patience=10.0))]
    fn new(
        py: Python<'_>,
        streams: Vec<(String, Py<RecordedTrack>, String)>,
        speed: f64,
        seconds: Option<f64>,
        repeat: bool,
        patience: f64,
    ) -> PyResult<Self> {
        if !speed.is_finite() || speed < 0.0 {
            return Err(PyValueError::new_err(format!("speed {speed} is not a number from 0 on")));
        }
        let streams: Vec<_> =
            streams.into_iter().map(|(url, track, name)| (url, Arc::clone(&track.get().0), name)).collect();
        let streams = py.detach(|| {
            let resolve =
                |(url, track, name): (String, _, _)| Target::parse(&url).map(|target| Stream { target, track, name });
            streams.into_iter().map(resolve).collect::<Result<Vec<_>, _>>()
        });
        let streams = streams.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let duration = seconds.map(duration_of).transpose()?;
        let options = Options { speed, duration, repeat, patience: duration_of(patience)? };
        Ok(Self(inner::Replay::new(streams, options)?))
    }

    fn run(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.0.run())?)
    }

    fn stop(&self) {
        self.0.stop();
    }

    fn stats(&self) -> Vec<StreamStats> {
        self.0.stats().into_iter().map(StreamStats::from).collect()
    }
}

impl From<inner::StreamStats> for StreamStats {
    fn from(stats: inner::StreamStats) -> Self {
        let phase = match stats.phase {
            Phase::Opening => "opening",
            Phase::Open => "open",
            Phase::Playing => "playing",
            Phase::Closing => "closing",
            Phase::Done => "done",
            Phase::Failed => "failed",
        };
        let (code, detail) = stats.fault.map_or_else(Default::default, |fault| (fault.code.to_owned(), fault.detail));
        Self {
            url: stats.url,
            phase,
            bytes: stats.bytes,
            samples: stats.samples,
            media_seconds: stats.media_time as f64 / 1e9,
            late_ms: stats.late as f64 / 1e3,
            code,
            detail,
        }
    }
}

fn duration_of(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("{seconds} s: {error}")))
}
