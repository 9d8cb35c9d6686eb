//! CMAF (ISO 23000-19): the header and the chunks of a stored track, which are served as they are.
//!
//! In: a codec, and samples in ticks of the stored timescale. Out: `ftyp` + `moov`, and what stands in front of a chunk's payload.
//! Never: an edit list, a time below zero, the media bytes themselves.

use crate::bmff::btrt::Btrt;
use crate::bmff::tfhd::{Base, Tfhd};
use crate::bmff::trun::{Columns, DEPENDENT_FLAGS, SYNC_FLAGS};
use crate::bmff::{ftyp, mfhd, moov, tfdt, trun};
use crate::error::{Error, Result};
use crate::media::{Chunk, Codec, Kind, Sample};
use crate::time::rescale;
use crate::wire::Writer;

/// Writes the CMAF header of a track. `language` may be a BCP 47 tag; a `bitrate` of 0 is not announced.
pub fn write_init(codec: &Codec, timescale: u32, language: &str, bitrate: u32, track_id: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    ftyp::write(&mut out);
    let bitrate = (bitrate != 0).then_some(Btrt { max: bitrate, average: bitrate });
    moov::write(&mut out, track_id, timescale, language, codec, bitrate);
    out
}

/// Writes what stands in front of a chunk's payload: `moof` and the header of its `mdat`.
///
/// Fields that are the same for all samples stand in `tfhd` once. A payload beyond 4 GiB is written with a 64-bit size.
pub fn write_chunk_head(
    sequence: u32,
    track_id: u32,
    decode_time: u64,
    samples: &[Sample],
    payload_len: u64,
    kind: Kind,
) -> Vec<u8> {
    let columns = columns(samples, kind);
    let first = samples.first();
    let header = Tfhd {
        track_id,
        base: Base::Moof,
        sample_description_index: None,
        duration: first.filter(|_| !columns.duration).map(|sample| sample.duration),
        size: first.filter(|_| !columns.size).map(|sample| sample.size),
        flags: default_flags(samples, columns, kind),
    };
    let large = payload_len > u64::from(u32::MAX) - 8;
    let mdat_header = if large { 16 } else { 8 };
    let mut out = Vec::with_capacity(128 + 16 * samples.len());
    let mut run = 0;
    out.put_box(*b"moof", |out| {
        mfhd::write(out, sequence);
        out.put_box(*b"traf", |out| {
            header.write(out);
            tfdt::write(out, decode_time);
            run = out.len();
            trun::write(out, samples, columns);
        });
    });
    let data_offset = (out.len() + mdat_header) as u32;
    let at = run + trun::DATA_OFFSET_AT;
    out[at..at + 4].copy_from_slice(&data_offset.to_be_bytes());
    if large {
        out.put_u32(1);
        out.put(b"mdat");
        out.put_u64(payload_len.saturating_add(16));
    } else {
        out.put_u32(payload_len as u32 + 8);
        out.put(b"mdat");
    }
    out
}

/// Converts a chunk to a stored timescale and moves it by `offset` ticks of that timescale.
///
/// Each absolute time is converted, the end of the chunk too, so that durations join without gap and never add up rounding. Composition
/// times are converted as absolute times for the same reason. A decode time below zero is `TIME_NEGATIVE`: the caller lifts sources that start there by an offset.
pub fn retime(chunk: &Chunk, timescale: u32, offset: i64) -> Result<(u64, Vec<Sample>)> {
    let out_of_range = || Error::new("TIME_RANGE", 0, format!("time {} of track {}", chunk.time, chunk.track));
    let convert = |ticks: i64| rescale(ticks, chunk.timescale, timescale);
    let end = i64::try_from(chunk.duration()).ok().and_then(|duration| chunk.time.checked_add(duration));
    let end = end.ok_or_else(out_of_range)?;
    let longest = RANGE / i128::from(timescale.max(1)) * i128::from(chunk.timescale.max(1));
    if i128::from(chunk.time).abs() > longest || i128::from(end).abs() > longest {
        return Err(out_of_range());
    }
    let start = convert(chunk.time);
    let decode_time = start.checked_add(offset).ok_or_else(out_of_range)?;
    let decode_time = u64::try_from(decode_time).map_err(|_| {
        Error::new("TIME_NEGATIVE", 0, format!("time {decode_time} of track {} is before zero", chunk.track))
    })?;
    let mut samples = Vec::with_capacity(chunk.samples.len());
    let (mut source, mut target) = (chunk.time, start);
    for sample in &chunk.samples {
        let presented = source.checked_add(i64::from(sample.composition)).ok_or_else(out_of_range)?;
        let next_source = source + i64::from(sample.duration);
        let next_target = convert(next_source);
        samples.push(Sample {
            duration: u32::try_from(next_target - target).map_err(|_| out_of_range())?,
            composition: i32::try_from(convert(presented).saturating_sub(target)).map_err(|_| out_of_range())?,
            ..*sample
        });
        (source, target) = (next_source, next_target);
    }
    Ok((decode_time, samples))
}

fn columns(samples: &[Sample], kind: Kind) -> Columns {
    let Some(first) = samples.first() else {
        return Columns { duration: false, size: false, flags: false, first_flags: None, composition: false };
    };
    let rest = &samples[1..];
    let rest_sync = rest.first().map_or(first.sync, |sample| sample.sync);
    let flags = kind == Kind::Video && rest.iter().any(|sample| sample.sync != rest_sync);
    let differs = kind == Kind::Video && !flags && first.sync != rest_sync;
    Columns {
        duration: rest.iter().any(|sample| sample.duration != first.duration),
        size: rest.iter().any(|sample| sample.size != first.size),
        flags,
        first_flags: differs.then_some(if first.sync { SYNC_FLAGS } else { DEPENDENT_FLAGS }),
        composition: samples.iter().any(|sample| sample.composition != 0),
    }
}

/// Flags of all samples, or of all but the first.
fn default_flags(samples: &[Sample], columns: Columns, kind: Kind) -> Option<u32> {
    let last = samples.last().filter(|_| !columns.flags)?;
    Some(if kind == Kind::Audio || last.sync { SYNC_FLAGS } else { DEPENDENT_FLAGS })
}

/// Largest time in stored ticks: no sum of two overflows, and players' 53 bits end far below.
const RANGE: i128 = 1 << 61;
