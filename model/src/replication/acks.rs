//! Answering producers: when what they asked for is held, or when they will wait no longer (R2, R3).

use super::leading::{WaitingProduce, WaitingProduces};
use super::{Acknowledgement, Effect, Effects, FlushPolicy, IsrSet, Refusal, Replica, Tenure};
use crate::fault::Faults;
use crate::id::{Offset, RequestId};

impl<F: Faults> Replica<F> {
    /// Acknowledges whatever is held now: by the log of this leader for `acks=1`, by the ISR for `acks=all`.
    pub(super) fn acknowledge(&mut self, effects: &mut Effects) {
        let committed = self.high_watermark;
        let held = match self.view.flush {
            FlushPolicy::Os => self.log.written(),
            FlushPolicy::Commit => self.log.flushed(),
        };
        let Some(lead) = self.lead_mut() else { return };
        acknowledge_up_to(held, &mut lead.for_local, effects);
        acknowledge_up_to(committed, &mut lead.for_commit, effects);
    }

    /// The client waits no longer. What it wrote may still be committed.
    pub(super) fn on_request_expired(
        &mut self,
        tenure: &Tenure,
        request_id: RequestId,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let needed = self.open_request_end(request_id)?;
        let refusal = Refusal::TimedOut {
            high_watermark: self.high_watermark,
            needed,
            missing: self.members_below(tenure, needed),
        };
        if let Some(lead) = self.lead_mut() {
            lead.for_commit.retain(|wait| wait.request_id != request_id);
            lead.for_local.retain(|wait| wait.request_id != request_id);
            lead.end_reads.retain(|wait| wait.request_id != request_id);
        }
        effects.push(Effect::Refuse { request_id, refusal });
        Ok(())
    }

    fn open_request_end(&self, request_id: RequestId) -> Result<Offset, Refusal> {
        let lead = self.lead()?;
        let mut produces = lead.for_commit.iter().chain(&lead.for_local);
        if let Some(found) = produces.find(|wait| wait.request_id == request_id) {
            return Ok(found.end);
        }
        let reads = lead.end_reads.iter().any(|wait| wait.request_id == request_id);
        if reads { Ok(self.high_watermark) } else { Err(Refusal::NoSuchRequest) }
    }

    /// Members of the maximal ISR that are not known to hold the log up to there.
    fn members_below(&self, tenure: &Tenure, needed: Offset) -> IsrSet {
        let Ok(lead) = self.lead() else { return IsrSet::EMPTY };
        let members = self.maximal(lead).iter();
        members.filter(|member| self.counted(tenure, lead, *member).is_none_or(|end| end < needed)).collect()
    }
}

fn acknowledge_up_to(held: Offset, waiting: &mut WaitingProduces, effects: &mut Effects) {
    let ready = waiting.partition_point(|wait| wait.end <= held);
    let token = |WaitingProduce { request_id, base_offset, .. }| Acknowledgement { request_id, base_offset };
    effects.extend(waiting.drain(..ready).map(token).map(Effect::Acknowledge));
}
