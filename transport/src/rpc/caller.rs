//! The asking side of calls.
//!
//! Leaves answering to [`super::Requests`].

use super::CALLS_MAX;
use crate::env::{Env, Instant, Task};
use crate::frame::Frame;
use crate::quic::{Channel, ReceiveError, Receiver, SendError, Sender};
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, oneshot};

/// Asks over one channel. A cheap handle; when the last one and all its calls are dropped the channel ends.
#[derive(Clone)]
pub struct Caller {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    sender: Sender,
    table: Arc<Mutex<Table>>,
    /// Closed when no more answers come; it has no permits.
    answers: Arc<Semaphore>,
    reader: Task,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The calls under way.
#[derive(Debug, Default)]
struct Table {
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Frame>>,
    /// Why no more answers come, once none do.
    ended: Option<Option<ReceiveError>>,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The call was certainly never acted upon: it was not sent.
    #[error("call was not sent")]
    NotSent(#[source] SendError),
    /// The call was not sent because the queue stayed full until its deadline, or too many calls are under way.
    #[error("call was not sent: the channel is congested")]
    Congested,
    /// No answer came in time. The outcome is unknown.
    #[error("no answer in time, outcome unknown")]
    TimedOut,
    /// The channel ended before the answer. The outcome is unknown.
    #[error("channel ended before the answer, outcome unknown")]
    Lost(#[source] Option<ReceiveError>),
}

impl CallError {
    /// True when the call may have been acted upon, or still may be.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::Congested => false,
            Self::TimedOut | Self::Lost(_) => true,
        }
    }
}

impl Caller {
    /// Asks over `channel`, which nobody else receives from.
    #[must_use]
    pub fn new(env: &Env, channel: Channel) -> Self {
        let (sender, receiver) = channel.split();
        let table = Arc::new(Mutex::new(Table::default()));
        let answers = Arc::new(Semaphore::new(0));
        let (reading, ending) = (Arc::clone(&table), Arc::clone(&answers));
        let reader = env.spawn("read answers", async move {
            read(receiver, reading).await;
            ending.close();
        });
        Self { inner: Arc::new(Inner { env: env.clone(), sender, table, answers, reader }) }
    }

    /// Asks, and awaits the answer for at most `timeout` from here.
    ///
    /// # Errors
    /// A [`CallError`], whose [`CallError::outcome_unknown`] tells whether the call may have been acted upon.
    pub async fn call(&self, frame: Frame, timeout: Duration) -> Result<Frame, CallError> {
        self.start(frame, timeout).await?.answer().await
    }

    /// Puts a call into the channel's queue and returns without its answer. Calls whose `start` returned in some order
    /// arrive in that order, so that many can be under way in an order that matters. The correlation of `frame` is
    /// replaced.
    ///
    /// # Errors
    /// [`CallError::NotSent`] or [`CallError::Congested`]: it certainly never arrives.
    pub async fn start(&self, mut frame: Frame, timeout: Duration) -> Result<PendingCall, CallError> {
        let inner = &self.inner;
        let deadline = inner.env.now() + timeout;
        let (correlation, answer) = enter(&inner.table)?;
        frame.correlation = correlation;
        // From here on the table is cleared when this is dropped, too.
        let pending = PendingCall { caller: self.clone(), correlation, deadline, answer };
        match inner.env.timeout_at(deadline, inner.sender.send(frame)).await {
            Ok(Ok(())) => Ok(pending),
            Ok(Err(error)) => Err(CallError::NotSent(error)),
            Err(_) => Err(CallError::Congested),
        }
    }

    /// Sends a frame that expects no answer.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn tell(&self, mut frame: Frame) -> Result<(), SendError> {
        frame.correlation = 0;
        self.inner.sender.send(frame).await
    }

    /// Sends what is queued, says that nothing follows, and waits until the peer has taken all of it and ends its side.
    pub async fn finish(&self) {
        self.inner.sender.end().await;
        // It is closed by then, and has no permits before.
        let _ = self.inner.answers.acquire().await;
    }

    /// The number of calls under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        locked(&self.inner.table).waiting.len()
    }

    /// Waits until no call can succeed any more.
    pub async fn closed(&self) {
        tokio::select! {
            biased;
            () = self.inner.sender.closed() => {}
            _ = self.inner.answers.acquire() => {}
        }
    }

    /// True when no call can succeed any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.sender.is_closed() || locked(&self.inner.table).ended.is_some()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("under_way", &self.under_way()).finish_non_exhaustive()
    }
}

/// A call that was sent. Dropping it forgets the answer, not the call.
pub struct PendingCall {
    caller: Caller,
    correlation: u64,
    deadline: Instant,
    answer: oneshot::Receiver<Frame>,
}

impl PendingCall {
    /// Awaits the answer until the deadline.
    ///
    /// # Errors
    /// [`CallError::TimedOut`] or [`CallError::Lost`]: the outcome is unknown.
    pub async fn answer(mut self) -> Result<Frame, CallError> {
        let env = self.caller.inner.env.clone();
        match env.timeout_at(self.deadline, &mut self.answer).await {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(_)) => Err(CallError::Lost(locked(&self.caller.inner.table).ended.clone().flatten())),
            Err(_) => Err(CallError::TimedOut),
        }
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        locked(&self.caller.inner.table).waiting.remove(&self.correlation);
    }
}

impl fmt::Debug for PendingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall").field("correlation", &self.correlation).finish_non_exhaustive()
    }
}

/// Enters one more call into the table.
fn enter(table: &Mutex<Table>) -> Result<(u64, oneshot::Receiver<Frame>), CallError> {
    let mut table = locked(table);
    if table.ended.is_some() {
        return Err(CallError::NotSent(SendError::Closed));
    }
    if table.waiting.len() >= CALLS_MAX {
        return Err(CallError::Congested);
    }
    table.last += 1;
    let correlation = table.last;
    let (sender, receiver) = oneshot::channel();
    table.waiting.insert(correlation, sender);
    Ok((correlation, receiver))
}

/// Hands each answer to its call until the channel ends; then every call under way is lost.
async fn read(mut receiver: Receiver, table: Arc<Mutex<Table>>) {
    let end = loop {
        match receiver.receive().await {
            Ok(Some(frame)) => {
                let waiting = locked(&table).waiting.remove(&frame.correlation);
                // An answer that comes after its deadline has nobody waiting.
                waiting.map(|waiting| waiting.send(frame));
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let mut table = locked(&table);
    table.ended = Some(end);
    table.waiting.clear();
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
