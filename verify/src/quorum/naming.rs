//! Which replica is called what: voters are interchangeable.
//!
//! The core compares replicas for equality alone, but for two choices that it makes by their order: whom a replica without a
//! leader asks first, and which of those that have fetched equally far a leader that resigns names first. Where voters are
//! interchangeable this world leaves the one open, so that any voter may be asked, which allows more than the core does; and with
//! free pre-votes it has no need of the other, since whoever is named first does what any voter may do at any time. Then whatever can come of a state can come of it with other names, too, under those names, and of
//! states that differ in names alone one is visited.
//!
//! The names are given by what does not depend on names; where that leaves a choice, all are tried and the least encoding is
//! the state's. `symmetry=true` asks for it.

use std::cell::RefCell;

use highwater_model::quorum::{BatchKind, Vote, VoterKey};
use rustc_hash::FxHasher;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

use super::order::Present;
use super::state::{Letter, Node, Place, State, control, key, kind, place, tenure};

/// The most voters that are given other names.
pub(super) const VOTERS_MAX: u8 = 4;

/// Number of ways to name so many voters.
pub(super) const NAMINGS: usize = 24;

/// A name for each place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Naming {
    names: [Place; VOTERS_MAX as usize],
    /// Which of the namings it is.
    number: usize,
}

impl Naming {
    /// The naming that gives the places in `order` the names 0, 1, ….
    fn of(order: &[Place]) -> Self {
        let mut names = [0, 1, 2, 3];
        for (name, place) in (0..).zip(order) {
            if let Some(slot) = names.get_mut(usize::from(*place)) {
                *slot = name;
            }
        }
        let mut number = 0;
        for (at, name) in names.iter().enumerate() {
            let below = names.iter().skip(at + 1).filter(|other| *other < name).count();
            number = number * (names.len() - at) + below;
        }
        Self { names, number }
    }

    /// Which of the namings it is.
    pub(super) fn number(self) -> usize {
        self.number
    }

    /// The name of a place.
    pub(super) fn name(self, at: Place) -> Place {
        self.names.get(usize::from(at)).copied().unwrap_or(at)
    }

    /// The key of a replica by its name.
    pub(super) fn key(self, of: VoterKey) -> VoterKey {
        key(self.name(place(of.id)), 0)
    }

    pub(super) fn vote(self, vote: Vote) -> Vote {
        Vote { voted_for: vote.voted_for.map(|key| self.key(key)), ..vote }
    }

    /// A record's content with the voters in it by their names.
    pub(super) fn content(self, content: u64) -> u64 {
        match kind(content) {
            BatchKind::Voters(voters) => control(&BatchKind::Voters(voters.renamed(|key| self.key(key)))),
            BatchKind::Data | BatchKind::LeaderChange => content,
        }
    }
}

/// What tells replicas apart whatever their names are.
fn tell(present: Present, state: &State, at: Place, node: &Node) -> u64 {
    let mut packets = 0_u64;
    for packet in state.network.iter().filter(|packet| !present.is_over(&packet.letter.message)) {
        let from = place(packet.letter.message.from.id);
        if packet.to == at || from == at {
            let traits = packet.letter.traits(told_of_letter);
            packets = packets.wrapping_add(if from == at { traits } else { traits.rotate_left(17) });
        }
    }
    let mut hasher = FxHasher::default();
    packets.hash(&mut hasher);
    if present.is_behind(node) {
        (1, node.core.is_leader(), node.core.quorum_epoch().0, node.disk.flushed).hash(&mut hasher);
        (node.core.high_watermark(), node.disk.entries.len()).hash(&mut hasher);
    } else {
        state.node(at).traits(|node| told_of_node(at, node)).hash(&mut hasher);
    }
    hasher.finish()
}

fn told_of_letter(letter: &Letter) -> u64 {
    use highwater_model::quorum::{Body, Fetched};
    let mut hasher = FxHasher::default();
    let message = &letter.message;
    message.quorum_epoch.hash(&mut hasher);
    message.incarnation.hash(&mut hasher);
    match &message.body {
        Body::Vote(vote) => (0, vote.log_end.0, 0, vote.pre_vote).hash(&mut hasher),
        Body::VoteAnswer(answer) => {
            (1, 0, u64::from(answer.leader.is_some()), answer.granted).hash(&mut hasher)
        }
        Body::Fetch(fetch) => {
            (2, fetch.fetch_offset.0, fetch.high_watermark.map_or(0, |end| end.0), false).hash(&mut hasher)
        }
        Body::FetchAnswer(answer) => {
            let (what, high_watermark) = match &answer.fetched {
                Fetched::Records { high_watermark, batches, .. } => {
                    (batches.len() as u64, high_watermark.map_or(0, |end| end.0))
                }
                Fetched::Diverging(end) => (100 + end.end.0, 0),
                Fetched::Snapshot(id) => (200 + id.end.0, 0),
                Fetched::Refused { leader } => (300, u64::from(leader.is_some())),
            };
            (3, what, high_watermark, false).hash(&mut hasher);
        }
        Body::BeginQuorum => 4.hash(&mut hasher),
        Body::EndQuorum { .. } => 5.hash(&mut hasher),
    }
    hasher.finish()
}

fn told_of_node(at: Place, node: &Node) -> u64 {
    let mut hasher = FxHasher::default();
    let own = tenure(at, node);
    (node.core.role(&own), node.core.quorum_epoch(), node.core.high_watermark(), node.core.votes())
        .hash(&mut hasher);
    node.core.vote().voted_for.map(|whom| whom == own.key).hash(&mut hasher);
    node.core.leader(&own).map(|leader| leader == own.key).hash(&mut hasher);
    (node.starts, node.disk.flushed, node.disk.storing.len()).hash(&mut hasher);
    node.disk.entries.iter().for_each(|entry| entry.quorum_epoch.hash(&mut hasher));
    (node.core.waits_for().is_some(), node.disk.syncs.len()).hash(&mut hasher);
    hasher.finish()
}

/// Gives `each` every naming that this state may go by.
pub(super) fn namings(present: Present, state: &State, voters: u8, mut each: impl FnMut(Naming)) {
    let mut order: SmallVec<[(u64, Place); 4]> =
        (0..voters).map(|at| (tell(present, state, at, state.node(at)), at)).collect();
    order.sort_unstable();
    let mut places: SmallVec<[Place; 4]> = order.iter().map(|(_, at)| *at).collect();
    let alike = |a: usize, b: usize| order.get(a).map(|one| one.0) == order.get(b).map(|one| one.0);
    arrange(&mut places, 0, &alike, &mut each);
}

/// Every order of the places from `from` on in which none goes beyond those that it is told alike with.
fn arrange(
    places: &mut SmallVec<[Place; 4]>,
    from: usize,
    alike: &impl Fn(usize, usize) -> bool,
    each: &mut impl FnMut(Naming),
) {
    if from >= places.len() {
        return each(Naming::of(places));
    }
    for other in (from..places.len()).take_while(|other| alike(from, *other)) {
        places.swap(from, other);
        arrange(places, from + 1, alike, each);
        places.swap(from, other);
    }
}

thread_local! {
    /// Room for encodings, to be compared.
    static ROOM: RefCell<(Vec<u64>, Vec<u64>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Gives `use_it` the least of what `write` writes for each naming of a state.
pub(super) fn least(
    namings: impl FnOnce(&mut dyn FnMut(Naming)),
    mut write: impl FnMut(Naming, &mut Vec<u64>),
    use_it: impl FnOnce(&[u64]),
) {
    ROOM.with_borrow_mut(|(least, next)| {
        least.clear();
        namings(&mut |naming| {
            next.clear();
            write(naming, next);
            if least.is_empty() || next < least {
                std::mem::swap(least, next);
            }
        });
        use_it(least);
    });
}
