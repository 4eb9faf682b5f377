//! Shortening a walk that broke a claim: steps that are not needed are left out.
//!
//! Greedy delta debugging: of the actions stretches are left out, first long ones, in the end single ones, and what remains is
//! taken again from the start. An action that is no longer enabled is passed over. What is left out may change the names of
//! what comes later (the place of a message, the number of a request), so where the very same action is not enabled the
//! one of its kind that reads most like it stands in. Whatever is kept has been taken and has broken the same claim.

use super::Sight;
use crate::engine::PANIC;
use crate::engine::quiet::quietly;
use crate::world::{Broken, Checked, Notes};

/// Steps that may be taken again in all, at most: a few seconds.
const STEPS_MAX: u64 = 1_000_000;

/// An action with its words in the walk that it was taken in.
type Named<W> = (<W as stateright::Model>::Action, String);

/// The same violation with as few of its steps as can be found.
pub(super) fn shorten<W: Checked>(world: &W, sight: Sight<W>) -> Sight<W> {
    let Sight { broken, start, actions } = sight;
    let mut shortener = Shortener { world, start: &start, claim: broken.claim, spent: 0 };
    let named = shortener.name(&actions);
    // The whole walk again: what does not come back is left as it is.
    let Some(mut best) = shortener.again(&named) else { return Sight { broken, start, actions } };
    shortener.improve(&mut best);
    let (named, broken) = best;
    Sight { broken, actions: named.into_iter().map(|(action, _)| action).collect(), start }
}

struct Shortener<'a, W: Checked> {
    world: &'a W,
    start: &'a W::State,
    claim: &'static str,
    spent: u64,
}

impl<W: Checked> Shortener<'_, W> {
    fn name(&mut self, actions: &[W::Action]) -> Vec<Named<W>> {
        let mut state = self.start.clone();
        let mut named = Vec::new();
        for action in actions {
            named.push((action.clone(), self.world.describe(&state, action)));
            if let Ok(next) = self.step(&state, action) {
                state = next;
            }
        }
        named
    }

    fn improve(&mut self, best: &mut (Vec<Named<W>>, Broken)) {
        let mut stretch = best.0.len().div_ceil(2);
        while stretch > 0 {
            let mut shorter = false;
            let mut from = best.0.len();
            while from > 0 && self.spent < STEPS_MAX {
                from = from.saturating_sub(stretch).min(best.0.len());
                let rest = best.0.iter().enumerate().filter(|(at, _)| *at < from || *at >= from + stretch);
                let rest: Vec<Named<W>> = rest.map(|(_, named)| named.clone()).collect();
                if let Some(better) = self.again(&rest) {
                    *best = better;
                    shorter = true;
                }
            }
            // Single steps are tried until none of them can be spared.
            let again = stretch == 1 && shorter && self.spent < STEPS_MAX;
            stretch = if again { 1 } else { stretch / 2 };
        }
    }

    /// Takes the actions as far as they are enabled; gives those that were taken if they break the claim.
    fn again(&mut self, wanted: &[Named<W>]) -> Option<(Vec<Named<W>>, Broken)> {
        let mut state = self.start.clone();
        let mut taken = Vec::new();
        for named in wanted {
            let Some(named) = self.nearest(&state, named) else { continue };
            let step = self.step(&state, &named.0);
            taken.push(named);
            match step {
                Ok(next) => state = next,
                Err(broken) => return (broken.claim == self.claim).then_some((taken, broken)),
            }
        }
        None
    }

    /// A step, and the claim that it or the state after it breaks.
    fn step(&mut self, state: &W::State, action: &W::Action) -> Result<W::State, Broken> {
        self.spent += 1;
        let mut notes = Notes::default();
        let panicked = |values| Broken { claim: PANIC, values };
        let next = quietly(|| self.world.step(state, action, &mut notes)).map_err(panicked)?;
        if let Some(broken) = notes.broken() {
            return Err(broken.clone());
        }
        quietly(|| self.world.judge(&next)).map_err(panicked)??;
        Ok(next)
    }

    /// The enabled action that is this one, or reads most like it.
    fn nearest(&self, state: &W::State, (action, words): &Named<W>) -> Option<Named<W>> {
        let mut enabled = Vec::new();
        quietly(|| self.world.actions(state, &mut enabled)).ok()?;
        enabled.retain(|other| W::kind(other) == W::kind(action));
        if enabled.contains(action) && self.world.describe(state, action) == *words {
            return Some((action.clone(), words.clone()));
        }
        let likeness = |other: &Named<W>| alike(&other.1, words);
        let mut best: Option<(usize, Named<W>)> = None;
        for other in enabled {
            let named = (other.clone(), self.world.describe(state, &other));
            let likeness = likeness(&named);
            if best.as_ref().is_none_or(|(most, _)| likeness > *most) {
                best = Some((likeness, named));
            }
        }
        let enough = words.split_whitespace().count().div_ceil(2);
        best.filter(|(likeness, _)| *likeness >= enough).map(|(_, named)| named)
    }
}

/// Number of words that two lines share, place by place.
fn alike(one: &str, other: &str) -> usize {
    let pairs = one.split_whitespace().zip(other.split_whitespace());
    pairs.filter(|(one, other)| one == other).count()
}
