//! Which runs the nodes have had, as far as the recordings tell: those that are recorded, and others that these have heard of.
//!
//! Who acts as a broker is registered, and every node has the metadata with the registrations in it: so it is known of which
//! run a message under a registration is, and who may have given an answer.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use highwater_model::id::{BrokerEpoch, IncarnationId, NodeId, Offset};
use highwater_model::metadata::{Image, Record};

use super::spoken::{Acquainted, Speaker};

/// A run that is not among the recordings; without its incarnation where nobody names that.
pub(super) type Unrecorded = (NodeId, Option<IncarnationId>);

/// Registrations, as the metadata has them.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    known: BTreeMap<(NodeId, BrokerEpoch), IncarnationId>,
    /// Batches of the metadata log that somebody took: where each begins, by its end.
    batches: BTreeMap<Offset, Offset>,
}

impl Registrations {
    /// Learns of those that are current in an image.
    pub(super) fn in_image(&mut self, image: &Image) {
        let registered = |broker: &highwater_model::metadata::Broker| {
            ((broker.node, broker.broker_epoch), broker.incarnation)
        };
        self.known.extend(image.brokers().iter().map(registered));
    }

    /// Learns of those in a batch that is committed. The offset of its record is a registration's name (Q51).
    pub(super) fn in_batch(&mut self, end: Offset, records: &[Record]) {
        let base = end.0.saturating_sub(u64::try_from(records.len()).unwrap_or(u64::MAX));
        for (record, offset) in records.iter().zip(base..) {
            #[expect(clippy::wildcard_enum_match_arm, reason = "the others register nobody")]
            match record {
                Record::BrokerRegistered(record) => {
                    self.known.insert((record.node, BrokerEpoch(offset)), record.incarnation);
                }
                // It stands for all offsets before.
                Record::Snapshot(image) => return self.in_image(image),
                _ => {}
            }
        }
        self.batches.insert(end, Offset(base));
    }

    /// A run acts under this registration.
    fn note(&mut self, node: NodeId, broker_epoch: BrokerEpoch, incarnation: IncarnationId) {
        self.known.insert((node, broker_epoch), incarnation);
    }

    fn merge(&mut self, other: Self) {
        self.known.extend(other.known);
        self.batches.extend(other.batches);
    }

    fn of(&self, node: NodeId, broker_epoch: BrokerEpoch) -> Option<IncarnationId> {
        self.known.get(&(node, broker_epoch)).copied()
    }

    /// Whether the record at this offset is known, so that it registers nobody who is not known.
    fn is_known_at(&self, broker_epoch: BrokerEpoch) -> bool {
        let behind = (Bound::Excluded(Offset(broker_epoch.0)), Bound::Unbounded);
        self.batches.range(behind).next().is_some_and(|(_, base)| base.0 <= broker_epoch.0)
    }

    /// The runs of a node that may have been at work when, or after, this registration (of another node) was made: the one
    /// that was registered then, and later ones. A node's run registers after the one before it has ended.
    fn at_work_since(&self, node: NodeId, asker: BrokerEpoch) -> impl Iterator<Item = IncarnationId> {
        let current = self.known.range((node, BrokerEpoch(0))..=(node, asker)).next_back();
        let later = (Bound::Excluded((node, asker)), Bound::Included((node, BrokerEpoch(u64::MAX))));
        current.into_iter().chain(self.known.range(later)).map(|(_, incarnation)| *incarnation)
    }

    fn is_registered(&self, node: NodeId, incarnation: IncarnationId) -> bool {
        let all = (node, BrokerEpoch(0))..=(node, BrokerEpoch(u64::MAX));
        self.known.range(all).any(|(_, known)| *known == incarnation)
    }
}

/// The runs of all nodes.
#[derive(Debug, Default)]
pub(super) struct Roster {
    recorded: BTreeSet<(NodeId, IncarnationId)>,
    /// Runs of which messages of the quorum were taken.
    heard: BTreeSet<(NodeId, IncarnationId)>,
    registrations: Registrations,
    /// Runs of which something was believed.
    believed: BTreeSet<Unrecorded>,
}

impl Roster {
    /// The runs that are recorded, and what they know of others.
    pub(super) fn new(recorded: Vec<((NodeId, IncarnationId), Acquainted)>) -> Self {
        let mut roster = Self::default();
        let mut own = Vec::new();
        for ((node, incarnation), Acquainted { heard, registered, registrations }) in recorded {
            roster.recorded.insert((node, incarnation));
            roster.heard.extend(heard);
            roster.registrations.merge(registrations);
            own.extend(registered.into_iter().map(|broker_epoch| (node, broker_epoch, incarnation)));
        }
        for (node, broker_epoch, incarnation) in own {
            roster.registrations.note(node, broker_epoch, incarnation);
        }
        roster.heard.retain(|run| !roster.recorded.contains(run));
        roster
    }

    /// A run that is not recorded and may be this speaker, if there may be one.
    pub(super) fn unrecorded(&self, speaker: Speaker) -> Option<Unrecorded> {
        match speaker {
            Speaker::Run(node, incarnation) | Speaker::Member(node, incarnation) => {
                self.missing(node, incarnation)
            }
            Speaker::Registered(node, broker_epoch) => match self.registrations.of(node, broker_epoch) {
                Some(incarnation) => self.missing(node, incarnation),
                // Recorded runs say under which registrations they act.
                None => (!self.registrations.is_known_at(broker_epoch)).then_some((node, None)),
            },
            Speaker::Answerer(node, asker) => self.unrecorded_answerer(node, asker),
            Speaker::Controller => self.heard.first().map(|(node, incarnation)| (*node, Some(*incarnation))),
        }
    }

    /// Whoever answers leads by metadata that its asker has, and is registered in it; a recorded run that comes after an
    /// unrecorded one begins with metadata in which that one is registered.
    fn unrecorded_answerer(&self, node: NodeId, asker: BrokerEpoch) -> Option<Unrecorded> {
        let mut at_work = self.registrations.at_work_since(node, asker);
        if let Some(found) = at_work.find_map(|incarnation| self.missing(node, incarnation)) {
            return Some(found);
        }
        let is_unplaced = |(of, incarnation): &&(NodeId, IncarnationId)| {
            *of == node && !self.registrations.is_registered(node, *incarnation)
        };
        if let Some((_, incarnation)) = self.heard.iter().find(is_unplaced) {
            return Some((node, Some(*incarnation)));
        }
        let is_recorded = self.recorded.iter().any(|(recorded, _)| *recorded == node);
        (!is_recorded).then_some((node, None))
    }

    /// Whether this speaker may be that recorded run.
    pub(super) fn may_be(&self, speaker: Speaker, (node, incarnation): (NodeId, IncarnationId)) -> bool {
        match speaker {
            Speaker::Run(of, named) | Speaker::Member(of, named) => (of, named) == (node, incarnation),
            Speaker::Registered(of, broker_epoch) => {
                of == node && self.registrations.of(of, broker_epoch) == Some(incarnation)
            }
            Speaker::Answerer(of, asker) => {
                let is_at_work = || self.registrations.at_work_since(of, asker).any(|run| run == incarnation);
                of == node && (!self.registrations.is_registered(node, incarnation) || is_at_work())
            }
            Speaker::Controller => true,
        }
    }

    /// Something that this speaker said is believed.
    pub(super) fn believe(&mut self, speaker: Speaker) {
        self.believed.extend(self.unrecorded(speaker));
    }

    /// How many runs recorded ones have heard of, that are not among the recordings.
    pub(super) fn count_unrecorded(&self) -> u64 {
        let heard = self.heard.iter().map(|(node, incarnation)| (*node, Some(*incarnation)));
        let all: BTreeSet<Unrecorded> = heard.chain(self.believed.iter().copied()).collect();
        u64::try_from(all.len()).unwrap_or(u64::MAX)
    }

    fn missing(&self, node: NodeId, incarnation: IncarnationId) -> Option<Unrecorded> {
        (!self.recorded.contains(&(node, incarnation))).then_some((node, Some(incarnation)))
    }
}
