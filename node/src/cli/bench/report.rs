//! What a benchmark found: for people and for programs. Every number of a case is of all its repetitions together, and
//! each repetition is told, too.

use serde::Serialize;

use super::args::FlushPolicy;
use super::latency::Quantiles;
use super::limits::Limits;
use super::machine::Machine;
use super::spread::Spread;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// What was measured in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Records being acknowledged; the latency is that of the acknowledgement.
    Produce,
    /// Records that are there already being read from the beginning; there is no latency.
    Replay,
    /// Records being read as they are written; the latency is from the producer to the consumer.
    Live,
    /// Records being acknowledged while a leader is killed.
    Failover,
}

/// One broker during a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Broker {
    /// Its id.
    pub(super) broker: u32,
    /// Processor time, in seconds.
    pub(super) cpu_s: f64,
    /// The same for 10^9 bytes of values.
    pub(super) cpu_s_per_gb: f64,
    /// Resident memory at the end, in 10^6 bytes.
    pub(super) resident_mb: f64,
    /// The most that it had since it was started.
    pub(super) resident_mb_max: f64,
}

/// What came of a kill.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FailOver {
    /// The broker that was killed.
    pub(super) broker: u32,
    /// Whether it was the active controller.
    pub(super) was_active_controller: bool,
    /// How many partitions it led.
    pub(super) led_partitions: usize,
    /// The longest time between two acknowledgements of each of them, across the kill.
    pub(super) without_success: Quantiles,
    /// The longest of those.
    pub(super) without_success_ms: f64,
    /// From SIGKILL to when each of them had an acknowledgement by its next leader.
    pub(super) next_leaders_ms: f64,
    /// The longest time between two acknowledgements of any partition that it did not lead.
    pub(super) others_without_success_ms: f64,
}

/// One repetition of a case.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// Which repetition, from 0: a failed one is missing.
    pub(super) repetition: u32,
    /// Runnable processes of the machine on average over the minute before it began.
    pub(super) load_average: Option<f64>,
    /// From the request to create the topic to an acknowledged record of each of its partitions.
    pub(super) ready_ms: f64,
    /// How long it lasted.
    pub(super) seconds: f64,
    /// Records acknowledged, or read, in that time.
    pub(super) records: u64,
    /// Records that were not acknowledged.
    pub(super) failed: u64,
    /// Why the last of those was not.
    pub(super) last_error: Option<String>,
    /// 10^6 bytes of values a second.
    pub(super) mb_per_s: f64,
    /// Records a second.
    pub(super) records_per_s: f64,
    /// As the phase says.
    pub(super) latency: Option<Quantiles>,
    /// Processor time of all brokers and this process together, for 10^9 bytes of values.
    pub(super) cpu_s_per_gb: Option<f64>,
    /// The part of this process, which is the client.
    pub(super) client_cpu_s_per_gb: Option<f64>,
    /// Each broker that was started for this.
    pub(super) brokers: Vec<Broker>,
    /// What came of the kill.
    pub(super) failover: Option<FailOver>,
}

/// Everything about one phase at one setting.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Case {
    /// What was measured.
    pub(super) phase: Phase,
    /// Partitions of the topic.
    pub(super) partitions: u32,
    /// Its `flush.policy`.
    pub(super) flush_policy: FlushPolicy,
    /// The property that differs (`--compare`); nothing where none does.
    pub(super) changed: Option<String>,
    /// All repetitions together.
    pub(super) summary: Summary,
    /// The repetitions.
    pub(super) runs: Vec<Run>,
}

/// Repetitions together.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    /// From the request to create the topic to an acknowledged record of each of its partitions.
    pub(super) ready_ms: Option<Spread>,
    /// 10^6 bytes of values a second.
    pub(super) mb_per_s: Option<Spread>,
    /// Records a second.
    pub(super) records_per_s: Option<Spread>,
    /// Half of the latencies are at most so long.
    pub(super) p50_ms: Option<Spread>,
    /// 99 of 100.
    pub(super) p99_ms: Option<Spread>,
    /// 999 of 1000.
    pub(super) p99_9_ms: Option<Spread>,
    /// The longest time without an acknowledgement of a partition whose leader was killed.
    pub(super) without_success_ms: Option<Spread>,
    /// Processor time of all brokers and the client together, for 10^9 bytes of values.
    pub(super) cpu_s_per_gb: Option<Spread>,
    /// That of one broker.
    pub(super) broker_cpu_s_per_gb: Option<Spread>,
    /// The most resident memory of a broker, in 10^6 bytes.
    pub(super) broker_resident_mb_max: Option<Spread>,
    /// How the medians compare with those of the machine's limits.
    pub(super) of_limits: Option<OfLimits>,
}

/// Parts of what the machine can do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct OfLimits {
    /// Bytes a second over those of one QUIC connection, which has the whole machine for itself.
    pub(super) quic: f64,
    /// Bytes a second that all replicas write over those of one file: never synced under `os`, synced after each MiB
    /// under `commit`.
    pub(super) disk: f64,
    /// The processor time that a byte costs, over what it costs to send it to the leader and to the followers and to
    /// append it at each: 1 is the least possible.
    pub(super) cpu: Option<f64>,
}

/// A changed property over none, repetition by repetition.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Comparison {
    /// What was measured.
    pub(super) phase: Phase,
    /// Partitions of the topic.
    pub(super) partitions: u32,
    /// Its `flush.policy`.
    pub(super) flush_policy: FlushPolicy,
    /// The property that was changed.
    pub(super) changed: String,
    /// Bytes a second; below 1 is slower.
    pub(super) mb_per_s: Option<Spread>,
    /// The latency that 99 of 100 have; above 1 is slower.
    pub(super) p99_ms: Option<Spread>,
    /// Processor time for the same bytes; above 1 is dearer.
    pub(super) cpu_s_per_gb: Option<Spread>,
}

/// A whole benchmark.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// The command line.
    pub(super) command: Vec<String>,
    /// Version of this program.
    pub(super) version: &'static str,
    /// Whether it was built with optimization. If not, no number says anything.
    pub(super) optimized: bool,
    /// The machine.
    pub(super) machine: Machine,
    /// What was put on what.
    pub(super) workload: Workload,
    /// What the machine can do by itself, measured in the same run.
    pub(super) limits: Option<Limits>,
    /// The cases.
    pub(super) cases: Vec<Case>,
    /// The cases that differ in one property.
    pub(super) comparisons: Vec<Comparison>,
}

/// The settings that all cases share.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Workload {
    /// Brokers that were started; nothing where a cluster that runs was measured.
    pub(super) brokers: Option<u32>,
    /// Replicas of each partition.
    pub(super) replication_factor: u16,
    /// Bytes of a value.
    pub(super) record_bytes: u32,
    /// `acks`.
    pub(super) acks: &'static str,
    /// Producers.
    pub(super) producers: u32,
    /// `batch.size`.
    pub(super) batch_bytes: usize,
    /// `linger.ms`.
    pub(super) linger_ms: u64,
    /// Bytes that all producers together have under way.
    pub(super) buffer_bytes: usize,
    /// Which partition a record goes to.
    pub(super) spread: super::args::Spread,
    /// Records a second, if they were bound.
    pub(super) rate: Option<u32>,
    /// Records of a measurement, if they were bound.
    pub(super) records: Option<u64>,
    /// How long a measurement lasted, if its records were not bound.
    pub(super) duration_ms: Option<u64>,
    /// Load before it.
    pub(super) warm_up_ms: u64,
    /// How often each case was measured.
    pub(super) repetitions: u32,
    /// Properties of the brokers.
    pub(super) server_config: Vec<String>,
}

impl Case {
    /// Puts repetitions together.
    pub(super) fn of(
        (phase, partitions, flush_policy): (Phase, u32, FlushPolicy),
        changed: Option<String>,
        runs: Vec<Run>,
        limits: Option<&Limits>,
        replicas: u16,
    ) -> Self {
        let mut summary = Summary::of(&runs);
        let writes = phase == Phase::Produce;
        summary.of_limits = limits
            .filter(|_| writes)
            .and_then(|limits| summary.of_limit(limits, flush_policy, f64::from(replicas)));
        Self { phase, partitions, flush_policy, changed, summary, runs }
    }
}

impl Summary {
    fn of(runs: &[Run]) -> Self {
        let latency = |get: fn(&Quantiles) -> f64| {
            Spread::of(runs.iter().filter_map(|run| run.latency.as_ref()).map(get))
        };
        let brokers = || runs.iter().flat_map(|run| &run.brokers);
        Self {
            ready_ms: Spread::of(runs.iter().map(|run| run.ready_ms)),
            mb_per_s: Spread::of(runs.iter().map(|run| run.mb_per_s)),
            records_per_s: Spread::of(runs.iter().map(|run| run.records_per_s)),
            p50_ms: latency(|latency| latency.p50_ms),
            p99_ms: latency(|latency| latency.p99_ms),
            p99_9_ms: latency(|latency| latency.p99_9_ms),
            without_success_ms: Spread::of(
                runs.iter()
                    .filter_map(|run| run.failover.as_ref())
                    .map(|failover| failover.without_success_ms),
            ),
            cpu_s_per_gb: Spread::of(runs.iter().filter_map(|run| run.cpu_s_per_gb)),
            broker_cpu_s_per_gb: Spread::of(brokers().map(|broker| broker.cpu_s_per_gb)),
            broker_resident_mb_max: Spread::of(brokers().map(|broker| broker.resident_mb_max)),
            of_limits: None,
        }
    }

    fn of_limit(&self, limits: &Limits, flush_policy: FlushPolicy, replicas: f64) -> Option<OfLimits> {
        let mb_per_s = self.mb_per_s?.median;
        let disk = match flush_policy {
            FlushPolicy::Commit => limits.append_synced_mib,
            FlushPolicy::Os => limits.append,
        };
        let least = limits.quic.cpu_s_per_gb.zip(limits.append.cpu_s_per_gb);
        let least = least.map(|(quic, append)| replicas * (quic.median + append.median));
        Some(OfLimits {
            quic: mb_per_s / limits.quic.mb_per_s.median,
            disk: replicas * mb_per_s / disk.mb_per_s.median,
            cpu: self.cpu_s_per_gb.zip(least).map(|(cpu, least)| cpu.median / least),
        })
    }
}

impl Comparison {
    /// Each case with a changed property, beside the same one without.
    pub(super) fn of(cases: &[Case]) -> Vec<Self> {
        let same = |one: &Case, other: &Case| {
            (one.phase, one.partitions, one.flush_policy)
                == (other.phase, other.partitions, other.flush_policy)
        };
        let base = |case: &Case| cases.iter().find(|base| base.changed.is_none() && same(base, case));
        let compared = |case: &Case| {
            let (changed, base) = (case.changed.clone()?, base(case)?);
            let ratio = |get: fn(&Run) -> Option<f64>| {
                Spread::of(case.runs.iter().filter_map(|changed| {
                    let mut bases = base.runs.iter();
                    let base = bases.find(|base| base.repetition == changed.repetition)?;
                    let (changed, base) = (get(changed)?, get(base)?);
                    (base > 0.0).then(|| changed / base)
                }))
            };
            Some(Self {
                phase: case.phase,
                partitions: case.partitions,
                flush_policy: case.flush_policy,
                changed,
                mb_per_s: ratio(|run| Some(run.mb_per_s)),
                p99_ms: ratio(|run| run.latency.as_ref().map(|latency| latency.p99_ms)),
                cpu_s_per_gb: ratio(|run| run.cpu_s_per_gb),
            })
        };
        cases.iter().filter_map(compared).collect()
    }
}

const HEADINGS: &[&str] = &[
    "PHASE",
    "PARTITIONS",
    "FLUSH",
    "CHANGED",
    "READY MS",
    "MB/S",
    "RECORDS/S",
    "P50 MS",
    "P99 MS",
    "P99.9 MS",
    "SILENT MS",
    "CPU S/GB",
    "BROKER S/GB",
    "RSS MB",
];

const OVER_LIMITS: &[&str] = &["PHASE", "PARTITIONS", "FLUSH", "CHANGED", "QUIC", "DISK", "CPU"];

const COMPARED: &[&str] = &["PHASE", "PARTITIONS", "FLUSH", "CHANGED", "MB/S", "P99", "CPU"];

impl Report {
    /// Tells a person.
    pub(super) fn print(&self, output: &Output) -> Result<(), Failure> {
        if !self.optimized {
            output.note("warning: built without optimization; no number says anything");
        }
        let rows: Vec<Vec<String>> = self.cases.iter().map(Case::row).collect();
        output.table(HEADINGS, &rows)?;
        if let Some(limits) = &self.limits {
            output.text(format!("\nThis machine by itself, {} bytes at a time:\n", limits.write_bytes))?;
            output.table(&["LIMIT", "MB/S", "CPU S/GB"], &limits.rows())?;
            output.text("\nMedians over these limits:\n")?;
            let rows: Vec<Vec<String>> = self.cases.iter().filter_map(Case::limits_row).collect();
            output.table(OVER_LIMITS, &rows)?;
        }
        if !self.comparisons.is_empty() {
            output.text("\nChanged over unchanged:\n")?;
            let rows: Vec<Vec<String>> = self.comparisons.iter().map(Comparison::row).collect();
            output.table(COMPARED, &rows)?;
        }
        Ok(())
    }
}

fn cell(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.text(decimals))
}

fn key(phase: Phase, partitions: u32, flush_policy: FlushPolicy, changed: Option<&str>) -> Vec<String> {
    let phase = match phase {
        Phase::Produce => "produce",
        Phase::Replay => "replay",
        Phase::Live => "live",
        Phase::Failover => "failover",
    };
    let changed = changed.unwrap_or("-").to_owned();
    vec![phase.to_owned(), partitions.to_string(), flush_policy.name().to_owned(), changed]
}

impl Case {
    fn row(&self) -> Vec<String> {
        let it = &self.summary;
        let mut row = key(self.phase, self.partitions, self.flush_policy, self.changed.as_deref());
        row.extend([cell(it.ready_ms, 0), cell(it.mb_per_s, 1), cell(it.records_per_s, 0)]);
        row.extend([cell(it.p50_ms, 2), cell(it.p99_ms, 2), cell(it.p99_9_ms, 2)]);
        row.extend([cell(it.without_success_ms, 0), cell(it.cpu_s_per_gb, 2)]);
        row.extend([cell(it.broker_cpu_s_per_gb, 2), cell(it.broker_resident_mb_max, 0)]);
        row
    }

    fn limits_row(&self) -> Option<Vec<String>> {
        let of = self.summary.of_limits?;
        let mut row = key(self.phase, self.partitions, self.flush_policy, self.changed.as_deref());
        let cpu = of.cpu.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2}"));
        row.extend([format!("{:.3}", of.quic), format!("{:.3}", of.disk), cpu]);
        Some(row)
    }
}

impl Comparison {
    fn row(&self) -> Vec<String> {
        let mut row = key(self.phase, self.partitions, self.flush_policy, Some(&self.changed));
        row.extend([cell(self.mb_per_s, 2), cell(self.p99_ms, 2), cell(self.cpu_s_per_gb, 2)]);
        row
    }
}

impl Limits {
    fn rows(&self) -> Vec<Vec<String>> {
        let limits = [
            ("one QUIC connection", self.quic),
            ("append", self.append),
            ("append, synced each time", self.append_synced_each),
            ("append, synced after each MiB", self.append_synced_mib),
        ];
        let row = |(name, limit): (&str, super::limits::Limit)| {
            vec![name.to_owned(), cell(Some(limit.mb_per_s), 0), cell(limit.cpu_s_per_gb, 2)]
        };
        limits.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests;
