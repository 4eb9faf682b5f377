//! What can go wrong between two endpoints, as typed errors.
//!
//! Whether to try again is left to the user of the connection.

use crate::frame::FrameError;
use crate::identity::{Expect, Principal, PrincipalError};
use std::io;
use std::net::SocketAddr;

/// Why an endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The socket could not be had.
    #[error("cannot bind UDP {address}")]
    Socket {
        /// Where it was to be bound.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A setting is out of its range.
    #[error("setting {0} is out of range")]
    Setting(&'static str),
    /// The identity cannot be used for TLS.
    #[error("identity cannot be used")]
    Tls(#[source] rustls::Error),
}

/// Why a connection could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint is closed, or the address cannot be dialled from it.
    #[error("cannot dial {address}: {reason}")]
    Undialable {
        /// The address.
        address: SocketAddr,
        /// What stands against it.
        reason: String,
    },
    /// Nobody answered in time.
    #[error("{0} did not answer in time")]
    TimedOut(SocketAddr),
    /// Somebody else answered.
    #[error("expected {expected} but {found} answered")]
    WrongPeer {
        /// Who should have answered.
        expected: Expect,
        /// Who did, by a verified certificate.
        found: Principal,
    },
    /// A verified certificate that names nobody.
    #[error("peer's certificate is not usable")]
    Nameless(#[source] PrincipalError),
    /// The peer's certificate did not pass, or TLS failed otherwise on this side.
    #[error("peer not verified: {0}")]
    Unverified(String),
    /// The peer did not admit us: our certificate did not pass there, or names nobody whom it serves.
    #[error("refused by peer: {0}")]
    Refused(String),
    /// The peer speaks another protocol or a version with nothing in common.
    #[error("peer does not speak version {} of this protocol", super::PROTOCOL_VERSION)]
    Protocol,
    /// The connection was lost while it was being made.
    #[error("connection lost while it was being made: {0}")]
    Lost(LossReason),
}

/// A connection is no more. What was sent on it may or may not have arrived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection to {peer} lost: {reason}")]
pub struct ConnectionLost {
    /// Whom it led to.
    pub peer: Principal,
    /// Why it is no more.
    pub reason: LossReason,
}

/// Why a connection is no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LossReason {
    /// Nothing was heard for the idle timeout: the peer is dead, stopped, or cut off.
    #[error("nothing heard for too long")]
    TimedOut,
    /// The peer does not know the connection: its process was started anew, or it had given the connection up.
    #[error("peer does not know the connection any more")]
    Forgotten,
    /// The peer closed it.
    #[error("closed by peer (code {code}): {reason}")]
    ClosedByPeer {
        /// The number of a [`super::CloseCode`].
        code: u64,
        /// What the peer said.
        reason: String,
    },
    /// This side closed it.
    #[error("closed here")]
    ClosedHere,
    /// QUIC or TLS failed.
    #[error("{0}")]
    Transport(String),
}

impl LossReason {
    pub(super) fn of(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::TimedOut => Self::TimedOut,
            quinn::ConnectionError::Reset => Self::Forgotten,
            quinn::ConnectionError::LocallyClosed => Self::ClosedHere,
            quinn::ConnectionError::ApplicationClosed(close) => Self::ClosedByPeer {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            other @ (quinn::ConnectionError::VersionMismatch
            | quinn::ConnectionError::TransportError(_)
            | quinn::ConnectionError::ConnectionClosed(_)
            | quinn::ConnectionError::CidsExhausted) => Self::Transport(other.to_string()),
        }
    }
}

/// Why a frame was not taken for sending. It certainly does not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The frame is over the limits.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The channel or its connection is closed.
    #[error("channel is closed")]
    Closed,
}

/// Why a frame was not taken for sending at once. It certainly does not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full; a later attempt may succeed.
    #[error("queue is full")]
    Full,
    /// Waiting would not help.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why no more frames come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The peer sent what is not a frame; the connection should be closed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The connection is no more.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
    /// The peer gave the channel up before its end.
    #[error("channel was reset by the peer")]
    Reset,
    /// The peer began a frame and did not go on with it; the channel is given up.
    #[error("the peer stopped within a frame")]
    Stalled,
}
