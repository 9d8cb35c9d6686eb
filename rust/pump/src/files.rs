//! Reads of stored ranges: one pread per range into memory of the caller.

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, pread};
use std::os::fd::OwnedFd;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Path of the file.
    pub path: String,
    /// First byte.
    pub offset: u64,
    /// Count of bytes.
    pub size: usize,
}

/// A read that failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("{path}: {errno}")]
    System {
        /// Path of the file.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// The file ends inside the range.
    #[error("{path}: the file ends at byte {end}, inside the range {offset}+{size}")]
    Short {
        /// Path of the file.
        path: String,
        /// Where the file ends.
        end: u64,
        /// First byte of the range.
        offset: u64,
        /// Count of bytes of the range.
        size: usize,
    },
}

/// Bytes of all ranges together; `None` when the sum does not fit in memory's address range.
pub fn total_size(ranges: &[Range]) -> Option<usize> {
    ranges.iter().try_fold(0usize, |sum, range| sum.checked_add(range.size))
}

/// Reads the ranges one after the other into one buffer. Neighbours of the same path share one open file.
pub fn read_all(ranges: &[Range]) -> Result<Vec<u8>, ReadError> {
    let system = |errno| ReadError::System { path: ranges.first().map_or_else(String::new, |r| r.path.clone()), errno };
    let size = total_size(ranges).ok_or_else(|| system(Errno::OVERFLOW))?;
    let mut data = Vec::new();
    // Sizes come from the caller's index: one that is wrong must be an error, not an abort.
    data.try_reserve_exact(size).map_err(|_| system(Errno::NOMEM))?;
    let mut opened: Option<(&str, OwnedFd)> = None;
    for (index, range) in ranges.iter().enumerate() {
        let file = match opened.take() {
            Some((path, file)) if path == range.path => file,
            _ => open_file(&range.path)?,
        };
        if index + 1 == ranges.len() {
            read_rest(&file, range, &mut data)?;
        } else {
            let start = data.len();
            data.resize(start + range.size, 0);
            read_exact(&file, range, &mut data[start..])?;
        }
        opened = Some((&range.path, file));
    }
    data.truncate(size);
    Ok(data)
}

fn open_file(path: &str) -> Result<OwnedFd, ReadError> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| ReadError::System { path: path.to_owned(), errno })
}

fn read_exact(file: &OwnedFd, range: &Range, target: &mut [u8]) -> Result<(), ReadError> {
    fill(range, |done, at| pread(file, &mut target[done..], at))
}

/// Reads the last range into what is left of the buffer: memory that nobody has to clear before.
fn read_rest(file: &OwnedFd, range: &Range, data: &mut Vec<u8>) -> Result<(), ReadError> {
    fill(range, |_, at| pread(file, spare_capacity(data), at))
}

/// Calls `read` with what is done and the place in the file until the range is complete.
fn fill(range: &Range, mut read: impl FnMut(usize, u64) -> Result<usize, Errno>) -> Result<(), ReadError> {
    let mut done = 0;
    while done < range.size {
        let at = range.offset.saturating_add(done as u64);
        match read(done, at) {
            Ok(0) => {
                let Range { path, offset, size } = range.clone();
                return Err(ReadError::Short { path, end: at, offset, size });
            }
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(ReadError::System { path: range.path.clone(), errno }),
        }
    }
    Ok(())
}
