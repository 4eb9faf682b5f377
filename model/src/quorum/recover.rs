//! Coming back after a crash, with nothing but what was durable (Q8, X6).

use super::effect::{Effect, Effects, Origin};
use super::input::Vote;
use super::message::{BatchKind, SnapshotId};
use super::state::{Quorum, Recovered, Role, Tenure};
use super::voter::VoterSet;
use crate::fault::{Bug, Faults};
use crate::id::{Offset, QuorumEpoch};

impl<F: Faults> Quorum<F> {
    /// Rebuilds a replica from what was durable. A leader does not lead again in its old epoch (Q8); the only voter of a
    /// quorum stands for election at once.
    pub fn recover(tenure: &Tenure, faults: F, mut recovered: Recovered, effects: &mut Effects) -> Self {
        forget(faults, &mut recovered);
        let snapshot = recovered.snapshot.clone();
        let mut quorum = Self::at_rest(faults, recovered);
        quorum.reconcile(snapshot, effects);
        if quorum.log.flushed() < quorum.log.end() {
            effects.push(Effect::Sync { end: quorum.log.end(), generation: quorum.log.generation() });
        }
        quorum.take_up(tenure, effects);
        quorum.assert_invariants(tenure);
        quorum
    }

    /// Whether a replica may start as itself from what was found on its disk, when that lacks records that were durable: it
    /// may have counted them, so it is another replica now, and needs another directory (X12, B-37).
    #[must_use]
    pub fn may_start(faults: F, lost_durable: bool) -> bool {
        !lost_durable || faults.has(Bug::CorruptTailKeepsVoting)
    }

    /// A crash between publishing a snapshot and restarting the log leaves a log that the snapshot overtook (Q43).
    fn reconcile(&mut self, snapshot: Option<(SnapshotId, VoterSet)>, effects: &mut Effects) {
        let Some((id, voters)) = snapshot else {
            return;
        };
        if !self.goes_on_from(id) {
            return self.restart_log(id, voters, effects);
        }
        self.older = self.older.filter(|older| self.goes_on_from(*older));
        if self.log.start() > Offset::ZERO || self.older.is_some() {
            self.log.trim(self.older.unwrap_or(id).end);
        }
        self.raise_high_watermark(id.end, effects);
    }

    /// Whether the log holds the end of this snapshot, or begins there and continues it.
    fn goes_on_from(&self, id: SnapshotId) -> bool {
        let holds_end = id.end.before().and_then(|last| self.log.epoch_at(last)) == Some(id.quorum_epoch);
        // Records that begin where the snapshot ends continue it only in its epoch or a later one: an older tail parts from it.
        let next = self.log.epoch_at(id.end);
        let continues = self.log.start() == id.end && next.is_none_or(|next| next >= id.quorum_epoch);
        holds_end || continues
    }

    /// Takes up the role that the stored vote allows.
    fn take_up(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let may_have_led = self.vote.voted_for == Some(tenure.key);
        if may_have_led && self.faults.has(Bug::LeaderResumes) {
            self.become_leader(tenure, effects);
            return self.append(BatchKind::LeaderChange, 1, Origin::Control, effects);
        }
        let alone = self.is_voter(tenure.key) && self.deciding_voters().size() == 1;
        if alone {
            self.ask_for_pre_votes(tenure, None, effects);
        } else if may_have_led && self.may_stand(tenure.key) {
            self.enter(tenure, self.vote, Role::Resigned, effects);
        } else {
            self.become_unattached(tenure, self.vote, effects);
            self.probe(tenure, effects);
        }
    }
}

/// Loses what a planted bug loses, and never knows an epoch below its log's (Q2).
fn forget<F: Faults>(faults: F, recovered: &mut Recovered) {
    if faults.has(Bug::VoteForgotten) {
        recovered.vote.voted_for = None;
    }
    if faults.has(Bug::EpochForgotten) {
        recovered.vote = Vote::default();
    }
    let last_epoch: QuorumEpoch = recovered.log.last_epoch().unwrap_or_default();
    if recovered.vote.quorum_epoch < last_epoch {
        recovered.vote = Vote { quorum_epoch: last_epoch, voted_for: None };
    }
}
