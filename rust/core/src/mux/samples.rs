//! The sample tables of one track (ISO 14496-12 8.6, 8.7), gathered chunk by chunk from the `moof`s of stored fragments.
//!
//! In: a chunk's decode time and samples. Out: `stts`, `ctts`, `stss`, `stsz`, `stsc`, `co64`. Never: media; a sample costs its size of four
//! bytes, and eight more where its composition offset or duration is another than the one before it.
//!
//! A table counts durations, fragments have times. Where the next fragment does not start at the end of the one before, the last sample's
//! duration is made longer over the hole, or shorter: each sample stays at its time, which keeps picture and sound together.

use crate::bmff::put_full_box;
use crate::error::{Error, Result};
use crate::media::Sample;
use crate::wire::Writer;

/// The tables of a track.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    sizes: Vec<u32>,
    durations: Vec<(u32, u32)>,
    compositions: Vec<(u32, i32)>,
    syncs: Vec<u32>,
    /// Samples and bytes of each chunk.
    chunks: Vec<(u32, u64)>,
    first: u64,
    /// Decode time and duration of the newest sample.
    last: Option<(u64, u32)>,
    earliest: i64,
    end: i64,
}

impl Samples {
    /// Takes the next chunk; returns the bytes of its samples.
    pub fn push(&mut self, time: u64, samples: &[Sample]) -> Result<u64> {
        let mut bytes = 0;
        let mut stored = time;
        for sample in samples {
            let at = self.last.map_or(stored, |(before, _)| stored.max(before + 1));
            let shown = i64::try_from(stored)
                .ok()
                .and_then(|stored| stored.checked_add(i64::from(sample.composition)))
                .ok_or_else(|| refused(format!("a sample at {stored}")))?;
            if let Some((before, _)) = self.last {
                self.add_duration(at - before)?;
                self.earliest = self.earliest.min(shown);
            } else {
                (self.first, self.earliest, self.end) = (at, shown, shown);
            }
            self.end = self.end.max(shown + i64::from(sample.duration));
            let composition = i32::try_from(shown - at as i64)
                .map_err(|_| refused(format!("a sample at {at} that is shown at {shown}")))?;
            match self.compositions.last_mut() {
                Some((count, same)) if *same == composition => *count += 1,
                _ => self.compositions.push((1, composition)),
            }
            self.sizes.push(sample.size);
            if sample.sync {
                self.syncs.push(self.sizes.len() as u32);
            }
            bytes += u64::from(sample.size);
            stored = stored.saturating_add(u64::from(sample.duration));
            self.last = Some((at, sample.duration));
        }
        self.chunks.push((samples.len() as u32, bytes));
        Ok(bytes)
    }

    /// Presentation time of the picture or sound that comes first, in ticks; it may be before the first decode time.
    pub fn earliest(&self) -> i64 {
        self.earliest
    }

    /// Ticks from the earliest presentation to the end of the last one.
    pub fn shown(&self) -> u64 {
        (self.end - self.earliest) as u64
    }

    /// Ticks of all samples.
    pub fn duration(&self) -> u64 {
        self.last.map_or(0, |(at, duration)| at - self.first + u64::from(duration))
    }

    /// Media time of the earliest presentation in what is written: composition offsets are shifted so that none is negative.
    pub fn media_time(&self) -> u64 {
        (self.earliest - self.first as i64 + i64::from(self.shift())) as u64
    }

    /// Bytes of each chunk.
    pub fn chunk_bytes(&self) -> impl Iterator<Item = u64> + use<'_> {
        self.chunks.iter().map(|chunk| chunk.1)
    }

    /// Writes the tables, with the place of each chunk in the file.
    pub fn write(&self, out: &mut Vec<u8>, offsets: &[u64]) {
        let last = self.last.map(|(_, duration)| (1, duration));
        let durations: Vec<_> = merged(self.durations.iter().copied().chain(last)).collect();
        put_table(out, *b"stts", &durations, |out, (count, duration)| {
            out.put_u32(*count);
            out.put_u32(*duration);
        });
        if self.compositions.iter().any(|(_, composition)| *composition != 0) {
            let shift = self.shift();
            put_table(out, *b"ctts", &self.compositions, |out, (count, composition)| {
                out.put_u32(*count);
                out.put_u32(composition.wrapping_add(shift) as u32);
            });
        }
        if self.syncs.len() != self.sizes.len() {
            put_table(out, *b"stss", &self.syncs, |out, number| out.put_u32(*number));
        }
        put_full_box(out, *b"stsz", 0, 0, |out| {
            out.put_u32(0); // each has its own size
            out.put_u32(self.sizes.len() as u32);
            self.sizes.iter().for_each(|size| out.put_u32(*size));
        });
        put_table(out, *b"stsc", &self.chunk_runs(), |out, (first, samples)| {
            out.put_u32(*first);
            out.put_u32(*samples);
            out.put_u32(1); // sample_description_index
        });
        put_table(out, *b"co64", offsets, |out, offset| out.put_u64(*offset));
    }

    fn shift(&self) -> i32 {
        self.compositions.iter().map(|(_, composition)| *composition).min().map_or(0, |least| (-least).max(0))
    }

    fn add_duration(&mut self, ticks: u64) -> Result<()> {
        let ticks = u32::try_from(ticks)
            .map_err(|_| refused(format!("a hole of {ticks} ticks does not fit the sample tables of one file")))?;
        match self.durations.last_mut() {
            Some((count, same)) if *same == ticks => *count += 1,
            _ => self.durations.push((1, ticks)),
        }
        Ok(())
    }

    /// (number of the first chunk, samples in each) of chunks that have as many.
    fn chunk_runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for (number, (samples, _)) in (1..).zip(&self.chunks) {
            if runs.last().is_none_or(|run| run.1 != *samples) {
                runs.push((number, *samples));
            }
        }
        runs
    }
}

fn refused(detail: String) -> Error {
    Error::new("MOVIE_TIMES", 0, detail).with_status(409)
}

fn put_table<T>(out: &mut Vec<u8>, kind: [u8; 4], rows: &[T], mut row: impl FnMut(&mut Vec<u8>, &T)) {
    put_full_box(out, kind, 0, 0, |out| {
        out.put_u32(rows.len() as u32);
        for each in rows {
            row(out, each);
        }
    });
}

/// Runs of equal durations, of which two that follow each other may be equal.
fn merged(runs: impl Iterator<Item = (u32, u32)>) -> impl Iterator<Item = (u32, u32)> {
    let mut runs = runs.peekable();
    std::iter::from_fn(move || {
        let (mut count, duration) = runs.next()?;
        while let Some((more, _)) = runs.next_if(|next| next.1 == duration) {
            count += more;
        }
        Some((count, duration))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(duration: u32, composition: i32) -> Sample {
        Sample { size: 7, duration, composition, sync: true }
    }

    /// Decode times as a reader of `stts` finds them.
    fn times(samples: &Samples) -> Vec<u64> {
        let mut at = samples.first;
        let mut out = vec![at];
        for (count, duration) in &samples.durations {
            for _ in 0..*count {
                at += u64::from(*duration);
                out.push(at);
            }
        }
        out
    }

    #[test]
    fn a_hole_is_the_duration_of_the_sample_before_it() {
        let mut samples = Samples::default();
        samples.push(1000, &[sample(10, 0), sample(10, 0)]).unwrap();
        samples.push(1100, &[sample(10, 0)]).unwrap();
        assert_eq!(samples.durations, [(1, 10), (1, 90)]);
        assert_eq!((samples.duration(), samples.shown()), (110, 110));
    }

    #[test]
    fn a_hole_that_no_table_can_say_is_refused() {
        let mut samples = Samples::default();
        samples.push(0, &[sample(10, 0)]).unwrap();
        assert_eq!(samples.push(1 << 33, &[sample(10, 0)]).unwrap_err().code, "MOVIE_TIMES");
    }

    #[test]
    fn pictures_that_are_shown_before_they_are_decoded_are_shifted() {
        let mut samples = Samples::default();
        samples.push(100, &[sample(10, 0), sample(10, 20), sample(10, -15)]).unwrap();
        assert_eq!((samples.shift(), samples.earliest(), samples.media_time(), samples.shown()), (15, 100, 15, 40));
    }

    #[test]
    fn the_tables_of_hours_of_reordered_pictures_are_written_in_one_pass() {
        let (mut samples, mut out) = (Samples::default(), Vec::new());
        let pictures: Vec<_> = (0..400_000).map(|number| sample(10, [-5, 20][number % 2])).collect();
        samples.push(0, &pictures).unwrap();
        let begun = std::time::Instant::now();
        samples.write(&mut out, &[0]);
        // It takes milliseconds; a look at all of them for each takes minutes.
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
        let table = out.windows(4).position(|kind| kind == b"ctts").unwrap();
        let rows: Vec<u32> =
            out[table + 12..table + 28].chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        assert_eq!(rows, [1, 0, 1, 25]);
    }

    proptest! {
        #[test]
        fn every_sample_keeps_its_times(chunks in prop::collection::vec((0u64..5, prop::collection::vec((1u32..9, -5i32..9), 1..6)), 1..20)) {
            let mut samples = Samples::default();
            let (mut time, mut decode, mut shown) = (50u64, Vec::new(), Vec::new());
            for (hole, rows) in chunks {
                time += hole;
                let rows: Vec<_> = rows.into_iter().map(|(duration, composition)| sample(duration, composition)).collect();
                samples.push(time, &rows).unwrap();
                for row in &rows {
                    decode.push(time);
                    shown.push(time as i64 + i64::from(row.composition));
                    time += u64::from(row.duration);
                }
            }
            prop_assert_eq!(times(&samples), decode.clone());
            prop_assert_eq!(samples.earliest(), *shown.iter().min().unwrap());
            let written = samples.compositions.iter().flat_map(|&(count, value)| (0..count).map(move |_| value));
            let again: Vec<_> = decode.iter().zip(written).map(|(&at, composition)| at as i64 + i64::from(composition)).collect();
            prop_assert_eq!(again, shown);
            prop_assert!(samples.compositions.iter().all(|&(_, value)| value + samples.shift() >= 0));
        }

        #[test]
        fn fragments_that_overlap_do_not_move_what_follows(back in 1u64..40) {
            let mut samples = Samples::default();
            samples.push(100, &[sample(10, 0), sample(10, 0), sample(10, 0)]).unwrap();
            samples.push(130 - back, &[sample(10, 0)]).unwrap();
            samples.push(500, &[sample(10, 0)]).unwrap();
            let found = times(&samples);
            prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(found[4], 500);
        }
    }
}
