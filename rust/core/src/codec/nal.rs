//! NAL units: length-prefixed and Annex B forms (ISO 14496-15 5.3.2, ITU-T H.264 7.3.1 and Annex B).
//!
//! What comes in: access units of outside origin. What goes out: borrowed NAL units, or the same access unit in another framing. Never a
//! look inside a slice beyond its header byte.

use crate::error::{Error, Result};

/// `nal_unit_type` of a coded slice of an IDR picture (ITU-T H.264 table 7-1).
pub const IDR: u8 = 5;
/// `nal_unit_type` of supplemental enhancement information.
pub const SEI: u8 = 6;
/// `nal_unit_type` of a sequence parameter set.
pub const SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub const PPS: u8 = 8;
/// `nal_unit_type` of an access unit delimiter.
pub const AUD: u8 = 9;
/// Start code with its zero byte, which Annex B asks of the first NAL unit of an access unit and of parameter sets.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The `nal_unit_type` of a NAL unit; 0 (unspecified) of an empty one.
pub fn unit_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| byte & 0x1f)
}

/// The NAL units of a length-prefixed access unit, with lengths of `length_size` (1 to 4) bytes; empty ones are passed over.
///
/// After the first error the iterator ends. Offsets count from the start of `sample`.
pub fn units(sample: &[u8], length_size: u8) -> Units<'_> {
    Units { sample, position: 0, length_size: usize::from(length_size.clamp(1, 4)) }
}

/// Iterator of [`units`].
#[derive(Debug, Clone)]
pub struct Units<'a> {
    sample: &'a [u8],
    position: usize,
    length_size: usize,
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.sample.get(self.position..).filter(|rest| !rest.is_empty())?;
            let Some((prefix, rest)) = rest.split_at_checked(self.length_size) else {
                return Some(Err(self.fail(format!("{} bytes where a NAL unit length should be", rest.len()))));
            };
            let length = prefix.iter().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
            let Some(unit) = rest.get(..length) else {
                return Some(Err(self.fail(format!("a NAL unit of {length} bytes, {} are left", rest.len()))));
            };
            self.position += self.length_size + length;
            if !unit.is_empty() {
                return Some(Ok(unit));
            }
        }
    }
}

impl Units<'_> {
    fn fail(&mut self, detail: String) -> Error {
        let offset = self.position as u64;
        self.position = self.sample.len();
        Error::new("NAL_TRUNCATED", offset, detail)
    }
}

/// Whether an access unit with 4-byte lengths holds a slice of an IDR picture; looks no further than its first slice.
pub fn is_idr(sample: &[u8]) -> bool {
    units(sample, 4).map_while(Result::ok).map(unit_type).find(|kind| (1..=IDR).contains(kind)) == Some(IDR)
}

/// The sequence and picture parameter sets that an access unit with 4-byte lengths carries in band.
pub fn parameter_sets(sample: &[u8]) -> (Vec<&[u8]>, Vec<&[u8]>) {
    let (mut sps, mut pps) = (Vec::new(), Vec::new());
    for unit in units(sample, 4).map_while(Result::ok) {
        match unit_type(unit) {
            SPS => sps.push(unit),
            PPS => pps.push(unit),
            IDR | 1..IDR => break,
            _ => {}
        }
    }
    (sps, pps)
}

/// Appends an access unit with lengths of `length_size` bytes to `out` with 4-byte lengths, the form in which samples are stored.
///
/// On an error `out` is as it was.
pub fn write_stored(sample: &[u8], length_size: u8, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    for unit in units(sample, length_size) {
        let unit = unit.inspect_err(|_| out.truncate(start))?;
        out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        out.extend_from_slice(unit);
    }
    Ok(())
}

/// The NAL units of a byte stream (ITU-T H.264 Annex B): what lies between start codes, without trailing zero bytes.
pub fn annexb_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts = memchr::memmem::find_iter(stream, &[0, 0, 1]).map(|at| at + 3).peekable();
    std::iter::from_fn(move || {
        let start = starts.next()?;
        let end = starts.peek().map_or(stream.len(), |next| next - 3);
        let unit = &stream[start..end.max(start)];
        let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&unit[..length])
    })
    .filter(|unit| !unit.is_empty())
}

/// The raw byte sequence payload of a NAL unit: its bytes without the emulation prevention bytes (ITU-T H.264 7.4.1).
pub fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for byte in unit {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        payload.push(*byte);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(nals: &[&[u8]], length_size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for nal in nals {
            out.extend_from_slice(&(nal.len() as u32).to_be_bytes()[4 - length_size..]);
            out.extend_from_slice(nal);
        }
        out
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error_with_its_offset() {
        let mut broken = sample(&[&[0x65, 1, 2]], 4);
        broken.extend([0, 0, 0, 9, 0x41]);
        let found: Vec<_> = units(&broken, 4).collect();
        assert_eq!(found.len(), 2);
        let error = found[1].clone().expect_err("nine bytes of one");
        assert_eq!((error.code, error.offset), ("NAL_TRUNCATED", 7));
        let mut out = vec![7];
        assert!(write_stored(&broken, 4, &mut out).is_err());
        assert_eq!(out, [7]);
    }

    #[test]
    fn idr_is_told_by_the_first_slice() {
        assert!(is_idr(&sample(&[&[9, 0xf0], &[0x67, 1], &[0x68, 1], &[6, 5], &[0x65, 1]], 4)));
        assert!(!is_idr(&sample(&[&[9, 0xf0], &[0x67, 1], &[0x41, 1]], 4)));
        assert!(!is_idr(&[]));
    }

    #[test]
    fn parameter_sets_stand_before_the_first_slice() {
        let unit = sample(&[&[9, 0xf0], &[0x67, 1], &[0x68, 2], &[0x68, 3], &[0x65, 1], &[0x67, 9]], 4);
        let (sps, pps) = parameter_sets(&unit);
        assert_eq!((sps, pps), (vec![&[0x67u8, 1][..]], vec![&[0x68u8, 2][..], &[0x68, 3]]));
    }

    #[test]
    fn emulation_prevention_is_removed_everywhere() {
        assert_eq!(unescape(&[0x67, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0x67, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(unescape(&[3, 0, 3, 0, 0, 4]), [3, 0, 3, 0, 0, 4]);
    }

    proptest! {
        #[test]
        fn framings_hold_the_same_units(
            nals in prop::collection::vec(prop::collection::vec(4u8..=255, 1..200), 0..8),
            length_size in prop::sample::select(vec![1u8, 2, 3, 4]),
        ) {
            let nals: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
            let mut stored = Vec::new();
            write_stored(&sample(&nals, usize::from(length_size)), length_size, &mut stored).expect("whole units");
            prop_assert_eq!(&stored, &sample(&nals, 4));
            let byte_stream: Vec<u8> = nals.iter().flat_map(|nal| [&START_CODE[..], nal].concat()).collect();
            prop_assert_eq!(annexb_units(&byte_stream).collect::<Vec<_>>(), nals);
        }

        #[test]
        fn any_bytes_end_in_units_or_one_error(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 0u8..9) {
            let found: Vec<_> = units(&bytes, size).collect();
            prop_assert!(found.iter().rev().skip(1).all(Result::is_ok));
            let _ = (is_idr(&bytes), parameter_sets(&bytes), annexb_units(&bytes).count());
        }
    }
}
