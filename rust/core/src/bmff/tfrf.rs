//! `tfrf` (MS-SSTR 2.2.4.5): time and duration of the fragments that follow, which live Smooth clients live on.

use super::put_uuid_box;
use crate::wire::Writer;

/// The extended type of the box.
pub const UUID: [u8; 16] =
    [0xd4, 0x80, 0x7e, 0xf2, 0xca, 0x39, 0x46, 0x95, 0x8e, 0x54, 0x26, 0xcb, 0x9e, 0x46, 0xa7, 0x9f];

/// Writes the box for up to 255 (time, duration) successors, nearest first.
pub fn write(out: &mut Vec<u8>, successors: &[(u64, u64)]) {
    let successors = &successors[..successors.len().min(255)];
    put_uuid_box(out, UUID, 1, |out| {
        out.put_u8(successors.len() as u8);
        for &(time, duration) in successors {
            out.put_u64(time);
            out.put_u64(duration);
        }
    });
}
