//! What a leader keeps: the progress of its followers, the ISR change in flight, and who waits for what.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{AlterPartition, Answered, FlushPolicy, IsrSet, REPLICAS_MAX, ReadRound, ReplicaIdx};
use crate::id::{BrokerEpoch, Offset, RequestId};

/// A follower's position, from its last valid fetch in this leader epoch (R12, R30).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct FollowerProgress {
    /// The incarnation that fetched (R61).
    pub(super) broker_epoch: BrokerEpoch,
    /// The fetch that told it; a [`Progress`](super::Progress) amends only this one.
    pub(super) request_id: RequestId,
    /// Its log end, which is written, exclusive.
    pub(super) end: Offset,
    /// What it has synced, exclusive; at most `end`.
    pub(super) durable_end: Offset,
    /// The last round that it echoed.
    pub(super) round: ReadRound,
}

impl FollowerProgress {
    /// What counts as held by it (R20).
    pub(super) fn counted(&self, flush: FlushPolicy) -> Offset {
        match flush {
            FlushPolicy::Os => self.end,
            FlushPolicy::Commit => self.durable_end,
        }
    }
}

/// A leader's knowledge of one other replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Follower {
    /// Its progress, if it has fetched in this leader epoch.
    pub(super) progress: Option<FollowerProgress>,
    /// A fetch that waits for something to send.
    pub(super) parked: Option<Answered>,
    /// Whether it was caught up less than the lag time ago (R41).
    pub(super) caught_up: bool,
    /// The log end that it must reach to be caught up anew.
    pub(super) goal: Offset,
    /// Whether its lag timer runs.
    pub(super) armed: bool,
    /// Whether it was caught up in this step, so that the timer starts anew. Always `false` between steps.
    pub(super) restart: bool,
}

/// A produce that waits until the log is held up to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct WaitingProduce {
    pub(super) request_id: RequestId,
    pub(super) base_offset: Offset,
    /// What must be held, exclusive.
    pub(super) end: Offset,
}

/// An end read that waits until every member of the maximal ISR has echoed a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct WaitingEndRead {
    pub(super) request_id: RequestId,
    pub(super) round: ReadRound,
}

/// Produces in the order of their ends.
pub(super) type WaitingProduces = SmallVec<[WaitingProduce; 1]>;

/// A proposal without a known outcome (R44, R45).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct PendingChange {
    pub(super) proposal: AlterPartition,
    /// Whether the controller said that this leader is behind: only newer metadata can settle it.
    pub(super) behind: bool,
}

/// What a leader waits for before it may propose another ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsrChangeStage {
    /// Nothing: it may propose.
    Free,
    /// The answer to its proposal (R40).
    Open(RequestId),
    /// Newer metadata, since the controller said that it is behind.
    Behind,
    /// Any newer metadata, or its timer, after a refusal (R45).
    Held,
}

/// The ISR changes that were proposed on the present partition epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct IsrChange {
    /// The one in flight (R40: at most one).
    pub(super) pending: Option<PendingChange>,
    /// Members of proposals that were refused but of which copies may still be under way: they go on counting until
    /// the partition epoch moves, because any such copy may yet be applied.
    pub(super) unsettled: IsrSet,
    /// Whether to propose nothing until the metadata moves or the timer runs out.
    pub(super) held: bool,
}

impl IsrChange {
    /// What it waits for.
    pub(super) fn stage(&self) -> IsrChangeStage {
        match &self.pending {
            Some(pending) if pending.behind => IsrChangeStage::Behind,
            Some(pending) => IsrChangeStage::Open(pending.proposal.request_id),
            None if self.held => IsrChangeStage::Held,
            None => IsrChangeStage::Free,
        }
    }

    /// Whether the retry timer runs.
    pub(super) fn has_timer(&self) -> bool {
        self.held || self.pending.as_ref().is_some_and(|pending| !pending.behind)
    }
}

/// State of a leader in one leader epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Leading {
    /// The log end when the leader epoch began.
    pub(super) epoch_start: Offset,
    /// By [`ReplicaIdx`]; the own place is unused.
    pub(super) followers: SmallVec<[Follower; 3]>,
    pub(super) change: IsrChange,
    /// Produces with `acks=all`: wait for the high watermark.
    pub(super) for_commit: WaitingProduces,
    /// Produces with `acks=1`: wait for the own log.
    pub(super) for_local: WaitingProduces,
    /// The last round begun.
    pub(super) round: ReadRound,
    /// In the order of their rounds.
    pub(super) end_reads: SmallVec<[WaitingEndRead; 1]>,
}

impl Leading {
    pub(super) fn begin(epoch_start: Offset, replicas: u8, isr: IsrSet) -> Self {
        let follower =
            |replica| Follower { caught_up: isr.contains(replica), goal: epoch_start, ..Follower::default() };
        Self {
            epoch_start,
            followers: (0..replicas).map(ReplicaIdx).map(follower).collect(),
            change: IsrChange::default(),
            for_commit: WaitingProduces::new(),
            for_local: WaitingProduces::new(),
            round: ReadRound::default(),
            end_reads: SmallVec::new(),
        }
    }

    pub(super) fn replicas(&self) -> impl Iterator<Item = ReplicaIdx> + use<> {
        let count = u8::try_from(self.followers.len()).unwrap_or(REPLICAS_MAX);
        (0..count).map(ReplicaIdx)
    }

    pub(super) fn follower(&self, replica: ReplicaIdx) -> Option<&Follower> {
        self.followers.get(usize::from(replica.0))
    }

    pub(super) fn follower_mut(&mut self, replica: ReplicaIdx) -> Option<&mut Follower> {
        self.followers.get_mut(usize::from(replica.0))
    }

    pub(super) fn progress(&self, replica: ReplicaIdx) -> Option<&FollowerProgress> {
        self.follower(replica)?.progress.as_ref()
    }
}
