//! What a spill file lies on: a file without a name, call by call.
//!
//! In: bytes and places. Out: what the kernel says, unchanged. Never: a retry, a count of what is in use.

use rustix::fs::{FallocateFlags, Mode, OFlags, copy_file_range, fallocate, open, unlink};
use rustix::io::{Errno, pread, pwritev};
use std::fmt::Debug;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::path::Path;

/// One open file. A call may do less than it is asked for, and says how much it did.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Writes the first bytes of the pieces.
    fn write(&self, pieces: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno>;
    /// Reads; 0 is the end of the file.
    fn read(&self, target: &mut [u8], offset: u64) -> Result<usize, Errno>;
    /// Copies to another file without memory in between, and moves both places behind what was copied.
    fn copy(&self, from: &mut u64, target: &OwnedFd, to: &mut u64, len: usize) -> Result<usize, Errno>;
    /// Gives space back to the file system, if it can.
    fn free(&self, offset: u64, len: u64);
}

/// A file of the system's.
#[derive(Debug)]
pub(super) struct Unnamed(OwnedFd);

impl Unnamed {
    /// A new file in `directory`, on whose file system it stays without a name.
    pub(super) fn open(directory: &Path) -> Result<Self, Errno> {
        let unnamed = open(directory, FLAGS | OFlags::TMPFILE, MODE);
        Self::or_unlinked(unnamed, directory)
    }

    /// The file that was opened without a name; where the file system has no such thing (NFS, old overlays, old kernels), one whose name is
    /// gone as soon as it is open.
    fn or_unlinked(unnamed: Result<OwnedFd, Errno>, directory: &Path) -> Result<Self, Errno> {
        match unnamed {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {}
            result => return result.map(Self),
        }
        for attempt in 0..ATTEMPTS {
            let name = directory.join(format!(".spill-{}-{attempt}", std::process::id()));
            // Exclusively: another process may have this number too, where containers share the directory. Its bytes are not ours.
            match open(&name, FLAGS | OFlags::CREATE | OFlags::EXCL, MODE) {
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
                Ok(descriptor) => {
                    unlink(&name)?;
                    return Ok(Self(descriptor));
                }
            }
        }
        Err(Errno::EXIST)
    }
}

impl Disk for Unnamed {
    fn write(&self, pieces: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
        pwritev(&self.0, pieces, offset)
    }

    fn read(&self, target: &mut [u8], offset: u64) -> Result<usize, Errno> {
        pread(&self.0, target, offset)
    }

    fn copy(&self, from: &mut u64, target: &OwnedFd, to: &mut u64, len: usize) -> Result<usize, Errno> {
        copy_file_range(&self.0, Some(from), target, Some(to), len)
    }

    fn free(&self, offset: u64, len: u64) {
        // Without holes, space is reused and nothing more.
        let _ = fallocate(&self.0, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len);
    }
}

const FLAGS: OFlags = OFlags::RDWR.union(OFlags::CLOEXEC);
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Names that a process which was killed at the wrong moment may have left.
const ATTEMPTS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> usize {
        std::fs::read_dir(directory).expect("a directory").count()
    }

    #[test]
    fn where_no_file_is_without_a_name_its_name_goes_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        for errno in [Errno::OPNOTSUPP, Errno::ISDIR, Errno::INVAL, Errno::NOSYS] {
            let file = Unnamed::or_unlinked(Err(errno), directory.path()).expect("another way");
            assert_eq!(file.write(&[IoSlice::new(b"bytes")], 4096), Ok(5));
            let mut bytes = [0; 8];
            assert_eq!(file.read(&mut bytes, 4096), Ok(5));
            assert_eq!((&bytes[..5], names(directory.path())), (&b"bytes"[..], 0));
        }
    }

    #[test]
    fn a_file_of_that_name_is_somebody_elses() {
        let directory = tempfile::tempdir().expect("a directory");
        let theirs = directory.path().join(format!(".spill-{}-0", std::process::id()));
        std::fs::write(&theirs, b"theirs").expect("room");
        let file = Unnamed::or_unlinked(Err(Errno::OPNOTSUPP), directory.path()).expect("another name");
        assert_eq!(file.write(&[IoSlice::new(b"ours")], 0), Ok(4));
        assert_eq!(std::fs::read(&theirs).expect("it is there"), b"theirs");
    }

    #[test]
    fn space_that_is_given_back_is_free() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = Unnamed::open(directory.path()).expect("a file");
        let blocks = || rustix::fs::fstat(&file.0).expect("an open file").st_blocks;
        assert_eq!(file.write(&[IoSlice::new(&vec![1; 100_000])], 8192), Ok(100_000));
        assert!(blocks() > 0);
        file.free(8192, 102_400);
        assert_eq!(blocks(), 0);
    }

    #[test]
    fn what_is_wrong_with_the_directory_is_said() {
        let directory = tempfile::tempdir().expect("a directory");
        for errno in [Errno::ACCESS, Errno::NOSPC, Errno::ROFS, Errno::MFILE] {
            assert_eq!(Unnamed::or_unlinked(Err(errno), directory.path()).err(), Some(errno));
        }
        let gone = directory.path().join("gone");
        assert_eq!(Unnamed::open(&gone).err(), Some(Errno::NOENT));
        assert_eq!(Unnamed::or_unlinked(Err(Errno::OPNOTSUPP), &gone).err(), Some(Errno::NOENT));
    }
}
