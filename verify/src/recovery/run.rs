//! One recovery run.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::memo::Memo;
use super::{ActionOf, COMES_TO_REST, Calm, Recovers, StateOf};
use crate::engine::Encoder;
use crate::world::{Broken, Notes};

/// A run that has not come to rest after so many steps never will. The longest ones that do take a tenth of that.
pub const STEPS_MAX: usize = 2000;

/// Where a run stands.
struct Standing<S> {
    state: S,
    /// The patient turn that comes next.
    turn: u32,
}

/// What comes next.
enum Next<A> {
    Act(A),
    /// Nothing is prompt, and everything holds that must in the end.
    Rest,
    /// Nothing ever happens any more, and something does not hold.
    Dead,
}

/// What a run tells beside its verdict.
pub(super) trait Listener<C: Calm> {
    /// An action is taken.
    fn step(
        &mut self,
        calm: &C,
        before: &StateOf<C>,
        action: &ActionOf<C>,
        after: &StateOf<C>,
        notes: &Notes,
    );
}

/// Makes the run from `state`, or as much of it as is not known; gives the state in which it comes to rest, if that is not
/// beyond what is known.
///
/// # Errors
/// With what never comes to hold.
pub(super) fn run<W: Recovers>(
    calm: &W::Calm,
    state: &W::State,
    memo: Option<&Memo>,
    listener: &mut impl Listener<W::Calm>,
) -> Result<Option<StateOf<W::Calm>>, Broken> {
    let mut at = Standing { state: calm.begin(state), turn: 0 };
    let (mut way, mut encoder, mut notes) = (Vec::new(), Encoder::new(), Notes::default());
    let rests = loop {
        let key = key::<W>(calm, &at, &mut encoder);
        if memo.is_some_and(|memo| memo.has(key)) {
            break false;
        }
        if let Some(first) = way.iter().position(|known| *known == key) {
            return Err(endless::<W>(calm, at, way.len() - first));
        }
        if way.len() >= STEPS_MAX {
            return Err(unmet::<W>(calm, &at.state, &format!("no rest after {STEPS_MAX} steps")));
        }
        way.push(key);
        let action = match next::<W>(calm, &mut at) {
            Next::Act(action) => action,
            Next::Rest => break true,
            Next::Dead => return Err(unmet::<W>(calm, &at.state, "nothing happens any more")),
        };
        notes.clear();
        let after = calm.step(&at.state, &action, &mut notes);
        listener.step(calm, &at.state, &action, &after, &notes);
        at.state = after;
    };
    if let Some(memo) = memo {
        memo.add(&way);
    }
    Ok(rests.then_some(at.state))
}

/// A number for a state and whose turn it is.
fn key<W: Recovers>(calm: &W::Calm, at: &Standing<W::State>, encoder: &mut Encoder) -> u64 {
    encoder.clear();
    calm.world().encode(&at.state, encoder);
    xxh3_64_with_seed(encoder.bytes(), u64::from(at.turn))
}

fn next<W: Recovers>(calm: &W::Calm, at: &mut Standing<W::State>) -> Next<W::Action> {
    if let Some(action) = calm.prompt(&at.state) {
        return Next::Act(action);
    }
    if first_unmet::<W>(calm, &at.state).is_none() {
        return Next::Rest;
    }
    let turns = calm.turns();
    for _ in 0..turns {
        let turn = at.turn;
        at.turn = (turn + 1) % turns;
        if let Some(action) = calm.patient(&at.state, turn) {
            return Next::Act(action);
        }
    }
    Next::Dead
}

/// What does not hold of a state, the most telling first.
fn all_unmet<W: Recovers>(calm: &W::Calm, state: &W::State) -> impl Iterator<Item = (&'static str, String)> {
    let promised = W::EVENTUALLY.iter().filter(|claim| calm.is_promised(state, claim.name));
    promised.filter_map(|claim| {
        let values = (claim.holds)(calm.world(), state).err()?;
        Some((claim.name, values))
    })
}

fn first_unmet<W: Recovers>(calm: &W::Calm, state: &W::State) -> Option<(&'static str, String)> {
    all_unmet::<W>(calm, state).next()
}

/// A run that goes round and round, these many steps at a time: what holds nowhere on the way is what never comes to hold, and
/// what is only disturbed by each round (a fetch that is answered is not waiting) is not; unless nothing else is amiss.
fn endless<W: Recovers>(calm: &W::Calm, mut at: Standing<W::State>, length: usize) -> Broken {
    let how = format!("the same {length} steps over and over");
    let otherwise = unmet::<W>(calm, &at.state, &how);
    let mut never: Vec<_> = all_unmet::<W>(calm, &at.state).collect();
    for _ in 0..length {
        let Next::Act(action) = next::<W>(calm, &mut at) else { break };
        at.state = calm.step(&at.state, &action, &mut Notes::default());
        let now: Vec<_> = all_unmet::<W>(calm, &at.state).map(|(name, _)| name).collect();
        never.retain(|(name, _)| now.contains(name));
    }
    match never.into_iter().next() {
        Some((claim, values)) => told::<W>(calm, claim, &how, &values),
        None => otherwise,
    }
}

fn unmet<W: Recovers>(calm: &W::Calm, state: &W::State, how: &str) -> Broken {
    let (claim, values) =
        first_unmet::<W>(calm, state).unwrap_or_else(|| (COMES_TO_REST, "all holds now".to_owned()));
    told::<W>(calm, claim, how, &values)
}

fn told<W: Recovers>(calm: &W::Calm, claim: &'static str, how: &str, values: &str) -> Broken {
    Broken { claim, values: format!("{}: {how}, and\n{values}", calm.describe()) }
}
