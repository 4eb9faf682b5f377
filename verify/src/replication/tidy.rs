//! Reductions: what is removed from a state because nothing can come of it.
//!
//! Messages that come to nothing go (`dead`); views that tell a replica nothing are applied at once, and forgotten when all
//! have applied them.

use highwater_model::id::Offset;
use highwater_model::replication::{IsrChangeStage, PartitionView, ReplicaIdx};

use smallvec::SmallVec;

use super::World;
use super::cluster::Request;
use super::dead::{Why, epoch_of, why_dead};
use super::drive::Driver;
use super::encode::says_the_same;
use super::network::Envelope;
use super::part::Part;
use super::reduce::Reduction;
use super::state::{Run, State};
use super::turn::Event;
use crate::world::Notes;

impl World {
    /// Removes what no later step can tell from nothing.
    pub(super) fn tidy(&self, state: &mut State, notes: &mut Notes) {
        loop {
            state.past.clear();
            self.drop_dead(state, notes);
            state.past = self.leaders_of_the_past(state);
            if !state.past.is_empty() {
                self.drop_dead(state, notes);
            }
            if !self.apply_silent_views(state, notes) {
                break;
            }
        }
        self.drop_views(state);
    }

    fn drop_dead(&self, state: &mut State, notes: &mut Notes) {
        if self.reduce.has(Reduction::Dead) || self.reduce.has(Reduction::Told) {
            let dead = |envelope: &Part<Envelope>| why_dead(state, envelope, self.reduce);
            let dead: SmallVec<[Option<Why>; 8]> = state.network.envelopes().iter().map(dead).collect();
            for (envelope, why) in state.network.envelopes().iter().zip(&dead) {
                why.iter().for_each(|why| self.try_dropped(state, *envelope, *why, notes));
            }
            state.network.drop_dead(&dead);
            if self.reduce.has(Reduction::Dead) {
                state.network.drop_twins();
            }
        }
    }

    /// The next view of this broker, if to apply it changes nothing that any later step could tell: a replica that does
    /// not lead heeds of a view who leads and in which leader epoch, so that one which tells neither anew may as well be
    /// applied at once. (A heartbeat may only need it to have been applied, never the opposite.) A replica that neither
    /// leads nor follows can do nothing else: it refuses every message and waits for no timer, and a fetch that it sends
    /// too early is a fetch that is delivered late.
    ///
    /// A follower whose leader is gone for good, and to which nothing is under way, can do nothing before it has applied the
    /// next view either, and whatever may happen after it has may wait: so it applies it at once, too. Likewise a leader
    /// of the past that can bring about nothing more.
    fn silent_view(&self, state: &State, replica: ReplicaIdx) -> Option<Part<PartitionView>> {
        let run = state.run(replica)?;
        let next = state.cluster.next_view(run.applied)?;
        let known = run.core.view();
        let seen = known.metadata_offset > Offset::ZERO;
        let idle = !run.leads() && !run.core.is_following();
        let same = says_the_same(known, &next);
        let silent = idle || (seen && same && !run.leads());
        let comes_to_nothing =
            || is_left_alone(state, replica, run, &next) || leads_for_nothing(state, replica, run, &next);
        let is_known = || !self.bounds.known_views_wait && tells_what_is_known(run, &next);
        let is_silent = silent && self.reduce.has(Reduction::Views);
        let is_idle = self.reduce.has(Reduction::Waits) && comes_to_nothing();
        (is_silent || is_known() || is_idle).then_some(next)
    }

    /// Applies the views that are silent; tells whether there was any. One may make another silent, never the opposite:
    /// what is sent then is of the new leader epoch, and no leader is of the past while another broker is in its own.
    fn apply_silent_views(&self, state: &mut State, notes: &mut Notes) -> bool {
        let mut any = false;
        for replica in state.replicas() {
            while let Some(view) = self.silent_view(state, replica) {
                any = true;
                if state.run(replica).is_some_and(|run| run.known < view.leader_epoch) {
                    state.past.retain(|past| past.leader != replica);
                }
                Driver { world: self, state: &mut *state, notes: &mut *notes }
                    .feed(replica, Event::View(view));
            }
        }
        any
    }

    /// Views that every running broker has applied. A broker that starts is told the current one first.
    fn drop_views(&self, state: &mut State) {
        let applied = state.brokers.iter().filter_map(|broker| broker.run.as_ref()).map(|run| run.applied);
        let applied = applied.min().unwrap_or(state.cluster.current().metadata_offset);
        if state.cluster.has_applied_views(applied) {
            Driver { world: self, state, notes: &mut Notes::default() }.ask(Request::Forget(applied));
        }
    }
}

/// Whether a leader of the past can bring about nothing more. While it syncs it waits for the view that ends its leader
/// epoch: what it tells its new leader depends on which comes first.
fn leads_for_nothing(state: &State, replica: ReplicaIdx, run: &Run, next: &PartitionView) -> bool {
    let syncs = !state.broker(replica).disk.syncs.is_empty();
    let waits = syncs && next.leader_epoch > run.known;
    !waits && state.past_of(replica).is_some_and(|past| !past.may_reach())
}

/// Whether a view tells a leader what it knows already. To apply it is nothing then, yet may be something when the leader has
/// gone on to another proposal: so it is applied at once only where a bound says so.
fn tells_what_is_known(run: &Run, next: &PartitionView) -> bool {
    if !run.leads() {
        return false;
    }
    let known = run.core.view();
    let told = PartitionView { metadata_offset: known.metadata_offset, ..next.clone() };
    told == *known && run.core.isr_change_stage() != Some(IsrChangeStage::Held)
}

/// Whether a replica follows a leader that will never answer it, in a leader epoch that `next` ends, with nothing of that
/// epoch under way to it and nothing unfinished on its disk. What is of a later one it is not given before it knows of it.
fn is_left_alone(state: &State, replica: ReplicaIdx, run: &Run, next: &PartitionView) -> bool {
    let deaf = |leader: ReplicaIdx| state.run(leader).is_none_or(|leader| leader.known > run.known);
    let to_it = |envelope: &Envelope| match envelope {
        Envelope::Peer { to, message, .. } => *to == replica && epoch_of(message) == run.known,
        Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
    };
    let disk = &state.broker(replica).disk;
    run.core.is_following()
        && next.leader_epoch > run.known
        && run.core.view().leader.is_some_and(deaf)
        && disk.writes.is_empty()
        && disk.syncs.is_empty()
        && !state.network.envelopes().iter().any(|envelope| to_it(envelope))
}
