//! A value that many follow: who looks late sees the newest one, and may have missed others.
//!
//! As tokio's channel of that name, except that those who wait are woken in the order in which they came. Tokio's wakes
//! them in random order, which would make one seed many runs ([`crate::env::sim`]).

use core::fmt;
use core::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::Notify;

/// The last sender is gone, and its last value was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody will change the value any more")]
pub struct Closed;

/// Changes the value. Clones change the same one.
#[derive(Clone)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    _last: Arc<Last<T>>,
}

/// Follows the value. A clone has seen what its origin has.
#[derive(Clone)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The value, which cannot be changed meanwhile. Not to be held for long.
#[derive(Debug)]
pub struct Ref<'a, T> {
    state: RwLockReadGuard<'a, State<T>>,
}

struct Shared<T> {
    state: RwLock<State<T>>,
    changes: Notify,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    version: u64,
    is_closed: bool,
}

/// Dropped with the last sender.
struct Last<T>(Arc<Shared<T>>);

/// A value, and one who has seen it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let state = RwLock::new(State { value, version: 0, is_closed: false });
    let shared = Arc::new(Shared { state, changes: Notify::new() });
    let sender = Sender { shared: Arc::clone(&shared), _last: Arc::new(Last(Arc::clone(&shared))) };
    (sender, Receiver { shared, seen: 0 })
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// Puts a value in the place of the present one, which is given back.
    pub fn send_replace(&self, value: T) -> T {
        let mut former = value;
        self.send_modify(|present| core::mem::swap(present, &mut former));
        former
    }

    /// Changes the value.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Changes the value, and tells of it only if `change` says that it did.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let mut state = self.shared.write();
        let changed = change(&mut state.value);
        if changed {
            state.version += 1;
        }
        drop(state);
        if changed {
            self.shared.changes.notify_waiters();
        }
        changed
    }

    /// The present value.
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref { state: self.shared.read() }
    }

    /// One who follows from here on, and has seen the present value.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.shared.read().version;
        Receiver { shared: Arc::clone(&self.shared), seen }
    }
}

impl<T> Receiver<T> {
    /// The present value, which does not count as seen.
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref { state: self.shared.read() }
    }

    /// The present value, which counts as seen.
    #[must_use]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.read();
        self.seen = state.version;
        Ref { state }
    }

    /// Waits for a value that was not seen, which then counts as seen.
    ///
    /// # Errors
    /// [`Closed`] when none can come.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Taken before the look, so that a change after the look wakes it.
            let change = self.shared.changes.notified();
            {
                let state = self.shared.read();
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(());
                }
                if state.is_closed {
                    return Err(Closed);
                }
            }
            change.await;
        }
    }

    /// Waits for a value that is as wanted; the present one may be. It then counts as seen.
    ///
    /// # Errors
    /// [`Closed`] when the last one is not, and none can come.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        loop {
            // As above.
            let change = self.shared.changes.notified();
            {
                let state = self.shared.read();
                self.seen = state.version;
                if wanted(&state.value) {
                    return Ok(Ref { state });
                }
                if state.is_closed {
                    return Err(Closed);
                }
            }
            change.await;
        }
    }
}

impl<T> Drop for Last<T> {
    fn drop(&mut self) {
        self.0.write().is_closed = true;
        self.0.changes.notify_waiters();
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.borrow().state.value).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.borrow().state.value).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_came() {
        let (sender, receiver) = channel(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiting = (0..40).map(|number| {
            let (mut receiver, woken) = (receiver.clone(), Arc::clone(&woken));
            async move {
                receiver.changed().await.unwrap();
                woken.lock().unwrap().push(number);
            }
        });
        #[expect(clippy::disallowed_methods, reason = "a test of wake-ups needs tasks of its own")]
        let tasks: Vec<_> = waiting.map(tokio::spawn).collect();
        tokio::task::yield_now().await;
        sender.send_replace(1);
        for task in tasks {
            task.await.unwrap();
        }

        assert_eq!(*woken.lock().unwrap(), (0..40).collect::<Vec<u32>>());
    }

    #[tokio::test]
    async fn a_value_is_seen_once() {
        let (sender, mut receiver) = channel("old");
        assert_eq!(sender.send_replace("new"), "old");

        assert_eq!(*receiver.borrow(), "new");
        assert_eq!(receiver.changed().await, Ok(()));
        sender.send_modify(|value| *value = "newer");
        assert_eq!(*receiver.borrow_and_update(), "newer");
        assert!(!sender.send_if_modified(|_| false));
        drop(sender);

        assert_eq!(receiver.changed().await, Err(Closed));
    }

    #[tokio::test]
    async fn what_is_waited_for_may_be_there_and_may_never_come() {
        let (sender, mut receiver) = channel(3);

        assert_eq!(receiver.wait_for(|value| *value == 3).await.map(|value| *value), Ok(3));
        let subscribed = sender.subscribe();
        sender.clone().send_replace(4);
        drop(sender);

        assert_eq!(receiver.clone().wait_for(|value| *value == 4).await.map(|value| *value), Ok(4));
        assert_eq!(receiver.wait_for(|value| *value == 5).await.map(|value| *value), Err(Closed));
        assert_eq!(*subscribed.borrow(), 4);
    }
}
