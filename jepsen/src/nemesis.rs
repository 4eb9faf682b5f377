//! Breaks things by a schedule drawn from a seed, some of them at once, and mends them.

mod harm;
mod kind;
mod network;

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_client::Client;
use highwater_model::id::{NodeId, PartitionIndex, TopicPartition};
use highwater_transport::env::Instant;
use jepsen_judge::history::FaultStep;

use crate::cluster::{Cluster, ClusterError, Disturbed, Means};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::workload::TOPIC;

pub use kind::{Group, Kind, parse};

use harm::{Active, Harm};
use network::{cuts, disorder};

/// By how much datagrams are late, at least: longer than it takes others to elect another leader.
const LATE_MIN: Duration = Duration::from_millis(500);

/// And at most.
const LATE_MAX: Duration = Duration::from_secs(3);

/// Partitions, or disorders, after which it is not for want of traffic that no datagram was touched.
const TELLING: u64 = 3;

/// How long between two faults, how long each lasts, and how many there are at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The shortest time between the beginnings of two faults.
    pub quiet_min: Duration,
    /// The longest.
    pub quiet_max: Duration,
    /// The shortest time that a fault lasts.
    pub lasts_min: Duration,
    /// The longest.
    pub lasts_max: Duration,
    /// The most faults at once.
    pub at_once: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet_min: Duration::from_millis(300),
            quiet_max: Duration::from_millis(1500),
            lasts_min: Duration::from_millis(300),
            lasts_max: Duration::from_millis(3500),
            at_once: 2,
        }
    }
}

/// What is to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Troubles {
    /// Kinds of fault.
    pub kinds: Vec<Kind>,
    /// How fast.
    pub pace: Pace,
    /// The only machine that may lose power, if others must not: where less is promised of many.
    pub frail: Option<NodeId>,
}

/// Who breaks things.
#[derive(Debug)]
pub struct Nemesis {
    troubles: Troubles,
    random: Random,
    recorder: Recorder,
    /// Knows who leads.
    client: Client,
    counts: BTreeMap<Kind, u64>,
    /// Kinds not injected yet in this round: each comes before any comes again.
    round: Vec<Kind>,
    /// What is broken now.
    active: Vec<Active>,
}

impl Nemesis {
    /// One that injects these faults.
    #[must_use]
    pub fn new(troubles: Troubles, seed: u64, recorder: &Recorder, client: Client) -> Self {
        Self {
            counts: troubles.kinds.iter().map(|kind| (*kind, 0)).collect(),
            troubles,
            random: Random::of(seed, 0),
            recorder: recorder.clone(),
            client,
            round: Vec::new(),
            active: Vec::new(),
        }
    }

    /// How often each kind was injected; 0 of those whose turn never came.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<Kind, u64> {
        &self.counts
    }

    /// Breaks things until the time is over.
    ///
    /// # Errors
    /// If the cluster does not do what it is told, or a broker ended though nobody ended it.
    pub async fn run(&mut self, cluster: &mut impl Cluster, until: Instant) -> Result<(), ClusterError> {
        let env = cluster.env().clone();
        let mut next = env.now() + self.quiet();
        loop {
            let due = self.active.iter().map(|fault| fault.until).fold(next.min(until), Instant::min);
            env.sleep_until(due).await;
            if let Some(dead) = cluster.found_dead() {
                return Err(ClusterError::new(dead));
            }
            let over = self.active.iter().position(|fault| fault.until <= due);
            if due >= until {
                return Ok(());
            } else if let Some(place) = over {
                let fault = self.active.remove(place);
                self.mend(cluster, &fault).await?;
            } else {
                if let Some(kind) = self.next_kind() {
                    Box::pin(self.inject(cluster, kind)).await?;
                }
                next = env.now() + self.quiet();
            }
        }
    }

    /// Mends everything.
    ///
    /// # Errors
    /// If a broker cannot be started.
    pub async fn heal(&mut self, cluster: &mut impl Cluster) -> Result<(), ClusterError> {
        let mut done = Ok(());
        while let Some(fault) = self.active.pop() {
            done = done.and(self.mend(cluster, &fault).await);
        }
        cluster.heal_network();
        for node in cluster.nodes() {
            cluster.resume(node);
            done = done.and(cluster.start(node).await);
        }
        self.recorder.fault("all", FaultStep::HealAll, String::new());
        done
    }

    /// What a network on which nothing was ever cut or disordered shows of itself.
    #[must_use]
    pub fn without_effect(&self, disturbed: Disturbed) -> Option<String> {
        let injected = |group| {
            let of_group =
                self.counts.iter().filter(|(kind, _)| kind.group() == group && **kind != Kind::Late);
            of_group.map(|(_, count)| *count).sum::<u64>()
        };
        let told = [
            (injected(Group::Partition), disturbed.cut, "cut"),
            (injected(Group::Packet), disturbed.disordered, "disordered"),
        ];
        let idle = told.iter().find(|(injected, touched, _)| *injected >= TELLING && *touched == 0);
        idle.map(|(injected, _, word)| {
            format!("links were {word} {injected} times and no datagram was touched")
        })
    }

    fn quiet(&mut self) -> Duration {
        let Pace { quiet_min, quiet_max, .. } = self.troubles.pace;
        self.random.between(quiet_min, quiet_max)
    }

    /// The kind whose turn it is; none if there is enough wrong already. Brokers stop in order only where all is well.
    fn next_kind(&mut self) -> Option<Kind> {
        if self.active.len() >= self.troubles.pace.at_once {
            return None;
        }
        if self.round.is_empty() {
            self.round = self.random.shuffled(self.troubles.kinds.clone());
        }
        let may_begin = |kind: &Kind| {
            self.active.iter().all(|fault| fault.kind != *kind && kind.group() != Group::Restart)
        };
        let place = self.round.iter().position(may_begin)?;
        Some(self.round.remove(place))
    }

    async fn inject(&mut self, cluster: &mut impl Cluster, kind: Kind) -> Result<(), ClusterError> {
        *self.counts.entry(kind).or_default() += 1;
        if kind.group() == Group::Restart {
            return self.roll(cluster, kind).await;
        }
        let harm = self.harm(cluster, kind).await;
        self.start(kind, harm.to_string());
        harm.inflict(cluster).await?;
        let Pace { lasts_min, lasts_max, .. } = self.troubles.pace;
        let until = cluster.env().now() + self.random.between(lasts_min, lasts_max);
        self.active.push(Active { kind, until, harm });
        Ok(())
    }

    /// Undoes a fault, as far as the others allow.
    async fn mend(&mut self, cluster: &mut impl Cluster, fault: &Active) -> Result<(), ClusterError> {
        let others: Vec<&Harm> = self.active.iter().map(|fault| &fault.harm).collect();
        let mended = fault.harm.mend(cluster, &others, &mut self.random).await;
        self.recorder.fault(fault.kind.name(), FaultStep::Stop, String::new());
        mended
    }

    async fn harm(&mut self, cluster: &impl Cluster, kind: Kind) -> Harm {
        match kind.group() {
            Group::Kill | Group::Restart => Harm::Killed(self.targets(cluster, kind).await),
            Group::Power => Harm::WithoutPower(self.targets(cluster, kind).await),
            Group::Pause => Harm::Still(self.targets(cluster, kind).await),
            Group::Partition => {
                let links = self.cuts(cluster, kind).await;
                if kind == Kind::Late {
                    Harm::Late(links, self.random.between(LATE_MIN, LATE_MAX))
                } else {
                    Harm::Cut(links)
                }
            }
            Group::Packet => Harm::Disordered(disorder(kind, &mut self.random)),
        }
    }

    /// Stops one broker after the other in order, and starts each before the next stops.
    async fn roll(&mut self, cluster: &mut impl Cluster, kind: Kind) -> Result<(), ClusterError> {
        let nodes = self.random.shuffled(cluster.nodes());
        self.start(kind, format!("{nodes:?}"));
        let Pace { lasts_min, lasts_max, .. } = self.troubles.pace;
        for node in nodes {
            cluster.stop(node).await?;
            cluster.start(node).await?;
            let lasts = self.random.between(lasts_min, lasts_max);
            cluster.env().sleep(lasts).await;
        }
        self.recorder.fault(kind.name(), FaultStep::Stop, String::new());
        Ok(())
    }

    fn start(&self, kind: Kind, detail: String) {
        self.recorder.fault(kind.name(), FaultStep::Start, detail);
    }

    /// Whom a fault is for.
    async fn targets(&mut self, cluster: &impl Cluster, kind: Kind) -> Vec<NodeId> {
        let nodes = cluster.nodes();
        match kind {
            Kind::KillAll | Kind::PowerLossOfAll => nodes,
            Kind::PowerLossOfOne if self.troubles.frail.is_some() => {
                self.troubles.frail.into_iter().collect()
            }
            Kind::KillMajority => {
                let majority = nodes.len() / 2 + 1;
                self.random.shuffled(nodes).into_iter().take(majority).collect()
            }
            Kind::KillLeader | Kind::PauseLeader => vec![self.leader(cluster).await],
            Kind::KillController => vec![self.controller(cluster).await],
            Kind::KillOne
            | Kind::PauseOne
            | Kind::PowerLossOfOne
            | Kind::Halves
            | Kind::MajorityRing
            | Kind::OneWay
            | Kind::LeaderAlone
            | Kind::Bridge
            | Kind::Late
            | Kind::Loss
            | Kind::Delay
            | Kind::Duplicates
            | Kind::Reordering
            | Kind::RollingRestart => vec![self.any(&nodes)],
        }
    }

    fn any(&mut self, nodes: &[NodeId]) -> NodeId {
        self.random.one_of(nodes).copied().unwrap_or(NodeId(1))
    }

    async fn refresh(&self, cluster: &impl Cluster) {
        let topics = [TOPIC.to_owned()];
        let refreshed = self.client.refresh(Some(&topics));
        // Who cannot be asked is guessed.
        drop(cluster.env().timeout(Duration::from_millis(500), Box::pin(refreshed)).await);
    }

    /// The leader of some partition, as the cluster says; any broker if it does not.
    async fn leader(&mut self, cluster: &impl Cluster) -> NodeId {
        self.refresh(cluster).await;
        let image = self.client.image();
        // Where clients work on the metadata alone, whoever leads that is the one.
        let Some(topic) = image.topic(TOPIC) else {
            return image.controller().unwrap_or_else(|| self.any(&cluster.nodes()));
        };
        let partitions: Vec<PartitionIndex> = topic.partitions.iter().map(|at| at.partition).collect();
        let partition = self.random.one_of(&partitions).copied().unwrap_or(PartitionIndex(0));
        let leader = image.leader(TopicPartition { topic: topic.topic, partition });
        leader.map_or_else(|| self.any(&cluster.nodes()), |leader| leader.node)
    }

    /// The active controller, as the cluster says; any broker if it does not.
    async fn controller(&mut self, cluster: &impl Cluster) -> NodeId {
        self.refresh(cluster).await;
        let known = self.client.image().controller();
        known.unwrap_or_else(|| self.any(&cluster.nodes()))
    }

    /// From whom nothing reaches whom, or late.
    async fn cuts(&mut self, cluster: &impl Cluster, kind: Kind) -> Vec<(NodeId, NodeId)> {
        let nodes = self.random.shuffled(cluster.nodes());
        // Whoever leads the metadata is as worth a try as whoever leads a partition.
        let leader = match self.random.once_in(2) {
            true => self.leader(cluster).await,
            false => self.controller(cluster).await,
        };
        cuts(kind, &nodes, leader, self.random.once_in(2))
    }
}

/// What a cluster lacks for a kind of fault.
#[must_use]
pub fn lacks(cluster: &impl Cluster, kind: Kind) -> Option<String> {
    let brokers_needed = match (kind, kind.group()) {
        (Kind::Bridge, _) => 3,
        (_, Group::Partition | Group::Packet) => 2,
        (_, Group::Kill | Group::Pause | Group::Power | Group::Restart) => 1,
    };
    if cluster.nodes().len() < brokers_needed {
        return Some(format!("it takes {brokers_needed} brokers"));
    }
    let means = match kind.group() {
        Group::Kill | Group::Restart => return None,
        Group::Pause => Means::Pause,
        Group::Partition => Means::Cut,
        Group::Packet => Means::Disorder,
        Group::Power => Means::PowerLoss,
    };
    cluster.lacks(means)
}
