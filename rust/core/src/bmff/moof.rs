//! `moof` (ISO 14496-12 8.8.4): a movie fragment.

use super::mfhd;
use super::scan::boxes;
use super::traf::Traf;
use crate::error::Result;

/// A parsed movie fragment of one or more tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moof<'a> {
    /// Sequence number; 0 when there is none.
    pub sequence: u32,
    /// Track fragments in their order.
    pub tracks: Vec<Traf<'a>>,
}

impl<'a> Moof<'a> {
    /// Parses the box body; errors count from its first byte.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let mut moof = Self { sequence: 0, tracks: Vec::new() };
        for found in boxes(body) {
            let found = found?;
            match &found.kind {
                b"mfhd" => moof.sequence = mfhd::parse(found.body).map_err(|error| found.locate(error))?,
                b"traf" => moof.tracks.push(Traf::parse(found.body).map_err(|error| found.locate(error))?),
                _ => {}
            }
        }
        Ok(moof)
    }
}
