//! Followers are interchangeable once nobody can be elected any more.
//!
//! In general replicas are not: of those that may lead the controller elects the first in the order of the assignment
//! (R51). But a state is *settled* if nothing is left that may end a reign (no fence of a running broker, kill, power
//! loss or shutdown), and the partition's leader runs, is registered as it runs, and is active. Then it leads for ever:
//! a proposal without its leader is refused (R43.5), only a broker that is down still loses its session (Q55) or
//! registers anew (Q51), and every other change of the partition keeps a leader that is active and in the ISR (R51). So
//! nobody is elected, and nothing else looks at which replica is which: cores go through their followers, and
//! this world through its brokers, only to do for each what concerns that one, and what is told to several commutes.
//! An ISR, the eligible leaders (R55) and a maximal ISR (R44) are sets, watermarks the least of a set (R20), broker epochs
//! and request ids are compared with those of the same replica only (R11, R61). So a state in which two followers have
//! swapped their names does, under these names, just what the state itself does.
//!
//! Of the names that a settled state may go by, the one is taken whose encoding is the least: of the brokers first, whose
//! encodings are at hand, and of everything only if those are equal. Which names are tried matters for how many states are
//! saved, not for the verdict: states with one encoding are the same state under some names, in any case.
//!
//! With controlled shutdowns the controller is encoded as it is, with nodes and offsets; no state is renamed then.

use highwater_model::replication::ReplicaIdx;
use smallvec::SmallVec;

use super::super::state::State;
use super::renaming::Renaming;
use super::{broker_code, write};
use crate::engine::Encoder;

/// The leader whose reign nothing can end, if there is one and followers are to be interchangeable.
pub(in super::super) fn settled(state: &State) -> Option<ReplicaIdx> {
    let left = &state.left;
    let ends = left.elections + left.kills + left.power_losses + left.shutdowns + left.restores;
    if ends > 0 || !state.cluster.is_symmetric() {
        return None;
    }
    let leader = state.cluster.current().leader?;
    let run = state.run(leader)?;
    let known = state.cluster.broker(leader);
    (known.is_active() && known.broker_epoch == run.broker_epoch).then_some(leader)
}

/// Writes a state that is settled under `leader` by the names that make its encoding the least.
pub(super) fn write_least(state: &State, leader: ReplicaIdx, sink: &mut Encoder) {
    let replicas = u8::try_from(state.brokers.len()).expect("few brokers");
    let mut least = SmallVec::<[Renaming; 4]>::from_slice(&[Renaming::NONE]);
    for other in Renaming::around(leader, replicas) {
        let best = least.first().copied().unwrap_or(Renaming::NONE);
        match brokers(state, other).cmp(brokers(state, best)) {
            std::cmp::Ordering::Less => least = SmallVec::from_slice(&[other]),
            std::cmp::Ordering::Equal => least.push(other),
            std::cmp::Ordering::Greater => {}
        }
    }
    if let [one] = least.as_slice() {
        return write(state, *one, true, sink);
    }
    let encoded = |renaming: &Renaming| {
        let mut encoder = Encoder::new();
        write(state, *renaming, true, &mut encoder);
        encoder
    };
    let least = least.iter().map(encoded).min_by(|one, other| one.bytes().cmp(other.bytes()));
    std::hash::Hasher::write(sink, least.expect("a state has a name").bytes());
}

/// The encodings of the brokers under these names, without the numbers.
fn brokers(state: &State, renaming: Renaming) -> impl Iterator<Item = u128> {
    state.replicas().map(move |name| broker_code(state, renaming.of(name), renaming).digest())
}
