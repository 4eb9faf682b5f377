//! The predicates that the controller's driver holds the committed image against, from batch to batch, and the answers that
//! it gives.
//!
//! What a batch does to whatever its records name is judged after each batch. To look at an image as a whole takes as long as
//! it is large. So that a large one costs no more than a small one for each record, that is done once as many records have been
//! applied since the last time as it has partitions, divided by [`PARTITIONS_PER_RECORD`]: of a small one after each batch.

#[cfg(test)]
mod tests;

use highwater_model::fault::Faults;
use highwater_model::id::Offset;
use highwater_model::invariant::Monitor;
use highwater_model::invariant::metadata::{
    Earlier, Led, Named, Subject, alive_member_leads, answer_is_committed, decision_is_whole,
    epochs_only_grow, fenced_broker_leads_nothing, leader_comes_from_the_eligible, led,
    min_isr_follows_the_configuration, name_has_one_topic, node_has_one_registration, one_leader_per_epoch,
    partition_sets_are_well_formed, registrations_only_grow, replay_gives_the_same_image,
    replicas_are_distinct_brokers, topics_never_shrink,
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
    /// Records to be applied until the image is looked at as a whole again.
    left: usize,
}

/// What a batch is judged by, from before it.
#[derive(Debug)]
pub(super) enum Before {
    /// What it names.
    Named(Named),
    /// The image, and the batch.
    Whole {
        /// The image that it is applied to.
        image: Image,
        /// Where it ends, exclusive.
        end: Offset,
        /// What it holds.
        records: Vec<Record>,
    },
}

impl ImageMonitor {
    pub(super) fn new(core: CoreMonitor) -> Self {
        Self { core, left: 0 }
    }

    /// What a step with this input is judged by. An image that is replaced as a whole follows from nothing.
    pub(super) fn before(&mut self, committed: &Image, input: &Input) -> Option<Before> {
        let Input::Committed { end, records, .. } = input else { return None };
        if !self.core.is_on() || records.iter().any(|at| matches!(at, Record::Snapshot(_))) {
            return None;
        }
        self.left = self.left.saturating_sub(records.len());
        if self.left > 0 {
            return Some(Before::Named(Named::of(records, committed)));
        }
        self.left =
            committed.topics().map(|topic| topic.partitions.len()).sum::<usize>() / PARTITIONS_PER_RECORD;
        Some(Before::Whole { image: committed.clone(), end: *end, records: records.clone() })
    }

    /// Judges the image after a batch.
    pub(super) fn judge(&self, before: Before, after: &Image) {
        match before {
            Before::Named(named) => self.judge_step(&named, named.led(), after),
            Before::Whole { image, end, records } => {
                self.judge_step(&image, &led(&image), after);
                self.judge_image(after);
                self.core.check(Monitor::ReplayGivesTheSameImage, || {
                    replay_gives_the_same_image(&image, &[(end, records)], after)
                });
            }
        }
    }

    /// Judges what a batch has done to what was there `before`. A predicate that has nothing to speak of is not evaluated.
    fn judge_step(&self, before: &impl Earlier, former: &[Led], after: &Image) {
        let check = &self.core;
        if before.brokers().next().is_some() {
            check.check(Monitor::NodeHasOneRegistration, || registrations_only_grow(before, after));
        }
        if before.partitions().next().is_some() {
            check.check(Monitor::ReplicasAreDistinctBrokers, || topics_never_shrink(before, after));
            check.check(Monitor::EpochsOnlyGrow, || epochs_only_grow(before, after));
            check
                .check(Monitor::LeaderComesFromTheEligible, || leader_comes_from_the_eligible(before, after));
        }
        if !former.is_empty() {
            check.check(Monitor::OneLeaderPerLeaderEpoch, || one_leader_per_epoch(former, after));
        }
    }

    /// Judges the whole of an image.
    fn judge_image(&self, image: &Image) {
        let check = &self.core;
        check.check(Monitor::NodeHasOneRegistration, || node_has_one_registration(image));
        check.check(Monitor::ReplicasAreDistinctBrokers, || replicas_are_distinct_brokers(image));
        check.check(Monitor::FencedBrokerLeadsNothing, || fenced_broker_leads_nothing(image));
        check.check(Monitor::NameHasOneTopic, || name_has_one_topic(image));
        check.check(Monitor::DecisionIsWhole, || decision_is_whole(image));
        check.check(Monitor::MinIsrFollowsTheConfiguration, || min_isr_follows_the_configuration(image));
        check.check(Monitor::PartitionSetsAreWellFormed, || partition_sets_are_well_formed(image));
        check.check(Monitor::AliveMemberLeads, || alive_member_leads(image));
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
