//! What became of the streams of a replay.

use pyo3::prelude::*;
use pypackager_pump::replay::{self as inner, Phase};
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of one stream so far.
#[pyclass(frozen, get_all, module = "pypackager._core")]
pub struct StreamStats {
    url: String,
    phase: &'static str,
    bytes: u64,
    samples: u64,
    units: u64,
    resent: u64,
    media_seconds: f64,
    late_ms: f64,
    reconnects: u64,
    away_seconds: f64,
    longest_away_seconds: f64,
    /// Name, media seconds, seconds since 1970.
    injected: Vec<(&'static str, f64, f64)>,
    /// Text, seconds since 1970.
    answers: Vec<(String, f64)>,
    code: String,
    detail: String,
}

impl From<inner::StreamStats> for StreamStats {
    fn from(stats: inner::StreamStats) -> Self {
        let phase = match stats.phase {
            Phase::Opening => "opening",
            Phase::Open => "open",
            Phase::Playing => "playing",
            Phase::Away => "away",
            Phase::Closing => "closing",
            Phase::Done => "done",
            Phase::Failed => "failed",
        };
        let (code, detail) = stats.fault.map_or_else(Default::default, |fault| (fault.code.to_owned(), fault.detail));
        let injected = stats.injected.into_iter().map(|one| (one.name, one.media_time as f64 / 1e9, unix(one.wall)));
        Self {
            url: stats.url,
            phase,
            bytes: stats.bytes,
            samples: stats.samples,
            units: stats.units,
            resent: stats.resent,
            media_seconds: stats.media_time as f64 / 1e9,
            late_ms: stats.late as f64 / 1e3,
            reconnects: stats.reconnects,
            away_seconds: stats.away.as_secs_f64(),
            longest_away_seconds: stats.longest_away.as_secs_f64(),
            injected: injected.collect(),
            answers: stats.said.into_iter().map(|said| (said.text, unix(said.wall))).collect(),
            code,
            detail,
        }
    }
}

fn unix(wall: SystemTime) -> f64 {
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
