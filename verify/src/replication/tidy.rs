//! Reductions: what is removed from a state because nothing can come of it.

use std::sync::Arc;

use highwater_model::id::Offset;
use highwater_model::replication::{Message, ReplicaIdx};

use super::World;
use super::network::Envelope;
use super::state::State;

impl World {
    /// Removes what no later step can tell from nothing.
    pub(super) fn tidy(&self, state: &mut State) {
        self.drop_views(state);
        if self.planted.0.is_none() {
            let mut network = std::mem::take(&mut state.network);
            network.drop_dead(|envelope| is_dead(state, envelope));
            state.network = network;
        }
    }

    /// Views that every running broker has applied. A broker that starts is told the current one first.
    fn drop_views(&self, state: &mut State) {
        let applied = state.brokers.iter().filter_map(|broker| broker.run.as_ref()).map(|run| run.applied);
        let applied = applied.min().unwrap_or(Offset(u64::MAX));
        if state.cluster.has_applied_views(applied) {
            Arc::make_mut(&mut state.cluster).forget_applied(applied);
        }
    }
}

/// Whether delivery of a message can only be refused, now and ever: epochs and incarnations never return.
fn is_dead(state: &State, envelope: &Envelope) -> bool {
    match envelope {
        Envelope::Peer { to, message, .. } => match message {
            Message::Fetch(fetch) => is_of_the_past(state, *to, fetch.leader_epoch.0),
            Message::Progress(progress) => is_of_the_past(state, *to, progress.leader_epoch.0),
            Message::FetchAnswer(answer) => {
                is_of_the_past(state, *to, answer.leader_epoch.0)
                    || state.run(*to).is_none_or(|run| {
                        run.broker_epoch != answer.answered.broker_epoch
                            || run.core.log().generation() != answer.answered.generation
                    })
            }
        },
        // The controller knows a broker's current incarnation alone, and so does the connection of an answer.
        Envelope::Proposal { from, proposal } => {
            state.run(*from).is_none_or(|run| run.broker_epoch != proposal.broker_epoch)
        }
        Envelope::Decision { to, broker_epoch, .. } => {
            state.run(*to).is_none_or(|run| run.broker_epoch != *broker_epoch)
        }
    }
}

/// Whether the receiver is in a later leader epoch, or down: it comes back in a later one.
fn is_of_the_past(state: &State, to: ReplicaIdx, leader_epoch: u32) -> bool {
    state.run(to).is_none_or(|run| run.known.0 > leader_epoch)
}
