//! Who watches.

use pyo3::prelude::*;
use pypackager_core::cmcd;
use pypackager_frontdoor::audience::{self, Address, Place, Who};
use std::sync::Arc;
use std::time::Instant;

/// All that is counted by itself.
#[pyclass(frozen, module = "pypackager._core")]
#[derive(Default)]
pub struct Audience(audience::Audience);

/// Where viewers are counted.
#[pyclass(frozen, eq, module = "pypackager._core")]
pub struct Room(pub Arc<audience::Room>);

/// A count: endpoint, channel, locator, how many or how much.
type Count = (String, String, String, u64);

impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[pymethods]
impl Audience {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn room(&self, endpoint: String, channel: String, locator: String) -> Room {
        Room(self.0.room(Place { endpoint, channel, locator }))
    }

    fn viewers(&self) -> Vec<Count> {
        self.0.viewers(Instant::now()).into_iter().map(count).collect()
    }

    fn take(&self) -> Vec<Count> {
        self.0.take(Instant::now()).into_iter().map(count).collect()
    }
}

#[pymethods]
impl Room {
    fn gave(&self, address: &str, agent: &str, session: Option<&str>, sent: u64) {
        self.0.gave(&Who { session, address: Address::of(address), agent }, sent, Instant::now());
    }
}

fn count((place, number): (Place, u64)) -> Count {
    (place.endpoint, place.channel, place.locator, number)
}

/// A query without what a player tells of itself, and the session that it tells there or in its header field.
#[pyfunction]
pub fn split_cmcd(query: &str, field: &str) -> (String, Option<String>) {
    let (rest, told) = cmcd::split(query);
    let session = told.as_deref().and_then(cmcd::session).or_else(|| cmcd::session(field));
    (rest.into_owned(), session.map(str::to_owned))
}
