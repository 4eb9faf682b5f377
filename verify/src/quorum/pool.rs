//! Equal parts of the states that a search comes back to are one.
//!
//! Far fewer replicas and messages differ than states do. What lies in wait at the edge of a search so takes less memory, and what
//! was worked out of a part, its fingerprint and what it is under each naming, is worked out once. Random walks come back to
//! nothing and keep nothing.

use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::shared::Shared;
use super::state::{Letter, Node, Place, State};

/// Number of tables that a kind of part is spread over, so that threads rarely meet.
const SHARDS: usize = 32;

/// The parts of the states that were kept.
#[derive(Default)]
pub(super) struct Pool {
    nodes: Parts<Node>,
    letters: Parts<Letter>,
}

impl Pool {
    /// Makes every part of the state one with the equal part of a state that was kept before.
    pub(super) fn keep(&self, state: &mut State) {
        (0..).zip(&mut state.nodes).for_each(|(at, node)| self.nodes.keep(at, node));
        state.network.iter_mut().for_each(|packet| self.letters.keep(packet.to, &mut packet.letter));
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

/// Parts by the place where they are, which what is worked out of them may speak of, and their fingerprint. Of two that differ
/// and share one, the second is not kept.
struct Parts<T> {
    shards: [Mutex<Table<T>>; SHARDS],
}

type Table<T> = FxHashMap<(Place, u64), Shared<T>>;

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl<T: Clone + Hash + PartialEq> Parts<T> {
    fn keep(&self, at: Place, part: &mut Shared<T>) {
        if part.is_kept() {
            return;
        }
        let fingerprint = part.fingerprint();
        let shard = usize::try_from(fingerprint >> 59).expect("five bits");
        let shard = self.shards.get(shard).expect("there is a table for every value of five bits");
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.entry((at, fingerprint)).or_insert_with(|| {
            part.note_kept();
            part.clone()
        });
        if *kept == *part {
            *part = kept.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use stateright::Model as _;

    use super::super::{Bounds, World};
    use super::*;
    use crate::bounds::Bounds as _;
    use crate::world::{Checked as _, Notes};

    #[test]
    fn states_that_are_kept_share_what_is_equal_and_stay_what_they_were() {
        let world = World::new(Bounds::default().read(["values=1"]).expect("bounds"), None);
        let [state] = world.init_states().try_into().expect("one initial state");
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        let action = actions.first().expect("something can happen");
        let [mut one, mut other] = [(); 2].map(|()| world.step(&state, action, &mut Notes::default()));
        let are_one = |one: &State, other: &State| {
            let mut nodes = one.nodes.iter().zip(&other.nodes);
            nodes.all(|(one, other)| one.is_one_with(other))
                && one
                    .network
                    .iter()
                    .zip(&other.network)
                    .all(|(one, other)| one.letter.is_one_with(&other.letter))
        };
        let before = one.clone();
        assert!(!are_one(&one, &other));

        world.keep(&mut one);
        world.keep(&mut other);

        assert!(are_one(&one, &other) && one == before && other == before);
    }

    /// What is worked out of a voter without names speaks of whether it is itself whom it votes for and follows. Where equal voters
    /// of two places were one, three voters with 2 values, 3 elections and a power loss had 323 states too many.
    #[test]
    fn equal_parts_of_two_places_stay_two() {
        let world = World::new(Bounds::default().read(["start=cold", "values=0"]).expect("bounds"), None);
        let [mut moved] = world.init_states().try_into().expect("one initial state");
        let [first, second, ..] = moved.nodes.as_mut_slice() else { panic!("three voters") };
        *second = Shared::new((**first).clone());
        let (pool, mut others) = (Pool::default(), moved.clone());

        pool.keep(&mut moved);
        pool.keep(&mut others);

        let [first, second, ..] = moved.nodes.as_slice() else { panic!("three voters") };
        assert!(first == second && !first.is_one_with(second));
        let [_, again, ..] = others.nodes.as_slice() else { panic!("three voters") };
        assert!(second.is_one_with(again));
    }
}
