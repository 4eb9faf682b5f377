//! What the metadata log holds, decoded by docs/FORMAT.md: only what an audit needs is kept.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::batch::{BatchFault, Header, Record};

/// Bytes of type and version before a body.
const ENVELOPE_BYTES: usize = 3;

/// Why a record of the metadata cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordFault {
    #[error(transparent)]
    Batch(#[from] BatchFault),
    #[error("the record at offset {0} has no value, or none with a type and a version")]
    Envelope(u64),
    #[error("the record at offset {offset} is of type {type_id}, version {version}, which are not known")]
    Unknown { offset: u64, type_id: u16, version: u8 },
    #[error("the record at offset {offset}, of type {type_id}, cannot be decoded: {source}")]
    Body {
        offset: u64,
        type_id: u16,
        #[source]
        source: postcard::Error,
    },
}

/// The state of a partition. Replicas are named by their place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct PartitionState {
    pub(super) replicas: Vec<u32>,
    pub(super) leader: Option<u8>,
    pub(super) leader_epoch: u32,
    pub(super) partition_epoch: u32,
    pub(super) isr: u32,
    pub(super) eligible_leaders: u32,
    _last_known_leader: Option<u8>,
    pub(super) recovering: bool,
    _min_isr: u8,
    pub(super) flush: Flush,
    _flush_since: u64,
    missing: Vec<(u8, Reason, u64)>,
}

/// What a replica counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Flush {
    Os,
    Commit,
}

/// Why a replica is not in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Reason {
    Fenced,
    Shutdown,
    Lagging,
    Restarted,
    RestartedUncleanly,
    NeverJoined,
    UncleanElection,
}

impl PartitionState {
    /// The nodes in the ISR or eligible to lead, in the order of the replicas.
    pub(super) fn members(&self) -> Vec<u32> {
        self.nodes(self.isr | self.eligible_leaders)
    }

    /// The node that leads.
    pub(super) fn leader_node(&self) -> Option<u32> {
        self.replicas.get(usize::from(self.leader?)).copied()
    }

    /// Why the replica on a node is not in sync, if it is not.
    pub(super) fn why_missing(&self, node: u32) -> Option<Reason> {
        let is_it = |place: &u8| self.replicas.get(usize::from(*place)) == Some(&node);
        self.missing.iter().find(|(place, _, _)| is_it(place)).map(|(_, reason, _)| *reason)
    }

    /// Whether somebody is not in sync for this reason.
    pub(super) fn is_missing_one(&self, why: Reason) -> bool {
        self.missing.iter().any(|(_, reason, _)| *reason == why)
    }

    /// What in it no controller decides, if there is something.
    fn impossible(&self) -> Option<&'static str> {
        let places = u32::try_from(self.replicas.len()).unwrap_or(u32::MAX);
        let each: BTreeSet<u32> = self.replicas.iter().copied().collect();
        let beyond = u32::MAX.checked_shl(places).unwrap_or_default();
        let leads = self.leader.map(|place| 1_u32.checked_shl(place.into()).unwrap_or_default());
        let wrong = [
            (places == 0 || places > 32, "a partition without replicas, or with more than 32"),
            (each.len() < self.replicas.len(), "a partition with two replicas on one node"),
            ((self.isr | self.eligible_leaders) & beyond != 0, "a member of the ISR that is no replica"),
            (self.isr & self.eligible_leaders != 0, "a replica that is in the ISR and eligible besides"),
            (leads.is_some_and(|leader| self.isr & leader == 0), "a leader that is not in the ISR"),
        ];
        wrong.into_iter().find(|(is_wrong, _)| *is_wrong).map(|(_, what)| what)
    }

    pub(super) fn nodes(&self, set: u32) -> Vec<u32> {
        let bits = (0_u32..32).zip(&self.replicas).filter(|(bit, _)| set & (1 << bit) != 0);
        bits.map(|(_, node)| *node).collect()
    }
}

/// A record of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    /// A broker was registered, with these directories.
    Registered {
        node: u32,
        directories: Vec<u128>,
    },
    /// A broker that asked to stop (Q56).
    Stopping {
        node: u32,
    },
    TopicCreated {
        topic: u128,
        name: String,
    },
    /// Properties of a topic, set or unset.
    Configured {
        topic: u128,
        changes: Vec<(String, Option<String>)>,
    },
    TopicRemoved {
        topic: u128,
    },
    Partition {
        topic: u128,
        partition: u32,
        state: PartitionState,
    },
    /// Everything up to an end.
    Snapshot(Image),
    /// Nothing that an audit needs.
    Other,
}

impl Metadata {
    /// What in it no controller decides, if there is something.
    pub(super) fn impossible(&self) -> Option<String> {
        match self {
            Self::Partition { partition, state, .. } => {
                state.impossible().map(|what| format!("of partition {partition} it says: {what}"))
            }
            Self::Snapshot(image) => {
                let mut states = image.topics.iter().flat_map(|topic| &topic.partitions);
                states.find_map(PartitionState::impossible).map(str::to_owned)
            }
            Self::Registered { .. }
            | Self::Stopping { .. }
            | Self::TopicCreated { .. }
            | Self::Configured { .. }
            | Self::TopicRemoved { .. }
            | Self::Other => None,
        }
    }
}

/// Everything at once. Which fields there are, and in which order, is the format's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Image {
    /// Of the metadata in it, exclusive.
    pub(super) end: u64,
    pub(super) brokers: Vec<ImageBroker>,
    pub(super) topics: Vec<ImageTopic>,
    _names: Vec<(String, u128)>,
    _next_producer_id: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ImageBroker {
    pub(super) node: u32,
    _broker_epoch: u64,
    _incarnation: u128,
    _address: String,
    pub(super) directories: Vec<u128>,
    _vouched_from: u64,
    _fenced: bool,
    pub(super) stopping: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ImageTopic {
    pub(super) id: u128,
    pub(super) name: String,
    pub(super) configuration: Vec<(Key, i64)>,
    _configured_at: u64,
    pub(super) partitions: Vec<PartitionState>,
}

/// A property of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Key {
    MinInsyncReplicas,
    FlushPolicy,
    UncleanLeaderElection,
    SegmentBytes,
    RetentionMs,
    RetentionBytes,
    MaxMessageBytes,
    CleanupPolicy,
}

/// The records of a batch that is no control batch.
pub(super) fn decision(header: &Header, batch: &[u8]) -> Result<Vec<Metadata>, RecordFault> {
    header.records(batch)?.map(|record| decoded(&record?)).collect()
}

fn decoded(record: &Record<'_>) -> Result<Metadata, RecordFault> {
    let offset = record.offset;
    let envelope = record.value.and_then(|value| value.split_at_checked(ENVELOPE_BYTES));
    let Some((&[high, low, version], body)) = envelope else { return Err(RecordFault::Envelope(offset)) };
    let type_id = u16::from_be_bytes([high, low]);
    let fault = |source| RecordFault::Body { offset, type_id, source };
    match (type_id, version) {
        (1, 0) => {
            type Body = (u32, u128, String, Vec<u128>, Option<u64>);
            let (node, _, _, directories, _) = whole::<Body>(body).map_err(fault)?;
            Ok(Metadata::Registered { node, directories })
        }
        (4, 0) => {
            let (node, _) = whole::<(u32, u64)>(body).map_err(fault)?;
            Ok(Metadata::Stopping { node })
        }
        (2..=3, 0) => whole::<(u32, u64)>(body).map(|_| Metadata::Other).map_err(fault),
        (5, 0) => {
            let (topic, name) = whole(body).map_err(fault)?;
            Ok(Metadata::TopicCreated { topic, name })
        }
        (6, 0) => {
            let (topic, changes) = whole(body).map_err(fault)?;
            Ok(Metadata::Configured { topic, changes })
        }
        (7, 0) => Ok(Metadata::TopicRemoved { topic: whole(body).map_err(fault)? }),
        (8, 0) => {
            let (topic, partition, state) = whole(body).map_err(fault)?;
            Ok(Metadata::Partition { topic, partition, state })
        }
        (9, 0) => whole::<(u32, u64)>(body).map(|_| Metadata::Other).map_err(fault),
        (10, 0) => whole(body).map(Metadata::Snapshot).map_err(fault),
        _ => Err(RecordFault::Unknown { offset, type_id, version }),
    }
}

/// A body with nothing behind it.
fn whole<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(body)? {
        (decoded, []) => Ok(decoded),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

/// A vote as `quorum-state` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    /// The quorum's epoch.
    pub(super) epoch: u32,
}

/// What the file of the vote says.
pub(super) fn vote(bytes: &[u8]) -> Result<Vote, String> {
    type Body = (u8, u32, Option<(u32, u128)>);
    match whole::<Body>(bytes) {
        Ok((0, epoch, _)) => Ok(Vote { epoch }),
        Ok((version, _, _)) => Err(format!("version {version} is not known")),
        Err(error) => Err(error.to_string()),
    }
}

/// What a control batch of the quorum says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    /// The voters from here on, by node and directory.
    Voters(Vec<(u32, u128)>),
}

/// The only record of a control batch.
pub(super) fn control(header: &Header, batch: &[u8]) -> Result<Control, String> {
    let mut records = header.records(batch).map_err(|fault| fault.to_string())?;
    let record =
        records.next().ok_or("a control batch without a record")?.map_err(|fault| fault.to_string())?;
    if records.next().is_some() {
        return Err("a control batch of several records".to_owned());
    }
    let (Some(key), Some(value)) = (record.key, record.value) else {
        return Err("a control record without a key or a value".to_owned());
    };
    let (version, body) = value.split_first().ok_or("a control record with an empty value")?;
    if *version != 0 {
        return Err(format!("a control record whose value is of version {version}"));
    }
    match (key, body) {
        ([0, 0, 0, 2], _) => Ok(Control::LeaderChange),
        ([0, 0, 0, 3], _) => Ok(Control::SnapshotHeader),
        ([0, 0, 0, 4], _) => Ok(Control::SnapshotFooter),
        ([0, 0, 0, 6], body) => voters(body).map(Control::Voters),
        (key, _) => Err(format!("a control record with the key {key:?}")),
    }
}

/// Each voter once, in order: a majority of a set with one of them twice would be none.
fn voters(body: &[u8]) -> Result<Vec<(u32, u128)>, String> {
    let voters: Vec<(u32, u128)> = whole(body).map_err(|error| error.to_string())?;
    let is_sorted = voters.iter().zip(voters.iter().skip(1)).all(|(one, next)| one < next);
    if is_sorted { Ok(voters) } else { Err("voters that are not sorted, or one of them twice".to_owned()) }
}
