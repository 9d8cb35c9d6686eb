//! One file that is written at known places, whole writes or none, and leaves the page cache behind the live edge.

use crate::fragment::Fragment;
use crate::spill::{Region, write_all};
use pypackager_core::payload::{Part, Stored};
use rustix::fs::{Advice, Mode, OFlags, fadvise, fdatasync, fstat, ftruncate, open};
use rustix::io::{Errno, pwritev};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::num::NonZeroU64;
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// An open file with the end of its valid content. Dropping it lets the kernel begin to write what no sync covered.
#[derive(Debug)]
pub(super) struct File {
    descriptor: Arc<OwnedFd>,
    end: u64,
    synced: u64,
    cached: Option<Cached>,
}

impl File {
    /// Opens or creates `path`; its end is where appending goes on.
    pub(super) fn open(path: &str) -> Result<Self, Errno> {
        // Not O_APPEND: with it, pwrite(2) on Linux ignores the offset.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let descriptor = open(path, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH)?;
        let end = fstat(&descriptor)?.st_size as u64;
        Ok(Self { descriptor: Arc::new(descriptor), end, synced: end, cached: None })
    }

    /// Appends `data`, or nothing.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), Errno> {
        let (offset, size) = (self.end, data.len());
        self.write(offset, size, |file| file.write_slices(offset, &mut [IoSlice::new(data)]))
    }

    /// Writes a fragment from `offset` on, or nothing.
    pub(super) fn write_fragment(&mut self, offset: u64, fragment: &Fragment) -> Result<(), Errno> {
        self.cached.get_or_insert(Cached { from: offset, ends: VecDeque::new() });
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

    /// What a sync has to do, for all that was written so far.
    pub(super) fn begin_sync(&mut self) -> Synced {
        self.synced = self.end;
        let behind = self.cached.as_mut().and_then(|cached| cached.pass(self.end));
        Synced { descriptor: Arc::clone(&self.descriptor), behind }
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

impl Drop for File {
    fn drop(&mut self) {
        if self.synced < self.end {
            // For pages that are not written yet this says: begin. An error costs nothing but time, of which the kernel takes its own.
            let _ = fadvise(&self.descriptor, self.synced, None, Advice::DontNeed);
        }
    }
}

/// Media that is in the page cache because it was written a short time ago.
///
/// Viewers read what is new, and mostly from the memory of the origin; what is read again later comes back into the cache by that. A
/// kernel that is left to itself keeps all of it until memory is short, and gives up other files' pages for it.
#[derive(Debug)]
struct Cached {
    from: u64,
    ends: VecDeque<u64>,
}

impl Cached {
    /// The file is synced up to `end`; returns what may leave the cache: what was synced `KEPT_SYNCS` ago.
    fn pass(&mut self, end: u64) -> Option<Range<u64>> {
        self.ends.push_back(end);
        let until = if self.ends.len() > KEPT_SYNCS { self.ends.pop_front()? } else { return None };
        // The kernel drops whole folios: the one that the last call ended in is named again.
        let from = std::mem::replace(&mut self.from, until).saturating_sub(FOLIO);
        (from < until).then_some(from..until)
    }
}

/// Syncs after which what was written leaves the page cache: a minute, at one in two seconds.
const KEPT_SYNCS: usize = 30;
/// The largest piece that the page cache of a file is made of.
const FOLIO: u64 = 2 << 20;

/// A file to be brought to the disk, also when it was closed meanwhile.
#[derive(Debug)]
pub(super) struct Synced {
    descriptor: Arc<OwnedFd>,
    behind: Option<Range<u64>>,
}

impl Synced {
    /// Has the kernel begin to write, and waits for nothing: files that begin together share one commit of the file system's own journal,
    /// where each that is synced by itself costs one (measured: a third of the processor time of all syncs).
    #[cfg_attr(not(target_os = "linux"), allow(clippy::unused_self))]
    pub(super) fn begin(&self) {
        #[cfg(target_os = "linux")]
        #[allow(unsafe_code)]
        // SAFETY: the call takes numbers alone, and the descriptor is open for as long as `self` lives.
        unsafe {
            // What goes wrong here the sync reports.
            libc::sync_file_range(self.descriptor.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
        }
    }

    /// fdatasync(2); then what lies behind the live edge leaves the page cache.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        while let Err(errno) = fdatasync(&self.descriptor) {
            if errno != Errno::INTR {
                return Err(errno);
            }
        }
        if let Some(Range { start, end }) = self.behind {
            // Advice that is not taken (a file system without a cache) costs nothing.
            let _ = fadvise(&self.descriptor, start, NonZeroU64::new(end - start), Advice::DontNeed);
        }
        Ok(())
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
        let lost = fragment(vec![
            Part::Memory(b"memory".to_vec().into()),
            spilled(&[1; 9000]),
            Part::Memory(b"end".to_vec().into()),
        ]);
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

    #[test]
    fn media_leaves_the_page_cache_a_minute_of_syncs_after_it_was_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("blob");
        let mut file = File::open(path.to_str().expect("plain")).expect("a file");
        let piece = fragment(vec![Part::Memory(vec![7; (1 << 20) - 4].into())]);
        let mut behind = Vec::new();
        for number in 0..KEPT_SYNCS as u64 + 4 {
            file.write_fragment(number << 20, &piece).expect("room");
            let synced = file.begin_sync();
            synced.sync().expect("a disk");
            behind.extend(synced.behind);
        }
        // Each call goes on where the last one ended, less a folio that may have been cut.
        assert_eq!(behind, [0..1 << 20, 0..2 << 20, 0..3 << 20, 1 << 20..4 << 20]);
        assert_eq!(std::fs::read(&path).expect("readable").len(), (KEPT_SYNCS + 4) << 20);
    }

    #[test]
    fn a_journal_stays_in_the_page_cache_for_the_next_start() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let mut file = File::open(path.to_str().expect("plain")).expect("a file");
        for _ in 0..KEPT_SYNCS * 2 {
            file.append(&[1; 100]).expect("room");
            assert_eq!(file.begin_sync().behind, None);
        }
    }
}
