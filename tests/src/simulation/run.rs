//! One run from its seed to its judgement.

use core::fmt;
use std::time::Duration;

use highwater_client::Client;
use highwater_model::api::{ConfigChange, NewTopic, TopicDetail};
use highwater_transport::env::sim::{Config, Counters, NetworkConfig, Simulation};

use super::cluster::{Cluster, Identities};
use super::faults::{Counts, Faults};
use super::judge::{Fate, Kind, Sent, Violation, judge};
use super::load::{Load, PARTITIONS, TOPIC};
use super::reading;

/// Simulated time that the cluster has to become whole by itself, and again to give an outcome to every record.
const PATIENCE: Duration = Duration::from_secs(60);

/// Simulated time after which a cluster that still lacks a leader will not get one by itself.
const SETTLING: Duration = Duration::from_secs(5);

/// What is taken away so that the judge must find something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Nothing: no promise may be broken.
    Nothing,
    /// Syncs of records do nothing and say that all is well.
    LyingSync,
    /// `flush.policy=os`: an acknowledgement does not wait for a sync.
    OsFlush,
}

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything else.
    pub seed: u64,
    /// What is taken away.
    pub control: Control,
    /// How many events of the trace to keep in words.
    pub events_kept: usize,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The hash of the trace.
    pub trace_hash: u64,
    /// Events in the trace.
    pub trace_events: u64,
    /// The first events in words.
    pub events: Vec<String>,
    /// Totals of the network.
    pub network: Counters,
    /// Simulated time.
    pub simulated: Duration,
    /// What the cluster did, if the run came to its end.
    pub end: Result<End, String>,
}

/// What is known of a run that came to its end.
#[derive(Clone, Debug)]
pub struct End {
    /// What went wrong, as it was meant to.
    pub faults: Counts,
    /// Records acknowledged.
    pub acknowledged: usize,
    /// Records whose outcome their sender does not know.
    pub unknown: usize,
    /// Records read.
    pub read: usize,
    /// Elections of partition leaders, all partitions together.
    pub leader_changes: u64,
    /// Promises that were not kept.
    pub violations: Vec<Violation>,
}

impl Scenario {
    /// Runs it.
    #[must_use]
    pub fn run(self, identities: &Identities) -> Report {
        let config = Config { events_kept: self.events_kept, ..Config::from(NetworkConfig::default()) };
        let outcome =
            Simulation::run(self.seed, config, async |sim| Box::pin(self.body(&sim, identities)).await);
        Report {
            seed: self.seed,
            trace_hash: outcome.trace.hash(),
            trace_events: outcome.trace.events(),
            events: outcome.trace.kept().to_vec(),
            network: outcome.counters,
            simulated: outcome.elapsed,
            end: outcome.result.map_err(|failure| failure.to_string()).and_then(|end| end),
        }
    }

    async fn body(self, sim: &Simulation, identities: &Identities) -> Result<End, String> {
        let mut cluster = Cluster::formatted(sim, identities).await;
        if self.control == Control::LyingSync {
            cluster.let_syncs_lie(TOPIC);
        }
        cluster.start_all();
        let client = cluster.client();
        self.create_topic(&client).await?;
        let load = Load::start(sim, &client);
        let faults = Faults::new(sim.env()).run(&mut cluster, &client).await;
        sim.note("all faults are over");
        sim.heal_all();
        cluster.start_all();
        if self.control != Control::Nothing {
            allow_unclean_elections(&client).await;
        }
        let sent = Box::pin(within(sim, "records without an outcome", &client, load.finish())).await?;
        let topic = Box::pin(within(sim, "not whole again", &client, reading::whole(&client))).await?;
        let seen = Box::pin(within(sim, "not readable", &client, reading::everything(&client))).await??;
        let violations = judge(&sent, &seen);
        sim.note(&format!("read {} with {} violations", seen.len(), violations.len()));
        Ok(End { violations, read: seen.len(), ..end(faults, &sent, &topic) })
    }

    async fn create_topic(self, client: &Client) -> Result<(), String> {
        let mut configs = vec![("min.insync.replicas".to_owned(), "2".to_owned())];
        if self.control == Control::OsFlush {
            configs.push(("flush.policy".to_owned(), "os".to_owned()));
        }
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(3),
            assignments: Vec::new(),
            configs,
        };
        // The brokers register one by one: until the third has, there are too few for the topic.
        for _ in 0..100 {
            match client.admin().create_topic(topic.clone(), false).await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::debug!(%error, "the topic cannot be created yet"),
            }
            client.env().sleep(Duration::from_millis(100)).await;
        }
        Err("the topic cannot be created".to_owned())
    }
}

/// What an operator does when every replica has lost something and the partition stays offline for it: what is left shall
/// be read. Brokers get some time before to come back by themselves.
async fn allow_unclean_elections(client: &Client) {
    client.env().sleep(SETTLING).await;
    let allow =
        || ConfigChange { name: "unclean.leader.election.enable".to_owned(), value: Some("true".to_owned()) };
    while let Err(error) = client.admin().alter_configs(TOPIC, vec![allow()], None).await {
        tracing::debug!(%error, "unclean elections are not allowed yet");
        client.env().sleep(Duration::from_millis(100)).await;
    }
}

fn end(faults: Counts, sent: &[Sent], topic: &TopicDetail) -> End {
    let acknowledged = sent.iter().filter(|sent| matches!(sent.fate, Fate::Acknowledged(_))).count();
    End {
        faults,
        acknowledged,
        unknown: sent.iter().filter(|sent| sent.fate == Fate::Unknown).count(),
        read: 0,
        leader_changes: topic.partitions.iter().map(|at| u64::from(at.leader_epoch.0)).sum(),
        violations: Vec::new(),
    }
}

/// Awaits what must come by itself once nothing goes wrong any more.
async fn within<T>(
    sim: &Simulation,
    otherwise: &str,
    client: &Client,
    awaited: impl Future<Output = T>,
) -> Result<T, String> {
    match sim.env().timeout(PATIENCE, awaited).await {
        Ok(value) => Ok(value),
        Err(_) => {
            let state = sim.env().timeout(PATIENCE, Box::pin(reading::describe(client))).await;
            let state = state.unwrap_or_else(|_| "the cluster does not answer".to_owned());
            Err(format!("{otherwise} after {} s: {state}", PATIENCE.as_secs()))
        }
    }
}

impl Report {
    /// Whether the run came to its end with every promise kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.end.as_ref().is_ok_and(|end| end.violations.is_empty())
    }

    /// How many acknowledged records are gone.
    #[must_use]
    pub fn lost(&self) -> usize {
        let lost = |end: &End| end.violations.iter().filter(|found| found.kind == Kind::Lost).count();
        self.end.as_ref().map_or(0, lost)
    }
}

impl fmt::Display for Report {
    /// One line of figures, and one for each thing that is wrong. Holds nothing that differs between equal runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, network) = (self.seed, self.network);
        write!(f, "seed {seed} trace {:016x}", self.trace_hash)?;
        if let Ok(end) = &self.end {
            let Counts { leader_kills, kills, power_losses_of_all, power_losses_of_one, isolations } =
                end.faults;
            write!(f, " acknowledged {} unknown {} read {}", end.acknowledged, end.unknown, end.read)?;
            write!(f, " leader-kills {leader_kills} kills {kills} power-losses {power_losses_of_all}")?;
            write!(f, " single-power-losses {power_losses_of_one} isolations {isolations}")?;
            write!(f, " leader-changes {} lost-records {}", end.leader_changes, self.lost())?;
        }
        let dropped = network.lost + network.cut + network.unreachable + network.refused;
        write!(f, " datagrams {} dropped {dropped} duplicated {}", network.sent, network.duplicated)?;
        write!(f, " simulated-ms {}", self.simulated.as_millis())?;
        match &self.end {
            Ok(end) => {
                end.violations.iter().try_for_each(|found| write!(f, "\nseed {seed} violation {found}"))
            }
            Err(failure) => write!(f, "\nseed {seed} failure {failure}"),
        }
    }
}
