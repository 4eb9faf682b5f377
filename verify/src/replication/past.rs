//! Leaders of the past: everybody else has left their leader epoch, and nothing new can come to them.
//!
//! A leader of the past leads in a leader epoch that has ended, as the views that it has yet to apply tell. Every other
//! broker that runs knows of a later leader epoch, clients have nothing more for it, and of its disk nothing but
//! syncs is under way. So whatever it sends will be refused (R11, R13, R43), and what it may hear is a fixed stock of
//! messages. All that it can still bring about is that its high watermark rises and its clients are told: as far as its own
//! log and what its members say, in what it has heard or in what is under way (R20). That is its *reach*. Its clients hear
//! of it, and nobody else, so it makes no difference in which steps it comes to know enough: it hears what it needs in one
//! step, at any moment ([`Driver::hear_members`]), or never. Of what it knows and of what is under way to it, nothing but
//! what concerns its reach is told apart then; and one without a reach applies the next view at once, since to wait serves
//! nobody.
//!
//! This is sound because whatever it does then it might as well have done before the last of the others left: nothing of it
//! depends on their leaving, and until then every order is explored.
//!
//! Views of its own leader epoch that it has yet to apply may change whom it waits for: so it has a reach at each of these
//! *stages*. Whom it waits for must not depend on what it hears: a leader that waits for a replica outside of its
//! maximal ISR (R44), or will if it hears it, or would at a later stage wait for one that it does not wait for before, is left as it is; and so is
//! one that may yet be told that its proposal was applied (R45).

use highwater_model::id::Offset;
use highwater_model::log::Position;
use highwater_model::replication::{AlterPartitionOutcome, Fetch, FlushPolicy, IsrSet, Message, ReplicaIdx};
use smallvec::SmallVec;

use super::World;
use super::dead::{epoch_of, is_dead_message};
#[cfg(doc)]
use super::drive::Driver;
use super::network::Envelope;
use super::part::Part;
use super::reduce::Reduction;
use super::state::{Broker, Run, State};
use super::turn::{self, Event};

/// A leader of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Past {
    /// Which replica leads.
    pub(super) leader: ReplicaIdx,
    /// As it is, and as it would be after each view of its leader epoch that it has yet to apply.
    stages: SmallVec<[Stage; 2]>,
}

/// What a leader of the past can bring about at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stage {
    high_watermark: Offset,
    /// The high watermark that it may reach, exclusive, if that is more than it has.
    reach: Option<Offset>,
    /// Whether its own log counts that far.
    holds: bool,
    /// The members that it waits for.
    members: IsrSet,
    /// What of the log of each of them counts by what it has heard.
    heard: SmallVec<[Offset; 3]>,
}

impl Past {
    /// Whether it can still bring about anything.
    pub(super) fn may_reach(&self) -> bool {
        self.stages.iter().any(|stage| stage.reach.is_some())
    }

    /// The members that have more to tell that it needs now, if its own log counts as far as its reach; and the reach.
    pub(super) fn may_hear(&self) -> Option<(IsrSet, Offset)> {
        let now = self.stages.first()?;
        let reach = now.reach.filter(|_| now.holds)?;
        let needed = now.members.iter().zip(&now.heard).filter(|(_, heard)| **heard < reach);
        let needed: IsrSet = needed.map(|(member, _)| member).collect();
        (needed != IsrSet::EMPTY).then_some((needed, reach))
    }

    /// Writes what makes a difference, with each replica by the name that it is given.
    pub(super) fn write(&self, name: impl Fn(IsrSet) -> IsrSet, mut byte: impl FnMut(u8)) {
        let offset = |offset: Offset| u8::try_from(offset.0).expect("a handful of records");
        if !self.may_reach() {
            return byte(0);
        }
        for stage in &self.stages {
            byte(1 + offset(stage.high_watermark));
            byte(stage.reach.map_or(0, |reach| 1 + offset(reach)));
            byte(name(stage.members).iter().fold(0, |bits, member| bits | 1 << member.0));
            let mut heard: SmallVec<[(ReplicaIdx, Offset); 3]> = SmallVec::new();
            for (member, end) in stage.members.iter().zip(&stage.heard) {
                heard.extend(name(IsrSet::only(member)).iter().map(|name| (name, *end)));
            }
            heard.sort_unstable();
            heard.iter().for_each(|(_, end)| byte(offset(*end)));
        }
        byte(0);
    }
}

impl World {
    /// The leaders of the past in this state.
    pub(super) fn leaders_of_the_past(&self, state: &State) -> Vec<Past> {
        if !self.reduce.has(Reduction::Past) {
            return Vec::new();
        }
        state.replicas().filter_map(|replica| self.past(state, replica)).collect()
    }

    fn past(&self, state: &State, leader: ReplicaIdx) -> Option<Past> {
        let run = state.run(leader).filter(|run| run.leads())?;
        if state.cluster.current().leader_epoch <= run.known || !self.is_left(state, leader, run) {
            return None;
        }
        let mut part = state.part(leader);
        let mut stages = SmallVec::<[Stage; 2]>::from_iter([stage(state, leader, part)?]);
        for view in state.cluster.views().iter().filter(|view| view.metadata_offset > run.applied) {
            if view.leader_epoch > run.known {
                break;
            }
            let event = Event::View(*view);
            part = part.fate(event.key(), || turn::take(self, &part, event)).after;
            stages.push(stage(state, leader, part)?);
        }
        let later = stages.iter().skip(1);
        let only_fewer = stages.iter().zip(later).all(|(now, then)| then.members.is_subset(now.members));
        only_fewer.then_some(Past { leader, stages })
    }

    /// Whether nothing new can come to this leader but its members' last words, views, and the ends of syncs.
    fn is_left(&self, state: &State, leader: ReplicaIdx, run: &Run) -> bool {
        let has_left = |other: ReplicaIdx| state.run(other).is_none_or(|other| other.known > run.known);
        let is_applied = |envelope: &Envelope| match envelope {
            Envelope::Decision { to, answer, .. } => {
                *to == leader && matches!(answer.outcome, AlterPartitionOutcome::Applied { .. })
            }
            Envelope::Peer { .. } | Envelope::Proposal { .. } => false,
        };
        state.replicas().filter(|other| *other != leader).all(has_left)
            && state.ledger.clients.len() >= usize::from(self.bounds.records)
            && self.bounds.retries == 0
            && state.broker(leader).disk.writes.is_empty()
            && !state.network.envelopes().iter().any(|envelope| is_applied(envelope))
    }
}

/// What a leader can bring about as it is; nothing is said of one that waits for others than its members, or will if it hears
/// one that may join.
fn stage(state: &State, leader: ReplicaIdx, part: Part<Broker>) -> Option<Stage> {
    let run = part.get().run.as_ref()?;
    let members = run.core.watermark_waits_for()?.without(leader);
    let maximal = run.core.maximal_isr()?;
    let may_join = |replica: &ReplicaIdx| {
        let is_eligible = run.core.view().replica(*replica).is_some_and(|replica| replica.eligible);
        is_eligible && !maximal.contains(*replica) && may_be_heard(state, run, leader, *replica)
    };
    if !members.is_subset(maximal) || state.replicas().any(|replica| may_join(&replica)) {
        return None;
    }
    let heard: SmallVec<[Offset; 3]> = members.iter().map(|member| counted(run, member)).collect();
    let told = members.iter().zip(&heard);
    let told = told.map(|(member, heard)| under_way(state, run, leader, member).max(*heard));
    let (view, high_watermark) = (run.core.view(), run.core.high_watermark());
    let reach = told.fold(run.core.log().end(), Offset::min);
    let may_rise = reach > high_watermark && view.isr.count() >= view.min_isr;
    let reach = may_rise.then_some(reach);
    Some(Stage { high_watermark, reach, holds: reach <= Some(own_end(run)), members, heard })
}

/// What of a member's log counts by what a leader has heard.
pub(super) fn counted(run: &Run, member: ReplicaIdx) -> Offset {
    let end = match run.core.view().flush {
        FlushPolicy::Os => run.core.follower_end(member),
        FlushPolicy::Commit => run.core.follower_durable_end(member),
    };
    end.unwrap_or(Offset::ZERO)
}

fn own_end(run: &Run) -> Offset {
    match run.core.view().flush {
        FlushPolicy::Os => run.core.log().written(),
        FlushPolicy::Commit => run.core.log().flushed(),
    }
}

/// Whether a message of its leader epoch is under way to a leader.
fn may_be_heard(state: &State, run: &Run, leader: ReplicaIdx, sender: ReplicaIdx) -> bool {
    let is_heard = |envelope: &Envelope| match envelope {
        Envelope::Peer { from, to, message, .. } => {
            *from == sender && *to == leader && epoch_of(message) == run.known
        }
        Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
    };
    state.network.envelopes().iter().any(|envelope| is_heard(envelope))
}

/// What of a member's log would count by what is under way from it.
fn under_way(state: &State, run: &Run, leader: ReplicaIdx, member: ReplicaIdx) -> Offset {
    let told = |envelope: &Envelope| match envelope {
        Envelope::Peer { from, to, message, .. } if *from == member && *to == leader => {
            // No write of this leader is under way any more that could find no room: it forgets nothing.
            if is_dead_message(run, member, message, true) {
                Offset::ZERO
            } else {
                told_by(state, run, member, message)
            }
        }
        Envelope::Peer { .. } | Envelope::Proposal { .. } | Envelope::Decision { .. } => Offset::ZERO,
    };
    state.network.envelopes().iter().map(|envelope| told(envelope)).max().unwrap_or(Offset::ZERO)
}

fn told_by(state: &State, run: &Run, member: ReplicaIdx, message: &Message) -> Offset {
    let by_flush = |written: Offset, synced: Offset| match run.core.view().flush {
        FlushPolicy::Os => written,
        FlushPolicy::Commit => synced,
    };
    let counts = |fetch: &Fetch| {
        let position = run.core.log().position(fetch.fetch_offset, fetch.last_epoch);
        fetch.leader_epoch == run.known && position == Position::Valid
    };
    match message {
        Message::Fetch(fetch) if counts(fetch) => by_flush(fetch.fetch_offset, fetch.durable_end),
        Message::Progress(told) if told.leader_epoch == run.known => {
            let amended = (told.broker_epoch, told.request_id);
            let is_amended = |envelope: &Envelope| match envelope {
                Envelope::Peer { from, message: Message::Fetch(fetch), .. } => {
                    *from == member && (fetch.broker_epoch, fetch.request_id) == amended && counts(fetch)
                }
                Envelope::Peer { .. } | Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
            };
            let is_heard = run.core.last_fetch(member) == Some(amended);
            let amends = is_heard || state.network.envelopes().iter().any(|envelope| is_amended(envelope));
            if amends { by_flush(Offset::ZERO, told.durable_end) } else { Offset::ZERO }
        }
        Message::Fetch(_) | Message::Progress(_) | Message::FetchAnswer(_) => Offset::ZERO,
    }
}
