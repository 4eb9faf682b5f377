//! How a step is taken: brokers' lifecycles are driven, messages delivered, operators served.

use highwater_model::api::{ConfigChange, NewTopic, ReplicaAssignment};
use highwater_model::id::{DirectoryId, IncarnationId, NodeId, PartitionIndex, RequestId, TopicId};
use highwater_model::invariant::metadata::Lost;
use highwater_model::metadata::{
    BrokerRequest, Command, DirectoryFacts, Election, Heartbeat, Lifecycle, LifecycleEffect, LifecycleInput,
    LifecycleRefusal, LifecycleTenure, LifecycleTimer, Registration,
};
use highwater_model::replication::{AlterPartition, FlushPolicy, IsrSet, ProposedMember};

use super::World;
use super::action::{Action, Change, PARTITION, Proposed};
use super::claims::{self, name};
use super::state::{Disk, Envelope, Origin, Run, State};
use crate::world::Notes;

/// Name of the topic that operators make and delete.
pub(super) const OTHER: &str = "u";

/// The run of that number.
pub(super) fn incarnation(node: NodeId, run: u8) -> IncarnationId {
    IncarnationId(u128::from(node.0) * 1000 + u128::from(run))
}

/// A step in the making.
pub(super) struct Driver<'a> {
    pub(super) world: &'a World,
    pub(super) state: &'a mut State,
    pub(super) notes: &'a mut Notes,
}

impl Driver<'_> {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Start(node) => self.start(node),
            Action::Timer(node) => self.live(node, LifecycleInput::Expired(LifecycleTimer::Heartbeat)),
            Action::Apply(node) => self.apply(node),
            Action::Deliver(at) => {
                let envelope = self.state.wire.remove(usize::from(at));
                self.deliver(envelope);
            }
            Action::Repeat(at) => {
                let envelope = self.state.wire.get(usize::from(at)).cloned();
                self.deliver(envelope.expect("an enabled action names a message that is under way"));
            }
            Action::Lose(at) => {
                self.state.wire.remove(usize::from(at));
            }
            Action::Commit => {
                let batch = self.state.tail.remove(0);
                self.commit(batch);
            }
            Action::FailOver(kept) => self.fail_over(kept, true),
            Action::ElectAgain(kept) => self.fail_over(kept, false),
            Action::Expire(node) => self.expire(node),
            Action::Stop(node) => self.live(node, LifecycleInput::StopAsked),
            Action::Kill(node) => self.state.broker_mut(node).run = None,
            Action::PowerLoss(node) => self.lose_power(node),
            Action::Propose(node, proposed) => self.propose(node, proposed),
            Action::Operate(change) => self.operate(change),
        }
        self.keep_up();
        while let Some(at) = self.at_once() {
            let envelope = self.state.wire.remove(at);
            self.deliver(envelope);
            self.keep_up();
        }
    }

    /// A message that arrives in the step that sends it, where nothing may be under way.
    fn at_once(&self) -> Option<usize> {
        let fleeting = |envelope: &Envelope| envelope.of_run().is_some() && self.world.bounds.in_flight == 0;
        self.state.wire.iter().position(fleeting)
    }

    /// The quorum and the brokers stay as far behind as the bounds allow, and no further.
    fn keep_up(&mut self) {
        while self.state.tail.len() > usize::from(self.world.bounds.uncommitted) {
            let batch = self.state.tail.remove(0);
            self.commit(batch);
        }
        let newest = self.state.history.len() - 1;
        for node in self.state.nodes() {
            let behind = |run: &Run| newest - usize::from(run.applied) > usize::from(self.world.bounds.lag);
            while self.state.run(node).is_some_and(behind) {
                self.apply(node);
            }
        }
    }

    /// The new process reads its metadata log again; how far it gets at first is open.
    fn start(&mut self, node: NodeId) {
        let applied = self.state.history.first().expect("there is an image from the start").get().end();
        let broker = self.state.broker_mut(node);
        broker.runs += 1;
        broker.run = Some(Run { lifecycle: Lifecycle::new(), found: broker.disk, applied: 0 });
        broker.disk.synced = self.world.changes_flush_policy() && self.world.bounds.changes > 0;
        self.live(node, LifecycleInput::Applied { metadata_offset: applied });
        self.live(node, LifecycleInput::Started);
    }

    fn apply(&mut self, node: NodeId) {
        let run = self.state.broker_mut(node).run.as_mut().expect("a broker that applies runs");
        run.applied += 1;
        let metadata_offset = self.state.applied(node).expect("a broker applies what is committed").end();
        self.live(node, LifecycleInput::Applied { metadata_offset });
    }

    /// One input to a broker's lifecycle, and what follows from it. It refuses an answer if, and only if, that is not awaited.
    fn live(&mut self, node: NodeId, input: LifecycleInput) {
        let broker = self.state.broker_mut(node);
        let number = broker.runs;
        let run = broker.run.as_mut().expect("only a broker that runs is driven");
        let mut effects = Vec::new();
        let is_late = matches!(&input, LifecycleInput::Answered { request, .. } if run.lifecycle.awaited() != Some(*request));
        let taken = run.lifecycle.step(&tenure(node, number, run.found), input, &mut effects);
        match taken {
            Ok(()) => assert!(!is_late, "an answer that is not awaited was taken"),
            Err(LifecycleRefusal::NotAsked { .. }) => assert!(is_late, "an awaited answer was refused"),
            Err(other) => panic!("only a broker that runs is driven: {other:?}"),
        }
        for effect in effects {
            match effect {
                LifecycleEffect::Send { request, body } => {
                    self.state.wire.push(Envelope::Ask { node, run: number, request, body });
                }
                LifecycleEffect::Registered { broker_epoch } => {
                    let disk = &mut self.state.broker_mut(node).disk;
                    (disk.clean_stop, disk.record, disk.same_boot) = (None, Some(broker_epoch), true);
                }
                LifecycleEffect::MayStop { broker_epoch } => {
                    let broker = self.state.broker_mut(node);
                    broker.disk.clean_stop = broker_epoch.or(broker.disk.clean_stop);
                    broker.run = None;
                    self.notes.event(name::STOPPED);
                }
                LifecycleEffect::Fenced(false) => self.notes.event(name::UNFENCED),
                LifecycleEffect::Fenced(true) | LifecycleEffect::Arm(_) => {}
            }
        }
    }

    fn deliver(&mut self, envelope: Envelope) {
        match envelope {
            Envelope::Ask { node, run, request, body } => {
                let origin = Origin::Broker { node, run, request };
                match body {
                    BrokerRequest::Register(registration) => self.register(origin, registration),
                    BrokerRequest::Heartbeat(heartbeat) => self.heartbeat(origin, heartbeat),
                }
            }
            Envelope::Tell { node, run, request, answer } => {
                if self.state.run(node).is_some() && self.state.broker(node).runs == run {
                    self.live(node, LifecycleInput::Answered { request, answer });
                }
            }
            Envelope::Propose { node, partition, proposal } => {
                let accepts = Some(proposal.clone());
                let origin = Origin::Leader(proposal.clone());
                let batches = self.state.tail.len();
                self.ask(origin, Command::AlterPartition { node, partition, proposal });
                if let Some(batch) = self.state.tail.get_mut(batches) {
                    batch.accepts = accepts;
                }
            }
        }
    }

    /// Notes whether the process that registers has, by what it states, kept everything (R60).
    fn register(&mut self, origin: Origin, registration: Registration) {
        let node = registration.node;
        let image = self.state.controller.get().image();
        let registered = image.broker(node);
        let kept = registered.is_some_and(|registered| {
            let synced = image
                .partitions_on(node)
                .all(|(_, state)| state.counted_only_synced(registered.broker_epoch));
            let vouched = |facts: &DirectoryFacts| {
                registered.is_vouched_by(facts.clean_stop) || registered.is_vouched_by(facts.same_boot)
            };
            synced || registration.directories.iter().all(vouched)
        });
        let batches = self.state.tail.len();
        self.ask(origin, Command::RegisterBroker(registration));
        if let Some(batch) = self.state.tail.get_mut(batches..).and_then(<[_]>::last_mut) {
            batch.kept = kept.then_some(node);
        }
    }

    /// Claims Q56: whoever is let go after handing over is followed by nobody.
    fn heartbeat(&mut self, origin: Origin, heartbeat: Heartbeat) {
        let node = heartbeat.node;
        let handing_over = |state: &State| {
            let broker = state.controller.get().image().broker(node)?;
            broker.stopping.filter(|_| !broker.fenced)
        };
        let before = handing_over(self.state);
        self.ask(origin, Command::Heartbeat(heartbeat));
        if let Some(handed_over) = before.filter(|_| handing_over(self.state).is_none()) {
            claims::everyone_knows(self.state, node, handed_over, self.notes);
        }
    }

    /// A power loss takes what was written and not synced, also by a run that has ended (X11). What a clean stop has synced
    /// stays, until a new run is registered and writes; so does what a start has, whatever the policy, until its run counts
    /// anything. Under flush.policy=commit it takes what a run counted that was registered before the policy was set.
    fn lose_power(&mut self, node: NodeId) {
        let image = self.state.image();
        let Disk { synced, record, .. } = self.state.broker(node).disk;
        let unsynced: Vec<Lost> = image
            .partitions_on(node)
            .filter(|(_, state)| {
                let counted_before = || record.is_some_and(|run| !state.counted_only_synced(run));
                !synced && (state.flush == FlushPolicy::Os || counted_before())
            })
            .map(|(partition, _)| Lost { partition, node })
            .collect();
        let broker = self.state.broker_mut(node);
        let wrote = broker.disk.clean_stop.is_none() && broker.disk.record.is_some();
        broker.run = None;
        broker.disk.same_boot = false;
        let run = broker.runs;
        if wrote {
            self.state.ghost.losing.retain(|(lost, _)| !unsynced.contains(lost));
            self.state.ghost.losing.extend(unsynced.into_iter().map(|lost| (lost, run)));
        }
    }

    /// A leader speaks of what its own image says.
    fn propose(&mut self, node: NodeId, proposed: Proposed) {
        let image = self.state.applied(node).expect("a broker that proposes runs");
        let state = image.partition(PARTITION).expect("a broker proposes for a partition that it leads");
        let isr: IsrSet = match proposed {
            Proposed::Shrink(replica) => state.isr.without(replica),
            Proposed::Expand(replica) => state.isr.with(replica),
        };
        let member = |replica| {
            let broker = state.node(replica).and_then(|node| image.broker(node));
            ProposedMember { replica, broker_epoch: broker.map(|broker| broker.broker_epoch) }
        };
        let proposal = AlterPartition {
            request_id: RequestId(0),
            broker_epoch: image.broker(node).expect("a leader is registered").broker_epoch,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            members: isr.iter().map(member).collect(),
        };
        self.state.wire.push(Envelope::Propose { node, partition: PARTITION, proposal });
    }

    fn operate(&mut self, change: Change) {
        let image = self.state.controller.get().image();
        let command = match change {
            Change::CreateFirst => self.create_first(),
            Change::CreateOther => {
                // An id is never used twice; the number of changes so far is new every time.
                let topic = TopicId(1000 + u128::from(self.state.spent.changes));
                let factor = u16::from(self.world.bounds.brokers.min(2));
                let new = NewTopic { partitions: Some(2), replication_factor: Some(factor), ..named(OTHER) };
                Command::CreateTopic { topic, new, validate_only: false }
            }
            Change::DeleteOther => Command::DeleteTopic { name: OTHER.to_owned() },
            Change::GrowOther => {
                let partitions = image.topic_by_name(OTHER).map_or(0, |topic| topic.partitions.len());
                let total = u32::try_from(partitions).expect("few partitions") + 1;
                Command::CreatePartitions { name: OTHER.to_owned(), total }
            }
            Change::MinIsr => {
                let one = image.partition(PARTITION).is_some_and(|state| state.min_isr == 1);
                let value = if one { "2" } else { "1" };
                let changes = vec![ConfigChange {
                    name: "min.insync.replicas".to_owned(),
                    value: Some(value.to_owned()),
                }];
                Command::AlterConfigs { name: "t".to_owned(), changes, expected_offset: None }
            }
            Change::FlushPolicy => {
                let os = image.partition(PARTITION).is_some_and(|state| state.flush == FlushPolicy::Os);
                let value = if os { "commit" } else { "os" };
                let changes =
                    vec![ConfigChange { name: "flush.policy".to_owned(), value: Some(value.to_owned()) }];
                Command::AlterConfigs { name: "t".to_owned(), changes, expected_offset: None }
            }
            Change::ElectPreferred => {
                Command::ElectLeader { partition: PARTITION, election: Election::Preferred }
            }
        };
        self.ask(Origin::Operator, command);
    }

    /// The topic of the first partition: a replica on every broker, in their order.
    fn create_first(&self) -> Command {
        let replicas = self.state.nodes().collect();
        let bounds = &self.world.bounds;
        let new = NewTopic {
            assignments: vec![ReplicaAssignment { partition: PartitionIndex(0), replicas }],
            configs: vec![
                ("min.insync.replicas".to_owned(), bounds.min_isr.to_string()),
                ("flush.policy".to_owned(), bounds.flush.to_string()),
            ],
            ..named("t")
        };
        Command::CreateTopic { topic: PARTITION.topic, new, validate_only: false }
    }
}

fn named(name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: None,
        replication_factor: None,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

pub(super) fn tenure(node: NodeId, run: u8, found: Disk) -> LifecycleTenure {
    LifecycleTenure {
        node,
        incarnation: incarnation(node, run),
        address: String::new(),
        directories: vec![DirectoryFacts {
            directory: DirectoryId(u128::from(node.0)),
            clean_stop: found.clean_stop,
            same_boot: found.same_boot_epoch(),
            damaged: Vec::new(),
            incomplete: false,
        }],
    }
}
