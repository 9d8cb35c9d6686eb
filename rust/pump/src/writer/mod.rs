//! The writer: one thread that writes blobs and journals in the order of the calls.
//!
//! What comes in: appends, fragments with their journal records, syncs; each gets a ticket. What goes out: tickets with an errno, in the
//! order of the calls. A payload is written before its record, and a payload that failed takes its record with it, so a journal never
//! points at bytes that are not there. Never: a decision about where to write, a retry, a loss of a ticket.

mod file;

use crate::bell::Bell;
use crate::fragment::Fragment;
use file::File;
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Number of an open file.
pub type Handle = u64;
/// Number of a call.
pub type Ticket = u64;

/// A thread that writes in order. Dropping it finishes what is queued.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    done: Mutex<Vec<(Ticket, i32)>>,
    bell: Bell,
    queued_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<(Ticket, Job)>,
    last_number: u64,
    stopped: bool,
}

#[derive(Debug)]
enum Job {
    Open(Handle, File),
    Append { file: Handle, data: Vec<u8> },
    Fragment { blob: Handle, offset: u64, fragment: Fragment, journal: Handle, record: Vec<u8> },
    Sync(Vec<Handle>),
    Close(Handle),
}

impl Writer {
    /// Starts the thread.
    pub fn new() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            done: Mutex::default(),
            bell: Bell::new()?,
            queued_bytes: AtomicU64::new(0),
        });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || worker.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Opens or creates a file, at once, for writing from its end on.
    pub fn open(&self, path: &str) -> Result<Handle, Errno> {
        let file = File::open(path)?;
        let mut queue = lock(&self.shared.queue);
        if queue.stopped {
            return Err(Errno::CANCELED);
        }
        queue.last_number += 1;
        let handle = queue.last_number;
        // The file reaches the thread through the queue, so no call can overtake it; nobody waits for ticket 0.
        queue.jobs.push_back((0, Job::Open(handle, file)));
        Ok(handle)
    }

    /// Appends `data` to a file, or nothing of it.
    pub fn append(&self, file: Handle, data: Vec<u8>) -> Ticket {
        self.shared.submit(Job::Append { file, data })
    }

    /// Writes a fragment at `offset` of `blob`, then appends `record` to `journal`; a failed first write skips the second.
    pub fn write_fragment(
        &self,
        blob: Handle,
        offset: u64,
        fragment: Fragment,
        journal: Handle,
        record: Vec<u8>,
    ) -> Ticket {
        self.shared.submit(Job::Fragment { blob, offset, fragment, journal, record })
    }

    /// fdatasync of each file in order, up to the first that fails.
    pub fn sync(&self, files: Vec<Handle>) -> Ticket {
        self.shared.submit(Job::Sync(files))
    }

    /// Closes a file.
    pub fn close(&self, file: Handle) -> Ticket {
        self.shared.submit(Job::Close(file))
    }

    /// Everything finished since the last call, in order: ticket and errno (0 is fine). Silences the descriptor.
    pub fn done(&self) -> Vec<(Ticket, i32)> {
        self.shared.bell.clear();
        std::mem::take(&mut *lock(&self.shared.done))
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> u64 {
        self.shared.queued_bytes.load(Ordering::Relaxed)
    }

    /// Finishes what is queued, closes all files and ends the thread; later calls fail with `ECANCELED`.
    pub fn stop(&self) {
        lock(&self.shared.queue).stopped = true;
        self.shared.work.notify_all();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // The thread catches the panics of its jobs; one outside of them was reported by its hook.
            let _ = thread.join();
        }
    }
}

impl AsRawFd for Writer {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.bell.as_raw_fd()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn submit(&self, job: Job) -> Ticket {
        let mut queue = lock(&self.queue);
        queue.last_number += 1;
        let ticket = queue.last_number;
        if queue.stopped {
            drop(queue);
            self.publish(&mut vec![(ticket, Errno::CANCELED.raw_os_error())]);
            return ticket;
        }
        self.queued_bytes.fetch_add(job.size(), Ordering::Relaxed);
        let idle = queue.jobs.iter().all(|(_, job)| matches!(job, Job::Open(..)));
        queue.jobs.push_back((ticket, job));
        drop(queue);
        if idle {
            self.work.notify_one();
        }
        ticket
    }

    fn run(&self) {
        let mut files = HashMap::new();
        let mut finished = Vec::new();
        while let Some(jobs) = self.take_jobs() {
            for (ticket, job) in jobs {
                let size = job.size();
                // A fault of ours must not stop every channel's writes: it becomes the errno of its own ticket.
                let result = catch_unwind(AssertUnwindSafe(|| job.run(&mut files))).unwrap_or(Err(Errno::IO));
                self.queued_bytes.fetch_sub(size, Ordering::Relaxed);
                if ticket != 0 {
                    finished.push((ticket, result.err().map_or(0, Errno::raw_os_error)));
                }
            }
            self.publish(&mut finished);
        }
    }

    /// All jobs that wait, in order; sleeps while there are none; `None` after the stop.
    fn take_jobs(&self) -> Option<VecDeque<(Ticket, Job)>> {
        let mut queue = lock(&self.queue);
        while queue.jobs.is_empty() {
            if queue.stopped {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut queue.jobs))
    }

    fn publish(&self, finished: &mut Vec<(Ticket, i32)>) {
        let mut done = lock(&self.done);
        let silent = done.is_empty() && !finished.is_empty();
        done.append(finished);
        drop(done);
        if silent {
            self.bell.ring();
        }
    }
}

impl Job {
    fn size(&self) -> u64 {
        match self {
            Self::Append { data, .. } => data.len() as u64,
            Self::Fragment { fragment, record, .. } => (fragment.size() + record.len()) as u64,
            Self::Open(..) | Self::Sync(_) | Self::Close(_) => 0,
        }
    }

    fn run(self, files: &mut HashMap<Handle, File>) -> Result<(), Errno> {
        match self {
            Self::Open(handle, file) => {
                files.insert(handle, file);
                Ok(())
            }
            Self::Append { file, data } => files.get_mut(&file).ok_or(Errno::BADF)?.append(&data),
            Self::Fragment { blob, offset, fragment, journal, record } => {
                // Asked first: bytes without a record would lie in the blob for nothing.
                if !files.contains_key(&journal) {
                    return Err(Errno::BADF);
                }
                files.get_mut(&blob).ok_or(Errno::BADF)?.write_fragment(offset, &fragment)?;
                files.get_mut(&journal).ok_or(Errno::BADF)?.append(&record)
            }
            Self::Sync(handles) => handles.iter().try_for_each(|handle| files.get(handle).ok_or(Errno::BADF)?.sync()),
            Self::Close(handle) => files.remove(&handle).map(drop).ok_or(Errno::BADF),
        }
    }
}

/// A poisoned lock guards plain lists here: their content is whole after any panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
