//! What goes wrong in a run, and when: a schedule drawn from the seed, and its execution.
//!
//! Every schedule has a killed leader and a loss of power of all brokers; the rest is left to chance.

use std::time::Duration;

use highwater_client::Client;
use highwater_client::metadata::Leader;
use highwater_model::id::{LeaderEpoch, NodeId, PartitionIndex, TopicPartition};
use highwater_transport::env::Env;

use super::cluster::Cluster;
use super::load::{PARTITIONS, TOPIC};

/// The fewest faults of a run.
const ACTS_MIN: u64 = 4;
/// How many more there may be.
const ACTS_SPREAD: u64 = 3;

/// The longest wait for a leader that must be killed; no cluster takes so long to get one when nothing is wrong.
const LED_WITHIN: Duration = Duration::from_secs(20);
/// The longest wait for one that may be killed.
const ASK_WITHIN: Duration = Duration::from_millis(300);
/// How often to look for one.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// The leader of a partition is killed and restarted, now and then with another broker. If it is `certain`, not before
    /// there is one.
    KillLeader { partition: u32, with_another: bool, certain: bool },
    /// All machines lose power at once and come back one after the other.
    LosePowerOfAll,
    /// The machine of a partition's leader loses power and comes back.
    LosePowerOfLeader { partition: u32 },
    /// A leader is cut off from the other brokers, in one direction or both, but not from the client.
    Isolate { partition: u32, one_way: bool },
    /// All brokers are killed at once and restarted.
    KillAll,
}

/// How often what went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes that were killed while they led the partition that was chosen, as they said themselves.
    pub leader_kills: u64,
    /// All processes that were killed, among them leaders.
    pub kills: u64,
    /// Times that all machines lost power at once.
    pub power_losses_of_all: u64,
    /// Times that one machine lost power.
    pub power_losses_of_one: u64,
    /// Times that a broker was cut off from the others.
    pub isolations: u64,
}

/// What draws the schedule, and how long each step takes.
pub(super) struct Faults {
    env: Env,
    counts: Counts,
    ended: Vec<EndedReign>,
}

/// A partition was led in this epoch by a process that was killed. Nobody leads in it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndedReign {
    pub(super) partition: PartitionIndex,
    pub(super) leader_epoch: LeaderEpoch,
}

impl Faults {
    pub(super) fn new(env: &Env) -> Self {
        Self { env: env.clone(), counts: Counts::default(), ended: Vec::new() }
    }

    /// Lets everything on the schedule happen, one after the other.
    pub(super) async fn run(mut self, cluster: &mut Cluster, client: &Client) -> (Counts, Vec<EndedReign>) {
        for act in self.schedule() {
            self.pause(0, 600).await;
            cluster.sim.note(&format!("{act:?}"));
            self.perform(act, cluster, client).await;
        }
        self.pause(100, 500).await;
        (self.counts, self.ended)
    }

    fn schedule(&self) -> Vec<Act> {
        let count = ACTS_MIN + self.below(ACTS_SPREAD);
        let mut acts: Vec<Act> = (2..count).map(|_| self.any_act()).collect();
        for certain in [self.kill(true), Act::LosePowerOfAll] {
            let at = self.below(acts.len() as u64 + 1);
            acts.insert(usize::try_from(at).unwrap_or_default(), certain);
        }
        acts
    }

    fn any_act(&self) -> Act {
        let partition = self.partition();
        match self.below(8) {
            0..=2 => self.kill(false),
            3 => Act::LosePowerOfAll,
            4 => Act::LosePowerOfLeader { partition },
            5 | 6 => Act::Isolate { partition, one_way: self.below(2) == 0 },
            _ => Act::KillAll,
        }
    }

    fn kill(&self, certain: bool) -> Act {
        Act::KillLeader { partition: self.partition(), with_another: self.below(4) == 0, certain }
    }

    fn partition(&self) -> u32 {
        u32::try_from(self.below(PARTITIONS.into())).unwrap_or_default()
    }

    async fn perform(&mut self, act: Act, cluster: &mut Cluster, client: &Client) {
        match act {
            Act::KillLeader { partition, with_another, certain } => {
                Box::pin(self.kill_leader(cluster, client, partition, certain)).await;
                if with_another {
                    self.pause(0, 300).await;
                    let another = self.running(cluster);
                    self.kill_node(cluster, another);
                }
                self.pause(20, 1500).await;
            }
            Act::LosePowerOfAll => {
                self.counts.power_losses_of_all += 1;
                for machine in &mut cluster.machines {
                    machine.lose_power(self.env.random_u64());
                }
                self.pause(20, 500).await;
            }
            Act::LosePowerOfLeader { partition } => {
                let leader = self.leader(cluster, client, partition);
                self.counts.power_losses_of_one += 1;
                let seed = self.env.random_u64();
                if let Some(machine) = cluster.machine(leader) {
                    machine.lose_power(seed);
                }
                self.pause(20, 1500).await;
            }
            Act::Isolate { partition, one_way } => {
                self.counts.isolations += 1;
                self.isolate(cluster, client, partition, one_way).await;
            }
            Act::KillAll => {
                for machine in &mut cluster.machines {
                    self.counts.kills += u64::from(machine.is_up);
                    machine.kill();
                }
                self.pause(20, 500).await;
            }
        }
        self.restart(cluster).await;
    }

    /// Kills the process that leads a partition. When none says that it does in time, that which the client believes to.
    async fn kill_leader(&mut self, cluster: &mut Cluster, client: &Client, partition: u32, certain: bool) {
        let partition = PartitionIndex(partition);
        let patience = if certain { LED_WITHIN } else { ASK_WITHIN };
        let leading = async {
            loop {
                match self.leading(client, partition).await {
                    Some(leader) => return leader,
                    None => self.env.sleep(LOOK_EVERY).await,
                }
            }
        };
        let leader = self.env.timeout(patience, Box::pin(leading)).await.ok();
        let Some(leader) = leader.filter(|leader| cluster.is_up(leader.node)) else {
            let believed = self.leader(cluster, client, partition.0);
            return self.kill_node(cluster, believed);
        };
        self.counts.leader_kills += 1;
        self.ended.push(EndedReign { partition, leader_epoch: leader.leader_epoch });
        self.kill_node(cluster, leader.node);
    }

    /// Who has just answered for a partition as its leader, and under which epoch.
    async fn leading(&self, client: &Client, partition: PartitionIndex) -> Option<Leader> {
        let known = || {
            let image = client.image();
            let topic = image.topic(TOPIC)?.topic;
            image.leader(TopicPartition { topic, partition })
        };
        drop(client.refresh(Some(&[TOPIC.to_owned()])).await);
        let before = known()?;
        // Only who leads under this epoch answers where a log ends.
        client.ends(TOPIC, partition).await.ok()?;
        known().filter(|after| *after == before)
    }

    fn kill_node(&mut self, cluster: &mut Cluster, node: NodeId) {
        if let Some(machine) = cluster.machine(node).filter(|machine| machine.is_up) {
            machine.kill();
            self.counts.kills += 1;
        }
    }

    async fn isolate(&self, cluster: &Cluster, client: &Client, partition: u32, one_way: bool) {
        let leader = self.leader(cluster, client, partition);
        let address_of = |node| {
            let mut machines = cluster.machines.iter();
            machines.find(|machine| machine.node == node).map(|machine| machine.process.address())
        };
        let Some(from) = address_of(leader) else { return };
        let others = cluster.machines.iter().filter(|machine| machine.node != leader);
        for to in others.map(|machine| machine.process.address()) {
            cluster.sim.cut_one_way(from, to);
            if !one_way {
                cluster.sim.cut_one_way(to, from);
            }
        }
        self.pause(200, 2500).await;
        cluster.sim.heal_all();
    }

    /// Starts what is off, one machine after the other.
    async fn restart(&self, cluster: &mut Cluster) {
        let first = self.below(cluster.machines.len() as u64);
        let count = cluster.machines.len();
        for step in 0..count {
            let at = (usize::try_from(first).unwrap_or_default() + step) % count;
            if let Some(machine) = cluster.machines.get_mut(at).filter(|machine| !machine.is_up) {
                machine.start();
                self.pause(0, 200).await;
            }
        }
    }

    /// The leader of a partition as the client knows it, if it runs, else any broker that does.
    fn leader(&self, cluster: &Cluster, client: &Client, partition: u32) -> NodeId {
        let image = client.image();
        let topic = image.topic(TOPIC).map(|topic| topic.topic);
        let id = topic.map(|topic| TopicPartition { topic, partition: PartitionIndex(partition) });
        let leader = id.and_then(|id| image.leader(id)).map(|leader| leader.node);
        leader.filter(|node| cluster.is_up(*node)).unwrap_or_else(|| self.running(cluster))
    }

    /// Some broker that runs.
    fn running(&self, cluster: &Cluster) -> NodeId {
        let up: Vec<NodeId> =
            cluster.machines.iter().filter(|machine| machine.is_up).map(|machine| machine.node).collect();
        let at = usize::try_from(self.below(up.len() as u64)).unwrap_or_default();
        up.get(at).copied().unwrap_or(NodeId(1))
    }

    /// Waits for some time within bounds in milliseconds, the upper exclusive.
    async fn pause(&self, at_least_ms: u64, under_ms: u64) {
        let wait = at_least_ms + self.below(under_ms - at_least_ms);
        self.env.sleep(Duration::from_millis(wait)).await;
    }

    fn below(&self, bound: u64) -> u64 {
        self.env.random_u64() % bound.max(1)
    }
}
