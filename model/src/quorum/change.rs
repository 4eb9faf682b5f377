//! Voters: who counts, and changing who does, one at a time (Q9, Q30–Q36).

use super::effect::Effects;
use super::input::{ProposalId, VoterChange};
use super::message::BatchKind;
use super::refusal::Refusal;
use super::state::{Leadership, Quorum, Tenure};
use super::voter::{VoterKey, VoterSet};
use crate::fault::{Bug, Faults};
use crate::id::Offset;

impl<F: Faults> Quorum<F> {
    /// Somebody asks to add or remove a voter. The change takes effect when its record is appended (Q30), and is told when
    /// that is committed, under the new set (Q32).
    pub(super) fn on_voter_change(
        &mut self,
        tenure: &Tenure,
        id: ProposalId,
        change: VoterChange,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let leadership = self.leadership(tenure)?;
        leadership.check_room()?;
        self.check_settled(leadership)?;
        let voters = match change {
            VoterChange::Add(key) => self.with_voter(key)?,
            VoterChange::Remove(key) => self.without_voter(key)?,
        };
        self.append_waiting(id, BatchKind::Voters(voters), 1, effects);
        self.advance_high_watermark(tenure, effects);
        // Of fewer voters a majority may have echoed what waits, and nobody is left to echo anything (QL2).
        if !self.faults.has(Bug::ReadsOutlastChange) {
            self.confirm_reads(tenure, effects);
        }
        Ok(())
    }

    /// A change begins only once the leader's epoch is committed (Q31a, B-31) and no other change is open (Q31b, B-32).
    fn check_settled(&self, leadership: &Leadership) -> Result<(), Refusal> {
        if !leadership.established && !self.faults.has(Bug::ChangeBeforeCommit) {
            return Err(Refusal::NotEstablished { quorum_epoch: self.vote.quorum_epoch });
        }
        let high_watermark = self.high_watermark.unwrap_or(Offset::ZERO);
        let open = self.voters.last_offset().filter(|offset| *offset >= high_watermark);
        match open {
            Some(offset) if !self.faults.has(Bug::TwoChangesAtOnce) => {
                Err(Refusal::ChangeInProgress { offset, high_watermark })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The voters and one more, which has caught up in this epoch (Q31d, Q31e).
    fn with_voter(&self, key: VoterKey) -> Result<VoterSet, Refusal> {
        if let Some(voter) = self.voters.latest().of_node(key.id) {
            return Err(Refusal::AlreadyVoter { voter });
        }
        let progress = self.progress_of(key);
        if !progress.is_some_and(|progress| progress.caught_up) {
            let reached = progress.and_then(|progress| progress.reached);
            let high_watermark = self.high_watermark.unwrap_or(Offset::ZERO);
            return Err(Refusal::NotCaughtUp { key, reached, high_watermark });
        }
        self.voters.latest().with(key)
    }

    /// The voters and one less, which is not the last.
    fn without_voter(&self, key: VoterKey) -> Result<VoterSet, Refusal> {
        let voters = self.voters.latest();
        if !voters.contains(key) {
            return Err(Refusal::NotVoter { key });
        }
        if voters.size() == 1 {
            return Err(Refusal::LastVoter { voter: key });
        }
        Ok(voters.without(key))
    }

    /// A leader that removed itself leads, not counting itself, until that is committed (Q33).
    pub(super) fn leave_if_removed(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let settled = self.voters.last_offset() < self.high_watermark;
        if settled && !self.is_voter(tenure.key) && !self.faults.has(Bug::RemovedLeadsOn) {
            self.resign(tenure, effects);
        }
    }

    /// The voters whose majority elects and commits: the latest set in the log, committed or not (Q9, B-44).
    pub(super) fn deciding_voters(&self) -> &VoterSet {
        if self.faults.has(Bug::VotersOnCommit) {
            return self.voters.at(self.high_watermark.unwrap_or(Offset::ZERO));
        }
        self.voters.latest()
    }

    /// Whether two keys are one replica (Q4, Q36): the same node with the same disk (B-36).
    pub(super) fn same_replica(&self, a: VoterKey, b: VoterKey) -> bool {
        a.id == b.id && (a.directory == b.directory || self.faults.has(Bug::DirectoryIgnored))
    }

    /// Whether a replica votes.
    pub(super) fn is_voter(&self, key: VoterKey) -> bool {
        self.deciding_voters().keys().iter().any(|voter| self.same_replica(*voter, key))
    }

    /// Whether a replica stands for election when it hears of no leader: a voter does, and one that its own log no longer
    /// lists until it knows that to be committed. What it has may be what the others lack, so that nobody could be elected
    /// without it (PHD 4.2.2, QL1); it does not count its own vote.
    pub(super) fn may_stand(&self, key: VoterKey) -> bool {
        let is_open = |offset: &Offset| self.high_watermark.is_none_or(|known| known <= *offset);
        let before = self.voters.last_offset().filter(is_open).map(|offset| self.voters.at(offset));
        let was_voter = |voters: &VoterSet| voters.keys().iter().any(|voter| self.same_replica(*voter, key));
        let waits = !self.faults.has(Bug::RemovedWaits);
        self.is_voter(key) || (waits && before.is_some_and(was_voter))
    }

    /// The voters but this replica.
    pub(super) fn other_voters(&self, tenure: &Tenure) -> impl Iterator<Item = VoterKey> + '_ {
        let own = tenure.key;
        self.asked_voters().filter(move |voter| !self.same_replica(*voter, own))
    }

    /// The bit by which a voter is counted.
    pub(super) fn voter_bit(&self, key: VoterKey) -> Option<u32> {
        let at = self.asked_voters().position(|voter| self.same_replica(voter, key))?;
        u32::try_from(at).ok().and_then(|at| 1_u32.checked_shl(at))
    }

    /// Whose votes count: those of the deciding voters, and of no set before (Q9, B-41a).
    fn asked_voters(&self) -> impl Iterator<Item = VoterKey> + '_ {
        let deciding = self.deciding_voters();
        let before = self.voters.at(Offset::ZERO).keys().iter();
        let before = before.filter(|_| self.faults.has(Bug::VotesOverUnion));
        deciding.keys().iter().chain(before.filter(|voter| !deciding.contains(**voter))).copied()
    }

    /// Whether a voter is among the counted ones.
    pub(super) fn has_bit(&self, counted: u32, key: VoterKey) -> bool {
        self.voter_bit(key).is_some_and(|bit| counted & bit != 0)
    }
}
