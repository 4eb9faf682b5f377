//! The table of configuration keys: name, form, default, meaning, and what Highwater does with each.
//!
//! Leaves where values come from to `layers` and what they become to `config`. `docs/CONFIGURATION.md` is this table;
//! a test keeps the two in step.

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// A whole number within these bounds, both inclusive.
    Number(i64, i64),
    /// `true` or `false`.
    Flag,
    /// Milliseconds as a plain number, or with a unit: `200ms`, `1s`, `7d`. `-1` where there may be no limit.
    Milliseconds,
    /// Hours or minutes as a plain number.
    Count,
    /// Bytes as a plain number, or with a unit: `64KiB`, `1GiB`. `-1` where there may be no limit.
    Bytes,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Values separated by commas.
    List,
}

/// What Highwater does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It takes effect.
    Applied,
    /// It is read and checked; what it governs is not built yet, and a warning says so if it is set.
    Accepted,
    /// Another spelling of this key.
    AliasOf(&'static str),
}

/// One configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Kafka's property name, or Highwater's own where Kafka has none.
    pub name: &'static str,
    /// The form of its value.
    pub form: Form,
    /// Its default as it would be written, or `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether it takes effect.
    pub support: Support,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

const fn key(name: &'static str, form: Form, default: Option<&'static str>, meaning: &'static str) -> Key {
    Key { name, form, default, support: Support::Applied, meaning }
}

const fn accepted(
    name: &'static str,
    form: Form,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Key {
    Key { name, form, default, support: Support::Accepted, meaning }
}

const fn alias(name: &'static str, of: &'static str, meaning: &'static str) -> Key {
    Key { name, form: Form::Text, default: None, support: Support::AliasOf(of), meaning }
}

const INT: i64 = i32::MAX as i64;

/// Every key that Highwater knows, in the order in which it is documented.
pub const KEYS: &[Key] = &[
    key("node.id", Form::Number(0, INT), None, "Number of this process in the cluster; required."),
    alias("broker.id", "node.id", "Kafka's older name of `node.id`."),
    key("cluster.id", Form::Text, None, "The cluster; checked against the formatted directory if set."),
    key(
        "process.roles",
        Form::List,
        Some("broker,controller"),
        "What this process is: `broker`, `controller`, or both.",
    ),
    key("controller.quorum.voters", Form::List, None, "The controllers, as `1@host:port,2@host:port,…`."),
    accepted(
        "controller.quorum.bootstrap.servers",
        Form::List,
        None,
        "Where to ask for the controllers, as `host:port,…`; name them in `controller.quorum.voters` instead.",
    ),
    key(
        "listeners",
        Form::List,
        Some("QUIC://localhost:9092"),
        "The address to listen on, as `QUIC://host:port`; an empty host means every interface.",
    ),
    key(
        "advertised.listeners",
        Form::List,
        None,
        "The address that others are told, if it is not `listeners`.",
    ),
    key(
        "log.dirs",
        Form::List,
        None,
        "Directories that hold logs, on a disk of their own each; required, and never temporary ones. The first holds the metadata.",
    ),
    key(
        "metadata.log.dir",
        Form::Text,
        None,
        "The one of `log.dirs` that holds the metadata, if it is not the first.",
    ),
    key(
        "metadata.log.max.record.bytes.between.snapshots",
        Form::Bytes,
        Some("20971520"),
        "A snapshot of the metadata is taken when so many bytes have been committed since the last one.",
    ),
    alias("log.dir", "log.dirs", "Kafka's name for a single `log.dirs`."),
    key(
        "num.partitions",
        Form::Number(1, INT),
        Some("1"),
        "Partitions of a topic that is created without a number.",
    ),
    key(
        "default.replication.factor",
        Form::Number(1, 32767),
        Some("1"),
        "Replicas of a topic that is created without a number.",
    ),
    key(
        "min.insync.replicas",
        Form::Number(1, 32767),
        Some("1"),
        "Replicas that must be in sync for `acks=all`; given to topics when they are created here.",
    ),
    key(
        "flush.policy",
        Form::Choice(&["commit", "os"]),
        Some("commit"),
        "`commit`: a replica counts only what it has synced; `os`: the page cache counts, as in Kafka. Given to topics when they are created here.",
    ),
    key(
        "unclean.leader.election.enable",
        Form::Flag,
        Some("false"),
        "Whether a replica that lacks acknowledged records may lead; given to topics when they are created here.",
    ),
    key(
        "message.max.bytes",
        Form::Bytes,
        Some("1048588"),
        "Largest record batch; given to topics when they are created here.",
    ),
    accepted(
        "socket.request.max.bytes",
        Form::Bytes,
        Some("104857600"),
        "Largest request, payload included.",
    ),
    key(
        "log.segment.bytes",
        Form::Bytes,
        Some("1073741824"),
        "Size at which a log starts a new segment file; given to topics when they are created here.",
    ),
    accepted(
        "log.retention.ms",
        Form::Milliseconds,
        None,
        "How long records are kept; before `log.retention.minutes` and `.hours`.",
    ),
    accepted("log.retention.minutes", Form::Count, None, "How long records are kept, in minutes."),
    accepted("log.retention.hours", Form::Count, Some("168"), "How long records are kept, in hours."),
    accepted(
        "log.retention.bytes",
        Form::Bytes,
        Some("-1"),
        "How many bytes of a partition are kept; `-1` for all.",
    ),
    accepted(
        "log.retention.check.interval.ms",
        Form::Milliseconds,
        Some("300000"),
        "How often retention is looked at.",
    ),
    key(
        "replica.lag.time.max.ms",
        Form::Milliseconds,
        Some("5000"),
        "A follower that has not caught up for so long leaves the ISR.",
    ),
    key(
        "replica.fetch.backoff.ms",
        Form::Milliseconds,
        Some("500"),
        "A follower's fetch that was not answered is sent again after so long.",
    ),
    key(
        "replica.fetch.response.max.bytes",
        Form::Bytes,
        Some("1048576"),
        "About how much one answer to a follower carries.",
    ),
    key(
        "queued.max.requests",
        Form::Number(1, 1_000_000),
        Some("512"),
        "Requests of one connection that may be under way.",
    ),
    key(
        "queued.max.request.bytes",
        Form::Bytes,
        Some("536870912"),
        "Bytes of requests that are held at a time, of all clients together. Past it nothing more is read from them.",
    ),
    key(
        "max.connections",
        Form::Number(1, 1_000_000),
        Some("4096"),
        "Connections of clients at a time. One more is closed.",
    ),
    key(
        "request.timeout.ms",
        Form::Milliseconds,
        Some("10000"),
        "How long one broker waits for the answer of another.",
    ),
    key(
        "broker.session.timeout.ms",
        Form::Milliseconds,
        Some("1000"),
        "A broker that was not heard of for so long is fenced.",
    ),
    key(
        "broker.heartbeat.interval.ms",
        Form::Milliseconds,
        Some("200"),
        "How often a broker tells the controller that it lives.",
    ),
    key(
        "controller.quorum.fetch.timeout.ms",
        Form::Milliseconds,
        Some("600"),
        "A controller that could not fetch from the leader for so long starts an election.",
    ),
    key(
        "controller.quorum.election.timeout.ms",
        Form::Milliseconds,
        Some("300"),
        "How long a candidate waits for votes, with up to as much again at random.",
    ),
    key(
        "controller.quorum.request.timeout.ms",
        Form::Milliseconds,
        Some("150"),
        "A message between controllers that was not answered is sent again after so long.",
    ),
    key(
        "controlled.shutdown.enable",
        Form::Flag,
        Some("true"),
        "Whether leaders move away before a broker stops.",
    ),
    key(
        "controlled.shutdown.max.ms",
        Form::Milliseconds,
        Some("10000"),
        "How long a stopping broker waits for its leaders to move away.",
    ),
    key(
        "trace.dir",
        Form::Text,
        None,
        "A directory in which the broker records its protocol steps and acts, for `verify trace`; nothing is recorded without it.",
    ),
    key(
        "trace.max.bytes",
        Form::Bytes,
        Some("268435456"),
        "How large the files of a trace may be together; the oldest go first.",
    ),
    key(
        "monitor.enable",
        Form::Flag,
        Some("true"),
        "Whether the broker holds its protocol cores against the checker's predicates while it runs; docs/OPERATIONS.md says what it counts.",
    ),
    key(
        "monitor.steps",
        Form::Number(1, 1_000_000),
        Some("256"),
        "Once in how many steps of a protocol core its whole state is looked at; always after a change of role, epoch or log.",
    ),
    key("ssl.keystore.type", Form::Text, Some("PEM"), "Only `PEM`; Java keystores are not read."),
    key(
        "ssl.keystore.location",
        Form::Text,
        None,
        "A PEM file with the private key and the certificate chain.",
    ),
    key(
        "ssl.keystore.certificate.chain",
        Form::Text,
        None,
        "The certificate chain as PEM text, instead of the file.",
    ),
    key(
        "ssl.keystore.key",
        Form::Text,
        None,
        "The private key as PEM text (PKCS#8, not encrypted), instead of the file.",
    ),
    key("ssl.truststore.type", Form::Text, Some("PEM"), "Only `PEM`; Java keystores are not read."),
    key("ssl.truststore.location", Form::Text, None, "A PEM file with the trusted root certificates."),
    key(
        "ssl.truststore.certificates",
        Form::Text,
        None,
        "The trusted root certificates as PEM text, instead of the file.",
    ),
];

/// Kafka's keys that Highwater knows of and does nothing with: setting one is a warning, not an error.
pub const UNSUPPORTED: &[&str] = &[
    "advertised.host.name",
    "alter.config.policy.class.name",
    "authorizer.class.name",
    "auto.create.topics.enable",
    "auto.leader.rebalance.enable",
    "background.threads",
    "compression.type",
    "connections.max.idle.ms",
    "controller.listener.names",
    "controller.quorum.append.linger.ms",
    "controller.quorum.retry.backoff.ms",
    "delete.topic.enable",
    "early.start.listeners",
    "fetch.max.bytes",
    "group.initial.rebalance.delay.ms",
    "group.max.session.timeout.ms",
    "group.min.session.timeout.ms",
    "initial.broker.registration.timeout.ms",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "log.cleaner.enable",
    "log.cleanup.policy",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.index.interval.bytes",
    "log.message.timestamp.type",
    "log.roll.hours",
    "log.roll.ms",
    "metadata.log.segment.bytes",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "offsets.retention.minutes",
    "offsets.topic.num.partitions",
    "offsets.topic.replication.factor",
    "rack",
    "broker.rack",
    "replica.fetch.max.bytes",
    "replica.fetch.min.bytes",
    "replica.socket.timeout.ms",
    "sasl.enabled.mechanisms",
    "security.inter.broker.protocol",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "ssl.client.auth",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.principal.mapping.rules",
    "ssl.truststore.password",
    "super.users",
    "transaction.state.log.min.isr",
    "transaction.state.log.replication.factor",
    "zookeeper.connect",
];

/// The key of this name, aliases included.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known name nearest to this one, if one is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance_max = 1 + name.len() / 5;
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace) between two names.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut above_left = i;
        let mut before = i + 1;
        let mut next = vec![before];
        for (b, above) in right.chars().zip(row.iter().skip(1)) {
            let cost = above_left + usize::from(a != b);
            before = cost.min(above + 1).min(before + 1);
            above_left = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_has_one_entry_and_aliases_lead_to_keys() {
        let names: BTreeSet<&str> =
            KEYS.iter().map(|key| key.name).chain(UNSUPPORTED.iter().copied()).collect();

        assert_eq!(names.len(), KEYS.len() + UNSUPPORTED.len());
        for key in KEYS {
            if let Support::AliasOf(of) = key.support {
                assert!(find(of).is_some_and(|target| target.support == Support::Applied), "{of}");
            }
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_key_that_was_meant() {
        let known = || KEYS.iter().map(|key| key.name);
        assert_eq!(nearest("min.insync.replica", known()), Some("min.insync.replicas"));
        assert_eq!(nearest("logs.dir", known()), Some("log.dir"));
        assert_eq!(nearest("something.else.entirely", known()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_log_directory_has_no_default() {
        assert_eq!(find("log.dirs").and_then(|key| key.default), None);
    }
}
