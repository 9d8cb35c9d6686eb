//! Faults that are asked for: what happens to a stream, and at which media times, drawn from a seed.

use std::time::Duration;

/// What is done to a stream. Durations and times are media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The connection is reset, and opened again after so long.
    Cut(Duration),
    /// The same, closed in place of reset: what was sent arrives.
    Hangup(Duration),
    /// The next unit is sent as far as this byte (`None`: a drawn one), then the connection is closed.
    Truncate(Option<u64>),
    /// The connection is neither used nor closed any more; a new one takes over.
    Vanish,
    /// The encoder dies and is back after so long, with its clock but without what it had sent or made.
    Kill(Duration),
    /// The same, and its clock begins at zero.
    Restart(Duration),
    /// Nothing is sent for so long; then what has gathered.
    Stall(Duration),
    /// For so long the connection takes half the bit rate.
    Slow(Duration),
    /// The stream begins so late.
    Late,
    /// The next unit is sent so many times more.
    Repeat(u32),
    /// Units that start within so long are left out; at least the next.
    Drop(Duration),
    /// The next unit is sent behind the one after it.
    Reorder,
    /// All later times are so many milliseconds later.
    Jump(i64),
    /// So many bytes of noise.
    Garbage(u32),
}

impl What {
    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cut(_) => "cut",
            Self::Hangup(_) => "hangup",
            Self::Truncate(_) => "truncate",
            Self::Vanish => "vanish",
            Self::Kill(_) => "kill",
            Self::Restart(_) => "restart",
            Self::Stall(_) => "stall",
            Self::Slow(_) => "slow",
            Self::Late => "late-start",
            Self::Repeat(_) => "dup",
            Self::Drop(_) => "drop",
            Self::Reorder => "reorder",
            Self::Jump(_) => "jump",
            Self::Garbage(_) => "garbage",
        }
    }
}

/// A fault and when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// What is done.
    pub what: What,
    /// Which fault of the run it is: each draws instants of its own.
    pub number: u32,
    /// Whether each stream draws its own instants; else the streams that share a fault have it at once.
    pub apart: bool,
    /// Earliest media time.
    pub from: Duration,
    /// How much later it may come; the instant within is drawn.
    pub within: Duration,
    /// It comes again after so long, and so on; zero: once.
    pub every: Duration,
}

impl Injection {
    /// When it comes for the `round`th time (from 0), in nanoseconds of media time; `None`: no more.
    pub fn at(&self, seed: u64, stream: u64, round: u64) -> Option<i64> {
        if round > 0 && self.every.is_zero() {
            return None;
        }
        let own = if self.apart { stream + 1 } else { 0 };
        let drawn = Random::of([seed, u64::from(self.number), own, round]).below(nanoseconds(self.within) as u64 + 1);
        let rounds = nanoseconds(self.every).saturating_mul(i64::try_from(round).unwrap_or(i64::MAX));
        Some(nanoseconds(self.from).saturating_add(rounds).saturating_add(drawn as i64))
    }
}

/// The faults of one stream that are still to come.
#[derive(Debug)]
pub(super) struct Schedule {
    seed: u64,
    stream: u64,
    /// Each with its round and the instant of that.
    entries: Vec<(Injection, u64, i64)>,
}

impl Schedule {
    pub(super) fn new(injections: &[Injection], seed: u64, stream: u64) -> Self {
        let first = |one: &Injection| one.at(seed, stream, 0).map(|at| (*one, 0, at));
        Self { seed, stream, entries: injections.iter().filter_map(first).collect() }
    }

    /// The next instant, in nanoseconds of media time.
    pub(super) fn due(&self) -> Option<i64> {
        self.entries.iter().map(|(_, _, at)| *at).min()
    }

    /// The next fault and its instant. Repetitions up to `now` that nobody could see are passed over.
    pub(super) fn take(&mut self, now: i64) -> Option<(What, i64)> {
        let (index, (what, due)) =
            self.entries.iter().map(|(one, _, at)| (one.what, *at)).enumerate().min_by_key(|(_, (_, at))| *at)?;
        let (injection, round, at) = &mut self.entries[index];
        loop {
            *round += 1;
            match injection.at(self.seed, self.stream, *round) {
                Some(next) if next <= now => {}
                Some(next) => {
                    *at = next;
                    break;
                }
                None => {
                    self.entries.swap_remove(index);
                    break;
                }
            }
        }
        Some((what, due))
    }

    /// When the stream begins, if not with the others.
    pub(super) fn take_late(&mut self) -> Option<i64> {
        let at = self.entries.iter().filter(|(one, ..)| one.what == What::Late).map(|(_, _, at)| *at).max();
        self.entries.retain(|(one, ..)| one.what != What::Late);
        at
    }
}

/// Numbers that a seed decides (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn of(words: [u64; 4]) -> Self {
        words.into_iter().fold(Self(0), |mut random, word| {
            random.0 ^= word;
            Self(random.next())
        })
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}

/// A duration in nanoseconds; what is longer than 292 years stays at the end of the range.
pub(super) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    fn cut(from: u64, within: u64, every: u64, number: u32) -> Injection {
        let [from, within, every] = [from, within, every].map(Duration::from_secs);
        Injection { what: What::Cut(Duration::ZERO), number, apart: false, from, within, every }
    }

    #[test]
    fn faults_come_in_the_order_of_their_instants_and_repeat() {
        let mut schedule = Schedule::new(&[cut(10, 0, 15, 0), cut(12, 0, 0, 1)], 7, 0);
        let mut instants = Vec::new();
        while let Some((_, at)) = schedule.take(0).filter(|(_, at)| *at < 60 * SECOND) {
            instants.push(at / SECOND);
        }
        assert_eq!(instants, [10, 12, 25, 40, 55]);
    }

    #[test]
    fn what_an_outage_hid_comes_once() {
        let mut schedule = Schedule::new(&[cut(1, 0, 1, 0)], 7, 0);
        assert_eq!(schedule.take(5 * SECOND + 1).unwrap().1, SECOND);
        assert_eq!(schedule.due(), Some(6 * SECOND));
    }

    #[test]
    fn a_late_start_is_no_fault_of_a_running_stream() {
        let late = Injection { what: What::Late, ..cut(5, 0, 0, 0) };
        let mut schedule = Schedule::new(&[late, cut(9, 0, 0, 1)], 7, 0);
        assert_eq!((schedule.take_late(), schedule.due()), (Some(5 * SECOND), Some(9 * SECOND)));
    }

    proptest! {
        #[test]
        fn a_seed_decides_every_instant(seed: u64, stream in 0u64..30, from in 0u64..100, within in 0u64..100, every in 0u64..50, number in 0u32..9, round in 0u64..20) {
            let injection = cut(from, within, every, number);
            let at = injection.at(seed, stream, round);
            prop_assert_eq!(at, injection.at(seed, stream + 1, round), "streams that share a fault have it at once");
            prop_assert_eq!(at.is_some(), round == 0 || every > 0);
            if let Some(at) = at {
                let first = (from + every * round) as i64 * SECOND;
                prop_assert!((first..=first + within as i64 * SECOND).contains(&at));
            }
        }

        #[test]
        fn seeds_and_streams_apart_draw_differently(seed: u64, stream in 0u64..30) {
            let apart = Injection { apart: true, ..cut(0, 1000, 0, 0) };
            prop_assert_ne!(apart.at(seed, stream, 0), apart.at(seed, stream + 1, 0));
            prop_assert_ne!(apart.at(seed, stream, 0), apart.at(seed.wrapping_add(1), stream, 0));
        }
    }
}
