//! A disk in memory with the faults that a test wants.

use super::disk::Disk;
use rustix::io::{Errno, pwrite};
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the disk holds and how it behaves.
#[derive(Debug)]
pub(crate) struct State {
    /// All that were opened.
    pub(crate) files: Vec<Vec<u8>>,
    /// Bytes that it takes before `full`: the write that crosses it is short, the next one fails.
    pub(crate) room: usize,
    pub(crate) full: Errno,
    /// How many writes fail before there is room without end.
    pub(crate) faults: usize,
    /// Bytes that one call reads or writes at most.
    pub(crate) stride: usize,
    pub(crate) reading: Option<Errno>,
    /// Bytes that are copied without memory, whatever `reading` says, before it is refused.
    pub(crate) copies: usize,
    pub(crate) freed: Vec<(u64, u64)>,
}

/// The disk.
#[derive(Debug, Clone)]
pub(crate) struct Faulty(Arc<Mutex<State>>);

/// A file on it, by number.
#[derive(Debug)]
struct OnFaulty(Faulty, usize);

impl Faulty {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            files: Vec::new(),
            room: usize::MAX,
            full: Errno::NOSPC,
            faults: usize::MAX,
            stride: 3000,
            reading: None,
            copies: usize::MAX,
            freed: Vec::new(),
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A spill file on it.
    pub(crate) fn spill_file(&self) -> super::SpillFile {
        let disk = self.clone();
        super::SpillFile::on(move || {
            let mut state = disk.state();
            state.files.push(Vec::new());
            Ok(Box::new(OnFaulty(disk.clone(), state.files.len() - 1)))
        })
    }
}

impl Disk for OnFaulty {
    fn write(&self, pieces: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
        let mut state = self.0.state();
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).take(state.stride).collect();
        if state.room == 0 {
            state.faults -= 1;
            if state.faults == 0 {
                state.room = usize::MAX;
            }
            return Err(state.full);
        }
        let (start, taken) = (offset as usize, bytes.len().min(state.room));
        let end = start + taken;
        let file = &mut state.files[self.1];
        if file.len() < end {
            file.resize(end, 0);
        }
        file[start..end].copy_from_slice(&bytes[..taken]);
        state.room -= if state.room == usize::MAX { 0 } else { taken };
        Ok(taken)
    }

    fn read(&self, target: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let state = self.0.state();
        if let Some(errno) = state.reading {
            return Err(errno);
        }
        let rest = state.files[self.1].get(offset as usize..).unwrap_or_default();
        let count = target.len().min(rest.len()).min(state.stride);
        target[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn copy(&self, from: &mut u64, target: &OwnedFd, to: &mut u64, len: usize) -> Result<usize, Errno> {
        let mut state = self.0.state();
        let rest = state.files[self.1].get(*from as usize..).unwrap_or_default();
        let piece = &rest[..len.min(rest.len()).min(state.copies)];
        if piece.is_empty() {
            return Err(Errno::PERM);
        }
        let count = pwrite(target, piece, *to)?;
        state.copies -= count;
        *from += count as u64;
        *to += count as u64;
        Ok(count)
    }

    fn free(&self, offset: u64, len: u64) {
        self.0.state().freed.push((offset, len));
    }
}
