//! One file that is written at known places: whole writes or none.

use crate::fragment::Fragment;
use crate::spill::{Region, write_all};
use pypackager_core::payload::{Part, Stored};
use rustix::fs::{Mode, OFlags, fdatasync, fstat, ftruncate, open};
use rustix::io::{Errno, pwritev};
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// An open file with the end of its valid content.
#[derive(Debug)]
pub(super) struct File {
    descriptor: OwnedFd,
    end: u64,
}

impl File {
    /// Opens or creates `path`; its end is where appending goes on.
    pub(super) fn open(path: &str) -> Result<Self, Errno> {
        // Not O_APPEND: with it, pwrite(2) on Linux ignores the offset.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let descriptor = open(path, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH)?;
        let end = fstat(&descriptor)?.st_size as u64;
        Ok(Self { descriptor, end })
    }

    /// Appends `data`, or nothing.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), Errno> {
        let (offset, size) = (self.end, data.len());
        self.write(offset, size, |file| file.write_slices(offset, &mut [IoSlice::new(data)]))
    }

    /// Writes a fragment from `offset` on, or nothing.
    pub(super) fn write_fragment(&mut self, offset: u64, fragment: &Fragment) -> Result<(), Errno> {
        self.write(offset, fragment.size(), |file| file.write_parts(offset, fragment))
    }

    /// Lets `write` write `size` bytes from `offset` on. When that fails, the file is cut back to the content it had.
    fn write(&mut self, offset: u64, size: usize, write: impl FnOnce(&Self) -> Result<(), Errno>) -> Result<(), Errno> {
        let Some(after) = offset.checked_add(size as u64) else { return Err(Errno::FBIG) };
        if let Err(errno) = write(self) {
            if after > self.end {
                // When even this fails the next write covers the remains, and a reader tells them by their checksum.
                let _ = ftruncate(&self.descriptor, self.end);
            }
            return Err(errno);
        }
        self.end = self.end.max(after);
        Ok(())
    }

    /// fdatasync(2).
    pub(super) fn sync(&self) -> Result<(), Errno> {
        loop {
            match fdatasync(&self.descriptor) {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }

    fn write_slices(&self, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), Errno> {
        write_all(|slices, at| pwritev(&self.descriptor, slices, at), offset, slices)
    }

    /// What is in memory goes out in one call; what was spilled is copied by the kernel, neighbours together.
    fn write_parts(&self, offset: u64, fragment: &Fragment) -> Result<(), Errno> {
        let (mut at, mut size) = (offset, fragment.head().len());
        let mut slices = vec![IoSlice::new(fragment.head())];
        let mut parts = fragment.payload().parts().iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Memory(bytes) => {
                    slices.push(IoSlice::new(bytes));
                    size += bytes.len();
                }
                Part::Stored(first) => {
                    self.write_slices(at, &mut slices)?;
                    slices.clear();
                    at += size as u64;
                    size = first.len;
                    while let Some(Part::Stored(next)) = parts.next_if(|part| follows(part, first, size)) {
                        size += next.len;
                    }
                    let region = first.region.as_any().downcast_ref::<Region>().ok_or(Errno::IO)?;
                    region.copy_to(first.start, size, &self.descriptor, at)?;
                    at += size as u64;
                    size = 0;
                }
            }
        }
        self.write_slices(at, &mut slices)
    }
}

/// Whether a part lies right behind the `size` bytes that start with `first`.
fn follows(part: &Part, first: &Stored, size: usize) -> bool {
    matches!(part, Part::Stored(next) if Arc::ptr_eq(&next.region, &first.region) && next.start == first.start + size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::faulty::Faulty;
    use pypackager_core::media::Chunk;
    use pypackager_core::payload::{Payload, Spill};

    fn fragment(parts: Vec<Part>) -> Fragment {
        let chunk = Chunk {
            track: 1,
            time: 0,
            timescale: 90_000,
            samples: Vec::new(),
            payload: Payload::new(parts),
            index: None,
            partial: false,
        };
        Fragment::new(b"head".to_vec(), Arc::new(chunk))
    }

    #[test]
    fn a_fragment_whose_spilled_part_cannot_be_read_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("blob");
        let disk = Faulty::new();
        let mut spill = disk.spill_file();
        let mut spilled = |bytes: &[u8]| Part::Stored(spill.store(&[bytes]).expect("room").remove(0));
        let lost = fragment(vec![Part::Memory(b"memory".to_vec()), spilled(&[1; 9000]), Part::Memory(b"end".to_vec())]);
        let whole = fragment(vec![spilled(b"stored")]);
        let mut file = File::open(path.to_str().expect("plain")).expect("a file");
        file.append(b"init").expect("room");
        // The first bytes of the part are copied before the disk fails.
        disk.state().copies = 4000;
        disk.state().reading = Some(Errno::IO);
        assert_eq!(file.write_fragment(4, &lost), Err(Errno::IO));
        assert_eq!(std::fs::read(&path).expect("readable"), b"init");
        disk.state().reading = None;
        file.write_fragment(4, &whole).expect("room");
        assert_eq!(std::fs::read(&path).expect("readable"), b"initheadstored");
    }
}
