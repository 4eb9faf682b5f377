//! The cluster as the metadata has it: the newest state of each partition, and what its way there says of the replicas' logs.

use std::collections::{BTreeMap, BTreeSet};

use super::Lost;
use super::record::{Flush, Image, ImageTopic, Key, Metadata, PartitionState, Reason};

/// A partition, by its topic's id and its index.
pub(super) type PartitionKey = (u128, u32);

/// What is known of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartitionView {
    /// Its newest state.
    pub(super) state: PartitionState,
    /// Members of the ISR that a leader took in, and the leader epoch in which it did: they had fetched from that leader and
    /// reached where its epoch begins (R42).
    pub(super) joined: BTreeMap<u32, u32>,
    /// Why nothing is promised: a leader was, or may have been, elected who may lack committed records (R53).
    pub(super) void: Option<&'static str>,
}

const UNCLEAN: &str = "it has elected a leader that may lack records";
const UNKNOWN: &str = "unclean election is set on its topic, and whether there was one before the snapshot that its history begins with is not known";

/// The cluster as of an offset of the metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Names of topics by id.
    pub(super) topics: BTreeMap<u128, String>,
    pub(super) partitions: BTreeMap<PartitionKey, PartitionView>,
    /// The directories of each broker.
    pub(super) directories: BTreeMap<u32, BTreeSet<u128>>,
    /// Brokers that have stopped in order and have not registered since.
    pub(super) stopped: BTreeSet<u32>,
    /// Topics of which something lets, or once let, records be deleted.
    deleting: BTreeSet<u128>,
}

impl Cluster {
    /// The cluster as a snapshot has it. How its partitions came there is not known.
    pub(super) fn of(image: &Image) -> Self {
        let mut cluster = Self::default();
        for broker in &image.brokers {
            cluster.directories.insert(broker.node, broker.directories.iter().copied().collect());
            if broker.stopping.is_some() {
                cluster.stopped.insert(broker.node);
            }
        }
        for topic in &image.topics {
            cluster.topics.insert(topic.id, topic.name.clone());
            if topic.configuration.iter().any(|(key, value)| lets_delete(*key, *value)) {
                cluster.deleting.insert(topic.id);
            }
            for (partition, state) in (0_u32..).zip(&topic.partitions) {
                let mut view = PartitionView::new(state.clone());
                view.void = view.void.or_else(|| may_have_been_unclean(topic).then_some(UNKNOWN));
                cluster.partitions.insert((topic.id, partition), view);
            }
        }
        cluster
    }

    /// Takes the next record.
    pub(super) fn take(&mut self, record: Metadata) {
        match record {
            Metadata::Registered { node, directories } => {
                self.directories.insert(node, directories.into_iter().collect());
                self.stopped.remove(&node);
            }
            Metadata::Stopping { node } => {
                self.stopped.insert(node);
            }
            Metadata::Configured { topic, changes } => {
                let mut set = changes.iter().filter_map(|(name, value)| property(name, value.as_deref()?));
                if set.any(|(key, value)| lets_delete(key, value)) {
                    self.deleting.insert(topic);
                }
            }
            Metadata::TopicCreated { topic, name } => {
                self.topics.insert(topic, name);
            }
            Metadata::TopicRemoved { topic } => {
                self.topics.remove(&topic);
                self.deleting.remove(&topic);
                self.partitions.retain(|(of, _), _| *of != topic);
            }
            Metadata::Partition { topic, partition, state } => {
                match self.partitions.get_mut(&(topic, partition)) {
                    Some(view) => view.advance(state),
                    None => {
                        self.partitions.insert((topic, partition), PartitionView::new(state));
                    }
                }
            }
            Metadata::Snapshot(image) => *self = Self::of(&image),
            Metadata::Other => {}
        }
    }

    /// Whether something that was set on a topic lets its records be deleted, or once did. Its defaults do not count: nobody asked for
    /// them, and what goes missing early must not pass for what grew old.
    pub(super) fn may_delete(&self, topic: u128) -> bool {
        self.deleting.contains(&topic)
    }

    /// Whether a replica is not in sync only because its broker stopped in order, and is stopped still.
    pub(super) fn stopped_in_order(&self, key: PartitionKey, node: u32) -> bool {
        let why = self.partitions.get(&key).and_then(|view| view.state.why_missing(node));
        why == Some(Reason::Shutdown) && self.stopped.contains(&node)
    }

    /// Whether this is what the image says: the same topics, and the same states of the same partitions.
    pub(super) fn is_as(&self, image: &Image) -> bool {
        let other = Self::of(image);
        let states = |cluster: &Self| -> Vec<(PartitionKey, PartitionState)> {
            cluster.partitions.iter().map(|(key, view)| (*key, view.state.clone())).collect()
        };
        self.topics == other.topics && self.directories == other.directories && states(self) == states(&other)
    }
}

/// A property that matters here, and its value as an image has it.
fn property(name: &str, value: &str) -> Option<(Key, i64)> {
    let number = |key| Some((key, value.parse().ok()?));
    match name {
        "retention.ms" => number(Key::RetentionMs),
        "retention.bytes" => number(Key::RetentionBytes),
        "cleanup.policy" => Some((Key::CleanupPolicy, i64::from(value.contains("compact")))),
        _ => None,
    }
}

/// Whether records go by this property: beyond a limit, or when they are compacted.
fn lets_delete(key: Key, value: i64) -> bool {
    match key {
        Key::RetentionMs | Key::RetentionBytes => value >= 0,
        Key::CleanupPolicy => value > 0,
        Key::MinInsyncReplicas
        | Key::FlushPolicy
        | Key::UncleanLeaderElection
        | Key::SegmentBytes
        | Key::MaxMessageBytes => false,
    }
}

fn may_have_been_unclean(topic: &ImageTopic) -> bool {
    topic.configuration.iter().any(|(key, value)| *key == Key::UncleanLeaderElection && *value != 0)
}

/// Whether an unclean election has not been recovered from, or somebody is out of the ISR since one.
fn has_been_unclean(state: &PartitionState) -> bool {
    state.recovering || state.is_missing_one(Reason::UncleanElection)
}

impl PartitionView {
    /// A partition of which nothing was seen before.
    fn new(state: PartitionState) -> Self {
        let void = has_been_unclean(&state).then_some(UNCLEAN);
        Self { state, joined: BTreeMap::new(), void }
    }

    /// Who must hold everything: in a cluster that was level every replica, whoever was elected; else the members.
    pub(super) fn required(&self, is_whole: bool, lost: Lost) -> Vec<u32> {
        let may_lack = lost == Lost::Power && self.state.flush == Flush::Os;
        if is_whole && !may_lack { self.state.replicas.clone() } else { self.members(lost) }
    }

    /// The members of the ISR, and who may be elected besides (RI3): each must hold everything committed. Nobody if that cannot be
    /// asked: after an unclean election, or when power was lost under `flush.policy=os` and nobody has registered since.
    pub(super) fn members(&self, lost: Lost) -> Vec<u32> {
        let may_lack = lost == Lost::Power && self.state.flush == Flush::Os;
        if self.void.is_some() || may_lack { Vec::new() } else { self.state.members() }
    }

    fn advance(&mut self, state: PartitionState) {
        let members: BTreeSet<u32> = self.state.members().into_iter().collect();
        let is_same_leader = state.leader.is_some() && state.leader_epoch == self.state.leader_epoch;
        // Not every state may be seen of one who leaves and comes back in one decision: who is out of the ISR has not joined.
        let isr: BTreeSet<u32> = state.nodes(state.isr).into_iter().collect();
        let before: BTreeSet<u32> = self.state.nodes(self.state.isr).into_iter().collect();
        self.joined.retain(|node, _| isr.contains(node));
        if is_same_leader {
            // Only its leader takes a replica in while it leads on (R40).
            for node in isr.difference(&before) {
                self.joined.insert(*node, state.leader_epoch);
            }
        }
        // A clean election takes from the ISR, and if that is empty from the eligible (R51).
        let elected = state.leader_node().filter(|_| state.leader_epoch != self.state.leader_epoch);
        let is_unclean = elected.is_some_and(|leader| !members.contains(&leader));
        if is_unclean || has_been_unclean(&state) {
            self.void = Some(UNCLEAN);
        }
        self.state = state;
    }

    /// Replicas whose logs are known to agree with the leader's below where its epoch begins: the leader, and those that it took
    /// into the ISR in this epoch.
    pub(super) fn settled(&self) -> Vec<u32> {
        let leader = self.state.leader_node();
        let took = |node: &u32| self.joined.get(node) == Some(&self.state.leader_epoch);
        let isr = self.state.nodes(self.state.isr);
        isr.into_iter().filter(|node| Some(*node) == leader || took(node)).collect()
    }
}
