//! The future of an operation that has been issued.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

use tokio::sync::oneshot;

use super::Fault;

/// What becomes of an operation. Dropping it does not undo the operation.
#[derive(Debug)]
#[must_use = "an operation is only known to be done when its completion says so"]
pub struct Completion<T> {
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Done(Option<Result<T, Fault>>),
    Waiting(oneshot::Receiver<Result<T, Fault>>),
    Then(oneshot::Receiver<Result<(), Fault>>, Option<T>),
}

impl<T> Completion<T> {
    /// Already known.
    pub fn done(result: Result<T, Fault>) -> Self {
        Self { state: State::Done(Some(result)) }
    }

    /// To be completed by the other half. When that is dropped, the completion gives [`Fault::Gone`].
    pub fn pending() -> (Completer<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (Completer { sender }, Self { state: State::Waiting(receiver) })
    }

    /// The outcome if it is known by now, else the completion back.
    ///
    /// # Errors
    /// The completion itself, to be awaited.
    pub fn now(mut self) -> Result<Result<T, Fault>, Self> {
        match &mut self.state {
            State::Done(result) => result.take().ok_or(self),
            State::Waiting(receiver) => match receiver.try_recv() {
                Ok(result) => Ok(result),
                Err(oneshot::error::TryRecvError::Closed) => Ok(Err(Fault::Gone)),
                Err(oneshot::error::TryRecvError::Empty) => Err(self),
            },
            State::Then(receiver, value) => match receiver.try_recv() {
                Ok(result) => Ok(result.and_then(|()| value.take().ok_or(Fault::Gone))),
                Err(oneshot::error::TryRecvError::Closed) => Ok(Err(Fault::Gone)),
                Err(oneshot::error::TryRecvError::Empty) => Err(self),
            },
        }
    }
}

impl<T: Unpin> Completion<T> {
    /// Blocks the thread until the outcome is known: for what must be durable before a call returns. Another thread
    /// must be there to complete it.
    ///
    /// # Errors
    /// The operation's.
    pub fn wait(mut self) -> Result<T, Fault> {
        let waker = Arc::new(Unparker(std::thread::current())).into();
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = Pin::new(&mut self).poll(&mut context) {
                return result;
            }
            std::thread::park();
        }
    }
}

/// Wakes a thread that waits.
struct Unparker(std::thread::Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Completion<()> {
    /// Completes as this one does, with a value.
    pub fn with<T>(self, value: T) -> Completion<T> {
        let state = match self.state {
            State::Done(result) => State::Done(result.map(|result| result.map(|()| value))),
            State::Waiting(receiver) | State::Then(receiver, _) => State::Then(receiver, Some(value)),
        };
        Completion { state }
    }
}

impl<T: Unpin> Future for Completion<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Done(result) => {
                Poll::Ready(result.take().expect("a completion is not polled after its end"))
            }
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|received| received.unwrap_or(Err(Fault::Gone)))
            }
            State::Then(receiver, value) => Pin::new(receiver).poll(context).map(|received| {
                received.unwrap_or(Err(Fault::Gone)).and_then(|()| value.take().ok_or(Fault::Gone))
            }),
        }
    }
}

/// The half that completes an operation.
#[derive(Debug)]
pub struct Completer<T> {
    sender: oneshot::Sender<Result<T, Fault>>,
}

impl<T> Completer<T> {
    /// Tells whoever waits, if anybody does.
    pub fn complete(self, result: Result<T, Fault>) {
        drop(self.sender.send(result));
    }
}
