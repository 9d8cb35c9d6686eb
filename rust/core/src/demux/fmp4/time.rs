//! The decode time of a track fragment, out of `tfxd`, `tfdt` and edit list.

use crate::bmff::traf::Traf;
use crate::error::{Error, Result};
use crate::media::Sample;

/// Decode time of the fragment's first sample, and whether its two times contradict each other.
///
/// `tfxd` is an absolute time on the presentation timeline: no edit list moves it (ffmpeg's `delay_moov` sends an edit list for the AAC
/// priming and a `tfxd` that begins before zero by just that). With a version 1 `trun`, which only ffmpeg sends beside `tfxd`, it is the
/// presentation time of the first sample, else the decode time; the same value in `tfdt` means decode time in any case.
/// `tfdt` is media time: the edit list places it (ISO 14496-12 8.6.6).
pub(super) fn decode_time(traf: &Traf<'_>, first: &Sample, shift: i64) -> Result<(i64, bool)> {
    let signed = traf.runs.first().is_some_and(|run| run.version != 0);
    let from_tfxd = traf.tfxd.map(|tfxd| {
        let composition = if signed { i64::from(first.composition) } else { 0 };
        (tfxd.time, tfxd.time.saturating_sub(composition))
    });
    let (time, contradiction) = match (from_tfxd, traf.tfdt) {
        (None, None) => return Err(Error::new("MISSING_TIME", 0, "neither tfxd nor tfdt").within("traf")),
        (None, Some(tfdt)) => (i64::try_from(tfdt.time).unwrap_or(i64::MAX).saturating_add(shift), false),
        (Some((_, decode)), None) => (decode, false),
        (Some((stated, decode)), Some(tfdt)) => {
            let same =
                |time: i64| if tfdt.wide { time as u64 == tfdt.time } else { u64::from(time as u32) == tfdt.time };
            if same(stated) { (stated, false) } else { (decode, !same(decode) && !same(decode.saturating_sub(shift))) }
        }
    };
    if time.unsigned_abs() > RANGE {
        return Err(Error::new("TIME_RANGE", 0, format!("decode time {time}")).within("traf"));
    }
    Ok((time, contradiction))
}

/// Beyond 14,000 years of 10 MHz a time is an accident, and sums of such times would overflow.
const RANGE: u64 = 1 << 62;
