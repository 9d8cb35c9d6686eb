//! The head of a progressive movie (ISO 14496-12 with `moov` first): `ftyp`, `moov` with sample tables, the header of one `mdat`.
//!
//! In: the CMAF headers of the tracks, their sample tables, the order of their chunks. Out: the bytes in front of the media, which follows in
//! that order as it is stored. Never: media, a sample description of its own.
//!
//! Time zero is the earliest presentation of all tracks. An edit list says how much later another begins, and which composition time is the
//! first to be shown; it is there only where it says something.

use super::samples::Samples;
use crate::bmff::scan::{Found, boxes};
use crate::bmff::{mdhd::Mdhd, mvhd, put_full_box};
use crate::error::{Error, Result};
use crate::wire::Writer;

/// One track of the movie.
#[derive(Debug, Clone, Copy)]
pub struct Track<'a> {
    /// Its CMAF header.
    pub init: &'a [u8],
    /// Its ticks per second.
    pub timescale: u32,
    /// Its samples.
    pub samples: &'a Samples,
}

/// When and how long a track is shown, in ticks of the movie.
struct Shown {
    empty: u32,
    duration: u32,
}

/// Writes all that stands in front of the media.
///
/// `order` has the number of the track of each chunk, as they follow each other in the file.
pub fn write_head(tracks: &[Track<'_>], order: &[u32]) -> Result<Vec<u8>> {
    let shown = shown(tracks)?;
    let (mut offsets, mut media) = (vec![Vec::new(); tracks.len()], 0);
    let mut sizes: Vec<_> = tracks.iter().map(|track| track.samples.chunk_bytes()).collect();
    for &track in order {
        let size =
            sizes.get_mut(track as usize).and_then(Iterator::next).ok_or_else(|| refused("a chunk of no track"))?;
        offsets[track as usize].push(media);
        media += size;
    }
    let mut out = Vec::new();
    write_boxes(&mut out, tracks, &shown, &offsets)?;
    let start = out.len() as u64 + MDAT_HEADER;
    offsets.iter_mut().flatten().for_each(|offset| *offset += start);
    out.clear();
    write_boxes(&mut out, tracks, &shown, &offsets)?;
    out.put_u32(1); // a size of 64 bits follows
    out.put(b"mdat");
    out.put_u64(media + MDAT_HEADER);
    Ok(out)
}

fn write_boxes(out: &mut Vec<u8>, tracks: &[Track<'_>], shown: &[Shown], offsets: &[Vec<u64>]) -> Result<()> {
    out.put_box(*b"ftyp", |out| out.put(b"isom\0\0\x02\0isomiso2avc1mp41"));
    let mut result = Ok(());
    out.put_box(*b"moov", |out| {
        let duration = shown.iter().map(|each| each.empty + each.duration).max().unwrap_or(0);
        mvhd::write(out, MOVIE_TIMESCALE, u32::MAX, duration);
        for ((track, shown), offsets) in tracks.iter().zip(shown).zip(offsets) {
            out.put_box(*b"trak", |out| {
                let writing = Writing { track, shown, offsets };
                result = child(track.init, *b"moov")
                    .and_then(|moov| child(moov, *b"trak"))
                    .and_then(|trak| writing.copy(out, trak));
            });
            if result.is_err() {
                return;
            }
        }
    });
    result
}

/// Copies a stored `trak` with the tables and durations of the movie.
struct Writing<'a> {
    track: &'a Track<'a>,
    shown: &'a Shown,
    offsets: &'a [u64],
}

impl Writing<'_> {
    fn copy(&self, out: &mut Vec<u8>, body: &[u8]) -> Result<()> {
        for found in boxes(body) {
            self.copy_box(out, &found?)?;
        }
        Ok(())
    }

    fn copy_box(&self, out: &mut Vec<u8>, found: &Found<'_>) -> Result<()> {
        let mut result = Ok(());
        match &found.kind {
            b"tkhd" => {
                self.put_tkhd(out, found.body)?;
                self.put_edits(out);
            }
            b"mdhd" => Mdhd::parse(found.body)?.write(out, self.track.samples.duration()),
            b"mdia" | b"minf" => out.put_box(found.kind, |out| result = self.copy(out, found.body)),
            b"stbl" => out.put_box(*b"stbl", |out| {
                result = child(found.body, *b"stsd").map(|stsd| {
                    out.put_box(*b"stsd", |out| out.put(stsd));
                    self.track.samples.write(out, self.offsets);
                });
            }),
            _ => out.put_box(found.kind, |out| out.put(found.body)),
        }
        result
    }

    fn put_tkhd(&self, out: &mut Vec<u8>, body: &[u8]) -> Result<()> {
        let (before, behind) = body.split_at_checked(TKHD_DURATION).ok_or_else(|| refused("a tkhd that ends early"))?;
        let behind = behind.get(4..).filter(|_| before[0] == 0).ok_or_else(|| refused("a tkhd of another version"))?;
        out.put_box(*b"tkhd", |out| {
            out.put(before);
            out.put_u32(self.shown.empty + self.shown.duration);
            out.put(behind);
        });
        Ok(())
    }

    fn put_edits(&self, out: &mut Vec<u8>) {
        let media_time = self.track.samples.media_time() as u32;
        if self.shown.empty == 0 && media_time == 0 {
            return;
        }
        out.put_box(*b"edts", |out| {
            put_full_box(out, *b"elst", 0, 0, |out| {
                let empty = (self.shown.empty, u32::MAX); // nothing of the media
                let edits = [empty, (self.shown.duration, media_time)];
                let edits = &edits[usize::from(empty.0 == 0)..];
                out.put_u32(edits.len() as u32);
                for (duration, media_time) in edits {
                    out.put_u32(*duration);
                    out.put_u32(*media_time);
                    out.put_u32(0x1_0000); // rate 1.0
                }
            });
        });
    }
}

fn shown(tracks: &[Track<'_>]) -> Result<Vec<Shown>> {
    // Seconds as a fraction: no time is rounded before the difference is taken.
    let start = |track: &Track<'_>| (i128::from(track.samples.earliest()), i128::from(track.timescale.max(1)));
    let first = tracks.iter().map(start).min_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1))).unwrap_or((0, 1));
    let fits = |ticks: i128| {
        let error =
            || Error::new("MOVIE_TIMES", 0, "it is too long for the sample tables of one file").with_status(409);
        u32::try_from(ticks).map_err(|_| error())
    };
    tracks
        .iter()
        .map(|track| {
            let (at, scale) = start(track);
            let empty = scaled(at * first.1 - first.0 * scale, scale * first.1);
            let duration = scaled(i128::from(track.samples.shown()), scale);
            fits(empty + duration)?;
            Ok(Shown { empty: fits(empty)?, duration: fits(duration)? })
        })
        .collect()
}

/// Ticks of the movie, to the nearest.
fn scaled(ticks: i128, scale: i128) -> i128 {
    (ticks * i128::from(MOVIE_TIMESCALE) + scale / 2).div_euclid(scale)
}

fn child(data: &[u8], kind: [u8; 4]) -> Result<&[u8]> {
    for found in boxes(data) {
        let found = found?;
        if found.kind == kind {
            return Ok(found.body);
        }
    }
    Err(Error::new("BOX_MISSING", 0, format!("no {}", String::from_utf8_lossy(&kind))))
}

fn refused(detail: &'static str) -> Error {
    Error::new("STORED_FRAGMENT", 0, detail).with_status(500)
}

/// In this all offsets of 48 kHz, 44.1 kHz and 90 kHz are nearer to their own ticks than to any other.
const MOVIE_TIMESCALE: u32 = 90_000;
const MDAT_HEADER: u64 = 16;
/// Where the duration is in the body of a `tkhd` of version 0.
const TKHD_DURATION: usize = 20;
