//! Kinds of operation that are told apart in a report.

use std::fmt::{self, Display, Formatter};

use jepsen_judge::history::{Acks, What};

/// What an operation does. Sends at different levels promise different things, and so take different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    SendAll,
    SendLeader,
    SendNone,
    Poll,
    LinearizableEnd,
    PlainEnd,
    Read,
    Write,
    CompareAndSet,
    Assign,
    Drained,
    Crash,
}

impl Action {
    /// That of an operation; none of a fault.
    pub(super) fn of(what: &What) -> Option<Self> {
        Some(match what {
            What::Send(send) => match send.acks {
                Acks::All => Self::SendAll,
                Acks::Leader => Self::SendLeader,
                Acks::None => Self::SendNone,
            },
            What::Poll(_) => Self::Poll,
            What::End(end) if end.linearizable => Self::LinearizableEnd,
            What::End(_) => Self::PlainEnd,
            What::Read(_) => Self::Read,
            What::Write(_) => Self::Write,
            What::CompareAndSet(_) => Self::CompareAndSet,
            What::Assign(_) => Self::Assign,
            What::Drained(_) => Self::Drained,
            What::Crash => Self::Crash,
            What::Fault(_) => return None,
        })
    }

    /// Whether the cluster is asked anything: what was read to its end a client notes by itself, and by itself it crashes.
    pub(super) fn asks_the_cluster(self) -> bool {
        !matches!(self, Self::Drained | Self::Crash)
    }

    /// Whether it leaves everything as it is.
    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Poll | Self::LinearizableEnd | Self::PlainEnd | Self::Read | Self::Assign)
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendAll => "send, acks=all",
            Self::SendLeader => "send, acks=1",
            Self::SendNone => "send, acks=0",
            Self::Poll => "poll",
            Self::LinearizableEnd => "end, linearizable",
            Self::PlainEnd => "end, plain",
            Self::Read => "read",
            Self::Write => "write",
            Self::CompareAndSet => "compare and set",
            Self::Assign => "assign",
            Self::Drained => "drained",
            Self::Crash => "crash",
        })
    }
}
