//! A connection to one proven peer, and the channels on it.
//!
//! What a channel carries is left to [`super::Channel`].

use super::budget::Budget;
use super::channel::Channel;
use super::error::{ConnectionLost, LossReason};
use super::settings::{Queue, Settings};
use super::{CloseCode, Lane, PROTOCOL_VERSION};
use crate::env::Env;
use crate::identity::Principal;
use core::fmt;
use core::time::Duration;
use quinn::VarInt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A connection to one peer. A cheap handle; the connection ends when it is closed by either side, when the peer falls
/// silent, or when all handles and channels are dropped.
#[derive(Clone)]
pub struct Connection {
    quinn: quinn::Connection,
    peer: Arc<Principal>,
    env: Env,
    settings: Arc<Settings>,
    /// What binds the requests that come; none where no requests do.
    budget: Option<Budget>,
}

impl Connection {
    pub(super) fn new(
        quinn: quinn::Connection,
        peer: Principal,
        env: &Env,
        settings: &Arc<Settings>,
        budget: Option<Budget>,
    ) -> Self {
        Self { quinn, peer: Arc::new(peer), env: env.clone(), settings: Arc::clone(settings), budget }
    }

    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    pub(super) fn frame_stall_max(&self) -> Duration {
        self.settings.frame_stall_max
    }

    pub(super) fn quinn(&self) -> &quinn::Connection {
        &self.quinn
    }

    /// Whom the peer has proven to be.
    #[must_use]
    pub fn peer(&self) -> &Principal {
        &self.peer
    }

    /// Where the peer's datagrams come from.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.quinn.remote_address()
    }

    /// The round trip time as estimated at present.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.quinn.rtt()
    }

    /// Opens a channel, which the peer gets from its [`Self::accept`].
    ///
    /// # Errors
    /// [`ConnectionLost`] when the connection is no more.
    pub async fn open(&self, lane: Lane) -> Result<Channel, ConnectionLost> {
        self.open_with(lane, self.settings.queue).await
    }

    /// As [`Self::open`], with a queue of its own size.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(&self, lane: Lane, queue: Queue) -> Result<Channel, ConnectionLost> {
        let (mut send, receive) = self.quinn.open_bi().await.map_err(|error| self.lost(error))?;
        // A stream that was closed already shows at the write.
        let _ = send.set_priority(lane.priority());
        let opening = [PROTOCOL_VERSION, lane.code()];
        send.write_all(&opening).await.map_err(|_| self.loss())?;
        Ok(Channel::start(
            self,
            (lane, queue),
            (self.settings.frame_limits, self.settings.answer_limits),
            send,
            receive,
        ))
    }

    /// The next channel that the peer opened. Call it from one task, which does nothing else: it completes as soon as
    /// a channel's first bytes are there.
    ///
    /// # Errors
    /// [`ConnectionLost`] when the connection is no more, which it also is after a peer that spoke another protocol.
    pub async fn accept(&self) -> Result<Channel, ConnectionLost> {
        let (send, mut receive) = self.quinn.accept_bi().await.map_err(|error| self.lost(error))?;
        let mut opening = [0; 2];
        // Who opens a channel sends these bytes with it; who does not is no peer of ours.
        let limit = self.settings.connect_timeout;
        let read = self.env.timeout(limit, receive.read_exact(&mut opening)).await;
        let [version, code] = opening;
        match Lane::from_code(code) {
            Some(lane) if matches!(read, Ok(Ok(()))) && version == PROTOCOL_VERSION => {
                // As above.
                let _ = send.set_priority(lane.priority());
                Ok(Channel::start(
                    self,
                    (lane, self.settings.queue),
                    (self.settings.answer_limits, self.settings.frame_limits),
                    send,
                    receive,
                ))
            }
            _ => {
                self.close(CloseCode::Protocol, "unknown channel");
                Err(self.loss())
            }
        }
    }

    /// Waits until the connection is no more, and tells why.
    pub async fn closed(&self) -> ConnectionLost {
        let error = self.quinn.closed().await;
        self.lost(error)
    }

    /// True when the connection is no more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.quinn.close_reason().is_some()
    }

    /// Closes the connection at once; what is still queued is not sent.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.quinn.close(VarInt::from_u32(code.number()), reason.as_bytes());
    }

    pub(super) fn env(&self) -> &Env {
        &self.env
    }

    pub(super) fn lost(&self, error: quinn::ConnectionError) -> ConnectionLost {
        ConnectionLost { peer: (*self.peer).clone(), reason: LossReason::of(error) }
    }

    /// Why the connection is no more, where that is known to be so.
    pub(super) fn loss(&self) -> ConnectionLost {
        self.lost(self.quinn.close_reason().unwrap_or(quinn::ConnectionError::LocallyClosed))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("remote_address", &self.quinn.remote_address())
            .finish_non_exhaustive()
    }
}
