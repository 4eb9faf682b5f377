//! Endpoints that connect processes over QUIC with mutual TLS.
//!
//! [`Endpoint`] dials and accepts, [`Connection`] is one proven peer, [`Channel`] one long-lived stream of frames. What
//! the frames say is left to their users, calls with answers to [`crate::rpc`].

mod budget;
mod channel;
mod connection;
mod endpoint;
mod error;
mod settings;
mod socket;
mod tls;

use core::fmt;

pub use budget::Room;
pub use channel::{Channel, Receiver, Sender};
pub use connection::Connection;
pub use endpoint::Endpoint;
pub use error::{BindError, ConnectError, ConnectionLost, LossReason, ReceiveError, SendError, TrySendError};
pub use settings::{Queue, Settings};

pub(crate) use tls::provider;

/// The version of the protocol between two transports: of the hello and of the frame header.
pub const PROTOCOL_VERSION: u8 = 1;

/// What a channel is for; it decides which of a connection's streams is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Votes, metadata, heartbeats: small, and never behind megabytes of the other lane.
    Control,
    /// Records.
    Data,
}

impl Lane {
    /// The byte that opens a stream of this lane.
    const fn code(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Data => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Control),
            2 => Some(Self::Data),
            _ => None,
        }
    }

    /// The priority of its streams; the higher is sent first.
    const fn priority(self) -> i32 {
        match self {
            Self::Control => 1,
            Self::Data => 0,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Data => "data",
        })
    }
}

/// Why one side closes a connection, as the other side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// It is no longer needed, or the process ends in good order.
    Done,
    /// The certificate names nobody who may connect.
    NotAdmitted,
    /// The peer does not speak this protocol, or a frame of it was malformed.
    Protocol,
}

impl CloseCode {
    const fn number(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::NotAdmitted => 1,
            Self::Protocol => 2,
        }
    }
}

#[cfg(test)]
mod tests;
