//! Recording what this broker does, for others to judge: protocol steps and acts at the edge (design §3.6).
//!
//! A [`Recorder`] takes records from every task, in one order, and never makes one wait: what finds no room is dropped,
//! and the gap is recorded. Nothing here looks at what a record says. How records lie in files is in docs/TRACE.md.

pub(crate) mod edge;
mod file;
mod record;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use highwater_model::trace::{Act, Acted, Began, CoreNumber, Ended, Header, Life, Outcome, Step, kind};
use highwater_transport::env::Env;
use serde::Serialize;
use tokio::sync::Notify;

use record::Buffer;
pub(crate) use record::{carried, carried_in, carried_records, digest};

/// Bytes of records that wait to be written, at most; more is dropped.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Bytes of records that are worth a write of their own.
const WORTH_WRITING: usize = 256 << 10;
/// How long a record waits to be written at most.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Where a broker's records go. A cheap handle; the default records nothing.
#[derive(Clone, Default)]
pub struct Recorder {
    shared: Option<Arc<Shared>>,
}

/// What the tasks and the writer share.
struct Shared {
    target: Target,
    buffer: Mutex<Buffer>,
    wake: Notify,
    next_core: AtomicU32,
    /// Raised when a reader may lack what was recorded before: each core is then shown anew.
    age: AtomicU64,
}

/// Where records end up.
#[derive(Debug)]
enum Target {
    /// They stay here until somebody takes them.
    Memory,
    /// Files in this directory, which hold at most so many bytes together.
    Files { dir: PathBuf, bytes_max: u64 },
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recorder").field(&self.shared.as_ref().map(|shared| &shared.target)).finish()
    }
}

impl Recorder {
    /// Records into files of this directory, of at most `bytes_max` bytes together for this node; the oldest go first.
    #[must_use]
    pub fn files(dir: PathBuf, bytes_max: u64) -> Self {
        Self::new(Target::Files { dir, bytes_max }, WAITING_BYTES_MAX)
    }

    /// Records into memory, at most so many bytes, until they are taken.
    #[must_use]
    pub fn memory(bytes_max: usize) -> Self {
        Self::new(Target::Memory, bytes_max)
    }

    fn new(target: Target, waiting_bytes_max: usize) -> Self {
        let shared = Shared {
            target,
            buffer: Mutex::new(Buffer::new(waiting_bytes_max)),
            wake: Notify::new(),
            next_core: AtomicU32::new(1),
            age: AtomicU64::new(0),
        };
        Self { shared: Some(Arc::new(shared)) }
    }

    /// Begins to record. Nothing before this is kept.
    pub(crate) fn begin(&self, env: &Env, mut header: Header) {
        let Some(shared) = &self.shared else { return };
        if let Target::Files { dir, .. } = &shared.target {
            header.started_ms = file::after_all(dir, &header);
        }
        shared.locked().begin(header);
        if let Target::Files { dir, bytes_max } = &shared.target {
            let (shared, dir, bytes_max) = (Arc::clone(shared), dir.clone(), *bytes_max);
            let env_of_writer = env.clone();
            drop(env.spawn("trace", file::write(env_of_writer, shared, dir, bytes_max)));
        }
    }

    /// Ends a recording into memory, and gives it as a file would have it: nothing of it is missing, however the process
    /// ended that it is of.
    #[must_use]
    pub fn take(&self) -> Bytes {
        let Some(shared) = &self.shared else { return Bytes::new() };
        let mut buffer = shared.locked();
        drop(buffer.close());
        buffer.take()
    }

    /// Ends the recording in order, and writes what waits to be written.
    pub(crate) async fn close(&self) {
        let Some(shared) = &self.shared else { return };
        let closed = shared.locked().close();
        shared.wake.notify_one();
        if let (Target::Files { .. }, Some(written)) = (&shared.target, closed) {
            drop(written.await);
        }
    }

    /// A name for the next core that begins its life here.
    pub(crate) fn core(&self) -> CoreTrace {
        let number = |shared: &Arc<Shared>| shared.next_core.fetch_add(1, Ordering::Relaxed);
        let core = CoreNumber(self.shared.as_ref().map_or(0, number));
        CoreTrace { shared: self.shared.clone(), core, age: u64::MAX }
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, kind: u8, body: &[u8]) {
        let mut buffer = self.locked();
        let before = buffer.len();
        if buffer.push(kind, body) {
            // What was dropped before may have been anything.
            self.age.fetch_add(1, Ordering::Relaxed);
        }
        let is_worth_it = before < WORTH_WRITING && buffer.len() >= WORTH_WRITING;
        drop(buffer);
        if is_worth_it && matches!(self.target, Target::Files { .. }) {
            self.wake.notify_one();
        }
    }
}

/// The records of one life of one core. A cheap handle; the driver has one, and so has what acts for it aside.
#[derive(Clone)]
pub(crate) struct CoreTrace {
    shared: Option<Arc<Shared>>,
    core: CoreNumber,
    /// The age of the recording in which this core was last shown.
    age: u64,
}

impl std::fmt::Debug for CoreTrace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreTrace").field("core", &self.core).finish_non_exhaustive()
    }
}

impl CoreTrace {
    /// Whether anything is recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether the core is to be shown before anything else is recorded of it.
    pub(crate) fn is_stale(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.age.load(Ordering::Relaxed) != self.age)
    }

    /// The core begins its life, or is shown.
    pub(crate) fn began(&mut self, life: impl FnOnce() -> Life) {
        let Some(shared) = &self.shared else { return };
        self.age = shared.age.load(Ordering::Relaxed);
        shared.push(kind::BEGAN, &encoded(&Began { core: self.core, life: life() }));
    }

    /// An input, before the core takes it.
    pub(crate) fn noted<I: Serialize>(&self, input: &I) -> Option<Vec<u8>> {
        self.is_on().then(|| encoded(input))
    }

    /// What came of it; `None` if it was refused.
    pub(crate) fn stepped<E: Serialize>(&self, noted: Option<Vec<u8>>, effects: Option<&[E]>) {
        let (Some(shared), Some(input)) = (&self.shared, noted) else { return };
        let outcome = effects.map_or(Outcome::Refused, |effects| Outcome::Took(digest(effects)));
        // The input is already encoded, and comes last.
        let mut body = encoded(&Step { core: self.core, outcome, input: () });
        body.extend_from_slice(&input);
        shared.push(kind::STEP, &body);
    }

    /// Something was done. `T` names the core's timers.
    pub(crate) fn act<T: Serialize>(&self, act: impl FnOnce() -> Act<T>) {
        let Some(shared) = &self.shared else { return };
        shared.push(kind::ACT, &encoded(&Acted { core: self.core, act: act() }));
    }

    /// Something was done that has nothing to do with timers.
    pub(crate) fn did(&self, act: impl FnOnce() -> Act<()>) {
        self.act(act);
    }

    /// The core's life has ended in order.
    pub(crate) fn ended(&self) {
        let Some(shared) = &self.shared else { return };
        shared.push(kind::ENDED, &encoded(&Ended { core: self.core }));
    }
}

/// The postcard bytes of a record's body.
pub(crate) fn encoded<T: Serialize>(body: &T) -> Vec<u8> {
    postcard::to_allocvec(body).expect("a record is a plain value, which always encodes")
}
