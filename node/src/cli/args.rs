//! What a user may type: commands, flags and their twins in the environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::bench::args::Bench;
use crate::config::value::typed_duration;

/// A partitioned, replicated log whose protocol core is model-checked.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  highwater quickstart                  see a cluster survive kill -9 of a leader
  highwater dev                         three brokers on this machine, to play with
  highwater -b localhost:9092 topic list

Exit codes: 0 done, 1 an operation failed, 2 usage, 3 unreachable or timed out, 4 a check said no,
5 inconclusive, 130 interrupted.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Brokers to ask first, as HOST:PORT,…
    #[arg(
        short = 'b',
        long,
        alias = "bootstrap",
        global = true,
        env = "HIGHWATER_BOOTSTRAP_SERVER",
        value_name = "HOST:PORT"
    )]
    pub(crate) bootstrap_server: Option<String>,
    /// File of client properties (Java .properties or TOML), such as ssl.keystore.location
    #[arg(long, global = true, env = "HIGHWATER_COMMAND_CONFIG", value_name = "FILE")]
    pub(crate) command_config: Option<PathBuf>,
    /// A client property; goes before the file
    #[arg(short = 'X', global = true, value_name = "NAME=VALUE")]
    pub(crate) property: Vec<String>,
    /// How long to wait: seconds, or with a unit, such as 500ms or 2m
    #[arg(long, global = true, env = "HIGHWATER_TIMEOUT", value_parser = typed_duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// Text for people, json or jsonl for programs
    #[arg(
        short = 'o',
        long,
        global = true,
        env = "HIGHWATER_OUTPUT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub(crate) output: Format,
    /// Print nothing but results and errors
    #[arg(
        short = 'q',
        long,
        global = true,
        env = "HIGHWATER_QUIET",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(crate) quiet: bool,
    /// Say more: -v for what is done, -vv for how
    #[arg(short = 'v', long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, env = "HIGHWATER_COLOR", default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One document.
    Json,
    /// One document per line, for streams.
    Jsonl,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker, a controller, or both
    Server(Server),
    /// Prepare a log directory: give it an identity, and its first controllers
    Format(FormatDirectory),
    /// Run a small cluster on this machine
    Dev(Dev),
    /// See a cluster survive the kill of a leader: start, produce, kill, restart, consume, compare
    Quickstart(Quickstart),
    /// Measure throughput, latency, fail-over and cost, beside what the machine's network and disk can do
    #[command(subcommand)]
    Bench(Bench),
    /// Create, list, describe, grow and delete topics
    #[command(subcommand)]
    Topic(Topic),
    /// Show and change the configuration of topics
    #[command(subcommand)]
    Config(Config),
    /// Write lines from standard input, or from a file, to a topic
    Produce(Produce),
    /// Read records of a topic
    Consume(Consume),
    /// The cluster as a whole
    #[command(subcommand)]
    Cluster(Cluster),
    /// The metadata quorum
    #[command(subcommand)]
    Quorum(Quorum),
    /// Files of a broker's log
    #[command(subcommand)]
    Log(Log),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Server {
    /// Configuration file: Java .properties, or .toml
    #[arg(short = 'c', long, env = "HIGHWATER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set a property; goes before environment and file
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print every property with its value and origin, and stop
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Check the configuration, and stop
    #[arg(long)]
    pub(crate) check_config: bool,
    /// End when the process that started this one, of this id, ends
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) with_parent: Option<u32>,
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Every controller's directory id must be known to all before the first start, so make them up first:
  highwater format -c one.properties --cluster-id UUID --directory-id UUID1 \\
    --initial-controllers 1@a:9092:UUID1,2@b:9092:UUID2,3@c:9092:UUID3
A single node needs none of this: highwater format -c server.properties"
)]
pub(crate) struct FormatDirectory {
    #[command(flatten)]
    pub(crate) server: Server,
    /// The cluster; a new one is made up if it is not given
    #[arg(long, value_name = "UUID")]
    pub(crate) cluster_id: Option<String>,
    /// The directory's own identity; a new one is made up if it is not given and not among the controllers
    #[arg(long, value_name = "UUID")]
    pub(crate) directory_id: Option<String>,
    /// The first controllers of the cluster, the same list on every node
    #[arg(long, value_delimiter = ',', value_name = "ID@HOST:PORT:DIRECTORY-ID")]
    pub(crate) initial_controllers: Vec<String>,
    /// Prepare a node that joins a running cluster and is no controller from the start
    #[arg(long, conflicts_with = "initial_controllers")]
    pub(crate) no_initial_controllers: bool,
    /// Leave a directory alone that is formatted already
    #[arg(long)]
    pub(crate) ignore_formatted: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Dev {
    /// Where to keep the cluster; it goes on from there the next time
    #[arg(long, default_value = ".highwater/dev", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// How many brokers a new cluster has; 3 if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) brokers: Option<u32>,
    /// Port of the first broker of a new cluster, 9092 if not given; the others follow
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Quickstart {
    /// How many brokers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) brokers: u32,
    /// How many records, if no input is given
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) records: u64,
    /// Produce the lines of this file instead of the built-in website activity
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Kill nobody
    #[arg(long, conflicts_with = "fail_over_max")]
    pub(crate) no_kill: bool,
    /// Fail (exit 4) if the fail-over takes longer
    #[arg(long, value_parser = typed_duration, value_name = "TIME")]
    pub(crate) fail_over_max: Option<Duration>,
    /// Decides the records, the moment of the kill, and whom it hits; made up if it is not given
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Leave the cluster running, and say what to type next
    #[arg(long)]
    pub(crate) keep: bool,
    /// Let the brokers record there what they do, for `verify trace`
    #[arg(long, value_name = "DIR")]
    pub(crate) trace: Option<PathBuf>,
    /// Where to keep the cluster's files; must not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// Create topics
    #[command(
        after_help = "Example: highwater topic create visits -p 6 -r 3 -c min.insync.replicas=2 -c retention.ms=7d"
    )]
    Create {
        /// Names
        #[arg(required = true)]
        names: Vec<String>,
        /// Partitions; the broker's num.partitions if not given
        #[arg(short = 'p', long)]
        partitions: Option<u32>,
        /// Replicas of each; the broker's default.replication.factor if not given
        #[arg(short = 'r', long)]
        replication_factor: Option<u16>,
        /// Topic configuration; sizes and durations may have units
        #[arg(short = 'c', long = "config", value_name = "NAME=VALUE")]
        configs: Vec<String>,
        /// It is fine if it exists
        #[arg(long)]
        if_not_exists: bool,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List topics
    List,
    /// Show partitions, leaders, replicas, and who is missing
    Describe {
        /// Names; all if none is given
        names: Vec<String>,
    },
    /// Grow a topic; partitions are never taken away
    AddPartitions {
        /// Name
        name: String,
        /// How many partitions it shall have in all
        #[arg(long)]
        to: u32,
    },
    /// Delete topics and everything in them
    Delete {
        /// Names
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show the configuration of a topic, with the source of each value
    Get {
        /// The topic
        topic: String,
        /// Only these
        names: Vec<String>,
    },
    /// Change the configuration of a topic
    #[command(after_help = "Example: highwater config set visits min.insync.replicas=2 --unset flush.policy")]
    Set {
        /// The topic
        topic: String,
        /// What to set
        #[arg(value_name = "NAME=VALUE")]
        values: Vec<String>,
        /// What to put back to its default
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
    },
}

/// How many acknowledgements a record needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AcksArg {
    /// None.
    #[value(name = "0")]
    None,
    /// The leader's.
    #[value(name = "1")]
    Leader,
    /// Every in-sync replica's.
    #[value(name = "all", alias = "-1")]
    All,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: seq 1000 | highwater produce numbers --acks all")]
pub(crate) struct Produce {
    /// The topic
    pub(crate) topic: String,
    /// Read lines from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// When a record counts as written
    #[arg(long, default_value = "all")]
    pub(crate) acks: AcksArg,
    /// The key of every record
    #[arg(short = 'k', long)]
    pub(crate) key: Option<String>,
    /// What separates key and value within a line
    #[arg(long, conflicts_with = "key", value_name = "TEXT")]
    pub(crate) key_separator: Option<String>,
    /// A header of every record
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    pub(crate) headers: Vec<String>,
    /// The partition, if it shall not be chosen by the key
    #[arg(long)]
    pub(crate) partition: Option<u32>,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// With the first record that is kept.
    Beginning,
    /// With the next record to be written.
    End,
    /// With this offset, inclusive.
    Offset(u64),
    /// So many records before the end.
    Back(u64),
}

fn parse_from(text: &str) -> Result<From, String> {
    let wrong = || {
        format!("{text:?} is neither beginning, nor end, nor an offset, nor -N for N records before the end")
    };
    match text {
        "beginning" | "start" => Ok(From::Beginning),
        "end" => Ok(From::End),
        _ => match text.strip_prefix('-') {
            Some(back) => back.parse().map(From::Back).map_err(|_| wrong()),
            None => text.parse().map(From::Offset).map_err(|_| wrong()),
        },
    }
}

/// Where to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// At what is the end when the command starts.
    End,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: highwater consume visits --from beginning --until end -o jsonl")]
pub(crate) struct Consume {
    /// The topic
    pub(crate) topic: String,
    /// Where to begin: beginning, end, an offset, or -N
    #[arg(long, default_value = "end", value_parser = parse_from, allow_hyphen_values = true)]
    pub(crate) from: From,
    /// Where to stop; without it, never
    #[arg(long)]
    pub(crate) until: Option<Until>,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Only this partition; may be repeated
    #[arg(long)]
    pub(crate) partition: Vec<u32>,
    /// Print keys, too, before a tab
    #[arg(long)]
    pub(crate) print_key: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Brokers, controller, and how healthy the partitions are
    Status,
    /// What the brokers' runtime monitors have evaluated and found; exit 4 if an invariant was broken
    #[command(after_help = "Example: highwater -b localhost:9092 cluster monitors --all

docs/OPERATIONS.md says what the counts mean, and what to do about a violation.")]
    Monitors {
        /// Show those that found nothing, too
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quorum {
    /// Leader, epoch, voters and how far each is
    Status,
    /// Make a running observer a voter
    Add {
        /// Its node.id
        node: u32,
        /// Its directory id, as quorum status shows it
        #[arg(long, value_name = "UUID")]
        directory: Option<String>,
    },
    /// Take a voter's vote away
    Remove {
        /// Its node.id
        node: u32,
        /// Its directory id, as quorum status shows it
        #[arg(long, value_name = "UUID")]
        directory: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Print the batches and records of a segment file, checking each
    Dump {
        /// A .log file
        file: PathBuf,
        /// Print the records, too
        #[arg(long)]
        records: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_start_may_be_named_or_counted() {
        assert_eq!(parse_from("beginning"), Ok(From::Beginning));
        assert_eq!(parse_from("42"), Ok(From::Offset(42)));
        assert_eq!(parse_from("-10"), Ok(From::Back(10)));
        assert!(parse_from("soon").is_err());
    }

    #[test]
    fn global_flags_may_come_last() {
        let cli =
            Cli::try_parse_from(["highwater", "topic", "list", "-b", "h:1", "-o", "json"]).expect("parses");

        assert_eq!(cli.global.bootstrap_server.as_deref(), Some("h:1"));
        assert_eq!(cli.global.output, Format::Json);
    }
}
