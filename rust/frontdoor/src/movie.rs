//! Stored fragments as they are in a movie: the same bytes, but for their decode times.

use crate::plan::Fault;
use pypackager_core::bmff::scan::Header;
use pypackager_core::error::Error;
use pypackager_core::mux::movie::tfdt_time;
use pypackager_pump::files::{Range, read_all};

/// A part of a stored fragment.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The file.
    pub path: String,
    /// Where the fragment is in it.
    pub offset: u64,
    /// Bytes of the fragment.
    pub size: u64,
    /// First byte that is wanted, counted in the fragment.
    pub skip: u64,
    /// Bytes that are wanted.
    pub take: usize,
    /// Ticks by which its times are earlier in the movie; `None`: plain bytes, which are no fragment.
    pub earlier: Option<u64>,
}

/// Reads the pieces one after the other. Of what is not wanted it reads box headers, and a `moof` that is wanted in part.
pub fn read_pieces(pieces: &[Piece]) -> Result<Vec<u8>, Fault> {
    let ranges: Vec<_> = pieces.iter().map(|piece| piece.range(piece.skip, piece.take)).collect();
    let mut data = read_all(&ranges)?;
    let mut rest = &mut data[..];
    for piece in pieces {
        let (wanted, behind) = rest.split_at_mut(piece.take);
        piece.shift(wanted)?;
        rest = behind;
    }
    Ok(data)
}

impl Piece {
    fn range(&self, at: u64, size: usize) -> Range {
        Range { path: self.path.clone(), offset: self.offset.saturating_add(at), size }
    }

    /// Puts the times of the movie into `wanted`.
    fn shift(&self, wanted: &mut [u8]) -> Result<(), Fault> {
        let Some(earlier) = self.earlier else { return Ok(()) };
        let end = self.size.min(self.skip.saturating_add(self.take as u64));
        let mut at = 0;
        while at < end {
            let head = read_all(&[self.range(at, (self.size - at).min(Header::MAX as u64) as usize)])?;
            let header = Header::parse(&head)?.ok_or_else(|| refused(at, "a box header is torn"))?;
            let size = header.size.unwrap_or(self.size - at);
            if size > self.size - at {
                return Err(refused(at, "a box is longer than its fragment"));
            }
            if &header.kind == b"moof" && at + size > self.skip {
                if size > MAX_MOOF {
                    return Err(refused(at, "a moof of many megabytes"));
                }
                let body = at + header.length as u64;
                let moof = read_all(&[self.range(body, (size - header.length as u64) as usize)])?;
                let (place, time) = tfdt_time(&moof)?;
                let moved = time.checked_sub(earlier).ok_or_else(|| refused(at, "a time before the movie"))?;
                for (byte, position) in moved.to_be_bytes().into_iter().zip(body + place as u64..) {
                    let target = position.checked_sub(self.skip).and_then(|index| wanted.get_mut(index as usize));
                    if let Some(target) = target {
                        *target = byte;
                    }
                }
            }
            at += size;
        }
        Ok(())
    }
}

fn refused(at: u64, detail: &'static str) -> Fault {
    Error::new("STORED_FRAGMENT", at, detail).into()
}

const MAX_MOOF: u64 = 16 * 1024 * 1024;
