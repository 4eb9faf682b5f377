//! The quorum world: replicas of the metadata log, their disks, the network, clients and operators.
//!
//! What is real: every replica is the `quorum` core. What is around it is here: messages that are delivered in any order,
//! twice, or never; disks that complete stores and syncs when they like and lose what was not synced; processes that are
//! killed and start again as a new run; disks that are replaced. Records are numbers beside the messages: no core sees
//! them. Timers may run out at any moment, except that candidacies, resends and resignations are counted against bounds.

mod action;
mod bounds;
mod claims;
mod drive;
mod duty;
mod encode;
mod naming;
mod network;
mod number;
mod order;
mod picture;
mod pool;
mod recovery;
mod shared;
mod start;
mod state;
mod step;
mod sweep;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::sync::Arc;

use highwater_model::fault::{Bug, Faults as _, Planted};
use highwater_model::quorum::{Quorum, VoterSet};
use stateright::{Model, Property};

use crate::engine::Encoder;
use crate::world::{Always, Broken, Checked, Mutant, Notes, Part, Picture, Sometimes, properties};

pub use action::Action;
pub use bounds::{Bounds, PreVotes, Start};
pub use recovery::Calm;
pub use shared::Shared;
pub use state::{Disk, Ghost, Letter, Node, Packet, Place, Spent, State};

use drive::Driver;
use pool::Pool;

/// The world of some bounds.
#[derive(Clone, Debug)]
pub struct World {
    bounds: Bounds,
    planted: Planted,
    formatted: VoterSet,
    /// The replica that nothing comes to and nothing comes from, in recovery runs.
    cut_off: Option<Place>,
    /// Whether steps are taken epoch by epoch.
    in_order: bool,
    /// Whether voters are interchangeable.
    symmetric: bool,
    /// Whether what only an unsound core would read is left out.
    reduces: bool,
    pool: Arc<Pool>,
}

impl World {
    /// Whether this bug is planted.
    fn has(&self, bug: Bug) -> bool {
        self.planted.has(bug)
    }

    /// Whether it is judged in which epoch a message leaves. A bound may only set that aside to see what else a planted bug breaks.
    fn minds_stored_epochs(&self) -> bool {
        self.bounds.stored_epochs || self.planted.0.is_none()
    }

    fn asks_pre_votes(&self) -> bool {
        self.bounds.pre_votes == PreVotes::Asked
    }

    /// Whether dead messages stay in flight. They must when a planted bug makes a core believe what it would refuse.
    fn keeps_dead(&self) -> bool {
        let revives = [
            Bug::StaleVoteCounted,
            Bug::StaleAppendTruncates,
            Bug::EpochForgotten,
            Bug::VoteForgotten,
            Bug::VoteTwice,
        ];
        self.bounds.keep_dead || revives.into_iter().any(|bug| self.has(bug))
    }

    fn reduces(&self) -> bool {
        self.reduces
    }

    fn has_observers(&self) -> bool {
        let bounds = &self.bounds;
        bounds.observers > 0 || bounds.changes > 0 || bounds.wipes > 0 || bounds.corruptions > 0
    }

    /// Whether no crash is left to come, so that a late completion is no more than a late message.
    fn completes_at_once(&self, spent: &Spent) -> bool {
        let bounds = &self.bounds;
        spent.kills == bounds.kills
            && spent.power_losses == bounds.power_losses
            && spent.wipes == bounds.wipes
            && spent.corruptions == bounds.corruptions
    }

    /// Whether a replica that lost durable records may start again as itself: only if that is planted (B-37).
    fn may_start_damaged(&self) -> bool {
        Quorum::may_start(self.planted, true)
    }

    /// The voters in the log of a replica.
    fn voters<'a>(&'a self, state: &'a State, at: Place) -> &'a VoterSet {
        state.nodes.get(usize::from(at)).map_or(&self.formatted, |node| node.core.voters().latest())
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        action::enabled(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(state, &action, &mut Notes::default()))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::<Self>()
    }
}

impl Checked for World {
    const NAME: &'static str = "quorum";
    const KINDS: &'static [&'static str] = action::KINDS;
    type Bounds = Bounds;

    fn new(bounds: Bounds, planted: Option<Bug>) -> Self {
        let formatted = start::formatted(bounds.voters);
        let symmetric = bounds.symmetry
            && !bounds.keep_dead
            && bounds.voters <= naming::VOTERS_MAX
            && bounds.wipes
                + bounds.snapshots
                + bounds.observers
                + bounds.reads
                + bounds.corruptions
                + bounds.changes
                == 0;
        let in_order = order::applies(&bounds, planted);
        let reduces = planted.is_none() && !bounds.keep_dead;
        let planted = Planted(planted);
        let (cut_off, pool) = (None, Arc::default());
        let world = Self { bounds, planted, formatted, in_order: false, symmetric, reduces, cut_off, pool };
        let in_order = in_order && order::begins_together(&world.begin());
        Self { in_order, ..world }
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn keep(&self, state: &mut State) {
        self.pool.keep(state);
    }

    fn step(&self, state: &State, action: &Action, notes: &mut Notes) -> State {
        let mut next = state.clone();
        Driver { world: self, state: &mut next, notes, leads: false, asks: None }.act(action);
        network::tidy(self, &mut next);
        next
    }

    fn encode(&self, state: &State, sink: &mut Encoder) {
        encode::encode(self, state, sink);
    }

    fn identity(&self, state: &State) -> Option<u64> {
        Some(encode::identity(self, state))
    }

    fn kind(action: &Action) -> usize {
        action::kind(action)
    }

    fn always() -> &'static [Always<Self>] {
        claims::ALWAYS
    }

    fn sometimes() -> &'static [Sometimes<Self>] {
        claims::SOMETIMES
    }

    fn judge(&self, state: &State) -> Result<(), Broken> {
        claims::judge(self, state)
    }

    fn describe(&self, before: &State, action: &Action) -> String {
        words::describe(before, action)
    }

    fn changes(&self, before: &State, after: &State) -> Vec<String> {
        words::changes(before, after)
    }

    fn picture(&self, state: &State) -> Picture {
        picture::of(state)
    }

    fn part(&self, before: &State, action: &Action) -> Part {
        picture::part(before, action)
    }

    fn profile(name: &str) -> Vec<Bounds> {
        sweep::profile(name)
    }

    fn mutants() -> Vec<Mutant<Bounds>> {
        sweep::mutants()
    }
}
