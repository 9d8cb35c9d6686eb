//! The samples of a complete track fragment, brought to the neutral form: 4-byte NAL unit lengths, sync flags that are true.

use crate::codec::nal;
use crate::error::{Error, Result};
use crate::media::{Chunk, Sample};

/// Rewrites NAL unit lengths of `length_size` bytes to 4; sizes in `samples` follow.
pub(super) fn widen_nal_lengths(chunk: &mut Chunk, length_size: u8) -> Result<()> {
    if length_size == 4 {
        return Ok(());
    }
    let mut payload = Vec::with_capacity(chunk.payload.len() + 32 * chunk.samples.len());
    let mut start = 0;
    for sample in &mut chunk.samples {
        let end = start + sample.size as usize;
        let frame = chunk.payload.get(start..end).unwrap_or_default();
        let before = payload.len();
        nal::write_stored(frame, length_size, &mut payload).map_err(|error| error.at(start as u64))?;
        sample.size = u32::try_from(payload.len() - before)
            .map_err(|_| Error::new("FRAGMENT_TOO_LARGE", start as u64, "a sample beyond 4 GiB"))?;
        start = end;
    }
    chunk.payload = payload;
    Ok(())
}

/// Corrects the sync flags of an H.264 chunk with 4-byte lengths.
///
/// Flags that were stated are believed, with two exceptions: an IDR picture in front is one whatever they say, and "all samples are
/// sync samples" is what senders write who set no flags. Then, and where nothing is stated, the NAL units decide.
pub(super) fn correct_sync(chunk: &mut Chunk, stated: bool) {
    let all = chunk.samples.len() > 1 && chunk.samples.iter().all(|sample| sample.sync);
    let payload = &chunk.payload;
    let mut start = 0;
    for (index, sample) in chunk.samples.iter_mut().enumerate() {
        let end = start + sample.size as usize;
        let frame = payload.get(start..end).unwrap_or_default();
        start = end;
        if !stated || all {
            sample.sync = nal::is_idr(frame);
        } else if index == 0 {
            sample.sync |= nal::is_idr(frame);
        } else {
            break;
        }
    }
}

/// Every audio sample is a sync sample, whatever its flags say.
pub(super) fn all_sync(samples: &mut [Sample]) {
    for sample in samples {
        sample.sync = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDR: &[u8] = &[0, 0, 0, 2, 0x65, 0x88];
    const DELTA: &[u8] = &[0, 0, 0, 2, 0x41, 0x9a];

    fn chunk(frames: &[(&[u8], bool)]) -> Chunk {
        let samples =
            frames.iter().map(|&(frame, sync)| Sample { size: frame.len() as u32, duration: 1, composition: 0, sync });
        Chunk {
            track: 1,
            time: 0,
            timescale: 25,
            samples: samples.collect(),
            payload: frames.concat_bytes(),
            index: None,
            partial: false,
        }
    }

    trait ConcatBytes {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl ConcatBytes for [(&[u8], bool)] {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|(frame, _)| frame.iter().copied()).collect()
        }
    }

    fn corrected(frames: &[(&[u8], bool)], stated: bool) -> Vec<bool> {
        let mut chunk = chunk(frames);
        correct_sync(&mut chunk, stated);
        chunk.samples.iter().map(|sample| sample.sync).collect()
    }

    #[test]
    fn flags_are_believed_unless_the_nal_units_know_better() {
        assert_eq!(corrected(&[(IDR, true), (DELTA, false)], true), [true, false]);
        assert_eq!(corrected(&[(IDR, false), (DELTA, false)], true), [true, false]);
        assert_eq!(corrected(&[(DELTA, true), (DELTA, false)], true), [true, false], "recovery point of an open GOP");
        assert_eq!(corrected(&[(IDR, true), (DELTA, true)], true), [true, false]);
        assert_eq!(corrected(&[(DELTA, true), (DELTA, true)], false), [false, false]);
        assert_eq!(corrected(&[(IDR, true), (IDR, true)], true), [true, true]);
    }

    #[test]
    fn short_nal_lengths_are_widened() {
        let frame: &[u8] = &[0, 2, 0x65, 0x88, 0, 1, 0x0c];
        let mut short = chunk(&[(frame, true), (frame, false)]);
        widen_nal_lengths(&mut short, 2).unwrap();
        assert_eq!(short.samples[1].size, 11);
        assert_eq!(short.payload, [&[0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 1, 0x0c][..]; 2].concat());
        let mut broken = chunk(&[(frame, true), (&[0, 9, 1], false)]);
        assert_eq!(widen_nal_lengths(&mut broken, 2).unwrap_err().offset, 7);
    }
}
