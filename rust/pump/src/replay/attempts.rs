//! When a stream is tried again, and when it has failed.

use super::inject::Random;
use super::stats::Fault;
use std::time::{Duration, Instant};

/// The attempts of one stream to get and keep a connection.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// When the next one is due.
    due: Option<Instant>,
    /// How many were in vain since a connection lasted.
    vain: u32,
    /// Since when none lasted.
    failing: Option<Instant>,
    /// When the connection opened that there is.
    opened: Option<Instant>,
    /// Whether a connection has been good: then a refusal is one of the moment.
    proven: bool,
    /// Why there is no connection.
    fault: Option<Fault>,
}

impl Attempts {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The next attempt is made at this time; `None`: when somebody asks for it.
    pub(super) fn set(&mut self, due: Option<Instant>) {
        self.due = due;
    }

    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    pub(super) fn opened(&mut self, now: Instant) {
        (self.opened, self.fault) = (Some(now), None);
    }

    /// The connection ended by our will.
    pub(super) fn ended(&mut self) {
        self.opened = None;
    }

    /// A connection ended by itself, or did not come about: whether another is tried.
    ///
    /// What only a person can mend (a wrong URL, key, protocol or codec) ends a stream that was not taken before; one that was is tried for ever,
    /// or as long as `give_up` says. `forgiven`: something was done to the stream that may have earned it the refusal.
    pub(super) fn lost(
        &mut self,
        fault: Fault,
        forgiven: bool,
        give_up: Option<Duration>,
        random: &mut Random,
        now: Instant,
    ) -> bool {
        let opened = self.opened.take();
        if opened.is_some_and(|opened| now.saturating_duration_since(opened) >= LASTING) {
            (self.vain, self.failing, self.proven) = (0, None, true);
        }
        self.proven |= opened.is_some() && !fault.lasting;
        let refused = fault.lasting && !self.proven && !forgiven;
        let asked = fault.pause.unwrap_or_default().min(LONGEST_ASKED);
        self.fault = Some(fault);
        let failing = *self.failing.get_or_insert(now);
        if refused || give_up.is_some_and(|limit| now.saturating_duration_since(failing) >= limit) {
            return false;
        }
        // Small, growing, and different for each stream, so that a ladder does not come back in one instant.
        let most = FIRST_PAUSE.saturating_mul(1 << self.vain.min(8)).min(LONGEST_PAUSE);
        let drawn = most / 2 + Duration::from_nanos(random.below(most.as_nanos() as u64 / 2));
        self.vain += 1;
        self.due = Some(now + drawn.max(asked));
        true
    }
}

/// How long a connection must have lasted before it counts as a good one.
const LASTING: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const LONGEST_ASKED: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const FOR_EVER: Option<Duration> = None;

    fn torn() -> Fault {
        Fault::new("CONNECTION_LOST", "")
    }

    fn refusal() -> Fault {
        Fault { lasting: true, ..Fault::new("HTTP_REFUSED", "404") }
    }

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_a_good_connection() {
        let (mut attempts, mut random, now) = (Attempts::default(), Random::of([1; 4]), Instant::now());
        for (vain, most) in [100, 200, 400, 800, 1600, 3000, 3000].into_iter().enumerate() {
            assert!(attempts.lost(torn(), false, FOR_EVER, &mut random, now));
            let pause = attempts.due().unwrap() - now;
            assert!(
                pause >= Duration::from_millis(most / 2) && pause < Duration::from_millis(most),
                "{vain}: {pause:?}"
            );
        }
        attempts.opened(now);
        assert!(attempts.lost(torn(), false, FOR_EVER, &mut random, now + LASTING));
        assert!(attempts.due().unwrap() < now + LASTING + FIRST_PAUSE);
    }

    #[test]
    fn a_refusal_ends_only_what_was_never_taken() {
        let (mut random, now) = (Random::of([1; 4]), Instant::now());
        assert!(!Attempts::default().lost(refusal(), false, FOR_EVER, &mut random, now));
        assert!(Attempts::default().lost(refusal(), true, FOR_EVER, &mut random, now));
        let mut taken = Attempts::default();
        taken.opened(now);
        assert!(taken.lost(torn(), false, FOR_EVER, &mut random, now));
        assert!(taken.lost(refusal(), false, FOR_EVER, &mut random, now));
    }

    #[test]
    fn the_other_side_may_ask_for_a_longer_pause() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let busy = Fault { pause: Some(Duration::from_secs(7)), ..Fault::new("HTTP_REFUSED", "503") };
        assert!(attempts.lost(busy, false, FOR_EVER, &mut Random::of([1; 4]), now));
        assert_eq!(attempts.due(), Some(now + Duration::from_secs(7)));
    }

    #[test]
    fn trying_has_an_end_when_one_is_set() {
        let (mut attempts, mut random, now) = (Attempts::default(), Random::of([1; 4]), Instant::now());
        let limit = Some(Duration::from_secs(5));
        assert!(attempts.lost(torn(), false, limit, &mut random, now));
        assert!(!attempts.lost(torn(), false, limit, &mut random, now + Duration::from_secs(5)));
        assert!(!Attempts::default().lost(torn(), false, Some(Duration::ZERO), &mut random, now));
    }
}
