//! What becomes of a cluster once faults stop (QL6, RL0, RL7): every broker runs and may lead, and whoever asked is answered.
//!
//! From there on no broker is killed or fenced, no message is lost and the controller stays in office; brokers that are down
//! come back, heartbeats are sent as often as they like.

mod ends;
mod sweep;

use highwater_model::id::NodeId;

use super::World;
use super::action::{Action, is_registered_run};
use super::claims::name;
use super::state::{Spent, State};
use super::step::Driver;
use super::tidy;
use crate::recovery::{self, Eventually, Recovers, Table};
use crate::world::Notes;

/// A way in which faults stop.
#[derive(Debug)]
pub struct Calm {
    world: World,
    how: How,
}

/// What becomes of what is under way when faults stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It arrives before anything is committed.
    Arrives,
    /// It is lost, and batches are committed and applied at once.
    IsLost,
}

/// What happens to a broker when it is its turn and nothing is prompt.
const TURNS: [fn(&State, NodeId) -> Option<Action>; 3] = [loses_session, starts, beats];

impl Recovers for World {
    const NAME_OF_RECOVERY: &'static str = "metadata-liveness";

    const EVENTUALLY: &'static [Eventually<Self>] = ends::EVENTUALLY;

    const HEALS_BY: &'static [&'static str] = &[
        name::UNFENCED,
        name::STOPPED,
        name::REGISTERED_ANEW,
        name::ELECTED_FROM_ELIGIBLE,
        name::LEADER_CHANGED,
        name::CORRECTED,
    ];

    const RECOVERIES: Table = sweep::RECOVERIES;

    type Calm = Calm;

    fn calms(&self) -> Vec<Calm> {
        [How::Arrives, How::IsLost].map(|how| Calm { world: self.clone(), how }).into()
    }
}

impl recovery::Calm for Calm {
    type World = World;

    fn describe(&self) -> String {
        let under_way = match self.how {
            How::Arrives => "arrives",
            How::IsLost => "is lost",
        };
        format!("faults stop, and what is under way {under_way}")
    }

    fn world(&self) -> &World {
        &self.world
    }

    /// The number of elections is the quorum epoch; what else was spent makes no difference any more.
    fn begin(&self, state: &State) -> State {
        let mut calm = state.clone();
        let Spent { failovers, reelections, .. } = state.spent;
        calm.spent = Spent { failovers, reelections, ..Spent::default() };
        if self.how == How::IsLost {
            calm.wire.clear();
        }
        calm
    }

    fn prompt(&self, state: &State) -> Option<Action> {
        let arrives = || (!state.wire.is_empty()).then_some(Action::Deliver(0));
        let commits = || (!state.tail.is_empty()).then_some(Action::Commit);
        let applies = || state.nodes().find(|node| is_behind(state, *node)).map(Action::Apply);
        match self.how {
            How::Arrives => arrives().or_else(commits).or_else(applies),
            How::IsLost => commits().or_else(applies).or_else(arrives),
        }
    }

    fn turns(&self) -> u32 {
        u32::from(self.world.bounds.brokers) * u32::try_from(TURNS.len()).expect("a few turns")
    }

    fn patient(&self, state: &State, turn: u32) -> Option<Action> {
        let brokers = u32::from(self.world.bounds.brokers);
        let what = TURNS.get(usize::try_from(turn / brokers).ok()?)?;
        what(state, NodeId(turn % brokers + 1))
    }

    fn step(&self, state: &State, action: &Action, notes: &mut Notes) -> State {
        let mut next = state.clone();
        Driver { world: &self.world, state: &mut next, notes }.act(*action);
        tidy::tidy(&self.world, &mut next);
        next
    }
}

fn is_behind(state: &State, node: NodeId) -> bool {
    state.run(node).is_some_and(|run| usize::from(run.applied) + 1 < state.history.len())
}

/// Of a broker that does not run, or runs anew, the session ends.
fn loses_session(state: &State, node: NodeId) -> Option<Action> {
    let is_gone = state.run(node).is_none() || !is_registered_run(state, node);
    (is_gone && state.is_watched(node)).then_some(Action::Expire(node))
}

fn starts(state: &State, node: NodeId) -> Option<Action> {
    state.run(node).is_none().then_some(Action::Start(node))
}

fn beats(state: &State, node: NodeId) -> Option<Action> {
    state.run(node).map(|_| Action::Timer(node))
}
