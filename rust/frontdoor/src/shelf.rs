//! What was published, by request target.
//!
//! The application puts answers here and takes them away; connections only look. Manifests of a presentation are replaced together when
//! its content changes ([`Shelf::turn`]), so that no viewer sees half a version; segments stay for the time that was given with them. The
//! bodies that were made are bounded in bytes: those made first leave first, and are made again when they are asked for again.

use crate::answer::Answer;
use crate::audience::Room;
use crate::plan::{Fault, Plan};
use bytes::Bytes;
use pypackager_core::access::Gate;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Instant;
use tokio::sync::OnceCell;

/// A published answer in its place.
#[derive(Debug)]
pub struct Entry {
    /// What is answered.
    pub answer: Answer,
    /// What stands before it.
    pub gate: Arc<Gate>,
    /// Where those who are given it are counted.
    pub room: Arc<Room>,
    target: Box<str>,
    /// Until when it may be given; a manifest: until it is replaced.
    expires: Option<Instant>,
    /// Somebody was given it since the last look.
    pub asked: AtomicBool,
    body: Mutex<Arc<OnceCell<Bytes>>>,
    /// What it adds to the shelf's `made`.
    weight: AtomicUsize,
}

/// The answers of all presentations.
#[derive(Debug)]
pub struct Shelf {
    inner: RwLock<Inner>,
    /// Bytes of bodies that were made for entries on the shelf.
    made: AtomicUsize,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Box<str>, Arc<Entry>>,
    roots: HashMap<Box<str>, Root>,
    /// Segments in the order in which they came; one that is gone from `entries` may still be here.
    order: VecDeque<Arc<Entry>>,
    /// Those with a body that was made, in the order of making; one that is gone from `entries` weighs nothing.
    made: VecDeque<Arc<Entry>>,
}

#[derive(Debug, Default)]
struct Root {
    gate: Arc<Gate>,
    room: Arc<Room>,
    manifests: Vec<Arc<Entry>>,
    /// Those that left before their time are gone, with their bodies.
    segments: Vec<Weak<Entry>>,
}

impl Entry {
    /// The plain body: made by the first who asks while the others wait.
    pub async fn body(self: &Arc<Self>, on: &Shelf) -> Result<Bytes, Fault> {
        if let Plan::Bytes(data) = &self.answer.plan {
            return Ok(data.clone());
        }
        let kept = Arc::clone(&self.kept());
        let body = kept.get_or_try_init(|| async {
            let entry = Arc::clone(self);
            let made = tokio::task::spawn_blocking(move || entry.answer.plan.execute()).await;
            // The task can only fail by a panic, which is a fault of ours and is shown where it happened.
            made.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
                .inspect(|body| on.weigh(self, body.len()))
        });
        body.await.cloned()
    }
}

impl Shelf {
    /// An empty shelf that holds `capacity` bytes of made bodies.
    pub fn new(capacity: usize) -> Self {
        Self { inner: RwLock::default(), made: AtomicUsize::new(0), capacity }
    }

    /// Puts a gate before a presentation, and counts those whom it lets in. Nothing stays of what was there behind another one.
    pub fn guard(&self, root: &str, gate: Gate, counted: Arc<Room>) {
        if self.read().roots.get(root).is_some_and(|known| *known.gate != gate || !Arc::ptr_eq(&known.room, &counted)) {
            self.withdraw(root);
        }
        let mut inner = self.write();
        let known = inner.roots.entry(root.into()).or_default();
        (known.gate, known.room) = (Arc::new(gate), counted);
    }

    /// Publishes a segment of the presentation at `root`, to be given until `expires`.
    pub fn put(&self, root: &str, target: &str, answer: Answer, expires: Instant) {
        let mut inner = self.write();
        if inner.entries.contains_key(target) {
            // It never changes: what is there, and what was made of it, stays.
            return;
        }
        let known = inner.roots.entry(root.into()).or_default();
        let entry = Arc::new(Entry::new(target, answer, Some(expires), known));
        known.segments.push(Arc::downgrade(&entry));
        inner.entries.insert(target.into(), Arc::clone(&entry));
        inner.order.push_back(entry);
        while inner.order.len() > MAX_SEGMENTS {
            let Some(oldest) = inner.order.pop_front() else { break };
            self.remove(&mut inner, &oldest);
        }
    }

    /// Replaces all manifests of a presentation.
    pub fn turn(&self, root: &str, manifests: Vec<(String, Answer)>) {
        let mut inner = self.write();
        let known = inner.roots.entry(root.into()).or_default();
        let entry = |(target, answer): (String, _)| Arc::new(Entry::new(&target, answer, None, known));
        let entries: Vec<_> = manifests.into_iter().map(entry).collect();
        let old = std::mem::replace(&mut known.manifests, entries.clone());
        for entry in old {
            self.remove(&mut inner, &entry);
        }
        for entry in entries {
            inner.entries.insert(entry.target.clone(), entry);
        }
    }

    /// Adds one manifest to those of a presentation.
    pub fn add(&self, root: &str, target: &str, answer: Answer) {
        let mut inner = self.write();
        if let Some(old) = inner.entries.get(target).cloned() {
            self.remove(&mut inner, &old);
        }
        let known = inner.roots.entry(root.into()).or_default();
        let entry = Arc::new(Entry::new(target, answer, None, known));
        known.manifests.retain(|old| &*old.target != target);
        known.manifests.push(Arc::clone(&entry));
        inner.entries.insert(target.into(), entry);
    }

    /// The targets of a presentation that were asked for since the last call; what expired leaves.
    pub fn asked(&self, root: &str) -> Vec<String> {
        let now = Instant::now();
        let mut inner = self.write();
        let Some(known) = inner.roots.get_mut(root) else { return Vec::new() };
        let segments = known.segments.iter().filter_map(Weak::upgrade);
        let (expired, kept): (Vec<_>, Vec<_>) = segments.partition(|entry| entry.expired(now));
        known.segments = kept.iter().map(Arc::downgrade).collect();
        let asked = known.manifests.iter().chain(&kept).filter(|entry| entry.asked.swap(false, Ordering::Relaxed));
        let asked = asked.map(|entry| String::from(&*entry.target)).collect();
        for entry in expired {
            self.remove(&mut inner, &entry);
        }
        while inner.order.front().is_some_and(|entry| entry.expired(now)) {
            inner.order.pop_front();
        }
        while inner.made.front().is_some_and(|entry| entry.weight.load(Ordering::Relaxed) == 0) {
            inner.made.pop_front();
        }
        asked
    }

    /// Takes away everything of a presentation.
    pub fn withdraw(&self, root: &str) {
        let mut inner = self.write();
        let Some(known) = inner.roots.remove(root) else { return };
        for entry in known.manifests.into_iter().chain(known.segments.iter().filter_map(Weak::upgrade)) {
            self.remove(&mut inner, &entry);
        }
    }

    /// What is published at a target.
    pub fn find(&self, target: &str, now: Instant) -> Option<Arc<Entry>> {
        self.read().entries.get(target).filter(|entry| !entry.expired(now)).cloned()
    }

    /// Takes away one entry: its plan can't be carried out any more.
    pub fn forget(&self, entry: &Arc<Entry>) {
        let mut inner = self.write();
        self.remove(&mut inner, entry);
    }

    /// Count of entries, and bytes of the bodies that were made for them.
    pub fn load(&self) -> (usize, usize) {
        (self.read().entries.len(), self.made.load(Ordering::Relaxed))
    }

    /// A body was made: older ones leave when all together are too many.
    fn weigh(&self, entry: &Arc<Entry>, size: usize) {
        let mut inner = self.write();
        let there = inner.entries.get(&entry.target).is_some_and(|known| Arc::ptr_eq(known, entry));
        if !there || size > self.capacity / 2 {
            // Shared by those who wait for it now, and forgotten.
            entry.unmake();
            return;
        }
        entry.weight.store(size, Ordering::Relaxed);
        self.made.fetch_add(size, Ordering::Relaxed);
        inner.made.push_back(Arc::clone(entry));
        while self.made.load(Ordering::Relaxed) > self.capacity {
            let Some(oldest) = inner.made.pop_front() else { break };
            self.made.fetch_sub(oldest.unmake(), Ordering::Relaxed);
        }
    }

    fn remove(&self, inner: &mut Inner, entry: &Arc<Entry>) {
        // Another entry may have its place by now.
        if inner.entries.get(&entry.target).is_some_and(|known| Arc::ptr_eq(known, entry)) {
            inner.entries.remove(&entry.target);
            self.made.fetch_sub(entry.unmake(), Ordering::Relaxed);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(target: &str, answer: Answer, expires: Option<Instant>, root: &Root) -> Self {
        Self {
            answer,
            gate: Arc::clone(&root.gate),
            room: Arc::clone(&root.room),
            target: target.into(),
            expires,
            asked: AtomicBool::new(false),
            body: Mutex::default(),
            weight: AtomicUsize::new(0),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Arc<OnceCell<Bytes>>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the body; whoever has it keeps it. Returns what it weighed.
    fn unmake(&self) -> usize {
        *self.kept() = Arc::default();
        self.weight.swap(0, Ordering::Relaxed)
    }

    fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|until| until <= now)
    }
}

/// Segments on the shelf: a minute of all streams of many channels.
const MAX_SEGMENTS: usize = 65_536;
