//! `ftyp` (ISO 14496-12 4.3): which specifications the file follows.

use crate::wire::Writer;

/// Writes the brands of a CMAF header (ISO 23000-19 7.2): structural brand `cmfc`, on top of `iso6` (`tfdt`, default-base-is-moof).
pub fn write(out: &mut Vec<u8>) {
    out.put_box(*b"ftyp", |out| {
        out.put(b"cmfc");
        out.put_u32(0);
        for brand in [b"cmfc", b"iso6", b"mp41"] {
            out.put(brand);
        }
    });
}
