//! The state of a replica, and the step that changes it.

use serde::{Deserialize, Serialize};

use super::follow::Following;
use super::leading::{IsrChangeStage, Leading};
use super::producer::Producers;
use super::{Answered, Effects, Input, IsrSet, Message, PartitionView, Refusal, ReplicaIdx, Tenure};
use crate::fault::{Bug, Faults};
use crate::id::{BrokerEpoch, LeaderEpoch, LogGeneration, Offset, RequestId};
use crate::log::LogShape;

/// What a replica is in the leader epoch of its view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "the checker clones it more often than a broker stores it")]
pub(super) enum Role {
    /// The partition has no leader that this replica knows of.
    #[default]
    Idle,
    Following(Following),
    Leading(Leading),
}

/// One replica of one partition in one incarnation of its broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Replica<F> {
    #[serde(skip)]
    pub(super) faults: F,
    pub(super) log: LogShape<LeaderEpoch>,
    pub(super) high_watermark: Offset,
    /// Where the sync that is outstanding for this log generation ends.
    pub(super) syncing: Option<Offset>,
    pub(super) producers: Producers,
    /// The newest metadata; its ISR may be ahead of its offset by an answered proposal (R45).
    pub(super) view: PartitionView,
    /// `min_isr` of the view before; equals the view's unless B-14 is planted.
    pub(super) min_isr_before: u8,
    pub(super) role: Role,
    /// Id of the last proposal of this incarnation.
    pub(super) last_proposal: RequestId,
}

impl<F: Faults> Replica<F> {
    /// Takes one input. Effects are appended in the order in which they must be issued.
    ///
    /// # Errors
    /// A refusal: the state is as it was, and nothing was appended to `effects`.
    ///
    /// # Panics
    /// When an assertion on the own state fails: a defect of this core, never of an input.
    pub fn step(&mut self, tenure: &Tenure, input: Input, effects: &mut Effects) -> Result<(), Refusal> {
        let isr_before = self.view.isr;
        let wakes = !(self.faults.has(Bug::WrittenWakesNobody) && matches!(input, Input::Written { .. }));
        match input {
            Input::View(view) => self.on_view(tenure, view, effects)?,
            Input::Produce { acks, request_id, batch } => {
                self.on_produce(acks, request_id, batch, effects)?
            }
            Input::RequestExpired { request_id } => self.on_request_expired(tenure, request_id, effects)?,
            Input::Message { from, message, batches } => {
                self.admit_sender(tenure, from)?;
                match message {
                    Message::Fetch(fetch) => self.on_fetch(from, &fetch, effects)?,
                    Message::Progress(progress) => self.on_progress(from, &progress)?,
                    Message::FetchAnswer(answer) => {
                        self.admit_answer(tenure, from, &answer)?;
                        self.on_fetch_answer(&answer, batches, effects)?;
                    }
                }
            }
            Input::Written { end, generation } => self.on_written(end, generation)?,
            Input::WriteFailed { end, generation } => self.on_write_failed(end, generation, effects)?,
            Input::Flushed { end, generation } => self.on_flushed(end, generation)?,
            Input::AlterPartitionAnswered(answer) => self.on_alter_partition_answer(answer, effects)?,
            Input::Expired(timer) => self.on_expired(tenure, timer, effects)?,
            Input::EndRead { request_id } => self.on_end_read(tenure, request_id)?,
            Input::RaiseLogStart { to } => self.on_raise_log_start(to, effects)?,
            Input::ForgetProducer { producer_id } => self.producers.forget(producer_id),
        }
        // R22: whatever changed, evaluate the watermark again.
        let isr_changed = isr_before != self.view.isr;
        let reevaluate = !(isr_changed && self.faults.has(Bug::WatermarkNotReevaluated));
        self.settle(tenure, reevaluate, wakes, effects);
        self.assert_sound();
        Ok(())
    }

    /// Does what has become possible: syncs, the watermark, answers that waited, proposals, the next fetch.
    fn settle(&mut self, tenure: &Tenure, reevaluate: bool, wakes: bool, effects: &mut Effects) {
        self.sync_if_needed(effects);
        match self.role {
            Role::Idle => {}
            Role::Following(_) => self.fetch_if_needed(tenure, effects),
            Role::Leading(_) => {
                self.take_back(tenure);
                if reevaluate {
                    self.advance_watermark(tenure, effects);
                }
                self.acknowledge(effects);
                self.answer_end_reads(tenure, effects);
                if wakes {
                    self.answer_parked(effects);
                }
                self.arm_lag_timers(tenure, effects);
                self.propose_isr(tenure, effects);
            }
        }
    }

    fn admit_sender(&self, tenure: &Tenure, from: ReplicaIdx) -> Result<(), Refusal> {
        let replicas = tenure.replica_count();
        if from == tenure.own || from.0 >= replicas {
            return Err(Refusal::NotAReplica { given: from, replicas });
        }
        Ok(())
    }

    /// Cuts the log and everything derived from it (R31, R35).
    pub(super) fn cut(&mut self, to: Offset) {
        let noop = to >= self.log.end();
        if !(noop && self.faults.has(Bug::EpochSurvivesNoopTruncation)) {
            self.log.truncate(to);
        }
        self.syncing = None;
        self.high_watermark = self.high_watermark.min(self.log.end());
        if !self.faults.has(Bug::ProducersNotTruncated) {
            self.producers.truncate(self.log.end());
        }
    }

    fn assert_sound(&self) {
        self.log.assert_ordered();
        let within = self.log.start() <= self.high_watermark || self.faults.has(Bug::WatermarkBelowLogStart);
        assert!(within, "a log starts within what is committed (R80)");
        assert!(self.high_watermark <= self.log.end(), "a high watermark is within the log (R15)");
        if let Role::Leading(lead) = &self.role {
            assert_eq!(
                self.log.last_epoch(),
                Some(self.view.leader_epoch),
                "a leader has begun its epoch (R30)"
            );
            assert!(lead.epoch_start <= self.log.end(), "a leader's epoch begins within its log");
            assert!(lead.for_commit.is_sorted_by_key(|wait| wait.end), "produces are answered in order");
            let first = lead.for_commit.first();
            assert!(
                first.is_none_or(|wait| wait.end > self.high_watermark),
                "what is committed is acknowledged"
            );
        }
    }

    pub(super) fn lead(&self) -> Result<&Leading, Refusal> {
        match &self.role {
            Role::Leading(lead) => Ok(lead),
            Role::Idle | Role::Following(_) => Err(self.not_leader()),
        }
    }

    pub(super) fn lead_mut(&mut self) -> Option<&mut Leading> {
        match &mut self.role {
            Role::Leading(lead) => Some(lead),
            Role::Idle | Role::Following(_) => None,
        }
    }

    pub(super) fn not_leader(&self) -> Refusal {
        Refusal::NotLeader { leader: self.view.leader, leader_epoch: self.view.leader_epoch }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &LogShape<LeaderEpoch> {
        &self.log
    }

    /// The high watermark, exclusive: for invariants and checkpoints, never for clients (E10).
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The metadata that this replica acts on. Before the first view it names no leader.
    #[must_use]
    pub fn view(&self) -> &PartitionView {
        &self.view
    }

    /// Whether this replica believes that it leads, in the leader epoch of its view.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        matches!(self.role, Role::Leading(_))
    }

    /// Where the leader epoch begins that this replica leads in.
    #[must_use]
    pub fn leader_epoch_start(&self) -> Option<Offset> {
        self.lead().ok().map(|lead| lead.epoch_start)
    }

    /// The generation that completions for the present log name.
    #[must_use]
    pub fn generation(&self) -> LogGeneration {
        self.log.generation()
    }

    /// The fetch of this replica that waits here for something to send, if this one leads.
    #[must_use]
    pub fn parked_fetch(&self, of: ReplicaIdx) -> Option<Answered> {
        self.lead().ok()?.follower(of)?.parked
    }

    /// Incarnation and id of the last valid fetch of this replica, if this one leads.
    #[must_use]
    pub fn last_fetch(&self, of: ReplicaIdx) -> Option<(BrokerEpoch, RequestId)> {
        let progress = self.lead().ok()?.progress(of)?;
        Some((progress.broker_epoch, progress.request_id))
    }

    /// The proposal whose answer would be taken, if this one leads.
    #[must_use]
    pub fn open_proposal(&self) -> Option<RequestId> {
        let pending = self.lead().ok()?.change.pending.as_ref()?;
        (!pending.behind).then_some(pending.proposal.request_id)
    }

    /// What the next proposal of another ISR waits for, if this one leads.
    #[must_use]
    pub fn isr_change_stage(&self) -> Option<IsrChangeStage> {
        self.lead().ok().map(|lead| lead.change.stage())
    }

    /// Whether this replica follows a leader, in the leader epoch of its view.
    #[must_use]
    pub fn is_following(&self) -> bool {
        matches!(self.role, Role::Following(_))
    }

    /// The fetch without an answer, if this one follows.
    #[must_use]
    pub fn open_fetch(&self) -> Option<RequestId> {
        match &self.role {
            Role::Following(following) => following.open_fetch(),
            Role::Idle | Role::Leading(_) => None,
        }
    }

    /// Whether a proposal of another ISR is in flight or refused without being settled.
    #[must_use]
    pub fn is_changing_isr(&self) -> bool {
        self.lead().is_ok_and(|lead| lead.change.pending.is_some() || !lead.change.unsettled.is_empty())
    }

    /// The replicas that may be in the ISR as the controller has it (R44), if this one leads.
    #[must_use]
    pub fn maximal_isr(&self) -> Option<IsrSet> {
        self.lead().ok().map(|lead| self.maximal(lead))
    }
}
