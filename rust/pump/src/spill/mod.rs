//! Where bytes of open fragments go when their channel holds too many (docs/design/journal.md).
//!
//! In: bytes, all or none of a call. Out: [`Region`]s of one unlinked file, readable until the last who points to one lets it go. Never: a
//! name in the file system, a decision about what is to go.

mod disk;
#[cfg(test)]
pub(crate) mod faulty;
mod space;

use disk::{Disk, Unnamed};
use pypackager_core::payload::{self, Stored};
use rustix::io::{Errno, pwritev};
use space::Space;
use std::any::Any;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// One spill file; it is opened when it is first needed, and again at the next need when that failed, or the file did.
pub(crate) struct SpillFile {
    open: Opener,
    file: Option<Arc<File>>,
}

/// Makes the file.
type Opener = Box<dyn FnMut() -> Result<Box<dyn Disk>, Errno> + Send>;

/// The file and what of it is in use.
#[derive(Debug)]
struct File {
    disk: Box<dyn Disk>,
    space: Mutex<Space>,
}

/// Some of the file; dropping it gives its space back.
#[derive(Debug)]
pub(crate) struct Region {
    file: Arc<File>,
    start: u64,
    len: u64,
}

impl SpillFile {
    /// A file in `directory`, on whose file system it stays without a name.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self::on(move || Ok(Box::new(Unnamed::open(&directory)?)))
    }

    fn on(open: impl FnMut() -> Result<Box<dyn Disk>, Errno> + Send + 'static) -> Self {
        Self { open: Box::new(open), file: None }
    }

    fn file(&mut self) -> Result<Arc<File>, Errno> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File { disk: (self.open)()?, space: Mutex::default() });
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

impl payload::Spill for SpillFile {
    fn store(&mut self, pieces: &[&[u8]]) -> io::Result<Vec<Stored>> {
        let file = self.file()?;
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        let start = lock(&file.space).take(len);
        // From here on the space is the region's, which gives it back when a write fails.
        let region = Arc::new(Region { file, start, len });
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let written = write_all(|slices, at| region.file.disk.write(slices, at), start, &mut slices);
        if let Err(errno) = written {
            if !matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::FBIG) {
                // Not for lack of space: a file that is broken, or whose file system is gone, would fail for ever. What is in it stays there.
                self.file = None;
            }
            return Err(errno.into());
        }
        let mut at = 0;
        let stored = pieces.iter().map(|piece| {
            let region: Arc<dyn payload::Region> = Arc::<Region>::clone(&region);
            let stored = Stored { region, start: at, len: piece.len(), crc: crc32c::crc32c(piece) };
            at += piece.len() as u64;
            stored
        });
        Ok(stored.collect())
    }
}

impl Region {
    /// Copies `len` bytes from byte `start` of the region to `offset` of `target`: inside the kernel where the file systems can.
    pub(crate) fn copy_to(&self, start: u64, len: usize, target: &OwnedFd, offset: u64) -> Result<(), Errno> {
        let (mut from, mut to, mut left) = (self.start + start, offset, len);
        while left > 0 {
            match self.file.disk.copy(&mut from, target, &mut to, left) {
                Err(Errno::INTR) => {}
                // Between file systems, on one that cannot, where a sandbox forbids it. A fault of the disk is met by the other way as well.
                Ok(0) | Err(_) => return copy_through(self, from - self.start, left, target, to),
                Ok(count) => left -= count,
            }
        }
        Ok(())
    }
}

impl payload::Region for Region {
    fn read(&self, start: u64, target: &mut [u8]) -> io::Result<()> {
        let (mut at, mut rest) = (self.start + start, target);
        while !rest.is_empty() {
            match self.file.disk.read(rest, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    at += count as u64;
                    rest = &mut rest[count..];
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // Before it is given back: another thread may take it at once.
        self.file.disk.free(self.start, Space::rounded(self.len));
        lock(&self.file.space).give(self.start, self.len);
    }
}

/// Writes all slices from `offset` on, in as many calls of `write` as it takes.
pub(crate) fn write_all(
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> Result<usize, Errno>,
    offset: u64,
    slices: &mut [IoSlice<'_>],
) -> Result<(), Errno> {
    let (mut at, mut rest) = (offset, slices);
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let batch = rest.len().min(MAX_SLICES);
        match write(&rest[..batch], at) {
            // A write of nothing without a reason would be repeated for ever.
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                at += count as u64;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn copy_through(region: &Region, start: u64, len: usize, target: &OwnedFd, offset: u64) -> Result<(), Errno> {
    let mut buffer = vec![0; len.min(COPY_BUFFER)];
    let mut done = 0;
    while done < len {
        let count = (len - done).min(buffer.len());
        let piece = &mut buffer[..count];
        payload::Region::read(region, start + done as u64, piece)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        write_all(|slices, at| pwritev(target, slices, at), offset + done as u64, &mut [IoSlice::new(piece)])?;
        done += count;
    }
    Ok(())
}

/// A poisoned lock guards a plain list here: its content is whole after any panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Slices of one call (UIO_MAXIOV).
const MAX_SLICES: usize = 1024;
/// Memory of a copy that the kernel cannot make by itself.
const COPY_BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests;
