//! Request ids as names, for a checker.
//!
//! Request ids are compared within one run of one replica, for equality and order, and never otherwise. States that differ
//! only in how often replicas have asked before are therefore one state: a checker renames the ids in all cores and
//! messages alike, keeping their order, and so visits it once.

use super::input::{ProposalId, ReadId};
use super::message::{Asked, Body, FetchAnswer, Message, SnapshotId, VoteAnswer};
use super::state::{Progress, Quorum, Role, Tenure};
use super::voter::VoterKey;
use crate::fault::Faults;
use crate::id::RequestId;

impl<F: Faults> Quorum<F> {
    /// Every request that this replica remembers, with who asked.
    pub fn requests(&self, tenure: &Tenure) -> impl Iterator<Item = (VoterKey, Asked)> + '_ {
        let (key, incarnation) = (tenure.key, tenure.incarnation);
        let own = [Some(self.last_request), self.waits_for()].into_iter().flatten();
        let replicas = match &self.role {
            Role::Leader(leadership) => leadership.replicas.as_slice(),
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Resigned => &[],
        };
        own.map(move |request| (key, Asked { incarnation, request }))
            .chain(replicas.iter().map(|progress| (progress.key, progress.last)))
            .chain(self.owed.map(|owed| (owed.candidate, owed.asked)))
    }

    /// Calls every request that this replica remembers by the name that `rename` gives it.
    pub fn rename_requests(&mut self, tenure: &Tenure, mut rename: impl FnMut(VoterKey, Asked) -> RequestId) {
        let incarnation = tenure.incarnation;
        let mut own = |request: &mut RequestId| {
            *request = rename(tenure.key, Asked { incarnation, request: *request });
        };
        own(&mut self.last_request);
        match &mut self.role {
            Role::Unattached(probing) => probing.outstanding.iter_mut().for_each(own),
            Role::Follower(following) => following.outstanding.iter_mut().for_each(own),
            Role::Prospective(standing) | Role::Candidate(standing) => own(&mut standing.request),
            Role::Leader(_) | Role::Resigned => {}
        }
        if let Role::Leader(leadership) = &mut self.role {
            for Progress { key, last, .. } in &mut leadership.replicas {
                last.request = rename(*key, *last);
            }
        }
        if let Some(owed) = &mut self.owed {
            owed.asked.request = rename(owed.candidate, owed.asked);
        }
    }

    /// The request whose answer this replica waits for.
    #[must_use]
    pub fn waits_for(&self) -> Option<RequestId> {
        match &self.role {
            Role::Unattached(probing) => probing.outstanding,
            Role::Follower(following) => following.outstanding,
            Role::Prospective(standing) | Role::Candidate(standing) => Some(standing.request),
            Role::Leader(_) | Role::Resigned => None,
        }
    }
}

/// Somebody who waits for an answer of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waits {
    /// For the commit of a proposal or of a voter change.
    ForCommit(ProposalId),
    /// For a linearizable read.
    ForRead(ReadId),
}

/// What a checker looks at beside them.
impl<F: Faults> Quorum<F> {
    /// The last fetch of a replica that this leader has served.
    #[must_use]
    pub fn last_fetch_of(&self, key: VoterKey) -> Option<Asked> {
        self.progress_of(key).map(|progress| progress.last)
    }

    /// The fetch of a replica that waits at this leader for news.
    #[must_use]
    pub fn parked_fetch_of(&self, key: VoterKey) -> Option<Asked> {
        self.progress_of(key).filter(|progress| progress.parked.is_some()).map(|progress| progress.last)
    }

    /// Whom this leader is to answer, in the order in which they came: first of the proposals, then of the reads.
    pub fn waited_for(&self) -> impl Iterator<Item = Waits> + Clone + '_ {
        let (proposals, reads) = match &self.role {
            Role::Leader(leading) => (leading.proposals.as_slice(), leading.reads.as_slice()),
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Resigned => (&[][..], &[][..]),
        };
        let proposals = proposals.iter().map(|waiting| Waits::ForCommit(waiting.id));
        proposals.chain(reads.iter().map(|reading| Waits::ForRead(reading.id)))
    }

    /// Whether somebody waits for this leader to answer a proposal or a read.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.waited_for().next().is_some()
    }

    /// The snapshot that is being installed here.
    #[must_use]
    pub fn installing(&self) -> Option<SnapshotId> {
        match &self.role {
            Role::Follower(following) => following.installing,
            Role::Unattached(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_)
            | Role::Resigned => None,
        }
    }
}

impl Message {
    /// The request that this message makes or answers: who asked is the sender, or the receiver `to`.
    #[must_use]
    pub fn request(&self, to: VoterKey) -> Option<(VoterKey, Asked)> {
        let made = |request| Some((self.from, Asked { incarnation: self.incarnation, request }));
        match &self.body {
            Body::Vote(vote) => made(vote.request),
            Body::Fetch(fetch) => made(fetch.request),
            Body::VoteAnswer(VoteAnswer { asked, .. }) | Body::FetchAnswer(FetchAnswer { asked, .. }) => {
                Some((to, *asked))
            }
            Body::BeginQuorum | Body::EndQuorum { .. } => None,
        }
    }

    /// Calls the request that this message makes or answers by another name.
    pub fn rename_request(&mut self, name: RequestId) {
        match &mut self.body {
            Body::Vote(vote) => vote.request = name,
            Body::Fetch(fetch) => fetch.request = name,
            Body::VoteAnswer(VoteAnswer { asked, .. }) | Body::FetchAnswer(FetchAnswer { asked, .. }) => {
                asked.request = name;
            }
            Body::BeginQuorum | Body::EndQuorum { .. } => {}
        }
    }
}
