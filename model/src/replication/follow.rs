//! A follower fetches, cuts what parts from the leader's log, and appends (R10, R13-R16, R33, R34).

use serde::{Deserialize, Serialize};

use super::producer::Producers;
use super::state::Role;
use super::{
    Answered, BatchSummary, Batches, Effect, Effects, Fetch, FetchAnswer, FetchBody, FlushPolicy, Message,
    OFFSET_MAX, Progress, ReadRound, Refusal, Replica, ReplicaIdx, Tenure, Timer,
};
use crate::fault::{Bug, Faults};
use crate::id::{LeaderEpoch, Offset, RequestId};
use crate::log::EpochEnd;

/// State of a follower in one leader epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Following {
    pub(super) leader: ReplicaIdx,
    /// Id of the last fetch, or of the next one while none is open. Ids begin anew in each leader epoch, which fences
    /// them, and advance with the log: how records came in batches makes no difference to a state.
    pub(super) request_id: RequestId,
    /// Whether that fetch is without an answer. It is repeated as it was, but for the durable end.
    pub(super) open: bool,
    /// The durable end that the leader was told with it.
    pub(super) told: Offset,
    /// The last round that the leader announced.
    pub(super) round: ReadRound,
    /// Whether it fetches nothing because its last write found no room.
    pub(super) lacks_room: bool,
}

impl Following {
    pub(super) fn begin(leader: ReplicaIdx) -> Self {
        let (request_id, round) = (RequestId(1), ReadRound::default());
        Self { leader, request_id, open: false, told: Offset::ZERO, round, lacks_room: false }
    }

    /// The fetch without an answer, if there is one.
    pub(super) fn open_fetch(&self) -> Option<RequestId> {
        self.open.then_some(self.request_id)
    }
}

impl<F: Faults> Replica<F> {
    fn following(&self) -> Result<&Following, Refusal> {
        match &self.role {
            Role::Following(following) => Ok(following),
            Role::Idle | Role::Leading(_) => Err(Refusal::StaleAnswer),
        }
    }

    pub(super) fn following_mut(&mut self) -> Option<&mut Following> {
        match &mut self.role {
            Role::Following(following) => Some(following),
            Role::Idle | Role::Leading(_) => None,
        }
    }

    /// Asks for more as soon as everything is written that the own log has: so the fetch offset is a promise that
    /// outlives the process (X10). A sync that ends later is told by itself.
    pub(super) fn fetch_if_needed(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let durable_end = self.durable_end();
        let commit = self.view.flush == FlushPolicy::Commit;
        let Ok(&Following { leader, request_id, open, told, lacks_room, .. }) = self.following() else {
            return;
        };
        if !open {
            if self.log.written() == self.log.end() && !lacks_room {
                self.send_fetch(tenure, effects);
            }
        } else if commit && durable_end > told {
            let (leader_epoch, broker_epoch) = (self.view.leader_epoch, tenure.broker_epoch);
            let progress = Progress { leader_epoch, broker_epoch, request_id, durable_end };
            effects.push(Effect::Send { to: leader, message: Message::Progress(progress) });
            if let Some(following) = self.following_mut() {
                following.told = durable_end;
            }
        }
    }

    /// The link is new, or the answer is late: the same fetch again.
    pub(super) fn fetch_again(&mut self, tenure: &Tenure, effects: &mut Effects) -> Result<(), Refusal> {
        if self.following().ok().and_then(Following::open_fetch).is_none() {
            return Err(Refusal::NotArmed);
        }
        if !self.faults.has(Bug::FetchNotRepeated) {
            self.send_fetch(tenure, effects);
        }
        Ok(())
    }

    fn send_fetch(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let durable_end = self.durable_end();
        let Some(following) = self.following_mut() else { return };
        following.open = true;
        following.told = durable_end;
        let Following { leader: to, request_id, round, .. } = *following;
        let fetch = Fetch {
            leader_epoch: self.view.leader_epoch,
            broker_epoch: tenure.broker_epoch,
            request_id,
            generation: self.log.generation(),
            fetch_offset: self.log.end(),
            durable_end,
            last_epoch: self.log.last_epoch(),
            log_start: self.log.start(),
            round,
        };
        effects.push(Effect::Send { to, message: Message::Fetch(fetch) });
        effects.push(Effect::Arm(Timer::FetchRetry));
    }

    fn durable_end(&self) -> Offset {
        let unsynced_too = self.faults.has(Bug::FollowerCountsUnsynced);
        if unsynced_too { self.log.end() } else { self.log.flushed() }
    }

    /// R13, before anything else: leader epoch, own incarnation, request, log generation.
    pub(super) fn admit_answer(
        &self,
        tenure: &Tenure,
        from: ReplicaIdx,
        answer: &FetchAnswer,
    ) -> Result<(), Refusal> {
        let following = self.following()?;
        let (given, known) = (answer.leader_epoch, self.view.leader_epoch);
        if given < known {
            return Err(Refusal::FencedLeaderEpoch { given, known });
        }
        if given > known {
            return Err(Refusal::UnknownLeaderEpoch { given, known });
        }
        let Answered { request_id, broker_epoch: given, generation } = answer.answered;
        let known = tenure.broker_epoch;
        if given != known && !self.faults.has(Bug::StaleResponse) {
            return Err(Refusal::StaleBrokerEpoch { given, known });
        }
        let waited_for = following.leader == from && following.open_fetch() == Some(request_id);
        if !waited_for || generation != self.log.generation() {
            return Err(Refusal::StaleAnswer);
        }
        Ok(())
    }

    /// R14: cut or append, then the watermark, then the log start.
    pub(super) fn on_fetch_answer(
        &mut self,
        answer: &FetchAnswer,
        batches: Batches,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let before = self.log.end();
        match answer.body {
            FetchBody::Records { from, end } => {
                self.admit_batches(from, end, &batches)?;
                self.append_fetched(batches, effects);
                self.follow_watermark(answer.high_watermark, effects);
                self.follow_log_start(answer.log_start, effects);
            }
            FetchBody::Diverging(diverging) => {
                if self.faults.has(Bug::WatermarkFromDiverging) {
                    self.follow_watermark(answer.high_watermark, effects);
                }
                self.cut_for(diverging, effects);
            }
            FetchBody::OutOfRange => self.restart_log(answer.log_start, effects)?,
        }
        let advance = self.log.end().since(before).max(1);
        if let Some(following) = self.following_mut() {
            following.open = false;
            following.request_id = RequestId(following.request_id.0.wrapping_add(advance));
            following.round = answer.round;
        }
        Ok(())
    }

    /// The answer continues exactly at the own end (R13), its batches one another, and their epochs never go back.
    fn admit_batches(&self, from: Offset, end: Offset, batches: &[BatchSummary]) -> Result<(), Refusal> {
        if from != self.log.end() {
            return Err(Refusal::StaleAnswer);
        }
        let mut next = from;
        let mut last_epoch = self.log.last_epoch().unwrap_or_default();
        for batch in batches {
            let epochs = last_epoch..=self.view.leader_epoch;
            let limit = end.min(OFFSET_MAX);
            let fits = next.0.checked_add(u64::from(batch.count)).is_some_and(|after| after <= limit.0);
            if batch.count == 0 || batch.base_offset != next || !epochs.contains(&batch.leader_epoch) || !fits
            {
                return Err(Refusal::MalformedMessage);
            }
            next = batch.end();
            last_epoch = batch.leader_epoch;
        }
        Ok(())
    }

    fn append_fetched(&mut self, batches: Batches, effects: &mut Effects) {
        for batch in &batches {
            self.log.append(batch.leader_epoch, u64::from(batch.count));
            if !self.faults.has(Bug::ProducersNotReplicated) {
                self.producers.note(batch, self.high_watermark);
            }
        }
        if !batches.is_empty() {
            let (end, generation) = (self.log.end(), self.log.generation());
            effects.push(Effect::AppendFetched { batches, end, generation });
        }
    }

    /// R15: a lower bound that may go back with another leader, but never below the log's start.
    fn follow_watermark(&mut self, leaders: Offset, effects: &mut Effects) {
        let high_watermark = leaders.min(self.log.end()).max(self.log.start());
        self.set_watermark(high_watermark, effects);
    }

    fn set_watermark(&mut self, high_watermark: Offset, effects: &mut Effects) {
        if self.high_watermark != high_watermark {
            self.high_watermark = high_watermark;
            effects.push(Effect::FollowerHighWatermark(high_watermark));
        }
    }

    /// R33: to where both logs are known to agree; perhaps not yet far enough, then the next answer says so again.
    fn cut_for(&mut self, diverging: EpochEnd<LeaderEpoch>, effects: &mut Effects) {
        let leaders_only = self.faults.has(Bug::TruncateToLeaderEnd);
        let to = if leaders_only { diverging.end } else { self.log.cut_for(diverging) };
        let before = self.high_watermark;
        self.cut(to);
        effects.push(Effect::Truncate { to: self.log.end(), generation: self.log.generation() });
        if self.high_watermark != before {
            effects.push(Effect::FollowerHighWatermark(self.high_watermark));
        }
    }

    /// R16: everything here is below what the leader still has, or there is nothing here.
    fn restart_log(&mut self, at: Offset, effects: &mut Effects) -> Result<(), Refusal> {
        let (start, end) = (self.log.start(), self.log.end());
        let is_below = if start == end { at != start } else { at >= end };
        if at > OFFSET_MAX || !is_below {
            return Err(Refusal::MalformedMessage);
        }
        self.log.restart_at(at);
        self.syncing = None;
        self.producers = Producers::default();
        effects.push(Effect::RestartLog { at, generation: self.log.generation() });
        if !self.faults.has(Bug::WatermarkBelowLogStart) {
            self.set_watermark(at, effects);
        }
        Ok(())
    }

    /// R80: the larger of both, as far as it is committed and synced here.
    fn follow_log_start(&mut self, leaders: Offset, effects: &mut Effects) {
        let to = leaders.min(self.high_watermark).min(self.log.flushed());
        if to > self.log.start() {
            self.log.trim(to);
            effects.push(Effect::TrimLog { to });
        }
    }

    /// R80, on any replica: never above what is committed.
    pub(super) fn on_raise_log_start(&mut self, to: Offset, effects: &mut Effects) -> Result<(), Refusal> {
        let (start, limit) = (self.log.start(), self.high_watermark.min(self.log.flushed()));
        let raised = to.min(limit);
        if raised <= start {
            return Err(Refusal::LogStartOutOfRange { given: to, start, limit });
        }
        self.log.trim(raised);
        effects.push(Effect::TrimLog { to: raised });
        Ok(())
    }
}
