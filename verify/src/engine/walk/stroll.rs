//! One walk: which action is taken next, and what is looked at on the way.
//!
//! A kind of action is chosen before an action of that kind, so that what there is much of (messages) does not crowd out what
//! there is little of. How likely a kind is changes with the walk's *moods*: each lasts for some steps and gives every
//! kind a weight of its own, from never to often. So some walks spend their faults at once, others late, others together;
//! in some nobody fetches for a while, or no write ends. An even choice would spend every fault within the first steps.
//!
//! A mood also holds some actions back: those whose [`Checked::token`] is low for this walk, the lower the more often. So one
//! message stays under way while those sent after it arrive, and one broker does not come to its writes while others do.
//! An even choice among messages would hardly ever keep one back for as long as a restart takes. And in half of the moods some
//! are slow, who they may be ([`Checked::party`]): nothing of a slow broker happens, nothing comes over a slow link.

use super::dice::Dice;
use super::{Finding, Sight};
use crate::engine::PANIC;
use crate::engine::quiet::quietly;
use crate::world::{Broken, Checked, Notes, Seen};

/// The heaviest weight is 2 to this.
const WEIGHT_BITS: u64 = 8;

/// A mood holds back nothing, or one action in 2 to the power of something below this, half of the time either.
const HELD_BITS: u64 = 5;

/// In half of the moods one party in 2 to the power of something up to this is slow.
const SLOW_BITS: u64 = 3;

/// Steps of the shortest mood, and how often that may be doubled.
const MOOD: (u32, u64) = (8, 5);

/// Steps after which a walk looks whether it is still needed.
const LOOK_EVERY: u32 = 64;

/// Which walk it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroll {
    pub(super) seed: u64,
    pub(super) number: u64,
    pub(super) length_max: u32,
}

/// How likely each kind of action is, for a while.
struct Mood {
    weights: Vec<u64>,
    /// Of each kind, actions whose token mixes with the salt of the walk to less than this are held back.
    held_below: Vec<u64>,
    /// Parties that mix with the salt of the mood to less than this are slow.
    slow_below: u64,
    /// What parties are mixed with, so that in each mood others are slow.
    salt: u64,
    steps_left: u32,
}

impl Mood {
    fn draw(&mut self, dice: &mut Dice) {
        for weight in &mut self.weights {
            *weight = (1 << dice.below(WEIGHT_BITS + 2)) >> 1;
        }
        for held_below in &mut self.held_below {
            let held = dice.below(2 * HELD_BITS);
            *held_below = if held < HELD_BITS { u64::MAX >> (held + 1) } else { 0 };
        }
        let slow = dice.below(2 * SLOW_BITS);
        self.slow_below = if slow < SLOW_BITS { u64::MAX >> (slow + 1) } else { 0 };
        self.salt = dice.draw();
        self.steps_left = MOOD.0 << dice.below(MOOD.1);
    }
}

/// Takes walks, one after the other.
pub(super) struct Walker<'w, W: Checked> {
    world: &'w W,
    mood: Mood,
    /// What tokens are mixed with, so that each walk holds back others.
    salt: u64,
    actions: Vec<W::Action>,
    /// The enabled actions of each kind, by their places; and the kinds that have any.
    of_kind: Vec<Vec<usize>>,
    notes: Notes,
    /// Bit per sometimes-claim that this walk has met.
    met: u64,
}

impl<'w, W: Checked> Walker<'w, W> {
    pub(super) fn new(world: &'w W) -> Self {
        Self {
            world,
            mood: Mood {
                weights: vec![0; W::KINDS.len()],
                held_below: vec![0; W::KINDS.len()],
                slow_below: 0,
                salt: 0,
                steps_left: 0,
            },
            salt: 0,
            actions: Vec::new(),
            of_kind: vec![Vec::new(); W::KINDS.len()],
            notes: Notes::default(),
            met: 0,
        }
    }

    /// One walk, until it can go no further, is long enough, breaks a claim or `is_over`.
    pub(super) fn walk(&mut self, stroll: Stroll, is_over: &dyn Fn() -> bool) -> Finding<W> {
        let mut dice = Dice::of_walk(stroll.seed, stroll.number);
        self.mood.steps_left = 0;
        self.salt = dice.draw();
        self.met = 0;
        let mut starts = self.world.init_states();
        let at = usize::try_from(dice.below(starts.len() as u64)).expect("a few initial states");
        let start = starts.swap_remove(at);
        let mut way = Way::<W>::new(&start);
        way.broken = self.judge(&start);
        while way.broken.is_none() && way.length() < stroll.length_max {
            if way.length().is_multiple_of(LOOK_EVERY) && is_over() {
                break;
            }
            let Some(at) = self.choose(&mut way, &mut dice) else { break };
            self.step(at, &mut way);
        }
        let steps = way.length();
        let Way { actions, taken, broken, .. } = way;
        let broken = broken.map(|broken| Sight { broken, start, actions });
        Finding { steps, taken, seen: self.met, broken }
    }

    /// The place of an enabled action.
    fn choose(&mut self, way: &mut Way<W>, dice: &mut Dice) -> Option<usize> {
        if self.mood.steps_left == 0 {
            self.mood.draw(dice);
        }
        self.mood.steps_left -= 1;
        let (world, actions) = (self.world, &mut self.actions);
        actions.clear();
        if let Err(values) = quietly(|| world.actions(&way.state, actions)) {
            way.broken = Some(Broken { claim: PANIC, values });
            return None;
        }
        self.of_kind.iter_mut().for_each(Vec::clear);
        for (at, action) in self.actions.iter().enumerate() {
            self.of_kind.get_mut(W::kind(action)).expect("a kind that there is").push(at);
        }
        self.choose_free(&way.state, dice).or_else(|| {
            let chosen = dice.below(self.actions.len() as u64);
            (!self.actions.is_empty()).then(|| usize::try_from(chosen).expect("a place in a list"))
        })
    }

    /// The place of an enabled action that is not held back.
    fn choose_free(&mut self, state: &W::State, dice: &mut Dice) -> Option<usize> {
        loop {
            let kind = self.choose_kind(dice)?;
            let mut places = std::mem::take(self.of_kind.get_mut(kind).expect("a kind that there is"));
            let held_below = self.mood.held_below.get(kind).copied().unwrap_or(0);
            places.retain(|at| self.is_free(state, *at, held_below));
            let chosen = usize::try_from(dice.below(places.len() as u64)).expect("a place in a list");
            let chosen = places.get(chosen).copied();
            // Nothing of this kind is free; its room is kept.
            places.clear();
            *self.of_kind.get_mut(kind).expect("a kind that there is") = places;
            if chosen.is_some() {
                return chosen;
            }
        }
    }

    /// Whether an enabled action is neither held back nor of anybody who is slow.
    fn is_free(&self, state: &W::State, at: usize, held_below: u64) -> bool {
        let action = self.actions.get(at).expect("an enabled action");
        let token = || Dice::of_both(self.salt, self.world.token(state, action));
        let party = || Dice::of_both(self.mood.salt, self.world.party(state, action));
        (held_below == 0 || token() >= held_below)
            && (self.mood.slow_below == 0 || party() >= self.mood.slow_below)
    }

    /// A kind that has an enabled action: by its weight, or evenly where all are of none.
    fn choose_kind(&self, dice: &mut Dice) -> Option<usize> {
        let enabled = || (0..).zip(&self.of_kind).filter(|(_, places)| !places.is_empty());
        let weight = |kind: usize| self.mood.weights.get(kind).copied().unwrap_or(0);
        let total: u64 = enabled().map(|(kind, _)| weight(kind)).sum();
        if total == 0 {
            let chosen = dice.below(enabled().count() as u64);
            return enabled().nth(usize::try_from(chosen).ok()?).map(|(kind, _)| kind);
        }
        let mut left = dice.below(total);
        for (kind, _) in enabled() {
            match left.checked_sub(weight(kind)) {
                Some(less) => left = less,
                None => return Some(kind),
            }
        }
        None
    }

    /// Takes the enabled action at this place.
    fn step(&mut self, at: usize, way: &mut Way<W>) {
        let action = self.actions.swap_remove(at);
        if let Some(count) = way.taken.get_mut(W::kind(&action)) {
            *count += 1;
        }
        self.notes.clear();
        let (world, notes) = (self.world, &mut self.notes);
        let next = quietly(|| world.step(&way.state, &action, notes));
        way.actions.push(action);
        match next {
            Ok(next) => way.state = next,
            Err(values) => return way.broken = Some(Broken { claim: PANIC, values }),
        }
        self.note_events();
        way.broken = self.notes.broken().cloned().or_else(|| self.judge(&way.state));
    }

    /// Evaluates every claim about a state.
    fn judge(&mut self, state: &W::State) -> Option<Broken> {
        let world = self.world;
        let broken = match quietly(|| world.judge(state)) {
            Ok(held) => held.err(),
            Err(values) => Some(Broken { claim: PANIC, values }),
        };
        for (at, claim) in W::sometimes().iter().enumerate() {
            if let Seen::State(seen) = claim.seen
                && self.met & (1 << at) == 0
                && seen(world, state)
            {
                self.met |= 1 << at;
            }
        }
        broken
    }

    fn note_events(&mut self) {
        if self.notes.events().is_empty() {
            return;
        }
        for (at, claim) in W::sometimes().iter().enumerate() {
            if matches!(claim.seen, Seen::Step) && self.notes.events().contains(&claim.name) {
                self.met |= 1 << at;
            }
        }
    }
}

/// The way so far.
struct Way<W: Checked> {
    state: W::State,
    actions: Vec<W::Action>,
    taken: Vec<u64>,
    broken: Option<Broken>,
}

impl<W: Checked> Way<W> {
    fn new(start: &W::State) -> Self {
        let taken = vec![0; W::KINDS.len()];
        Self { state: start.clone(), actions: Vec::new(), taken, broken: None }
    }

    fn length(&self) -> u32 {
        u32::try_from(self.actions.len()).expect("a walk ends at its greatest length")
    }
}
