//! Recovery runs of a world small enough to see through: a kettle that somebody may knock over.

use highwater_model::fault::Bug;
use serde::{Deserialize, Serialize};
use stateright::{Model, Property};

use super::{Aim, COMES_TO_REST, Calm, Eventually, Recovering, Recovers, Table};
use crate::bounds::{Bounds as _, at};
use crate::engine::{Limits, Outcome, Verdict, search};
use crate::world::{Always, Checked, Mutant, Notes, Seen, Sometimes, misdeclared, properties};
use crate::{metadata, quorum, replication};

crate::bounds! {
    /// Bounds of the kettle.
    pub(super) struct Kitchen {
        /// How often the kettle is knocked over
        knocks("knocks"): u8 = 1,
        /// What is wrong with it: 0 nothing, 1 it is not filled again, 2 it leaks, 3 the steam never stops
        defect("defect"): u8 = 0,
    }
}

/// A kettle with water up to four, that is to boil.
struct Kettle(Kitchen);

/// Water, heat, and how often it may still be knocked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stove {
    water: u8,
    heat: u8,
    knocks: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Act {
    Knock,
    Fill,
    Heat,
    Leak,
}

const FULL: u8 = 4;
const FILLED: &str = "kettle/it_is_filled";
const BOILS: &str = "liveness/kettle_boils";
const COMES_TO_A_BOIL: &str = "liveness/kettle_comes_to_a_boil";

impl Model for Kettle {
    type State = Stove;
    type Action = Act;

    fn init_states(&self) -> Vec<Stove> {
        vec![Stove { water: FULL, heat: 0, knocks: self.0.knocks }]
    }
    fn actions(&self, state: &Stove, actions: &mut Vec<Act>) {
        if state.knocks > 0 {
            actions.push(Act::Knock);
        }
        if state.heat < FULL {
            actions.push(Act::Heat);
        }
    }
    fn next_state(&self, state: &Stove, action: Act) -> Option<Stove> {
        Some(self.step(state, &action, &mut Notes::default()))
    }
    fn properties(&self) -> Vec<Property<Self>> {
        properties::<Self>()
    }
}

impl Checked for Kettle {
    const NAME: &'static str = "kettle";
    const KINDS: &'static [&'static str] = &["knock", "fill", "heat", "leak"];
    type Bounds = Kitchen;

    fn new(bounds: Kitchen, _: Option<Bug>) -> Self {
        Self(bounds)
    }
    fn bounds(&self) -> &Kitchen {
        &self.0
    }
    fn step(&self, state: &Stove, action: &Act, notes: &mut Notes) -> Stove {
        let mut stove = *state;
        match action {
            Act::Knock => stove = Stove { water: 0, heat: 0, knocks: stove.knocks.saturating_sub(1) },
            Act::Fill => {
                notes.event(FILLED);
                stove.water += 1;
            }
            Act::Heat => stove.heat += 1,
            Act::Leak => stove.water -= 1,
        }
        stove
    }
    fn kind(action: &Act) -> usize {
        match action {
            Act::Knock => 0,
            Act::Fill => 1,
            Act::Heat => 2,
            Act::Leak => 3,
        }
    }
    fn always() -> &'static [Always<Self>] {
        &[]
    }
    fn sometimes() -> &'static [Sometimes<Self>] {
        &[Sometimes { name: FILLED, seen: Seen::Step }]
    }
    fn describe(&self, _: &Stove, action: &Act) -> String {
        format!("{action:?}")
    }
    fn changes(&self, before: &Stove, after: &Stove) -> Vec<String> {
        if before == after { Vec::new() } else { vec![format!("{before:?} -> {after:?}")] }
    }
    fn profile(_: &str) -> Vec<Kitchen> {
        vec![Kitchen::default()]
    }
    fn mutants() -> Vec<Mutant<Kitchen>> {
        Vec::new()
    }
}

/// Nobody knocks the kettle over any more.
struct Quiet(Kettle);

impl Calm for Quiet {
    type World = Kettle;

    fn describe(&self) -> String {
        "nobody knocks it over any more".to_owned()
    }
    fn world(&self) -> &Kettle {
        &self.0
    }
    fn begin(&self, state: &Stove) -> Stove {
        Stove { knocks: 0, ..*state }
    }
    fn prompt(&self, state: &Stove) -> Option<Act> {
        match self.0.0.defect {
            2 if state.water == FULL => Some(Act::Leak),
            3 if state.water == FULL => Some(Act::Heat),
            _ => None,
        }
    }
    fn turns(&self) -> u32 {
        2
    }
    fn patient(&self, state: &Stove, turn: u32) -> Option<Act> {
        match turn {
            0 if state.water < FULL && self.0.0.defect != 1 => Some(Act::Fill),
            1 if state.heat < FULL && state.water == FULL => Some(Act::Heat),
            _ => None,
        }
    }
    fn step(&self, state: &Stove, action: &Act, notes: &mut Notes) -> Stove {
        let mut next = self.0.step(state, action, notes);
        if self.0.0.defect == 3 {
            next.knocks = 0;
            next.heat = next.heat.min(200);
        }
        next
    }
}

impl Recovers for Kettle {
    const NAME_OF_RECOVERY: &'static str = "kettle-liveness";
    const EVENTUALLY: &'static [Eventually<Self>] = &[Eventually {
        name: BOILS,
        rule: "K1",
        comes_about: COMES_TO_A_BOIL,
        holds: |_, state| if state.heat >= FULL { Ok(()) } else { Err(format!("{state:?}")) },
    }];
    const HEALS_BY: &'static [&'static str] = &[FILLED];
    type Calm = Quiet;

    fn calms(&self) -> Vec<Quiet> {
        vec![Quiet(Self(self.0.clone()))]
    }
    const RECOVERIES: Table = Table { quick: &["knocks=2"], standard: &[], mutants: &[] };
}

fn tried(line: &str) -> Outcome<Recovering<Kettle>> {
    let world = Recovering::<Kettle>::new(at(line), None);
    search(&world, Limits { threads: 1, ..Limits::default() }, &mut |_| {})
}

/// The claim that is broken, its values, the way there, and what followed.
fn broken(line: &str) -> (&'static str, String, usize, Vec<String>) {
    match tried(line).verdict {
        Verdict::Violated(found) => {
            let after = found.aftermath.iter().map(|(step, _)| step.action.clone()).collect();
            (found.broken.claim, found.broken.values, found.actions.len(), after)
        }
        Verdict::Holds | Verdict::OutOfBudget => panic!("a defect is found"),
    }
}

#[test]
fn a_world_that_heals_passes_and_shows_what_it_healed() {
    let outcome = tried("knocks=2");

    assert!(matches!(outcome.verdict, Verdict::Holds), "{outcome:?}");
    assert_eq!(outcome.unique, 15);
    assert_eq!(outcome.seen, [true, true]);
}

#[test]
fn a_run_that_nothing_moves_is_found_with_the_way_to_it() {
    let (claim, values, steps, after) = broken("defect=1");

    assert_eq!((claim, steps), (BOILS, 1));
    assert!(values.contains("nothing happens any more"), "{values}");
    assert_eq!(after, ["nobody knocks it over any more"]);
}

#[test]
fn a_run_that_goes_round_in_a_circle_is_found_with_its_steps() {
    let (claim, values, steps, after) = broken("defect=2");

    assert_eq!((claim, steps), (BOILS, 0));
    assert!(values.contains("the same 2 steps over and over"), "{values}");
    assert_eq!(after, ["nobody knocks it over any more", "Leak", "Fill", "Leak", "Fill"]);
}

#[test]
fn a_run_that_never_rests_is_found_though_every_claim_holds() {
    let (claim, values, _, after) = broken("knocks=0 defect=3");

    assert_eq!(claim, COMES_TO_REST);
    assert!(values.contains("over and over"), "{values}");
    assert!(after.len() > 190);
}

#[test]
fn a_sample_tries_fewer_states_and_says_so_in_its_bounds() {
    let aim: Aim<Kitchen> = at("defect=1 sample=1000000007");

    assert_eq!(aim.line(), "knocks=1 defect=1 sample=1000000007");
    assert!(matches!(tried("defect=1 sample=1000000007").verdict, Verdict::Holds));
    assert!(Aim::<Kitchen>::default().read(["sample=0"]).is_err());
}

#[test]
fn claims_are_declared_in_pairs() {
    assert_eq!(misdeclared::<Recovering<Kettle>>(), Vec::<String>::new());
    assert_eq!(misdeclared::<Recovering<quorum::World>>(), Vec::<String>::new());
    assert_eq!(misdeclared::<Recovering<metadata::World>>(), Vec::<String>::new());
    assert_eq!(misdeclared::<Recovering<replication::World>>(), Vec::<String>::new());
    assert_eq!(Recovering::<Kettle>::always().len(), 2);
}
