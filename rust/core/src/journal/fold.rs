//! The fold of a stretch: what `pypackager/dvr/ledger.py` does record by record, for the four kinds that a channel writes all the time.
//!
//! It says what the ledger says, refusals and gaps included. Whether a part of a period begins with rows is the line-up's to decide
//! (`pypackager/dvr/lineup.py`): where it could, the stretch ends behind these rows and the caller asks it.

use super::lane::Lane;
use super::record::{Blob, Fragment, Record, Row, read};
use std::collections::{BTreeMap, BTreeSet};

/// The open part of the open period.
#[derive(Debug, Default, Clone)]
pub struct Part {
    /// Number of the period.
    pub period: i64,
    /// Number of the part.
    pub part: i64,
    /// Media time of its start.
    pub start_ns: i64,
    /// Numbers of the tracks that it lists; None: all that have rows.
    pub members: Option<Vec<i64>>,
    /// The key frame interval.
    pub usual_ns: i64,
}

/// A stretch that is being folded, and what it did.
#[derive(Debug, Default)]
pub struct Fold {
    /// All tracks.
    pub lanes: Vec<Lane>,
    /// The open part; None before the first period.
    pub part: Option<Part>,
    /// Blobs that fragments may point into. One that is not named ends the stretch.
    pub known: BTreeSet<i64>,
    /// Where the stretch ends.
    pub end: usize,
    /// Records folded, the refused ones among them.
    pub records: u64,
    /// Records that contradict the ledger.
    pub refused: u64,
    /// Records that moved the published edge.
    pub edges: u64,
    /// Blobs that began.
    pub opened: Vec<Blob>,
    /// Blobs that a record of the stretch points into.
    pub used: BTreeSet<i64>,
    /// The furthest offset that a checkpoint covers.
    pub checkpoint: Option<i64>,
    /// Fragments that no checkpoint covers, with the end of their records.
    pub recent: Vec<(usize, Fragment)>,
    /// (track, time) of the media of the last rows, when a part may begin with them.
    pub media: Option<Vec<(i64, i64)>>,
    /// Start of the newest row before them.
    pub before_ns: i128,
}

impl Fold {
    /// Folds the records of a file from `at` on, as far as they are of the four kinds.
    pub fn run(&mut self, data: &[u8], at: usize) {
        let places: BTreeMap<i64, usize> = self.lanes.iter().enumerate().map(|(i, lane)| (lane.number, i)).collect();
        let inside: Vec<bool> = self.lanes.iter().map(|lane| self.is_member(lane.number)).collect();
        self.end = at;
        while self.media.is_none() {
            let Some((end, record)) = read(data, self.end) else { break };
            match record {
                Record::Fragment(fragment) => {
                    let lane = places.get(&fragment.track).map(|place| &mut self.lanes[*place]);
                    if lane.is_some() && !self.known.contains(&fragment.blob) {
                        break;
                    }
                    self.recent.push((end, fragment.clone()));
                    match lane {
                        Some(lane) if lane.configs.contains(&fragment.config) && fragment.time > lane.last_time => {
                            if lane.used != Some(fragment.blob) {
                                lane.used = Some(fragment.blob);
                                self.used.insert(fragment.blob);
                            }
                            lane.wait(fragment);
                        }
                        _ => self.refused += 1,
                    }
                }
                Record::Edge(rows) => self.publish(&rows, &places, &inside),
                Record::Blob(blob) if places.contains_key(&blob.track) => {
                    self.known.insert(blob.number);
                    self.opened.push(blob);
                }
                Record::Blob(_) => self.refused += 1,
                Record::Checkpoint(offset) => {
                    let offset = self.checkpoint.map_or(offset, |before| before.max(offset));
                    self.recent.retain(|(end, _)| *end as i64 > offset);
                    self.checkpoint = Some(offset);
                }
            }
            self.end = end;
            self.records += 1;
        }
    }

    fn publish(&mut self, rows: &[Row], places: &BTreeMap<i64, usize>, inside: &[bool]) {
        let period = self.part.as_ref().map_or(0, |part| part.period);
        let before: Vec<i64> = self.lanes.iter().map(|lane| lane.last_time).collect();
        let mut media = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(place) = places.get(&row.track) else { continue };
            let lane = &mut self.lanes[*place];
            if row.time <= lane.last_time {
                continue;
            }
            if let Some(blob) = lane.list(row, period) {
                if lane.used != Some(blob) {
                    self.used.insert(blob);
                }
                media.push((*place, row.time));
            }
        }
        self.edges += 1;
        if !self.goes_on(&media, &before, inside) {
            self.before_ns = self.newest_ns(&before);
            self.media = Some(media.iter().map(|(place, time)| (self.lanes[*place].number, *time)).collect());
        }
    }

    /// Whether it is certain that the open part stays as it is.
    fn goes_on(&self, media: &[(usize, i64)], before: &[i64], inside: &[bool]) -> bool {
        let Some(Part { members: Some(members), part, start_ns, usual_ns, .. }) = &self.part else { return true };
        let mut listed: Vec<usize> = media.iter().map(|(place, _)| *place).collect();
        listed.sort_unstable();
        listed.dedup();
        let strangers = listed.iter().any(|place| !inside[*place]);
        if media.is_empty() || (!strangers && listed.len() == members.len()) {
            return true;
        }
        let known = inside.iter().filter(|inside| **inside).count();
        let leading = |(place, _): &&(usize, i64)| (!self.lanes[*place].video, self.lanes[*place].number);
        let reference = media.iter().filter(|(place, _)| inside[*place]).min_by_key(leading);
        let (Some((place, time)), false) = (reference, known < members.len() || (strangers && *part == 0)) else {
            return false;
        };
        let border_ns = self.lanes[*place].ns(*time);
        if border_ns <= self.newest_ns(before).max((*start_ns).into()) + TOLERANCE_NS {
            return true;
        }
        // None of those that are listed may have gone, none of the others have come.
        self.lanes.iter().zip(inside).all(|(lane, inside)| {
            let reached_ns = lane.ns(lane.reached);
            if *inside {
                border_ns - reached_ns <= GONE_NS + 2 * i128::from(*usual_ns)
            } else {
                lane.begun < 0
                    || lane.ns(lane.begun) > border_ns + TOLERANCE_NS
                    || reached_ns <= border_ns + TOLERANCE_NS
            }
        })
    }

    fn newest_ns(&self, times: &[i64]) -> i128 {
        self.lanes.iter().zip(times).map(|(lane, time)| lane.ns(*time)).max().unwrap_or(-1)
    }

    fn is_member(&self, number: i64) -> bool {
        let members = self.part.as_ref().and_then(|part| part.members.as_ref());
        members.is_some_and(|members| members.contains(&number))
    }
}

const TOLERANCE_NS: i128 = 100_000_000;
const GONE_NS: i128 = 10_000_000_000;
