//! Brings files to the disk beside the writer: a disk may take a second for that, and no fragment waits for it.

use super::file::Synced;
use super::{Answers, Ticket};
use rustix::io::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

/// A sync and its ticket.
pub(super) type Job = (Ticket, Vec<Synced>);

/// A thread that syncs in order. Dropping it waits for the file under way and cancels the rest.
#[derive(Debug)]
pub(super) struct Syncer {
    jobs: Option<Sender<Vec<Job>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread.
    pub(super) fn new(answers: Arc<Answers>) -> std::io::Result<Self> {
        let (jobs, taken) = channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&stopped);
        let thread = Builder::new().name("syncer".into()).spawn(move || run(&taken, &end, &answers))?;
        Ok(Self { jobs: Some(jobs), stopped, thread: Some(thread) })
    }

    /// Syncs the files of each job in order, up to the first that fails, and answers their tickets together.
    pub(super) fn sync(&self, syncs: Vec<Job>) {
        if let Some(jobs) = &self.jobs {
            // The thread takes jobs for as long as this sender lives.
            let _ = jobs.send(syncs);
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported by its hook.
            let _ = thread.join();
        }
    }
}

fn run(jobs: &Receiver<Vec<Job>>, stopped: &AtomicBool, answers: &Answers) {
    while let Ok(first) = jobs.recv() {
        let waiting: Vec<Job> = first.into_iter().chain(jobs.try_iter().flatten()).collect();
        if !stopped.load(Ordering::Relaxed) {
            waiting.iter().flat_map(|(_, files)| files).for_each(Synced::begin);
        }
        let mut finished = waiting.into_iter().map(|(ticket, files)| (ticket, sync(files, stopped))).collect();
        answers.publish(&mut finished);
    }
}

/// The errno of the first file that fails, else 0. Closed files end here, before anybody is told.
fn sync(files: Vec<Synced>, stopped: &AtomicBool) -> i32 {
    let sync = |file: &Synced| if stopped.load(Ordering::Relaxed) { Err(Errno::CANCELED) } else { file.sync() };
    let result = files.iter().try_for_each(sync);
    drop(files);
    result.err().map_or(0, Errno::raw_os_error)
}
