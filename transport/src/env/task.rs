//! The tasks of a process: every future that it runs is known by name, and can be ended with it.
//!
//! Scheduling is left to tokio. A panic of a simulated process's task is reported to the simulation, which fails;
//! in a real process the panic hook of the binary decides.

use super::{Env, World, locked};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use tokio::task::{AbortHandle, JoinHandle};

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle on a running task. Dropping it leaves the task running.
#[derive(Debug)]
pub struct Task {
    handle: Option<JoinHandle<()>>,
}

impl Task {
    /// Ends the task at its next `await`; its values are dropped.
    pub fn abort(&self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }

    /// True when the task has returned, panicked, or been aborted and dropped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the task has returned, panicked, or been aborted and dropped.
    pub async fn finished(self) {
        if let Some(handle) = self.handle {
            // How it ended was reported where it ended.
            let _ = handle.await;
        }
    }
}

/// The live tasks of a process.
#[derive(Debug, Default)]
pub(super) struct TaskSet(Mutex<Live>);

#[derive(Debug, Default)]
struct Live {
    next: u64,
    ended: bool,
    tasks: BTreeMap<u64, Option<AbortHandle>>,
}

impl TaskSet {
    /// A place for one more task, unless the process has ended.
    fn reserve(&self) -> Option<u64> {
        let mut live = locked(&self.0);
        if live.ended {
            return None;
        }
        live.next += 1;
        let id = live.next;
        live.tasks.insert(id, None);
        Some(id)
    }

    /// Names the handle of a reserved place, unless the task is over already.
    fn started(&self, id: u64, handle: AbortHandle) {
        let mut live = locked(&self.0);
        if live.ended {
            handle.abort();
        } else if let Some(place) = live.tasks.get_mut(&id) {
            *place = Some(handle);
        }
    }

    fn over(&self, id: u64) {
        locked(&self.0).tasks.remove(&id);
    }

    /// Ends the process: aborts every task and admits no more. None of them is polled again, except the one that
    /// calls this, until its next `await`.
    pub(super) fn end(&self) {
        let mut live = locked(&self.0);
        live.ended = true;
        let tasks = core::mem::take(&mut live.tasks);
        drop(live);
        for handle in tasks.into_values().flatten() {
            handle.abort();
        }
    }
}

/// Starts a task of the process.
pub(super) fn spawn(env: &Env, name: &str, future: Boxed) -> Task {
    let Some(id) = env.inner.tasks.reserve() else { return Task { handle: None } };
    let member = Member { env: env.clone(), id, name: name.to_owned(), future };
    #[expect(clippy::disallowed_methods, reason = "this is where tasks are spawned")]
    let handle = tokio::spawn(member);
    env.inner.tasks.started(id, handle.abort_handle());
    Task { handle: Some(handle) }
}

/// A future as a member of its process's set.
struct Member {
    env: Env,
    id: u64,
    name: String,
    future: Boxed,
}

impl Future for Member {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let member = &mut *self;
        let World::Simulated(host) = &member.env.inner.world else {
            return member.future.as_mut().poll(context);
        };
        if host.is_paused(context.waker()) {
            return Poll::Pending;
        }
        // The future is dropped after a panic, never polled again.
        match catch_unwind(AssertUnwindSafe(|| member.future.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => {
                host.panicked(&member.name, message(panic.as_ref()));
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.env.inner.tasks.over(self.id);
    }
}

/// What a panic said, if it said anything in words.
fn message(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
