//! What can go wrong for a client, what is known about the outcome, and what to do next.

use std::time::Duration;

use highwater_model::api::ApiError;
use highwater_model::error_code::ErrorCode;
use highwater_transport::batch::Compression;

/// Whether an operation that was not confirmed may have taken effect all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It certainly had no effect and will have none.
    NotDone,
    /// It may have taken effect, or may still do so.
    Unknown,
}

/// Why a request of a client was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No broker could be reached.
    #[error("no broker could be reached at {servers}: {last}")]
    Unreachable {
        /// The addresses that were tried.
        servers: String,
        /// What the last of them came to.
        last: String,
    },
    /// There was no answer in time.
    #[error("{what} was not done within {} ms{}", .after.as_millis(), .last.as_ref().map(|last| format!(": {last}")).unwrap_or_default())]
    TimedOut {
        /// What was asked.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// The last thing that was heard about it.
        last: Option<String>,
        /// Whether it may have been done.
        outcome: Outcome,
    },
    /// The connection broke while the request was under way.
    #[error("the connection to {to} was lost: {cause}")]
    ConnectionLost {
        /// Who was asked.
        to: String,
        /// What happened to the connection.
        cause: String,
    },
    /// The cluster refused it.
    #[error("{0}")]
    Refused(ApiError),
    /// The answer was not one to this request.
    #[error("{from} answered something else than was asked: {what}")]
    UnexpectedAnswer {
        /// Who answered.
        from: String,
        /// What was expected.
        what: &'static str,
    },
    /// The certificates cannot be used.
    #[error("the certificates cannot be used: {0}")]
    Identity(String),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl ClientError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check the address (-b HOST:PORT), that a broker runs there, and that its certificates and yours have one root"
            }
            Self::TimedOut { outcome: Outcome::Unknown, .. } => {
                "it may have been done: look before you try again"
            }
            Self::TimedOut { .. } => "try again, or allow more time with --timeout",
            Self::ConnectionLost { .. } => "it may have been done: look before you try again",
            Self::Refused(error) => hint_of(error.code),
            Self::UnexpectedAnswer { .. } => "client and broker may be of different versions",
            Self::Identity(_) => {
                "name PEM files with --command-config: ssl.keystore.location and ssl.truststore.location"
            }
            Self::Closed => "make a new client",
        }
    }

    /// Kafka's code, if the cluster gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            Self::TimedOut { .. } => Some(ErrorCode::RequestTimedOut),
            Self::Unreachable { .. }
            | Self::ConnectionLost { .. }
            | Self::UnexpectedAnswer { .. }
            | Self::Identity(_)
            | Self::Closed => None,
        }
    }

    /// Whether nobody answered or not in time, as opposed to somebody answering no.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::ConnectionLost { .. } => true,
            // A broker says so whose controller did not answer in time.
            Self::Refused(error) => error.code == ErrorCode::RequestTimedOut,
            Self::UnexpectedAnswer { .. } | Self::Identity(_) | Self::Closed => false,
        }
    }

    /// Whether it may have been done all the same.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut { outcome, .. } => *outcome,
            Self::ConnectionLost { .. } | Self::UnexpectedAnswer { .. } => Outcome::Unknown,
            Self::Refused(error) if leaves_open(error.code) => Outcome::Unknown,
            Self::Refused(_) | Self::Unreachable { .. } | Self::Identity(_) | Self::Closed => {
                Outcome::NotDone
            }
        }
    }

    /// Whether the same request may succeed a little later, perhaps elsewhere.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused(error) => error.code.is_retriable(),
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::ConnectionLost { .. } => true,
            Self::UnexpectedAnswer { .. } | Self::Identity(_) | Self::Closed => false,
        }
    }
}

/// Whether the cluster's code says that the request may have been done all the same.
fn leaves_open(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::RequestTimedOut | ErrorCode::UnknownServerError)
}

/// What to do about an error code.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "a code without advice of its own gets the general one")]
pub fn hint_of(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
            "highwater topic list shows what there is; highwater topic create makes it"
        }
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            "start the missing brokers, or lower min.insync.replicas; highwater topic describe says who is missing and why"
        }
        ErrorCode::LeaderNotAvailable => {
            "highwater topic describe shows which replicas are missing; start their brokers"
        }
        ErrorCode::NotController | ErrorCode::RequestTimedOut => {
            "highwater quorum status shows whether a majority of the controllers runs"
        }
        ErrorCode::MessageTooLarge => "send smaller records, or raise max.message.bytes of the topic",
        ErrorCode::InvalidReplicationFactor => "highwater cluster status shows how many brokers run",
        ErrorCode::InvalidPartitions => "the number of partitions grows and never shrinks",
        ErrorCode::OffsetOutOfRange => {
            "consume --from beginning, or from an offset that topic describe shows"
        }
        ErrorCode::KafkaStorageError => {
            "look at the broker's log: its disk is full and needs room, or failed and needs a restart or a new disk"
        }
        ErrorCode::ThrottlingQuotaExceeded => "nothing was done; try again with fewer requests at once",
        ErrorCode::ClusterAuthorizationFailed | ErrorCode::TopicAuthorizationFailed => {
            "use a certificate that is allowed to do this"
        }
        ErrorCode::TopicAlreadyExists => "choose another name, or pass --if-not-exists",
        _ => "highwater cluster status shows the state of the cluster",
    }
}

/// Why a record was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// It was not acknowledged within `delivery.timeout.ms`.
    #[error("not acknowledged within {} ms; last: {last}", .after.as_millis())]
    TimedOut {
        /// How long it was tried.
        after: Duration,
        /// The last thing that was heard about it: what a broker said last, and what came of it since.
        last: String,
        /// The code that a broker gave last, if one did.
        code: Option<ErrorCode>,
        /// Whether it may have been written.
        outcome: Outcome,
    },
    /// The broker refused it for good.
    #[error("{error}")]
    Refused {
        /// What it said.
        error: ApiError,
        /// Whether an earlier attempt may have written it.
        outcome: Outcome,
    },
    /// It is larger than a batch may be.
    #[error("the record has {bytes} bytes, more than max.request.size allows ({bytes_max})")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// There was no room in the buffer for it.
    #[error("the buffer was full for {} ms", .after.as_millis())]
    BufferFull {
        /// How long it was waited for room.
        after: Duration,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: u32,
    },
    /// The topic could not be looked up.
    #[error(transparent)]
    Lookup(#[from] ClientError),
    /// The producer was closed before the record was sent.
    #[error("the producer is closed")]
    Closed {
        /// Whether it may have been written.
        outcome: Outcome,
    },
}

impl ProduceError {
    /// Whether the record may have been written all the same.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut { outcome, .. } | Self::Refused { outcome, .. } | Self::Closed { outcome } => {
                *outcome
            }
            Self::TooLarge { .. }
            | Self::BufferFull { .. }
            | Self::NoSuchPartition { .. }
            | Self::Lookup(_) => Outcome::NotDone,
        }
    }

    /// Kafka's code: the cluster's own, or the one that fits.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::TimedOut { code, .. } => Some(code.unwrap_or(ErrorCode::RequestTimedOut)),
            Self::Refused { error, .. } => Some(error.code),
            Self::TooLarge { .. } => Some(ErrorCode::MessageTooLarge),
            Self::BufferFull { .. } => Some(ErrorCode::RequestTimedOut),
            Self::NoSuchPartition { .. } => Some(ErrorCode::UnknownTopicOrPartition),
            Self::Lookup(error) => error.code(),
            Self::Closed { .. } => None,
        }
    }

    /// Whether it failed because nobody did it in time, as opposed to somebody refusing it.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::BufferFull { .. } => true,
            Self::Refused { error, .. } => error.code == ErrorCode::RequestTimedOut,
            Self::Lookup(error) => error.is_unreachable(),
            Self::TooLarge { .. } | Self::NoSuchPartition { .. } | Self::Closed { .. } => false,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TimedOut { outcome: Outcome::Unknown, .. } | Self::Closed { outcome: Outcome::Unknown } => {
                "the record may have been written: read the end of the topic before sending it again"
            }
            Self::TimedOut { .. } => "highwater topic describe shows the state of its partitions",
            Self::Refused { error, .. } => hint_of(error.code),
            Self::TooLarge { .. } => {
                "send smaller records, or raise max.request.size and the topic's max.message.bytes"
            }
            Self::BufferFull { .. } => "send more slowly, or raise buffer.memory",
            Self::NoSuchPartition { .. } => "highwater topic describe shows the partitions",
            Self::Lookup(error) => error.hint(),
            Self::Closed { .. } => "make a new producer",
        }
    }
}

/// Why nothing could be consumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The offset is outside the log.
    #[error("offset {offset} of {topic}-{partition} is outside the log: {message}")]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was asked for.
        offset: u64,
        /// What the broker said.
        message: String,
    },
    /// A batch is damaged.
    #[error("a batch of {topic}-{partition} at offset {offset} is damaged: {what}")]
    Corrupt {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Where it was to be read.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A batch is compressed.
    #[error(
        "a batch of {topic}-{partition} at offset {offset} is compressed ({codec:?}), which is not supported yet"
    )]
    Compressed {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Where it was to be read.
        offset: u64,
        /// How it is compressed.
        codec: Compression,
    },
    /// The cluster could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl ConsumeError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::OutOfRange { .. } => hint_of(ErrorCode::OffsetOutOfRange),
            Self::Corrupt { .. } => "highwater log dump checks a .log file of a broker, batch by batch",
            Self::Compressed { .. } => {
                "read on behind it, with a later offset; brokers take no such batch any more"
            }
            Self::Client(error) => error.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timed_out_record_says_whether_it_may_have_been_written() {
        let unknown = ProduceError::TimedOut {
            after: Duration::from_secs(1),
            last: "connection lost".to_owned(),
            code: None,
            outcome: Outcome::Unknown,
        };

        assert_eq!(unknown.outcome(), Outcome::Unknown);
        assert_eq!(unknown.to_string(), "not acknowledged within 1000 ms; last: connection lost");
        assert!(unknown.hint().contains("may have been written"));
    }

    #[test]
    fn a_refusal_that_leaves_the_outcome_open_is_not_taken_for_not_done() {
        let refused = |code| ClientError::Refused(ApiError::new(code, "why")).outcome();

        assert_eq!(refused(ErrorCode::RequestTimedOut), Outcome::Unknown);
        assert_eq!(refused(ErrorCode::UnknownServerError), Outcome::Unknown);
        assert_eq!(refused(ErrorCode::NotController), Outcome::NotDone);
    }

    #[test]
    fn every_code_has_something_to_do_next() {
        assert!(ErrorCode::ALL.iter().all(|code| !hint_of(*code).is_empty()));
    }
}
