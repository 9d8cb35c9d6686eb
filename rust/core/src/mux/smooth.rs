//! Smooth Streaming fragments (MS-SSTR 2.2.4): `moof` with `tfxd` and `tfrf`, and the header of the `mdat`.
//!
//! What comes in: the samples of one stored fragment and what is known of the fragments behind it. What goes out: what stands in front of
//! the stored payload, or, where parameter sets have to go in band, the whole fragment. Never: a `tfdt`: clients that shift the timeline
//! to zero write their own and would keep ours.

use crate::bmff::tfxd::Tfxd;
use crate::bmff::trun::{DEPENDENT_FLAGS, SYNC_FLAGS};
use crate::bmff::{mfhd, put_full_box, tfrf};
use crate::codec::avc::AvcConfig;
use crate::codec::nal;
use crate::error::{Error, Result};
use crate::media::Sample;
use crate::wire::Writer;

/// A fragment as the manifest lists it; all times are in ticks of the stream's TimeScale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The `track_ID`.
    pub track_id: u32,
    /// Sequence number for `mfhd`.
    pub sequence: u32,
    /// Start as it stands in the URL.
    pub time: u64,
    /// Duration as it stands in the manifest.
    pub duration: u64,
    /// Samples in decode order, of all chunks of the fragment.
    pub samples: &'a [Sample],
    /// Added to every composition offset: version 0 of `trun` has no negative ones. The same for all fragments of the stream.
    pub composition_shift: u32,
    /// Time and duration of the fragments that follow, nearest first; empty at the end of the presentation.
    pub successors: &'a [(u64, u64)],
}

impl Fragment<'_> {
    /// Writes what stands in front of a payload of `payload_len` bytes, which follows as it is stored.
    pub fn write_head(&self, payload_len: u64) -> Result<Vec<u8>> {
        let mdat_size = payload_len.checked_add(8).and_then(|size| u32::try_from(size).ok()).ok_or_else(|| {
            let detail = format!("a payload of {payload_len} bytes, an mdat of 32 bits cannot hold it");
            Error::new("FRAGMENT_TOO_LARGE", 0, detail).with_status(500)
        })?;
        let mut out = Vec::with_capacity(256 + 12 * self.samples.len());
        self.write_moof(0, &mut out);
        let data_offset = out.len() as u32 + 8;
        out.clear();
        self.write_moof(data_offset, &mut out);
        out.put_u32(mdat_size);
        out.put(b"mdat");
        Ok(out)
    }

    /// Writes the whole fragment with the parameter sets of `config` in front of every key frame that does not bring its own.
    ///
    /// A QualityLevel keeps its CodecPrivateData when the encoder comes back with another resolution: then the key frames must tell.
    pub fn write_with_parameter_sets(&self, config: &AvcConfig, payload: &[u8]) -> Result<Vec<u8>> {
        let mut sets = Vec::new();
        for set in config.sps.iter().chain(&config.pps) {
            sets.put_u32(set.len() as u32);
            sets.put(set);
        }
        let mut rest = payload;
        let mut media = Vec::with_capacity(payload.len() + sets.len());
        let mut samples = Vec::with_capacity(self.samples.len());
        for sample in self.samples {
            let start = media.len();
            let offset = (payload.len() - rest.len()) as u64;
            let (data, behind) = rest.split_at_checked(sample.size as usize).ok_or_else(|| {
                Error::new("CHUNK_INCONSISTENT", offset, "the sample sizes exceed the payload").with_status(500)
            })?;
            if sample.sync && nal::parameter_sets(data).0.is_empty() {
                media.put(&sets);
            }
            media.put(data);
            rest = behind;
            samples.push(Sample { size: (media.len() - start) as u32, ..*sample });
        }
        let mut out = Fragment { samples: &samples, ..*self }.write_head(media.len() as u64)?;
        out.put(&media);
        Ok(out)
    }

    fn write_moof(&self, data_offset: u32, out: &mut Vec<u8>) {
        out.put_box(*b"moof", |out| {
            mfhd::write(out, self.sequence);
            out.put_box(*b"traf", |out| {
                self.write_samples(data_offset, out);
                Tfxd { time: self.time as i64, duration: self.duration, index: None }.write(out);
                if !self.successors.is_empty() {
                    tfrf::write(out, self.successors);
                }
            });
        });
    }

    /// `tfhd` with all defaults, since clients make up a `trex` of zeros, and `trun` with the columns that differ.
    fn write_samples(&self, data_offset: u32, out: &mut Vec<u8>) {
        let samples = self.samples;
        let flags_of = |sync| if sync { SYNC_FLAGS } else { DEPENDENT_FLAGS };
        // The first sample has flags of its own in a closed group of pictures; otherwise every row has them where they differ.
        let first = samples.first().map(|sample| (sample.sync, sample.duration)).unwrap_or_default();
        let others = samples.get(1).map_or(first.0, |sample| sample.sync);
        let flags_vary = samples.iter().skip(1).any(|sample| sample.sync != others);
        let duration_varies = samples.iter().any(|sample| sample.duration != first.1);
        let composition = |sample: &Sample| i64::from(sample.composition) + i64::from(self.composition_shift);
        let columns = [
            (TRUN_DATA_OFFSET, true),
            (TRUN_FIRST_FLAGS, !flags_vary && first.0 != others),
            (TRUN_DURATION, duration_varies),
            (TRUN_SIZE, true),
            (TRUN_FLAGS, flags_vary),
            (TRUN_COMPOSITION, samples.iter().any(|sample| composition(sample) != 0)),
        ];
        let present = columns.iter().filter(|column| column.1).fold(0, |all, column| all | column.0);
        // Not default-base-is-moof, which is younger than the format: without it offsets count from the moof all the same.
        put_full_box(out, *b"tfhd", 0, TFHD_DURATION | TFHD_FLAGS, |out| {
            out.put_u32(self.track_id);
            out.put_u32(first.1);
            out.put_u32(flags_of(others));
        });
        put_full_box(out, *b"trun", 0, present, |out| {
            out.put_u32(samples.len() as u32);
            out.put_u32(data_offset);
            if present & TRUN_FIRST_FLAGS != 0 {
                out.put_u32(flags_of(first.0));
            }
            for sample in samples {
                if duration_varies {
                    out.put_u32(sample.duration);
                }
                out.put_u32(sample.size);
                if flags_vary {
                    out.put_u32(flags_of(sample.sync));
                }
                if present & TRUN_COMPOSITION != 0 {
                    out.put_u32(u32::try_from(composition(sample)).unwrap_or(0));
                }
            }
        });
    }
}

const TFHD_DURATION: u32 = 0x8;
const TFHD_FLAGS: u32 = 0x20;
const TRUN_DATA_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_COMPOSITION: u32 = 0x800;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmff::moof::Moof;
    use crate::bmff::scan::boxes;
    use crate::bmff::trex::Trex;
    use crate::bmff::trun::Trun;
    use crate::media::Codec;
    use crate::mux::tests::{avc, pictures, sounds};
    use proptest::prelude::*;

    /// Samples and payload as a client finds them, with the boxes in front checked.
    fn read(fragment: &[u8], expected: &Fragment<'_>) -> (Vec<Sample>, Vec<u8>) {
        let top: Vec<_> = boxes(fragment).map(|found| found.expect("whole boxes")).collect();
        assert_eq!(top.iter().map(|found| &found.kind).collect::<Vec<_>>(), [b"moof", b"mdat"]);
        let moof = Moof::parse(top[0].body).expect("valid");
        let traf = &moof.tracks[0];
        assert_eq!((moof.sequence, traf.header.track_id, traf.tfdt), (expected.sequence, expected.track_id, None));
        let tfxd = Tfxd { time: expected.time as i64, duration: expected.duration, index: None };
        assert_eq!(traf.tfxd, Some(tfxd));
        let run: Trun<'_> = traf.runs[0];
        assert_eq!((run.version, run.data_offset), (0, Some(top[1].offset as i32)));
        (traf.samples(&Trex::default(), 10_000).expect("counted"), top[1].body.to_vec())
    }

    fn fragment(samples: &[Sample]) -> Fragment<'_> {
        let (time, duration) = (1 << 40, samples.iter().map(|sample| u64::from(sample.duration)).sum());
        Fragment { track_id: 2, sequence: 9, time, duration, samples, composition_shift: 0, successors: &[] }
    }

    #[test]
    fn the_look_ahead_is_there_until_the_end() {
        let track = sounds(0, &[300, 301]);
        let mut fragment = fragment(&track.samples);
        let ending = fragment.write_head(601).expect("small");
        fragment.successors = &[(1 << 40, 2048), ((1 << 40) + 2048, 1024)];
        let live = fragment.write_head(601).expect("small");
        let mut expected = tfrf::UUID.to_vec();
        expected.put(&[1, 0, 0, 0, 2]);
        for (time, duration) in fragment.successors {
            expected.put_u64(*time);
            expected.put_u64(*duration);
        }
        assert!(memchr::memmem::find(&live, &expected).is_some());
        assert!(memchr::memmem::find(&ending, &tfrf::UUID).is_none());
        assert_eq!(live.len(), ending.len() + 8 + expected.len());
    }

    #[test]
    fn negative_composition_offsets_are_lifted() {
        let mut track = pictures(0, 3, &[10, 20, 30]);
        track.samples.iter_mut().for_each(|sample| sample.composition -= 3600);
        let fragment = Fragment { composition_shift: 3600, ..fragment(&track.samples) };
        let mut out = fragment.write_head(track.payload.len() as u64).expect("small");
        out.put(&track.payload);
        let (samples, _) = read(&out, &fragment);
        assert_eq!(samples.iter().map(|sample| sample.composition).collect::<Vec<_>>(), [3600, 7200, 0]);
    }

    #[test]
    fn parameter_sets_go_before_key_frames_only_once() {
        let Codec::Avc(config) = avc() else { unreachable!("it is AVC") };
        let track = pictures(0, 2, &[10, 20, 30]);
        let plain = fragment(&track.samples);
        let (samples, payload) =
            read(&plain.write_with_parameter_sets(&config, &track.payload).expect("whole"), &plain);
        let kinds: Vec<_> = nal::units(&payload, 4).map(|unit| nal::unit_type(unit.expect("whole"))).collect();
        assert_eq!(kinds, [7, 8, 5, 1, 7, 8, 5]);
        let again = fragment(&samples);
        let (twice, _) = read(&again.write_with_parameter_sets(&config, &payload).expect("whole"), &again);
        assert_eq!(twice, samples);
        let cut = plain.write_with_parameter_sets(&config, &track.payload[1..]);
        assert_eq!(cut.expect_err("a byte is missing").code, "CHUNK_INCONSISTENT");
    }

    #[test]
    fn a_payload_beyond_32_bits_is_refused() {
        assert_eq!(
            fragment(&[]).write_head(u64::from(u32::MAX) - 7).expect_err("too large").code,
            "FRAGMENT_TOO_LARGE"
        );
        assert!(fragment(&[]).write_head(u64::from(u32::MAX) - 8).is_ok());
    }

    proptest! {
        #[test]
        fn samples_come_back(
            rows in prop::collection::vec((0u32..9, prop::sample::select(vec![1024u32, 1024, 1025]), 0i32..3, any::<bool>()), 1..50),
        ) {
            let samples: Vec<_> = rows.into_iter()
                .map(|(size, duration, composition, sync)| Sample { size, duration, composition, sync })
                .collect();
            let payload = vec![7; samples.iter().map(|sample| sample.size as usize).sum()];
            let fragment = fragment(&samples);
            let mut out = fragment.write_head(payload.len() as u64).expect("small");
            out.put(&payload);
            prop_assert_eq!(read(&out, &fragment), (samples.clone(), payload));
        }
    }
}
