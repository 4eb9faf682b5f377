//! What a user may say to `highwater bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use highwater_client::settings::Acks;
use serde::Serialize;

use crate::cli::args::AcksArg;
use crate::config::value;
use crate::config::value::typed_duration;

/// What is to be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// How fast records are acknowledged, and how long each waits for that
    #[command(
        after_help = "Example: highwater bench produce --partitions 1,12,1000 --flush-policy commit,os -o json"
    )]
    Produce(Workload),
    /// How fast records are read from the beginning, and how long each takes from producer to consumer
    #[command(after_help = "Example: highwater bench consume --partitions 12 --flush-policy os")]
    Consume(Workload),
    /// How long nothing is acknowledged when a leader is killed with SIGKILL
    #[command(after_help = "Example: highwater bench failover --repeat 10")]
    Failover(Workload),
}

/// When a replica counts a record: `flush.policy` of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlushPolicy {
    /// When it is synced.
    Commit,
    /// When the operating system has it.
    Os,
}

impl FlushPolicy {
    /// As the topic's configuration has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Os => "os",
        }
    }
}

/// Which partition a record goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spread {
    /// One partition for a batch, then the next, as records without a key do.
    Sticky,
    /// Another partition for each record, as records with many keys do.
    RoundRobin,
}

/// The load, and what it is put on.
#[derive(Clone, Debug, Args)]
pub(crate) struct Workload {
    /// Brokers to start on this machine; not with -b, which measures a cluster that runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) brokers: u32,
    /// Partitions of the topic; several, separated by commas, are measured one after the other
    #[arg(
        long,
        default_value = "12",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        value_name = "N"
    )]
    pub(crate) partitions: Vec<u32>,
    /// Replicas of each partition; 3, or the number of brokers if that is less
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=9), value_name = "N")]
    pub(crate) replication_factor: Option<u16>,
    /// flush.policy of the topic; several are measured one after the other
    #[arg(long, default_value = "commit", value_delimiter = ',', value_name = "POLICY")]
    pub(crate) flush_policy: Vec<FlushPolicy>,
    /// Bytes of a record's value
    #[arg(
        long,
        default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(16..=524_288),
        value_name = "BYTES"
    )]
    pub(crate) record_size: u32,
    /// Measure so many records, however long they take
    #[arg(
        long,
        conflicts_with = "duration",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000),
        value_name = "N"
    )]
    pub(crate) records: Option<u64>,
    /// Measure for so long
    #[arg(long, default_value = "5s", value_parser = typed_duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// Load before the measurement, once every partition has acknowledged a record
    #[arg(long, default_value = "1s", value_parser = typed_duration, value_name = "TIME")]
    pub(crate) warm_up: Duration,
    /// When a record counts as written
    #[arg(long, default_value = "all")]
    pub(crate) acks: AcksArg,
    /// Producers, each with batches and a buffer of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) producers: u32,
    /// A batch is full at so many bytes
    #[arg(long, default_value = "64KiB", value_parser = typed_bytes, value_name = "BYTES")]
    pub(crate) batch_size: usize,
    /// How long a batch that is not full waits for more records
    #[arg(long, default_value = "5ms", value_parser = typed_duration, value_name = "TIME")]
    pub(crate) linger: Duration,
    /// Bytes that all producers together have under way; at full speed this decides the latency
    #[arg(long, default_value = "4MiB", value_parser = typed_bytes, value_name = "BYTES")]
    pub(crate) buffer: usize,
    /// Which partition a record goes to
    #[arg(long, default_value = "sticky", value_name = "HOW")]
    pub(crate) spread: Spread,
    /// Records a second of all producers, each measured from when it was due; without it, as fast as they are taken
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000), value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// How often everything is measured; the median is told, with the smallest and the largest
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) repeat: u32,
    /// A property of the brokers; {broker} stands for the directory of each
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) server_config: Vec<String>,
    /// Measure with this property of the brokers, too, in turns, and tell the ratio; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) compare: Vec<String>,
    /// Do not measure the machine's own network and disk
    #[arg(long)]
    pub(crate) no_limits: bool,
    /// Where to keep the brokers' files while they run; must not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Bytes, with or without a unit.
fn typed_bytes(text: &str) -> Result<usize, String> {
    let bytes = value::bytes(text)?.and_then(|bytes| usize::try_from(bytes).ok());
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| format!("{text:?} is no number of bytes above 0"))
}

impl Workload {
    /// `acks` as the client has it.
    pub(super) const fn acks(&self) -> Acks {
        match self.acks {
            AcksArg::None => Acks::None,
            AcksArg::Leader => Acks::Leader,
            AcksArg::All => Acks::All,
        }
    }

    /// Replicas of each partition.
    pub(super) fn replicas(&self) -> u16 {
        self.replication_factor.unwrap_or_else(|| u16::try_from(self.brokers.min(3)).unwrap_or(3))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(subcommand)]
        bench: Bench,
    }

    fn parse(words: &[&str]) -> Result<Bench, String> {
        let line = Line::try_parse_from(["bench"].iter().chain(words));
        line.map(|line| line.bench).map_err(|error| error.to_string())
    }

    #[test]
    fn several_partitions_and_policies_are_cases_of_one_run() {
        let words = ["produce", "--partitions", "1,12,1000", "--flush-policy", "commit,os"];
        let Ok(Bench::Produce(workload)) = parse(&words) else { panic!("it is well formed") };

        assert_eq!(workload.partitions, [1, 12, 1000]);
        assert_eq!(workload.flush_policy, [FlushPolicy::Commit, FlushPolicy::Os]);
        assert_eq!((workload.brokers, workload.replicas(), workload.record_size), (3, 3, 1024));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (words, told) in [
            (["produce", "--partitions", "0"].as_slice(), "--partitions"),
            (&["produce", "--flush-policy", "sometimes"], "--flush-policy"),
            (&["consume", "--record-size", "3"], "--record-size"),
            (&["consume", "--records", "5", "--duration", "5s"], "--records"),
            (&["failover", "--batch-size", "0"], "--batch-size"),
            (&["failover", "--repeat", "0"], "--repeat"),
        ] {
            let refused = parse(words).expect_err("it makes no sense");
            assert!(refused.contains(told), "{words:?}: {refused}");
        }
    }
}
