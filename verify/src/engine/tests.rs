//! The engine on a world small enough to count by hand.

use std::hash::Hasher as _;

use highwater_model::fault::Bug;
use serde::{Deserialize, Serialize};
use stateright::{Checker, Model, Property};

use super::{Encoder, Limits, PANIC, Verdict, alike, search};
use crate::bounds::Bounds;
use crate::world::{Always, Broken, Checked, Mutant, Notes, Seen, Sometimes, misdeclared, properties};

crate::bounds! {
    /// Bounds of the jugs.
    pub(super) struct Size {
        /// Litres in the large jug.
        large("large"): u8 = 5,
        /// Litres in the small jug.
        small("small"): u8 = 3,
        /// Litres that break the claim; 255 for none.
        forbidden("forbidden"): u8 = 255,
    }
}

/// Two jugs of water, to be filled, emptied and poured over.
pub(super) struct Jugs(Size);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Pour {
    Fill(usize),
    Empty(usize),
    Over(usize),
    Smash,
}

impl Model for Jugs {
    type State = [u8; 2];
    type Action = Pour;

    fn init_states(&self) -> Vec<[u8; 2]> {
        vec![[0, 0]]
    }
    fn actions(&self, _: &[u8; 2], actions: &mut Vec<Pour>) {
        actions
            .extend([0, 1].into_iter().flat_map(|jug| [Pour::Fill(jug), Pour::Empty(jug), Pour::Over(jug)]));
        if self.0.forbidden == 254 {
            actions.push(Pour::Smash);
        }
    }
    fn next_state(&self, state: &[u8; 2], action: Pour) -> Option<[u8; 2]> {
        Some(self.step(state, &action, &mut Notes::default()))
    }
    fn properties(&self) -> Vec<Property<Self>> {
        properties::<Self>()
    }
}

impl Checked for Jugs {
    const NAME: &'static str = "jugs";
    const KINDS: &'static [&'static str] = &["fill", "empty", "pour over", "smash"];
    type Bounds = Size;

    fn new(bounds: Size, _: Option<Bug>) -> Self {
        Self(bounds)
    }
    fn bounds(&self) -> &Size {
        &self.0
    }
    fn step(&self, state: &[u8; 2], action: &Pour, notes: &mut Notes) -> [u8; 2] {
        let room = [self.0.large, self.0.small];
        let mut jugs = *state;
        match *action {
            Pour::Fill(jug) => jugs[jug] = room[jug],
            Pour::Empty(jug) => jugs[jug] = 0,
            Pour::Over(from) => {
                let to = 1 - from;
                let poured = jugs[from].min(room[to] - jugs[to]);
                jugs[from] -= poured;
                jugs[to] += poured;
                if poured > 0 {
                    notes.event("jugs/water_is_poured_over");
                }
            }
            Pour::Smash => panic!("a jug is whole"),
        }
        jugs
    }
    fn kind(action: &Pour) -> usize {
        match action {
            Pour::Fill(_) => 0,
            Pour::Empty(_) => 1,
            Pour::Over(_) => 2,
            Pour::Smash => 3,
        }
    }
    fn always() -> &'static [Always<Self>] {
        &[Always {
            name: "jugs/forbidden_level_is_not_reached",
            rule: "J1",
            holds: Some(|world, state| {
                if state[0] == world.0.forbidden {
                    Err(format!("large jug holds {}", state[0]))
                } else {
                    Ok(())
                }
            }),
            exercised_by: "jugs/large_jug_is_full",
        }]
    }
    fn sometimes() -> &'static [Sometimes<Self>] {
        &[
            Sometimes {
                name: "jugs/large_jug_is_full",
                seen: Seen::State(|world: &Self, state: &[u8; 2]| state[0] == world.0.large),
            },
            Sometimes { name: "jugs/water_is_poured_over", seen: Seen::Step },
        ]
    }
    fn describe(&self, _: &[u8; 2], action: &Pour) -> String {
        format!("{action:?}")
    }
    fn changes(&self, before: &[u8; 2], after: &[u8; 2]) -> Vec<String> {
        if before == after { Vec::new() } else { vec![format!("{before:?} -> {after:?}")] }
    }
    fn encode(&self, state: &[u8; 2], sink: &mut Encoder) {
        let told = if self.0.forbidden == 253 { 1 } else { 2 };
        sink.write(state.get(..told).expect("there are two jugs"));
    }
    fn profile(_: &str) -> Vec<Size> {
        vec![Size::default()]
    }
    fn mutants() -> Vec<Mutant<Size>> {
        Vec::new()
    }
}

pub(super) fn jugs(words: &str) -> Jugs {
    Jugs::new(Size::default().read(words.split_whitespace()).expect("bounds"), None)
}

fn broken(world: &Jugs) -> (Broken, Vec<Pour>) {
    match search(world, Limits::default(), &mut |_| {}).verdict {
        Verdict::Violated(example) => (example.broken, example.actions),
        Verdict::Holds | Verdict::OutOfBudget => panic!("the claim is broken within reach"),
    }
}

#[test]
fn a_whole_space_is_counted_once_whatever_the_threads_and_as_stateright_counts_it() {
    for threads in [1, 2] {
        let limits = Limits { threads, ..Limits::default() };
        let world = jugs("large=241 small=239");
        let own = search(&world, limits, &mut |_| {});
        let theirs = world.checker().spawn_dfs().join();

        assert!(matches!(own.verdict, Verdict::Holds));
        assert_eq!(own.unique, theirs.unique_state_count() as u64);
        assert_eq!(own.generated, 6 * own.unique);
        assert_eq!(own.seen, [true, true]);
        assert_eq!(own.taken, [2 * own.unique, 2 * own.unique, 2 * own.unique, 0]);
    }
}

#[test]
fn the_first_violation_found_is_the_nearest() {
    let (broken, actions) = broken(&jugs("forbidden=4"));

    let name = "jugs/forbidden_level_is_not_reached";
    assert_eq!(broken, Broken { claim: name, values: "large jug holds 4".to_owned() });
    assert_eq!(actions.len(), 6);
}

#[test]
fn a_failed_assertion_is_a_violation_with_its_trace() {
    let (broken, actions) = broken(&jugs("forbidden=254"));

    assert_eq!(broken.claim, PANIC);
    assert!(broken.values.contains("a jug is whole"));
    assert_eq!(actions, [Pour::Smash]);
}

#[test]
fn a_search_that_reaches_a_limit_says_so() {
    let limits = Limits { states: Some(100), ..Limits::default() };
    let outcome = search(&jugs("large=241 small=239"), limits, &mut |_| {});

    assert!(matches!(outcome.verdict, Verdict::OutOfBudget));
}

#[test]
fn an_encoding_that_leaves_out_too_much_is_found() {
    let whole = alike(&jugs(""), 100, 2);
    let large_alone = alike(&jugs("forbidden=253"), 100, 2);

    assert_eq!(whole.expect("the whole state is encoded"), 0);
    let unlike = large_alone.expect_err("the small jug matters");
    assert_eq!(unlike.visited[0], unlike.other[0]);
    assert_ne!(unlike.visited[1], unlike.other[1]);
}

#[test]
fn claims_are_declared_in_pairs() {
    assert_eq!(misdeclared::<Jugs>(), Vec::<String>::new());
}
