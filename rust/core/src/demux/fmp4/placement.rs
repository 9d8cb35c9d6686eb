//! Where the samples of a `moof` lie in the `mdat` behind it (ISO 14496-12 8.8.7, 8.8.8).

use crate::bmff::tfhd::Base;
use crate::error::{Error, Result};

/// The data of one `trun`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Number of the track fragment in its `moof`.
    pub traf: usize,
    /// The chunk that takes the bytes; `None` when the track is unknown.
    pub part: Option<usize>,
    pub base: Base,
    pub data_offset: Option<i32>,
    pub length: u64,
}

/// Consecutive bytes of the `mdat` payload that go to one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Counted from the first byte of the payload.
    pub start: u64,
    pub length: u64,
    pub part: usize,
}

/// Finds the segments of `runs` in an `mdat` whose payload spans `payload..end` of the stream, in the order in which they arrive.
///
/// A run without data offset follows the one before; the first follows the `mdat` header, which is what Smooth encoders mean by leaving
/// it out. Runs of a track must come in the order of its samples, and no byte may belong to two.
pub(super) fn segments(runs: &[Run], moof: u64, payload: u64, end: u64) -> Result<Vec<Segment>> {
    let mut segments = Vec::with_capacity(runs.len());
    let (mut cursor, mut base, mut traf) = (i128::from(payload), 0, None);
    let parts = runs.iter().filter_map(|run| run.part).max().map_or(0, |last| last + 1);
    let mut end_of_part = vec![0i128; parts];
    for run in runs {
        if traf != Some(run.traf) {
            base = match run.base {
                Base::Stream(position) => i128::from(position),
                Base::Moof => i128::from(moof),
                Base::Implied if traf.is_none() => i128::from(moof),
                Base::Implied => cursor,
            };
            if let (Base::Stream(position), None) = (run.base, run.data_offset) {
                cursor = i128::from(position);
            }
            traf = Some(run.traf);
        }
        let start = run.data_offset.map_or(cursor, |offset| base + i128::from(offset));
        cursor = start + i128::from(run.length);
        let Some(part) = run.part.filter(|_| run.length != 0) else { continue };
        if start < i128::from(payload) || cursor > i128::from(end) {
            let detail = format!("samples at {start}..{cursor}, the mdat has {payload}..{end}");
            return Err(Error::new("SAMPLE_OUTSIDE_MDAT", moof, detail));
        }
        if start < end_of_part[part] {
            return Err(Error::new("SAMPLE_ORDER", moof, format!("a run at {start} lies before the run it follows")));
        }
        end_of_part[part] = cursor;
        segments.push(Segment { start: (start - i128::from(payload)) as u64, length: run.length, part });
    }
    segments.sort_by_key(|segment| segment.start);
    match segments.windows(2).find(|pair| pair[0].start + pair[0].length > pair[1].start) {
        Some(pair) => Err(Error::new("SAMPLE_ORDER", moof, format!("two runs share the byte at {}", pair[1].start))),
        None => Ok(segments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(traf: usize, base: Base, data_offset: Option<i32>, length: u64) -> Run {
        Run { traf, part: Some(traf), base, data_offset, length }
    }

    /// A `moof` at 100 of 50 bytes, an `mdat` payload at 158..258.
    fn place(runs: &[Run]) -> Result<Vec<(u64, u64, usize)>> {
        let found = segments(runs, 100, 158, 258)?;
        Ok(found.into_iter().map(|segment| (segment.start, segment.length, segment.part)).collect())
    }

    #[test]
    fn every_way_to_say_where_data_lies() {
        let table = [
            (vec![run(0, Base::Moof, Some(58), 40), run(1, Base::Moof, Some(98), 60)], vec![(0, 40, 0), (40, 60, 1)]),
            (vec![run(0, Base::Moof, Some(118), 40), run(1, Base::Moof, Some(58), 60)], vec![(0, 60, 1), (60, 40, 0)]),
            (vec![run(0, Base::Implied, None, 40), run(1, Base::Implied, None, 60)], vec![(0, 40, 0), (40, 60, 1)]),
            (
                vec![run(0, Base::Implied, Some(58), 40), run(1, Base::Implied, Some(2), 50)],
                vec![(0, 40, 0), (42, 50, 1)],
            ),
            (vec![run(0, Base::Moof, Some(58), 10), run(0, Base::Moof, None, 20)], vec![(0, 10, 0), (10, 20, 0)]),
            (
                vec![run(0, Base::Stream(158), None, 10), run(0, Base::Stream(158), Some(50), 5)],
                vec![(0, 10, 0), (50, 5, 0)],
            ),
        ];
        for (runs, expected) in table {
            assert_eq!(place(&runs).unwrap(), expected, "{runs:?}");
        }
    }

    #[test]
    fn impossible_places_are_refused() {
        let table = [
            (vec![run(0, Base::Moof, Some(57), 1)], "SAMPLE_OUTSIDE_MDAT"),
            (vec![run(0, Base::Moof, Some(58), 101)], "SAMPLE_OUTSIDE_MDAT"),
            (vec![run(0, Base::Moof, Some(i32::MIN), 1)], "SAMPLE_OUTSIDE_MDAT"),
            (vec![run(0, Base::Stream(u64::MAX), Some(i32::MAX), u64::MAX)], "SAMPLE_OUTSIDE_MDAT"),
            (vec![run(0, Base::Moof, Some(68), 10), run(0, Base::Moof, Some(58), 10)], "SAMPLE_ORDER"),
            (vec![run(0, Base::Moof, Some(58), 10), run(1, Base::Moof, Some(67), 10)], "SAMPLE_ORDER"),
        ];
        for (runs, code) in table {
            assert_eq!(place(&runs).unwrap_err().code, code, "{runs:?}");
        }
    }
}
