//! Carrying out what a replica's core asks for.

use std::time::Duration;

use bytes::Bytes;
use highwater_model::fault::{Faults, Slip};
use highwater_model::id::{LeaderEpoch, LogGeneration, NodeId, Offset, RequestId};
use highwater_model::invariant::Monitor;
use highwater_model::invariant::metadata::accepted_change_is_the_next_one;
use highwater_model::metadata::{self, answer_to_proposal};
use highwater_model::replication::{AlterPartition, Batches, Effect, FetchBody, Message, ReplicaIdx, Timer};
use highwater_model::trace::{Act, READS_MAX};

use super::{Command, Open, ReplicaDriver};
use crate::disk::{Completion, Fault};
use crate::driver::reads::{Progress, Waiting};
use crate::log::Truncated;
use crate::peers::Lane;
use crate::peers::wire::{PeerFrame, ReplicaMessage};

/// How long a proposal that was refused waits before it is made again.
const PROPOSAL_RETRY: Duration = Duration::from_millis(250);
/// How long a follower whose disk is full waits before it fetches again.
const ROOM_RETRY: Duration = Duration::from_secs(1);

impl<F: Faults> ReplicaDriver<F> {
    /// Carries out one effect. Nothing is awaited: what takes time comes back as an input.
    pub(super) fn issue(&mut self, effect: Effect) {
        match effect {
            Effect::AppendLocal { request_id, base_offset, leader_epoch, generation, .. } => {
                self.append_local(request_id, (base_offset, leader_epoch), generation);
            }
            Effect::AppendFetched { batches, generation, .. } => {
                let wanted = self.fetched(&batches);
                let written = self.log.append(&wanted);
                self.monitor.appended(&wanted);
                self.writes.push(written, generation);
            }
            Effect::Truncate { to, generation } => {
                if self.goes_on_uncut() {
                    return;
                }
                let cut = self.log.truncate(to);
                self.monitor.cut(to, generation);
                self.after_cut(cut, to);
            }
            Effect::RestartLog { at, generation } => {
                let cut = self.log.restart_at(at);
                self.monitor.restarted(at, generation);
                self.after_cut(cut, at);
            }
            Effect::TrimLog { to } => {
                self.monitor.trimmed(to, self.log.end());
                if let Err(fault) = self.log.trim(to) {
                    self.fail(&fault);
                }
            }
            Effect::Sync { generation, .. } => {
                let synced = self.log.sync();
                let synced = self.not_awaited(synced);
                self.syncs.push(synced, generation);
            }
            Effect::Send { to, message } => self.send(to, message),
            Effect::ProposeIsr(proposal) => self.propose(proposal),
            Effect::Acknowledge(acknowledgement) => {
                self.deadlines.disarm(acknowledgement.request_id());
                match self.open.remove(&acknowledgement.request_id()) {
                    Some(Open::Produce(reply, acks)) => {
                        self.judge_acknowledgement(acknowledgement.base_offset(), acks);
                        reply.send(Ok(acknowledgement.base_offset()));
                    }
                    _ => self.told_nobody(acknowledgement.request_id()),
                }
            }
            Effect::Refuse { request_id, refusal } => {
                self.deadlines.disarm(request_id);
                let error = self.explained(&refusal);
                match self.open.remove(&request_id) {
                    Some(open) => open.refuse(error),
                    None => self.told_nobody(request_id),
                }
            }
            Effect::EndKnown(end) => {
                self.deadlines.disarm(end.request_id());
                match self.open.remove(&end.request_id()) {
                    Some(Open::EndRead(reply)) => reply.send(Ok((end.offset(), end.leader_epoch()))),
                    _ => self.told_nobody(end.request_id()),
                }
            }
            Effect::HighWatermark(_) => self.wake_readers(),
            // The checkpointed high watermark would be a hint alone (R63), and none is kept.
            Effect::FollowerHighWatermark(_) => {}
            Effect::Arm(timer) => {
                let at = self.parts.env.now() + self.duration(timer);
                self.timers.arm(timer, at);
            }
            Effect::Disarm(timer) => self.timers.disarm(timer),
        }
    }

    /// Appends the batch of the produce that the core has taken in this step.
    fn append_local(
        &mut self,
        request_id: RequestId,
        (base_offset, leader_epoch): (Offset, LeaderEpoch),
        generation: LogGeneration,
    ) {
        let (produced, batch) =
            self.produced.take().expect("a produce is appended in the step that takes it");
        assert_eq!(produced, request_id, "the batch at hand is the one of the produce that is appended");
        let batch = batch.stamped(base_offset, leader_epoch.0, None);
        let written = self.log.append(std::slice::from_ref(&batch));
        self.monitor.appended(std::slice::from_ref(&batch));
        self.writes.push(written, generation);
        self.answer_early(request_id, base_offset);
    }

    /// The batches that the core wants of those that came with the message.
    fn fetched(&mut self, wanted: &Batches) -> Vec<highwater_transport::batch::Batch> {
        let is_wanted = |offset: Offset| wanted.iter().any(|batch| batch.base_offset == offset);
        let attached = std::mem::take(&mut self.attached);
        attached.into_iter().filter(|batch| is_wanted(batch.header().base_offset)).collect()
    }

    /// A cut is done when the call returns; the log must end where the core believes that it does. A peer that names an
    /// offset at which no batch ends has another log than it says, and the replica can go no further with it: it is
    /// taken out before it can speak of a log that it does not have. Its disk is sound, and its neighbours go on.
    fn after_cut(&mut self, cut: Completion<Truncated>, to: Offset) {
        match cut.now() {
            Ok(Ok(truncated)) if truncated.end == to => {}
            Ok(Ok(truncated)) => self.retire(&format!("its log ends at {}, not at {to}", truncated.end)),
            Ok(Err(fault @ Fault::WithinBatch { .. })) => self.retire(&fault.to_string()),
            Ok(Err(fault)) => self.fail(&fault),
            Err(_) => self.fail(&Fault::Gone),
        }
    }

    fn send(&mut self, to: ReplicaIdx, message: Message) {
        let Some(node) = self.parts.tenure.replicas.get(usize::from(to.0)).copied() else { return };
        let wrapped = ReplicaMessage { partition: self.parts.tenure.partition, message };
        match message {
            Message::FetchAnswer(answer) => match answer.body {
                FetchBody::Records { from, end } if self.sends.count(node) >= READS_MAX => {
                    self.trace.did(|| Act::Unread { to: node, from, end });
                    if let Some(count) = self.sends.note_dropped(self.parts.env.now()) {
                        let partition = self.parts.tenure.partition;
                        tracing::warn!(%partition, to = %node, count, "dropped answers: reading the log takes too long");
                    }
                }
                FetchBody::Records { from, end } => {
                    let bytes_max = self.portions.next(node, from);
                    self.trace.did(|| Act::Reading { to: node, from, end });
                    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
                    let read = Progress::begin(self.log.read(from, bytes_max, end));
                    let (cuts, range) = (self.log.cuts(), (from, end));
                    self.sends.push(Waiting { to: node, cuts, range, message: wrapped, read });
                }
                FetchBody::Diverging(_) | FetchBody::OutOfRange => self.hand_over(node, &wrapped, Vec::new()),
            },
            Message::Fetch(_) | Message::Progress(_) => self.hand_over(node, &wrapped, Vec::new()),
        }
    }

    pub(super) fn send_records(&mut self, bytes: Bytes, to: NodeId, message: &ReplicaMessage) {
        let payload = if bytes.is_empty() { Vec::new() } else { vec![bytes] };
        self.hand_over(to, message, payload);
    }

    fn hand_over(&mut self, to: NodeId, message: &ReplicaMessage, payload: Vec<Bytes>) {
        if self.slips_now(Slip::AddAct) {
            let again = PeerFrame::replication(message, payload.clone());
            self.parts.peers.send(to, Lane::Data, again, &self.trace);
        }
        self.parts.peers.send(to, Lane::Data, PeerFrame::replication(message, payload), &self.trace);
    }

    /// Asks the active controller, aside. An unknown outcome is no answer: the core's timer asks again (R45).
    fn propose(&self, proposal: AlterPartition) {
        let (controller, timeout) = (self.parts.controller.clone(), self.parts.timing.request);
        let request_id = proposal.request_id;
        let tenure = &self.parts.tenure;
        let Some(node) = tenure.replicas.get(usize::from(tenure.own.0)).copied() else { return };
        let (own, trace, monitor) = (self.own.clone(), self.trace.clone(), self.monitor.aside());
        trace.did(|| Act::Proposed(proposal.clone()));
        let proposed = monitor.is_on().then(|| proposal.clone());
        let command = metadata::Command::AlterPartition { node, partition: tenure.partition, proposal };
        let asking = async move {
            let Ok(answer) = controller.decide_once(command, timeout).await else { return };
            let Some(answer) = answer_to_proposal(request_id, &answer) else { return };
            trace.did(|| Act::ProposalAnswered(answer));
            if let Some(proposed) = &proposed {
                monitor.check(Monitor::AcceptedChangeIsTheNextOne, || {
                    accepted_change_is_the_next_one(proposed, &answer)
                });
            }
            if let Some(own) = own.upgrade() {
                drop(own.send(Command::ProposalAnswered(answer)).await);
            }
        };
        drop(self.parts.env.spawn("propose an ISR", asking));
    }

    fn duration(&self, timer: Timer) -> Duration {
        match timer {
            Timer::FetchRetry => self.parts.timing.replica_retry,
            Timer::AlterPartitionRetry => PROPOSAL_RETRY,
            Timer::Room => ROOM_RETRY,
            Timer::Lag(_) => self.parts.timing.replica_lag_max,
        }
    }
}
