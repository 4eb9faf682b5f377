//! Liveness: once faults stop, does everything heal? (QL*, RL*)
//!
//! From a state that a search visits a *recovery run* is made: faults stop, what heals goes on, and a fair schedule of it must
//! come to rest where everything holds that must hold in the end ([`Recovers::EVENTUALLY`]). A run that comes to rest
//! elsewhere, goes round in a circle, or does not come to rest in [`STEPS_MAX`] steps is a violation: shown with the way to
//! the state and with what followed.
//!
//! The schedule: whatever is *prompt* (a message arrives, a write ends) happens at once, in the order that the world gives; when
//! nothing prompt is left, the next of the *patient* turns in a fixed cycle is taken (a timer runs out, a broker starts). So a
//! timer runs longer than what it waits for, each of them runs out again and again, and where a run goes next depends on the
//! state and on whose turn it is, and on nothing else: what such a pair once led to it will always lead to. Hence a run may
//! end in success where it meets a pair that an earlier one has passed on its way to success, and all runs
//! together cost little more than a step for each state.
//!
//! What was under way when the faults stopped may yet arrive, or be lost, or a replica may stay cut off: each of these is
//! tried as a [`Calm`] of its own. What limits a search (how many elections, how many retries) limits nothing here.

use crate::world::{Checked, Holds, Notes};

mod aim;
mod memo;
mod recovering;
mod run;
mod table;
#[cfg(test)]
mod tests;

pub use aim::Aim;
pub use recovering::Recovering;
pub use run::STEPS_MAX;
pub use table::{Row, Table};

/// Name of the claim that a run comes to rest at all, of one in which nothing else is amiss.
///
/// It is broken where a core goes on though all that is promised has come about (L-12). In the quorum world no such bug is
/// planted: while a fetch or a vote is under way some replica does not follow, and a disk that never ends holds up what arrives,
/// so that another claim breaks. Nor in the metadata world: a controller speaks when it is spoken to, and a broker, once it is
/// unfenced, when its heartbeat is due. There this claim guards the runs themselves, whose schedule is made here.
pub const COMES_TO_REST: &str = "liveness/run_comes_to_rest";

/// A world of which recovery runs can be made.
pub trait Recovers: Checked {
    /// Its name as a model that checks them: that of the world and `-liveness`.
    const NAME_OF_RECOVERY: &'static str;

    /// What holds in the end, the most telling first: with [`Self::HEALS_BY`] at most 16.
    const EVENTUALLY: &'static [Eventually<Self>];

    /// Events of [`Checked::step`] that some run must show: that there was something to heal.
    const HEALS_BY: &'static [&'static str];

    /// One way in which faults stop.
    type Calm: Calm<World = Self>;

    /// The ways in which faults may stop in this world.
    fn calms(&self) -> Vec<Self::Calm>;

    /// From which bounds runs are made, and which planted bugs they must catch.
    const RECOVERIES: Table;
}

/// A way in which faults stop, and what happens from there on.
pub trait Calm: Send + Sync + Sized + 'static {
    /// The world whose faults stop.
    type World: Checked;

    /// How they stop, as a step of a counterexample: "faults stop, and what is under way is lost".
    fn describe(&self) -> String;

    /// The world without what limits it, to tell steps apart and to judge them.
    fn world(&self) -> &Self::World;

    /// What a state becomes when faults stop.
    fn begin(&self, state: &StateOf<Self>) -> StateOf<Self>;

    /// What happens next without waiting, if anything does.
    fn prompt(&self, state: &StateOf<Self>) -> Option<ActionOf<Self>>;

    /// Number of patient turns in a cycle.
    fn turns(&self) -> u32;

    /// What happens in this turn when nothing is prompt, if anything does.
    fn patient(&self, state: &StateOf<Self>, turn: u32) -> Option<ActionOf<Self>>;

    /// The state after an action.
    fn step(&self, state: &StateOf<Self>, action: &ActionOf<Self>, notes: &mut Notes) -> StateOf<Self>;

    /// Whether a claim is made of a state at rest: not when the promise that it rests on is void there.
    fn is_promised(&self, _state: &StateOf<Self>, _claim: &'static str) -> bool {
        true
    }
}

/// The states of the world of a [`Calm`].
pub type StateOf<C> = <<C as Calm>::World as stateright::Model>::State;

/// The actions of the world of a [`Calm`].
pub type ActionOf<C> = <<C as Calm>::World as stateright::Model>::Action;

/// Something that holds once everything has come to rest.
pub struct Eventually<W: Checked> {
    /// `liveness/claim_in_the_present_tense`.
    pub name: &'static str,
    /// Its id in the protocol rules: `RL5`.
    pub rule: &'static str,
    /// How it is evaluated.
    pub holds: Holds<W>,
    /// `liveness/what_comes_about`: what is noted of a run that begins where this does not hold, and succeeds.
    pub comes_about: &'static str,
}

impl<W: Checked> Eventually<W> {
    /// A claim: its name, its rule, how it is evaluated, and what is noted when it comes about.
    #[must_use]
    pub const fn of(
        name: &'static str,
        rule: &'static str,
        holds: Holds<W>,
        comes_about: &'static str,
    ) -> Self {
        Self { name, rule, holds, comes_about }
    }
}

impl<W: Checked> std::fmt::Debug for Eventually<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "eventually {} ({})", self.name, self.rule)
    }
}
