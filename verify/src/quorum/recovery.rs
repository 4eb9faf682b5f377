//! What becomes of a quorum once faults stop (QL1 to QL4): somebody leads, everybody follows and has everything, and whoever
//! asked is answered.
//!
//! From there on nobody is killed and no message is lost; timers run out in the order of their lengths, one replica's at a
//! time, and only where what they wait for does not come: a leader that has a majority's fetches waiting does not resign, a
//! follower whose fetch waits at its leader does not stand. Pre-votes are asked for. Or one replica stays cut off from all
//! others for ever: then the others must do all this without it, and it must not go on leading nobody (Q7).

mod ends;
mod sweep;

use highwater_model::quorum::{Asked, RoleName, Tenure, Timer, VoterKey};

use super::World;
use super::action::Action;
use super::bounds::{Bounds, PreVotes};
use super::claims::seen;
use super::drive::Driver;
use super::network;
use super::state::{Node, Packet, Place, Spent, State, key, place, tenure};
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
    /// It arrives when nothing is left to complete.
    Arrives,
    /// It is lost, and messages arrive before anything completes.
    IsLost,
}

/// What happens to a replica when it is its turn and nothing is prompt.
const TURNS: [fn(&State, Place) -> Option<Action>; 6] =
    [announces, probes, fetches_again, gives_its_leader_up, stands, resigns];

impl Recovers for World {
    const NAME_OF_RECOVERY: &'static str = "quorum-liveness";

    const EVENTUALLY: &'static [Eventually<Self>] = ends::EVENTUALLY;

    const HEALS_BY: &'static [&'static str] = &[
        seen::ELECTED,
        seen::ACKNOWLEDGED,
        seen::TRUNCATED,
        seen::PRE_VOTE,
        seen::VOTERS_CHANGED,
        seen::INSTALLED,
    ];

    const RECOVERIES: Table = sweep::RECOVERIES;

    type Calm = Calm;

    fn calms(&self) -> Vec<Calm> {
        let calm = |how, cut_off| {
            let bounds = Bounds { pre_votes: PreVotes::Asked, ..self.bounds.clone() };
            // Turns go round by place, one replica may be cut off, and pre-votes are messages: here names matter, and nothing
            // puts the steps of all replicas in an order.
            let world = Self { bounds, cut_off, in_order: false, symmetric: false, ..self.clone() };
            Calm { world, how }
        };
        let mut calms = vec![calm(How::Arrives, None), calm(How::IsLost, None)];
        if self.bounds.voters > 1 && self.bounds.wipes == 0 {
            calms.extend((0..self.bounds.voters).map(|at| calm(How::IsLost, Some(at))));
        }
        calms
    }
}

impl recovery::Calm for Calm {
    type World = World;

    fn describe(&self) -> String {
        match (self.how, self.world.cut_off) {
            (How::Arrives, _) => "faults stop, and what is under way arrives".to_owned(),
            (How::IsLost, None) => "faults stop, and what is under way is lost".to_owned(),
            (How::IsLost, Some(at)) => {
                format!("faults stop, what is under way is lost, and node {at} stays cut off")
            }
        }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn begin(&self, state: &State) -> State {
        let mut calm = State { spent: self.spent(), ..state.clone() };
        if self.how == How::IsLost {
            calm.network.clear();
        }
        calm
    }

    fn prompt(&self, state: &State) -> Option<Action> {
        let nodes = || (0..).zip(&state.nodes);
        let completes = || nodes().find_map(|(at, node)| completion(at, node));
        let arrives = || (!state.network.is_empty()).then_some(Action::Deliver(0));
        let installs = || {
            let mut nodes = nodes().filter(|(at, _)| self.world.cut_off != Some(*at));
            nodes.find_map(|(at, node)| Some(Action::Install(at, node.core.installing()?)))
        };
        match self.how {
            How::Arrives => completes().or_else(installs).or_else(arrives),
            How::IsLost => arrives().or_else(completes).or_else(installs),
        }
    }

    fn turns(&self) -> u32 {
        self.replicas() * u32::try_from(TURNS.len()).expect("a few turns")
    }

    fn patient(&self, state: &State, turn: u32) -> Option<Action> {
        let what = TURNS.get(usize::try_from(turn / self.replicas()).ok()?)?;
        what(state, Place::try_from(turn % self.replicas()).ok()?)
    }

    fn step(&self, state: &State, action: &Action, notes: &mut Notes) -> State {
        let mut next = state.clone();
        Driver { world: &self.world, state: &mut next, notes, leads: false, asks: None }.act(action);
        let is_cut = |at: Place| self.world.cut_off == Some(at);
        let passes = |packet: &Packet| !is_cut(packet.to) && !is_cut(place(packet.letter.message.from.id));
        next.network.retain(|packet| passes(packet));
        network::tidy(&self.world, &mut next);
        next.spent = self.spent();
        next
    }

    /// Nothing is promised without a majority of the voters, as each replica knows them (Q36), but that one who is cut off leads
    /// no more, unless it is all the voters that it knows.
    fn is_promised(&self, state: &State, claim: &'static str) -> bool {
        let cut_off = self.world.cut_off;
        let is_there = |wanted| {
            (0..).zip(&state.nodes).any(|(at, node)| key(at, node.wipes) == wanted && cut_off != Some(at))
        };
        let others = || (0..).zip(&state.nodes).filter(|(at, _)| cut_off != Some(*at));
        if claim == ends::name::LEADS_NOBODY {
            let node = cut_off.and_then(|at| Some((at, state.nodes.get(usize::from(at))?)));
            return node
                .is_some_and(|(at, node)| node.core.voters().latest().keys() != [key(at, node.wipes)]);
        }
        others().all(|(_, node)| {
            let voters = node.core.voters().latest();
            let there = voters.keys().iter().filter(|voter| is_there(**voter)).count();
            u32::try_from(there).is_ok_and(|there| there >= voters.majority())
        })
    }
}

impl Calm {
    fn replicas(&self) -> u32 {
        u32::from(self.world.bounds.voters) + u32::from(self.world.bounds.observers)
    }

    /// Everything: no crash is left to come.
    fn spent(&self) -> Spent {
        let Bounds { kills, power_losses, wipes, .. } = self.world.bounds;
        Spent { kills, power_losses, wipes, ..Spent::default() }
    }
}

fn completion(at: Place, node: &Node) -> Option<Action> {
    if !node.disk.storing.is_empty() {
        return Some(Action::Store(at));
    }
    (!node.disk.syncs.is_empty()).then_some(Action::Flush(at))
}

fn node(state: &State, at: Place) -> Option<(&Node, RoleName)> {
    let node = state.nodes.get(usize::from(at))?;
    Some((node, node.core.role(&tenure(at, node))))
}

/// A leader answers the fetches that wait, and tells the others that it leads.
fn announces(state: &State, at: Place) -> Option<Action> {
    let (_, role) = node(state, at)?;
    (role == RoleName::Leader).then_some(Action::Expire(at, Timer::Announce))
}

fn probes(state: &State, at: Place) -> Option<Action> {
    let (node, role) = node(state, at)?;
    let is_lost = node.core.leader(&tenure(at, node)).is_none();
    let looks = matches!(role, RoleName::Unattached | RoleName::Observer) && is_lost;
    looks.then_some(Action::Expire(at, Timer::Probe))
}

fn fetches_again(state: &State, at: Place) -> Option<Action> {
    is_unheard(state, at)?.then_some(Action::Expire(at, Timer::FetchRetry))
}

fn gives_its_leader_up(state: &State, at: Place) -> Option<Action> {
    is_unheard(state, at)?.then_some(Action::Expire(at, Timer::FetchTimeout))
}

/// Whether a replica that follows has no fetch waiting at its leader; `None` when it does not follow.
fn is_unheard(state: &State, at: Place) -> Option<bool> {
    let (follower, role) = node(state, at)?;
    let leader = follower.core.leader(&tenure(at, follower))?;
    let follows = matches!(role, RoleName::Follower | RoleName::Observer);
    follows.then(|| !is_parked(state, place(leader.id), at))
}

/// Whether the fetch that a replica waits for waits at this leader.
fn is_parked(state: &State, leader: Place, follower: Place) -> bool {
    let (Some((leading, RoleName::Leader)), Some((other, _))) = (node(state, leader), node(state, follower))
    else {
        return false;
    };
    let Tenure { key, incarnation } = tenure(follower, other);
    let asked = other.core.waits_for().map(|request| Asked { incarnation, request });
    asked.is_some()
        && leading.core.quorum_epoch() == other.core.quorum_epoch()
        && leading.core.parked_fetch_of(key) == asked
}

/// A voter without a leader wants to lead.
fn stands(state: &State, at: Place) -> Option<Action> {
    let (_, role) = node(state, at)?;
    let wants = matches!(
        role,
        RoleName::Unattached | RoleName::Prospective | RoleName::Candidate | RoleName::Resigned
    );
    wants.then_some(Action::Stand(at))
}

/// A leader that no majority fetches from.
fn resigns(state: &State, at: Place) -> Option<Action> {
    let (leader, role) = node(state, at)?;
    let voters = leader.core.voters().latest();
    let own = tenure(at, leader).key;
    let hears = |voter: &VoterKey| *voter == own || is_parked(state, at, place(voter.id));
    let heard = voters.keys().iter().filter(|voter| hears(voter)).count();
    let is_left = u32::try_from(heard).is_ok_and(|heard| heard < voters.majority());
    (role == RoleName::Leader && is_left).then_some(Action::Expire(at, Timer::CheckQuorum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Bounds as _;
    use crate::engine::{Encoder, Limits, Verdict, search};
    use crate::recovery::{Calm as _, Recovering};
    use crate::world::Checked;

    const REDUCED: [&str; 3] = ["values=1", "epoch-order=true", "symmetry=true"];

    #[test]
    fn replicas_keep_their_names_in_runs() {
        let world = World::new(Bounds::default().read(REDUCED).expect("bounds"), None);
        let leader_elect = |at| world.step(&world.begin(), &Action::Stand(at), &mut Notes::default());
        let fingerprint = |world: &World, state: &State| {
            let mut encoder = Encoder::new();
            world.encode(state, &mut encoder);
            encoder.fingerprint()
        };
        let (one, other) = (leader_elect(1), leader_elect(2));

        assert_eq!(fingerprint(&world, &one), fingerprint(&world, &other), "they differ in names alone");
        for calm in world.calms() {
            assert_ne!(fingerprint(calm.world(), &one), fingerprint(calm.world(), &other), "{calm:?}");
            assert!(!calm.world().in_order, "{calm:?}");
        }
    }

    #[test]
    fn what_never_recovers_is_found_where_states_are_reduced() {
        for mutant in Recovering::<World>::mutants() {
            let aim = mutant.bounds.clone().read(["epoch-order=true", "symmetry=true"]).expect("bounds");
            let world = Recovering::<World>::new(aim, Some(mutant.bug));
            let Verdict::Violated(found) = search(&world, Limits::default(), &mut |_| {}).verdict else {
                panic!("{} is caught", mutant.bug.id())
            };
            assert!(mutant.breaks.contains(&found.broken.claim), "{}", mutant.bug.id());
        }
    }
}
