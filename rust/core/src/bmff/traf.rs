//! `traf` (ISO 14496-12 8.8.6): one track's part of a movie fragment.

use super::scan::boxes;
use super::tfdt::Tfdt;
use super::tfhd::Tfhd;
use super::tfxd::{self, Tfxd};
use super::trex::Trex;
use super::trun::{NON_SYNC, Trun};
use crate::error::{Error, Result};
use crate::media::Sample;

/// A parsed track fragment; the sample tables are borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traf<'a> {
    /// Its header.
    pub header: Tfhd,
    /// Decode time, when it says.
    pub tfdt: Option<Tfdt>,
    /// Smooth's absolute time, when it says.
    pub tfxd: Option<Tfxd>,
    /// Its runs, in the order of its samples.
    pub runs: Vec<Trun<'a>>,
}

impl<'a> Traf<'a> {
    /// Parses the box body.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let (mut header, mut tfdt, mut time, mut runs) = (None, None, None, Vec::new());
        for found in boxes(body) {
            let found = found?;
            let locate = |error| found.locate(error);
            match &found.kind {
                b"tfhd" => header = Some(Tfhd::parse(found.body).map_err(locate)?),
                b"tfdt" => tfdt = Some(Tfdt::parse(found.body).map_err(locate)?),
                b"trun" => runs.push(Trun::parse(found.body).map_err(locate)?),
                b"uuid" if found.uuid == Some(tfxd::UUID) => time = Some(Tfxd::parse(found.body).map_err(locate)?),
                _ => {}
            }
        }
        let header = header.ok_or_else(|| Error::new("BOX_MISSING", 0, "no tfhd"))?;
        Ok(Self { header, tfdt, tfxd: time, runs })
    }

    /// Number of samples announced, before any of them is believed.
    pub fn sample_count(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.count)).sum()
    }

    /// The samples with every default filled in. At most `limit` of them.
    pub fn samples(&self, trex: &Trex, limit: usize) -> Result<Vec<Sample>> {
        let count = self.sample_count();
        if count > limit as u64 {
            let detail = format!("{count} samples in a fragment, at most {limit} are taken");
            return Err(Error::new("TOO_MANY_SAMPLES", 0, detail).with_status(413).within("trun"));
        }
        let mut samples = Vec::with_capacity(count as usize);
        for run in &self.runs {
            for (index, row) in run.rows().enumerate() {
                let first = if index == 0 { run.first_flags } else { None };
                let flags = first.or(row.flags).or(self.header.flags).unwrap_or(trex.flags);
                samples.push(Sample {
                    size: row.size.or(self.header.size).unwrap_or(trex.size),
                    duration: row.duration.or(self.header.duration).unwrap_or(trex.duration),
                    composition: row.composition,
                    sync: flags & NON_SYNC == 0,
                });
            }
        }
        Ok(samples)
    }

    /// Whether anybody said which samples are sync samples; flags of zero in `trex` alone are what writers put there who do not care.
    pub fn states_flags(&self, trex: &Trex) -> bool {
        self.header.flags.is_some()
            || trex.flags != 0
            || self.runs.iter().any(|run| run.first_flags.is_some() || run.has_flags())
    }
}
