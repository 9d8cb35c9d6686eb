//! The writer: one thread that writes blobs and journals in the order of the calls, and one that syncs them.
//!
//! What comes in: appends, fragments with their journal records, syncs; each gets a ticket. What goes out: tickets with an errno; writes
//! are answered in the order of the calls, and so are syncs, but no write waits for one. A payload is written before its record, and a
//! payload that failed takes its record with it, so a journal never points at bytes that are not there. Never: a decision about where to
//! write, a retry, a loss of a ticket.

mod file;
mod syncer;

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
use std::time::Duration;
use syncer::Syncer;

/// Number of an open file.
pub type Handle = u64;
/// Number of a call.
pub type Ticket = u64;

/// A thread that writes in order. Dropping it finishes what is queued, but for syncs.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    answers: Arc<Answers>,
    queued_bytes: AtomicU64,
}

/// Tickets that are answered, and the bell that says so.
#[derive(Debug)]
struct Answers {
    done: Mutex<Vec<(Ticket, i32)>>,
    bell: Bell,
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
        let answers = Arc::new(Answers { done: Mutex::default(), bell: Bell::new()? });
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            answers: Arc::clone(&answers),
            queued_bytes: AtomicU64::new(0),
        });
        let worker = Arc::clone(&shared);
        let syncer = Syncer::new(answers)?;
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || worker.run(&syncer))?;
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

    /// fdatasync of each file in order, up to the first that fails: what was written before this call is on the disk when it is answered.
    pub fn sync(&self, files: Vec<Handle>) -> Ticket {
        self.shared.submit(Job::Sync(files))
    }

    /// Closes a file. The kernel begins to write what was not synced, and nobody waits for it.
    pub fn close(&self, file: Handle) -> Ticket {
        self.shared.submit(Job::Close(file))
    }

    /// Everything finished since the last call: ticket and errno (0 is fine). Silences the descriptor.
    pub fn done(&self) -> Vec<(Ticket, i32)> {
        self.shared.answers.bell.clear();
        std::mem::take(&mut *lock(&self.shared.answers.done))
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> u64 {
        self.shared.queued_bytes.load(Ordering::Relaxed)
    }

    /// Finishes what is queued, closes all files and ends the threads; later calls fail with `ECANCELED`, and so do syncs that have not
    /// begun: a disk may take seconds for one, which an end has not. They cost no data but in a loss of power.
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
        self.shared.answers.bell.as_raw_fd()
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
            self.answers.publish(&mut vec![(ticket, Errno::CANCELED.raw_os_error())]);
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

    fn run(&self, syncer: &Syncer) {
        let mut files = HashMap::new();
        let (mut finished, mut syncs) = (Vec::new(), Vec::new());
        while let Some(jobs) = self.take_jobs() {
            for (ticket, job) in jobs {
                let size = job.size();
                // A fault of ours must not stop every channel's writes: it becomes the errno of its own ticket.
                let run = AssertUnwindSafe(|| job.run(ticket, &mut files, &mut syncs));
                let result = catch_unwind(run).unwrap_or(Some(Err(Errno::IO)));
                self.queued_bytes.fetch_sub(size, Ordering::Relaxed);
                if let Some(result) = result.filter(|_| ticket != 0) {
                    finished.push((ticket, result.err().map_or(0, Errno::raw_os_error)));
                }
            }
            self.answers.publish(&mut finished);
            if !syncs.is_empty() {
                syncer.sync(std::mem::take(&mut syncs));
            }
        }
    }

    /// All jobs that wait, in order; sleeps while there are none, and until those that belong together have come; `None` after the stop.
    fn take_jobs(&self) -> Option<VecDeque<(Ticket, Job)>> {
        let mut queue = lock(&self.queue);
        while queue.jobs.is_empty() {
            if queue.stopped {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            if !queue.stopped {
                drop(queue);
                std::thread::sleep(GATHER);
                queue = lock(&self.queue);
            }
        }
        Some(std::mem::take(&mut queue.jobs))
    }
}

impl Answers {
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

    /// Does it; `None`: it is among the syncs now, whose thread answers for it.
    fn run(
        self,
        ticket: Ticket,
        files: &mut HashMap<Handle, File>,
        syncs: &mut Vec<syncer::Job>,
    ) -> Option<Result<(), Errno>> {
        Some(match self {
            Self::Open(handle, file) => {
                files.insert(handle, file);
                Ok(())
            }
            Self::Append { file, data } => find(files, file).and_then(|file| file.append(&data)),
            Self::Fragment { blob, offset, fragment, journal, record } => {
                // Asked first: bytes without a record would lie in the blob for nothing.
                let ready = find(files, journal).map(drop);
                let written = ready.and_then(|()| find(files, blob)?.write_fragment(offset, &fragment));
                written.and_then(|()| find(files, journal)?.append(&record))
            }
            Self::Sync(handles) => {
                match handles.iter().map(|handle| Some(files.get_mut(handle)?.begin_sync())).collect() {
                    Some(begun) => {
                        syncs.push((ticket, begun));
                        return None;
                    }
                    None => Err(Errno::BADF),
                }
            }
            Self::Close(handle) => files.remove(&handle).map(drop).ok_or(Errno::BADF),
        })
    }
}

/// How long jobs are gathered after the first of them: those of a fragment interval come within milliseconds, and each wakeup of this
/// thread, and of the one that takes the answers, costs more than a job.
const GATHER: Duration = Duration::from_millis(10);

fn find(files: &mut HashMap<Handle, File>, handle: Handle) -> Result<&mut File, Errno> {
    files.get_mut(&handle).ok_or(Errno::BADF)
}

/// A poisoned lock guards plain lists here: their content is whole after any panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
