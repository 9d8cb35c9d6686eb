//! The samples of an H.264 track fragment, brought to the neutral form as their bytes come: 4-byte NAL unit lengths, sync flags that are
//! true. A sample is followed across any cut of the input, so none has to be whole in memory.

use crate::codec::nal;
use crate::error::{Error, Result};
use crate::media::Sample;
use crate::payload::Payload;

/// The NAL units of the samples of one track fragment.
#[derive(Debug)]
pub(super) struct Units {
    /// Bytes of a NAL unit length in the source.
    length_size: u8,
    /// Samples from the front whose NAL units decide about their sync flag.
    judged: usize,
    /// Whether they overrule a flag that says sync.
    overrule: bool,
    /// The sample that is coming.
    index: usize,
    /// Its bytes so far, and where it starts among those of the source.
    seen: u32,
    start: u64,
    /// Its size with 4-byte lengths.
    stored: u32,
    /// The length field that is coming: its value and its bytes so far.
    length: u32,
    length_bytes: u8,
    /// Bytes of the NAL unit that are still to come, and whether the next is its first.
    unit: u32,
    unit_starts: bool,
    /// Type of the sample's first slice; 0 when it will have none.
    slice: Option<u8>,
    failed: Option<Error>,
}

impl Units {
    /// Of `samples`, whose sync flags were `stated` or are guesses.
    ///
    /// Flags that were stated are believed, with two exceptions: an IDR picture in front is one whatever they say, and "all samples are
    /// sync samples" is what senders write who set no flags. Then, and where nothing is stated, the NAL units decide.
    pub fn new(length_size: u8, samples: &[Sample], stated: bool) -> Self {
        let all = samples.len() > 1 && samples.iter().all(|sample| sample.sync);
        let overrule = !stated || all;
        Self {
            length_size,
            judged: if overrule { samples.len() } else { 1 },
            overrule,
            index: 0,
            seen: 0,
            start: 0,
            stored: 0,
            length: 0,
            length_bytes: 0,
            unit: 0,
            unit_starts: false,
            slice: None,
            failed: None,
        }
    }

    /// Takes the next bytes of the samples to `payload`; sizes and flags in `samples` follow.
    pub fn take(&mut self, mut input: &[u8], samples: &mut [Sample], payload: &mut Payload) {
        if !self.widens() {
            payload.extend(input);
        }
        while let Some(sample) = samples.get_mut(self.index).filter(|_| !input.is_empty() && self.has_work()) {
            let taken = ((sample.size - self.seen) as usize).min(input.len());
            self.follow(&input[..taken], sample.size, payload);
            input = &input[taken..];
            self.end_sample(sample);
        }
    }

    /// All bytes have come.
    ///
    /// # Errors
    /// `NAL_TRUNCATED`, with the offset among the source's bytes: lengths that had to be widened do not fit their sample.
    pub fn finish(mut self, samples: &mut [Sample]) -> Result<()> {
        // Samples without bytes at the end, which nothing came for.
        while let Some(sample) = samples.get_mut(self.index).filter(|_| self.has_work()) {
            self.end_sample(sample);
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn widens(&self) -> bool {
        self.length_size != 4
    }

    fn has_work(&self) -> bool {
        self.failed.is_none() && (self.widens() || self.index < self.judged)
    }

    /// Follows bytes of one sample of `size` bytes.
    fn follow(&mut self, mut input: &[u8], size: u32, payload: &mut Payload) {
        while let Some(&first) = input.first() {
            if self.failed.is_some() || (self.slice.is_some() && !self.widens()) {
                self.seen += input.len() as u32;
                return;
            }
            if self.unit > 0 {
                let taken = (self.unit as usize).min(input.len());
                if std::mem::take(&mut self.unit_starts) {
                    let kind = nal::unit_type(input);
                    self.slice = self.slice.or((1..=nal::IDR).contains(&kind).then_some(kind));
                }
                if self.widens() {
                    payload.extend(&input[..taken]);
                }
                self.unit -= taken as u32;
                self.seen += taken as u32;
                input = &input[taken..];
                continue;
            }
            self.length = self.length << 8 | u32::from(first);
            self.length_bytes += 1;
            self.seen += 1;
            input = &input[1..];
            if self.length_bytes == self.length_size {
                self.start_unit(size - self.seen, payload);
            }
        }
    }

    /// A length is complete; `left` bytes of the sample follow it.
    fn start_unit(&mut self, left: u32, payload: &mut Payload) {
        let length = std::mem::take(&mut self.length);
        self.length_bytes = 0;
        if length > left {
            let at = self.seen - u32::from(self.length_size);
            return self.fail(at, format!("a NAL unit of {length} bytes, {left} are left"));
        }
        (self.unit, self.unit_starts) = (length, true);
        if self.widens() && length > 0 {
            payload.extend(&length.to_be_bytes());
            self.stored = self.stored.saturating_add(length).saturating_add(4);
        }
    }

    /// Goes on to the next sample when this one is whole.
    fn end_sample(&mut self, sample: &mut Sample) {
        if self.seen < sample.size {
            return;
        }
        if self.length_bytes > 0 {
            let at = self.seen - u32::from(self.length_bytes);
            self.fail(at, format!("{} bytes where a NAL unit length should be", self.length_bytes));
        }
        if self.index < self.judged {
            let idr = self.slice == Some(nal::IDR);
            sample.sync = idr || (!self.overrule && sample.sync);
        }
        self.start += u64::from(sample.size);
        if self.widens() {
            sample.size = self.stored;
        }
        self.index += 1;
        (self.seen, self.stored, self.length, self.length_bytes) = (0, 0, 0, 0);
        (self.unit, self.unit_starts, self.slice) = (0, false, None);
    }

    /// Broken lengths: fatal where they are to be rewritten, else the end of the search for a slice.
    fn fail(&mut self, at: u32, detail: String) {
        self.slice = self.slice.or(Some(0));
        if self.widens() && self.failed.is_none() {
            self.failed = Some(Error::new("NAL_TRUNCATED", self.start + u64::from(at), detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDR: &[u8] = &[0, 0, 0, 2, 0x65, 0x88];
    const DELTA: &[u8] = &[0, 0, 0, 2, 0x41, 0x9a];

    fn samples(frames: &[(&[u8], bool)]) -> Vec<Sample> {
        let sample =
            |&(frame, sync): &(&[u8], bool)| Sample { size: frame.len() as u32, duration: 1, composition: 0, sync };
        frames.iter().map(sample).collect()
    }

    /// What comes of frames that arrive cut at `cuts`.
    fn taken(
        frames: &[(&[u8], bool)],
        length_size: u8,
        stated: bool,
        cuts: &[usize],
    ) -> Result<(Vec<Sample>, Vec<u8>)> {
        let mut samples = samples(frames);
        let bytes = frames.iter().flat_map(|(frame, _)| frame.iter().copied()).collect::<Vec<u8>>();
        let mut units = Units::new(length_size, &samples, stated);
        let mut payload = Payload::default();
        let mut start = 0;
        for &end in cuts.iter().chain([&bytes.len()]) {
            units.take(&bytes[start..end.max(start)], &mut samples, &mut payload);
            start = end.max(start);
        }
        units.finish(&mut samples)?;
        Ok((samples, payload.bytes().unwrap().into_owned()))
    }

    fn corrected(frames: &[(&[u8], bool)], stated: bool) -> Vec<bool> {
        taken(frames, 4, stated, &[]).unwrap().0.iter().map(|sample| sample.sync).collect()
    }

    #[test]
    fn flags_are_believed_unless_the_nal_units_know_better() {
        assert_eq!(corrected(&[(IDR, true), (DELTA, false)], true), [true, false]);
        assert_eq!(corrected(&[(IDR, false), (DELTA, false)], true), [true, false]);
        assert_eq!(corrected(&[(DELTA, true), (DELTA, false)], true), [true, false], "recovery point of an open GOP");
        assert_eq!(corrected(&[(IDR, true), (DELTA, true)], true), [true, false]);
        assert_eq!(corrected(&[(DELTA, true), (DELTA, true)], false), [false, false]);
        assert_eq!(corrected(&[(IDR, true), (IDR, true)], true), [true, true]);
        assert_eq!(corrected(&[(IDR, true), (&[], true)], true), [true, false], "a sample without bytes");
    }

    #[test]
    fn short_nal_lengths_are_widened() {
        let frame: &[u8] = &[0, 2, 0x65, 0x88, 0, 1, 0x0c];
        let (samples, payload) = taken(&[(frame, true), (frame, false)], 2, true, &[]).unwrap();
        assert_eq!(samples[1].size, 11);
        assert_eq!(payload, [&[0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 1, 0x0c][..]; 2].concat());
        assert_eq!(taken(&[(frame, true), (&[0, 9, 1], false)], 2, true, &[]).unwrap_err().offset, 7);
    }

    proptest! {
        /// The whole samples, read by the other reader of NAL units, are the model.
        #[test]
        fn any_cut_gives_what_the_whole_samples_give(
            frames in prop::collection::vec(
                (prop::collection::vec(prop::collection::vec(0u8..8, 0..6), 0..4), 0usize..8, any::<bool>()), 1..6,
            ),
            length_size in prop::sample::select(vec![1u8, 2, 4]),
            stated in any::<bool>(),
            cuts in prop::collection::vec(0usize..100, 0..8),
        ) {
            let frames: Vec<(Vec<u8>, bool)> = frames.into_iter().map(|(units, missing, sync)| {
                let length = |unit: &Vec<u8>| (unit.len() as u32).to_be_bytes()[4 - usize::from(length_size)..].to_vec();
                let mut frame: Vec<u8> = units.iter().flat_map(|unit| [length(unit), unit.clone()].concat()).collect();
                frame.truncate(frame.len() - if missing < 6 { 0 } else { missing.min(frame.len()) });
                (frame, sync)
            }).collect();
            let frames: Vec<(&[u8], bool)> = frames.iter().map(|(frame, sync)| (frame.as_slice(), *sync)).collect();
            let total: usize = frames.iter().map(|(frame, _)| frame.len()).sum();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(total)).collect();
            cuts.sort_unstable();
            let mut expected = Ok((samples(&frames), Vec::new()));
            let all = frames.len() > 1 && frames.iter().all(|(_, sync)| *sync);
            let mut start = 0;
            for (index, (frame, sync)) in frames.iter().enumerate() {
                let Ok((samples, payload)) = &mut expected else { break };
                let before = payload.len();
                if length_size == 4 {
                    payload.extend_from_slice(frame);
                } else if let Err(error) = nal::write_stored(frame, length_size, payload) {
                    expected = Err(error.at(start));
                    break;
                }
                let idr = nal::is_idr(&payload[before..]);
                samples[index].size = (payload.len() - before) as u32;
                samples[index].sync = if !stated || all { idr } else { *sync || (index == 0 && idr) };
                start += frame.len() as u64;
            }
            prop_assert_eq!(taken(&frames, length_size, stated, &cuts), expected);
        }
    }
}
