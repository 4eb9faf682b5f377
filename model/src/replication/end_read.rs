//! Linearizable reads of the log's end (design §5): answered once every member of the maximal ISR has fetched, in this
//! leader epoch, echoing a round that began after the read came. So none of them had taken up a later leader epoch
//! before the read began, and whoever leads next is one of them: nothing can have been acknowledged elsewhere.

use super::leading::WaitingEndRead;
use super::{Effect, Effects, EndOfLog, ReadRound, Refusal, Replica, Tenure};
use crate::fault::Faults;
use crate::id::RequestId;

impl<F: Faults> Replica<F> {
    pub(super) fn on_end_read(&mut self, tenure: &Tenure, request_id: RequestId) -> Result<(), Refusal> {
        self.admit_applied_watermark()?;
        // With too few in sync, a replica that this leader does not count may have been elected (KIP-966).
        if self.view.isr.count() < self.min_isr() {
            return Err(self.not_enough_replicas());
        }
        let Some(lead) = self.lead_mut() else { return Ok(()) };
        if tenure.replica_count() > 1 {
            lead.round = ReadRound(lead.round.0.saturating_add(1));
        }
        lead.end_reads.push(WaitingEndRead { request_id, round: lead.round });
        Ok(())
    }

    pub(super) fn answer_end_reads(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let Some(echoed) = self.echoed_round(tenure) else { return };
        let (offset, leader_epoch) = (self.high_watermark, self.view.leader_epoch);
        let Some(lead) = self.lead_mut() else { return };
        let ready = lead.end_reads.partition_point(|read| read.round <= echoed);
        for WaitingEndRead { request_id, .. } in lead.end_reads.drain(..ready) {
            effects.push(Effect::EndKnown(EndOfLog { request_id, offset, leader_epoch }));
        }
    }

    /// The last round that every other member of the maximal ISR has echoed.
    fn echoed_round(&self, tenure: &Tenure) -> Option<ReadRound> {
        let lead = self.lead().ok()?;
        if lead.end_reads.is_empty() || self.view.isr.count() < self.min_isr() {
            return None;
        }
        let mut echoed = lead.round;
        for member in self.maximal(lead).without(tenure.own).iter() {
            echoed = echoed.min(lead.progress(member)?.round);
        }
        Some(echoed)
    }
}
