//! The head of a downloaded movie: `ftyp`, a `moov` of several stored tracks, and a `sidx` over the fragments behind it.
//!
//! In: the CMAF headers of the tracks, the sizes of what follows. Out: the bytes in front of the stored fragments. Never: a sample.
//!
//! Stored times count from the channel's anchor, half a century ago for some. In the movie they count from its start, by the same media time
//! in every track, so that picture and sound stay where they are to each other. An edit list would say so without touching a fragment, but
//! players differ in what they make of it in front of fragments (ffmpeg 5 takes it for the duration, and seeks in vain): so [`tfdt_time`]
//! finds the eight bytes that are to be another time.

use crate::bmff::scan::boxes;
use crate::bmff::tfdt::Tfdt;
use crate::bmff::{mvhd, put_full_box};
use crate::error::{Error, Result};
use crate::wire::Writer;

/// What `sidx` says (ISO 14496-12 8.16.3): one track's subsegments, with all that the other tracks have beside them.
#[derive(Debug, Clone, Copy)]
pub struct Index<'a> {
    /// Number of the track.
    pub track_id: u32,
    /// Its ticks per second.
    pub timescale: u32,
    /// Presentation time of the first subsegment.
    pub start: u64,
    /// (bytes, ticks) of each subsegment; each starts with a key frame of the track.
    pub entries: &'a [(u32, u32)],
}

/// Writes all that stands in front of the first fragment, of the CMAF headers of all tracks. Without entries there is no index.
pub fn write_head(inits: &[&[u8]], duration_ms: u64, index: Index<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(1024 * inits.len() + 12 * index.entries.len() + 256);
    out.put_box(*b"ftyp", |out| out.put(b"iso6\0\0\0\0iso6mp41dash"));
    let mut tracks = Vec::with_capacity(inits.len());
    for init in inits {
        let moov = child(init, *b"moov")?;
        tracks.push((child(moov, *b"trak")?, child(child(moov, *b"mvex")?, *b"trex")?));
    }
    out.put_box(*b"moov", |out| {
        mvhd::write(out, MOVIE_TIMESCALE, u32::MAX, 0);
        for (trak, _) in &tracks {
            out.put_box(*b"trak", |out| out.put(trak));
        }
        out.put_box(*b"mvex", |out| {
            put_full_box(out, *b"mehd", 1, 0, |out| out.put_u64(duration_ms));
            for (_, trex) in &tracks {
                out.put_box(*b"trex", |out| out.put(trex));
            }
        });
    });
    if !index.entries.is_empty() {
        write_index(&mut out, index)?;
    }
    Ok(out)
}

/// The decode time of a stored chunk, and where its eight bytes are in the body of its `moof`.
pub fn tfdt_time(moof: &[u8]) -> Result<(usize, u64)> {
    for traf in boxes(moof) {
        let traf = traf?;
        if &traf.kind != b"traf" {
            continue;
        }
        for found in boxes(traf.body) {
            let found = found?;
            if &found.kind == b"tfdt" {
                let parsed = Tfdt::parse(found.body)?;
                if !parsed.wide {
                    return Err(Error::new("TFDT_VERSION", 0, "a stored chunk has a time of 64 bits"));
                }
                return Ok((traf.offset as usize + found.offset as usize + 4, parsed.time));
            }
        }
    }
    Err(missing(*b"tfdt"))
}

fn write_index(out: &mut Vec<u8>, index: Index<'_>) -> Result<()> {
    let count = u16::try_from(index.entries.len())
        .map_err(|_| Error::new("INDEX_SIZE", 0, format!("{} subsegments", index.entries.len())))?;
    if let Some((size, _)) = index.entries.iter().find(|(size, _)| size >> 31 != 0) {
        return Err(Error::new("INDEX_SIZE", 0, format!("a subsegment of {size} bytes")));
    }
    put_full_box(out, *b"sidx", 1, 0, |out| {
        out.put_u32(index.track_id);
        out.put_u32(index.timescale);
        out.put_u64(index.start);
        out.put_u64(0); // the first fragment follows
        out.put_u16(0);
        out.put_u16(count);
        for (size, duration) in index.entries {
            out.put_u32(*size);
            out.put_u32(*duration);
            out.put_u32(STARTS_WITH_SAP_1);
        }
    });
    Ok(())
}

fn child(data: &[u8], kind: [u8; 4]) -> Result<&[u8]> {
    for found in boxes(data) {
        let found = found?;
        if found.kind == kind {
            return Ok(found.body);
        }
    }
    Err(missing(kind))
}

fn missing(kind: [u8; 4]) -> Error {
    Error::new("BOX_MISSING", 0, format!("no {}", String::from_utf8_lossy(&kind)))
}

const MOVIE_TIMESCALE: u32 = 1000;
const STARTS_WITH_SAP_1: u32 = 0x9000_0000;
