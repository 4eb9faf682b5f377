//! How many bytes of requests are held at a time: of one connection, and of all clients together.
//!
//! Room is taken when a frame's header is read, before its content is gathered, and given back when whoever works on the
//! frame drops it. A peer whose room is used up is not read from until then, which its flow control makes it feel.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes, and how many of them are free.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    room: Arc<Semaphore>,
    bytes_max: u32,
}

impl Bound {
    pub(super) fn new(bytes_max: u32) -> Self {
        let room = Arc::new(Semaphore::new(usize::try_from(bytes_max).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { room, bytes_max }
    }

    /// What is larger than all of it takes all of it.
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes_max);
        Arc::clone(&self.room).acquire_many_owned(bytes).await.ok()
    }
}

/// What binds the requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    own: Bound,
    /// Shared with other connections. Brokers have none, so that no client keeps them waiting.
    shared: Option<Bound>,
}

impl Budget {
    pub(super) fn new(own: Bound, shared: Option<Bound>) -> Self {
        Self { own, shared }
    }

    /// Waits until there is room for a frame. What was taken so far is given back when this is dropped.
    pub(super) async fn take(&self, bytes: usize) -> Room {
        let own = self.own.take(bytes).await;
        let shared = match &self.shared {
            Some(shared) => shared.take(bytes).await,
            None => None,
        };
        Room { _own: own, _shared: shared }
    }
}

/// The room that a frame takes; given back when dropped.
#[derive(Debug)]
pub struct Room {
    _own: Option<OwnedSemaphorePermit>,
    _shared: Option<OwnedSemaphorePermit>,
}
