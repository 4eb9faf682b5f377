//! Replicas as names, for a checker.
//!
//! Replicas are compared for equality, and never otherwise but where one of several equals must be chosen: whom a replica
//! without a leader asks first, and which of the voters that have fetched equally far a leader that resigns names first. A
//! checker that leaves those two open may give the replicas other names, in all cores and messages alike, and visits states
//! that differ in names alone once.

use super::input::Vote;
use super::message::{Batch, BatchKind, Body, FetchAnswer, Fetched, Message, VoteAnswer};
use super::state::{Probing, Quorum, Role, Standing};
use super::voter::{VoterHistory, VoterKey, VoterRecord, VoterSet};
use crate::fault::Faults;

/// What of a replica no step will read any more, as a checker knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Whom a leader has heard from since it last knew that a majority follows (Q7).
    pub heard: bool,
    /// Who has caught up with a leader (Q31e).
    pub caught_up: bool,
    /// Whether the leader has answered a follower (Q6).
    pub fetched: bool,
    /// The vote that is stored, while that for a later epoch is being stored.
    pub stored: bool,
}

impl VoterSet {
    /// The set with every voter by another name.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(VoterKey) -> VoterKey) -> Self {
        Self::new(self.keys().iter().copied().map(name)).expect("different nodes get different names")
    }
}

impl VoterHistory {
    fn renamed(&self, name: impl Fn(VoterKey) -> VoterKey) -> Self {
        let mut renamed = Self::new(self.base().renamed(&name));
        for VoterRecord { offset, voters } in self.records() {
            renamed.append(*offset, voters.renamed(&name));
        }
        renamed
    }
}

impl<F: Faults> Quorum<F> {
    /// This replica as it would be if every replica had the name that `name` gives it. Whom it asked last who leads is not
    /// told, nor what is `unread`.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(VoterKey) -> VoterKey + Copy, unread: Unread) -> Self {
        let mut renamed = self.clone();
        renamed.forget(unread);
        for vote in [&mut renamed.vote, &mut renamed.stored] {
            vote.voted_for = vote.voted_for.map(name);
        }
        if let Some(owed) = &mut renamed.owed {
            owed.candidate = name(owed.candidate);
        }
        renamed.voters = self.voters.renamed(name);
        match &mut renamed.role {
            Role::Unattached(Probing { asked, .. }) => *asked = 0,
            Role::Follower(following) => following.leader = name(following.leader),
            Role::Prospective(standing) | Role::Candidate(standing) => {
                standing.leader = standing.leader.map(name);
                standing.granted = self.renamed_bits(standing.granted, name);
                standing.rejected = self.renamed_bits(standing.rejected, name);
            }
            Role::Leader(leadership) => {
                leadership.replicas.iter_mut().for_each(|replica| replica.key = name(replica.key));
                leadership.replicas.sort_unstable_by_key(|replica| replica.key);
            }
            Role::Resigned => {}
        }
        renamed
    }

    fn forget(&mut self, unread: Unread) {
        if unread.stored {
            self.stored = Vote::default();
        }
        match &mut self.role {
            Role::Follower(following) => following.fetched &= !unread.fetched,
            Role::Leader(leadership) => {
                for replica in &mut leadership.replicas {
                    replica.heard &= !unread.heard;
                    replica.caught_up &= !unread.caught_up;
                }
            }
            Role::Unattached(_) | Role::Prospective(_) | Role::Candidate(_) | Role::Resigned => {}
        }
    }

    /// The bits of the same voters under their other names. They are counted by the place of a voter in the set that decides, which
    /// is the latest one: voters are renamed only where no set but that was ever in the log.
    fn renamed_bits(&self, bits: u32, name: impl Fn(VoterKey) -> VoterKey) -> u32 {
        let voters = self.voters.latest();
        let rank = |key: VoterKey| voters.keys().iter().filter(|other| name(**other) < name(key)).count();
        let counted = voters.keys().iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        counted.fold(0, |renamed, (_, key)| renamed | 1 << rank(*key))
    }

    /// The votes that this replica has counted, and whether it stands for election or asks whether it would be elected: how many
    /// granted, how many refused.
    #[must_use]
    pub fn votes(&self) -> Option<(u32, u32)> {
        match &self.role {
            Role::Prospective(Standing { granted, rejected, .. })
            | Role::Candidate(Standing { granted, rejected, .. }) => {
                Some((granted.count_ones(), rejected.count_ones()))
            }
            Role::Unattached(_) | Role::Follower(_) | Role::Leader(_) | Role::Resigned => None,
        }
    }
}

impl Message {
    /// This message as it would be if every replica had the name that `name` gives it. Successors are told in no order.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(VoterKey) -> VoterKey + Copy) -> Self {
        let mut renamed = self.clone();
        renamed.from = name(self.from);
        match &mut renamed.body {
            Body::Vote(vote) => vote.voter = name(vote.voter),
            Body::VoteAnswer(VoteAnswer { leader, .. })
            | Body::FetchAnswer(FetchAnswer { fetched: Fetched::Refused { leader }, .. }) => {
                *leader = leader.map(name);
            }
            Body::FetchAnswer(FetchAnswer { fetched: Fetched::Records { batches, .. }, .. }) => {
                batches.iter_mut().for_each(|batch| batch.rename(name));
            }
            Body::EndQuorum { successors } => {
                successors.iter_mut().for_each(|key| *key = name(*key));
                successors.sort_unstable();
            }
            Body::Fetch(_) | Body::FetchAnswer(_) | Body::BeginQuorum => {}
        }
        renamed
    }
}

impl Batch {
    fn rename(&mut self, name: impl Fn(VoterKey) -> VoterKey) {
        if let BatchKind::Voters(voters) = &mut self.kind {
            *voters = voters.renamed(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{DirectoryId, NodeId, Offset};

    fn key(id: u32) -> VoterKey {
        VoterKey { id: NodeId(id), directory: DirectoryId(u128::from(id)) }
    }

    fn turned(one: VoterKey) -> VoterKey {
        key((one.id.0 + 1) % 3)
    }

    #[test]
    fn names_that_come_round_are_the_first_again() {
        let mut history = VoterHistory::new(VoterSet::new((0..3).map(key)).expect("a legal set"));
        history.append(Offset(4), VoterSet::new([key(0), key(2)]).expect("a legal set"));

        assert_eq!(history.renamed(turned).latest(), &VoterSet::new([key(1), key(0)]).expect("a legal set"));
        assert_eq!(history.renamed(turned).renamed(turned).renamed(turned), history);
    }
}
