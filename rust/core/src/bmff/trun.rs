//! `trun` (ISO 14496-12 8.8.8): a run of samples, each with what differs from the defaults.

use super::version_and_flags;
use crate::error::{Error, Result};
use crate::media::Sample;
use crate::wire::{Reader, Writer};

/// sample_is_non_sync_sample (ISO 14496-12 8.8.3.1).
pub const NON_SYNC: u32 = 0x0001_0000;
/// Flags of a sample that decoding can start at: depends on no other.
pub const SYNC_FLAGS: u32 = 0x0200_0000;
/// Flags of a sample that depends on others.
pub const DEPENDENT_FLAGS: u32 = 0x0100_0000 | NON_SYNC;

/// A run as it stands in the box: the sample table stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trun<'a> {
    /// Composition offsets are signed and, from ffmpeg, times are presentation times.
    pub version: u8,
    /// Number of samples; not yet believed.
    pub count: u32,
    /// Where the data starts, counted from the track fragment's base.
    pub data_offset: Option<i32>,
    /// Flags of the first sample only.
    pub first_flags: Option<u32>,
    present: u32,
    table: &'a [u8],
    table_offset: u64,
}

/// One row of the table; what is `None` comes from `tfhd` or `trex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Decode duration.
    pub duration: Option<u32>,
    /// Bytes.
    pub size: Option<u32>,
    /// Sample flags.
    pub flags: Option<u32>,
    /// Composition offset; version 0 is read as signed too, as senders that mean it so exist and none means 2^31.
    pub composition: i32,
}

impl<'a> Trun<'a> {
    /// Parses the box body; checks that the table is as long as its count says.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (version, present) = version_and_flags(&mut reader)?;
        let count = reader.u32()?;
        let data_offset = if present & DATA_OFFSET != 0 { Some(reader.u32()? as i32) } else { None };
        let first_flags = if present & FIRST_FLAGS != 0 { Some(reader.u32()?) } else { None };
        let table_offset = reader.position() as u64;
        let table = reader.rest();
        let trun = Self { version, count, data_offset, first_flags, present, table, table_offset };
        let needed = u64::from(count) * trun.row_size() as u64;
        if needed > table.len() as u64 {
            let detail = format!("{count} samples need {needed} bytes, {} are left", table.len());
            return Err(Error::new("TRUNCATED", table_offset, detail));
        }
        Ok(trun)
    }

    /// Whether each sample states its own flags.
    pub fn has_flags(&self) -> bool {
        self.present & FLAGS != 0
    }

    /// The rows. The caller bounds [`Self::count`] first: rows without fields cost the sender nothing.
    pub fn rows(&self) -> impl Iterator<Item = Row> + use<'a> {
        let (present, size, table) = (self.present, self.row_size(), self.table);
        (0..self.count as usize).map(move |index| {
            let mut fields = table[index * size..(index + 1) * size].chunks_exact(4);
            let mut next = |bit| {
                if present & bit == 0 {
                    return None;
                }
                fields.next().map(|field| u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
            };
            Row {
                duration: next(DURATION),
                size: next(SIZE),
                flags: next(FLAGS),
                composition: next(COMPOSITION).unwrap_or(0) as i32,
            }
        })
    }

    /// Where the table starts in the box body.
    pub fn table_offset(&self) -> u64 {
        self.table_offset
    }

    fn row_size(&self) -> usize {
        4 * (self.present & (DURATION | SIZE | FLAGS | COMPOSITION)).count_ones() as usize
    }
}

/// Which columns a written run needs beside `tfhd`'s defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is one bit of tr_flags
pub struct Columns {
    /// Durations differ.
    pub duration: bool,
    /// Sizes differ.
    pub size: bool,
    /// Sync flags differ in more than the first sample.
    pub flags: bool,
    /// The first sample alone has other flags.
    pub first_flags: Option<u32>,
    /// Any composition offset is not zero.
    pub composition: bool,
}

/// Where a written box has its data offset, which is known only when the `moof` around it is whole.
pub const DATA_OFFSET_AT: usize = 16;

/// Writes a version 1 run with only the columns asked for, and a data offset of 0 to be filled in at [`DATA_OFFSET_AT`].
pub fn write(out: &mut Vec<u8>, samples: &[Sample], columns: Columns) {
    let bits = [
        (DATA_OFFSET, true),
        (FIRST_FLAGS, columns.first_flags.is_some()),
        (DURATION, columns.duration),
        (SIZE, columns.size),
        (FLAGS, columns.flags),
        (COMPOSITION, columns.composition),
    ];
    let present = bits.iter().filter(|bit| bit.1).fold(0, |all, bit| all | bit.0);
    super::put_full_box(out, *b"trun", 1, present, |out| {
        out.put_u32(samples.len() as u32);
        out.put_u32(0);
        if let Some(flags) = columns.first_flags {
            out.put_u32(flags);
        }
        for sample in samples {
            if columns.duration {
                out.put_u32(sample.duration);
            }
            if columns.size {
                out.put_u32(sample.size);
            }
            if columns.flags {
                out.put_u32(if sample.sync { SYNC_FLAGS } else { DEPENDENT_FLAGS });
            }
            if columns.composition {
                out.put_u32(sample.composition as u32);
            }
        }
    });
}

const DATA_OFFSET: u32 = 0x1;
const FIRST_FLAGS: u32 = 0x4;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const FLAGS: u32 = 0x400;
const COMPOSITION: u32 = 0x800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_beyond_the_table_is_refused() {
        let body = [&[0, 0, 2, 0][..], &u32::MAX.to_be_bytes(), &[0; 4]].concat();
        assert_eq!(Trun::parse(&body).unwrap_err().code, "TRUNCATED");
    }

    #[test]
    fn columns_left_out_stay_unknown() {
        let body = [0, 0, 0, 0, 0, 0, 0, 2];
        let row = Row { duration: None, size: None, flags: None, composition: 0 };
        assert_eq!(Trun::parse(&body).unwrap().rows().collect::<Vec<_>>(), [row, row]);
    }
}
