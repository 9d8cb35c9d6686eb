//! Replay of recorded tracks to an ingest.

use crate::error::core_error;
use crate::header::TrackHeader;
use crate::replay_stats::StreamStats;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pypackager_pump::replay::{
    self as inner, Broken, Injection, MaterialError, Options, Stream, Target, Trust, What, read_tracks,
};
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

/// A fault: which stream has it, its name, its number, whether streams draw apart, seconds (from, within, every), and its value: seconds,
/// bytes or a count.
type Stated = (usize, String, u32, bool, (f64, f64, f64), f64);

/// Many streams played from one thread.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Replay(inner::Replay);

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(signature = (streams, *, speed=1.0, seconds=None, repeat=false, patience=10.0, give_up=None, resend=2, synchronised=false, rtmp_keeps=false, seed=0, broken=Vec::new(), faults=Vec::new(), ca=None, insecure=false, identity=None))]
    #[allow(clippy::too_many_arguments, clippy::similar_names, clippy::fn_params_excessive_bools)] // keywords, each with its default
    fn new(
        py: Python<'_>,
        streams: Vec<(String, Py<RecordedTrack>, String)>,
        speed: f64,
        seconds: Option<f64>,
        repeat: bool,
        patience: f64,
        give_up: Option<f64>,
        resend: usize,
        synchronised: bool,
        rtmp_keeps: bool,
        seed: u64,
        broken: Vec<String>,
        faults: Vec<Stated>,
        ca: Option<PathBuf>,
        insecure: bool,
        identity: Option<(PathBuf, PathBuf)>,
    ) -> PyResult<Self> {
        if !speed.is_finite() || speed < 0.0 {
            return Err(PyValueError::new_err(format!("speed {speed} is not a number from 0 on")));
        }
        let streams: Vec<_> =
            streams.into_iter().map(|(url, track, name)| (url, Arc::clone(&track.get().0), name)).collect();
        let trust = Trust::new(ca, insecure, identity);
        let streams = py.detach(|| {
            let resolve = |(url, track, name): (String, _, _)| {
                Target::parse_trusting(&url, &trust).map(|target| Stream { target, track, name, faults: Vec::new() })
            };
            streams.into_iter().map(resolve).collect::<Result<Vec<_>, _>>()
        });
        let mut streams = streams.map_err(|error| PyValueError::new_err(error.to_string()))?;
        for fault in faults {
            let unknown = || PyValueError::new_err(format!("no stream has the number {}", fault.0));
            streams.get_mut(fault.0).ok_or_else(unknown)?.faults.push(injection(&fault)?);
        }
        let options = Options {
            speed,
            duration: seconds.map(duration_of).transpose()?,
            repeat,
            patience: duration_of(patience)?,
            give_up: give_up.map(duration_of).transpose()?,
            resend,
            synchronised,
            rtmp_keeps,
            seed,
            broken: broken_rules(&broken)?,
        };
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

fn injection((_, name, number, apart, (from, within, every), value): &Stated) -> PyResult<Injection> {
    let value = *value;
    let lasting = || duration_of(value);
    let what = match name.as_str() {
        "cut" => What::Cut(lasting()?),
        "hangup" => What::Hangup(lasting()?),
        // A byte of 0 is none: a drawn one.
        "truncate" => What::Truncate((value > 0.0).then_some(value as u64)),
        "vanish" => What::Vanish,
        "kill" => What::Kill(lasting()?),
        "restart" => What::Restart(lasting()?),
        "stall" => What::Stall(lasting()?),
        "slow" => What::Slow(lasting()?),
        "late-start" => What::Late,
        "dup" => What::Repeat(value as u32),
        "drop" => What::Drop(lasting()?),
        "reorder" => What::Reorder,
        "jump" => What::Jump((value * 1000.0).round() as i64),
        "garbage" => What::Garbage(value as u32),
        _ => return Err(PyValueError::new_err(format!("no fault is called {name:?}"))),
    };
    let (from, within, every) = (duration_of(*from)?, duration_of(*within)?, duration_of(*every)?);
    Ok(Injection { what, number: *number, apart: *apart, from, within, every })
}

fn broken_rules(names: &[String]) -> PyResult<Broken> {
    let mut broken = Broken::default();
    for name in names {
        let rule = match name.as_str() {
            "probe" => &mut broken.probe,
            "headers" => &mut broken.headers,
            "timeout" => &mut broken.timeout,
            "end" => &mut broken.end,
            "idle" => &mut broken.idle,
            _ => return Err(PyValueError::new_err(format!("no rule is called {name:?}"))),
        };
        *rule = true;
    }
    Ok(broken)
}

fn duration_of(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("{seconds} s: {error}")))
}
