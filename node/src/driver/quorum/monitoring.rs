//! The predicates that the quorum's driver holds its member against, and what it remembers for them: the vote that is
//! stored, the last one that was told, and who votes by what is committed.

#[cfg(test)]
mod tests;

use highwater_model::fault::Faults;
use highwater_model::id::{Offset, QuorumEpoch};
use highwater_model::invariant::quorum::{
    Duty, Heard, ReplicaView, SignOfLife, View, acknowledged_is_committed, epoch_follows_what_is_heard,
    high_watermark_never_moves_back, leaders_voters_change_one_at_a_time, log_start_is_that_of_a_snapshot,
    messages_are_of_the_stored_epoch, one_vote_per_epoch, pre_vote_changes_nothing,
    quorum_epoch_never_moves_back, refusal_shows_no_breach, snapshot_is_the_fold_of_the_log,
    vote_is_told_as_stored, vote_told,
};
use highwater_model::invariant::{Monitor, Violation};
use highwater_model::quorum::{
    BatchKind, Body, Effect, Input, Message, Quorum, Recovered, Refusal, SnapshotId, Tenure, Vote,
    VoterHistory, VoterKey, VoterSet,
};
use highwater_transport::batch::Batch;

use super::{QuorumDriver, records};
use crate::monitor::CoreMonitor;

/// What the driver remembers, and the monitors of its member.
#[derive(Debug)]
pub(super) struct QuorumMonitor {
    core: CoreMonitor,
    /// The vote on disk.
    stored: Vote,
    /// The last vote that was given.
    granted: Option<(VoterKey, QuorumEpoch, VoterKey)>,
    /// The voters by what is committed.
    committed: VoterHistory,
    /// Whom it has heard in its check-quorum interval.
    heard: Heard,
    /// What the member was when it was last looked at.
    stance: Stance,
}

/// What a step is judged by, from before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    vote: Vote,
    high_watermark: Option<Offset>,
    /// The epoch of the message that it takes, if its input is one.
    heard: Option<QuorumEpoch>,
    /// The same, if the message asks for a pre-vote.
    pre_vote: Option<QuorumEpoch>,
    duty: Duty,
    sign: Option<SignOfLife>,
}

/// What is rarely changed by a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stance {
    vote: Vote,
    is_leader: bool,
    start: Offset,
    last_voters: Option<Offset>,
}

impl QuorumMonitor {
    /// Of a member as it was found.
    pub(super) fn new(core: CoreMonitor, tenure: &Tenure, found: &Recovered) -> Self {
        let base = found.snapshot.as_ref().map_or(&found.formatted, |(_, voters)| voters);
        let vote = found.vote;
        let granted = vote.voted_for.map(|candidate| (tenure.key, vote.quorum_epoch, candidate));
        let (committed, stance) = (VoterHistory::new(base.clone()), Stance::default());
        Self { core, stored: vote, granted, committed, heard: Heard::default(), stance }
    }

    /// The member begins its life from what was found.
    pub(super) fn judge_start<F: Faults>(&self, tenure: &Tenure, core: &Quorum<F>) {
        self.core.check(Monitor::QuorumEpochNeverMovesBack, || {
            quorum_epoch_never_moves_back(self.stored.quorum_epoch, &seen(tenure, core))
        });
    }

    /// A batch is committed, which may say who votes.
    pub(super) fn committed(&mut self, batch: &Batch) {
        if !self.core.is_on() {
            return;
        }
        // One that cannot be read has not been taken into the log.
        if let Ok(BatchKind::Voters(voters)) = records::summary(batch).map(|summary| summary.kind) {
            self.voters_committed(batch.header().base_offset, voters);
        }
    }

    /// A voters record is committed.
    fn voters_committed(&mut self, offset: Offset, voters: VoterSet) {
        if self.committed.last_offset() < Some(offset) {
            self.committed.append(offset, voters);
        }
    }

    /// What is committed below a snapshot that was installed gives these voters.
    pub(super) fn begins_from(&mut self, voters: VoterSet) {
        self.committed = VoterHistory::new(voters);
    }

    /// A snapshot up to `id` is taken, which is to hold these voters; everything below it has been applied.
    pub(super) fn judge_snapshot(&mut self, id: SnapshotId, held: &VoterSet) {
        self.core.check(Monitor::SnapshotIsTheFoldOfTheLog, || {
            snapshot_is_the_fold_of_the_log(id, held, self.committed.at(id.end))
        });
        self.committed.trim(id.end);
    }

    fn before<F: Faults>(&self, core: &Quorum<F>, input: &Input) -> Option<Before> {
        let message = if let Input::Received(message) = input { Some(message) } else { None };
        let asks = |message: &&Message| matches!(&message.body, Body::Vote(vote) if vote.pre_vote);
        self.core.is_on().then(|| Before {
            vote: core.vote(),
            high_watermark: core.high_watermark(),
            heard: message.map(|message| message.quorum_epoch),
            pre_vote: message.filter(asks).map(|message| message.quorum_epoch),
            duty: Duty::of(input, core),
            sign: SignOfLife::of(input),
        })
    }

    /// What a refused or taken message shows of others.
    fn judge_heard(&self, before: &Before, refusal: Option<&Refusal>) {
        if before.heard.is_none() {
            return;
        }
        for monitor in [Monitor::CommittedNeverChanges, Monitor::OneLeaderPerEpoch] {
            let of_this = |found: &Violation| found.property == monitor.name();
            self.core.check(monitor, || {
                refusal_shows_no_breach(refusal).err().filter(of_this).map_or(Ok(()), Err)
            });
        }
    }

    fn judge_taken(&mut self, before: &Before, after: &ReplicaView<'_>, effects: &[Effect]) {
        let was = ReplicaView { high_watermark: before.high_watermark, ..*after };
        self.core
            .check(Monitor::HighWatermarkNeverMovesBack, || high_watermark_never_moves_back(&was, after));
        self.core.check(Monitor::QuorumEpochNeverMovesBack, || {
            quorum_epoch_never_moves_back(before.vote.quorum_epoch, after)
        });
        if let Some(heard) = before.heard {
            self.core.check(Monitor::EpochFollowsWhatIsHeard, || epoch_follows_what_is_heard(heard, after));
        }
        if let Some(epoch) = before.pre_vote {
            self.core.check(Monitor::PreVoteChangesNothing, || {
                pre_vote_changes_nothing(before.vote, epoch, after)
            });
        }
        if let Some(sign) = before.sign {
            self.heard.note(sign, after);
        }
        let done = || before.duty.is_done(after, &self.heard, effects);
        match before.duty {
            Duty::Spare { .. } => self.core.check(Monitor::PreVoteSparesAWorkingLeader, done),
            Duty::BeHeard { .. } if before.duty.is_due(effects) => {
                self.core.check(Monitor::LeaderWithoutAMajorityResigns, done);
            }
            Duty::None | Duty::BeHeard { .. } => {}
        }
        effects.iter().for_each(|effect| self.heard.follow(effect));
    }

    /// A message leaves.
    fn judge_sent(&mut self, message: &Message, current: Vote) {
        let stored = self.stored;
        self.core.check(Monitor::MessagesAreOfTheStoredEpoch, || {
            messages_are_of_the_stored_epoch(message.from, message.quorum_epoch, stored.quorum_epoch)
        });
        let Some(given) = vote_told(message, current) else { return };
        let (voter, quorum_epoch, candidate) = given;
        let told = Vote { quorum_epoch, voted_for: Some(candidate) };
        let granted: Vec<_> = self.granted.into_iter().collect();
        let past = View {
            replicas: &[],
            committed: &[],
            acknowledged: &[],
            voters: &[],
            elected: &[],
            granted: &granted,
        };
        self.core.check(Monitor::OneVotePerEpoch, || {
            vote_is_told_as_stored(voter, told, stored).and_then(|()| one_vote_per_epoch(&past, given))
        });
        self.granted = Some(given);
    }

    /// Whoever proposed the record at `offset` is told that it is committed; `committed` is the high watermark.
    fn judge_commitment(&self, offset: Offset, committed: Offset) {
        self.core.check(Monitor::AcknowledgedIsKept, || acknowledged_is_committed(offset, committed));
    }

    /// Judges the member as a whole, if it is time to. Its log begins at `start`.
    fn judge_state<F: Faults>(&mut self, tenure: &Tenure, core: &Quorum<F>, start: Offset) {
        let stance = Stance {
            vote: core.vote(),
            is_leader: core.is_leader(),
            start,
            last_voters: core.voters().last_offset(),
        };
        let changed = std::mem::replace(&mut self.stance, stance) != stance;
        if !self.core.is_due(changed) {
            return;
        }
        let view = ReplicaView { log_start: start, ..seen(tenure, core) };
        let Some(committed) = view.high_watermark else { return };
        self.core.check(Monitor::LogStartHasASnapshot, || log_start_is_that_of_a_snapshot(&view, committed));
        // What earlier leaders had committed is known to be committed once a record of the own epoch is.
        if core.is_established() {
            self.core.check(Monitor::VotersChangeOneAtATime, || {
                leaders_voters_change_one_at_a_time(&view, committed)
            });
        }
    }
}

/// The member as the predicates see it. Those over one replica do not look at records.
fn seen<'a, F: Faults>(tenure: &Tenure, core: &'a Quorum<F>) -> ReplicaView<'a> {
    ReplicaView {
        key: tenure.key,
        vote: core.vote(),
        is_leader: core.is_leader(),
        high_watermark: core.high_watermark(),
        log_start: core.log().start(),
        entries: &[],
        flushed: core.log().flushed(),
        oldest_snapshot: core.oldest_snapshot(),
        voters: core.voters(),
    }
}

impl<F: Faults> QuorumDriver<F> {
    /// What a step with this input is judged by; nothing if nobody judges it.
    pub(super) fn before(&mut self, input: &Input) -> Option<Before> {
        if let Input::VoteStored(vote) = input {
            self.monitor.stored = *vote;
        }
        self.monitor.before(&self.core, input)
    }

    /// Judges the step that was just taken, or refused.
    pub(super) fn judge_step(&mut self, before: &Before, taken: &Result<(), Refusal>, effects: &[Effect]) {
        self.monitor.judge_heard(before, taken.as_ref().err());
        if taken.is_err() {
            return;
        }
        self.monitor.judge_taken(before, &seen(&self.tenure, &self.core), effects);
        let (vote, committed) = (self.core.vote(), self.core.high_watermark().unwrap_or_default());
        for effect in effects {
            if let Effect::Send { message, .. } | Effect::SendRecords { message, .. } = effect {
                self.monitor.judge_sent(message, vote);
            }
            if let Effect::ProposalCommitted(commitment) = effect {
                self.monitor.judge_commitment(commitment.base_offset(), committed);
            }
        }
    }

    /// Judges the member as a whole, if it is time to.
    pub(super) fn judge_state(&mut self) {
        self.monitor.judge_state(&self.tenure, &self.core, self.log.start());
    }
}
