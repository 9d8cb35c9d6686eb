//! One file that is written at known places: whole writes or none.

use crate::fragment::Fragment;
use crate::spill::{Region, write_all};
use pypackager_core::payload::{Part, Stored};
use rustix::fs::{Mode, OFlags, fdatasync, fstat, ftruncate, open};
use rustix::io::Errno;
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
        self.write(offset, size, |file| write_all(&file.descriptor, offset, &mut [IoSlice::new(data)]))
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
                    write_all(&self.descriptor, at, &mut slices)?;
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
        write_all(&self.descriptor, at, &mut slices)
    }
}

/// Whether a part lies right behind the `size` bytes that start with `first`.
fn follows(part: &Part, first: &Stored, size: usize) -> bool {
    matches!(part, Part::Stored(next) if Arc::ptr_eq(&next.region, &first.region) && next.start == first.start + size as u64)
}
