//! One file that is written at known places: whole writes or none.

use rustix::fs::{Mode, OFlags, fdatasync, fstat, ftruncate, open};
use rustix::io::{Errno, pwritev};
use std::io::IoSlice;
use std::os::fd::OwnedFd;

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
        self.write(self.end, &mut [IoSlice::new(data)])
    }

    /// Writes `parts` one after the other from `offset` on. When that fails, the file is cut back to the content it had.
    pub(super) fn write(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> Result<(), Errno> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let Some(after) = offset.checked_add(size as u64) else { return Err(Errno::FBIG) };
        if let Err(errno) = self.write_parts(offset, parts) {
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

    fn write_parts(&self, mut offset: u64, mut parts: &mut [IoSlice<'_>]) -> Result<(), Errno> {
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match pwritev(&self.descriptor, parts, offset) {
                // A write of nothing without a reason would be repeated for ever.
                Ok(0) => return Err(Errno::IO),
                Ok(count) => {
                    offset += count as u64;
                    IoSlice::advance_slices(&mut parts, count);
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}
