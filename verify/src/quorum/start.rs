//! Where a search of the quorum world begins.

use highwater_model::id::IncarnationId;
use highwater_model::invariant::quorum::Heard;
use highwater_model::quorum::{Effect, Effects, Quorum, Tenure, VoterChange, VoterKey, VoterSet};
use smallvec::SmallVec;

use super::World;
use super::action::Action;
use super::bounds::Start;
use super::drive::Driver;
use super::shared::Shared;
use super::state::{Disk, Ghost, Node, Place, Spent, State, key, place};
use super::step::recovered;
use crate::world::Notes;

impl World {
    /// The state that the bounds ask to begin with.
    pub(super) fn begin(&self) -> State {
        let mut state = self.cold();
        match self.bounds.start {
            Start::Cold => return state,
            Start::Led => self.lead(&mut state),
            Start::Second => self.second(&mut state, 1, &[]),
            Start::Tail => self.second(&mut state, 2, &[1, 2]),
            Start::Removal => self.removal(&mut state),
        }
        state.spent = Spent { elections: state.spent.elections, ..Spent::default() };
        super::network::tidy(self, &mut state);
        state
    }

    /// Every replica is started from an empty disk.
    fn cold(&self) -> State {
        let nodes =
            (0..self.bounds.voters + self.bounds.observers).map(|at| Shared::new(self.empty(at))).collect();
        let (network, ghost, spent) = (SmallVec::new(), Ghost::default(), Spent::default());
        let mut state = State { nodes, network, ghost, spent, proposals: SmallVec::new() };
        if self.bounds.voters == 1 {
            self.settle(&mut state, &[]);
        }
        state
    }

    fn empty(&self, at: Place) -> Node {
        let disk = Disk::default();
        let tenure = Tenure { key: key(at, 0), incarnation: IncarnationId(0) };
        let mut effects = Effects::new();
        let core = Quorum::recover(&tenure, self.planted, recovered(&self.formatted, &disk), &mut effects);
        let mut node = Node { core, starts: 0, wipes: 0, disk, heard: Heard::default() };
        node.disk.storing.extend(
            effects
                .into_iter()
                .filter_map(|effect| if let Effect::StoreVote(vote) = effect { Some(vote) } else { None }),
        );
        node
    }

    /// The first voter is elected, and everybody follows and has everything.
    fn lead(&self, state: &mut State) {
        let everybody: Vec<Place> = (0..self.bounds.voters).collect();
        if self.bounds.voters > 1 {
            self.take(state, &Action::Stand(0));
        }
        self.settle(state, &everybody);
    }

    /// Values that the first voter keeps to itself, and then an election of the second by the third, whose record reaches
    /// `reached`.
    fn second(&self, state: &mut State, values: u8, reached: &[Place]) {
        self.lead(state);
        for _ in 0..values {
            self.take(state, &Action::Propose(0));
        }
        self.settle(state, &[0]);
        state.network.clear();
        self.take(state, &Action::Stand(1));
        while !state.nodes.get(1).is_some_and(|node| node.core.is_leader()) {
            self.settle_once(state, &[1, 2]);
        }
        self.settle(state, reached);
        state.network.clear();
    }

    /// The first voter removes the second, keeps that to itself, and the second is elected by the others.
    fn removal(&self, state: &mut State) {
        self.lead(state);
        self.take(state, &Action::Change(0, VoterChange::Remove(key(1, 0))));
        self.settle(state, &[0]);
        state.network.clear();
        let others: Vec<Place> = (1..self.bounds.voters).collect();
        self.take(state, &Action::Stand(1));
        while !state.nodes.get(1).is_some_and(|node| node.core.is_leader()) {
            self.settle_once(state, &others);
        }
        self.settle(state, &[]);
        state.network.clear();
    }

    /// Completes what is on its way to disks, and delivers what is in flight among these replicas, until nothing is.
    fn settle(&self, state: &mut State, among: &[Place]) {
        while self.settle_once(state, among) {}
    }

    /// One completion or delivery, if there is one.
    fn settle_once(&self, state: &mut State, among: &[Place]) -> bool {
        let stored = (0..).zip(&state.nodes).find(|(_, node)| !node.disk.storing.is_empty());
        let flushed = (0..).zip(&state.nodes).find(|(_, node)| !node.disk.syncs.is_empty());
        let delivered = state.network.iter().position(|packet| {
            among.contains(&packet.to) && among.contains(&place(packet.letter.message.from.id))
        });
        let next = stored
            .map(|(at, _)| Action::Store(at))
            .or_else(|| flushed.map(|(at, _)| Action::Flush(at)))
            .or_else(|| delivered.map(Action::Deliver));
        next.is_some_and(|action| {
            self.take(state, &action);
            true
        })
    }

    fn take(&self, state: &mut State, action: &Action) {
        let mut notes = Notes::default();
        Driver { world: self, state, notes: &mut notes, leads: false, asks: None }.act(action);
        assert!(notes.broken().is_none(), "a search begins where nothing is broken");
    }
}

/// The voters that every directory was formatted with.
pub(super) fn formatted(voters: u8) -> VoterSet {
    let keys = (0..voters).map(|at| key(at, 0));
    VoterSet::new(keys.collect::<Vec<VoterKey>>()).expect("as many voters as a set may have")
}
