//! The controller, and the metadata log as far as brokers have yet to read it.
//!
//! The controller is the real metadata core. Beneath it stands a committed log instead of a quorum: each batch is
//! committed at once and never lost. That is sound for the brokers, which see committed batches only, each at a moment of
//! their own: QI3 (what is committed stays) and QI13 (who applied the same offset has the same image) are what
//! `check quorum` shows, and a fail-over of the controller changes nothing that is committed (Q57). What the abstraction
//! leaves out is a request that is refused because of a fail-over: to its sender that is a lost request.

use highwater_model::api::{ConfigChange, NewTopic, ReplicaAssignment};
use highwater_model::fault::Planted;
use highwater_model::id::{
    BrokerEpoch, DirectoryId, IncarnationId, NodeId, Offset, PartitionIndex, QuorumEpoch, RequestId, TopicId,
    TopicPartition,
};
use highwater_model::metadata::{
    Broker, Command, CommandRefusal, Controller, DirectoryFacts, Effect, Heartbeat, Image, Input, Outcome,
    Partition, Registration, Tenure, Timer,
};
use highwater_model::replication::{AlterPartition, AlterPartitionAnswer, PartitionView, ReplicaIdx};

use super::bounds::Bounds;
#[cfg(doc)]
use super::disk::Disk;
use super::memory::{Memory, Pool};
use super::network::Envelope;
use super::part::{self, Kind, Part};
use super::reduce::{Reduction, Reductions};

/// The one partition of this world.
pub const PARTITION: TopicPartition = TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) };

/// The node that holds a replica.
#[must_use]
pub fn node(replica: ReplicaIdx) -> NodeId {
    NodeId(u32::from(replica.0) + 1)
}

/// The controller, and the views that some broker has yet to apply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    controller: Controller<Planted>,
    /// Whether sessions matter: only a controlled shutdown asks who has been heard from (Q56).
    sessions: bool,
    /// Whether followers may be taken for each other.
    symmetric: bool,
    /// Whether encodings leave nothing out that only a sound core never reads.
    heeds_all_of_proposals: bool,
    /// By metadata offset; the last is the current one.
    views: Vec<Part<PartitionView>>,
}

impl Kind for Cluster {
    type Fate = Ruling;
}

impl Kind for PartitionView {
    type Fate = ();
}

type Answer = Option<Result<Outcome, CommandRefusal>>;

/// What may happen at the controller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    /// A new incarnation registers, with what its disk tells (R60).
    Register {
        /// Which broker.
        replica: ReplicaIdx,
        /// As in [`Disk::same_boot`].
        same_boot: Option<BrokerEpoch>,
        /// As in [`Disk::clean_stop`].
        clean_stop: Option<BrokerEpoch>,
    },
    /// A broker's sign of life.
    Heartbeat {
        /// Which broker.
        replica: ReplicaIdx,
        /// How far it has applied the metadata, exclusive.
        applied: Offset,
        /// Whether it asks to stop.
        stopping: bool,
    },
    /// A broker's session ends (Q55).
    Expire(ReplicaIdx),
    /// The proposal of a leader arrives.
    Alter(Part<Envelope>),
    /// An operator sets `min.insync.replicas`.
    Configure(u8),
    /// Every running broker has applied the metadata this far, exclusive: earlier views are no longer needed.
    Forget(Offset),
}

impl Request {
    /// A number that tells this request from every other one.
    pub(super) fn key(self) -> u64 {
        let run = |broker_epoch: Option<BrokerEpoch>| broker_epoch.map_or(0, |epoch| 1 + epoch.0);
        let (kind, what) = match self {
            Self::Register { replica, same_boot, clean_stop } => {
                let (same_boot, clean_stop) = (run(same_boot), run(clean_stop));
                assert!(same_boot.max(clean_stop) < 1 << 20, "offsets of this world's metadata are small");
                (0, u64::from(replica.0) << 40 | same_boot << 20 | clean_stop)
            }
            Self::Heartbeat { replica, applied, stopping } => {
                assert!(applied.0 < 1 << 40, "offsets of this world's metadata are small");
                (1 + u8::from(stopping), u64::from(replica.0) << 40 | applied.0)
            }
            Self::Expire(replica) => (3, u64::from(replica.0)),
            Self::Alter(proposal) => (4, proposal.address()),
            Self::Forget(applied) => (5, applied.0),
            Self::Configure(min_isr) => (6, u64::from(min_isr)),
        };
        part::key(kind, what)
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Ruling {
    /// The controller as it is now.
    pub(super) after: Part<Cluster>,
    /// Of a heartbeat: whether the broker may stop.
    pub(super) may_stop: bool,
    /// Of a proposal: the answer, if there is one.
    pub(super) answer: Option<AlterPartitionAnswer>,
}

impl Cluster {
    /// A cluster whose brokers are registered and unfenced, with the partition and its ISR as the bounds say.
    pub(super) fn start(
        bounds: &Bounds,
        planted: Planted,
        reduce: Reductions,
        views: &Pool<PartitionView>,
    ) -> Self {
        let cluster = Self {
            controller: Controller::new(planted, Image::default()),
            sessions: bounds.shutdowns > 0,
            symmetric: bounds.symmetry && bounds.shutdowns == 0,
            heeds_all_of_proposals: !reduce.has(Reduction::Proposals),
            views: Vec::new(),
        };
        let mut sitting = Sitting { cluster, views };
        sitting.fail_over();
        let brokers: Vec<ReplicaIdx> = (0..bounds.brokers).map(ReplicaIdx).collect();
        let joined = brokers.len().min(usize::from(bounds.isr_at_start()));
        let (members, others) = brokers.split_at(joined);
        for broker in &brokers {
            sitting.register(*broker, None, None);
        }
        for broker in members {
            let end = sitting.cluster.image().end();
            sitting.heartbeat(*broker, end, false);
        }
        sitting.ask(create(bounds, &brokers));
        for broker in others {
            let end = sitting.cluster.image().end();
            sitting.heartbeat(*broker, end, false);
        }
        let mut cluster = sitting.cluster;
        let current = cluster.views.last().copied();
        cluster.views = current.into_iter().collect();
        cluster
    }

    /// What the controller knows, all of it committed.
    #[must_use]
    pub fn image(&self) -> &Image {
        self.controller.committed()
    }

    /// The partition as the controller has it.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        self.image().partition(PARTITION).expect("the partition was created at the start")
    }

    /// A broker as the controller has it.
    #[must_use]
    pub fn broker(&self, replica: ReplicaIdx) -> &Broker {
        self.image().broker(node(replica)).expect("every broker was registered at the start")
    }

    /// The views that some broker has yet to apply, and the current one.
    #[must_use]
    pub fn views(&self) -> &[Part<PartitionView>] {
        &self.views
    }

    /// The whole controller, where its sessions matter.
    pub(super) fn with_sessions(&self) -> Option<&Controller<Planted>> {
        self.sessions.then_some(&self.controller)
    }

    /// Whether followers may be taken for each other, where nothing else tells them apart.
    pub(super) fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    /// Whether proposals are told apart even where a sound controller or leader reads no difference: a planted bug may be
    /// one that does.
    pub(super) fn heeds_all_of_proposals(&self) -> bool {
        self.heeds_all_of_proposals
    }

    /// The current view.
    #[must_use]
    pub fn current(&self) -> Part<PartitionView> {
        *self.views.last().expect("there is a view from the start")
    }

    /// The view that follows the metadata offset `applied`.
    #[must_use]
    pub fn next_view(&self, applied: Offset) -> Option<Part<PartitionView>> {
        self.views.iter().copied().find(|view| view.metadata_offset > applied)
    }

    /// Whether [`Self::forget_applied`] would change anything.
    pub(super) fn has_applied_views(&self, applied: Offset) -> bool {
        self.views.len() > 1 && self.views.first().is_some_and(|view| view.metadata_offset <= applied)
    }

    /// Forgets the views that every running broker has applied, except the current one.
    fn forget_applied(&mut self, applied: Offset) {
        let current = self.current().metadata_offset;
        self.views.retain(|view| view.metadata_offset > applied || view.metadata_offset == current);
    }

    /// What comes of a request.
    pub(super) fn ruling(&self, request: Request, memory: &Memory) -> Ruling {
        let mut sitting = Sitting { cluster: self.clone(), views: &memory.views };
        let (mut may_stop, mut answer) = (false, None);
        match request {
            Request::Register { replica, same_boot, clean_stop } => {
                sitting.register(replica, same_boot, clean_stop);
            }
            Request::Heartbeat { replica, applied, stopping } => {
                may_stop = sitting.heartbeat(replica, applied, stopping);
            }
            Request::Expire(replica) => sitting.expire(replica),
            Request::Alter(envelope) => {
                if let Envelope::Proposal { from, proposal } = envelope.get() {
                    answer = sitting.alter(*from, proposal.clone());
                }
            }
            Request::Configure(min_isr) => sitting.configure(min_isr),
            Request::Forget(applied) => sitting.cluster.forget_applied(applied),
        }
        Ruling { after: memory.clusters.share(sitting.cluster), may_stop, answer }
    }
}

/// The controller at work.
struct Sitting<'a> {
    cluster: Cluster,
    views: &'a Pool<PartitionView>,
}

impl Sitting<'_> {
    /// The controller fails over: of its own state only what is committed remains.
    fn fail_over(&mut self) {
        let committed = self.cluster.image().end();
        self.feed(Input::Elected { quorum_epoch: QuorumEpoch(1), committed });
    }

    /// A new incarnation registers, with what its disk tells (R60). A session of the one before is no obstacle (Q51): the
    /// controller may have failed over meanwhile.
    fn register(
        &mut self,
        replica: ReplicaIdx,
        same_boot: Option<BrokerEpoch>,
        clean_stop: Option<BrokerEpoch>,
    ) {
        // The metadata offset is new with every registration, and so is this.
        let incarnation = IncarnationId(u128::from(self.cluster.image().end().0) + 1);
        let directory = DirectoryFacts {
            directory: DirectoryId(u128::from(node(replica).0)),
            clean_stop,
            same_boot,
            damaged: Vec::new(),
            incomplete: false,
        };
        let directories = vec![directory];
        let address = format!("b{}:9092", node(replica));
        let replaces = self.cluster.image().broker(node(replica)).map(|broker| broker.broker_epoch);
        let registration = Registration { node: node(replica), incarnation, replaces, address, directories };
        self.fail_over();
        let answer = self.ask(Command::RegisterBroker(registration));
        assert!(matches!(answer, Some(Ok(_))), "nothing speaks against a registration: {answer:?}");
    }

    /// A broker's sign of life; whether it may stop.
    fn heartbeat(&mut self, replica: ReplicaIdx, applied: Offset, stopping: bool) -> bool {
        let heartbeat = Heartbeat {
            node: node(replica),
            broker_epoch: self.cluster.broker(replica).broker_epoch,
            metadata_offset: applied,
            want_fence: false,
            want_shutdown: stopping,
            offline_directories: Vec::new(),
        };
        matches!(self.ask(Command::Heartbeat(heartbeat)), Some(Ok(Outcome::Heartbeat { may_stop: true, .. })))
    }

    /// A broker's session ends (Q55).
    fn expire(&mut self, replica: ReplicaIdx) {
        self.feed(Input::Expired { timer: Timer::Session(node(replica)), at_ms: 0 });
    }

    /// An operator sets `min.insync.replicas`.
    fn configure(&mut self, min_isr: u8) {
        let value = Some(min_isr.to_string());
        let changes = vec![ConfigChange { name: "min.insync.replicas".to_owned(), value }];
        let answer = self.ask(Command::AlterConfigs { name: "t".to_owned(), changes, expected_offset: None });
        assert!(matches!(answer, Some(Ok(_))), "nothing speaks against a change: {answer:?}");
    }

    /// A leader's proposal arrives; the answer, if there is one.
    fn alter(&mut self, from: ReplicaIdx, proposal: AlterPartition) -> Option<AlterPartitionAnswer> {
        let request_id = proposal.request_id;
        let answer =
            self.ask(Command::AlterPartition { node: node(from), partition: PARTITION, proposal })?;
        highwater_model::metadata::answer_to_proposal(request_id, &answer)
    }

    fn ask(&mut self, command: Command) -> Answer {
        let answer = self.feed(Input::Asked { request: RequestId(0), at_ms: 0, command });
        if !self.cluster.sessions {
            self.fail_over();
        }
        answer
    }

    /// One input, and whatever follows from it until nothing is open: batches are committed as they are appended.
    fn feed(&mut self, input: Input) -> Answer {
        let mut answer = None;
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            let done = self.cluster.controller.step(&Tenure::default(), input, &mut effects);
            done.expect("the controller is active and its log takes every batch at once");
            for effect in effects {
                match effect {
                    Effect::Append(records) => {
                        let count = u64::try_from(records.len()).expect("a batch of a few records");
                        let end = self.cluster.controller.committed().end().after(count);
                        inputs.push(Input::Committed { end, quorum_epoch: QuorumEpoch(1), records });
                        inputs.push(Input::Appended { end });
                    }
                    Effect::Reply(reply) => answer = Some(reply.into_answer()),
                    // A session may end at any time, whatever its timer.
                    Effect::Arm(_) | Effect::Disarm(_) => {}
                }
            }
        }
        self.publish();
        answer
    }

    /// Adds the image to what brokers will apply, if it tells the partition's replicas anything new.
    fn publish(&mut self) {
        let Some(view) = self.cluster.image().partition_view(PARTITION) else { return };
        let last = self.cluster.views.last();
        let told =
            last.map(|last| PartitionView { metadata_offset: view.metadata_offset, ..last.get().clone() });
        if told.as_ref() != Some(&view) {
            self.cluster.views.push(self.views.share(view));
        }
    }
}

fn create(bounds: &Bounds, brokers: &[ReplicaIdx]) -> Command {
    let replicas = brokers.iter().map(|broker| node(*broker)).collect();
    let new = NewTopic {
        name: "t".to_owned(),
        partitions: None,
        replication_factor: None,
        assignments: vec![ReplicaAssignment { partition: PARTITION.partition, replicas }],
        configs: vec![
            ("min.insync.replicas".to_owned(), bounds.configured_min_isr().to_string()),
            ("flush.policy".to_owned(), bounds.flush.to_string()),
        ],
    };
    Command::CreateTopic { topic: PARTITION.topic, new, validate_only: false }
}
