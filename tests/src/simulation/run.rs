//! One run from its seed to its judgement.

use core::fmt;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use highwater_client::Client;
use highwater_model::api::{ConfigChange, NewTopic, TopicDetail};
use highwater_model::fault::{Bug, Slip};
use highwater_model::id::{NodeId, Offset, PartitionIndex};
use highwater_transport::env::sim::{Config, Counters, NetworkConfig, Simulation};

use super::cluster::{BROKERS, Cluster, Identities, Plant, Recordings, Watched};
use super::faults::{Counts, EndedReign, Faults};
use super::judge::{Fate, Kind, Seen, Sent, Violation, judge};
use super::load::{DELIVERY_TIMEOUT, Load, PARTITIONS, TOPIC};
use super::{reading, replicas};

/// Simulated time from the end of all faults until every record sent before has an outcome; far less than a record is tried.
const SETTLED_WITHIN: Duration = Duration::from_secs(15);

/// Simulated time from then until every partition is led and all its replicas are in sync.
const WHOLE_WITHIN: Duration = Duration::from_secs(15);

/// Simulated time in which a whole cluster acknowledges a few records of each producer in each partition.
const WRITTEN_WITHIN: Duration = Duration::from_secs(3);

/// Simulated time from then until every log ends at its partition's high watermark.
const LEVEL_WITHIN: Duration = Duration::from_secs(3);

/// Simulated time for reading, and for everything where something was taken away.
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
    /// The brokers have a known bug.
    Planted(Bug),
    /// The drivers of the brokers make a mistake.
    Slipping(Slip),
    /// Once all is healed and whole, the client's way to one broker is cut for good.
    Unreachable,
    /// Only the first broker votes in the metadata quorum, and so the others are brokers and nothing else.
    OneVoter,
}

impl Control {
    /// How many of the brokers vote.
    fn voters(self) -> u8 {
        if self == Self::OneVoter { 1 } else { BROKERS }
    }

    /// Whether what is taken away lets all replicas of a partition lose something.
    fn is_lossy(self) -> bool {
        matches!(self, Self::LyingSync | Self::OsFlush)
    }
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
    /// How many bytes each broker may record of itself; `None` for nothing.
    pub recorded_bytes_max: Option<usize>,
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
    /// What each start of each broker recorded of itself, in the order of the starts.
    pub recordings: Vec<(NodeId, Bytes)>,
    /// What the brokers' runtime monitors have counted, by property.
    pub monitors: BTreeMap<String, Watched>,
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
    /// What else is wrong: where the disks differ from each other, or from what was read, below the high watermark, and
    /// outcomes that should be known.
    pub findings: Vec<String>,
}

impl Scenario {
    /// Runs it.
    #[must_use]
    pub fn run(self, identities: &Identities) -> Report {
        self.run_recorded(
            identities,
            &Recordings { bytes_max: self.recorded_bytes_max, ..Recordings::default() },
        )
    }

    /// Runs it, and lets the brokers record into files of this directory, as they do in production: at most so many bytes
    /// each.
    #[must_use]
    pub fn run_into(self, identities: &Identities, dir: &Path, bytes_max: u64) -> Report {
        let files = Some((dir.to_owned(), bytes_max));
        self.run_recorded(identities, &Recordings { files, ..Recordings::default() })
    }

    fn run_recorded(self, identities: &Identities, recordings: &Recordings) -> Report {
        let config = Config { events_kept: self.events_kept, ..Config::from(NetworkConfig::default()) };
        let outcome = Simulation::run(self.seed, config, async |sim| {
            Box::pin(self.body(&sim, identities, recordings)).await
        });
        Report {
            seed: self.seed,
            trace_hash: outcome.trace.hash(),
            trace_events: outcome.trace.events(),
            events: outcome.trace.kept().to_vec(),
            network: outcome.counters,
            simulated: outcome.elapsed,
            recordings: recordings.take(),
            monitors: recordings.counts(),
            end: outcome.result.map_err(|failure| failure.to_string()).and_then(|end| end),
        }
    }

    async fn body(
        self,
        sim: &Simulation,
        identities: &Identities,
        recordings: &Recordings,
    ) -> Result<End, String> {
        let mut cluster =
            Cluster::formatted(sim, identities, (self.plant(), self.control.voters()), recordings).await;
        if self.control == Control::LyingSync {
            cluster.let_syncs_lie(TOPIC);
        }
        cluster.start_all();
        let client = cluster.client();
        self.create_topic(&client).await?;
        let load = Load::start(sim, &client);
        let (faults, ended) = Box::pin(Faults::new(sim.env()).run(&mut cluster, &client)).await;
        sim.note("all faults are over");
        sim.heal_all();
        cluster.start_all();
        let trial = Trial { sim, client: &client, control: self.control };
        let (sent, ends) = Box::pin(trial.recovered(&cluster, load)).await?;
        let topic = Box::pin(trial.within(WHOLE_WITHIN, "not whole again", reading::whole(&client))).await?;
        new_reigns(&ended, &topic)?;
        let seen = Box::pin(trial.within(PATIENCE, "not readable", reading::everything(&client))).await??;
        let violations = judge(&sent, &seen);
        let mut findings = self.after_power_loss(&mut cluster, &ends, &seen);
        findings.extend(trial.unexplained(&sent));
        sim.note(&format!("read {} with {} violations", seen.len(), violations.len()));
        Ok(End { violations, findings, read: seen.len(), ..end(faults, &sent, &topic) })
    }

    /// Cuts the power once more, and compares what is on the disks then. Everything below the high watermark must be.
    fn after_power_loss(
        self,
        cluster: &mut Cluster,
        ends: &[(PartitionIndex, Offset)],
        seen: &[Seen],
    ) -> Vec<String> {
        for machine in &mut cluster.machines {
            machine.lose_power(self.seed);
        }
        replicas::differences(cluster, ends, seen)
    }

    fn plant(self) -> Plant {
        match self.control {
            Control::Planted(bug) => Plant::Bug(bug),
            Control::Slipping(slip) => Plant::Slip(slip),
            Control::Nothing
            | Control::LyingSync
            | Control::OsFlush
            | Control::Unreachable
            | Control::OneVoter => Plant::Nothing,
        }
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

/// A cluster that nothing happens to any more, and that must show it.
struct Trial<'a> {
    sim: &'a Simulation,
    client: &'a Client,
    control: Control,
}

impl Trial<'_> {
    /// Gives every record sent so far its outcome, and then shows that the cluster is whole, takes writes of all producers
    /// in all partitions, and has them in all logs. Gives all records, and where the logs end.
    async fn recovered(
        &self,
        cluster: &Cluster,
        mut load: Load,
    ) -> Result<(Vec<Sent>, Vec<(PartitionIndex, Offset)>), String> {
        let client = self.client;
        if self.control.is_lossy() {
            allow_unclean_elections(client).await;
        }
        self.within(SETTLED_WITHIN, "records without an outcome", load.finish()).await?;
        self.within(WHOLE_WITHIN, "not whole again", reading::whole(client)).await?;
        if self.control.is_lossy() {
            return Ok((load.sent(), Vec::new()));
        }
        if self.control == Control::Unreachable {
            cluster.cut_client_off();
        }
        self.within(WRITTEN_WITHIN, "writes not acknowledged", load.write_everywhere(client)).await??;
        let level = self.within(LEVEL_WITHIN, "logs not level", replicas::level(cluster, client)).await;
        let ends = level.map_err(|state| format!("{state} {}", replicas::describe(cluster)))?;
        Ok((load.sent(), ends))
    }

    /// Says so if somebody does not know what became of a record. All faults together last for less than a record is tried, so
    /// that a producer has no cause to give one up.
    fn unexplained(&self, sent: &[Sent]) -> Option<String> {
        let unknown = sent.iter().filter(|sent| sent.fate == Fate::Unknown).count();
        let is_over = self.sim.now().elapsed() < DELIVERY_TIMEOUT;
        (is_over && !self.control.is_lossy() && unknown > 0)
            .then(|| format!("{unknown} records were given up whose outcome is not known"))
    }

    /// Awaits what must come by itself once nothing goes wrong any more.
    async fn within<T>(
        &self,
        limit: Duration,
        otherwise: &str,
        awaited: impl Future<Output = T>,
    ) -> Result<T, String> {
        let limit = if self.control.is_lossy() { PATIENCE } else { limit };
        let (env, began) = (self.sim.env(), self.sim.now());
        let Ok(value) = env.timeout(limit, Box::pin(awaited)).await else {
            let state = env.timeout(PATIENCE, Box::pin(reading::describe(self.client))).await;
            let state = state.unwrap_or_else(|_| "the cluster does not answer".to_owned());
            return Err(format!("{otherwise} after {} s: {state}", limit.as_secs()));
        };
        tracing::debug!(otherwise, after_ms = self.sim.now().since(began).as_millis(), "not so any more");
        Ok(value)
    }
}

/// Every partition whose leader was killed must have had another leader epoch since.
fn new_reigns(ended: &[EndedReign], topic: &TopicDetail) -> Result<(), String> {
    let goes_on = |reign: &&EndedReign| {
        let mut partitions = topic.partitions.iter();
        partitions.any(|at| at.partition == reign.partition && at.leader_epoch <= reign.leader_epoch)
    };
    ended.iter().find(goes_on).map_or(Ok(()), |reign| {
        Err(format!("partition {} has the epoch of a killed leader: {}", reign.partition, reign.leader_epoch))
    })
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
        findings: Vec::new(),
    }
}

impl Report {
    /// Whether the run came to its end with every promise kept, and no broker found one of its invariants broken.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let is_sound = self.monitors.values().all(|watched| watched.violated == 0);
        is_sound && self.end.as_ref().is_ok_and(|end| end.violations.is_empty() && end.findings.is_empty())
    }

    /// Writes what the brokers recorded into files of a directory, which is made.
    ///
    /// # Errors
    /// The system's.
    pub fn write_recordings(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        for (start, (node, bytes)) in self.recordings.iter().enumerate() {
            std::fs::write(dir.join(format!("node-{node}-{start:03}.trace")), bytes)?;
        }
        Ok(())
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
        let evaluations: u64 = self.monitors.values().map(|watched| watched.evaluated).sum();
        write!(f, " evaluations {evaluations} simulated-ms {}", self.simulated.as_millis())?;
        for (name, watched) in self.monitors.iter().filter(|(_, watched)| watched.violated > 0) {
            let (violated, first) = (watched.violated, watched.first.as_deref().unwrap_or_default());
            write!(f, "\nseed {seed} monitor {name} violated {violated}, first: {first}")?;
        }
        match &self.end {
            Ok(end) => {
                end.violations.iter().try_for_each(|found| write!(f, "\nseed {seed} violation {found}"))?;
                end.findings.iter().try_for_each(|found| write!(f, "\nseed {seed} finding {found}"))
            }
            Err(failure) => write!(f, "\nseed {seed} failure {failure}"),
        }
    }
}
