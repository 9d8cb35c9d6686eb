//! A stored CMAF chunk (ISO 23000-19 7.3.3.2): `moof` and `mdat` of one track, as `mux::cmaf` writes them.
//!
//! In: the bytes of one chunk, or of several back to back. Out: times, samples and the payload as a borrowed slice, for every muxer that
//! does not serve the stored bytes as they are.

use super::moof::Moof;
use super::scan::boxes;
use super::trex::Trex;
use crate::error::{Error, Result};
use crate::media::Sample;

/// A chunk whose payload stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChunk<'a> {
    /// `mfhd` sequence number.
    pub sequence: u32,
    /// The `track_ID`.
    pub track_id: u32,
    /// Decode time of the first sample, in ticks of the stored track.
    pub decode_time: u64,
    /// Samples in decode order.
    pub samples: Vec<Sample>,
    /// Their bytes, back to back: exactly as many as the sample sizes add up to.
    pub payload: &'a [u8],
}

impl<'a> StoredChunk<'a> {
    /// Parses the one chunk that `data` is; `styp`, `prft` and `emsg` in front of it are passed over.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        let mut chunks = parse_all(data)?;
        match (chunks.pop(), chunks.is_empty()) {
            (Some(chunk), true) => Ok(chunk),
            _ => Err(Error::new("CHUNK_COUNT", 0, "not exactly one moof with its mdat")),
        }
    }

    /// Sum of the sample durations.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// Each sample with its decode time and its bytes.
    pub fn frames(&self) -> impl Iterator<Item = (u64, Sample, &'a [u8])> + use<'a, '_> {
        let (mut time, mut rest) = (self.decode_time, self.payload);
        self.samples.iter().map(move |&sample| {
            // `parse` checked that the sizes add up to the payload; a chunk built by hand gets short frames, not a panic.
            let (frame, behind) = rest.split_at((sample.size as usize).min(rest.len()));
            let at = time;
            rest = behind;
            time = time.saturating_add(u64::from(sample.duration));
            (at, sample, frame)
        })
    }
}

/// Parses chunks back to back.
pub fn parse_all(data: &[u8]) -> Result<Vec<StoredChunk<'_>>> {
    parse_limited(data, MAX_SAMPLES)
}

/// The same of chunks that have at most so many samples each.
///
/// # Errors
/// `TOO_MANY_SAMPLES`, and whatever else is wrong with them.
pub fn parse_limited(data: &[u8], limit: usize) -> Result<Vec<StoredChunk<'_>>> {
    let mut chunks = Vec::new();
    let mut pending: Option<(Moof<'_>, u64)> = None;
    let mut start = 0;
    for found in boxes(data) {
        let found = found?;
        let end = found.offset + found.body.len() as u64;
        match &found.kind {
            b"moof" => {
                pending = Some((Moof::parse(found.body).map_err(|error| found.locate(error))?, start));
            }
            b"mdat" => {
                let (moof, moof_start) =
                    pending.take().ok_or_else(|| Error::new("MOOF_MISSING", start, "mdat without moof"))?;
                chunks.push(chunk(&moof, moof_start, found.body, found.offset, limit)?);
            }
            _ => {}
        }
        start = end;
    }
    match pending {
        Some((_, start)) => Err(Error::new("MDAT_MISSING", start, "moof without mdat")),
        None => Ok(chunks),
    }
}

fn chunk<'a>(
    moof: &Moof<'_>,
    moof_start: u64,
    media: &'a [u8],
    media_start: u64,
    limit: usize,
) -> Result<StoredChunk<'a>> {
    let refuse = |code, detail| Error::new(code, moof_start, detail).within("moof");
    let [traf] = moof.tracks.as_slice() else {
        return Err(refuse("TRACK_COUNT", "a stored chunk has one traf"));
    };
    let [run] = traf.runs.as_slice() else {
        return Err(refuse("RUN_COUNT", "a stored chunk has one trun"));
    };
    let time = traf.tfdt.ok_or_else(|| refuse("MISSING_TIME", "no tfdt"))?.time;
    let samples = traf.samples(&Trex::default(), limit).map_err(|error| error.at(moof_start).within("moof"))?;
    let first = run
        .data_offset
        .and_then(|offset| moof_start.checked_add_signed(i64::from(offset)))
        .and_then(|position| position.checked_sub(media_start))
        .and_then(|position| usize::try_from(position).ok())
        .ok_or_else(|| refuse("SAMPLE_OUTSIDE_MDAT", "the data offset points before the mdat"))?;
    let length: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
    let payload = usize::try_from(length)
        .ok()
        .and_then(|length| media.get(first..first.checked_add(length)?))
        .ok_or_else(|| refuse("SAMPLE_OUTSIDE_MDAT", "the samples need more than the mdat has"))?;
    Ok(StoredChunk { sequence: moof.sequence, track_id: traf.header.track_id, decode_time: time, samples, payload })
}

/// More samples than any demuxer puts in a chunk; rows that the defaults fill in cost a damaged file nothing, but memory here.
const MAX_SAMPLES: usize = 1 << 20;
