//! What is committed: counting durable ends, and telling whoever waits (Q13–Q15, Q20).

use alloc::vec;
use smallvec::SmallVec;

use super::effect::{Effect, Effects, Origin};
use super::input::ProposalId;
use super::message::{Batch, BatchKind, Body};
use super::refusal::Refusal;
use super::state::{Leadership, Quorum, Role, Tenure, Waiting};
use super::token::Commitment;
use crate::fault::{Bug, Faults};
use crate::id::{LogGeneration, Offset, QuorumEpoch};

/// The most proposals, and the most reads, that wait at a leader.
pub(super) const WAITING_MAX: u32 = 16 * 1024;

impl<F: Faults> Quorum<F> {
    /// A majority voted for this replica: it leads, and at once writes a record of its own epoch, so that everything
    /// before it can be committed (Q14).
    pub(super) fn win(&mut self, tenure: &Tenure, effects: &mut Effects) {
        assert!(self.vote.voted_for == Some(tenure.key), "a leader has voted for itself");
        self.become_leader(tenure, effects);
        if !self.faults.has(Bug::NoLeaderChangeRecord) {
            self.append(BatchKind::LeaderChange, 1, Origin::Control, effects);
        }
        self.announce(tenure, effects);
        self.advance_high_watermark(tenure, effects);
    }

    /// Tells every voter that has no fetch waiting here who leads: it may not know, or may have restarted.
    pub(super) fn announce(&self, tenure: &Tenure, effects: &mut Effects) {
        for voter in self.other_voters(tenure) {
            if self.progress_of(voter).is_none_or(|progress| progress.parked.is_none()) {
                self.send(tenure, voter.id, Body::BeginQuorum, effects);
            }
        }
    }

    /// Appends one batch of this leader's epoch; it ends at the new log end.
    pub(super) fn append(&mut self, kind: BatchKind, count: u32, origin: Origin, effects: &mut Effects) {
        let batch = Batch { base_offset: self.log.end(), count, quorum_epoch: self.vote.quorum_epoch, kind };
        self.log.append(batch.quorum_epoch, u64::from(count));
        if let BatchKind::Voters(voters) = &batch.kind {
            self.voters.append(batch.base_offset, voters.clone());
        }
        let generation = self.log.generation();
        effects.push(Effect::Append { batches: vec![batch], origin, generation });
        effects.push(Effect::Sync { end: self.log.end(), generation });
    }

    /// The state machine proposes a batch (Q57).
    pub(super) fn on_proposed(
        &mut self,
        tenure: &Tenure,
        (id, quorum_epoch): (ProposalId, QuorumEpoch),
        count: u32,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let leadership = self.leadership(tenure)?;
        if quorum_epoch != self.vote.quorum_epoch {
            return Err(Refusal::WrongEpoch { theirs: quorum_epoch, ours: self.vote.quorum_epoch });
        }
        if !leadership.established {
            return Err(Refusal::NotEstablished { quorum_epoch });
        }
        if count == 0 {
            return Err(Refusal::EmptyProposal);
        }
        leadership.check_room()?;
        self.append_waiting(id, BatchKind::Data, count, effects);
        Ok(())
    }

    /// Appends a batch whose proposer waits for its commit.
    pub(super) fn append_waiting(
        &mut self,
        id: ProposalId,
        kind: BatchKind,
        count: u32,
        effects: &mut Effects,
    ) {
        let base_offset = self.log.end();
        let origin = if kind == BatchKind::Data { Origin::Proposal(id) } else { Origin::Control };
        self.append(kind, count, origin, effects);
        let end = self.log.end();
        if let Role::Leader(leadership) = &mut self.role {
            leadership.proposals.push(Waiting { id, base_offset, end });
        }
    }

    /// A write completed: a leader may serve it from here on.
    pub(super) fn on_written(
        &mut self,
        tenure: &Tenure,
        (end, generation): (Offset, LogGeneration),
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if !self.log.on_written(end, generation) {
            return Err(Refusal::StaleCompletion { end });
        }
        self.advance_high_watermark(tenure, effects);
        self.serve_parked(tenure, effects);
        Ok(())
    }

    /// A sync completed: a leader may count it (Q20b), anyone else may fetch on (Q20a).
    pub(super) fn on_flushed(
        &mut self,
        tenure: &Tenure,
        (end, generation): (Offset, LogGeneration),
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let counted = if self.faults.has(Bug::FlushIgnoresGeneration) {
            self.log.on_flushed(end.min(self.log.end()), self.log.generation())
        } else {
            self.log.on_flushed(end, generation)
        };
        if !counted {
            return Err(Refusal::StaleCompletion { end });
        }
        self.serve_parked(tenure, effects);
        self.advance_high_watermark(tenure, effects);
        self.try_fetch(tenure, effects);
        Ok(())
    }

    /// Moves the high watermark of a leader to what a majority of the voters holds durably, if that covers a record of its
    /// own epoch (Q13), and tells whoever waits for it.
    pub(super) fn advance_high_watermark(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        let reached = self.majority_end(tenure);
        let own_epoch = reached > leadership.epoch_start;
        let news = self.high_watermark.is_none_or(|known| known < reached);
        if !news || (!own_epoch && !self.faults.has(Bug::CommitOldEpoch)) {
            return;
        }
        self.raise_high_watermark(reached, effects);
        self.tell_committed(own_epoch, effects);
        self.leave_if_removed(tenure, effects);
        self.serve_parked(tenure, effects);
    }

    /// The offset below which a majority of the voters holds everything durably; the own log counts up to its flushed end.
    fn majority_end(&self, tenure: &Tenure) -> Offset {
        let own = self.own_end();
        let voters = self.deciding_voters();
        let mut ends: SmallVec<[Offset; 4]> = voters
            .keys()
            .iter()
            .map(|voter| if self.same_replica(*voter, tenure.key) { own } else { self.reached_by(*voter) })
            .collect();
        if self.faults.has(Bug::ObserversCount) {
            let observers = self.progress().filter(|replica| !replica.is_voter);
            ends.extend(observers.map(|replica| replica.reached.unwrap_or(Offset::ZERO)));
        }
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let last = usize::try_from(voters.majority() - 1).expect("a majority is a small number");
        ends.get(last).copied().unwrap_or(Offset::ZERO)
    }

    /// How far a leader counts its own log: as far as it is durable (Q20b, B-35).
    fn own_end(&self) -> Offset {
        if let Role::Leader(leadership) = &self.role
            && self.faults.has(Bug::LeaderCountsItselfOnce)
        {
            return self.log.flushed().min(leadership.epoch_start.after(1));
        }
        if self.faults.has(Bug::LeaderCountsUnsynced) { self.log.end() } else { self.log.flushed() }
    }

    /// Answers the proposals that are committed, and says so when the first record of this epoch is.
    fn tell_committed(&mut self, own_epoch: bool, effects: &mut Effects) {
        let (high_watermark, quorum_epoch) = (self.high_watermark, self.vote.quorum_epoch);
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let done =
            leadership.proposals.iter().take_while(|waiting| Some(waiting.end) <= high_watermark).count();
        for Waiting { id, base_offset, end } in leadership.proposals.drain(..done) {
            effects.push(Effect::ProposalCommitted(Commitment { id, base_offset, end }));
        }
        if own_epoch && !leadership.established {
            leadership.established = true;
            effects.push(Effect::LeadershipEstablished { quorum_epoch });
        }
    }

    /// The leadership, of a replica that leads.
    pub(super) fn leadership(&self, tenure: &Tenure) -> Result<&Leadership, Refusal> {
        match &self.role {
            Role::Leader(leadership) => Ok(leadership),
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Resigned => {
                Err(Refusal::NotLeader { leader: self.leader(tenure), quorum_epoch: self.vote.quorum_epoch })
            }
        }
    }
}

impl Leadership {
    /// Refuses when so many wait already that one more may not.
    pub(super) fn check_room(&self) -> Result<(), Refusal> {
        let waiting = self.proposals.len().max(self.reads.len());
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        if waiting < WAITING_MAX { Ok(()) } else { Err(Refusal::Overloaded { waiting }) }
    }
}
