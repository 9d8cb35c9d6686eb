//! ISO base media file format (ISO 14496-12), the boxes this project reads and writes: one box, one file.
//!
//! In: the body of a box as a slice. Out: its fields, borrowed where they are media. A `parse` reads one box body (after the box header),
//! a `write` appends one whole box. Nothing here keeps state, allocates more than the input justifies, or looks at media bytes.

pub mod avc1;
pub mod btrt;
pub mod edts;
pub mod elng;
pub mod esds;
pub mod ftyp;
pub mod hdlr;
pub mod init;
pub mod live_manifest;
pub mod mdhd;
pub mod mfhd;
pub mod minf;
pub mod moof;
pub mod moov;
pub mod mp4a;
pub mod mvhd;
pub mod scan;
pub mod stored;
pub mod stsd;
pub mod tfdt;
pub mod tfhd;
pub mod tfrf;
pub mod tfxd;
pub mod tkhd;
pub mod traf;
pub mod trak;
pub mod trex;
pub mod trun;

use crate::error::Result;
use crate::wire::{Reader, Writer};

/// Reads version and flags of a FullBox (ISO 14496-12 4.2.2).
pub(crate) fn version_and_flags(reader: &mut Reader<'_>) -> Result<(u8, u32)> {
    Ok((reader.u8()?, reader.u24()?))
}

/// Appends a FullBox: header, version, flags and what `body` writes.
pub(crate) fn put_full_box(out: &mut Vec<u8>, kind: [u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    out.put_box(kind, |out| {
        out.put_u8(version);
        out.put_u24(flags);
        body(out);
    });
}

/// Appends a `uuid` box (ISO 14496-12 11.1) with version and flags, as all of MS-SSTR's are.
pub(crate) fn put_uuid_box(out: &mut Vec<u8>, uuid: [u8; 16], version: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.put_box(*b"uuid", |out| {
        out.put(&uuid);
        out.put_u8(version);
        out.put_u24(0);
        body(out);
    });
}
