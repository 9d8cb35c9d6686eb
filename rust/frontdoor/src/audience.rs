//! Who watches, and how much they were sent.
//!
//! A [`Room`] is what is counted by itself: what a locator publishes, or a channel's preview, at one streaming endpoint. It knows a viewer by
//! a hash of the CMCD session, else of address and agent, so it keeps nothing that names one. What it counts is exact up to [`SEATS`]
//! viewers. Beyond, it keeps a part of them that the hash chooses, a half, a quarter and so on, and counts these for all (adaptive
//! sampling: Flajolet 1990): so many seats give an error of about one percent, in the same memory for any crowd.

use pypackager_core::proxies::parse_address;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long who was given something is there.
pub const THERE: Duration = Duration::from_secs(30);
/// Viewers that a room knows at once: half a MiB, when they are there.
pub const SEATS: usize = 16_384;

/// What is counted by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Streaming endpoint.
    pub endpoint: String,
    /// Channel; empty for an asset that no program refers to.
    pub channel: String,
    /// Path of the locator; empty for the channel's preview.
    pub locator: String,
}

/// A viewer, as far as it can be told from others.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// CMCD session id.
    pub session: Option<&'a str>,
    /// Where it is.
    pub address: Address<'a>,
    /// User-Agent.
    pub agent: &'a str,
}

/// An address, or what a proxy says in the place of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address<'a> {
    /// An address.
    Known(IpAddr),
    /// `unknown`, or a name that hides one (RFC 7239 6.3).
    Hidden(&'a str),
}

impl<'a> Address<'a> {
    /// What a text says.
    pub fn of(text: &'a str) -> Self {
        parse_address(text).map_or(Self::Hidden(text), |address| Self::Known(address.to_canonical()))
    }
}

/// All rooms.
#[derive(Debug)]
pub struct Audience {
    rooms: Mutex<HashMap<Place, Arc<Room>>>,
    keyed: RandomState,
    begun: Instant,
}

/// One count.
#[derive(Debug)]
pub struct Room {
    sent: AtomicU64,
    seats: Mutex<Seats>,
    keyed: RandomState,
    begun: Instant,
}

impl Default for Audience {
    fn default() -> Self {
        Self { rooms: Mutex::default(), keyed: RandomState::new(), begun: Instant::now() }
    }
}

impl Audience {
    /// The room of a place.
    pub fn room(&self, place: Place) -> Arc<Room> {
        let room = || Arc::new(Room { keyed: self.keyed.clone(), begun: self.begun, ..Room::default() });
        Arc::clone(self.rooms().entry(place).or_insert_with(room))
    }

    /// How many watch in each room that has somebody.
    pub fn viewers(&self, now: Instant) -> Vec<(Place, u64)> {
        let rooms = self.rooms();
        let counted = rooms.iter().map(|(place, room)| (place.clone(), room.viewers(now)));
        counted.filter(|(_, viewers)| *viewers > 0).collect()
    }

    /// How much was sent in each room since the last call. A room that nobody holds, and where nobody is, ends.
    pub fn take(&self, now: Instant) -> Vec<(Place, u64)> {
        let mut sent = Vec::new();
        self.rooms().retain(|place, room| {
            let bytes = room.sent.swap(0, Ordering::Relaxed);
            if bytes > 0 {
                sent.push((place.clone(), bytes));
            }
            Arc::strong_count(room) > 1 || room.viewers(now) > 0
        });
        sent
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<Place, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Room {
    fn default() -> Self {
        Self { sent: AtomicU64::new(0), seats: Mutex::default(), keyed: RandomState::new(), begun: Instant::now() }
    }
}

impl Room {
    /// Somebody was given bytes.
    pub fn gave(&self, who: &Who<'_>, bytes: u64, now: Instant) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        let hash = match who.session {
            Some(session) => self.keyed.hash_one(session),
            None => self.keyed.hash_one((who.address, who.agent)),
        };
        self.seats().take(hash, self.second(now));
    }

    /// How many were given something lately.
    pub fn viewers(&self, now: Instant) -> u64 {
        self.seats().count(self.second(now))
    }

    fn second(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.begun).as_secs().try_into().unwrap_or(u32::MAX)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who are there, by hash, with the second in which they were given something last.
#[derive(Debug, Default)]
struct Seats {
    taken: HashMap<u64, u32, BuildHasherDefault<Itself>>,
    /// Only hashes with so many leading zeros have a seat.
    level: u32,
    /// The level that seats are complete for until `complete`: after a step down it is the one before.
    known: u32,
    complete: u32,
}

impl Seats {
    fn take(&mut self, who: u64, second: u32) {
        if let Some(last) = self.taken.get_mut(&who) {
            *last = second;
            return;
        }
        if self.taken.len() >= SEATS {
            self.make_room(second);
        }
        if who.leading_zeros() >= self.level {
            self.taken.insert(who, second);
        }
    }

    /// Empties the seats of who has left; when most are still taken, it halves the part of all that has one.
    fn make_room(&mut self, second: u32) {
        self.leave(second);
        while self.taken.len() > SEATS / 4 * 3 {
            self.level += 1;
            self.complete = second;
            let level = self.level;
            self.taken.retain(|who, _| who.leading_zeros() >= level);
        }
    }

    fn count(&mut self, second: u32) -> u64 {
        self.leave(second);
        if self.level > 0 && second >= self.complete && self.taken.len() < SEATS / 4 {
            // Who had no seat gets one with the next thing that is asked for: within the time of being there, all who are.
            self.known = self.level;
            self.level -= 1;
            self.complete = second + THERE.as_secs() as u32;
        }
        let level = if second < self.complete { self.known } else { self.level };
        (self.taken.keys().filter(|who| who.leading_zeros() >= level).count() as u64) << level
    }

    fn leave(&mut self, second: u32) {
        self.taken.retain(|_, last| u64::from(*last) + THERE.as_secs() > u64::from(second));
    }
}

/// What is a hash already.
#[derive(Debug, Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        // The map tells keys apart by the highest bits, which a level makes zeros.
        self.0.rotate_right(16)
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who<'a>(session: Option<&'a str>, address: &'a str, agent: &'a str) -> Who<'a> {
        Who { session, address: Address::of(address), agent }
    }

    fn audience() -> (Audience, Arc<Room>, Instant) {
        let audience = Audience::default();
        let room = audience.room(Place { locator: "show".into(), ..Place::default() });
        let begun = audience.begun;
        (audience, room, begun)
    }

    #[test]
    fn a_viewer_is_a_session_else_an_address_with_an_agent() {
        let (_, room, now) = audience();
        for viewer in [
            who(Some("one"), "192.0.2.1", "a"),
            who(Some("one"), "192.0.2.2", "b"),
            who(Some("two"), "192.0.2.1", "a"),
            who(None, "192.0.2.1", "a"),
            who(None, "192.0.2.1", "a"),
            who(None, "192.0.2.1", "b"),
            who(None, "192.0.2.2", "a"),
            who(None, "_hidden", "a"),
        ] {
            room.gave(&viewer, 0, now);
        }
        assert_eq!(room.viewers(now), 6);
    }

    #[test]
    fn who_is_given_nothing_for_half_a_minute_is_gone() {
        let (_, room, now) = audience();
        let at = |seconds| now + Duration::from_secs(seconds);
        room.gave(&who(Some("one"), "", ""), 1, at(0));
        room.gave(&who(Some("two"), "", ""), 1, at(0));
        room.gave(&who(Some("one"), "", ""), 1, at(20));
        assert_eq!(room.viewers(at(29)), 2);
        assert_eq!(room.viewers(at(30)), 1);
        assert_eq!(room.viewers(at(50)), 0);
    }

    #[test]
    fn bytes_are_taken_once_and_a_room_that_is_empty_ends() {
        let (audience, room, now) = audience();
        let later = now + THERE;
        room.gave(&who(None, "192.0.2.1", ""), 7, now);
        room.gave(&who(None, "192.0.2.1", ""), 5, now);
        let place = Place { locator: "show".into(), ..Place::default() };
        assert_eq!(audience.take(now), [(place.clone(), 12)]);
        assert_eq!(audience.take(now), []);
        assert_eq!(audience.viewers(now), [(place.clone(), 1)]);
        assert!(Arc::ptr_eq(&room, &audience.room(place)));
        drop(room);
        assert_eq!(audience.rooms().len(), 1);
        audience.take(now);
        assert_eq!(audience.rooms().len(), 1, "somebody is there");
        audience.take(later);
        assert_eq!(audience.rooms().len(), 0);
    }

    /// Evenly spread hashes, as a keyed hash gives.
    fn crowd(from: u64, count: u64) -> impl Iterator<Item = u64> {
        (from..from + count).map(|number| {
            let mixed = (number ^ number >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ mixed >> 32
        })
    }

    #[test]
    fn a_crowd_is_exact_up_to_the_seats_and_about_right_beyond() {
        for (count, error) in [(1, 0), (SEATS as u64, 0), (50_000, 1_500), (1_000_000, 30_000)] {
            let mut seats = Seats::default();
            for second in [0, 7] {
                crowd(1, count).for_each(|who| seats.take(who, second));
            }
            let counted = seats.count(8);
            assert!(counted.abs_diff(count) <= error, "{count}: {counted}");
            assert!(seats.taken.len() <= SEATS);
        }
    }

    #[test]
    fn a_crowd_that_goes_is_counted_right_all_the_while() {
        let mut seats = Seats::default();
        crowd(1, 100_000).for_each(|who| seats.take(who, 0));
        for second in 1..400 {
            // Of all, two thousand stay, each asking every ten seconds.
            crowd(1, 2_000).skip(second as usize % 10).step_by(10).for_each(|who| seats.take(who, second));
            if second >= 30 {
                let counted = seats.count(second);
                assert!(counted.abs_diff(2_000) <= 300, "at {second}: {counted}");
            }
        }
        assert_eq!((seats.level, seats.count(400)), (0, 2_000));
    }
}
