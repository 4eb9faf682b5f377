//! What a world is: a state space around real cores, with its claims, its bounds and its mutants.
//!
//! A world implements [`stateright::Model`] and, beside it, [`Checked`]. How the space is searched is the
//! [`engine`](crate::engine)'s affair, how a verdict is shown is the command line's.

use std::fmt::Debug;
use std::hash::Hash;

use highwater_model::fault::Bug;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::{Model, Property};
use xxhash_rust::xxh3::xxh3_64;

use crate::bounds::Bounds;
use crate::engine::Encoder;

mod notes;
mod picture;
mod properties;

pub use notes::{Broken, Notes};
pub use picture::{Cell, Fact, Kept, Lane, LaneKind, Message, Part, Picture, Shown};
use properties::CLAIMS_MAX;
pub(crate) use properties::{Judged, all as all_properties};

/// A world that the engine can check.
///
/// The rules that keep a verdict honest: `actions` lists enabled actions only, in a fixed order; `step` is a function of
/// its arguments alone, `notes` being its only other output; `next_state` is `Some(step)` and never `None`.
pub trait Checked:
    Model<
        State: Clone + PartialEq + Hash + Debug + Send + Sync,
        Action: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync,
    >
where
    Self: Sized + Send + Sync + 'static,
{
    /// Its name on the command line, and the first part of the names of its claims.
    const NAME: &'static str;

    /// The kinds of action, in words. [`Self::kind`] gives an index into this; a kind never taken is listed in the
    /// verdict, so that a vacuous pass shows.
    const KINDS: &'static [&'static str];

    /// Steps of random walks after which a process had better end, if what a world has met is kept until then.
    const WALK_STEPS_MAX: Option<u64> = None;

    /// Its bounds.
    type Bounds: Bounds;

    /// The world of these bounds, its cores seeded with `planted`.
    fn new(bounds: Self::Bounds, planted: Option<Bug>) -> Self;

    /// The bounds of this world.
    fn bounds(&self) -> &Self::Bounds;

    /// The state after `action`, which is enabled in `state`. Events go to `notes`, and so does a claim that the step
    /// itself breaks (an acknowledgement too early, a watermark that moves back).
    fn step(&self, state: &Self::State, action: &Self::Action, notes: &mut Notes) -> Self::State;

    /// Index of the action's kind in [`Self::KINDS`].
    fn kind(action: &Self::Action) -> usize;

    /// What holds in every state, or in every step.
    fn always() -> &'static [Always<Self>];

    /// What must be possible: the proof that the claims of [`Self::always`] were put to the test. At most 32.
    fn sometimes() -> &'static [Sometimes<Self>];

    /// Evaluates every claim about states. A world whose claims share an expensive view builds it once here.
    ///
    /// # Errors
    /// With the first claim that does not hold, and the values that break it.
    fn judge(&self, state: &Self::State) -> Result<(), Broken> {
        for claim in Self::always() {
            if let Some(holds) = claim.holds {
                holds(self, state).map_err(|values| Broken { claim: claim.name, values })?;
            }
        }
        Ok(())
    }

    /// Feeds the state to the fingerprint. A world with interchangeable parts feeds the same bytes for states that
    /// differ in their order alone.
    fn encode(&self, state: &Self::State, sink: &mut Encoder) {
        state.hash(sink);
    }

    /// A number, never 0, that two states share only if they are equal (but for the chance that fingerprints run too), if
    /// that is much cheaper to tell than their encoding.
    fn identity(&self, _state: &Self::State) -> Option<u64> {
        None
    }

    /// Called of a state that is new to a search, which will come back to it: what it has in common with others may be made one
    /// with theirs. The state stays equal to what it was.
    fn keep(&self, _state: &mut Self::State) {}

    /// The action in words, as one line without a full stop: "broker 2 fetches from offset 1 in leader epoch 3".
    fn describe(&self, before: &Self::State, action: &Self::Action) -> String;

    /// A number that an action goes by in this state and in others: of a delivery it is the message's, not its place's.
    /// Random walks hold actions back by it.
    fn token(&self, before: &Self::State, action: &Self::Action) -> u64 {
        xxh3_64(self.describe(before, action).as_bytes())
    }

    /// A number for whom an action is of: of a message it is the link that it takes. Random walks let some of them be slow.
    fn party(&self, _before: &Self::State, _action: &Self::Action) -> u64 {
        0
    }

    /// What the step changed, one line each: "high watermark of broker 1: 0 -> 1". Empty when nothing did.
    fn changes(&self, before: &Self::State, after: &Self::State) -> Vec<String>;

    /// The state as people see it. A world that shows nothing is told by its steps' words alone.
    fn picture(&self, _state: &Self::State) -> Picture {
        Picture::default()
    }

    /// Whom `action` concerns, in the lanes and among the messages of [`Self::picture`] of `before`.
    fn part(&self, _before: &Self::State, _action: &Self::Action) -> Part {
        Part::default()
    }

    /// What follows after a state that breaks a claim, where what follows is what breaks it: what happens next, in words, and
    /// the state after it, as often as it takes.
    fn aftermath(&self, _end: &Self::State) -> Vec<(String, Self::State)> {
        Vec::new()
    }

    /// The sweep of a profile (`quick`, …): bounds, smallest first. Empty when there is no such profile. Those of `walk` are
    /// for random walks alone, and as large as the world allows.
    fn profile(name: &str) -> Vec<Self::Bounds>;

    /// The planted bugs that this world must catch.
    fn mutants() -> Vec<Mutant<Self::Bounds>>;
}

/// Evaluates a claim about a state; the error gives the values that break it.
pub type Holds<W> = fn(&W, &<W as Model>::State) -> Result<(), String>;

/// Something that must hold everywhere.
pub struct Always<W: Checked> {
    /// `machine/claim_in_the_present_tense`.
    pub name: &'static str,
    /// The invariant's id in the protocol rules: `RI3`.
    pub rule: &'static str,
    /// How it is evaluated; `None` when [`Checked::step`] notes it broken.
    pub holds: Option<Holds<W>>,
    /// Name of the [`Sometimes`] that shows that this claim was put to the test.
    pub exercised_by: &'static str,
}

/// Something that must be reachable.
pub struct Sometimes<W: Checked> {
    /// `machine/claim_in_the_present_tense`.
    pub name: &'static str,
    /// How it is recognised.
    pub seen: Seen<W>,
}

/// How a [`Sometimes`] is recognised.
pub enum Seen<W: Checked> {
    /// By a state.
    State(fn(&W, &<W as Model>::State) -> bool),
    /// By a step that notes an event: [`Notes::event`] with this claim's name.
    Step,
}

/// A planted bug that must be caught.
#[derive(Clone, Debug)]
pub struct Mutant<B> {
    /// What is planted.
    pub bug: Bug,
    /// The system and issue it comes from: `KIP-101 scenario 1`.
    pub source: &'static str,
    /// The smallest known bounds that show it. A start other than the usual one is a field of the bounds.
    pub bounds: B,
    /// Names of the claims that it may break first; any of them counts as caught.
    pub breaks: &'static [&'static str],
}

/// Every claim of a world in stateright's form, for its checkers and its Explorer.
#[must_use]
pub fn properties<W: Checked>() -> Vec<Property<W>> {
    properties::all::<W>()
}

impl<W: Checked> Debug for Always<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "always {} ({})", self.name, self.rule)
    }
}

impl<W: Checked> Debug for Sometimes<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sometimes {}", self.name)
    }
}

impl<W: Checked> Debug for Seen<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::State(_) => "by a state",
            Self::Step => "by a step",
        })
    }
}

/// What is wrong with the way a world declares its claims, mutants and kinds: for a test in each world.
#[must_use]
pub fn misdeclared<W: Checked>() -> Vec<String> {
    let reachable = |name: &str| W::sometimes().iter().any(|claim| claim.name == name);
    let claimed =
        |name: &str| name == crate::engine::PANIC || W::always().iter().any(|claim| claim.name == name);
    let unpaired = W::always()
        .iter()
        .filter(|claim| !reachable(claim.exercised_by))
        .map(|claim| format!("{} names no sometimes-claim that exercises it", claim.name));
    let unknown = W::mutants().into_iter().flat_map(|mutant| {
        let id = mutant.bug.id();
        mutant
            .breaks
            .iter()
            .filter(|name| !claimed(name))
            .map(|name| format!("{id} is expected to break {name}, which is no claim"))
            .collect::<Vec<_>>()
    });
    let mut wrong: Vec<String> = unpaired.chain(unknown).collect();
    if W::sometimes().len().max(W::always().len()) > CLAIMS_MAX {
        wrong.push(format!("more than {CLAIMS_MAX} claims of a kind"));
    }
    wrong
}
