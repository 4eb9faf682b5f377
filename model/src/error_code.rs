//! Kafka's error codes, as far as Highwater answers with them.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Declares the codes: variant, number, Kafka's name, whether a client may retry, and what it means.
macro_rules! error_codes {
    ($($variant:ident, $code:literal, $name:literal, $retriable:literal, $what:literal;)*) => {
        /// An error as a client is told it, with Kafka's number and name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $what] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Kafka's number.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// Kafka's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether the same request may succeed later, perhaps elsewhere.
            #[must_use]
            pub const fn is_retriable(self) -> bool {
                match self { $(Self::$variant => $retriable,)* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }
        }
    };
}

error_codes! {
    UnknownServerError, -1, "UNKNOWN_SERVER_ERROR", false, "the broker met an error that it has no name for";
    OffsetOutOfRange, 1, "OFFSET_OUT_OF_RANGE", false, "the offset is outside the log";
    CorruptMessage, 2, "CORRUPT_MESSAGE", true, "the record batch is malformed or its checksum is wrong";
    UnknownTopicOrPartition, 3, "UNKNOWN_TOPIC_OR_PARTITION", true, "this broker does not host that topic or partition";
    LeaderNotAvailable, 5, "LEADER_NOT_AVAILABLE", true, "the partition has no leader";
    NotLeaderOrFollower, 6, "NOT_LEADER_OR_FOLLOWER", true, "this broker does not lead the partition";
    RequestTimedOut, 7, "REQUEST_TIMED_OUT", true, "the request was not done in time; it may still take effect";
    BrokerNotAvailable, 8, "BROKER_NOT_AVAILABLE", false, "the broker is not available";
    MessageTooLarge, 10, "MESSAGE_TOO_LARGE", false, "the record batch is larger than max.message.bytes";
    InvalidTopicException, 17, "INVALID_TOPIC_EXCEPTION", false, "the topic name is not legal";
    NotEnoughReplicas, 19, "NOT_ENOUGH_REPLICAS", true, "fewer replicas are in sync than min.insync.replicas; nothing was written";
    NotEnoughReplicasAfterAppend, 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true, "the records were written, but fewer replicas are in sync than min.insync.replicas";
    TopicAuthorizationFailed, 29, "TOPIC_AUTHORIZATION_FAILED", false, "the client may not use that topic";
    ClusterAuthorizationFailed, 31, "CLUSTER_AUTHORIZATION_FAILED", false, "only brokers may call this";
    UnsupportedVersion, 35, "UNSUPPORTED_VERSION", false, "this version of the request is not supported";
    TopicAlreadyExists, 36, "TOPIC_ALREADY_EXISTS", false, "a topic of that name exists";
    InvalidPartitions, 37, "INVALID_PARTITIONS", false, "the number of partitions is not legal";
    InvalidReplicationFactor, 38, "INVALID_REPLICATION_FACTOR", false, "the replication factor is not legal";
    InvalidReplicaAssignment, 39, "INVALID_REPLICA_ASSIGNMENT", false, "the replica assignment is not legal";
    InvalidConfig, 40, "INVALID_CONFIG", false, "the configuration is not legal";
    NotController, 41, "NOT_CONTROLLER", true, "this node is not the active controller";
    InvalidRequest, 42, "INVALID_REQUEST", false, "the request is not well formed";
    OutOfOrderSequence, 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", false, "the batch does not follow the producer's last one";
    DuplicateSequence, 46, "DUPLICATE_SEQUENCE_NUMBER", false, "the batch was written before, too long ago to say where";
    InvalidProducerEpoch, 47, "INVALID_PRODUCER_EPOCH", false, "the producer has been fenced by a newer one";
    KafkaStorageError, 56, "KAFKA_STORAGE_ERROR", true, "the log directory is offline or full; nothing was written";
    UnknownProducerId, 59, "UNKNOWN_PRODUCER_ID", false, "the broker knows nothing of that producer";
    FencedLeaderEpoch, 74, "FENCED_LEADER_EPOCH", true, "the leader epoch is older than the broker's";
    UnknownLeaderEpoch, 75, "UNKNOWN_LEADER_EPOCH", true, "the leader epoch is newer than the broker's";
    UnsupportedCompressionType, 76, "UNSUPPORTED_COMPRESSION_TYPE", false, "records of this compression are not taken";
    StaleBrokerEpoch, 77, "STALE_BROKER_EPOCH", false, "the broker epoch is not the registered one";
    InvalidRecord, 87, "INVALID_RECORD", false, "a record is not legal";
    IneligibleReplica, 107, "INELIGIBLE_REPLICA", false, "a proposed ISR member may not be in the ISR";
    NewLeaderElected, 108, "NEW_LEADER_ELECTED", false, "the change itself moved the leadership";
    InconsistentVoterSet, 94, "INCONSISTENT_VOTER_SET", false, "the voter set in the request is not the current one";
    InvalidUpdateVersion, 95, "INVALID_UPDATE_VERSION", false, "the partition epoch is not the current one";
    UnknownTopicId, 100, "UNKNOWN_TOPIC_ID", true, "no topic has that id";
    DuplicateBrokerRegistration, 101, "DUPLICATE_BROKER_REGISTRATION", false, "another live process is registered under that node id";
    BrokerIdNotRegistered, 102, "BROKER_ID_NOT_REGISTERED", true, "no broker is registered under that node id";
    InconsistentTopicId, 103, "INCONSISTENT_TOPIC_ID", true, "the log has another topic id";
    InconsistentClusterId, 104, "INCONSISTENT_CLUSTER_ID", false, "the node belongs to another cluster";
    DuplicateVoter, 126, "DUPLICATE_VOTER", false, "that node is a voter already";
    VoterNotFound, 127, "VOTER_NOT_FOUND", false, "that node is not a voter";
    ThrottlingQuotaExceeded, 89, "THROTTLING_QUOTA_EXCEEDED", true, "too much waits already; nothing was done";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_code_has_a_number_of_its_own() {
        let numbers: BTreeSet<i16> = ErrorCode::ALL.iter().map(|code| code.code()).collect();

        assert_eq!(numbers.len(), ErrorCode::ALL.len());
    }
}
