//! Epoch by epoch: what happens in an epoch happens before anybody has stored a later one.
//!
//! Two rules of the core give the steps of all replicas an order (Q2):
//! - a message leaves in the epoch that its sender has stored;
//! - whoever takes a message is then in its epoch or in a later one.
//!
//! Both are claims that every step is held against ([`Driver::check_order`]). So nothing that a replica does while it is in
//! some epoch can depend on what another did after it had stored a later one: that could only have reached it in a
//! message of that epoch, and would have moved it there. Every execution may therefore be reordered, the steps of each replica
//! staying in their order, so that all steps that leave a replica in epoch 1 come first, then those that leave one in epoch
//! 2, and so on; and it ends in the same state. As every state is the end of an execution, that of its own causal past, it is
//! enough to search these executions. In them a replica is *behind* when it is in an epoch below the newest that is stored
//! anywhere, and all that one behind still does is to move on: a message of the newest epoch or a candidacy takes it there.
//! What else it might do in its epoch is done before.
//!
//! That saves few states by itself. But of a replica behind nothing is left to be told but what it brings along: its log
//! and disk, what it knows to be committed, and, for the claims, whether it leads. And no message of an earlier epoch can be
//! of use, but for requests of replicas behind, which are answered with the newest epoch whatever they ask for.
//!
//! Two more things are used:
//! - A power loss before a vote is stored takes a replica back to the epoch that it had stored. In the newer epoch it had
//!   told nobody anything; so it might as well never have been there, what took it there still being on its way, or not yet
//!   done. So a replica that has not stored the newest epoch neither is killed nor loses power.
//! - What clients see in common is no message: with reads, which must reflect what was acknowledged elsewhere, steps stay in
//!   any order. So they do where a search begins with a replica behind (an observer that has yet to hear of a leader, or after a
//!   second election), where a snapshot is fetched from another's disk, where a replaced or damaged disk forgets what it held, and where
//!   pre-votes, which raise no epoch, are messages.
//!
//! `epoch-order=true` asks for it.

use highwater_model::fault::Bug;
use highwater_model::id::{IncarnationId, QuorumEpoch};
use highwater_model::quorum::{Body, Message};
use smallvec::SmallVec;

use super::World;
use super::bounds::{Bounds, PreVotes};
use super::shared::Shared;
use super::state::{Node, Packet, Place, State, place};

/// Bugs that break one of the two rules, or are about what a voter remembers of an epoch that it has left.
const REVIVING: &[Bug] = &[
    Bug::StaleVoteCounted,
    Bug::StaleAppendTruncates,
    Bug::EpochForgotten,
    Bug::VoteForgotten,
    Bug::VoteTwice,
    Bug::VoteBeforeStored,
    Bug::LeaderResumes,
];

/// Whether the steps of these bounds may be taken epoch by epoch.
pub(super) fn applies(bounds: &Bounds, planted: Option<Bug>) -> bool {
    bounds.epoch_order
        && !bounds.keep_dead
        && bounds.stored_epochs
        && bounds.pre_votes == PreVotes::Free
        && bounds.reads == 0
        && bounds.snapshots == 0
        && bounds.wipes == 0
        && bounds.corruptions == 0
        // A removed voter may stand until that is committed, in an epoch that others have left behind.
        && bounds.changes == 0
        && !planted.is_some_and(|bug| REVIVING.contains(&bug))
}

/// Whether nobody is behind where a search begins: it could not have done before what it might still do.
pub(super) fn begins_together(state: &State) -> bool {
    let newest = state.nodes.iter().map(|node| node.disk.vote.quorum_epoch).max();
    state.nodes.iter().all(|node| Some(node.core.quorum_epoch()) >= newest)
}

/// The newest epoch that anybody has stored, in a world whose steps are taken epoch by epoch; the first one in others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present(QuorumEpoch);

impl World {
    /// Where a state is.
    pub(super) fn present(&self, state: &State) -> Present {
        let stored = state.nodes.iter().map(|node| node.disk.vote.quorum_epoch);
        Present(stored.max().filter(|_| self.in_order).unwrap_or_default())
    }
}

impl Present {
    /// The epoch.
    pub(super) fn epoch(self) -> QuorumEpoch {
        self.0
    }

    /// Whether a replica is behind.
    pub(super) fn is_behind(self, node: &Node) -> bool {
        node.core.quorum_epoch() < self.0
    }

    /// Whether a replica has stored a vote of the newest epoch.
    pub(super) fn has_stored(self, node: &Node) -> bool {
        node.disk.vote.quorum_epoch >= self.0
    }

    /// Whether a replica may be killed or lose power.
    pub(super) fn may_crash(self, node: &Node) -> bool {
        self.has_stored(node)
    }

    /// Whether a candidacy takes a replica to the newest epoch or beyond.
    pub(super) fn may_stand(self, node: &Node) -> bool {
        node.core.quorum_epoch().next() >= self.0
    }

    /// Whether the step that delivers a message leaves its receiver in the newest epoch.
    pub(super) fn may_arrive(self, receiver: &Node, message: &Message) -> bool {
        !self.is_behind(receiver) || message.quorum_epoch >= self.0
    }

    /// Whether a message is of an earlier epoch.
    pub(super) fn is_over(self, message: &Message) -> bool {
        message.quorum_epoch < self.0
    }

    /// Whether nothing can come of a message of an earlier epoch: only a request is still answered, and only one behind learns
    /// from that.
    pub(super) fn is_dead(self, nodes: &[Shared<Node>], message: &Message) -> bool {
        let sender = nodes.get(usize::from(place(message.from.id)));
        let is_request = matches!(message.body, Body::Vote(_) | Body::Fetch(_));
        self.is_over(message) && !(is_request && sender.is_some_and(|node| self.is_behind(node)))
    }

    /// Kind, sender and receiver of a request of an earlier epoch: all that makes a difference of it.
    pub(super) fn request_of_the_past(self, packet: &Packet) -> Option<(u8, Place, Place)> {
        let message = &packet.letter.message;
        let kind = match &message.body {
            Body::Vote(_) => 0,
            Body::Fetch(_) => 1,
            Body::VoteAnswer(_) | Body::FetchAnswer(_) | Body::BeginQuorum | Body::EndQuorum { .. } => {
                return None;
            }
        };
        self.is_over(message).then_some((kind, place(message.from.id), packet.to))
    }

    /// Makes requests of an earlier epoch that differ in nothing that makes a difference one: nobody waits for what they ask for,
    /// and once one of them is answered its sender is not behind any more.
    pub(super) fn merge_requests(self, packets: &mut SmallVec<[Packet; 6]>) {
        let mut known: SmallVec<[(u8, Place, Place); 6]> = SmallVec::new();
        packets.retain(|packet| {
            let Some(request) = self.request_of_the_past(packet) else {
                return true;
            };
            let first = !known.contains(&request);
            known.push(request);
            if first && packet.letter.message.incarnation != NOBODY {
                packet.letter.change(|letter| letter.message.incarnation = NOBODY);
            }
            first
        });
    }
}

/// The run that waits for the answers to requests of an earlier epoch.
const NOBODY: IncarnationId = IncarnationId(u128::MAX);
