//! The state of one replica of the quorum log, and what of it survives a crash.
//!
//! Durable: the vote, the log, the voter sets in it, the latest two snapshots. Everything else is rebuilt (X6).

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::input::{ProposalId, ReadId, Vote};
use super::message::{Asked, SnapshotId};
use super::voter::{VoterHistory, VoterKey, VoterSet};
use crate::fault::Faults;
use crate::id::{IncarnationId, Offset, QuorumEpoch, RequestId};
use crate::log::LogShape;

/// What does not change within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tenure {
    /// This replica.
    pub key: VoterKey,
    /// This run of it: new at every start.
    pub incarnation: IncarnationId,
}

/// What was found on disk at a start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recovered {
    /// The last vote stored, or the default if there is none.
    pub vote: Vote,
    /// The voters that the directory was formatted with; empty on a node that joins as an observer of whom it was told.
    pub formatted: VoterSet,
    /// The latest complete snapshot and the voters in it.
    pub snapshot: Option<(SnapshotId, VoterSet)>,
    /// The snapshot before that one, if it is still there.
    pub older: Option<SnapshotId>,
    /// The log, its bad tail cut off (X11). It begins at the latest snapshot's end at the latest.
    pub log: LogShape<QuorumEpoch>,
    /// The voters records in the log, by ascending offset.
    pub voters: alloc::vec::Vec<super::voter::VoterRecord>,
}

/// One replica of the quorum log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Quorum<F: Faults> {
    #[serde(skip)]
    pub(super) faults: F,
    /// The current vote; may be ahead of what is stored.
    pub(super) vote: Vote,
    /// What is durable of it. While it differs, no message leaves.
    pub(super) stored: Vote,
    /// A vote request to be answered once the vote is stored.
    pub(super) owed: Option<Owed>,
    pub(super) role: Role,
    pub(super) log: LogShape<QuorumEpoch>,
    pub(super) voters: VoterHistory,
    pub(super) snapshot: Option<SnapshotId>,
    /// The snapshot before it, which another replica may still be reading: the log begins at its end.
    pub(super) older: Option<SnapshotId>,
    /// Exclusive; of committed records only, and none until a leader has told one in this incarnation.
    pub(super) high_watermark: Option<Offset>,
    /// The request sent last.
    pub(super) last_request: RequestId,
}

/// A vote request to be answered once the vote is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Owed {
    pub(super) candidate: VoterKey,
    pub(super) asked: Asked,
    pub(super) pre_vote: bool,
    pub(super) granted: bool,
}

/// What a replica is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "one core per process; the checker clones it often and must not allocate"
)]
pub(super) enum Role {
    /// Knows no leader of its epoch.
    Unattached(Probing),
    /// Fetches from the leader of its epoch.
    Follower(Following),
    /// Asks whether it would be elected (Q6).
    Prospective(Standing),
    /// Stands for election in its epoch.
    Candidate(Standing),
    /// Leads its epoch.
    Leader(Leadership),
    /// Led its epoch, or may have before a restart, and does so no more (Q8).
    Resigned,
}

/// Looking for a leader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Probing {
    /// Index of the voter that was asked last, modulo the number of voters.
    pub(super) asked: u32,
    /// The fetch that asked it.
    pub(super) outstanding: Option<RequestId>,
}

/// Following a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Following {
    pub(super) leader: VoterKey,
    /// Whether the leader has answered a fetch in this epoch (Q6).
    pub(super) fetched: bool,
    /// The fetch that waits for an answer.
    pub(super) outstanding: Option<RequestId>,
    /// The last leader round seen (Q18).
    pub(super) round: u64,
    /// The snapshot being installed; nothing is fetched meanwhile.
    pub(super) installing: Option<SnapshotId>,
}

/// Asking for votes. Voters are counted by their index in the latest voter set, which cannot change meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The round of vote requests.
    pub(super) request: RequestId,
    /// One bit per voter that granted.
    pub(super) granted: u32,
    /// One bit per voter that refused the pre-vote; a candidate waits for its timer instead.
    pub(super) rejected: u32,
    /// The leader of this epoch, if a pre-vote began for want of an answer from it.
    pub(super) leader: Option<VoterKey>,
}

/// Leading an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Leadership {
    /// Offset of the first record of this epoch, the leader change.
    pub(super) epoch_start: Offset,
    /// Whether a record of this epoch is committed (Q15).
    pub(super) established: bool,
    /// The replicas that fetched in this epoch, by key.
    pub(super) replicas: SmallVec<[Progress; 2]>,
    /// Proposals and voter changes that wait for their commit, by offset.
    pub(super) proposals: SmallVec<[Waiting; 1]>,
    /// Reads that wait for a round, by round.
    pub(super) reads: SmallVec<[Reading; 1]>,
    /// The newest round issued (Q18).
    pub(super) round: u64,
}

/// What a leader knows of another replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) key: VoterKey,
    /// Its last fetch that was served; an older one of the same run is refused.
    pub(super) last: Asked,
    /// Its durable log end, a prefix of the leader's log up to there; `None` until a fetch was valid in this epoch (Q12).
    pub(super) reached: Option<Offset>,
    /// Whether it ever reached the high watermark in this epoch (Q31e).
    pub(super) caught_up: bool,
    /// Whether it was heard from since the check-quorum timer was armed (Q7).
    pub(super) heard: bool,
    /// The newest round that it echoed (Q18).
    pub(super) round: u64,
    /// Its last fetch, if that was valid and waits for news.
    pub(super) parked: Option<Parked>,
}

/// A valid fetch at `Progress::reached` that waits for news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Parked {
    pub(super) high_watermark: Option<Offset>,
    pub(super) round: u64,
}

/// A proposal that waits for its commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) id: ProposalId,
    pub(super) base_offset: Offset,
    pub(super) end: Offset,
}

/// A read that waits for a round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Reading {
    pub(super) id: ReadId,
    pub(super) round: u64,
}

/// What a replica is doing, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RoleName {
    /// A voter that knows no leader of its epoch; or one that is a voter no more once that is committed, as below.
    Unattached,
    /// A voter that fetches from the leader.
    Follower,
    /// A voter that asks whether it would be elected.
    Prospective,
    /// A voter that stands for election.
    Candidate,
    /// The leader of its epoch.
    Leader,
    /// Led this epoch, or may have before a restart.
    Resigned,
    /// Not a voter: fetches from the leader, or looks for it.
    Observer,
}

impl core::fmt::Display for RoleName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Unattached => "unattached",
            Self::Follower => "follower",
            Self::Prospective => "prospective",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
            Self::Resigned => "resigned",
            Self::Observer => "observer",
        })
    }
}

/// What a leader tells of another replica, for people to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaProgress {
    /// The replica.
    pub key: VoterKey,
    /// Its durable log end, exclusive, if it has fetched in this epoch.
    pub reached: Option<Offset>,
    /// Whether it votes.
    pub is_voter: bool,
}

impl<F: Faults> Quorum<F> {
    /// A replica as it was found on disk, that knows no leader.
    pub(super) fn at_rest(faults: F, recovered: Recovered) -> Self {
        let base = recovered.snapshot.as_ref().map_or(&recovered.formatted, |(_, voters)| voters).clone();
        let mut voters = VoterHistory::new(base);
        for record in recovered.voters {
            voters.append(record.offset, record.voters);
        }
        let snapshot = recovered.snapshot.map(|(id, _)| id);
        voters.trim(snapshot.map_or(Offset::ZERO, |id| id.end));
        Self {
            faults,
            vote: recovered.vote,
            stored: recovered.vote,
            owed: None,
            role: Role::Unattached(Probing::default()),
            log: recovered.log,
            voters,
            snapshot,
            older: recovered.older.filter(|older| snapshot.is_some_and(|newest| older.end < newest.end)),
            high_watermark: None,
            last_request: RequestId::default(),
        }
    }

    /// What this replica is doing.
    #[must_use]
    pub fn role(&self, tenure: &Tenure) -> RoleName {
        let may_stand = self.may_stand(tenure.key);
        match self.role {
            Role::Unattached(_) | Role::Follower(_) if !may_stand => RoleName::Observer,
            Role::Unattached(_) => RoleName::Unattached,
            Role::Follower(_) => RoleName::Follower,
            Role::Prospective(_) => RoleName::Prospective,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
            Role::Resigned => RoleName::Resigned,
        }
    }

    /// The leader of the current epoch, if known; this replica itself when it leads.
    #[must_use]
    pub fn leader(&self, tenure: &Tenure) -> Option<VoterKey> {
        match &self.role {
            Role::Follower(following) => Some(following.leader),
            Role::Prospective(standing) => standing.leader,
            Role::Leader(_) => Some(tenure.key),
            Role::Unattached(_) | Role::Candidate(_) | Role::Resigned => None,
        }
    }

    /// Whether it leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Whether it leads and a record of its epoch is committed (Q15).
    #[must_use]
    pub fn is_established(&self) -> bool {
        matches!(&self.role, Role::Leader(leadership) if leadership.established)
    }

    /// Whether it leads, or follows a leader that has answered it in this epoch: then it grants no pre-vote (Q6).
    #[must_use]
    pub fn hears_leader(&self) -> bool {
        match &self.role {
            Role::Leader(_) => true,
            Role::Follower(following) => following.fetched,
            Role::Unattached(_) | Role::Prospective(_) | Role::Candidate(_) | Role::Resigned => false,
        }
    }

    /// How many voters a leader has heard since its check-quorum timer was armed, itself included if it votes (Q7).
    #[cfg(test)]
    pub(super) fn heard_voters(&self, tenure: &Tenure) -> Option<u32> {
        self.is_leader().then(|| self.count_voters(tenure, |progress| progress.heard))
    }

    /// The current epoch. Durable only once [`Self::stored`] says so.
    #[must_use]
    pub fn quorum_epoch(&self) -> QuorumEpoch {
        self.vote.quorum_epoch
    }

    /// The current vote.
    #[must_use]
    pub fn vote(&self) -> Vote {
        self.vote
    }

    /// The vote that is durable.
    #[must_use]
    pub fn stored(&self) -> Vote {
        self.stored
    }

    /// The high watermark, exclusive, if known in this incarnation.
    #[must_use]
    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// The voter sets by offset.
    #[must_use]
    pub fn voters(&self) -> &VoterHistory {
        &self.voters
    }

    /// The shape of the log.
    #[must_use]
    pub fn log(&self) -> &LogShape<QuorumEpoch> {
        &self.log
    }

    /// The latest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<SnapshotId> {
        self.snapshot
    }

    /// The oldest snapshot that must be kept, and the log from its end on: another replica may still be reading it (Q41).
    #[must_use]
    pub fn oldest_snapshot(&self) -> Option<SnapshotId> {
        self.older.or(self.snapshot)
    }

    /// Every replica that has fetched from this leader in its epoch; nothing when it does not lead.
    pub fn progress(&self) -> impl Iterator<Item = ReplicaProgress> + '_ {
        let replicas = match &self.role {
            Role::Leader(leadership) => leadership.replicas.as_slice(),
            Role::Unattached(_)
            | Role::Follower(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Resigned => &[],
        };
        replicas.iter().map(|replica| ReplicaProgress {
            key: replica.key,
            reached: replica.reached,
            is_voter: self.voters.latest().contains(replica.key),
        })
    }
}
