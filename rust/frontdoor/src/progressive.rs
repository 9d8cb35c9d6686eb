//! Sample tables of stored fragments: of each, the `moof`s are read, and no media.

use crate::plan::Fault;
use pypackager_core::bmff::moof::Moof;
use pypackager_core::bmff::scan::Header;
use pypackager_core::bmff::trex::Trex;
use pypackager_core::error::Error;
use pypackager_core::mux::progressive::{Track, write_head};
use pypackager_core::mux::samples::Samples;
use pypackager_pump::files::{Range, read_all};

/// A stored fragment of a movie.
#[derive(Debug, Clone, Copy)]
pub struct Fragment {
    /// Number of its track.
    pub track: u32,
    /// Number of its file.
    pub path: u32,
    /// Where it is in the file.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
}

/// Media in a file: its number, where it is, how much it is.
pub type Run = (u32, u64, u64);

/// The head of a progressive movie, and the media that follows it.
///
/// `tracks` are CMAF headers and ticks per second, `fragments` in the order in which their media is to stand in the file.
pub fn lay_out(
    tracks: &[(&[u8], u32)],
    paths: &[String],
    fragments: &[Fragment],
) -> Result<(Vec<u8>, Vec<Run>), Fault> {
    let mut samples: Vec<_> = tracks.iter().map(|_| Samples::default()).collect();
    let (mut order, mut runs) = (Vec::with_capacity(fragments.len()), Vec::with_capacity(fragments.len()));
    for fragment in fragments {
        let path = paths.get(fragment.path as usize).ok_or_else(|| refused(0, "a fragment of no file"))?;
        let table = samples.get_mut(fragment.track as usize).ok_or_else(|| refused(0, "a fragment of no track"))?;
        let mut at = 0;
        while at < fragment.size {
            let chunk = read_chunk(path, fragment, at, table)?;
            if chunk.bytes > 0 {
                order.push(fragment.track);
                runs.push((fragment.path, fragment.offset + chunk.media, chunk.bytes));
            }
            at = chunk.end;
        }
    }
    let tracks: Vec<_> = tracks
        .iter()
        .zip(&samples)
        .map(|((init, timescale), samples)| Track { init, timescale: *timescale, samples })
        .collect();
    Ok((write_head(&tracks, &order)?, runs))
}

/// Where the media of a chunk is in its fragment, and where the chunk ends.
struct Chunk {
    media: u64,
    bytes: u64,
    end: u64,
}

/// Reads a `moof`, and how long the `mdat` behind it is; a box of another kind is passed over.
fn read_chunk(path: &str, fragment: &Fragment, at: u64, table: &mut Samples) -> Result<Chunk, Fault> {
    let left = fragment.size - at;
    let read = |from: u64, size: u64| {
        let range = Range { path: path.to_owned(), offset: fragment.offset + from, size: size as usize };
        read_all(&[range]).map_err(Fault::from)
    };
    let box_size = |header: &Header, left: u64| {
        header.size.filter(|size| *size <= left).ok_or_else(|| refused(at, "a box is longer than its fragment"))
    };
    let mut data = read(at, left.min(AT_ONCE))?;
    let header = Header::parse(&data)?.ok_or_else(|| refused(at, "a box header is torn"))?;
    let size = box_size(&header, left)?;
    if &header.kind != b"moof" {
        return Ok(Chunk { media: 0, bytes: 0, end: at + size });
    }
    if size > MAX_MOOF {
        return Err(refused(at, "a moof of many megabytes"));
    }
    let needed = left.min(size + Header::MAX as u64);
    if (data.len() as u64) < needed {
        data = read(at, needed)?;
    }
    let (moof, behind) = data.split_at(size as usize);
    let moof = Moof::parse(&moof[header.length..])?;
    let mdat = Header::parse(behind)?.filter(|header| &header.kind == b"mdat");
    let mdat = mdat.ok_or_else(|| refused(at, "no mdat behind a moof"))?;
    let end = size + box_size(&mdat, left - size)?;
    let [traf] = moof.tracks.as_slice() else { return Err(refused(at, "not one traf")) };
    let [run] = traf.runs.as_slice() else { return Err(refused(at, "not one trun")) };
    let time = traf.tfdt.ok_or_else(|| refused(at, "no tfdt"))?.time;
    let samples = traf.samples(&Trex::default(), MAX_SAMPLES)?;
    let bytes = table.push(time, &samples)?;
    let media = run.data_offset.and_then(|offset| u64::try_from(offset).ok());
    let media = media.filter(|media| media.checked_add(bytes).is_some_and(|behind| behind <= end));
    let media = media.ok_or_else(|| refused(at, "samples outside of the mdat"))?;
    Ok(Chunk { media: at + media, bytes, end: at + end })
}

fn refused(at: u64, detail: &'static str) -> Fault {
    Error::new("STORED_FRAGMENT", at, detail).with_status(500).into()
}

/// A `moof` of a few seconds, and the header behind it.
const AT_ONCE: u64 = 4096;
const MAX_MOOF: u64 = 16 * 1024 * 1024;
const MAX_SAMPLES: usize = 1 << 20;
