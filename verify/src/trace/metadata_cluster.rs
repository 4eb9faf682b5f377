//! The metadata over all controllers, as [`highwater_model::invariant::metadata`] judges it.
//!
//! Every node folds the committed log into an image. Whoever is first to take a batch for committed says what it is; all
//! others must have the same, and what the log gives is judged image by image. What is not asked, because a trace does not
//! know it: RI13 and RL0, which speak of what a broker's disks lost or kept.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use highwater_model::id::{DirectoryId, IncarnationId, NodeId, Offset, QuorumEpoch, TopicId, TopicPartition};
use highwater_model::invariant::metadata::{self as invariant, Led};
use highwater_model::invariant::{Violation, quorum};
use highwater_model::metadata::{Command, Controller, Election, Image, Record};
use highwater_model::quorum::VoterKey;

use super::edge::{Answer, Wrong};
use super::partition::named;

/// A predicate over an image, and its rule.
type OfImage = (fn(&Image) -> Result<(), Violation>, &'static str);
/// A predicate over an image and the one a batch later, and its rule.
type OfBatch = (fn(&Image, &Image) -> Result<(), Violation>, &'static str);

const OF_IMAGES: [OfImage; 8] = [
    (invariant::node_has_one_registration, "MI1"),
    (invariant::fenced_broker_leads_nothing, "MI2"),
    (invariant::name_has_one_topic, "MI3"),
    (invariant::replicas_are_distinct_brokers, "MI4"),
    (invariant::decision_is_whole, "MI5"),
    (invariant::min_isr_follows_the_configuration, "MI7"),
    (invariant::partition_sets_are_well_formed, "RI12"),
    (invariant::alive_member_leads, "RL7"),
];

const OF_BATCHES: [OfBatch; 3] = [
    (invariant::registrations_only_grow, "MI1"),
    (invariant::topics_never_shrink, "MI4"),
    (invariant::epochs_only_grow, "MI6"),
];

/// The metadata of the cluster.
#[derive(Default)]
pub(super) struct MetadataWatch {
    /// The first image that is known, and the batches since then.
    base: Option<Image>,
    log: Vec<(Offset, Vec<Record>)>,
    /// The newest committed image.
    image: Image,
    led: Vec<Led>,
    deleted: Vec<TopicId>,
    offices: Vec<(QuorumEpoch, VoterKey)>,
    /// Whether an operator ever asked for an unclean election.
    asked_unclean: bool,
}

/// What a batch that is committed for the first time is to the partitions.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Partitions whose new leader may lack something (R53).
    pub(super) unclean: Vec<TopicPartition>,
    /// Whether batches before it are not known.
    pub(super) is_jump: bool,
}

impl MetadataWatch {
    /// The newest committed image.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// A controller begins, or is shown; whether its image is newer than all.
    pub(super) fn meet(
        &mut self,
        core: &Controller<highwater_model::fault::Sound>,
    ) -> Result<Option<News>, Wrong> {
        let image = core.committed();
        if self.base.is_none() || image.end() > self.image.end() {
            return self.jump_to(image).map(Some);
        }
        self.is_prefix(image)?;
        Ok(None)
    }

    /// An image of which the batches before are not known.
    fn jump_to(&mut self, image: &Image) -> Result<News, Wrong> {
        self.base = Some(image.clone());
        self.log.clear();
        self.image = image.clone();
        self.judge_image()?;
        Ok(News { is_jump: true, ..News::default() })
    }

    /// An image is what the committed log gives, as far as that is known.
    fn is_prefix(&self, image: &Image) -> Result<(), Wrong> {
        let Some(base) = &self.base else { return Ok(()) };
        if image.end() < base.end() {
            return Ok(());
        }
        if base.end() == Offset::ZERO {
            let checked = invariant::every_image_is_a_prefix_of_the_log(&self.log, image);
            return checked.map_err(|broken| named(broken, "RI18"));
        }
        let known = self.log.iter().take_while(|(end, _)| *end <= image.end()).count();
        let since = self.log.get(..known).unwrap_or_default();
        invariant::replay_gives_the_same_image(base, since, image).map_err(|broken| named(broken, "MI8"))
    }

    /// A controller took a batch for committed, which led from one image to another; news if it is the first.
    pub(super) fn commit(
        &mut self,
        before: &Image,
        (end, records): (Offset, &[Record]),
        after: &Image,
    ) -> Result<Option<News>, Wrong> {
        if end <= self.image.end() {
            return self.is_as_known(end, records, after).map(|()| None);
        }
        if before.end() != self.image.end() || self.base.is_none() {
            return self.jump_to(after).map(Some);
        }
        self.log.push((end, records.to_vec()));
        let known = std::mem::replace(&mut self.image, after.clone());
        self.judge_batch(&known)?;
        self.judge_image()?;
        let unclean = self.elected_uncleanly(&known);
        Ok(Some(News { unclean, is_jump: false }))
    }

    fn is_as_known(&self, end: Offset, records: &[Record], image: &Image) -> Result<(), Wrong> {
        let known = self.log.binary_search_by_key(&end, |(end, _)| *end).ok().and_then(|at| self.log.get(at));
        match known {
            Some((_, known)) if known == records => Ok(()),
            _ => self.is_prefix(image),
        }
    }

    fn judge_image(&self) -> Result<(), Wrong> {
        OF_IMAGES
            .iter()
            .try_for_each(|(holds, rule)| holds(&self.image).map_err(|broken| named(broken, rule)))
    }

    fn judge_batch(&mut self, before: &Image) -> Result<(), Wrong> {
        let after = &self.image;
        for (holds, rule) in OF_BATCHES {
            holds(before, after).map_err(|broken| named(broken, rule))?;
        }
        if !self.asked_unclean {
            let checked = invariant::leader_comes_from_the_eligible(before, after);
            checked.map_err(|broken| named(broken, "R51"))?;
        }
        let led = invariant::led(after);
        // Leader epochs only grow (MI6), so that of each partition the last leader is enough to know.
        invariant::one_leader_per_epoch(&self.led, after).map_err(|broken| named(broken, "RI10"))?;
        let held: BTreeSet<TopicPartition> = led.iter().map(|led| led.partition).collect();
        let offline = self.led.iter().filter(|old| !held.contains(&old.partition)).copied();
        let offline: Vec<Led> = offline.filter(|old| after.partition(old.partition).is_some()).collect();
        self.led = led.into_iter().chain(offline).collect();
        let gone = before.topics().map(|topic| topic.id).filter(|id| after.topic(*id).is_none());
        self.deleted.extend(gone);
        invariant::deleted_id_never_returns(&self.deleted, after).map_err(|broken| named(broken, "MI3"))
    }

    fn elected_uncleanly(&self, before: &Image) -> Vec<TopicPartition> {
        let pairs = self.image.partitions().filter_map(|(at, is)| Some((at, before.partition(at)?, is)));
        let unclean = pairs.filter(|(_, was, is)| {
            let eligible = was.isr.union(was.eligible_leaders);
            was.leader != is.leader && is.leader.is_some_and(|leader| !eligible.contains(leader))
        });
        unclean.map(|(at, ..)| at).collect()
    }

    /// In one quorum epoch one controller is active: one run of one node.
    pub(super) fn hold_office(
        &mut self,
        quorum_epoch: QuorumEpoch,
        (node, run): (NodeId, IncarnationId),
    ) -> Result<(), Wrong> {
        let holder = (quorum_epoch, VoterKey { id: node, directory: DirectoryId(run.0) });
        if self.offices.last() == Some(&holder) {
            return Ok(());
        }
        self.offices.push(holder);
        let view = quorum::View {
            replicas: &[],
            committed: &[],
            acknowledged: &[],
            voters: &[],
            elected: &self.offices,
            granted: &[],
        };
        quorum::one_leader_per_epoch(&view).map_err(|broken| named(broken, "QI1, of controllers"))
    }

    /// A controller is asked for something.
    pub(super) fn asked(&mut self, command: &Command) {
        self.asked_unclean |= matches!(command, Command::ElectLeader { election: Election::Unclean, .. });
    }

    /// A controller that has this image answered a command: what it says is committed.
    pub(super) fn answered(&self, image: &Image, command: &Command, answer: &Answer) -> Result<(), Wrong> {
        let subject = invariant::Subject::of(command);
        invariant::answer_is_committed(subject, answer, image, &self.deleted)
            .map_err(|broken| named(broken, "X5"))
    }
}
