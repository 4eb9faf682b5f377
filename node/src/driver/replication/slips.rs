//! Mistakes of this driver that a test can plant (`Slip`), each at its place. In production none of this is compiled to
//! anything.

use highwater_model::fault::{Faults, Slip};
use highwater_model::id::{LogGeneration, Offset, RequestId};
use highwater_model::replication::{Answered, Effect, Input, Message, Timer};
use highwater_model::trace::{Act, How};

use super::{Open, ReplicaDriver};
use crate::log::Flushed;
use crate::trace::edge::Watched;

/// One chance in so many is taken.
const ONE_IN: u32 = 8;

impl<F: Faults> ReplicaDriver<F> {
    /// Whether this slip is made at this chance.
    pub(super) fn slips_now(&mut self, slip: Slip) -> bool {
        if !self.parts.faults.slips(slip) {
            return false;
        }
        self.chances += 1;
        self.chances.is_multiple_of(ONE_IN)
    }

    /// D-01, D-03 and D-22.
    pub(super) fn slip_in_order(&mut self, effects: &mut Vec<Effect>) {
        let sends = |effect: &Effect| matches!(effect, Effect::Send { .. });
        if let Some(at) = effects.iter().position(sends)
            && self.slips_now(Slip::DropEffect)
        {
            drop(effects.remove(at));
        }
        if self.parts.faults.slips(Slip::DropProposal) {
            effects.retain(|effect| !matches!(effect, Effect::ProposeIsr(_)));
        }
        let cuts = |effect: &Effect| matches!(effect, Effect::Truncate { .. } | Effect::RestartLog { .. });
        if effects.len() > 1 && !effects.iter().any(cuts) && self.slips_now(Slip::Reorder) {
            effects.reverse();
        }
    }

    /// D-04.
    pub(super) fn not_awaited(&self, synced: Watched<Flushed>) -> Watched<Flushed> {
        if !self.parts.faults.slips(Slip::BeforeSync) {
            return synced;
        }
        Watched::unrecorded(Flushed { end: self.log.end() })
    }

    /// D-05: the generation that a completion names.
    pub(super) fn named(&mut self, submitted_in: LogGeneration) -> LogGeneration {
        if self.slips_now(Slip::OtherGeneration) { submitted_in.next() } else { submitted_in }
    }

    /// D-06.
    pub(super) fn passed_off(&self, mut message: Message) -> Message {
        if let (true, Message::FetchAnswer(answer), Some(request_id)) =
            (self.parts.faults.slips(Slip::OtherIncarnation), &mut message, self.core.open_fetch())
        {
            let broker_epoch = self.parts.tenure.broker_epoch;
            answer.answered = Answered { request_id, broker_epoch, generation: self.core.generation() };
        }
        message
    }

    /// D-07.
    pub(super) fn answer_early(&mut self, request_id: RequestId, base_offset: Offset) {
        if !self.parts.faults.slips(Slip::AckEarly) {
            return;
        }
        if let Some(Open::Produce(reply, _)) = self.open.remove(&request_id) {
            reply.send(Ok(base_offset));
        }
    }

    /// D-25: whether a cut is taken for done that has failed.
    pub(super) fn goes_on_uncut(&self) -> bool {
        let goes_on = self.parts.faults.slips(Slip::GoOnUncut);
        if goes_on {
            self.trace.did(|| Act::Cut(How::Failed));
        }
        goes_on
    }

    /// D-09 and D-27.
    pub(super) fn invent(&mut self) {
        if self.parts.faults.slips(Slip::ExpireUnarmed) {
            self.timers.report_expired(Timer::Room);
            self.step_or_trace(Input::Expired(Timer::Room));
        }
        if self.parts.faults.slips(Slip::Invent) {
            self.step_or_trace(Input::Expired(Timer::FetchRetry));
        }
    }
}
