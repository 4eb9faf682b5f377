//! The replication world: one partition, its replicas, their disks, the network, clients and the controller.
//!
//! What is real: each replica is the `replication` core, the controller is the `metadata` core. What is around them is
//! here: messages that are delivered in any order or never (`network`), disks that complete writes and syncs when they
//! like and lose what was not synced (`disk`), brokers that die, restart with a new incarnation and register, sessions
//! that end, clients. Records are numbers beside the messages: no core sees them.

mod action;
mod aside;
mod bounds;
mod claims;
mod cluster;
mod dead;
mod disk;
mod drive;
mod dropped;
mod encode;
mod fates;
mod memory;
mod mutants;
mod network;
mod part;
mod past;
mod picture;
mod recovery;
mod reduce;
mod sight;
mod state;
mod step;
mod sweep;
mod tidy;
mod turn;
mod watch;

#[cfg(test)]
mod tests;
mod words;

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use highwater_model::api::Acks;
use highwater_model::fault::{Bug, Planted};
use highwater_model::id::BrokerEpoch;
use highwater_model::replication::{FlushPolicy, ReplicaIdx, Tenure};
use rustc_hash::FxHasher;
use smallvec::SmallVec;
use stateright::{Model, Property};

use crate::engine::Encoder;
use crate::world::{Always, Broken, Checked, Mutant, Notes, Part as Role, Picture, Sometimes, properties};

pub use action::Action;
pub use aside::Aside;
pub use bounds::{Answered, Bounds, Flush, Heartbeats, Syncs, Writes};
pub use cluster::{Cluster, PARTITION, node};
pub use disk::{Backup, Disk, Entries, Entry, Pending};
pub use network::{Envelope, Network};
pub use part::{Kind, Part};
pub use recovery::Calm;
pub use reduce::{Reduction, Reductions};
pub use state::{Broker, Ghost, Ledger, Left, Run, Standing, State};

use drive::Driver;
use memory::Memory;
use turn::Event;

/// The world of some bounds.
#[derive(Clone, Debug)]
pub struct World {
    bounds: Bounds,
    planted: Planted,
    /// What is left out. A planted bug may be one that heeds what a sound core refuses.
    reduce: Reductions,
    /// What is not judged.
    aside: Aside,
    nodes: SmallVec<[highwater_model::id::NodeId; 3]>,
    memory: Arc<Memory>,
}

impl World {
    /// What a replica's tenure is but for its broker epoch.
    fn tenure(&self, replica: ReplicaIdx) -> Tenure {
        Tenure {
            partition: PARTITION,
            own: replica,
            replicas: self.nodes.clone(),
            broker_epoch: BrokerEpoch::default(),
        }
    }

    /// Whether clients wait for every member of the ISR.
    fn acks_all(&self) -> bool {
        self.bounds.acks.0 == Acks::All
    }

    /// Whether clients number their records, so that they may repeat a produce.
    fn is_idempotent(&self) -> bool {
        self.bounds.retries > 0
    }

    /// Whether a replica counts what a power loss may take.
    fn counts_unsynced(&self) -> bool {
        self.bounds.flush.0 == FlushPolicy::Os
    }

    /// The controller as it was at the start.
    fn deposed(&self) -> Part<Cluster> {
        self.memory.clusters.share(Cluster::start(
            &self.bounds,
            self.planted,
            self.reduce,
            &self.memory.views,
        ))
    }

    /// Whether this is a proposal on a state of the partition that the controller of the start does not know.
    fn is_ahead_of_the_deposed(&self, envelope: &Envelope) -> bool {
        let Envelope::Proposal { proposal, .. } = envelope else { return false };
        let deposed = self.deposed();
        let known = deposed.partition();
        proposal.leader_epoch > known.leader_epoch || proposal.partition_epoch > known.partition_epoch
    }

    /// Every broker runs and has applied the current view; followers have sent their first fetch.
    fn start(&self) -> State {
        let cluster = Cluster::start(&self.bounds, self.planted, self.reduce, &self.memory.views);
        let view = cluster.current();
        let mut state = State {
            brokers: SmallVec::new(),
            cluster: self.memory.clusters.share(cluster),
            network: Network::default(),
            ledger: self.memory.ledgers.share(Ledger::default()),
            left: Left::of(&self.bounds),
            past: Vec::new(),
        };
        let (applied, known) = (view.metadata_offset, view.leader_epoch);
        for replica in (0..self.bounds.brokers).map(ReplicaIdx) {
            let broker_epoch = state.cluster.broker(replica).broker_epoch;
            let mut broker = Broker { replica, disk: Disk::default(), run: None };
            self.begin(&mut broker, broker_epoch, applied, known);
            state.brokers.push(self.memory.brokers.share(broker));
        }
        for replica in state.replicas() {
            let mut driver = Driver { world: self, state: &mut state, notes: &mut Notes::default() };
            driver.feed(replica, Event::View(view));
        }
        state
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
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
    const NAME: &'static str = "replication";
    const KINDS: &'static [&'static str] = action::KINDS;
    /// Parts are kept until the process ends.
    const WALK_STEPS_MAX: Option<u64> = Some(1_000_000);
    type Bounds = Bounds;

    fn new(bounds: Bounds, planted: Option<Bug>) -> Self {
        let nodes = (0..bounds.brokers).map(|replica| node(ReplicaIdx(replica))).collect();
        // What is left out of sound cores was looked at with whole logs, one `min.insync.replicas` and one controller.
        let usual = bounds.deletes == 0 && bounds.configs == 0 && bounds.deposed == 0;
        let reduce = if planted.is_none() && usual { bounds.reduce } else { bounds.reduce.for_any_core() };
        let aside = planted.map_or(Aside::NOTHING, |_| bounds.aside.clone());
        Self { bounds, planted: Planted(planted), reduce, aside, nodes, memory: Arc::default() }
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn step(&self, state: &State, action: &Action, notes: &mut Notes) -> State {
        notes.set_aside(self.aside.names());
        let mut next = state.clone();
        Driver { world: self, state: &mut next, notes: &mut *notes }.act(*action);
        Driver { world: self, state: &mut next, notes: &mut *notes }.complete_what_ends_at_once();
        self.tidy(&mut next, notes);
        watch::compare(self, state, &next, notes);
        next
    }

    fn kind(action: &Action) -> usize {
        action::kind(action)
    }

    fn always() -> &'static [Always<Self>] {
        &claims::ALWAYS
    }

    fn sometimes() -> &'static [Sometimes<Self>] {
        claims::SOMETIMES
    }

    fn judge(&self, state: &State) -> Result<(), Broken> {
        claims::judge(self, state)
    }

    fn encode(&self, state: &State, sink: &mut Encoder) {
        encode::encode(state, sink);
    }

    fn identity(&self, state: &State) -> Option<u64> {
        Some(state.identity())
    }

    fn describe(&self, before: &State, action: &Action) -> String {
        words::describe(before, *action)
    }

    fn token(&self, before: &State, action: &Action) -> u64 {
        let mut hasher = FxHasher::default();
        if let Action::Deliver(at) | Action::AskDeposed(at) = action {
            before.network.envelopes().get(usize::from(*at)).hash(&mut hasher);
        } else {
            action.hash(&mut hasher);
        }
        hasher.finish()
    }

    fn party(&self, before: &State, action: &Action) -> u64 {
        action::party(before, *action)
    }

    fn changes(&self, before: &State, after: &State) -> Vec<String> {
        words::changes(before, after)
    }

    fn picture(&self, state: &State) -> Picture {
        picture::of(state)
    }

    fn part(&self, before: &State, action: &Action) -> Role {
        picture::part(before, *action)
    }

    fn profile(name: &str) -> Vec<Bounds> {
        sweep::profile(name)
    }

    fn mutants() -> Vec<Mutant<Bounds>> {
        mutants::mutants()
    }
}
