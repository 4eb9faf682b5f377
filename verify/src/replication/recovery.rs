//! What becomes of a partition once faults stop (RL*): who is led, caught up, in sync and answered in the end.
//!
//! From there on no broker is killed, fenced or out of room, no message is lost and nobody lags; brokers that are down come
//! back, fenced ones are heard from, timers that repeat run out as often as they like. Of the reductions none is made in a
//! run, and followers keep their names: a run is told from others by the state as it is.
//!
//! Or the syncs of one broker never end any more, and it lags as often as its leader cares to notice; a proposal takes longer
//! than a fetch takes to be repeated. Then the others must go on without it, where they are enough (R41, RL5).

mod ends;
mod sweep;

use highwater_model::replication::{AlterPartitionOutcome, FlushPolicy, ReplicaIdx, Timer};

use super::World;
use super::action::{Action, is_early};
use super::bounds::Syncs;
use super::claims::name;
use super::cluster::Request;
use super::network::{Envelope, Network};
use super::state::{Left, Run, State};
use crate::recovery::{self, Eventually, Recovers, Table};
use crate::world::{Checked, Notes};

/// A way in which faults stop.
#[derive(Debug)]
pub struct Calm {
    world: World,
    how: How,
}

/// What becomes of what is under way when faults stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It arrives, and brokers apply views first. No fetch that waits at its leader is repeated: it is not needed.
    Arrives,
    /// It is lost, and brokers apply views when nothing arrives any more.
    IsLost,
    /// It arrives as in `Arrives`, but proposals at a controller that was deposed and does not know it, and knows nothing since the start.
    IsRefused,
    /// It arrives as in `Arrives`, but what leaders and the controller say to one another waits for its turn, and the syncs of
    /// this broker never end.
    NeverSyncs(ReplicaIdx),
}

/// What is not limited in a run. With an election to come nobody is taken for another (`encode::symmetry`).
fn left() -> Left {
    Left { elections: 1, timeouts: 1, ..Left::default() }
}

/// What happens to a broker when it is its turn and nothing is prompt.
const TURNS: [fn(&State, ReplicaIdx) -> Option<Action>; 9] = [
    fetches_again,
    talks_to_the_controller,
    proposes_again,
    finds_room,
    loses_session,
    starts,
    is_heard_from,
    stops,
    lags,
];

impl Recovers for World {
    const NAME_OF_RECOVERY: &'static str = "replication-liveness";

    const EVENTUALLY: &'static [Eventually<Self>] = ends::EVENTUALLY;

    const HEALS_BY: &'static [&'static str] =
        &[name::ACKED, name::TRUNCATED, name::GREW, name::NEW_LEADER, name::REJOINED, name::LED_AGAIN_ALONE];

    const RECOVERIES: Table = sweep::RECOVERIES;

    type Calm = Calm;

    fn calms(&self) -> Vec<Calm> {
        let world = || {
            let timeouts = self.bounds.timeouts.max(left().timeouts);
            let bounds = super::Bounds { timeouts, ..self.bounds.clone() };
            Self { bounds, reduce: self.reduce.for_any_core(), ..self.clone() }
        };
        let bounds = &self.bounds;
        let lags =
            bounds.shrinks > 0 && bounds.syncs == Syncs::Apart && bounds.flush.0 == FlushPolicy::Commit;
        let is_needless = bounds.configured_min_isr() < bounds.brokers;
        let unsynced =
            (0..bounds.brokers).filter(|_| lags && is_needless).map(ReplicaIdx).map(How::NeverSyncs);
        let ways = [How::Arrives, How::IsLost, How::IsRefused].into_iter().chain(unsynced);
        ways.map(|how| Calm { world: world(), how }).collect()
    }
}

impl recovery::Calm for Calm {
    type World = World;

    fn describe(&self) -> String {
        let under_way = match self.how {
            How::Arrives => "what is under way arrives",
            How::IsLost => "what is under way is lost",
            How::IsRefused => "what is under way arrives, proposals at a controller that is behind",
            How::NeverSyncs(replica) => {
                return format!("faults stop, what is under way arrives, and no sync of {replica} ever ends");
            }
        };
        format!("faults stop, and {under_way}")
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn begin(&self, state: &State) -> State {
        let mut calm = State { left: self.left(), past: Vec::new(), ..state.clone() };
        match self.how {
            How::Arrives | How::NeverSyncs(_) => {}
            How::IsLost => calm.network = Network::default(),
            How::IsRefused => self.refuse_proposals(&mut calm),
        }
        calm
    }

    fn prompt(&self, state: &State) -> Option<Action> {
        let apply = || state.replicas().find(|replica| is_behind(state, *replica)).map(Action::Apply);
        let disk = || state.replicas().find_map(|replica| self.completion(state, replica));
        let delivery = || self.delivery(state);
        match self.how {
            How::Arrives | How::IsRefused | How::NeverSyncs(_) => disk().or_else(apply).or_else(delivery),
            How::IsLost => delivery().or_else(disk).or_else(apply),
        }
    }

    fn turns(&self) -> u32 {
        u32::from(self.world.bounds.brokers) * u32::try_from(TURNS.len()).expect("a few turns")
    }

    fn patient(&self, state: &State, turn: u32) -> Option<Action> {
        let brokers = u32::from(self.world.bounds.brokers);
        let what = TURNS.get(usize::try_from(turn / brokers).ok()?)?;
        let replica = ReplicaIdx(u8::try_from(turn % brokers).ok()?);
        let waits = |replica| state.run(replica).is_some_and(|run| is_parked(state, replica, run));
        let is_needless = matches!(self.how, How::Arrives | How::IsRefused) && waits(replica);
        what(state, replica).filter(|action| !(is_needless && matches!(action, Action::FetchRetry(_))))
    }

    fn step(&self, state: &State, action: &Action, notes: &mut Notes) -> State {
        State { left: self.left(), ..self.world.step(state, action, notes) }
    }

    /// Of a broker whose syncs never end it is not promised that it is in sync, nor anything of what it leads.
    fn is_promised(&self, state: &State, claim: &'static str) -> bool {
        let How::NeverSyncs(replica) = self.how else { return true };
        match claim {
            ends::name::ISR_IS_WHOLE => false,
            ends::name::ALL_IS_COMMITTED | ends::name::PRODUCES_ARE_ANSWERED => {
                state.cluster.partition().leader != Some(replica)
            }
            _ => true,
        }
    }
}

impl Calm {
    /// What is not limited. Whoever never syncs lags as often as it may.
    fn left(&self) -> Left {
        Left { shrinks: u8::from(matches!(self.how, How::NeverSyncs(_))), ..left() }
    }

    fn completion(&self, state: &State, replica: ReplicaIdx) -> Option<Action> {
        let disk = &state.broker(replica).disk;
        state.run(replica)?;
        if !disk.writes.is_empty() {
            return Some(Action::Write(replica));
        }
        (!disk.syncs.is_empty() && self.how != How::NeverSyncs(replica)).then_some(Action::Flush(replica))
    }

    fn delivery(&self, state: &State) -> Option<Action> {
        let waits = |envelope: &Envelope| {
            matches!(self.how, How::NeverSyncs(_)) && !matches!(envelope, Envelope::Peer { .. })
        };
        let envelopes = (0..).zip(state.network.envelopes());
        let mut on_time = envelopes.filter(|(_, envelope)| !is_early(state, envelope) && !waits(envelope));
        on_time.next().map(|(at, _)| Action::Deliver(at))
    }

    /// Proposals come to a controller that knows nothing since the start. What it would accept it cannot commit, so that
    /// nobody hears of it; what it refuses it may refuse at once.
    fn refuse_proposals(&self, state: &mut State) {
        let deposed = self.world.start().cluster;
        let memory = &self.world.memory;
        let mut network = Network::default();
        for envelope in state.network.envelopes() {
            let Envelope::Proposal { from, proposal } = envelope.get() else {
                network.send(*envelope);
                continue;
            };
            let ruling = deposed.ruling(Request::Alter(*envelope), memory);
            let is_accepted = |outcome| matches!(outcome, AlterPartitionOutcome::Applied { .. });
            if let Some(answer) = ruling.answer.filter(|answer| !is_accepted(answer.outcome)) {
                let decision = Envelope::Decision { to: *from, broker_epoch: proposal.broker_epoch, answer };
                network.send(memory.envelopes.share(decision));
            }
        }
        state.network = network;
    }
}

fn is_behind(state: &State, replica: ReplicaIdx) -> bool {
    state.run(replica).is_some_and(|run| state.cluster.next_view(run.applied).is_some())
}

/// An answer to a proposal of a leader, or else a proposal, arrives: where it was not prompt.
fn talks_to_the_controller(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let is_answer = |envelope: &Envelope| matches!(envelope, Envelope::Decision { to, .. } if *to == replica);
    let is_proposal =
        |envelope: &Envelope| matches!(envelope, Envelope::Proposal { from, .. } if *from == replica);
    let proposal = || under_way(state, is_proposal);
    under_way(state, is_answer).or_else(proposal).map(Action::Deliver)
}

/// Where in the network the first envelope of a kind is.
fn under_way(state: &State, is: impl Fn(&Envelope) -> bool) -> Option<u8> {
    (0..).zip(state.network.envelopes()).find(|(_, envelope)| is(envelope)).map(|(at, _)| at)
}

/// A follower has lagged for too long at its leader.
fn lags(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let runs =
        |leader: &ReplicaIdx| state.run(*leader).is_some_and(|run| run.timers.contains(&Timer::Lag(replica)));
    let leader = state.replicas().find(runs).filter(|_| state.left.shrinks > 0)?;
    Some(Action::Lag(leader, replica))
}

/// The link was lost, and with it a fetch, its answer, or what amended it.
fn fetches_again(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let run = state.run(replica)?;
    run.timers.contains(&Timer::FetchRetry).then_some(Action::FetchRetry(replica))
}

/// Whether the open fetch of a follower waits at the leader that it follows.
fn is_parked(state: &State, replica: ReplicaIdx, run: &Run) -> bool {
    let waits = |leader: &Run| {
        let parked = leader.core.parked_fetch(replica);
        leader.known == run.known
            && parked.is_some_and(|parked| {
                Some(parked.request_id) == run.core.open_fetch() && parked.broker_epoch == run.broker_epoch
            })
    };
    run.core.view().leader.and_then(|leader| state.run(leader)).is_some_and(waits)
}

/// A proposal, or the answer to it, was lost. The timer is longer than either takes: else copies of a proposal would come up
/// faster than they arrive, and what is answered would wait behind them for ever.
fn proposes_again(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let run = state.run(replica)?;
    let is_lost = talks_to_the_controller(state, replica).is_none();
    let runs_out = run.timers.contains(&Timer::AlterPartitionRetry) && is_lost;
    runs_out.then_some(Action::ProposalRetry(replica))
}

fn finds_room(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let run = state.run(replica)?;
    run.timers.contains(&Timer::Room).then_some(Action::Room(replica))
}

/// A broker that is down is not heard from.
fn loses_session(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let is_down = state.run(replica).is_none();
    (is_down && !state.cluster.broker(replica).fenced).then_some(Action::Expire(replica))
}

fn starts(state: &State, replica: ReplicaIdx) -> Option<Action> {
    state.run(replica).is_none().then_some(Action::Start(replica))
}

/// A fenced broker is unfenced when it has applied its registration (Q54). Any other tells how far it has applied the
/// metadata, which one that stops waits for (Q56).
fn is_heard_from(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let (run, broker) = (state.run(replica)?, state.cluster.broker(replica));
    let may_be_unfenced = broker.fenced && run.applied.0 > broker.broker_epoch.0;
    let is_waited_for = broker.is_active() && state.replicas().any(|other| stops(state, other).is_some());
    (may_be_unfenced || is_waited_for).then_some(Action::Unfence(replica))
}

/// A shutdown that was asked for comes to its end.
fn stops(state: &State, replica: ReplicaIdx) -> Option<Action> {
    let broker = state.cluster.broker(replica);
    let is_stopping = state.run(replica).is_some() && broker.stopping.is_some();
    is_stopping.then_some(Action::Stop(replica))
}
