//! A long-lived stream of frames in both directions, with a bounded queue towards the peer.
//!
//! Frames of one channel arrive in the order in which they were taken for sending, each once or, when the connection
//! is lost, not at all. What they mean is left to their users.

use super::budget::Room;
use super::connection::Connection;
use super::error::{ReceiveError, SendError, TrySendError};
use super::{ConnectionLost, Lane, Queue};
use crate::env::Instant;
use crate::frame::{Decoder, Encoder, Frame, FrameLimits};
use bytes::Bytes;
use core::fmt;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError as QueueError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The most frames written in one go.
const WRITE_FRAMES_MAX: usize = 64;

/// The most pieces of the stream read in one go.
const READ_PIECES_MAX: usize = 32;

/// So much of a frame, or its rest, comes within [`Settings::frame_stall_max`](super::Settings::frame_stall_max).
const PACE_BYTES: usize = 256 << 10;

/// Both ends of a channel.
#[derive(Debug)]
pub struct Channel {
    lane: Lane,
    sender: Sender,
    receiver: Receiver,
}

impl Channel {
    pub(super) fn start(
        connection: &Connection,
        (lane, queue): (Lane, Queue),
        (outward, inward): (FrameLimits, FrameLimits),
        send: quinn::SendStream,
        receive: quinn::RecvStream,
    ) -> Self {
        let (frames, queued) = mpsc::channel(queue.frames_max);
        let writer = Writer { queued, stream: send, limits: outward };
        connection.env().spawn("write frames", writer.run());
        let sender = Sender {
            queue: frames,
            limits: outward,
            bytes: Arc::new(Semaphore::new(queue.bytes_max as usize)),
            bytes_max: queue.bytes_max,
        };
        let receiver = Receiver {
            connection: connection.clone(),
            stream: receive,
            decoder: Decoder::new(inward),
            ready: None,
            room: None,
            pace: None,
            has_stalled: false,
            pieces: vec![Bytes::new(); READ_PIECES_MAX],
        };
        Self { lane, sender, receiver }
    }

    /// What the channel is for.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The connection that it is part of.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.receiver.connection
    }

    /// A handle to send with.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn send(&self, frame: Frame) -> Result<(), SendError> {
        self.sender.send(frame).await
    }

    /// As [`Receiver::receive`].
    ///
    /// # Errors
    /// As [`Receiver::receive`].
    pub async fn receive(&mut self) -> Result<Option<Frame>, ReceiveError> {
        self.receiver.receive().await
    }

    /// The two ends apart. The direction towards the peer ends, after all that was queued, when the last [`Sender`] is
    /// dropped; the other is given up when the [`Receiver`] is.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

/// The end of a channel that sends. A cheap handle.
#[derive(Clone)]
pub struct Sender {
    queue: mpsc::Sender<Queued>,
    limits: FrameLimits,
    bytes: Arc<Semaphore>,
    bytes_max: u32,
}

/// What is in the queue.
#[derive(Debug)]
enum Queued {
    /// A frame, and the room that it takes there.
    Frame { frame: Frame, _room: OwnedSemaphorePermit },
    /// Nothing follows.
    End,
}

impl Sender {
    /// Puts a frame into the queue; waits while the queue is full, which is how a slow peer is felt. When this is
    /// dropped before it returns, the frame is not sent.
    ///
    /// # Errors
    /// [`SendError`] when the frame is over the limits or the channel is closed. That it was taken does not mean that
    /// it arrives.
    pub async fn send(&self, frame: Frame) -> Result<(), SendError> {
        self.limits.check_frame(&frame)?;
        let room = Arc::clone(&self.bytes).acquire_many_owned(self.room(&frame));
        let room = tokio::select! {
            biased;
            () = self.queue.closed() => return Err(SendError::Closed),
            room = room => room.map_err(|_| SendError::Closed)?,
        };
        self.queue.send(Queued::Frame { frame, _room: room }).await.map_err(|_| SendError::Closed)
    }

    /// Puts a frame into the queue if there is room.
    ///
    /// # Errors
    /// [`TrySendError::Full`] when there is none, otherwise as [`Self::send`].
    pub fn try_send(&self, frame: Frame) -> Result<(), TrySendError> {
        self.limits.check_frame(&frame).map_err(SendError::from)?;
        if self.queue.is_closed() {
            return Err(SendError::Closed.into());
        }
        let room = Arc::clone(&self.bytes).try_acquire_many_owned(self.room(&frame));
        let room = room.map_err(|_| TrySendError::Full)?;
        self.queue.try_send(Queued::Frame { frame, _room: room }).map_err(|error| match error {
            QueueError::Full(_) => TrySendError::Full,
            QueueError::Closed(_) => SendError::Closed.into(),
        })
    }

    /// Ends the direction towards the peer after all that is queued, whoever else still has a handle. The peer then ends
    /// its own when it has answered what it has to answer.
    pub async fn end(&self) {
        // A channel that is closed already has its end.
        let _ = self.queue.send(Queued::End).await;
    }

    /// Waits until nothing can be sent any more: the connection is lost or the peer gave the channel up.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }

    /// True when nothing can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// The largest frames that can be sent.
    #[must_use]
    pub fn limits(&self) -> FrameLimits {
        self.limits
    }

    fn room(&self, frame: &Frame) -> u32 {
        u32::try_from(frame.content_bytes()).unwrap_or(u32::MAX).min(self.bytes_max)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// The end of a channel that receives.
pub struct Receiver {
    connection: Connection,
    stream: quinn::RecvStream,
    decoder: Decoder,
    /// A whole frame that waits for room.
    ready: Option<Frame>,
    /// The room of the frame that is being read.
    room: Option<Room>,
    /// By when more of that frame must have come.
    pace: Option<Pace>,
    has_stalled: bool,
    pieces: Vec<Bytes>,
}

/// How much of a frame must come by when, so that nobody holds room for a trickle.
#[derive(Clone, Copy, Debug)]
struct Pace {
    until: Instant,
    bytes_left: usize,
}

impl Receiver {
    /// The connection that it is part of.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The next frame, or none when the peer ended the channel in good order. Nothing is lost when this is dropped
    /// before it returns.
    ///
    /// # Errors
    /// [`ReceiveError`] when no more frames can come; called again it says the same.
    pub async fn receive(&mut self) -> Result<Option<Frame>, ReceiveError> {
        Ok(self.receive_held().await?.map(|(frame, _)| frame))
    }

    /// As [`Self::receive`], with the room that the frame takes as long as it is worked on. There is none on a channel that
    /// was opened here.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn receive_held(&mut self) -> Result<Option<(Frame, Option<Room>)>, ReceiveError> {
        loop {
            if self.ready.is_none() {
                self.ready = self.decoder.next_frame()?;
            }
            let length =
                self.ready.as_ref().map(Frame::content_bytes).or_else(|| self.decoder.content_bytes());
            self.take_room(length).await;
            if let Some(frame) = self.ready.take() {
                self.pace = None;
                return Ok(Some((frame, self.room.take())));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Takes room for a frame of this length, unless it has it.
    async fn take_room(&mut self, length: Option<usize>) {
        if let (Some(length), Some(budget), None) = (length, self.connection.budget(), &self.room) {
            self.room = Some(budget.take(length).await);
        }
    }

    /// Reads what came next; false at the end of the channel.
    async fn read(&mut self) -> Result<bool, ReceiveError> {
        if self.has_stalled {
            return Err(ReceiveError::Stalled);
        }
        let env = self.connection.env();
        // Who holds room must go on.
        if self.room.is_some() && self.pace.is_none() {
            let until = env.now() + self.connection.frame_stall_max();
            self.pace = Some(Pace { until, bytes_left: PACE_BYTES });
        }
        let reading = self.stream.read_chunks(&mut self.pieces);
        let read = match &self.pace {
            Some(pace) => env.timeout_at(pace.until, reading).await,
            None => Ok(reading.await),
        };
        let Ok(read) = read else {
            self.has_stalled = true;
            self.room = None;
            return Err(ReceiveError::Stalled);
        };
        match read {
            Ok(Some(count)) => {
                let mut bytes = 0;
                for piece in self.pieces.iter_mut().take(count) {
                    bytes += piece.len();
                    self.decoder.push(core::mem::take(piece));
                }
                self.pace = self.pace.filter(|pace| pace.bytes_left > bytes);
                if let Some(pace) = &mut self.pace {
                    pace.bytes_left -= bytes;
                }
                Ok(true)
            }
            Ok(None) => self.decoder.finish().map(|()| false).map_err(ReceiveError::from),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, error: quinn::ReadError) -> ReceiveError {
        match error {
            quinn::ReadError::ConnectionLost(error) => self.connection.lost(error).into(),
            quinn::ReadError::Reset(_) => ReceiveError::Reset,
            quinn::ReadError::ClosedStream
            | quinn::ReadError::IllegalOrderedRead
            | quinn::ReadError::ZeroRttRejected => {
                let loss: ConnectionLost = self.connection.loss();
                loss.into()
            }
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// The task that writes a channel's queue to its stream.
struct Writer {
    queued: mpsc::Receiver<Queued>,
    stream: quinn::SendStream,
    limits: FrameLimits,
}

impl Writer {
    async fn run(mut self) {
        let mut encoder = Encoder::default();
        let mut batch = Vec::with_capacity(WRITE_FRAMES_MAX);
        let stopped = self.stream.stopped();
        tokio::pin!(stopped);
        loop {
            let count = tokio::select! {
                biased;
                _ = &mut stopped => return,
                count = self.queued.recv_many(&mut batch, WRITE_FRAMES_MAX) => count,
            };
            // With no senders left there is nothing more to come either.
            let mut is_end = count == 0;
            for queued in &batch {
                match queued {
                    Queued::Frame { frame, .. } if !is_end => {
                        encoder.push(frame, &self.limits).expect("frames are checked before they are queued");
                    }
                    Queued::Frame { .. } => {}
                    Queued::End => is_end = true,
                }
            }
            let mut chunks = encoder.take();
            let written = self.stream.write_all_chunks(&mut chunks).await;
            batch.clear();
            if written.is_err() {
                return;
            }
            if is_end {
                self.queued.close();
                // What was queued is written. The stream keeps the connection open until the peer has it.
                if self.stream.finish().is_ok() {
                    let _ = stopped.await;
                }
                return;
            }
        }
    }
}
