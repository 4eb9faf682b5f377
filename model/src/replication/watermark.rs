//! The leader's high watermark, and what may be told of it (R20-R23, R5, R44).

use super::leading::Leading;
use super::{
    Effect, Effects, FlushPolicy, IsrSet, Refusal, Replica, ReplicaIdx, Tenure, VisibleHighWatermark,
};
use crate::fault::{Bug, Faults};
use crate::id::{LeaderEpoch, Offset};

impl<F: Faults> Replica<F> {
    /// End of what consumers may read here (R5). A new leader's may still lie below what an earlier one told.
    ///
    /// # Errors
    /// When this replica does not lead.
    pub fn readable_end(&self) -> Result<VisibleHighWatermark, Refusal> {
        self.lead()?;
        let beyond = self.faults.has(Bug::ReadBeyondWatermark);
        let offset = if beyond { self.log.end() } else { self.high_watermark };
        Ok(VisibleHighWatermark { offset, leader_epoch: self.view.leader_epoch })
    }

    /// As [`Self::readable_end`], for a reader that may believe in a leader epoch and wants to be fenced (KIP-320).
    ///
    /// # Errors
    /// When this replica does not lead, or the reader believes in another leader epoch.
    pub fn readable_by(&self, believed: Option<LeaderEpoch>) -> Result<VisibleHighWatermark, Refusal> {
        let (given, known) = (believed.unwrap_or(self.view.leader_epoch), self.view.leader_epoch);
        if given < known {
            return Err(Refusal::FencedLeaderEpoch { given, known });
        }
        if given > known {
            return Err(Refusal::UnknownLeaderEpoch { given, known });
        }
        self.readable_end()
    }

    /// How far another replica's log reaches by its last fetch in this leader epoch, exclusive; for people to read.
    #[must_use]
    pub fn follower_end(&self, follower: ReplicaIdx) -> Option<Offset> {
        let lead = self.lead().ok()?;
        lead.progress(follower).map(|progress| progress.end)
    }

    /// What another replica has synced by its last fetch in this leader epoch and what amended it, exclusive; for people
    /// to read.
    #[must_use]
    pub fn follower_durable_end(&self, follower: ReplicaIdx) -> Option<Offset> {
        let lead = self.lead().ok()?;
        lead.progress(follower).map(|progress| progress.durable_end)
    }

    /// Whether another replica was caught up less than the lag time ago (R41), if this one leads; for people to read.
    #[must_use]
    pub fn is_caught_up(&self, follower: ReplicaIdx) -> bool {
        self.lead().is_ok_and(|lead| lead.follower(follower).is_some_and(|known| known.caught_up))
    }

    /// The end of the log as plain reads are told it (`latest`), and a coordinator's notion of what is committed (R23).
    ///
    /// # Errors
    /// When this replica does not lead, or its watermark does not yet cover what earlier leaders wrote.
    pub fn latest_end(&self) -> Result<VisibleHighWatermark, Refusal> {
        self.admit_applied_watermark()?;
        self.readable_end()
    }

    pub(super) fn admit_applied_watermark(&self) -> Result<(), Refusal> {
        let leader_epoch_start = self.lead()?.epoch_start;
        let high_watermark = self.high_watermark;
        if high_watermark < leader_epoch_start {
            return Err(Refusal::WatermarkNotApplied { high_watermark, leader_epoch_start });
        }
        Ok(())
    }

    /// R20 to R22. Never goes back within a leader epoch.
    pub(super) fn advance_watermark(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let Some(candidate) = self.watermark_candidate(tenure) else { return };
        let moves_back = candidate < self.high_watermark && self.faults.has(Bug::WatermarkFollowsBack);
        if (candidate > self.high_watermark || moves_back) && self.has_enough_in_sync() {
            self.high_watermark = candidate;
            let leader_epoch = self.view.leader_epoch;
            effects.push(Effect::HighWatermark(VisibleHighWatermark { offset: candidate, leader_epoch }));
        }
    }

    /// R21: counted on the committed ISR, an expansion in flight must not help.
    pub(super) fn has_enough_in_sync(&self) -> bool {
        let on_maximal = self.faults.has(Bug::GateOnMaximalIsr);
        let isr = if on_maximal { self.maximal_isr().unwrap_or_default() } else { self.view.isr };
        isr.count() >= self.min_isr() || self.faults.has(Bug::NoWatermarkGate)
    }

    /// Effective `min.insync.replicas`, from the same record as the ISR (X4).
    pub(super) fn min_isr(&self) -> u8 {
        if self.faults.has(Bug::LaggingMinIsr) { self.min_isr_before } else { self.view.min_isr }
    }

    /// R20: the smallest counted end of the leader itself, of every member of the maximal ISR, and of the eligible
    /// replicas that are about to join (for their sake only, so that they need not chase it).
    fn watermark_candidate(&self, tenure: &Tenure) -> Option<Offset> {
        let lead = self.lead().ok()?;
        let mut candidate = self.log.end();
        for replica in self.waited_for(lead, tenure.own).iter() {
            candidate = candidate.min(self.counted(tenure, lead, replica)?);
        }
        Some(candidate)
    }

    /// The replicas that the high watermark waits for, itself included, if this one leads; for people to read.
    #[must_use]
    pub fn watermark_waits_for(&self) -> Option<IsrSet> {
        Some(self.waited_for(self.lead().ok()?, self.view.leader?))
    }

    fn waited_for(&self, lead: &Leading, own: ReplicaIdx) -> IsrSet {
        let maximal = self.maximal(lead).with(own);
        let joining =
            |replica: &ReplicaIdx| !maximal.contains(*replica) && self.is_waited_for(lead, *replica);
        lead.replicas().filter(joining).fold(maximal, IsrSet::with)
    }

    fn is_waited_for(&self, lead: &Leading, replica: ReplicaIdx) -> bool {
        if self.faults.has(Bug::CommittedIsrOnly) {
            return false;
        }
        lead.follower(replica).is_some_and(|follower| follower.caught_up) && self.is_eligible(lead, replica)
    }

    /// R44: committed union proposed, for the outcome is not known.
    pub(super) fn maximal(&self, lead: &Leading) -> IsrSet {
        let committed = self.view.isr;
        if self.faults.has(Bug::CommittedIsrOnly) {
            return committed;
        }
        let pending = lead.change.pending.as_ref().map(|pending| pending.proposal.isr());
        let proposed = pending.unwrap_or_default();
        if self.faults.has(Bug::EagerShrink) && pending.is_some() && proposed.is_subset(committed) {
            return proposed;
        }
        committed.union(proposed).union(lead.change.unsettled)
    }

    /// What counts as held by a replica: for the own one, what it consumed the completion of (R20, X13).
    pub(super) fn counted(&self, tenure: &Tenure, lead: &Leading, replica: ReplicaIdx) -> Option<Offset> {
        if replica != tenure.own {
            return lead.progress(replica).map(|progress| progress.counted(self.view.flush));
        }
        Some(match self.view.flush {
            FlushPolicy::Commit if self.faults.has(Bug::LeaderCountsOwnUnsynced) => self.log.end(),
            FlushPolicy::Commit => self.log.flushed(),
            FlushPolicy::Os => self.log.written(),
        })
    }
}
