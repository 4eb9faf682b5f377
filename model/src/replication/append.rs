//! A leader takes records from clients, and any replica hears that its writes and syncs are done (R1-R3, X13).

use super::leading::WaitingProduce;
use super::producer::Decision;
use super::{
    Acknowledgement, BatchSummary, Effect, Effects, FlushPolicy, IsrSet, OFFSET_MAX, Refusal, Replica,
};
use crate::api::Acks;
use crate::fault::{Bug, Faults};
use crate::id::{LogGeneration, Offset, RequestId};

impl<F: Faults> Replica<F> {
    pub(super) fn on_produce(
        &mut self,
        acks: Acks,
        request_id: RequestId,
        batch: BatchSummary,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        self.lead()?;
        self.admit_batch(&batch)?;
        self.admit_acks(acks)?;
        let (base_offset, end, early) = match self.producers.decide(&batch)? {
            Decision::Append => self.append(request_id, batch, effects),
            // R71: a duplicate waits for the watermark too, its first copy may still be cut away.
            Decision::Duplicate { base_offset, end } => (base_offset, end, Bug::DuplicateAckedEarly),
        };
        if acks == Acks::All && self.faults.has(early) {
            effects.push(Effect::Acknowledge(Acknowledgement { request_id, base_offset }));
            return Ok(());
        }
        self.wait(acks, WaitingProduce { request_id, base_offset, end });
        Ok(())
    }

    fn admit_batch(&self, batch: &BatchSummary) -> Result<(), Refusal> {
        let end = self.log.end().0.checked_add(u64::from(batch.count));
        let fits = end.is_some_and(|end| end <= OFFSET_MAX.0);
        if batch.count == 0 || !fits || !batch.sequences_fit() {
            return Err(Refusal::MalformedBatch);
        }
        Ok(())
    }

    /// R2: on the committed ISR, before anything is written.
    fn admit_acks(&self, acks: Acks) -> Result<(), Refusal> {
        if acks == Acks::All && self.view.isr.count() < self.min_isr() {
            return Err(self.not_enough_replicas());
        }
        Ok(())
    }

    pub(super) fn not_enough_replicas(&self) -> Refusal {
        let all = IsrSet::first(u8::try_from(self.view.replicas.len()).unwrap_or(super::REPLICAS_MAX));
        let isr = self.view.isr;
        Refusal::NotEnoughReplicas { isr, min_isr: self.min_isr(), missing: all.minus(isr) }
    }

    fn append(
        &mut self,
        request_id: RequestId,
        batch: BatchSummary,
        effects: &mut Effects,
    ) -> (Offset, Offset, Bug) {
        let (base_offset, leader_epoch) = (self.log.end(), self.view.leader_epoch);
        let batch = BatchSummary { base_offset, leader_epoch, ..batch };
        let end = batch.end();
        self.log.append(leader_epoch, u64::from(batch.count));
        if !self.faults.has(Bug::NoProducerWindow) {
            self.producers.note(&batch, self.high_watermark);
        }
        let generation = self.log.generation();
        effects.push(Effect::AppendLocal { request_id, base_offset, end, leader_epoch, generation });
        (base_offset, end, Bug::AckAtLeaderAppend)
    }

    fn wait(&mut self, acks: Acks, wait: WaitingProduce) {
        let Some(lead) = self.lead_mut() else { return };
        let waiting = match acks {
            Acks::None => return,
            Acks::Leader => &mut lead.for_local,
            Acks::All => &mut lead.for_commit,
        };
        let at = waiting.partition_point(|other| other.end <= wait.end);
        waiting.insert(at, wait);
    }

    pub(super) fn on_written(&mut self, end: Offset, generation: LogGeneration) -> Result<(), Refusal> {
        if self.log.on_written(end, generation) { Ok(()) } else { Err(Refusal::StaleCompletion) }
    }

    pub(super) fn on_flushed(&mut self, end: Offset, generation: LogGeneration) -> Result<(), Refusal> {
        let any_generation = self.faults.has(Bug::FlushIgnoresGeneration);
        let generation = if any_generation { self.log.generation() } else { generation };
        if !self.log.on_flushed(end, generation) {
            return Err(Refusal::StaleCompletion);
        }
        if self.syncing.is_some_and(|up_to| up_to <= end) {
            self.syncing = None;
        }
        Ok(())
    }

    /// Under `flush=commit` one sync at a time covers whatever was written meanwhile: the group commit.
    pub(super) fn sync_if_needed(&mut self, effects: &mut Effects) {
        let up_to = self.log.written();
        let is_behind = up_to > self.log.flushed() || self.faults.has(Bug::SyncsForNothing);
        let due = self.view.flush == FlushPolicy::Commit && is_behind;
        if due && self.syncing.is_none() {
            self.syncing = Some(up_to);
            effects.push(Effect::Sync { up_to, generation: self.log.generation() });
        }
    }
}
