//! The frame grid: from millisecond times to exact ones.
//!
//! A sender's millisecond times are a regular grid, rounded. The grid's spacing is known (samples of an AAC frame; the frame rate), its
//! phase is the median of what the first frames leave over. Tracks of one source clock whose spacing is equal and whose phases are within
//! a millisecond share one, so that the same audio sent on several connections, and the same picture in several layers, get equal times.

use crate::time::rescale;

/// Spacing of a grid: `ticks / per` ticks of the timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spacing {
    pub(super) timescale: u32,
    pub(super) ticks: i64,
    pub(super) per: i64,
}

impl Spacing {
    /// The spacing of a video frame rate; `None` when it is unknown or not one.
    pub(super) fn video(frame_rate: (u32, u32)) -> Option<Self> {
        let (frames, seconds) = (i64::from(frame_rate.0), i64::from(frame_rate.1));
        let sane = frames >= 1 && seconds >= 1 && frames >= seconds && frames <= seconds * 1000 && frames < 10_000_000;
        let ticks = i64::from(VIDEO_TIMESCALE) * seconds;
        // Reduced, so that equal rates are equal values.
        let divisor = common_divisor(ticks, frames);
        sane.then(|| Self { timescale: VIDEO_TIMESCALE, ticks: ticks / divisor, per: frames / divisor })
    }

    /// The spacing in milliseconds, rounded up.
    pub(super) fn frame_ms(self) -> i64 {
        (self.ticks * 1000).div_euclid(self.per * i64::from(self.timescale)) + 1
    }

    fn ticks_of_ms(self, ms: i64) -> i64 {
        rescale(ms, 1000, self.timescale)
    }

    /// The grid time nearest to `time`, both in ticks.
    fn nearest(self, phase: i64, time: i64) -> i64 {
        let (ticks, per) = (i128::from(self.ticks), i128::from(self.per));
        let index = div_round(i128::from(time - phase) * per, ticks);
        phase + div_round(index * ticks, per) as i64
    }

    fn millisecond(self) -> i64 {
        i64::from(self.timescale).div_euclid(1000).max(1)
    }

    /// The phase that the times agree on: the median of their distances from the grid through the first.
    pub(super) fn phase(self, times_ms: &[i64]) -> i64 {
        let Some(first) = times_ms.first().map(|&ms| self.ticks_of_ms(ms)) else { return 0 };
        let mut left: Vec<i64> =
            times_ms.iter().map(|&ms| self.ticks_of_ms(ms) - self.nearest(first, self.ticks_of_ms(ms))).collect();
        first + median(&mut left)
    }

    /// Whether nine of ten times are within a millisecond of the grid.
    pub(super) fn fits(self, phase: i64, times_ms: &[i64]) -> bool {
        let near = times_ms.iter().filter(|&&ms| self.is_near(phase, ms)).count();
        near * 10 >= times_ms.len() * 9
    }

    fn is_near(self, phase: i64, ms: i64) -> bool {
        let time = self.ticks_of_ms(ms);
        (self.nearest(phase, time) - time).abs() <= self.millisecond()
    }

    /// The grid time within a millisecond of `ms`, else `ms` itself.
    fn snap(self, phase: i64, ms: i64) -> i64 {
        let time = self.ticks_of_ms(ms);
        if self.is_near(phase, ms) { self.nearest(phase, time) } else { time }
    }
}

/// The phases of one source clock.
#[derive(Debug, Default)]
pub(super) struct Phases {
    known: Vec<(Spacing, i64)>,
}

impl Phases {
    /// The shared phase within a millisecond of `phase`; the phase itself becomes one when there is none.
    fn share(&mut self, spacing: Spacing, phase: i64) -> i64 {
        let near = |&&(known, shared): &&(Spacing, i64)| {
            known == spacing && (spacing.nearest(shared, phase) - phase).abs() <= spacing.millisecond()
        };
        if let Some(&(_, shared)) = self.known.iter().find(near) {
            return shared;
        }
        self.known.truncate(MAX_PHASES - 1);
        self.known.push((spacing, phase));
        phase
    }

    /// Follows a track that moved its phase, for the tracks that come later.
    fn follow(&mut self, spacing: Spacing, from: i64, to: i64) {
        if let Some(entry) = self.known.iter_mut().find(|entry| **entry == (spacing, from)) {
            entry.1 = to;
        }
    }
}

/// Gives the frames of one track their places.
#[derive(Debug)]
pub(super) enum Placer {
    /// Each time on its own: to the grid where there is one, else as it is.
    Video { grid: Option<(Spacing, i64)>, last: Option<i64> },
    /// One frame after the other, since AAC frames are all of one length: jitter of the sender does not show.
    Audio { spacing: Spacing, phase: i64, last: Option<i64>, recent: Vec<i64> },
}

impl Placer {
    /// The placer of a video track: the first of `spacings` that its times fit.
    pub(super) fn video(spacings: &[Spacing], times_ms: &[i64], phases: &mut Phases) -> Self {
        let fit = spacings.iter().find_map(|spacing| {
            let phase = spacing.phase(times_ms);
            spacing.fits(phase, times_ms).then_some((*spacing, phase))
        });
        let grid = fit.map(|(spacing, phase)| (spacing, phases.share(spacing, phase)));
        Self::Video { grid, last: None }
    }

    /// The placer of an audio track.
    pub(super) fn audio(spacing: Spacing, times_ms: &[i64], phases: &mut Phases) -> Self {
        let phase = phases.share(spacing, spacing.phase(times_ms));
        Self::Audio { spacing, phase, last: None, recent: Vec::new() }
    }

    /// The decode time and the composition offset of the next frame; `first` when it starts a fragment.
    pub(super) fn place(&mut self, ms: i64, composition_ms: i32, first: bool, phases: &mut Phases) -> (i64, i32) {
        match self {
            Self::Video { grid, last } => {
                let snap =
                    |ms: i64| grid.map_or_else(|| ms.saturating_mul(90), |(spacing, phase)| spacing.snap(phase, ms));
                // Decode times must rise, but senders stamp several frames alike (GStreamer with B-frames at the start).
                let decode = last.map_or(snap(ms), |last| snap(ms).max(last + 1));
                *last = Some(decode);
                let shown = snap(ms + i64::from(composition_ms));
                (decode, i32::try_from(shown - decode).unwrap_or(0))
            }
            Self::Audio { spacing, phase, last, recent } => {
                let (spacing, frame, time) = (*spacing, spacing.ticks, spacing.ticks_of_ms(ms));
                let Some(before) = *last else {
                    let place = spacing.nearest(*phase, time);
                    *last = Some(place);
                    return (place, 0);
                };
                let mut place = before + frame;
                if first && recent.len() >= PHASE_FRAMES {
                    let drift = median(&mut recent.clone());
                    if drift.abs() > spacing.millisecond() {
                        place += drift.clamp(-frame / 2, frame / 2);
                        phases.follow(spacing, *phase, place);
                        *phase = place;
                        recent.clear();
                    }
                }
                // Missing frames leave a gap of whole frames. The margin covers rounding at both ends and drift not yet taken up.
                let missing = (time - place + 3 * spacing.millisecond()).div_euclid(frame).max(0);
                place += missing * frame;
                if recent.len() >= PHASE_FRAMES {
                    recent.remove(0);
                }
                recent.push(time - place);
                *last = Some(place);
                (place, 0)
            }
        }
    }

    /// The usual duration of a frame in ticks, where it is known.
    pub(super) fn frame_ticks(&self) -> Option<i64> {
        match self {
            Self::Video { grid, .. } => {
                grid.map(|(spacing, _)| div_round(spacing.ticks.into(), spacing.per.into()) as i64)
            }
            Self::Audio { spacing, .. } => Some(spacing.ticks),
        }
    }

    /// Forgets the last place after a jump.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Video { last, .. } => *last = None,
            Self::Audio { last, recent, .. } => {
                *last = None;
                recent.clear();
            }
        }
    }
}

fn median(values: &mut [i64]) -> i64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0 } else { *values.select_nth_unstable(middle).1 }
}

fn common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a.max(1) } else { common_divisor(b, a % b) }
}

fn div_round(value: i128, by: i128) -> i128 {
    (2 * value + by).div_euclid(2 * by)
}

/// Timescale of all video that comes with millisecond times.
pub(super) const VIDEO_TIMESCALE: u32 = 90_000;
/// Audio frames whose median is the phase.
pub(super) const PHASE_FRAMES: usize = 50;
const MAX_PHASES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const AAC_48: Spacing = Spacing { timescale: 48_000, ticks: 1024, per: 1 };
    const AAC_44: Spacing = Spacing { timescale: 44_100, ticks: 1024, per: 1 };

    fn ms_of_frames(spacing: Spacing, phase: i64, frames: i64) -> Vec<i64> {
        (0..frames).map(|n| rescale(phase + n * spacing.ticks / spacing.per, spacing.timescale, 1000)).collect()
    }

    #[test]
    fn the_phase_is_found_within_a_third_of_a_millisecond() {
        for spacing in [AAC_48, AAC_44] {
            for phase in [0, 1, 500, 1023, 123_456, -700] {
                let found = spacing.phase(&ms_of_frames(spacing, phase, 50));
                assert!((found - phase).abs() <= 15, "{phase} is found as {found}");
            }
        }
    }

    #[test]
    fn a_gap_stays_one_of_whole_frames() {
        let mut times = ms_of_frames(AAC_44, 0, 120);
        times.drain(60..63);
        let mut phases = Phases::default();
        let mut track = Placer::audio(AAC_44, &times[..50], &mut phases);
        let places: Vec<i64> = times.iter().map(|&ms| track.place(ms, 0, false, &mut phases).0).collect();
        let steps: Vec<i64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let expected: Vec<i64> = (0..116).map(|n| if n == 59 { 4096 } else { 1024 }).collect();
        assert_eq!(steps, expected);
    }

    #[test]
    fn drift_moves_the_phase_at_a_fragment_start() {
        // A sender whose sample clock is 200 ppm slow against its time stamps.
        let times: Vec<i64> = (0..2000i64).map(|n| (n * 1024 * 10_002 / 10_000 + 24) / 48).collect();
        let mut phases = Phases::default();
        let mut track = Placer::audio(AAC_48, &times[..50], &mut phases);
        let mut worst = 0;
        for (n, &ms) in times.iter().enumerate() {
            let (place, _) = track.place(ms, 0, n % 94 == 0, &mut phases);
            worst = worst.max((place - ms * 48).abs());
        }
        assert!(worst <= 3 * 48, "{worst} ticks away");
    }

    #[test]
    fn jitter_of_the_sender_does_not_show() {
        let times: Vec<i64> =
            ms_of_frames(AAC_48, 0, 500).iter().enumerate().map(|(n, ms)| ms + [0, 9, -7, 4][n % 4]).collect();
        let mut phases = Phases::default();
        let mut track = Placer::audio(AAC_48, &times[..50], &mut phases);
        let places: Vec<i64> = times.iter().map(|&ms| track.place(ms, 0, false, &mut phases).0).collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] == 1024));
    }

    #[test]
    fn video_snaps_to_its_rate_or_stays() {
        let ntsc = Spacing::video((30_000, 1001)).expect("a rate");
        let times: Vec<i64> = (0..300i64).map(|n| rescale(21 * 90 + n * 3003, 90_000, 1000)).collect();
        let mut phases = Phases::default();
        let mut track = Placer::video(&[ntsc], &times[..25], &mut phases);
        let places: Vec<i64> = times.iter().map(|&ms| track.place(ms, 0, false, &mut phases).0).collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] == 3003));
        assert_eq!(track.place(times[299] + 41, 100, false, &mut phases).0, (times[299] + 41) * 90);
        // 25 frames a second announced as 30: the grid does not fit.
        let times: Vec<i64> = (0..50).map(|n| n * 40).collect();
        let mut track = Placer::video(&[Spacing::video((30, 1)).expect("a rate")], &times, &mut phases);
        assert_eq!(track.place(40, 80, false, &mut phases), (3600, 7200));
    }

    #[test]
    fn impossible_rates_give_no_grid() {
        for rate in [(0, 1), (1, 0), (1, 2), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
            assert_eq!(Spacing::video(rate), None, "{rate:?}");
        }
    }
}
