//! The answering side of calls.
//!
//! Leaves asking to [`super::Caller`], and how many requests are worked on at a time to the server.

use crate::frame::{Frame, FrameLimits};
use crate::quic::{Channel, ReceiveError, Receiver, Room, SendError, Sender};

/// The requests that come over one channel.
#[derive(Debug)]
pub struct Requests {
    receiver: Receiver,
    sender: Sender,
}

impl Requests {
    /// Serves `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let (sender, receiver) = channel.split();
        Self { receiver, sender }
    }

    /// The next request in the order of arrival, or none when the peer ended the channel. A server that does not come
    /// back for more makes the peer wait.
    ///
    /// # Errors
    /// [`ReceiveError`] when no more can come.
    pub async fn next(&mut self) -> Result<Option<Request>, ReceiveError> {
        let Some((frame, room)) = self.receiver.receive_held().await? else { return Ok(None) };
        let responder =
            Responder { sender: self.sender.clone(), kind: frame.kind, correlation: frame.correlation };
        Ok(Some(Request { frame, responder, room }))
    }
}

/// One request and the means to answer it.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub frame: Frame,
    /// Answers it, here or later from anywhere.
    pub responder: Responder,
    /// What it takes of its connection's room for requests; to be kept as long as it is worked on.
    pub room: Option<Room>,
}

/// Answers one request, once. Dropped without an answer it leaves the caller to its deadline.
#[derive(Debug)]
pub struct Responder {
    sender: Sender,
    kind: u16,
    correlation: u64,
}

impl Responder {
    /// True when the peer awaits an answer.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.correlation != 0
    }

    /// The kind of the request, which is that of its answer too.
    #[must_use]
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// The largest answers that can be sent; a larger one is not, and the caller is left to its deadline.
    #[must_use]
    pub fn limits(&self) -> FrameLimits {
        self.sender.limits()
    }

    /// Sends the answer, whose kind and correlation are set here; waits while the channel's queue is full. A frame that
    /// expects no answer gets none.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn answer(self, mut frame: Frame) -> Result<(), SendError> {
        if !self.is_expected() {
            return Ok(());
        }
        frame.kind = self.kind;
        frame.correlation = self.correlation;
        self.sender.send(frame).await
    }
}
