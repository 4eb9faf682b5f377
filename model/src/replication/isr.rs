//! The leader proposes to change the ISR, and learns what became of it (R40-R45).

use smallvec::SmallVec;

use super::leading::{IsrChange, Leading, PendingChange};
use super::{
    AlterPartition, AlterPartitionAnswer, AlterPartitionOutcome, Effect, Effects, IsrSet, ProposedMember,
    Refusal, Replica, ReplicaIdx, Tenure, Timer,
};
use crate::fault::{Bug, Faults};
use crate::id::BrokerEpoch;

impl<F: Faults> Replica<F> {
    /// Proposes what is wanted, unless a change is in flight (R40) or was just refused.
    pub(super) fn propose_isr(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let Some(isr) = self.wanted_isr(tenure) else { return };
        self.last_proposal = self.last_proposal.next();
        let request_id = self.last_proposal;
        let Ok(lead) = self.lead() else { return };
        let member = |replica| ProposedMember {
            replica,
            broker_epoch: self.known_broker_epoch(tenure, lead, replica),
        };
        let proposal = AlterPartition {
            request_id,
            broker_epoch: tenure.broker_epoch,
            leader_epoch: self.view.leader_epoch,
            partition_epoch: self.view.partition_epoch,
            members: isr.iter().map(member).collect::<SmallVec<_>>(),
        };
        effects.push(Effect::ProposeIsr(proposal.clone()));
        effects.push(Effect::Arm(Timer::AlterPartitionRetry));
        let Some(lead) = self.lead_mut() else { return };
        lead.change.pending = Some(PendingChange { proposal, behind: false });
    }

    /// Newcomers first, then laggards; then, if refused proposals may have copies under way, the ISR as it is, which
    /// moves the partition epoch and so voids them.
    fn wanted_isr(&self, tenure: &Tenure) -> Option<IsrSet> {
        let lead = self.lead().ok()?;
        if lead.change.pending.is_some() || lead.change.held {
            return None;
        }
        let committed = self.view.isr.with(tenure.own);
        let others = || tenure.others();
        let joined = others()
            .filter(|replica| !committed.contains(*replica) && self.may_join(lead, *replica))
            .fold(committed, IsrSet::with);
        let kept =
            others().filter(|replica| self.is_lagging(lead, *replica)).fold(committed, IsrSet::without);
        if joined != committed {
            Some(joined)
        } else if kept != committed {
            Some(kept)
        } else if !lead.change.unsettled.is_empty() {
            Some(committed)
        } else {
            None
        }
    }

    /// R42. Its progress is of this leader epoch (R30), each further test is needed by itself; that it is caught up
    /// keeps one that just crossed a frozen watermark from being added and dropped for ever (RL9, B-24).
    fn may_join(&self, lead: &Leading, replica: ReplicaIdx) -> bool {
        let Some(progress) = lead.progress(replica) else { return false };
        let counted = progress.counted(self.view.flush);
        let below_start = self.faults.has(Bug::JoinAtStaleHighWatermark);
        let below_watermark = self.faults.has(Bug::NoWatermarkTestOnJoin);
        let caught_up = lead.follower(replica).is_some_and(|known| known.caught_up);
        self.is_eligible(lead, replica)
            && caught_up
            && (counted >= self.high_watermark || below_watermark)
            && (counted >= lead.epoch_start || below_start)
    }

    /// R43.4, as far as this image tells: registered as it fetched, unfenced, not shutting down.
    pub(super) fn is_eligible(&self, lead: &Leading, replica: ReplicaIdx) -> bool {
        let Some(registered) = self.view.replica(replica) else { return false };
        let Some(progress) = lead.progress(replica) else { return false };
        let same_run = registered.broker_epoch == Some(progress.broker_epoch);
        (same_run || self.faults.has(Bug::StaleBrokerEpoch))
            && (registered.eligible || self.faults.has(Bug::FencedReadmitted))
    }

    /// R41: its lag timer has run out and it still does not hold the whole log.
    fn is_lagging(&self, lead: &Leading, replica: ReplicaIdx) -> bool {
        let Some(follower) = lead.follower(replica) else { return false };
        let held = follower.progress.as_ref().map(|progress| progress.counted(self.view.flush));
        !follower.caught_up && held.is_none_or(|held| held < self.log.end())
    }

    fn known_broker_epoch(
        &self,
        tenure: &Tenure,
        lead: &Leading,
        replica: ReplicaIdx,
    ) -> Option<BrokerEpoch> {
        if replica == tenure.own {
            return Some(tenure.broker_epoch);
        }
        if self.faults.has(Bug::StaleBrokerEpoch) {
            return self.view.replica(replica).and_then(|known| known.broker_epoch);
        }
        lead.progress(replica).map(|progress| progress.broker_epoch)
    }

    /// R45.
    pub(super) fn on_alter_partition_answer(
        &mut self,
        answer: AlterPartitionAnswer,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let (leader_epoch, partition_epoch) = (self.view.leader_epoch, self.view.partition_epoch);
        self.lead()?;
        let change = self.lead_mut().map(|lead| &mut lead.change).ok_or(Refusal::StaleAnswer)?;
        let pending = change.pending.as_mut().ok_or(Refusal::StaleAnswer)?;
        if pending.proposal.request_id != answer.request_id || pending.behind {
            return Err(Refusal::StaleAnswer);
        }
        match answer.outcome {
            AlterPartitionOutcome::Applied {
                leader_epoch: now,
                partition_epoch: moved,
                isr,
                min_isr,
                flush,
            } if now == leader_epoch && moved > partition_epoch => {
                *change = IsrChange::default();
                self.view.partition_epoch = moved;
                self.view.isr = isr;
                self.view.min_isr = min_isr;
                self.view.flush = flush;
                self.min_isr_before = min_isr;
                effects.push(Effect::Disarm(Timer::AlterPartitionRetry));
            }
            // The change itself moved the leadership, or this leader is behind: the metadata will tell.
            AlterPartitionOutcome::Applied { .. } | AlterPartitionOutcome::Behind(_) => {
                pending.behind = true;
                effects.push(Effect::Disarm(Timer::AlterPartitionRetry));
            }
            AlterPartitionOutcome::NotApplied => {
                change.unsettled = change.unsettled.union(pending.proposal.isr());
                change.pending = None;
                change.held = true;
                effects.push(Effect::Arm(Timer::AlterPartitionRetry));
            }
        }
        Ok(())
    }

    pub(super) fn on_expired(
        &mut self,
        tenure: &Tenure,
        timer: Timer,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        match timer {
            Timer::FetchRetry => self.fetch_again(tenure, effects),
            Timer::Room => self.try_room(),
            Timer::AlterPartitionRetry => self.propose_again(effects),
            Timer::Lag(replica) => self.on_lag(replica),
        }
    }

    /// Outcome unknown: the identical proposal again (R45). After a refusal: evaluate anew.
    fn propose_again(&mut self, effects: &mut Effects) -> Result<(), Refusal> {
        let (revert, forget) =
            (self.faults.has(Bug::RevertOnTimeout), self.faults.has(Bug::ProposalNotRepeated));
        let change = self.lead_mut().map(|lead| &mut lead.change).ok_or(Refusal::NotArmed)?;
        if !change.has_timer() {
            return Err(Refusal::NotArmed);
        }
        let Some(pending) = &change.pending else {
            change.held = false;
            return Ok(());
        };
        if revert {
            *change = IsrChange { held: true, ..IsrChange::default() };
        } else if !forget {
            effects.push(Effect::ProposeIsr(pending.proposal.clone()));
        }
        effects.push(Effect::Arm(Timer::AlterPartitionRetry));
        Ok(())
    }
}
