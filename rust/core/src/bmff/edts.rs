//! `edts` with `elst` (ISO 14496-12 8.6.5, 8.6.6): where a track's media sits on the presentation timeline.
//!
//! Only read: stored tracks carry none, because players honour edit lists of live tracks or not, as they please; the shift is in the times.

use super::scan::boxes;
use super::version_and_flags;
use crate::error::{Error, Result};
use crate::time::rescale;
use crate::wire::Reader;

/// How the first edits move media onto the presentation timeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Edit {
    /// Empty time in front, in ticks of the movie.
    pub empty: i64,
    /// Media time presented first, in ticks of the track.
    pub media_time: i64,
}

impl Edit {
    /// Parses an `edts` body. Edits behind the first one that shows media are no part of a live track and are ignored.
    pub fn parse(body: &[u8]) -> Result<Self> {
        for found in boxes(body) {
            let found = found?;
            if &found.kind == b"elst" {
                return parse_list(found.body).map_err(|error| found.locate(error));
            }
        }
        Ok(Self::default())
    }

    /// What is added to a media time to place it on the presentation timeline, in ticks of the track.
    pub fn shift(&self, movie_timescale: u32, timescale: u32) -> i64 {
        rescale(self.empty, movie_timescale, timescale).saturating_sub(self.media_time)
    }
}

fn parse_list(body: &[u8]) -> Result<Edit> {
    let mut reader = Reader::new(body);
    let (version, _) = version_and_flags(&mut reader)?;
    let count = reader.u32()?;
    let mut edit = Edit::default();
    for _ in 0..count {
        let at = reader.position() as u64;
        let (duration, media_time) = if version == 1 {
            (reader.u64()?, reader.u64()? as i64)
        } else {
            (u64::from(reader.u32()?), i64::from(reader.u32()? as i32))
        };
        reader.skip(4)?; // media_rate
        // Beyond a year in any timescale the value is an accident and would overflow later sums.
        if duration > LONGEST || media_time.unsigned_abs() > LONGEST {
            return Err(Error::new("EDIT_LIST", at, format!("edit of {duration} ticks at {media_time}")));
        }
        if media_time == -1 {
            edit.empty = (edit.empty + duration as i64).min(LONGEST as i64);
        } else {
            edit.media_time = media_time;
            break;
        }
    }
    Ok(edit)
}

const LONGEST: u64 = 1 << 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    fn list(entries: &[(u32, i32)]) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_box(*b"elst", |out| {
            out.put_u32(0);
            out.put_u32(entries.len() as u32);
            for &(duration, media_time) in entries {
                out.put_u32(duration);
                out.put_u32(media_time as u32);
                out.put_u32(0x1_0000);
            }
        });
        out
    }

    #[test]
    fn an_empty_edit_adds_and_a_media_time_subtracts() {
        let edit = Edit::parse(&list(&[(1000, -1), (0, 1024), (5, 9)])).unwrap();
        assert_eq!(edit, Edit { empty: 1000, media_time: 1024 });
        assert_eq!(edit.shift(1000, 48_000), 48_000 - 1024);
        assert_eq!(Edit::parse(&[]).unwrap().shift(1000, 48_000), 0);
        let edit = Edit { empty: LONGEST as i64, media_time: -(LONGEST as i64) };
        assert_eq!(edit.shift(1, u32::MAX), i64::MAX);
    }

    #[test]
    fn a_list_shorter_than_announced_is_refused() {
        let mut bytes = list(&[(0, -1)]);
        bytes[15] = 2;
        let error = Edit::parse(&bytes).unwrap_err();
        assert_eq!((error.code, error.path.as_str()), ("TRUNCATED", "elst"));
    }
}
