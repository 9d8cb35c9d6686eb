//! Where bytes of open fragments go when their channel holds too many (docs/design/journal.md).
//!
//! In: bytes, all or none of a call. Out: [`Region`]s of one unlinked file, readable until the last who points to one lets it go. Never: a
//! name in the file system, a decision about what is to go.

mod space;

use pypackager_core::payload::{self, Stored};
use rustix::fs::{FallocateFlags, Mode, OFlags, copy_file_range, fallocate, open, unlink};
use rustix::io::{Errno, pread, pwritev};
use space::Space;
use std::any::Any;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One spill file; it is opened when it is first needed, and again at the next need when that failed.
#[derive(Debug)]
pub(crate) struct SpillFile {
    directory: PathBuf,
    file: Option<Arc<Unlinked>>,
}

/// The file and what of it is in use.
#[derive(Debug)]
struct Unlinked {
    descriptor: OwnedFd,
    space: Mutex<Space>,
}

/// Some of the file; dropping it gives its space back.
#[derive(Debug)]
pub(crate) struct Region {
    file: Arc<Unlinked>,
    start: u64,
    len: u64,
}

impl SpillFile {
    /// A file in `directory`, on whose file system it stays without a name.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, file: None }
    }

    fn file(&mut self) -> Result<Arc<Unlinked>, Errno> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(Unlinked { descriptor: open_unlinked(&self.directory)?, space: Mutex::default() });
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
        write_all(&region.file.descriptor, start, &mut slices)?;
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
            match copy_file_range(&self.file.descriptor, Some(&mut from), target, Some(&mut to), left) {
                // Between file systems, or on one that cannot.
                Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF) => {
                    return copy_through(self, from - self.start, left, target, to);
                }
                Ok(count) => left -= count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

impl payload::Region for Region {
    fn read(&self, start: u64, target: &mut [u8]) -> io::Result<()> {
        let (mut at, mut rest) = (self.start + start, target);
        while !rest.is_empty() {
            match pread(&self.file.descriptor, &mut *rest, at) {
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
        // Before it is given back: another thread may take it at once. Without holes, space is reused and nothing more.
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&self.file.descriptor, flags, self.start, Space::rounded(self.len));
        lock(&self.file.space).give(self.start, self.len);
    }
}

/// Writes all slices from `offset` on, in as many calls as it takes.
pub(crate) fn write_all(target: impl AsFd, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), Errno> {
    let (mut at, mut rest) = (offset, slices);
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let batch = rest.len().min(MAX_SLICES);
        match pwritev(&target, &rest[..batch], at) {
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
        write_all(target, offset + done as u64, &mut [IoSlice::new(piece)])?;
        done += count;
    }
    Ok(())
}

fn open_unlinked(directory: &Path) -> Result<OwnedFd, Errno> {
    let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    match open(directory, flags | OFlags::TMPFILE, mode) {
        // File systems without unnamed files (NFS, old overlays).
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        result => return result,
    }
    let name = directory.join(format!(".spill-{}", std::process::id()));
    let descriptor = open(&name, flags | OFlags::CREATE | OFlags::TRUNC, mode)?;
    unlink(&name)?;
    Ok(descriptor)
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
mod tests {
    use super::*;
    use pypackager_core::payload::{Part, Payload, Spill};
    use rustix::fs::fstat;

    fn blocks(file: &SpillFile) -> i64 {
        fstat(&file.file.as_ref().expect("opened").descriptor).expect("an open file").st_blocks
    }

    #[test]
    fn what_is_stored_is_read_and_given_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = SpillFile::new(directory.path().to_owned());
        let pieces: Vec<Vec<u8>> = (0..2000u32).map(|n| vec![n as u8; 1 + n as usize % 700]).collect();
        let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let stored = file.store(&slices).expect("room");
        assert!(std::fs::read_dir(directory.path()).expect("a directory").next().is_none(), "it has no name");
        for (stored, piece) in stored.iter().zip(&pieces) {
            assert_eq!((stored.len, stored.crc), (piece.len(), crc32c::crc32c(piece)));
        }
        let payload = Payload::new(stored.into_iter().map(Part::Stored).collect());
        assert_eq!(payload.bytes().expect("readable"), pieces.concat());
        assert!(blocks(&file) > 0);
        drop(payload);
        assert_eq!(blocks(&file), 0);
    }

    #[test]
    fn both_ways_of_copying_give_the_bytes() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = SpillFile::new(directory.path().to_owned());
        let bytes: Vec<u8> = (0..600_000u32).map(|n| (n * 7 % 251) as u8).collect();
        let stored = file.store(&[&bytes]).expect("room").remove(0);
        let region = stored.region.as_any().downcast_ref::<Region>().expect("its own");
        let open_target = |name: &str| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            open(directory.path().join(name), flags, Mode::RUSR | Mode::WUSR).expect("a file")
        };
        region.copy_to(1000, 500_000, &open_target("kernel"), 3).expect("room");
        copy_through(region, 1000, 500_000, &open_target("buffer"), 3).expect("room");
        for name in ["kernel", "buffer"] {
            let copied = std::fs::read(directory.path().join(name)).expect("written");
            assert_eq!((&copied[..3], &copied[3..]), (&[0, 0, 0][..], &bytes[1000..501_000]), "{name}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_made_is_an_error_each_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = SpillFile::new(directory.path().join("later"));
        assert!(file.store(&[b"x"]).is_err());
        std::fs::create_dir(directory.path().join("later")).expect("room");
        assert!(file.store(&[b"x"]).is_ok());
    }
}
