//! The metadata quorum: Raft in KRaft's pull form, as a pure step (rules Q1–Q50).
//!
//! [`Quorum`] is one replica of the quorum log, voter or observer. It decides who leads, what is committed, who votes,
//! and what may be told. It leaves the records' bytes to the driver and their meaning to `metadata`.
//!
//! Three rules are worth knowing before reading on:
//! - no message leaves while the vote is not stored (Q1, Q2): what is to be said is said by the step that consumes
//!   [`Input::VoteStored`];
//! - a replica fetches only when all that it has is flushed, so that a fetch offset is a durable end, and fetching is
//!   acknowledging (Q12, Q20);
//! - an answer is believed only if it answers the request that is waited for, of this very incarnation, in this epoch.

mod change;
mod commit;
mod effect;
mod election;
mod follow;
mod input;
mod message;
mod read;
mod recover;
mod refusal;
mod rename;
mod replica_name;
mod replication;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod token;
mod transition;
mod voter;

pub use effect::{Effect, Effects, Origin};
pub use input::{Input, ProposalId, ReadId, Timer, Vote, VoterChange};
pub use message::{
    Asked, Batch, BatchKind, Body, Fetch, FetchAnswer, Fetched, Message, SnapshotId, VoteAnswer, VoteRequest,
};
pub use refusal::Refusal;
pub use rename::Waits;
pub use replica_name::Unread;
pub use state::{Quorum, Recovered, ReplicaProgress, RoleName, Tenure};
pub use token::{Commitment, CommittedEnd, ReadPoint};
pub use voter::{VoterHistory, VoterKey, VoterRecord, VoterSet};

use crate::fault::Faults;

use state::Role;

impl<F: Faults> Quorum<F> {
    /// Takes one input to completion.
    ///
    /// # Errors
    /// A [`Refusal`]: the protocol says no, and the state is exactly as it was.
    ///
    /// # Panics
    /// When an invariant of the core is broken: a defect of the core or of the driver, never of a peer.
    pub fn step(&mut self, tenure: &Tenure, input: Input, effects: &mut Effects) -> Result<(), Refusal> {
        match input {
            Input::Received(message) => self.on_received(tenure, message, effects)?,
            Input::VoteStored(vote) => self.on_vote_stored(tenure, vote, effects)?,
            Input::Written { end, generation } => self.on_written(tenure, (end, generation), effects)?,
            Input::Flushed { end, generation } => self.on_flushed(tenure, (end, generation), effects)?,
            Input::Expired(timer) => self.on_expired(tenure, timer, effects)?,
            Input::Propose { id, quorum_epoch, count } => {
                self.on_proposed(tenure, (id, quorum_epoch), count, effects)?;
            }
            Input::Read { id } => self.on_read(tenure, id, effects)?,
            Input::ChangeVoters { id, change } => self.on_voter_change(tenure, id, change, effects)?,
            Input::Resign => {
                self.leadership(tenure)?;
                self.resign(tenure, effects);
            }
            Input::SnapshotTaken { id } => self.on_snapshot_taken(id, effects)?,
            Input::SnapshotInstalled { id, voters } => {
                self.on_snapshot_installed(tenure, (id, voters), effects)?
            }
            Input::SnapshotFailed { id } => self.on_snapshot_failed(id, effects)?,
            Input::SnapshotServed { to } => self.on_snapshot_served(tenure, to, effects)?,
        }
        self.assert_invariants(tenure);
        Ok(())
    }

    fn on_received(
        &mut self,
        tenure: &Tenure,
        message: Message,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        match &message.body {
            Body::Vote(request) => self.on_vote(tenure, &message, request, effects),
            Body::VoteAnswer(answer) => self.on_vote_answer(tenure, &message, answer, effects),
            Body::Fetch(fetch) => self.on_fetch(tenure, &message, fetch, effects),
            Body::FetchAnswer(answer) => self.on_fetch_answer(tenure, &message, answer, effects),
            Body::BeginQuorum => self.on_begin_quorum(tenure, &message, effects),
            Body::EndQuorum { successors } => self.on_end_quorum(tenure, &message, successors, effects),
        }
    }

    fn on_expired(&mut self, tenure: &Tenure, timer: Timer, effects: &mut Effects) -> Result<(), Refusal> {
        if !self.runs(tenure, timer) {
            return Err(Refusal::NotArmed { timer });
        }
        match timer {
            Timer::Election => self.on_election_timeout(tenure, effects),
            Timer::FetchTimeout => self.on_fetch_timeout(tenure, effects),
            Timer::FetchRetry => self.on_fetch_retry(tenure, effects),
            Timer::Probe => self.probe(tenure, effects),
            Timer::CheckQuorum => self.on_check_quorum(tenure, effects),
            Timer::LongPoll => self.on_long_poll(tenure, effects),
            Timer::Announce => {
                self.announce(tenure, effects);
                effects.push(Effect::Arm(Timer::Announce));
            }
        }
        Ok(())
    }

    /// What must hold after every step, whatever was received.
    fn assert_invariants(&self, tenure: &Tenure) {
        self.log.assert_ordered();
        assert!(
            self.high_watermark.is_none_or(|known| known <= self.log.end()),
            "what is committed is in the log"
        );
        assert!(self.stored.quorum_epoch <= self.vote.quorum_epoch, "a vote is stored after it is cast");
        assert!(
            self.log.last_epoch().is_none_or(|last| last <= self.vote.quorum_epoch),
            "records are of known epochs"
        );
        assert!(
            self.voters.last_offset().is_none_or(|last| last < self.log.end()),
            "voter sets are in the log"
        );
        if let Role::Leader(leadership) = &self.role {
            assert!(self.vote.voted_for == Some(tenure.key), "a leader has voted for itself");
            assert!(self.may_speak(), "a leader's vote is stored");
            assert!(leadership.epoch_start <= self.log.end(), "a leader's epoch is in its log");
            assert!(leadership.proposals.is_sorted_by_key(|waiting| waiting.end), "proposals wait in order");
        }
    }
}
