//! The leader's side of replication: serving fetches, and keeping count of who has what (Q10–Q12, Q34).

use alloc::vec::Vec;

use super::effect::{Effect, Effects};
use super::input::Timer;
use super::message::{Asked, Body, Fetch, FetchAnswer, Fetched, Message};
use super::refusal::Refusal;
use super::state::{Leadership, Parked, Progress, Quorum, Role, Tenure};
use super::voter::VoterKey;
use crate::fault::{Bug, Faults};
use crate::id::Offset;
use crate::log::Position;

/// The most replicas, voters and observers, that a leader keeps count of.
pub(super) const REPLICAS_MAX: u32 = 1024;

impl<F: Faults> Quorum<F> {
    /// A replica asks for records.
    pub(super) fn on_fetch(
        &mut self,
        tenure: &Tenure,
        message: &Message,
        fetch: &Fetch,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if message.quorum_epoch > self.vote.quorum_epoch {
            self.advance_epoch(tenure, message.quorum_epoch, effects);
        }
        let asked = Asked { incarnation: message.incarnation, request: fetch.request };
        let serves = message.quorum_epoch == self.vote.quorum_epoch && self.is_leader();
        if !serves {
            if self.may_speak() {
                let fetched = Fetched::Refused { leader: self.leader(tenure) };
                self.answer_fetch(tenure, (message.from, asked), fetched, effects);
            }
            return Ok(());
        }
        let diverging = self.check_fetch(message.from, asked, fetch)?;
        self.hear(tenure, message.from, asked, effects);
        match diverging {
            Some(fetched) => {
                self.note_invalid(message.from, fetch);
                self.answer_fetch(tenure, (message.from, asked), fetched, effects);
            }
            None => self.note_valid(message.from, fetch),
        }
        self.advance_high_watermark(tenure, effects);
        self.confirm_reads(tenure, effects);
        self.serve_parked(tenure, effects);
        Ok(())
    }

    /// Tests a fetch of the own epoch: where it must go instead of being served records, if anywhere (Q11, Q42).
    fn check_fetch(&self, from: VoterKey, asked: Asked, fetch: &Fetch) -> Result<Option<Fetched>, Refusal> {
        let known = self.progress_of(from);
        if known.is_some_and(|known| {
            known.last.incarnation == asked.incarnation && known.last.request >= asked.request
        }) {
            return Err(Refusal::StaleRequest { request: asked.request });
        }
        if known.is_none() {
            self.check_replica_room()?;
        }
        if let Some(snapshot) = self.snapshot_for(fetch) {
            return Ok(Some(Fetched::Snapshot(snapshot)));
        }
        match self.log.position(fetch.fetch_offset, fetch.last_fetched_epoch) {
            Position::Valid => Ok(None),
            Position::Diverging(end) => Ok(Some(Fetched::Diverging(end))),
            Position::OutOfRange => {
                Err(Refusal::Discontinuous { at: fetch.fetch_offset, log_end: self.log.end() })
            }
        }
    }

    /// Refuses when the leader keeps count of as many replicas as it can.
    fn check_replica_room(&self) -> Result<(), Refusal> {
        let waiting = u32::try_from(self.progress().count()).unwrap_or(u32::MAX);
        if waiting < REPLICAS_MAX { Ok(()) } else { Err(Refusal::Overloaded { waiting }) }
    }

    /// Notes that a replica lives. Once a majority of the voters does, leadership is good for another while (Q7).
    fn hear(&mut self, tenure: &Tenure, from: VoterKey, asked: Asked, effects: &mut Effects) {
        if let Role::Leader(leadership) = &mut self.role {
            let progress = leadership.progress_mut(from, asked);
            progress.last = asked;
            progress.heard = true;
            progress.parked = None;
        }
        self.check_heard(tenure, effects);
    }

    /// Starts the check-quorum interval anew if a majority of the voters has been heard in it (Q7).
    pub(super) fn check_heard(&mut self, tenure: &Tenure, effects: &mut Effects) {
        if self.is_heard(tenure) {
            self.begin_interval(effects);
        }
    }

    /// Whether a majority of the voters, as they are now, was heard in this check-quorum interval.
    fn is_heard(&self, tenure: &Tenure) -> bool {
        self.count_voters(tenure, |progress| progress.heard) >= self.voters.latest().majority()
    }

    /// Arms the check-quorum timer. Who was heard before counts no more: else one that was heard once, and is a majority with
    /// this leader since other voters were removed, would keep it leading for ever (KAFKA-15489).
    fn begin_interval(&mut self, effects: &mut Effects) {
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        for progress in &mut leadership.replicas {
            progress.heard = false;
        }
        effects.push(Effect::Arm(Timer::CheckQuorum));
    }

    /// A fetch that is answered with anything but records acknowledges nothing (Q12).
    fn note_invalid(&mut self, from: VoterKey, fetch: &Fetch) {
        let counts = self.faults.has(Bug::DivergingCounts);
        if let (true, Some(progress)) = (counts, self.known_mut(from)) {
            progress.reached = Some(fetch.fetch_offset);
        }
    }

    /// A valid fetch acknowledges everything below its offset (Q12), and echoes a round (Q18). It waits for news.
    fn note_valid(&mut self, from: VoterKey, fetch: &Fetch) {
        let (high_watermark, any_confirms) = (self.high_watermark, self.faults.has(Bug::AnyFetchConfirms));
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let (established, issued) = (leadership.established, leadership.round);
        let Some(progress) = leadership.replicas.iter_mut().find(|progress| progress.key == from) else {
            return;
        };
        progress.reached = Some(fetch.fetch_offset);
        progress.caught_up |= established && Some(fetch.fetch_offset) >= high_watermark;
        let echoed = if any_confirms { issued } else { fetch.round.min(issued) };
        progress.round = progress.round.max(echoed);
        progress.parked = Some(Parked { high_watermark: fetch.high_watermark, round: fetch.round });
    }

    /// Answers every parked fetch for which there is news: records, a higher high watermark, or a new round.
    pub(super) fn serve_parked(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let (written, high_watermark) = (self.log.written(), self.told_high_watermark());
        self.answer_parked(tenure, effects, |progress, parked, round| {
            progress.reached.is_some_and(|reached| reached < written)
                || parked.high_watermark < high_watermark
                || parked.round < round
        });
    }

    /// Parked fetches have waited long enough: answer them all, so that followers see a live leader.
    pub(super) fn on_long_poll(&mut self, tenure: &Tenure, effects: &mut Effects) {
        self.answer_parked(tenure, effects, |_, _, _| true);
        effects.push(Effect::Arm(Timer::LongPoll));
    }

    /// Answers the parked fetches that `has_news` picks, given also the newest round.
    fn answer_parked(
        &mut self,
        tenure: &Tenure,
        effects: &mut Effects,
        has_news: impl Fn(&Progress, &Parked, u64) -> bool,
    ) {
        let (written, sent_counts) = (self.log.written(), self.faults.has(Bug::SentCounts));
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let round = leadership.round;
        let mut due: Vec<(VoterKey, Asked, Offset)> = Vec::new();
        for progress in &mut leadership.replicas {
            let (Some(parked), Some(reached)) = (&progress.parked, progress.reached) else {
                continue;
            };
            if has_news(progress, parked, round) {
                due.push((progress.key, progress.last, reached));
                progress.parked = None;
                if sent_counts {
                    progress.reached = Some(reached.max(written));
                }
            }
        }
        for (key, asked, reached) in due {
            self.send_records(tenure, (key, asked), reached, effects);
        }
    }

    /// Sends what is written from `from` on, the high watermark and the round.
    fn send_records(
        &self,
        tenure: &Tenure,
        (key, asked): (VoterKey, Asked),
        from: Offset,
        effects: &mut Effects,
    ) {
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        let high_watermark = self.told_high_watermark();
        let fetched = Fetched::Records { high_watermark, round: leadership.round, batches: Vec::new() };
        let message = self.message(tenure, Body::FetchAnswer(FetchAnswer { asked, fetched }));
        let end = self.log.written();
        assert!(from >= self.log.start(), "a valid fetch lies within the log");
        effects.push(if from < end {
            Effect::SendRecords { to: key.id, message, from, end }
        } else {
            Effect::Send { to: key.id, message }
        });
    }

    /// The high watermark as far as a leader may tell it: not before a record of its epoch is committed (Q15).
    fn told_high_watermark(&self) -> Option<Offset> {
        let tells = self.is_established() || self.faults.has(Bug::CommitOldEpoch);
        self.high_watermark.filter(|_| tells)
    }

    /// Answers a fetch with anything but records.
    fn answer_fetch(
        &self,
        tenure: &Tenure,
        (to, asked): (VoterKey, Asked),
        fetched: Fetched,
        effects: &mut Effects,
    ) {
        self.send(tenure, to.id, Body::FetchAnswer(FetchAnswer { asked, fetched }), effects);
    }

    /// The check-quorum interval is over and no majority was heard in it: somebody else may lead by now (Q7).
    pub(super) fn on_check_quorum(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let is_heard = self.is_heard(tenure);
        if is_heard && self.faults.has(Bug::HeardForGood) {
            effects.push(Effect::Arm(Timer::CheckQuorum));
        } else if is_heard || self.faults.has(Bug::NoCheckQuorum) {
            self.begin_interval(effects);
        } else {
            self.resign(tenure, effects);
        }
    }

    /// What this leader knows of a replica.
    pub(super) fn progress_of(&self, key: VoterKey) -> Option<&Progress> {
        match &self.role {
            Role::Leader(leadership) => {
                leadership.replicas.iter().find(|progress| self.same_replica(progress.key, key))
            }
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Resigned => None,
        }
    }

    /// The same, to change it.
    pub(super) fn known_mut(&mut self, key: VoterKey) -> Option<&mut Progress> {
        match &mut self.role {
            Role::Leader(leadership) => leadership.replicas.iter_mut().find(|progress| progress.key == key),
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Resigned => None,
        }
    }

    /// The durable end of a replica as far as this leader knows, exclusive.
    pub(super) fn reached_by(&self, key: VoterKey) -> Offset {
        self.progress_of(key).and_then(|progress| progress.reached).unwrap_or(Offset::ZERO)
    }

    /// How many voters satisfy `test`; the leader itself always does, if it votes.
    pub(super) fn count_voters(&self, tenure: &Tenure, test: impl Fn(&Progress) -> bool) -> u32 {
        let voters = self.voters.latest().keys().iter();
        let satisfied = voters.filter(|voter| {
            self.same_replica(**voter, tenure.key) || self.progress_of(**voter).is_some_and(&test)
        });
        u32::try_from(satisfied.count()).unwrap_or(u32::MAX)
    }
}

impl Leadership {
    /// What is known of a replica, made empty if it is new.
    fn progress_mut(&mut self, key: VoterKey, asked: Asked) -> &mut Progress {
        let at = match self.replicas.binary_search_by_key(&key, |progress| progress.key) {
            Ok(at) => at,
            Err(at) => {
                let fresh = Progress {
                    key,
                    last: asked,
                    reached: None,
                    caught_up: false,
                    heard: false,
                    round: 0,
                    parked: None,
                };
                self.replicas.insert(at, fresh);
                at
            }
        };
        self.replicas.get_mut(at).expect("the entry was found or inserted")
    }
}
