//! Brings files to the disk beside the writer: a disk may take a second for that, and no fragment waits for it.

use super::file::Synced;
use super::{Answers, Ticket};
use rustix::io::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

type Job = (Ticket, Vec<Synced>);

/// A thread that syncs in order. Dropping it waits for the file under way and cancels the rest.
#[derive(Debug)]
pub(super) struct Syncer {
    jobs: Option<Sender<Job>>,
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

    /// Syncs each file in order, up to the first that fails, and answers the ticket then.
    pub(super) fn sync(&self, ticket: Ticket, files: Vec<Synced>) {
        if let Some(jobs) = &self.jobs {
            // The thread takes jobs for as long as this sender lives.
            let _ = jobs.send((ticket, files));
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

fn run(jobs: &Receiver<Job>, stopped: &AtomicBool, answers: &Answers) {
    while let Ok(first) = jobs.recv() {
        let waiting: Vec<Job> = std::iter::once(first).chain(jobs.try_iter()).collect();
        if !stopped.load(Ordering::Relaxed) {
            waiting.iter().flat_map(|(_, files)| files).for_each(Synced::begin);
        }
        for (ticket, files) in waiting {
            sync(ticket, files, stopped, answers);
        }
    }
}

fn sync(ticket: Ticket, files: Vec<Synced>, stopped: &AtomicBool, answers: &Answers) {
    let sync = |file: &Synced| if stopped.load(Ordering::Relaxed) { Err(Errno::CANCELED) } else { file.sync() };
    let result = files.iter().try_for_each(sync);
    // Closed files end here, before anybody is told.
    drop(files);
    answers.publish(&mut vec![(ticket, result.err().map_or(0, Errno::raw_os_error))]);
}
