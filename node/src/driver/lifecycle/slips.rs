//! Mistakes of this driver that a test can plant (`Slip`), each at its place. In production none of this is compiled to
//! anything.

use highwater_model::fault::{Faults, Slip};
use highwater_model::id::{BrokerEpoch, Offset};
use highwater_model::metadata::{BrokerAnswer, LifecycleEffect, LifecycleInput};
use highwater_model::trace::Stands;

use super::LifecycleDriver;

/// One chance in so many is taken.
const ONE_IN: u32 = 4;

impl<F: Faults> LifecycleDriver<F> {
    /// Whether this slip is made at this chance.
    pub(super) fn slips_now(&mut self, slip: Slip) -> bool {
        if !self.parts.faults.slips(slip) {
            return false;
        }
        self.chances += 1;
        self.chances.is_multiple_of(ONE_IN)
    }

    /// D-16 and D-18.
    pub(super) fn slip_in_order(&mut self, effects: &mut Vec<LifecycleEffect>) {
        let sends = |effect: &LifecycleEffect| matches!(effect, LifecycleEffect::Send { .. });
        if let Some(at) = effects.iter().position(sends)
            && self.slips_now(Slip::DropRequest)
        {
            drop(effects.remove(at));
        }
        if effects.len() > 1 && self.slips_now(Slip::ReorderStanding) {
            effects.reverse();
        }
    }

    /// D-19.
    pub(super) fn stand_before_noted(&self, broker_epoch: BrokerEpoch) {
        if self.parts.faults.slips(Slip::StandBeforeNoted) {
            self.stand(Stands::Registered(broker_epoch));
        }
    }

    /// D-20: the answer that is given for this one.
    pub(super) fn passed_off(&mut self, answer: BrokerAnswer) -> BrokerAnswer {
        if self.parts.faults.slips(Slip::AnswerToAnother) {
            self.earlier.replace(answer).unwrap_or(answer)
        } else {
            answer
        }
    }

    /// D-26.
    pub(super) async fn step_after_end(&mut self) {
        if self.parts.faults.slips(Slip::StepAfterEnd) {
            self.step(LifecycleInput::StopAsked).await;
        }
    }

    /// D-21: how far the broker says that it has applied the metadata.
    pub(super) fn reported(&mut self, metadata_offset: Offset) -> Offset {
        if self.slips_now(Slip::AheadOfMetadata) { metadata_offset.after(8) } else { metadata_offset }
    }
}
