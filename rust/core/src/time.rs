//! Exact conversion of media time and unwrapping of short counters (docs/design/time.md).

/// Converts an absolute time from one timescale to another, rounding half up.
///
/// Absolute times are converted, never durations, so that rounding cannot add up: a 10 MHz or millisecond source snaps back to the
/// exact frame grid of the target wherever the grid is exact there. A time beyond 64 bits becomes the outermost one.
pub fn rescale(time: i64, from: u32, to: u32) -> i64 {
    if from == to {
        return time;
    }
    let from = i64::from(from.max(1));
    // Nearly always 64 bits are enough, and the processor divides those by itself.
    let doubled = time.checked_mul(i64::from(to)).and_then(|scaled| scaled.checked_mul(2)?.checked_add(from));
    if let Some(doubled) = doubled {
        return doubled.div_euclid(from * 2);
    }
    let scaled = i128::from(time) * i128::from(to);
    let from = i128::from(from);
    let rounded = (scaled * 2 + from).div_euclid(from * 2);
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

/// Unwraps a counter of `bits` bits to the value nearest to the last one (RTMP 32 bits, PES 33 bits, RTP 32 bits).
///
/// A wrap is not a discontinuity. The first value is taken as it is.
#[derive(Debug, Clone)]
pub struct Unwrapper {
    bits: u32,
    last: Option<i64>,
}

impl Unwrapper {
    /// An unwrapper for counters of `bits` (1..=62) bits.
    pub fn new(bits: u32) -> Self {
        Self { bits, last: None }
    }

    /// The unwrapped value of `raw`; may be lower than the last one when the counter stepped back.
    pub fn unwrap(&mut self, raw: u64) -> i64 {
        let modulus = 1i64 << self.bits;
        let raw = (raw & (modulus as u64 - 1)) as i64;
        let value = match self.last {
            None => raw,
            Some(last) => {
                let step = (raw - last).rem_euclid(modulus);
                last + if step > modulus / 2 { step - modulus } else { step }
            }
        };
        self.last = Some(value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ten_megahertz_snaps_back_to_the_frame_grid() {
        for frame in 0..100_000i64 {
            let exact = frame * 3003; // 29.97 frames a second at 90 kHz
            assert_eq!(rescale(rescale(exact, 90_000, 10_000_000), 10_000_000, 90_000), exact);
        }
    }

    #[test]
    fn negative_times_round_like_positive_ones() {
        assert_eq!(rescale(-213_333, 10_000_000, 48_000), -1024);
        assert_eq!(rescale(213_333, 10_000_000, 48_000), 1024);
    }

    #[test]
    fn times_beyond_64_bits_do_not_come_round() {
        assert_eq!(rescale(i64::MAX, 1, 2), i64::MAX);
        assert_eq!(rescale(i64::MIN, 1, u32::MAX), i64::MIN);
    }

    proptest! {
        #[test]
        fn short_and_long_arithmetic_agree(time in any::<i64>(), shift in 0u32..63, from in 1u32.., to in 1u32..) {
            let time = time >> shift;
            let exact = (i128::from(time) * i128::from(to) * 2 + i128::from(from)).div_euclid(i128::from(from) * 2);
            let exact = exact.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            prop_assert_eq!(i128::from(rescale(time, from, to)), exact);
        }

        #[test]
        fn unwrapping_follows_any_counter(start in 0u64..1 << 40, steps in prop::collection::vec(-1000i64..100_000, 1..200)) {
            let mut unwrapper = Unwrapper::new(32);
            let mut truth = start as i64;
            let first = unwrapper.unwrap(start);
            for step in steps {
                truth += step;
                prop_assert_eq!(unwrapper.unwrap(truth as u64) - first, truth - start as i64);
            }
        }
    }
}
