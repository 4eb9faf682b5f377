//! Elections: pre-votes, votes, and winning (Q1–Q6).

use super::effect::Effects;
use super::input::Vote;
use super::message::{Asked, Body, Message, VoteAnswer, VoteRequest};
use super::refusal::Refusal;
use super::state::{Owed, Quorum, Role, Standing, Tenure};
use super::voter::VoterKey;
use crate::fault::{Bug, Faults};
use crate::id::{Offset, QuorumEpoch};

impl<F: Faults> Quorum<F> {
    /// The election timer ran out: ask whether it would be elected (Q6), or go back to the leader that it knows.
    pub(super) fn on_election_timeout(&mut self, tenure: &Tenure, effects: &mut Effects) {
        match &self.role {
            Role::Prospective(Standing { leader: Some(leader), .. }) => {
                let leader = *leader;
                self.become_follower(tenure, leader, effects);
            }
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_)
            | Role::Resigned => self.ask_for_pre_votes(tenure, None, effects),
        }
    }

    /// Asks, without raising the epoch, whether the voters would vote for this replica (Q6).
    pub(super) fn ask_for_pre_votes(
        &mut self,
        tenure: &Tenure,
        leader: Option<VoterKey>,
        effects: &mut Effects,
    ) {
        let standing = self.standing(tenure, leader);
        if standing.granted.count_ones() >= self.deciding_voters().majority() {
            return self.stand(tenure, effects);
        }
        self.enter(tenure, self.vote, Role::Prospective(standing), effects);
        if self.may_speak() {
            self.canvass(tenure, effects);
        }
    }

    /// Stands for election in the next epoch. It asks for votes once its own is stored (Q1).
    pub(super) fn stand(&mut self, tenure: &Tenure, effects: &mut Effects) {
        assert!(self.may_stand(tenure.key), "only one that may have to be elected stands for election");
        let standing = Standing { granted: 0, ..self.standing(tenure, None) };
        let quorum_epoch = self.vote.quorum_epoch.next();
        let vote = Vote { quorum_epoch, voted_for: Some(tenure.key) };
        self.enter(tenure, vote, Role::Candidate(standing), effects);
        if self.may_speak() {
            self.open_candidacy(tenure, effects);
        }
    }

    /// A new round of vote requests, with this replica's own vote in it.
    fn standing(&mut self, tenure: &Tenure, leader: Option<VoterKey>) -> Standing {
        let granted = self.voter_bit(tenure.key).unwrap_or(0);
        Standing { request: self.next_request(), granted, rejected: 0, leader }
    }

    /// The vote is durable: say what waited for it.
    pub(super) fn on_vote_stored(
        &mut self,
        tenure: &Tenure,
        vote: Vote,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if vote.quorum_epoch < self.stored.quorum_epoch {
            let (completed, stored) = (vote.quorum_epoch, self.stored.quorum_epoch);
            return Err(Refusal::StaleVote { completed, stored });
        }
        self.stored = vote;
        if self.stored != self.vote {
            return Ok(());
        }
        if let Some(owed) = self.owed.take() {
            self.answer_vote(tenure, owed, effects);
        }
        match &self.role {
            Role::Candidate(standing) if !self.has_bit(standing.granted, tenure.key) => {
                self.open_candidacy(tenure, effects);
            }
            Role::Prospective(_) => self.canvass(tenure, effects),
            Role::Follower(_) => self.try_fetch(tenure, effects),
            Role::Unattached(_) | Role::Candidate(_) | Role::Leader(_) | Role::Resigned => {}
        }
        Ok(())
    }

    /// Counts the candidate's own vote, and asks for the others' (Q1).
    fn open_candidacy(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let own = self.voter_bit(tenure.key).unwrap_or(0);
        if let Role::Candidate(standing) = &mut self.role {
            standing.granted |= own;
        }
        self.canvass(tenure, effects);
        self.count_votes(tenure, effects);
    }

    /// Sends the vote requests of the current round.
    fn canvass(&self, tenure: &Tenure, effects: &mut Effects) {
        let (Role::Prospective(standing) | Role::Candidate(standing)) = &self.role else {
            return;
        };
        let pre_vote = matches!(self.role, Role::Prospective(_));
        let (last_epoch, log_end) = (self.last_epoch(), self.log.end());
        for voter in self.other_voters(tenure) {
            let asking = VoteRequest { request: standing.request, pre_vote, voter, last_epoch, log_end };
            self.send(tenure, voter.id, Body::Vote(asking), effects);
        }
    }

    /// A vote or pre-vote was asked for (Q3–Q6).
    pub(super) fn on_vote(
        &mut self,
        tenure: &Tenure,
        message: &Message,
        request: &VoteRequest,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        self.check_vote(tenure, message.quorum_epoch, request)?;
        if message.quorum_epoch > self.vote.quorum_epoch && request.pre_vote {
            self.advance_epoch(tenure, message.quorum_epoch, effects);
        }
        let current = message.quorum_epoch >= self.vote.quorum_epoch;
        let granted = current && self.would_grant(tenure, message, request);
        if current && (!request.pre_vote || self.faults.has(Bug::PreVoteVotes)) {
            self.cast(tenure, message, granted, effects);
        }
        let asked = Asked { incarnation: message.incarnation, request: request.request };
        let owed = Owed { candidate: message.from, asked, pre_vote: request.pre_vote, granted };
        if self.may_speak() {
            self.answer_vote(tenure, owed, effects);
        } else if granted || self.owed.is_none() {
            self.owed = Some(owed);
        }
        Ok(())
    }

    /// Tests what makes a vote request void whatever this replica's state.
    fn check_vote(
        &self,
        tenure: &Tenure,
        quorum_epoch: QuorumEpoch,
        request: &VoteRequest,
    ) -> Result<(), Refusal> {
        if !self.same_replica(request.voter, tenure.key) {
            return Err(Refusal::NotAddressed { addressed: request.voter, ours: tenure.key });
        }
        match request.last_epoch {
            Some(last_epoch)
                if last_epoch > quorum_epoch || (!request.pre_vote && last_epoch == quorum_epoch) =>
            {
                Err(Refusal::MalformedVote { quorum_epoch, last_epoch })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether this replica gives, or would give, its vote in the message's epoch, which is not below its own.
    fn would_grant(&self, tenure: &Tenure, message: &Message, request: &VoteRequest) -> bool {
        if !self.is_up_to_date(request.last_epoch, request.log_end) {
            return false;
        }
        if message.quorum_epoch > self.vote.quorum_epoch {
            return true;
        }
        if request.pre_vote {
            return match &self.role {
                Role::Leader(_) => false,
                Role::Follower(_) if self.faults.has(Bug::PreVoteWhileFollowing) => true,
                Role::Follower(following) => !following.fetched,
                Role::Unattached(_) | Role::Prospective(_) | Role::Candidate(_) | Role::Resigned => true,
            };
        }
        let free =
            self.vote.voted_for.is_none_or(|voted| voted == message.from) || self.faults.has(Bug::VoteTwice);
        free && self.leader(tenure).is_none()
    }

    /// Whether a log that ends so is at least as far as this one: by last epoch, then by length (Q3, B-39).
    fn is_up_to_date(&self, last_epoch: Option<QuorumEpoch>, log_end: Offset) -> bool {
        let (our_epoch, our_end) = (self.last_epoch(), self.log.end());
        if self.faults.has(Bug::LogOrderByLength) {
            return (log_end, last_epoch) >= (our_end, our_epoch);
        }
        (last_epoch, log_end) >= (our_epoch, our_end)
    }

    /// Moves to the request's epoch and, if granted, votes in it (Q1, Q2): one store for both.
    fn cast(&mut self, tenure: &Tenure, message: &Message, granted: bool, effects: &mut Effects) {
        let kept = if message.quorum_epoch == self.vote.quorum_epoch { self.vote.voted_for } else { None };
        let voted_for = if granted { Some(message.from) } else { kept };
        let vote = Vote { quorum_epoch: message.quorum_epoch, voted_for };
        if vote != self.vote {
            self.become_unattached(tenure, vote, effects);
        }
    }

    /// Answers a vote request. What it says rests on nothing that is not stored.
    fn answer_vote(&self, tenure: &Tenure, owed: Owed, effects: &mut Effects) {
        let Owed { candidate, asked, pre_vote, granted } = owed;
        let answer = VoteAnswer { asked, pre_vote, granted, leader: self.leader(tenure) };
        self.send(tenure, candidate.id, Body::VoteAnswer(answer), effects);
    }

    /// A vote request was answered.
    pub(super) fn on_vote_answer(
        &mut self,
        tenure: &Tenure,
        message: &Message,
        answer: &VoteAnswer,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        if message.quorum_epoch > self.vote.quorum_epoch {
            if self.faults.has(Bug::LaterEpochUnheeded) {
                return Ok(());
            }
            self.advance_epoch(tenure, message.quorum_epoch, effects);
            if let Some(leader) = answer.leader {
                self.attach(tenure, leader, effects);
            }
            return Ok(());
        }
        let bit = self.check_vote_answer(tenure, message, answer)?;
        if let (false, Some(leader)) = (answer.granted, answer.leader) {
            self.attach(tenure, leader, effects);
        }
        match &mut self.role {
            Role::Prospective(standing) if !answer.granted => standing.rejected |= bit,
            Role::Prospective(standing) | Role::Candidate(standing) if answer.granted => {
                standing.granted |= bit
            }
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_)
            | Role::Resigned => {}
        }
        self.count_votes(tenure, effects);
        Ok(())
    }

    /// The bit of the voter that answered, if the answer is to the round that is open (B-48).
    fn check_vote_answer(
        &self,
        tenure: &Tenure,
        message: &Message,
        answer: &VoteAnswer,
    ) -> Result<u32, Refusal> {
        let unasked = Refusal::NotAsked { request: answer.asked.request };
        let (standing, pre_vote) = match &self.role {
            Role::Prospective(standing) => (standing, true),
            Role::Candidate(standing) => (standing, false),
            Role::Unattached(_) | Role::Follower(_) | Role::Leader(_) | Role::Resigned => {
                return Err(unasked);
            }
        };
        if pre_vote != answer.pre_vote || answer.asked.incarnation != tenure.incarnation {
            return Err(unasked);
        }
        if !self.faults.has(Bug::StaleVoteCounted) {
            if message.quorum_epoch < self.vote.quorum_epoch {
                return Err(Refusal::StaleEpoch {
                    theirs: message.quorum_epoch,
                    ours: self.vote.quorum_epoch,
                });
            }
            if answer.asked.request != standing.request {
                return Err(unasked);
            }
        }
        self.voter_bit(message.from).ok_or(Refusal::NotVoter { key: message.from })
    }

    /// Goes on if a majority has granted, or back if a majority has refused the pre-vote.
    fn count_votes(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let (size, majority) = (self.deciding_voters().size(), self.deciding_voters().majority());
        match &self.role {
            Role::Prospective(standing) if standing.granted.count_ones() >= majority => {
                self.stand(tenure, effects)
            }
            Role::Candidate(standing) if standing.granted.count_ones() >= majority && self.may_speak() => {
                self.win(tenure, effects);
            }
            Role::Prospective(standing) if standing.rejected.count_ones() > size.saturating_sub(majority) => {
                match standing.leader {
                    Some(leader) => self.become_follower(tenure, leader, effects),
                    None => self.become_unattached(tenure, self.vote, effects),
                }
            }
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_)
            | Role::Resigned => {}
        }
    }
}
