//! Mistakes of the controller's driver that a test can plant (`Slip`), each at its place. In production none of this is
//! compiled to anything.

use highwater_model::fault::{Faults, Slip};
use highwater_model::id::{NodeId, Offset, QuorumEpoch};
use highwater_model::metadata::{CommandRefusal, Effect, Input, Record};

use super::QuorumDriver;
use crate::peers::wire::ControllerAnswer;

/// One chance in so many is taken.
const ONE_IN: u32 = 8;

/// The node that D-24 sends no records.
const DEAF: NodeId = NodeId(3);

impl<F: Faults> QuorumDriver<F> {
    /// Whether this slip is made at this chance.
    pub(super) fn slips_now(&mut self, slip: Slip) -> bool {
        if !self.faults.slips(slip) {
            return false;
        }
        self.chances += 1;
        self.chances.is_multiple_of(ONE_IN)
    }

    /// D-10 and D-12.
    pub(super) fn slip_in_decisions(&mut self, effects: &mut Vec<Effect>) {
        if let Some(at) = effects.iter().position(|effect| matches!(effect, Effect::Reply(_)))
            && self.slips_now(Slip::DropReply)
        {
            drop(effects.remove(at));
        }
        if effects.len() > 1 && self.slips_now(Slip::ReorderDecision) {
            effects.reverse();
        }
    }

    /// D-13: whoever waits is told that it is open, before anything is committed.
    pub(super) fn answer_before_commit(&mut self) {
        if !self.faults.slips(Slip::AnswerBeforeCommit) {
            return;
        }
        let Some((request, (_, waiting))) = self.waiting.commands.pop_last() else { return };
        let answer = Err(CommandRefusal::Deposed);
        self.note_answer(request, &answer, true);
        drop(waiting.send(ControllerAnswer::Decided(answer)));
    }

    /// D-24: whether what was read for this node is forgotten.
    pub(super) fn drops_read(&self, to: NodeId) -> bool {
        self.faults.slips(Slip::DropMetadataReads) && to == DEAF
    }

    /// D-14.
    pub(super) fn apply_before_commit(&mut self, decision: &[Record], end: Offset) {
        if self.faults.slips(Slip::ApplyBeforeCommit) {
            let quorum_epoch = self.core.quorum_epoch();
            self.decisions.push_back(Input::Committed { end, quorum_epoch, records: decision.to_vec() });
        }
    }

    /// D-15: the epoch that a commit is said to be learned in.
    pub(super) fn learned_in(&mut self, quorum_epoch: QuorumEpoch) -> QuorumEpoch {
        if self.slips_now(Slip::OtherOffice) {
            QuorumEpoch(quorum_epoch.0.saturating_sub(1))
        } else {
            quorum_epoch
        }
    }
}
