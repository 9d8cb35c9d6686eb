//! Replaying a stretch of a journal.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pypackager_core::journal::{Blob, Fold, Fragment, Lane, Part};

type Numbers = (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64);

/// What a stretch did to the ledger.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct Folded {
    end: usize,
    records: u64,
    refused: u64,
    edges: u64,
    tracks: Vec<Py<FoldedTrack>>,
    opened: Vec<(i64, i64, String, i64)>,
    used: Vec<i64>,
    checkpoint: Option<i64>,
    recent: Vec<(usize, Numbers)>,
    media: Option<Vec<(i64, i64)>>,
    before_ns: i128,
}

/// A track behind a stretch.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct FoldedTrack {
    number: i64,
    last_time: i64,
    last_end: i64,
    begun: i64,
    reached: i64,
    segment: i64,
    config: i64,
    discontinuity: i64,
    pending: Vec<Numbers>,
    rows: Py<PyBytes>,
}

/// `Track` of the ledger.
#[derive(FromPyObject)]
pub struct TrackState<'py> {
    info: Info,
    configs: Bound<'py, PyDict>,
    last_time: i64,
    last_end: i64,
    begun: i64,
    reached: i64,
    segment: i64,
    config: i64,
    discontinuity: i64,
    pending: Bound<'py, PyDict>,
}

#[derive(FromPyObject)]
struct Info {
    number: i64,
    timescale: i64,
    kind: String,
}

/// `FragmentWritten`.
#[derive(FromPyObject)]
struct Written {
    track: i64,
    time: i64,
    duration: i64,
    blob: i64,
    offset: i64,
    size: i64,
    config: i64,
    flags: i64,
    crc: i64,
    samples: i64,
    index: i64,
}

/// `Period`.
#[derive(FromPyObject)]
pub struct PeriodState {
    number: i64,
    part: i64,
    start_ns: i64,
    members: Option<Vec<MemberState>>,
}

#[derive(FromPyObject)]
struct MemberState {
    track: i64,
}

/// Folds records of a journal file from `at` on.
#[pyfunction]
pub fn fold_journal(
    py: Python<'_>,
    data: &[u8],
    at: usize,
    tracks: Vec<TrackState<'_>>,
    part: Option<PeriodState>,
    usual_ns: i64,
    known: Vec<i64>,
) -> PyResult<Folded> {
    let lanes = tracks.into_iter().map(lane).collect::<PyResult<_>>()?;
    let part = part.map(|part| Part {
        period: part.number,
        part: part.part,
        start_ns: part.start_ns,
        members: part.members.map(|members| members.into_iter().map(|member| member.track).collect()),
        usual_ns,
    });
    let mut fold = Fold { lanes, part, known: known.into_iter().collect(), ..Fold::default() };
    py.detach(|| fold.run(data, at));
    Ok(Folded {
        end: fold.end,
        records: fold.records,
        refused: fold.refused,
        edges: fold.edges,
        tracks: fold.lanes.into_iter().map(|lane| folded(py, lane)).collect::<PyResult<_>>()?,
        opened: fold
            .opened
            .into_iter()
            .map(|Blob { number, track, name, config }| (number, track, name, config))
            .collect(),
        used: fold.used.into_iter().collect(),
        checkpoint: fold.checkpoint,
        recent: fold.recent.into_iter().map(|(end, fragment)| (end, numbers(fragment))).collect(),
        media: fold.media,
        before_ns: fold.before_ns,
    })
}

fn lane(track: TrackState<'_>) -> PyResult<Lane> {
    let pending = track.pending.values().iter().map(|one| {
        let Written { track, time, duration, blob, offset, size, config, flags, crc, samples, index } =
            one.extract()?;
        Ok(Fragment { track, time, duration, blob, offset, size, config, flags, crc, samples, index })
    });
    Ok(Lane {
        number: track.info.number,
        timescale: track.info.timescale.max(1),
        video: track.info.kind == "video",
        configs: track.configs.keys().extract()?,
        last_time: track.last_time,
        last_end: track.last_end,
        begun: track.begun,
        reached: track.reached,
        segment: track.segment,
        config: track.config,
        discontinuity: track.discontinuity,
        pending: pending.collect::<PyResult<_>>()?,
        ..Lane::default()
    })
}

fn folded(py: Python<'_>, lane: Lane) -> PyResult<Py<FoldedTrack>> {
    let cells = lane.columns.iter().flatten();
    let rows = PyBytes::new_with(py, cells.clone().count() * 8, |bytes| {
        for (to, cell) in bytes.chunks_exact_mut(8).zip(cells) {
            to.copy_from_slice(&cell.to_ne_bytes());
        }
        Ok(())
    })?;
    let track = FoldedTrack {
        number: lane.number,
        last_time: lane.last_time,
        last_end: lane.last_end,
        begun: lane.begun,
        reached: lane.reached,
        segment: lane.segment,
        config: lane.config,
        discontinuity: lane.discontinuity,
        pending: lane.pending.into_iter().map(numbers).collect(),
        rows: rows.unbind(),
    };
    Py::new(py, track)
}

fn numbers(one: Fragment) -> Numbers {
    let Fragment { track, time, duration, blob, offset, size, config, flags, crc, samples, index } = one;
    (track, time, duration, blob, offset, size, config, flags, crc, samples, index)
}
