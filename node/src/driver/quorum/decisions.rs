//! The controller's turn: what is committed goes in, decisions come out and go into the log.

use std::sync::Arc;
use std::time::Duration;

use highwater_model::fault::{Faults, Slip};
use highwater_model::id::Offset;
use highwater_model::metadata::{Effect, Input, Record, Timer};
use highwater_model::quorum::{self, ProposalId};

use super::{QuorumDriver, QuorumStopped, records};
use crate::peers::wire::ControllerAnswer;

/// Whether a timer is armed by the very step that put the controller into office.
#[derive(Clone, Copy)]
enum InOffice {
    SinceNow,
    ForSomeTime,
}

impl<F: Faults> QuorumDriver<F> {
    /// Gives the controller everything that waits for it, in order; a placed decision before anything else.
    pub(super) fn settle(&mut self) -> Result<(), QuorumStopped> {
        while let Some(input) = self.placements.pop_front().or_else(|| self.decisions.pop_front()) {
            self.decide(input)?;
        }
        let image = self.controller.committed();
        if self.images.borrow().end() != image.end() {
            self.images.send_replace(Arc::new(image.clone()));
        }
        self.take_snapshot_if_due();
        Ok(())
    }

    fn decide(&mut self, input: Input) -> Result<(), QuorumStopped> {
        let asked = if let Input::Asked { request, .. } = &input { Some(*request) } else { None };
        let in_office =
            if matches!(input, Input::Elected { .. }) { InOffice::SinceNow } else { InOffice::ForSomeTime };
        let mut effects = Vec::new();
        let before = self.image_monitor.before(self.controller.committed(), &input);
        if let Err(refusal) = self.take_by_controller(input, &mut effects) {
            tracing::debug!(?refusal, "the controller refused an input");
            if let Some((request, (_, reply))) =
                asked.and_then(|request| Some((request, self.waiting.commands.remove(&request)?)))
            {
                self.note_turned_away(request);
                drop(reply.send(self.not_controller()));
            }
            return Ok(());
        }
        if let Some(before) = before {
            self.image_monitor.judge(before, self.controller.committed());
        }
        self.slip_in_decisions(&mut effects);
        for effect in effects {
            self.carry_out(effect, in_office)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect, in_office: InOffice) -> Result<(), QuorumStopped> {
        match effect {
            Effect::Append(decision) => {
                if self.slips_now(Slip::DecideTwice) {
                    self.propose(&decision)?;
                }
                self.propose(&decision)?;
            }
            Effect::Reply(reply) => {
                let waiting = self.waiting.commands.remove(&reply.request());
                self.note_answer(reply.request(), reply.answer(), waiting.is_some());
                if let Some((subject, waiting)) = waiting {
                    self.judge_reply(subject, &reply);
                    drop(waiting.send(ControllerAnswer::Decided(reply.into_answer())));
                }
            }
            Effect::Arm(timer) => {
                let at = self.env.now() + self.controller_duration(timer, in_office);
                self.controller_timers.arm(timer, at);
            }
            Effect::Disarm(timer) => self.controller_timers.disarm(timer),
        }
        Ok(())
    }

    /// Puts a decision into the log. Where it ends is the next thing that the controller is told.
    fn propose(&mut self, decision: &[Record]) -> Result<(), QuorumStopped> {
        let id = ProposalId(self.next_id());
        let bytes = records::encode_decision(decision, self.env.wall_ms())?;
        let count = u32::try_from(decision.len()).unwrap_or(u32::MAX);
        let Some(quorum_epoch) = self.controller.active_in() else {
            self.note_decided(None, &bytes);
            self.placements.push_back(Input::NotAppended);
            return Ok(());
        };
        self.note_decided(Some(id), &bytes);
        self.proposed.insert(id, bytes);
        let mut effects = Vec::new();
        let proposal = quorum::Input::Propose { id, quorum_epoch, count };
        if let Err(refusal) = self.take(proposal, &mut effects) {
            tracing::warn!(?refusal, "a decision was not taken into the metadata log; giving up leadership");
            self.proposed.remove(&id);
            self.placements.push_back(Input::NotAppended);
            return self.step(quorum::Input::Resign);
        }
        let end = placed(&effects, id).expect("a proposal that is taken is appended in the same step");
        self.placements.push_back(Input::Appended { end });
        self.answer_before_commit();
        self.apply_before_commit(decision, end);
        self.issue_all(effects)
    }

    /// Everything below `up_to` is committed: the controller is given each batch once, in order.
    pub(super) fn apply(&mut self, up_to: Offset) -> Result<(), QuorumStopped> {
        let quorum_epoch = self.learned_in(self.core.quorum_epoch());
        for batch in self.committed_tail(up_to) {
            self.snapshots.note_committed(batch.len_bytes());
            self.monitor.committed(&batch);
            let records = records::decode_decision(&batch)?;
            self.decisions.push_back(Input::Committed {
                end: batch.header().end_offset(),
                quorum_epoch,
                records,
            });
        }
        Ok(())
    }

    /// How long a timer runs. Brokers turn to a new controller at once, so that one which has not been heard from by
    /// three fifths of a session after the election need not be waited for any longer.
    fn controller_duration(&self, timer: Timer, in_office: InOffice) -> Duration {
        match (timer, in_office) {
            (Timer::Session(_), InOffice::SinceNow) => self.timing.session * 3 / 5,
            (Timer::Session(_), InOffice::ForSomeTime) => self.timing.session,
            (Timer::LeaderRebalance, _) => Duration::from_secs(300),
        }
    }
}

/// Where the batch of this proposal ends.
fn placed(effects: &[quorum::Effect], proposal: ProposalId) -> Option<Offset> {
    effects.iter().find_map(|effect| {
        let quorum::Effect::Append { batches, origin, .. } = effect else { return None };
        let is_its = *origin == quorum::Origin::Proposal(proposal);
        batches.last().filter(|_| is_its).map(quorum::Batch::end)
    })
}
