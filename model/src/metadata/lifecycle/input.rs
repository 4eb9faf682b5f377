//! What a broker's lifecycle is told and what it wants done.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::super::{Command, CommandRefusal, DirectoryFacts, Heartbeat, Outcome, Registration};
use crate::error_code::ErrorCode;
use crate::id::{BrokerEpoch, DirectoryId, IncarnationId, NodeId, Offset, RequestId};

/// What is fixed for one run of a broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LifecycleTenure {
    /// Its id.
    pub node: NodeId,
    /// This run.
    pub incarnation: IncarnationId,
    /// `host:port` of its QUIC listener.
    pub address: String,
    /// What its log directories were found to be when it started (R60).
    pub directories: Vec<DirectoryFacts>,
}

/// A timer of a broker's lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LifecycleTimer {
    /// The next heartbeat or registration is due (`broker.heartbeat.interval.ms`); also ends the wait for an answer.
    Heartbeat,
}

/// What a broker asks of the active controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BrokerRequest {
    /// See [`Registration`].
    Register(Registration),
    /// See [`Heartbeat`].
    Heartbeat(Heartbeat),
}

/// What the active controller answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BrokerAnswer {
    /// Registered under this epoch.
    Registered {
        /// The registration.
        broker_epoch: BrokerEpoch,
    },
    /// The heartbeat counted.
    Heartbeat {
        /// Whether the broker is fenced.
        fenced: bool,
        /// Whether it may stop (Q56).
        may_stop: bool,
    },
    /// Not registered: this is the registration that a new one must replace.
    RegistrationMoved {
        /// The current registration, if there is one.
        registered: Option<BrokerEpoch>,
    },
    /// Not done.
    Refused(ErrorCode),
}

impl BrokerRequest {
    /// The command that the active controller is asked to decide.
    #[must_use]
    pub fn into_command(self) -> Command {
        match self {
            Self::Register(registration) => Command::RegisterBroker(registration),
            Self::Heartbeat(heartbeat) => Command::Heartbeat(heartbeat),
        }
    }
}

impl BrokerAnswer {
    /// What the controller's answer to a [`BrokerRequest`] is to a lifecycle. One to something else is no answer that it
    /// could use: `UNKNOWN_SERVER_ERROR`.
    #[must_use]
    pub fn of(answer: &Result<Outcome, CommandRefusal>) -> Self {
        match answer {
            Ok(Outcome::Registered { broker_epoch }) => Self::Registered { broker_epoch: *broker_epoch },
            Ok(Outcome::Heartbeat { fenced, may_stop }) => {
                Self::Heartbeat { fenced: *fenced, may_stop: *may_stop }
            }
            Ok(
                Outcome::PartitionAltered(_)
                | Outcome::TopicCreated { .. }
                | Outcome::ConfigsAltered { .. }
                | Outcome::ProducerIds { .. }
                | Outcome::LeaderElected { .. }
                | Outcome::Done,
            ) => Self::Refused(ErrorCode::UnknownServerError),
            Err(CommandRefusal::RegistrationMoved { registered, .. }) => {
                Self::RegistrationMoved { registered: *registered }
            }
            Err(refusal) => Self::Refused(refusal.code()),
        }
    }
}

/// A fact for a broker's lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LifecycleInput {
    /// The process is ready to register: its logs are recovered.
    Started,
    /// The active controller answered.
    Answered {
        /// Which request it answers.
        request: RequestId,
        /// The answer.
        answer: BrokerAnswer,
    },
    /// The broker has applied the metadata up to this offset, exclusive.
    Applied {
        /// End of the metadata, exclusive.
        metadata_offset: Offset,
    },
    /// A log directory failed.
    DirectoryFailed(DirectoryId),
    /// The operator wants the broker to stop.
    StopAsked,
    /// A timer ran out.
    Expired(LifecycleTimer),
}

/// Something that the driver must do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum LifecycleEffect {
    /// Send this to the active controller; an older request that is still open may be given up.
    Send {
        /// Names the request; the answer must carry it.
        request: RequestId,
        /// What to send.
        body: BrokerRequest,
    },
    /// Start or restart a timer.
    Arm(LifecycleTimer),
    /// The broker is registered: its requests carry this epoch from here on, and its start-up record must be written
    /// with it (R60).
    Registered {
        /// The registration.
        broker_epoch: BrokerEpoch,
    },
    /// The broker's standing changed: fenced brokers lead nothing.
    Fenced(bool),
    /// The broker may stop: write clean-stop markers with this epoch and exit (Q56, R60).
    MayStop {
        /// The registration that ends; `None` when there is none, and nothing to mark.
        broker_epoch: Option<BrokerEpoch>,
    },
}

/// An input came where it does not belong; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LifecycleRefusal {
    /// An answer to a request that is not open.
    NotAsked {
        /// The request that it answers.
        request: RequestId,
    },
    /// The broker has been told that it may stop.
    Stopped,
}
