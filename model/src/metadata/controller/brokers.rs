//! Registration, heartbeats, fencing, controlled shutdown (Q51 to Q56, R60).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::super::{
    Broker, BrokerChanged, BrokerRegistered, CommandRefusal, DirectoryFacts, Heartbeat, MissingReason,
    Outcome, Partition, ProducerIdsAllocated, Record, Registration,
};
use super::decision::{Decision, Scene, record};
use crate::fault::{Bug, Faults};
use crate::id::{BrokerEpoch, DirectoryId, NodeId, ProducerId, TopicPartition};
use crate::replication::FlushPolicy;

impl<F: Faults> Scene<'_, F> {
    /// Q51: a live session of another process is respected; the same process is told its epoch again.
    pub(super) fn register(&self, registration: &Registration) -> Result<Decision, CommandRefusal> {
        let node = registration.node;
        if let Some(known) = self.image.broker(node) {
            if known.incarnation == registration.incarnation {
                return Ok(Decision::nothing(Outcome::Registered { broker_epoch: known.broker_epoch }));
            }
            if self.sessions.iter().any(|session| session.node == node) {
                return Err(CommandRefusal::DuplicateRegistration { node, address: (*known.address).into() });
            }
        }
        self.replaces_current(registration)?;
        let directories = self.free_directories(registration)?;
        let mut records = self.members_restarted(registration);
        records.push(Record::BrokerRegistered(BrokerRegistered {
            node,
            incarnation: registration.incarnation,
            address: Arc::from(registration.address.as_str()),
            directories,
            vouched_from: self.vouched_from(registration),
        }));
        Ok(Decision { records, outcome: Outcome::Registered { broker_epoch: BrokerEpoch(0) } })
    }

    fn replaces_current(&self, registration: &Registration) -> Result<(), CommandRefusal> {
        let Registration { node, replaces: given, .. } = *registration;
        let registered = self.image.broker(node).map(|broker| broker.broker_epoch);
        if given == registered {
            return Ok(());
        }
        Err(CommandRefusal::RegistrationMoved { node, given, registered })
    }

    /// Directory ids are unique in the cluster (Q51, MI1).
    fn free_directories(
        &self,
        registration: &Registration,
    ) -> Result<SmallVec<[DirectoryId; 1]>, CommandRefusal> {
        let mut ids: SmallVec<[DirectoryId; 1]> =
            registration.directories.iter().map(|facts| facts.directory).collect();
        ids.sort_unstable();
        let others = self.image.brokers().iter().filter(|broker| broker.node != registration.node);
        let taken = others.flat_map(|broker| broker.directories.iter().map(|taken| (*taken, broker.node)));
        if let Some((directory, node)) = taken.into_iter().find(|(taken, _)| ids.contains(taken)) {
            return Err(CommandRefusal::DirectoryInUse { directory, node });
        }
        let repeated = ids.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        });
        match repeated {
            Some(directory) => Err(CommandRefusal::DirectoryInUse { directory, node: registration.node }),
            None => Ok(ids),
        }
    }

    /// Q52: the new incarnation is out of every ISR, and out of the eligible leaders of what it did not keep.
    fn members_restarted(&self, registration: &Registration) -> Vec<Record> {
        let node = registration.node;
        let Some(broker) = self.image.broker(node).filter(|_| !self.faults.has(Bug::UnnoticedBounce)) else {
            return Vec::new();
        };
        let restarted = |(at, partition): (TopicPartition, &Partition)| {
            let replica = partition.replica_on(node)?;
            let change =
                self.change(at, partition).acceptable(self.acceptable(partition, Some((node, false))));
            let change = if self.kept(broker, registration, at, partition) {
                change.without(replica, MissingReason::Restarted)
            } else {
                change.losing(replica)
            };
            record(at, &change)
        };
        self.image.partitions_on(node).filter_map(restarted).collect()
    }

    /// The oldest registration that a next start may speak of, should this one end before it is known (R60).
    fn vouched_from(&self, registration: &Registration) -> Option<BrokerEpoch> {
        let broker = self.image.broker(registration.node)?;
        let stated = |facts: &DirectoryFacts| {
            let stated = [facts.clean_stop, facts.same_boot];
            stated.into_iter().filter(|stated| broker.is_vouched_by(*stated)).flatten().min()
        };
        let stated: Option<Vec<BrokerEpoch>> = registration.directories.iter().map(stated).collect();
        stated.and_then(|stated| stated.into_iter().min())
    }

    /// R60, for a partition in any of the broker's directories: which one holds it is not known, so all must have kept
    /// what they had counted.
    fn kept(
        &self,
        broker: &Broker,
        registration: &Registration,
        at: TopicPartition,
        partition: &Partition,
    ) -> bool {
        let synced = if self.faults.has(Bug::CommitTrustedAtOnce) {
            partition.flush == FlushPolicy::Commit
        } else {
            partition.counted_only_synced(broker.broker_epoch)
        };
        let whole = |directory: &DirectoryId| {
            let facts = registration.directories.iter().find(|facts| facts.directory == *directory);
            facts.is_some_and(|facts| {
                let of_any_run = self.faults.has(Bug::AnyStopVouches) && facts.clean_stop.is_some();
                let vouched = broker.is_vouched_by(facts.clean_stop) || broker.is_vouched_by(facts.same_boot);
                let safe = synced || vouched || of_any_run;
                safe && !facts.incomplete && !facts.damaged.contains(&at)
            })
        };
        !self.faults.has(Bug::NeverKept) && broker.directories.iter().all(whole)
    }

    /// Q53 to Q56.
    pub(super) fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<Decision, CommandRefusal> {
        let broker = self.registered(heartbeat.node, heartbeat.broker_epoch)?;
        let stopping = heartbeat.want_shutdown || broker.stopping.is_some();
        let must_fence = heartbeat.want_fence || !heartbeat.offline_directories.is_empty();
        let beyond = u64::from(self.faults.has(Bug::UnfencedTooLate));
        let has_read_of_itself = heartbeat.metadata_offset.0 > broker.broker_epoch.0 + beyond;
        Ok(if stopping {
            self.shut_down(broker)
        } else if must_fence && !broker.fenced {
            standing(self.fence(broker), true)
        } else if !must_fence && broker.fenced && has_read_of_itself {
            standing(self.unfence(broker), false)
        } else {
            Decision::nothing(Outcome::Heartbeat { fenced: broker.fenced, may_stop: false })
        })
    }

    /// Q56: hand over everything, wait until every active broker knows, then fence and let go.
    fn shut_down(&self, broker: &Broker) -> Decision {
        if broker.fenced {
            return Decision::nothing(Outcome::Heartbeat { fenced: true, may_stop: true });
        }
        let Some(handed_over) = broker.stopping else {
            let mut records = self.members_leave(broker.node, MissingReason::Shutdown);
            records.push(Record::BrokerStopping(changed(broker)));
            return standing(records, false);
        };
        let others =
            self.image.brokers().iter().filter(|other| other.is_active() && other.node != broker.node);
        let known =
            |node| self.sessions.iter().any(|session| session.node == node && session.reached >= handed_over);
        let waits = !self.faults.has(Bug::LetGoUnknown);
        if waits && !others.into_iter().all(|other| known(other.node)) {
            return Decision::nothing(Outcome::Heartbeat { fenced: false, may_stop: false });
        }
        Decision { records: self.fence(broker), outcome: Outcome::Heartbeat { fenced: true, may_stop: true } }
    }

    /// Q55.
    pub(super) fn session_expired(&self, node: NodeId) -> Vec<Record> {
        match self.image.broker(node) {
            Some(broker) if !broker.fenced => self.fence(broker),
            _ => Vec::new(),
        }
    }

    /// Q55: the partitions first, then the broker, in one batch.
    fn fence(&self, broker: &Broker) -> Vec<Record> {
        let mut records = self.members_leave(broker.node, MissingReason::Fenced);
        records.push(Record::BrokerFenced(changed(broker)));
        records
    }

    /// R50, for every replica on the broker.
    fn members_leave(&self, node: NodeId, reason: MissingReason) -> Vec<Record> {
        let leave = |(at, partition): (TopicPartition, &Partition)| {
            let change = self
                .change(at, partition)
                .acceptable(self.acceptable(partition, Some((node, false))))
                .without(partition.replica_on(node)?, reason);
            record(at, &change)
        };
        self.image.partitions_on(node).filter_map(leave).collect()
    }

    /// Q54; partitions that only it can lead are led again (RL7). It joins no ISR by this.
    fn unfence(&self, broker: &Broker) -> Vec<Record> {
        let mut records = vec![Record::BrokerUnfenced(changed(broker))];
        if self.faults.has(Bug::UnfencedLeadsNothing) {
            return records;
        }
        let leaderless = self.image.partitions_on(broker.node).filter(|(_, state)| state.leader.is_none());
        records.extend(leaderless.filter_map(|(at, partition)| {
            let acceptable = self.acceptable(partition, Some((broker.node, true)));
            record(at, &self.change(at, partition).acceptable(acceptable))
        }));
        records
    }

    pub(super) fn allocate_producer_ids(
        &self,
        node: NodeId,
        broker_epoch: BrokerEpoch,
    ) -> Result<Decision, CommandRefusal> {
        self.registered(node, broker_epoch)?;
        let first = self.image.next_producer_id();
        let count = self.tenure.producer_ids_per_block;
        let next = ProducerId(first.0.checked_add(u64::from(count)).expect("producer ids do not run out"));
        Ok(Decision {
            records: vec![Record::ProducerIdsAllocated(ProducerIdsAllocated { node, next })],
            outcome: Outcome::ProducerIds { first, count },
        })
    }
}

fn changed(broker: &Broker) -> BrokerChanged {
    BrokerChanged { node: broker.node, broker_epoch: broker.broker_epoch }
}

fn standing(records: Vec<Record>, fenced: bool) -> Decision {
    Decision { records, outcome: Outcome::Heartbeat { fenced, may_stop: false } }
}
