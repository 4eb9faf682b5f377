//! A leader serves its followers' fetches (R10-R12, R33).

use smallvec::SmallVec;

use super::leading::FollowerProgress;
use super::{
    Answered, Effect, Effects, Fetch, FetchAnswer, FetchBody, Message, Progress, Refusal, Replica, ReplicaIdx,
};
use crate::fault::{Bug, Faults};
use crate::id::{BrokerEpoch, LeaderEpoch, Offset, RequestId};
use crate::log::Position;

/// The fences that every request of a follower carries.
struct Fences {
    leader_epoch: LeaderEpoch,
    broker_epoch: BrokerEpoch,
    request_id: RequestId,
}

impl<F: Faults> Replica<F> {
    pub(super) fn on_fetch(
        &mut self,
        from: ReplicaIdx,
        fetch: &Fetch,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Fetch { leader_epoch, broker_epoch, request_id, generation, .. } = *fetch;
        self.admit_request(from, &Fences { leader_epoch, broker_epoch, request_id })?;
        if fetch.durable_end > fetch.fetch_offset {
            return Err(Refusal::MalformedMessage);
        }
        let answered = Answered { request_id, broker_epoch, generation };
        let refused = match self.position_of(from, fetch) {
            Position::Valid => {
                self.count_fetch(from, fetch);
                self.park(from, answered);
                return Ok(());
            }
            Position::Diverging(end) => FetchBody::Diverging(end),
            Position::OutOfRange => FetchBody::OutOfRange,
        };
        if self.faults.has(Bug::DivergingCounts) {
            self.count_fetch(from, fetch);
        }
        effects.push(self.answer(from, answered, refused));
        Ok(())
    }

    /// A finished sync amends the fetch that it followed, and no other.
    pub(super) fn on_progress(&mut self, from: ReplicaIdx, told: &Progress) -> Result<(), Refusal> {
        let Progress { leader_epoch, broker_epoch, request_id, durable_end } = *told;
        self.admit_request(from, &Fences { leader_epoch, broker_epoch, request_id })?;
        let known = self.lead()?.progress(from);
        let amends =
            |known: &&FollowerProgress| known.request_id == request_id && known.broker_epoch == broker_epoch;
        if known.filter(amends).is_none() {
            return Err(Refusal::StaleRequest {
                given: request_id,
                known: known.map(|known| known.request_id).unwrap_or_default(),
            });
        }
        self.amend(from, durable_end);
        Ok(())
    }

    /// What was heard already is told again, perhaps with a sync that has ended since: nothing is new but what it counts as holding
    /// now.
    fn amend(&mut self, from: ReplicaIdx, durable_end: Offset) {
        let (flush, unsynced_too) = (self.view.flush, self.faults.has(Bug::UnsyncedComesBack));
        let Some(follower) = self.lead_mut().and_then(|lead| lead.follower_mut(from)) else { return };
        let Some(progress) = &mut follower.progress else { return };
        let before = progress.counted(flush);
        progress.durable_end = progress.durable_end.max(durable_end.min(progress.end));
        // One that is not is taken back as soon as it holds enough, however that comes ([`Self::take_back`]).
        let is_news = if follower.caught_up { progress.counted(flush) > before } else { unsynced_too };
        if is_news {
            self.note_lag(from, false);
        }
    }

    /// R11, before anything else: leader epoch, incarnation, order within the incarnation.
    fn admit_request(&self, from: ReplicaIdx, fences: &Fences) -> Result<(), Refusal> {
        let (given, known) = (fences.leader_epoch, self.view.leader_epoch);
        if given > known {
            return Err(Refusal::UnknownLeaderEpoch { given, known });
        }
        let lead = self.lead()?;
        if given < known && !self.faults.has(Bug::UnfencedFetch) {
            return Err(Refusal::FencedLeaderEpoch { given, known });
        }
        let given = fences.broker_epoch;
        let progress = lead.progress(from).map(|known| (known.broker_epoch, known.request_id));
        let registered = self.view.replica(from).and_then(|replica| replica.broker_epoch);
        // The image may lag behind a registration that a fetch has told of (KIP-903, R61).
        let known = registered.max(progress.map(|(broker_epoch, _)| broker_epoch)).unwrap_or_default();
        let unfenced = self.faults.has(Bug::StaleBrokerEpoch) || self.faults.has(Bug::StaleRequestProgress);
        if given < known && !unfenced {
            return Err(Refusal::StaleBrokerEpoch { given, known });
        }
        match progress {
            Some((broker_epoch, known)) if broker_epoch == given && fences.request_id < known => {
                Err(Refusal::StaleRequest { given: fences.request_id, known })
            }
            _ => Ok(()),
        }
    }

    /// Whether the follower's log is a prefix of this one (R33).
    fn position_of(&self, from: ReplicaIdx, fetch: &Fetch) -> Position<LeaderEpoch> {
        let is_unknown = || self.is_past_unknown(fetch) && !self.vouches_for(from, fetch);
        if fetch.fetch_offset < self.log.start() || is_unknown() {
            return Position::OutOfRange;
        }
        if fetch.fetch_offset <= self.log.end() && self.faults.has(Bug::SkipDivergenceTest) {
            return Position::Valid;
        }
        let position = self.log.position(fetch.fetch_offset, fetch.last_epoch);
        if let Position::Diverging(before) = position
            && self.passes_for(before.end, fetch.fetch_offset)
        {
            return Position::Valid;
        }
        position
    }

    /// R16: all of the follower's log lies below this one's start, and ends in an epoch that this one does not reach back to. So
    /// it may be another log than the one that was deleted here; were it to lead, it would show records at offsets where others
    /// were committed. An empty log is like any other, whatever epoch it has heard of.
    fn is_past_unknown(&self, fetch: &Fetch) -> bool {
        let first = self.log.epochs().starts().first().map(|first| first.epoch);
        let before = |last| first.is_none_or(|first| last < first);
        let is_below = fetch.fetch_offset == self.log.start() && fetch.log_start < fetch.fetch_offset;
        is_below && fetch.last_epoch.is_some_and(before) && !self.faults.has(Bug::PastUntested)
    }

    /// Whether it is known without that epoch that the follower holds what was here: this leader has held its log valid up to
    /// there, before it deleted anything; or it is in the ISR, and so holds all that is committed, which is all that is ever
    /// deleted (R80). Either is of one registration. To begin again would cost it what it knows of producers (R72).
    fn vouches_for(&self, from: ReplicaIdx, fetch: &Fetch) -> bool {
        let known = self.lead().ok().and_then(|lead| lead.progress(from));
        let was_valid = known
            .is_some_and(|known| known.broker_epoch == fetch.broker_epoch && known.end == fetch.fetch_offset);
        let registered = self.view.replica(from).and_then(|replica| replica.broker_epoch);
        was_valid || (self.view.isr.contains(from) && registered == Some(fetch.broker_epoch))
    }

    /// B-28: a last epoch that is unknown here passes for the one before it, as far as that one reaches. B-03: whoever is where
    /// it would be told to cut to is not asked for its epochs.
    fn passes_for(&self, end_of_known: Offset, fetch_offset: Offset) -> bool {
        (self.faults.has(Bug::SparseEpochLookup) && fetch_offset <= end_of_known)
            || (self.faults.has(Bug::TruncateToLeaderEnd) && fetch_offset == end_of_known)
    }

    /// R12: a valid fetch says what the follower has. A repetition says nothing new of its log: that it was repeated does not
    /// make it any more caught up. Nor must one that was overtaken take back what an amendment told.
    fn count_fetch(&mut self, from: ReplicaIdx, fetch: &Fetch) {
        let Some(follower) = self.lead_mut().and_then(|lead| lead.follower_mut(from)) else { return };
        let same = |known: &FollowerProgress| {
            known.request_id == fetch.request_id
                && known.broker_epoch == fetch.broker_epoch
                && known.end == fetch.fetch_offset
        };
        if follower.progress.as_ref().is_some_and(same) {
            self.amend(from, fetch.durable_end);
            return;
        }
        follower.progress = Some(FollowerProgress {
            broker_epoch: fetch.broker_epoch,
            request_id: fetch.request_id,
            end: fetch.fetch_offset,
            durable_end: fetch.durable_end,
            round: fetch.round,
        });
        self.note_lag(from, true);
    }

    fn park(&mut self, from: ReplicaIdx, answered: Answered) {
        if let Some(follower) = self.lead_mut().and_then(|lead| lead.follower_mut(from)) {
            follower.parked = Some(answered);
        }
    }

    /// Answers every parked fetch that has something to tell: written records, or a round that its sender has not
    /// echoed and that a read waits for.
    pub(super) fn answer_parked(&mut self, effects: &mut Effects) {
        let mut ready = SmallVec::<[(ReplicaIdx, Answered, Offset); 3]>::new();
        let written = self.log.written();
        let Some(lead) = self.lead_mut() else { return };
        let wanted = lead.end_reads.last().map(|read| read.round).unwrap_or_default();
        for (at, follower) in (0..).zip(lead.followers.iter_mut()) {
            let Some(progress) = &follower.progress else { continue };
            if progress.end < written || progress.round < wanted {
                ready.extend(follower.parked.take().map(|parked| (ReplicaIdx(at), parked, progress.end)));
            }
        }
        for (to, answered, from) in ready {
            let end = written.max(from);
            effects.push(self.answer(to, answered, FetchBody::Records { from, end }));
        }
    }

    fn answer(&self, to: ReplicaIdx, answered: Answered, body: FetchBody) -> Effect {
        let round = self.lead().map(|lead| lead.round).unwrap_or_default();
        let message = Message::FetchAnswer(FetchAnswer {
            answered,
            leader_epoch: self.view.leader_epoch,
            high_watermark: self.high_watermark,
            log_start: self.log.start(),
            round,
            body,
        });
        Effect::Send { to, message }
    }
}
