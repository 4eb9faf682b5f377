//! Changing role and epoch, with the timers and notices that go with it; and sending.
//!
//! Every change of role or vote goes through [`Quorum::enter`], so that nothing is stored, disarmed or announced in two
//! ways.

use alloc::vec::Vec;
use smallvec::SmallVec;

use super::effect::{Effect, Effects};
use super::input::{Timer, Vote};
use super::message::{Body, Message};
use super::state::{Following, Leadership, Probing, Quorum, Role, Tenure};
use super::token::CommittedEnd;
use super::voter::VoterKey;
use crate::fault::{Bug, Faults};
use crate::id::{NodeId, Offset, QuorumEpoch, RequestId};

impl<F: Faults> Quorum<F> {
    /// Takes up a role under a vote: stores the vote if it is new, ends what the old role had begun, arms the new role's
    /// timers, and says so if the known leader changed.
    pub(super) fn enter(&mut self, tenure: &Tenure, vote: Vote, role: Role, effects: &mut Effects) {
        assert!(vote.quorum_epoch >= self.vote.quorum_epoch, "an epoch never goes back");
        let known = (self.vote.quorum_epoch, self.leader(tenure));
        if vote.quorum_epoch != self.vote.quorum_epoch {
            self.owed = None;
        }
        if vote != self.vote {
            self.vote = vote;
            effects.push(Effect::StoreVote(vote));
        }
        let may_stand = self.may_stand(tenure.key);
        let old = core::mem::replace(&mut self.role, role);
        let deposed = vote.quorum_epoch > known.0 && self.faults.has(Bug::DeposedSaysNothing);
        if !deposed {
            Self::end(&old, known.0, effects);
        }
        let wanted = timers(&self.role, may_stand);
        let stopped =
            timers(&old, may_stand).into_iter().chain(retry(&old)).filter(|timer| !wanted.contains(timer));
        effects.extend(stopped.map(Effect::Disarm));
        effects.extend(wanted.iter().copied().map(Effect::Arm));
        let leader = self.leader(tenure);
        if known != (vote.quorum_epoch, leader) {
            let leader = leader.map(|key| key.id);
            effects.push(Effect::LeaderChanged { quorum_epoch: vote.quorum_epoch, leader });
        }
    }

    /// Says that what the old role had begun is over.
    fn end(old: &Role, quorum_epoch: QuorumEpoch, effects: &mut Effects) {
        match old {
            Role::Leader(_) => effects.push(Effect::LostLeadership { quorum_epoch }),
            Role::Follower(Following { installing: Some(id), .. }) => {
                effects.push(Effect::AbandonSnapshot { id: *id });
            }
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Resigned => {}
        }
    }

    /// Moves to a larger epoch, in which nothing is known yet (Q2).
    pub(super) fn advance_epoch(
        &mut self,
        tenure: &Tenure,
        quorum_epoch: QuorumEpoch,
        effects: &mut Effects,
    ) {
        assert!(quorum_epoch > self.vote.quorum_epoch, "only a larger epoch is moved to");
        if self.faults.has(Bug::WatermarkForgotten) {
            self.high_watermark = None;
        }
        self.become_unattached(tenure, Vote { quorum_epoch, voted_for: None }, effects);
    }

    /// Knows no leader under this vote.
    pub(super) fn become_unattached(&mut self, tenure: &Tenure, vote: Vote, effects: &mut Effects) {
        self.enter(tenure, vote, Role::Unattached(Probing::default()), effects);
    }

    /// Follows the leader of the current epoch.
    pub(super) fn become_follower(&mut self, tenure: &Tenure, leader: VoterKey, effects: &mut Effects) {
        assert!(!self.is_leader(), "a leader never follows in its own epoch");
        let following = Following { leader, fetched: false, outstanding: None, round: 0, installing: None };
        self.enter(tenure, self.vote, Role::Follower(following), effects);
        self.try_fetch(tenure, effects);
    }

    /// Leads the current epoch, after a majority voted for it (Q14 is the caller's).
    pub(super) fn become_leader(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let leadership = Leadership {
            epoch_start: self.log.end(),
            established: false,
            replicas: SmallVec::new(),
            proposals: SmallVec::new(),
            reads: SmallVec::new(),
            round: 0,
        };
        self.enter(tenure, self.vote, Role::Leader(leadership), effects);
        effects.push(Effect::BecameLeader { quorum_epoch: self.vote.quorum_epoch });
    }

    /// Leads no more, of its own accord, and tells the voters, the one that has fetched furthest first.
    pub(super) fn resign(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let successors = self.successors(tenure);
        if self.may_stand(tenure.key) {
            self.enter(tenure, self.vote, Role::Resigned, effects);
        } else {
            self.become_unattached(tenure, self.vote, effects);
        }
        for voter in &successors {
            self.send(tenure, voter.id, Body::EndQuorum { successors: successors.clone() }, effects);
        }
    }

    /// The other voters, the one that has fetched furthest first.
    fn successors(&self, tenure: &Tenure) -> Vec<VoterKey> {
        let mut others: Vec<VoterKey> = self.other_voters(tenure).collect();
        others.sort_by_key(|key| (core::cmp::Reverse(self.reached_by(*key)), *key));
        others
    }

    /// Learns who leads the current epoch. Knowing it already, or being told of itself, changes nothing.
    pub(super) fn attach(&mut self, tenure: &Tenure, leader: VoterKey, effects: &mut Effects) {
        let is_follower = matches!(self.role, Role::Follower(_));
        if !is_follower && !self.is_leader() && leader.id != tenure.key.id {
            self.become_follower(tenure, leader, effects);
        }
    }

    /// Raises the high watermark; it never goes back within an incarnation (QI6).
    pub(super) fn raise_high_watermark(&mut self, high_watermark: Offset, effects: &mut Effects) {
        assert!(high_watermark <= self.log.end(), "what is committed here is in the log");
        if self.high_watermark.is_none_or(|known| known < high_watermark) {
            self.high_watermark = Some(high_watermark);
            effects.push(Effect::Committed(CommittedEnd { high_watermark }));
        }
    }

    /// Whether a message may leave: everything that it may rest on is stored (Q1, Q2).
    pub(super) fn may_speak(&self) -> bool {
        self.stored == self.vote || self.faults.has(Bug::VoteBeforeStored)
    }

    /// Hands a message to the driver.
    pub(super) fn send(&self, tenure: &Tenure, to: NodeId, body: Body, effects: &mut Effects) {
        effects.push(Effect::Send { to, message: self.message(tenure, body) });
    }

    /// A message of this replica, in its current epoch.
    pub(super) fn message(&self, tenure: &Tenure, body: Body) -> Message {
        assert!(self.may_speak(), "no message leaves before the vote is stored");
        Message {
            from: tenure.key,
            incarnation: tenure.incarnation,
            quorum_epoch: self.vote.quorum_epoch,
            body,
        }
    }

    /// Whether a timer may be running: an expiry that crossed its disarming is refused.
    pub(super) fn runs(&self, tenure: &Tenure, timer: Timer) -> bool {
        let installs = matches!(&self.role, Role::Follower(following) if following.installing.is_some());
        match (&self.role, timer) {
            (Role::Follower(_), Timer::FetchRetry | Timer::FetchTimeout) => !installs,
            (role, _) => timers(role, self.may_stand(tenure.key)).contains(&timer),
        }
    }

    /// Epoch of the last record, in the log or in the snapshot that it begins from.
    pub(super) fn last_epoch(&self) -> Option<QuorumEpoch> {
        self.log.last_epoch().or_else(|| self.snapshot.map(|snapshot| snapshot.quorum_epoch))
    }

    /// A new request id.
    pub(super) fn next_request(&mut self) -> RequestId {
        self.last_request = self.last_request.next();
        self.last_request
    }
}

/// The timers that run throughout a role.
fn timers(role: &Role, may_stand: bool) -> SmallVec<[Timer; 3]> {
    match role {
        Role::Unattached(_) if may_stand => SmallVec::from_slice(&[Timer::Election, Timer::Probe]),
        Role::Unattached(_) => SmallVec::from_slice(&[Timer::Probe]),
        Role::Follower(_) => SmallVec::from_slice(&[Timer::FetchTimeout]),
        Role::Prospective(_) | Role::Candidate(_) | Role::Resigned => {
            SmallVec::from_slice(&[Timer::Election])
        }
        Role::Leader(_) => SmallVec::from_slice(&[Timer::CheckQuorum, Timer::LongPoll, Timer::Announce]),
    }
}

/// The timer of a follower's outstanding fetch.
fn retry(role: &Role) -> Option<Timer> {
    match role {
        Role::Follower(following) => following.outstanding.map(|_| Timer::FetchRetry),
        Role::Unattached(_)
        | Role::Prospective(_)
        | Role::Candidate(_)
        | Role::Leader(_)
        | Role::Resigned => None,
    }
}
