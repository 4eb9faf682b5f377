//! Commands, answers and offices, on a small cluster whose log is a list of batches.

mod brokers;
mod offices;
mod partitions;
mod topics;

use alloc::string::ToString;
use alloc::vec;

use smallvec::SmallVec;

use super::*;
use crate::api::NewTopic;
use crate::fault::Sound;
use crate::id::{BrokerEpoch, DirectoryId, IncarnationId, PartitionIndex, TopicId, TopicPartition};
use crate::metadata::{DirectoryFacts, Heartbeat, MissingReason, Partition, Registration};
use crate::replication::{AlterPartition, IsrSet, ProposedMember, ReplicaIdx};

const QUORUM_EPOCH: QuorumEpoch = QuorumEpoch(1);
const TOPIC: TopicId = TopicId(0);

/// A controller in office and the log under it; every append is committed at once unless held.
#[derive(Debug)]
struct Cluster {
    controller: Controller<Sound>,
    tenure: Tenure,
    /// Batches that are appended and not committed.
    held: Vec<(Offset, Vec<Record>)>,
    hold: bool,
    requests: u64,
}

impl Cluster {
    fn new() -> Self {
        let mut controller = Controller::new(Sound, Image::default());
        let tenure = Tenure::default();
        let committed = Input::Committed { end: Offset(1), quorum_epoch: QUORUM_EPOCH, records: Vec::new() };
        controller.step(&tenure, committed, &mut Vec::new()).unwrap();
        let elected = Input::Elected { quorum_epoch: QUORUM_EPOCH, committed: Offset(1) };
        controller.step(&tenure, elected, &mut Vec::new()).unwrap();
        Self { controller, tenure, held: Vec::new(), hold: false, requests: 0 }
    }

    /// Three brokers, unfenced, and a topic of one partition with three replicas and this min.insync.replicas.
    fn running(min_isr: &str) -> Self {
        let mut cluster = Self::new();
        for node in 1..=3 {
            cluster.join(node);
        }
        cluster.create("t", 1, 3, min_isr).unwrap();
        cluster
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.controller.step(&self.tenure, input, &mut effects).unwrap();
        let mut out = Vec::new();
        for effect in effects {
            match effect {
                Effect::Append(records) => out.extend(self.append(records)),
                Effect::Reply(_) | Effect::Arm(_) | Effect::Disarm(_) => out.push(effect),
            }
        }
        out
    }

    fn append(&mut self, records: Vec<Record>) -> Vec<Effect> {
        let end = self.controller.image().end().after(u64::try_from(records.len()).unwrap());
        self.controller.step(&self.tenure, Input::Appended { end }, &mut Vec::new()).unwrap();
        self.held.push((end, records));
        if self.hold { Vec::new() } else { self.commit() }
    }

    fn commit(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (end, records) in self.held.drain(..) {
            let committed = Input::Committed { end, quorum_epoch: QUORUM_EPOCH, records };
            self.controller.step(&self.tenure, committed, &mut effects).unwrap();
        }
        effects
    }

    fn ask(&mut self, command: Command) -> Result<Outcome, CommandRefusal> {
        let effects = self.submit(command);
        effects.into_iter().find_map(reply).expect("the command is answered at once")
    }

    fn submit(&mut self, command: Command) -> Vec<Effect> {
        self.requests += 1;
        self.step(Input::Asked { request: RequestId(self.requests), at_ms: 100, command })
    }

    /// With the right registration to replace.
    fn register(&mut self, mut registration: Registration) -> Result<BrokerEpoch, CommandRefusal> {
        let known = self.controller.image().broker(registration.node);
        registration.replaces = known.map(|broker| broker.broker_epoch);
        let outcome = self.ask(Command::RegisterBroker(registration))?;
        let Outcome::Registered { broker_epoch } = outcome else {
            panic!("{outcome:?} does not answer a registration")
        };
        Ok(broker_epoch)
    }

    fn heartbeat(&self, node: u32) -> Heartbeat {
        let broker_epoch = self.epoch(node);
        let metadata_offset = self.controller.committed().end();
        Heartbeat {
            node: NodeId(node),
            broker_epoch,
            metadata_offset,
            want_fence: false,
            want_shutdown: false,
            offline_directories: Vec::new(),
        }
    }

    fn join(&mut self, node: u32) {
        self.register(registration(node, 1, None)).unwrap();
        self.beat(node);
    }

    fn beat(&mut self, node: u32) -> Outcome {
        let heartbeat = self.heartbeat(node);
        self.ask(Command::Heartbeat(heartbeat)).unwrap()
    }

    fn stop(&mut self, node: u32) -> Outcome {
        let heartbeat = Heartbeat { want_shutdown: true, ..self.heartbeat(node) };
        self.ask(Command::Heartbeat(heartbeat)).unwrap()
    }

    fn lose_session(&mut self, node: u32) {
        self.step(Input::Expired { timer: Timer::Session(NodeId(node)), at_ms: 200 });
    }

    fn create(
        &mut self,
        name: &str,
        partitions: u32,
        factor: u16,
        min_isr: &str,
    ) -> Result<Outcome, CommandRefusal> {
        let topic = TopicId(self.controller.image().topic_names().len() as u128);
        let new = NewTopic {
            name: name.to_string(),
            partitions: Some(partitions),
            replication_factor: Some(factor),
            assignments: Vec::new(),
            configs: vec![("min.insync.replicas".to_string(), min_isr.to_string())],
        };
        self.ask(Command::CreateTopic { topic, new, validate_only: false })
    }

    fn epoch(&self, node: u32) -> BrokerEpoch {
        self.controller.image().broker(NodeId(node)).unwrap().broker_epoch
    }

    fn partition(&self) -> &Partition {
        self.controller.image().partition(partition()).unwrap()
    }

    /// ISR, eligible leaders, leader.
    fn sets(&self) -> (Vec<u32>, Vec<u32>, Option<u32>) {
        let state = self.partition();
        let nodes = |set| state.nodes(set).map(|node| node.0).collect();
        (nodes(state.isr), nodes(state.eligible_leaders), state.leader_node().map(|node| node.0))
    }

    /// A proposal of the current leader.
    fn proposal(&self, nodes: &[u32]) -> AlterPartition {
        let state = self.partition();
        let members: SmallVec<[ProposedMember; 3]> = nodes
            .iter()
            .map(|node| ProposedMember {
                replica: state.replica_on(NodeId(*node)).unwrap(),
                broker_epoch: Some(self.epoch(*node)),
            })
            .collect();
        AlterPartition {
            request_id: RequestId(77),
            broker_epoch: self.epoch(state.leader_node().unwrap().0),
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            members,
        }
    }

    fn propose(&mut self, proposal: AlterPartition) -> Result<Outcome, CommandRefusal> {
        let node = self.partition().leader_node().unwrap();
        self.ask(Command::AlterPartition { node, partition: partition(), proposal })
    }
}

fn partition() -> TopicPartition {
    TopicPartition { topic: TOPIC, partition: PartitionIndex(0) }
}

/// `node`'s run number `run`, which says that the kernel has not restarted since registration `same_boot`.
fn registration(node: u32, run: u128, same_boot: Option<BrokerEpoch>) -> Registration {
    Registration {
        node: NodeId(node),
        incarnation: IncarnationId(run),
        replaces: None,
        address: "localhost:1".to_string(),
        directories: vec![DirectoryFacts {
            directory: DirectoryId(u128::from(node)),
            clean_stop: None,
            same_boot,
            damaged: Vec::new(),
            incomplete: false,
        }],
    }
}

fn reply(effect: Effect) -> Option<Result<Outcome, CommandRefusal>> {
    match effect {
        Effect::Reply(reply) => Some(reply.into_answer()),
        Effect::Append(_) | Effect::Arm(_) | Effect::Disarm(_) => None,
    }
}
