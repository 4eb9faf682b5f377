//! Whether states that are encoded alike are alike: the test of what an encoding leaves out.
//!
//! A search visits one of the states that share a fingerprint, so what it leaves out of an encoding must make no
//! difference to any later step. Here states that share a fingerprint and yet differ are held against the one that was
//! visited: the same claims must hold of both, and the same steps must lead to the same fingerprints.

use std::collections::{HashMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

use super::encoder::Encoder;
use crate::world::{Checked, Notes};

/// Two states with one fingerprint that are not alike.
#[derive(Debug)]
pub struct Unlike<S> {
    /// The state that was visited.
    pub visited: S,
    /// Another one with its fingerprint.
    pub other: S,
    /// What one of them can do, or breaks, and the other does not.
    pub difference: Vec<String>,
}

/// What a state is to a search: its verdict, and what its steps lead to. Sorted.
type Prospect = Vec<(u64, String)>;

/// Visits up to `states_max` states of `world`, and looks at up to `others_max` others for each fingerprint. Gives the
/// number of pairs that were compared.
///
/// # Errors
/// With the first pair that is not alike.
pub fn alike<W: Checked>(
    world: &W,
    states_max: usize,
    others_max: usize,
) -> Result<u64, Box<Unlike<W::State>>> {
    let mut visited: HashMap<u64, Vec<W::State>> = HashMap::new();
    let mut queue: VecDeque<W::State> = world.init_states().into();
    let mut compared = 0;
    let mut actions = Vec::new();
    while let Some(state) = queue.pop_front() {
        world.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let next = world.step(&state, &action, &mut Notes::default());
            let room = visited.len() < states_max;
            let known = visited.entry(fingerprint(world, &next)).or_default();
            if known.len() > others_max || known.contains(&next) || (known.is_empty() && !room) {
                continue;
            }
            if let Some(first) = known.first() {
                compare(world, first, &next)?;
                compared += 1;
            }
            known.push(next.clone());
            queue.push_back(next);
        }
    }
    Ok(compared)
}

fn compare<W: Checked>(world: &W, visited: &W::State, other: &W::State) -> Result<(), Box<Unlike<W::State>>> {
    let (one, two) = (prospect(world, visited), prospect(world, other));
    let ends = |prospect: &Prospect| prospect.iter().map(|(end, _)| *end).collect::<Vec<_>>();
    if ends(&one) == ends(&two) {
        return Ok(());
    }
    let only = |own: &Prospect, others: &Prospect, whose: &str| {
        let missing = own.iter().filter(|(end, _)| !others.iter().any(|(other, _)| other == end));
        missing.map(|(_, how)| format!("{whose}: {how}")).collect::<Vec<_>>()
    };
    let mut difference = only(&one, &two, "visited");
    difference.extend(only(&two, &one, "other"));
    Err(Box::new(Unlike { visited: visited.clone(), other: other.clone(), difference }))
}

fn prospect<W: Checked>(world: &W, state: &W::State) -> Prospect {
    let mut actions = Vec::new();
    world.actions(state, &mut actions);
    let step = |action: W::Action| {
        let mut notes = Notes::default();
        let next = world.step(state, &action, &mut notes);
        let broken = notes.broken().map(|broken| broken.claim);
        let how = format!("{} breaks {broken:?}", world.describe(state, &action));
        (fingerprint(world, &next) ^ broken.map_or(0, number_of), how)
    };
    let mut prospect: Prospect = actions.into_iter().map(step).collect();
    if let Err(broken) = world.judge(state) {
        prospect.push((number_of(broken.claim), format!("it breaks {}", broken.claim)));
    }
    prospect.sort();
    prospect.dedup_by_key(|(end, _)| *end);
    prospect
}

/// Tells a claim from others.
fn number_of(claim: &str) -> u64 {
    xxh3_64(claim.as_bytes())
}

fn fingerprint<W: Checked>(world: &W, state: &W::State) -> u64 {
    let mut encoder = Encoder::new();
    world.encode(state, &mut encoder);
    encoder.fingerprint()
}
