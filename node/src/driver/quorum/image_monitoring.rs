//! The predicates that the controller's driver holds the committed image against, from batch to batch, and the answers that
//! it gives.
//!
//! To look at an image takes as long as it is large. So that a large one costs no more than a small one, an image is looked at
//! once as many records have been applied since the last time as it has partitions, divided by [`PARTITIONS_PER_RECORD`]: a
//! small one after each batch.

#[cfg(test)]
mod tests;

use highwater_model::fault::Faults;
use highwater_model::id::Offset;
use highwater_model::invariant::Monitor;
use highwater_model::invariant::metadata::{
    Subject, alive_member_leads, answer_is_committed, decision_is_whole, epochs_only_grow,
    fenced_broker_leads_nothing, leader_comes_from_the_eligible, led, min_isr_follows_the_configuration,
    name_has_one_topic, node_has_one_registration, one_leader_per_epoch, partition_sets_are_well_formed,
    registrations_only_grow, replay_gives_the_same_image, replicas_are_distinct_brokers, topics_never_shrink,
};
use highwater_model::metadata::{Image, Input, Record, Reply};

use super::QuorumDriver;
use crate::monitor::CoreMonitor;

/// How many partitions are looked at for each record that is applied, at most and on average.
const PARTITIONS_PER_RECORD: usize = 64;

/// The monitors of the image.
#[derive(Debug)]
pub(super) struct ImageMonitor {
    core: CoreMonitor,
    /// Records to be applied until the image is looked at again.
    left: usize,
}

/// An image, and the batch that is applied to it.
#[derive(Debug)]
pub(super) struct Before {
    image: Image,
    end: Offset,
    records: Vec<Record>,
}

impl ImageMonitor {
    pub(super) fn new(core: CoreMonitor) -> Self {
        Self { core, left: 0 }
    }

    /// What a step with this input is judged by, if it is time to. An image that is replaced as a whole follows from nothing.
    pub(super) fn before(&mut self, committed: &Image, input: &Input) -> Option<Before> {
        let Input::Committed { end, records, .. } = input else { return None };
        self.left = self.left.saturating_sub(records.len());
        if !self.core.is_on() || self.left > 0 || records.iter().any(|at| matches!(at, Record::Snapshot(_))) {
            return None;
        }
        self.left =
            committed.topics().map(|topic| topic.partitions.len()).sum::<usize>() / PARTITIONS_PER_RECORD;
        Some(Before { image: committed.clone(), end: *end, records: records.clone() })
    }

    /// Judges the image after a batch.
    pub(super) fn judge(&self, before: Before, after: &Image) {
        let Before { image: was, end, records } = before;
        let check = &self.core;
        check.check(Monitor::NodeHasOneRegistration, || {
            node_has_one_registration(after).and_then(|()| registrations_only_grow(&was, after))
        });
        check.check(Monitor::ReplicasAreDistinctBrokers, || {
            replicas_are_distinct_brokers(after).and_then(|()| topics_never_shrink(&was, after))
        });
        check.check(Monitor::FencedBrokerLeadsNothing, || fenced_broker_leads_nothing(after));
        check.check(Monitor::NameHasOneTopic, || name_has_one_topic(after));
        check.check(Monitor::DecisionIsWhole, || decision_is_whole(after));
        check.check(Monitor::MinIsrFollowsTheConfiguration, || min_isr_follows_the_configuration(after));
        check.check(Monitor::PartitionSetsAreWellFormed, || partition_sets_are_well_formed(after));
        check.check(Monitor::AliveMemberLeads, || alive_member_leads(after));
        check.check(Monitor::EpochsOnlyGrow, || epochs_only_grow(&was, after));
        check.check(Monitor::OneLeaderPerLeaderEpoch, || one_leader_per_epoch(&led(&was), after));
        check.check(Monitor::LeaderComesFromTheEligible, || leader_comes_from_the_eligible(&was, after));
        check.check(Monitor::ReplayGivesTheSameImage, || {
            replay_gives_the_same_image(&was, &[(end, records)], after)
        });
    }
}

impl<F: Faults> QuorumDriver<F> {
    /// The controller answers a command about this subject.
    pub(super) fn judge_reply(&self, subject: Subject, reply: &Reply) {
        self.image_monitor.core.check(Monitor::AnswerIsCommitted, || {
            answer_is_committed(subject, reply.answer(), self.controller.committed(), &[])
        });
    }
}
