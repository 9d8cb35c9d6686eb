//! `minf` (ISO 14496-12 8.4.4) with `stbl`: the codec, and the sample tables, which are empty in a fragmented file.

use super::btrt::Btrt;
use super::scan::boxes;
use super::{put_full_box, stsd};
use crate::error::{Error, Result};
use crate::media::{Codec, Kind};
use crate::wire::Writer;

/// Parses `stbl/stsd` out of the box body.
pub fn parse(body: &[u8]) -> Result<(Codec, Option<Btrt>)> {
    for found in boxes(body) {
        let found = found?;
        if &found.kind == b"stbl" {
            return parse_tables(found.body).map_err(|error| found.locate(error));
        }
    }
    Err(Error::new("BOX_MISSING", 0, "no stbl"))
}

/// The kind of the first sample entry, for a track that is not decoded; `None` when there is none to be found.
pub fn format(body: &[u8]) -> Option<[u8; 4]> {
    let inside = |body, kind: &[u8; 4]| boxes(body).filter_map(Result::ok).find(|found| &found.kind == kind);
    let table = inside(inside(body, b"stbl")?.body, b"stsd")?;
    let entry = boxes(table.body.get(8..)?).next()?.ok()?;
    Some(entry.kind)
}

fn parse_tables(body: &[u8]) -> Result<(Codec, Option<Btrt>)> {
    for found in boxes(body) {
        let found = found?;
        if &found.kind == b"stsd" {
            return stsd::parse(found.body).map_err(|error| found.locate(error));
        }
    }
    Err(Error::new("BOX_MISSING", 0, "no stsd"))
}

/// Writes the box.
pub fn write(out: &mut Vec<u8>, codec: &Codec, bitrate: Option<Btrt>) {
    out.put_box(*b"minf", |out| {
        match codec.kind() {
            Kind::Video => put_full_box(out, *b"vmhd", 0, 1, |out| out.put(&[0; 8])),
            Kind::Audio => put_full_box(out, *b"smhd", 0, 0, |out| out.put(&[0; 4])),
        }
        out.put_box(*b"dinf", |out| {
            put_full_box(out, *b"dref", 0, 0, |out| {
                out.put_u32(1);
                put_full_box(out, *b"url ", 0, 1, |_| {}); // media is in this file
            });
        });
        out.put_box(*b"stbl", |out| {
            stsd::write(out, codec, bitrate);
            for table in [b"stts", b"stsc", b"stco"] {
                put_full_box(out, *table, 0, 0, |out| out.put_u32(0));
            }
            put_full_box(out, *b"stsz", 0, 0, |out| out.put(&[0; 8]));
        });
    });
}
