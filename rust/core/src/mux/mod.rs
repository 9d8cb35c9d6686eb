//! Writers of every output from stored CMAF chunks.
//!
//! What comes in: [`Piece`]s, the parsed form of stored chunks. What goes out: segments, fragments and boxes of one delivery format, as a
//! pure function of the pieces and of the times in the arguments. Never: a choice of what to serve.

pub mod cmaf;
pub mod f4f;
pub mod gzip;
pub mod movie;
pub mod progressive;
pub mod samples;
pub mod smooth;
pub mod ts;

use crate::error::{Error, Result};
use crate::media::{Codec, Sample};

/// One stored chunk of one track, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The codec with the configuration that was in force when the chunk was stored.
    pub codec: &'a Codec,
    /// Ticks per second of all its times.
    pub timescale: u32,
    /// Decode time of the first sample (`tfdt`).
    pub decode_time: u64,
    /// Samples in decode order.
    pub samples: &'a [Sample],
    /// The samples' bytes, back to back.
    pub payload: &'a [u8],
}

/// One sample of a [`Piece`] with its place in time and its bytes.
#[derive(Debug, Clone, Copy)]
pub struct AccessUnit<'a> {
    /// The codec of its piece.
    pub codec: &'a Codec,
    /// Ticks per second of its times.
    pub timescale: u32,
    /// Decode time.
    pub decode: i64,
    /// Composition time.
    pub composition: i64,
    /// Decode duration.
    pub duration: u32,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Video with 4-byte NAL unit lengths, audio a raw AAC frame.
    pub data: &'a [u8],
}

impl<'a> Piece<'a> {
    /// The samples one by one; after an error (a sample table that does not fit the payload, times beyond 63 bits) the iterator ends.
    pub fn access_units(&self) -> impl Iterator<Item = Result<AccessUnit<'a>>> + use<'a> {
        let Self { codec, timescale, decode_time, samples, payload } = *self;
        let mut samples = samples.iter();
        let mut rest = payload;
        let mut time = i64::try_from(decode_time).ok();
        std::iter::from_fn(move || {
            let sample = samples.next()?;
            let unit = (|| {
                let decode = time?;
                let composition = decode.checked_add(i64::from(sample.composition))?;
                let (data, behind) = rest.split_at_checked(sample.size as usize)?;
                rest = behind;
                time = decode.checked_add(i64::from(sample.duration));
                let (duration, sync) = (sample.duration, sample.sync);
                Some(AccessUnit { codec, timescale, decode, composition, duration, sync, data })
            })();
            if unit.is_none() {
                samples = [].iter();
            }
            let offset = (payload.len() - rest.len()) as u64;
            Some(unit.ok_or_else(|| {
                Error::new("CHUNK_INCONSISTENT", offset, "the sample table does not fit the payload or the time")
                    .with_status(500)
            }))
        })
    }
}

/// All access units of the pieces of one track, or the first fault.
fn collect_units<'a>(pieces: &[Piece<'a>]) -> Result<Vec<AccessUnit<'a>>> {
    let mut units = Vec::with_capacity(pieces.iter().map(|piece| piece.samples.len()).sum());
    for piece in pieces {
        for unit in piece.access_units() {
            units.push(unit?);
        }
    }
    Ok(units)
}

/// The decode times to write for a run of pictures, each in the ticks of its unit: as stored, where presentation times are later by
/// [`PRESENTATION_SHIFT_MS`].
///
/// Transport streams and FLV want `decode <= presentation`. Composition offsets below the shift's negative are no encoder's at a usual
/// frame rate; there decode times move forward just enough, each still after the one before. Only the pictures themselves are looked at,
/// so that segments rendered apart from each other follow on.
fn decode_times(pictures: &[AccessUnit<'_>]) -> Vec<i64> {
    let mut following = i64::MAX;
    let mut times: Vec<_> = pictures
        .iter()
        .rev()
        .map(|picture| {
            let shift = i64::from(picture.timescale) * PRESENTATION_SHIFT_MS / 1000;
            let latest = following.saturating_sub((i64::from(picture.duration) / REORDER_LIMIT).max(1));
            following = picture.decode.min(picture.composition.saturating_add(shift)).min(latest);
            following
        })
        .collect();
    times.reverse();
    times
}

/// How much later than stored all presentation times are written, of all tracks alike, so that none is before its decode time
/// (ISO 14496-12 8.8.8 version 1 has negative composition offsets). A constant: a shift that followed the encoder would change segments
/// that were served before. The same as Smooth's (docs/design/publication.md).
const PRESENTATION_SHIFT_MS: i64 = 200;
/// More pictures than an encoder holds back for reordering: so many decode times fit into the duration of one.
const REORDER_LIMIT: i64 = 8;

/// What a writer says when it is handed pieces of another kind of track.
fn wrong_kind(expected: &str) -> Error {
    Error::new("TRACK_KIND", 0, format!("{expected} pieces are needed here")).with_status(500)
}

#[cfg(test)]
mod tests;
