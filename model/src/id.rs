//! Names of things: brokers, topics, partitions, epochs and offsets, each its own type.
//!
//! Leaves to others what the names mean. Every number fits Kafka's signed 32- or 64-bit field of the same name.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Declares a newtype over an unsigned integer, with a readable `Display`.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

/// Declares an epoch: a [`number!`] that only ever grows, one at a time.
macro_rules! epoch {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        number!($(#[$doc])* $name($inner));
        impl $name {
            /// The epoch after this one.
            ///
            /// # Panics
            /// When the epoch space is exhausted, which takes two thousand million changes.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("an epoch never reaches the end of its range"))
            }
        }
    };
}

/// Declares a 128-bit unique identifier, printed as hexadecimal.
macro_rules! unique {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub u128);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl fmt::Display for $name {
            /// The usual 8-4-4-4-12 form.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let n = self.0;
                write!(
                    f,
                    "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                    n >> 96,
                    (n >> 80) & 0xffff,
                    (n >> 64) & 0xffff,
                    (n >> 48) & 0xffff,
                    n & 0xffff_ffff_ffff
                )
            }
        }
    };
}

number!(
    /// `node.id`: one process, be it broker, controller or both. At most `i32::MAX`.
    NodeId(u32)
);
number!(
    /// Index of a partition within its topic. At most `i32::MAX`.
    PartitionIndex(u32)
);
number!(
    /// A position in a log, counted in records. Whether an end is inclusive is said wherever one is used;
    /// log end offset and high watermark are exclusive.
    Offset(u64)
);
number!(
    /// Identity of an idempotent producer (KIP-98).
    ProducerId(u64)
);
number!(
    /// Sequence number of a producer's record within a partition; wraps from `i32::MAX` to 0 (R71).
    Sequence(u32)
);
epoch!(
    /// Per partition: raised by every change of leader.
    LeaderEpoch(u32)
);
epoch!(
    /// Per partition: raised by one by every change of the partition's record, ISR included; fences `AlterPartition`.
    PartitionEpoch(u32)
);
epoch!(
    /// Term of the metadata quorum (KRaft's leader epoch).
    QuorumEpoch(u32)
);
epoch!(
    /// Raised when a producer's session is renewed; fences the older one.
    ProducerEpoch(u16)
);
number!(
    /// One registration of a broker process: the metadata offset of its registration record (Q51).
    BrokerEpoch(u64)
);
number!(
    /// Counts what one log has been cut: raised by every truncation, so that a completion or a response that belongs to
    /// the log before the cut is recognised (B-46, R13).
    LogGeneration(u32)
);
number!(
    /// Identity of one message of a requester within one incarnation; a response names the request that it answers.
    RequestId(u64)
);
unique!(
    /// Identity of a topic; a re-created name has a new one (R82).
    TopicId
);
unique!(
    /// Identity of a log directory, written in it when it was formatted (X12).
    DirectoryId
);
unique!(
    /// One run of a process: new at every start.
    IncarnationId
);
unique!(
    /// Identity of a cluster.
    ClusterId
);

impl Offset {
    /// The first offset of a log that was never trimmed.
    pub const ZERO: Self = Self(0);

    /// The offset that follows `count` records from here.
    ///
    /// # Panics
    /// When the offset space is exhausted; lengths from outside are bounded before they come here.
    #[must_use]
    pub fn after(self, count: u64) -> Self {
        Self(self.0.checked_add(count).expect("an offset never reaches the end of its range"))
    }

    /// The number of records from `start` up to here, or 0 when `start` is not below.
    #[must_use]
    pub fn since(self, start: Self) -> u64 {
        self.0.saturating_sub(start.0)
    }

    /// The offset before this one, if there is one.
    #[must_use]
    pub fn before(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

impl LogGeneration {
    /// The generation after another truncation.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl RequestId {
    /// The id of the next message.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl Sequence {
    /// The sequence that follows `count` records from here, wrapping from `i32::MAX` to 0 (R71).
    #[must_use]
    pub fn after(self, count: u32) -> Self {
        Self((self.0.wrapping_add(count)) & 0x7fff_ffff)
    }
}

/// A partition of a topic, by the topic's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition within it.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_sequence_wraps_where_kafka_wraps() {
        assert_eq!(Sequence(0x7fff_fffe).after(1), Sequence(0x7fff_ffff));
        assert_eq!(Sequence(0x7fff_ffff).after(1), Sequence(0));
    }

    #[test]
    fn an_identifier_prints_in_the_usual_form() {
        let id = TopicId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        assert_eq!(id.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    }
}
