//! The follower's side of replication: asking, believing an answer, and truncating (Q10–Q12, Q16, Q20a).

use super::effect::{Effect, Effects, Origin};
use super::input::{Timer, Vote};
use super::message::{Asked, Batch, BatchKind, Body, Fetch, FetchAnswer, Fetched, Message};
use super::refusal::Refusal;
use super::state::{Probing, Quorum, Role, Tenure};
use super::voter::VoterKey;
use crate::fault::{Bug, Faults};
use crate::id::{NodeId, Offset, QuorumEpoch};
use crate::log::EpochEnd;

impl<F: Faults> Quorum<F> {
    /// Asks the leader for what comes next, unless it has been asked already or the own log is not durable to its end:
    /// asking is acknowledging (Q12, Q20a).
    pub(super) fn try_fetch(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let Role::Follower(following) = &self.role else {
            return;
        };
        if following.outstanding.is_some() || following.installing.is_some() || !self.may_acknowledge() {
            return;
        }
        let (leader, round) = (following.leader, following.round);
        let fetch = self.next_fetch(round);
        if let Role::Follower(following) = &mut self.role {
            following.outstanding = Some(fetch.request);
        }
        self.send(tenure, leader.id, Body::Fetch(fetch), effects);
        effects.push(Effect::Arm(Timer::FetchRetry));
    }

    /// Whether everything in the log is durable, and the vote with it (Q20a, B-34).
    fn may_acknowledge(&self) -> bool {
        let flushed = self.log.flushed() == self.log.end() || self.faults.has(Bug::VoterReportsUnsynced);
        flushed && self.may_speak()
    }

    /// A fetch of what follows the log.
    fn next_fetch(&mut self, round: u64) -> Fetch {
        Fetch {
            request: self.next_request(),
            fetch_offset: self.log.end(),
            last_fetched_epoch: self.last_epoch(),
            high_watermark: self.high_watermark,
            round,
        }
    }

    /// A fetch has gone unanswered: it or its answer is lost. Ask again; the late answer will not be believed.
    pub(super) fn on_fetch_retry(&mut self, tenure: &Tenure, effects: &mut Effects) {
        if let Role::Follower(following) = &mut self.role {
            following.outstanding = None;
        }
        self.try_fetch(tenure, effects);
    }

    /// The leader has not answered for long: a voter asks whether it would be elected (Q6), an observer looks for another.
    pub(super) fn on_fetch_timeout(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let Role::Follower(following) = &self.role else {
            return;
        };
        let leader = following.leader;
        if self.may_stand(tenure.key) {
            self.ask_for_pre_votes(tenure, Some(leader), effects);
        } else {
            self.become_unattached(tenure, self.vote, effects);
            self.probe(tenure, effects);
        }
    }

    /// Asks the next voter who leads, by a fetch: whoever leads answers it, anyone else says who does.
    pub(super) fn probe(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let Role::Unattached(probing) = &self.role else {
            return;
        };
        let (asked, to) = self.next_probed(tenure, probing.asked);
        effects.push(Effect::Arm(Timer::Probe));
        let (Some(to), true) = (to, self.may_acknowledge()) else {
            return;
        };
        let fetch = self.next_fetch(0);
        self.role = Role::Unattached(Probing { asked, outstanding: Some(fetch.request) });
        self.send(tenure, to, Body::Fetch(fetch), effects);
    }

    /// The voter to probe after the one with index `asked`, if there is another voter, and its index.
    fn next_probed(&self, tenure: &Tenure, asked: u32) -> (u32, Option<NodeId>) {
        let voters = self.voters.latest();
        let size = voters.size();
        let candidates = (1..=size).map(|step| (asked + step) % size.max(1));
        let key_at = |at: u32| usize::try_from(at).ok().and_then(|at| voters.keys().get(at));
        candidates
            .filter_map(|at| key_at(at).map(|key| (at, key.id)))
            .find(|(_, id)| *id != tenure.key.id)
            .map_or((asked, None), |(at, id)| (at, Some(id)))
    }

    /// A fetch was answered.
    pub(super) fn on_fetch_answer(
        &mut self,
        tenure: &Tenure,
        message: &Message,
        answer: &FetchAnswer,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if message.quorum_epoch > self.vote.quorum_epoch {
            self.advance_epoch(tenure, message.quorum_epoch, effects);
            if let Fetched::Refused { leader: Some(leader) } = answer.fetched {
                self.attach(tenure, leader, effects);
            }
            return Ok(());
        }
        self.check_fetch_answer(tenure, message, answer.asked)?;
        if matches!(self.role, Role::Unattached(_)) {
            self.on_probed(tenure, message.from, &answer.fetched, effects);
            return Ok(());
        }
        match &answer.fetched {
            Fetched::Records { high_watermark, round, batches } => {
                self.on_records(tenure, (*high_watermark, *round), batches, effects)
            }
            Fetched::Diverging(diverging) => self.on_diverging(tenure, *diverging, effects),
            Fetched::Snapshot(id) => self.on_snapshot_offered(*id, effects),
            Fetched::Refused { .. } => {
                self.become_unattached(tenure, self.vote, effects);
                Ok(())
            }
        }
    }

    /// Tests that an answer is to the request that is waited for, of this incarnation, in this epoch (R13).
    fn check_fetch_answer(&self, tenure: &Tenure, message: &Message, asked: Asked) -> Result<(), Refusal> {
        if message.quorum_epoch < self.vote.quorum_epoch {
            return Err(Refusal::StaleEpoch { theirs: message.quorum_epoch, ours: self.vote.quorum_epoch });
        }
        let outstanding = match &self.role {
            Role::Unattached(probing) => probing.outstanding,
            Role::Follower(following) => following.outstanding.filter(|_| following.leader == message.from),
            Role::Prospective(_) | Role::Candidate(_) | Role::Leader(_) | Role::Resigned => None,
        };
        let late = matches!(self.role, Role::Follower(_)) && self.faults.has(Bug::StaleAppendTruncates);
        let waited_for = outstanding == Some(asked.request) || late;
        if waited_for && asked.incarnation == tenure.incarnation {
            Ok(())
        } else {
            Err(Refusal::NotAsked { request: asked.request })
        }
    }

    /// A probe was answered: by the leader, or by one that knows or does not know it.
    fn on_probed(&mut self, tenure: &Tenure, from: VoterKey, fetched: &Fetched, effects: &mut Effects) {
        let leader = match fetched {
            Fetched::Refused { leader } => *leader,
            Fetched::Records { .. } | Fetched::Diverging(_) | Fetched::Snapshot(_) => Some(from),
        };
        if let Role::Unattached(probing) = &mut self.role {
            probing.outstanding = None;
        }
        if let Some(leader) = leader {
            self.attach(tenure, leader, effects);
        }
    }

    /// The leader answered with records: append them, then take its high watermark (Q16).
    fn on_records(
        &mut self,
        tenure: &Tenure,
        (high_watermark, round): (Option<Offset>, u64),
        batches: &[Batch],
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        self.truncate_before_comparing(batches, effects);
        self.check_batches(batches)?;
        self.note_answered(effects);
        if let Role::Follower(following) = &mut self.role {
            following.round = following.round.max(round);
        }
        if !batches.is_empty() {
            self.append_fetched(batches, effects);
            self.retire_early(tenure, effects);
        }
        if let Some(high_watermark) = high_watermark {
            self.raise_high_watermark(high_watermark.min(self.log.end()), effects);
        }
        self.try_fetch(tenure, effects);
        Ok(())
    }

    /// B-38: an answer to an older fetch cuts the log to where it begins, though the log goes on as the leader's does.
    fn truncate_before_comparing(&mut self, batches: &[Batch], effects: &mut Effects) {
        if !self.faults.has(Bug::StaleAppendTruncates) {
            return;
        }
        if let Some(first) = batches.first().filter(|first| first.base_offset < self.log.end()) {
            self.truncate(first.base_offset, effects);
        }
    }

    /// Tests that batches continue the log, gap-free, in epochs that go up to the current one.
    fn check_batches(&self, batches: &[Batch]) -> Result<(), Refusal> {
        let log_end = self.log.end();
        let (mut end, mut last_epoch) = (log_end, self.last_epoch().unwrap_or_default());
        for batch in batches {
            let epochs = last_epoch..=self.vote.quorum_epoch;
            let fits = batch.base_offset == end && batch.count > 0 && epochs.contains(&batch.quorum_epoch);
            if !fits || end.0.checked_add(u64::from(batch.count)).is_none() {
                return Err(Refusal::Discontinuous { at: batch.base_offset, log_end });
            }
            (end, last_epoch) = (batch.end(), batch.quorum_epoch);
        }
        Ok(())
    }

    /// Appends fetched batches; voters records among them take effect at once (Q30).
    fn append_fetched(&mut self, batches: &[Batch], effects: &mut Effects) {
        for batch in batches {
            self.log.append(batch.quorum_epoch, u64::from(batch.count));
            if let BatchKind::Voters(voters) = &batch.kind {
                self.voters.append(batch.base_offset, voters.clone());
            }
        }
        let generation = self.log.generation();
        effects.push(Effect::Append { batches: batches.to_vec(), origin: Origin::Message, generation });
        effects.push(Effect::Sync { end: self.log.end(), generation });
    }

    /// B-41f: a voter that reads of its removal drops its log, though the removal may yet be cut away again (Q33): one that
    /// knows of nothing that is committed, since to forget that would show by itself (QI6).
    fn retire_early(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let knows_nothing = self.high_watermark.unwrap_or_default() == Offset::ZERO;
        if self.faults.has(Bug::RetiresEarly) && !self.is_voter(tenure.key) && knows_nothing {
            self.truncate(Offset::ZERO, effects);
        }
    }

    /// The leader lives and has answered.
    fn note_answered(&mut self, effects: &mut Effects) {
        if let Role::Follower(following) = &mut self.role {
            following.outstanding = None;
            following.fetched = true;
        }
        effects.push(Effect::Disarm(Timer::FetchRetry));
        effects.push(Effect::Arm(Timer::FetchTimeout));
    }

    /// The own log parts from the leader's: cut to the last point that may be shared, and ask again (Q11).
    fn on_diverging(
        &mut self,
        tenure: &Tenure,
        diverging: EpochEnd<QuorumEpoch>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let end = self.log.cut_for(diverging);
        if let Some(high_watermark) = self.high_watermark.filter(|known| end < *known) {
            return Err(Refusal::TruncationBelowHighWatermark { end, high_watermark });
        }
        self.note_answered(effects);
        self.truncate(end, effects);
        self.try_fetch(tenure, effects);
        Ok(())
    }

    /// Cuts the log and the voter sets in it (Q30), and syncs again what is left if a sync that covered it is now void.
    pub(super) fn truncate(&mut self, end: Offset, effects: &mut Effects) {
        self.log.truncate(end);
        self.voters.truncate(end);
        let generation = self.log.generation();
        effects.push(Effect::Truncate { end: self.log.end(), generation });
        if self.log.flushed() < self.log.end() {
            effects.push(Effect::Sync { end: self.log.end(), generation });
        }
    }

    /// A voter says that it leads its epoch.
    pub(super) fn on_begin_quorum(
        &mut self,
        tenure: &Tenure,
        message: &Message,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let (theirs, ours) = (message.quorum_epoch, self.vote.quorum_epoch);
        if theirs < ours {
            return Err(Refusal::StaleEpoch { theirs, ours });
        }
        if theirs > ours {
            self.advance_epoch(tenure, theirs, effects);
        }
        if self.faults.has(Bug::AnnouncedSaysNothing) {
            effects.retain(|effect| !matches!(effect, Effect::LostLeadership { .. }));
        }
        if let Some(known) = self.leader(tenure).filter(|known| *known != message.from) {
            return Err(Refusal::TwoLeaders { quorum_epoch: ours, known, claimant: message.from });
        }
        self.attach(tenure, message.from, effects);
        Ok(())
    }

    /// The leader says that it leads no more: the voter that it names first stands at once, the others wait their turn.
    pub(super) fn on_end_quorum(
        &mut self,
        tenure: &Tenure,
        message: &Message,
        successors: &[VoterKey],
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let (theirs, ours) = (message.quorum_epoch, self.vote.quorum_epoch);
        if theirs < ours {
            return Err(Refusal::StaleEpoch { theirs, ours });
        }
        if theirs == ours && self.leader(tenure) != Some(message.from) {
            return Err(Refusal::NotFollowing { from: message.from });
        }
        let voted_for = if theirs == ours { self.vote.voted_for } else { None };
        self.become_unattached(tenure, Vote { quorum_epoch: theirs, voted_for }, effects);
        if successors.first() == Some(&tenure.key) && self.is_voter(tenure.key) {
            self.ask_for_pre_votes(tenure, None, effects);
        }
        Ok(())
    }
}
