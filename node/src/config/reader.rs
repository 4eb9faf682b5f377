//! Turns the settings of each key into its typed value, gathering everything that is wrong on the way.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use highwater_model::id::{ClusterId, NodeId};

use super::key::{self, Form};
use super::layers::{Layers, Origin, Setting};
use super::value::{self, Endpoint};
use super::{FlushPolicy, Problem, Problems, ReadText, Roles, ServerConfig, Timing, TlsPem, TopicDefaults};

/// Properties of a broker that are the defaults of topic properties, and the names of those.
const TOPIC_PROPERTIES: &[(&str, &str)] = &[
    ("min.insync.replicas", "min.insync.replicas"),
    ("flush.policy", "flush.policy"),
    ("unclean.leader.election.enable", "unclean.leader.election.enable"),
    ("message.max.bytes", "max.message.bytes"),
    ("log.segment.bytes", "segment.bytes"),
];

/// The smallest bound of a trace, in bytes.
const TRACE_BYTES_MIN: u32 = 1 << 20;

/// Reads typed values out of [`Layers`].
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    read: ReadText<'a>,
    problems: Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers, read: ReadText<'a>) -> Self {
        Self { layers, read, problems: layers.problems.clone() }
    }

    pub(super) fn finish(self) -> Problems {
        self.problems
    }

    /// The whole configuration, or `None` if something is missing; then there is a problem that says what.
    pub(super) fn server_config(&mut self) -> Option<ServerConfig> {
        let node = self.node();
        let cluster = self.cluster();
        let roles = self.roles();
        let quorum_voters = self.items("controller.quorum.voters", value::voter);
        let listener = self.listener();
        let advertised = self.advertised(listener.as_ref());
        let log_dirs = self.log_dirs();
        let metadata_snapshot_bytes = self.limit_u32("metadata.log.max.record.bytes.between.snapshots");
        let topic_defaults = self.topic_defaults();
        let replica_fetch_bytes_max = self.limit_u32("replica.fetch.response.max.bytes");
        let requests_in_flight_max = self.small("queued.max.requests");
        let queued_request_bytes_max = self.limit_u32("queued.max.request.bytes");
        let client_connections_max = self.small("max.connections");
        let request_bytes_max = self.limit_u32("socket.request.max.bytes");
        let timing = self.timing();
        let trace_dir = self.text("trace.dir").map(PathBuf::from);
        let trace_bytes_max = self.trace_bytes_max();
        let monitor_steps = self.monitor_steps();
        let tls = self.tls();
        Some(ServerConfig {
            node: node?,
            cluster,
            roles,
            quorum_voters,
            listener: listener?,
            advertised: advertised?,
            log_dirs,
            metadata_snapshot_bytes,
            topic_defaults,
            replica_fetch_bytes_max,
            requests_in_flight_max,
            queued_request_bytes_max,
            client_connections_max,
            request_bytes_max,
            timing,
            trace_dir,
            trace_bytes_max,
            monitor_steps,
            tls: tls?,
        })
    }

    /// A trace is spread over several files, none of which is tiny.
    fn trace_bytes_max(&mut self) -> u32 {
        let bytes = self.limit_u32("trace.max.bytes");
        if (1..TRACE_BYTES_MIN).contains(&bytes) {
            let what = format!("is {bytes}, less than {TRACE_BYTES_MIN}");
            self.refuse("trace.max.bytes", what, "give it a mebibyte at least: 1MiB");
        }
        bytes
    }

    /// A refused number is told even where the monitors are off.
    fn monitor_steps(&mut self) -> Option<NonZeroU32> {
        let steps = NonZeroU32::new(self.small("monitor.steps"));
        steps.filter(|_| self.flag("monitor.enable"))
    }

    fn setting(&self, name: &str) -> Option<Setting> {
        key::find(name).and_then(|key| self.layers.get(key))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.setting(name).map(|setting| setting.value).filter(|value| !value.is_empty())
    }

    fn refuse(&mut self, name: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(name, what, hint));
    }

    fn node(&mut self) -> Option<NodeId> {
        if self.text("node.id").is_none() {
            self.refuse(
                "node.id",
                "is not set",
                "give each process of the cluster a number: --set node.id=1",
            );
            return None;
        }
        u32::try_from(self.number("node.id")?).ok().map(NodeId)
    }

    fn cluster(&mut self) -> Option<ClusterId> {
        let text = self.text("cluster.id")?;
        let parsed = parse_uuid(&text).map(ClusterId);
        if parsed.is_none() {
            self.refuse(
                "cluster.id",
                format!("{text:?} is not a UUID"),
                "highwater format prints one that is",
            );
        }
        parsed
    }

    fn roles(&mut self) -> Roles {
        let words = self.text("process.roles").map(|text| value::list(&text)).unwrap_or_default();
        let has = |word: &str| words.iter().any(|have| have == word);
        let roles = Roles { broker: has("broker"), controller: has("controller") };
        let others = words.iter().any(|word| word != "broker" && word != "controller");
        if others || !(roles.broker || roles.controller) {
            let what = format!("is {:?}", words.join(","));
            self.refuse("process.roles", what, "use broker, controller, or broker,controller");
        }
        roles
    }

    fn listener(&mut self) -> Option<Endpoint> {
        let listeners = self.items("listeners", value::listener);
        if listeners.len() > 1 {
            self.refuse("listeners", "names more than one address", "one QUIC:// listener serves everything");
        }
        listeners.into_iter().next()
    }

    fn advertised(&mut self, listener: Option<&Endpoint>) -> Option<Endpoint> {
        let advertised = self.items("advertised.listeners", value::listener).into_iter().next();
        let chosen = advertised.or_else(|| listener.cloned())?;
        if chosen.host.is_empty() || chosen.host == "0.0.0.0" || chosen.host == "::" {
            let what = format!("would be {chosen}, which nobody can connect to");
            self.refuse(
                "advertised.listeners",
                what,
                "set advertised.listeners=QUIC://NAME:PORT, as others reach this host",
            );
            return None;
        }
        Some(chosen)
    }

    /// The log directories, the one with the metadata first.
    fn log_dirs(&mut self) -> Vec<PathBuf> {
        let listed = self.text("log.dirs").map(|text| value::list(&text)).unwrap_or_default();
        let mut dirs: Vec<PathBuf> = listed.into_iter().map(PathBuf::from).collect();
        if dirs.is_empty() {
            let hint = "set log.dirs to a directory on a disk that is kept, for example --set log.dirs=/var/lib/highwater";
            self.refuse("log.dirs", "is not set, and has no default", hint);
        }
        let twice = (1..).zip(&dirs).find(|(next, dir)| dirs.iter().skip(*next).any(|other| other == *dir));
        if let Some((_, dir)) = twice {
            let what = format!("names {} twice", dir.display());
            self.refuse("log.dirs", what, "name each directory once, with commas between them");
        }
        let Some(metadata) = self.text("metadata.log.dir").map(PathBuf::from) else { return dirs };
        match dirs.iter().position(|dir| *dir == metadata) {
            Some(at) => {
                let first = dirs.remove(at);
                dirs.insert(0, first);
            }
            None if !dirs.is_empty() => {
                let what = format!("is {}, which is none of log.dirs", metadata.display());
                self.refuse(
                    "metadata.log.dir",
                    what,
                    "name one of log.dirs, or nothing for the first of them",
                );
            }
            None => {}
        }
        dirs
    }

    fn topic_defaults(&mut self) -> TopicDefaults {
        let set = self.set_for_topics();
        TopicDefaults {
            set,
            partitions: self.small("num.partitions"),
            replication_factor: self.small("default.replication.factor"),
            min_insync_replicas: self.small("min.insync.replicas"),
            flush_policy: self.flush_policy(),
            unclean_leader_election: self.flag("unclean.leader.election.enable"),
            message_bytes_max: self.limit_u32("message.max.bytes"),
            segment_bytes: self.limit_u32("log.segment.bytes"),
            retention: self.retention(),
            retention_bytes: self.bytes("log.retention.bytes"),
        }
    }

    /// The topic properties that this configuration sets.
    fn set_for_topics(&mut self) -> Vec<(String, String)> {
        let mut set = Vec::new();
        for (name, topic_name) in TOPIC_PROPERTIES {
            let setting = self.setting(name).filter(|setting| setting.origin != Origin::Default);
            let Some(value) = setting.map(|setting| setting.value) else { continue };
            let plain = match key::find(name).map(|key| key.form) {
                Some(Form::Bytes) => self.bytes(name).map(|bytes| bytes.to_string()),
                _ => Some(value),
            };
            set.extend(plain.map(|plain| ((*topic_name).to_owned(), plain)));
        }
        set
    }

    fn flush_policy(&mut self) -> FlushPolicy {
        match self.text("flush.policy").as_deref() {
            Some("os") => FlushPolicy::Os,
            Some("commit") | None => FlushPolicy::Commit,
            Some(other) => {
                let what = format!("is {other:?}");
                self.refuse("flush.policy", what, "use commit or os");
                FlushPolicy::Commit
            }
        }
    }

    /// Milliseconds come before minutes, minutes before hours, as in Kafka.
    fn retention(&mut self) -> Option<Duration> {
        if self.text("log.retention.ms").is_some() {
            return self.milliseconds("log.retention.ms").map(Duration::from_millis);
        }
        let (name, seconds) = match self.text("log.retention.minutes") {
            Some(_) => ("log.retention.minutes", 60),
            None => ("log.retention.hours", 3600),
        };
        let count = self.number(name).and_then(|count| u64::try_from(count).ok())?;
        count.checked_mul(seconds).map(Duration::from_secs)
    }

    fn timing(&mut self) -> Timing {
        let shutdown = self.flag("controlled.shutdown.enable");
        let timing = Timing {
            replica_lag_max: self.duration("replica.lag.time.max.ms"),
            replica_fetch_backoff: self.duration("replica.fetch.backoff.ms"),
            broker_session_timeout: self.duration("broker.session.timeout.ms"),
            broker_heartbeat_interval: self.duration("broker.heartbeat.interval.ms"),
            quorum_fetch_timeout: self.duration("controller.quorum.fetch.timeout.ms"),
            quorum_election_timeout: self.duration("controller.quorum.election.timeout.ms"),
            quorum_request_timeout: self.duration("controller.quorum.request.timeout.ms"),
            request_timeout: self.duration("request.timeout.ms"),
            controlled_shutdown_max: Some(self.duration("controlled.shutdown.max.ms")).filter(|_| shutdown),
        };
        if timing.broker_heartbeat_interval * 2 > timing.broker_session_timeout {
            let hint = "let a session last at least two heartbeats";
            self.refuse("broker.heartbeat.interval.ms", "is too long for broker.session.timeout.ms", hint);
        }
        timing
    }

    fn tls(&mut self) -> Option<TlsPem> {
        for name in ["ssl.keystore.type", "ssl.truststore.type"] {
            if let Some(other) = self.text(name).filter(|text| text != "PEM") {
                let hint = "convert it: keytool -importkeystore to PKCS12, then openssl pkcs12 -nodes";
                self.refuse(name, format!("is {other}; Java keystores are not read, only PEM"), hint);
            }
        }
        let store = self.pem_file("ssl.keystore.location");
        let chain = self.text("ssl.keystore.certificate.chain").or_else(|| store.clone());
        let key = self.text("ssl.keystore.key").or(store);
        let roots =
            self.text("ssl.truststore.certificates").or_else(|| self.pem_file("ssl.truststore.location"));
        if chain.is_none() || key.is_none() {
            let hint = "name a PEM file with key and chain; highwater dev makes a cluster with certificates";
            self.refuse("ssl.keystore.location", "is not set", hint);
        }
        if roots.is_none() {
            self.refuse("ssl.truststore.location", "is not set", "name a PEM file with the trusted roots");
        }
        Some(TlsPem { chain: chain?, key: key?, roots: roots? })
    }

    fn pem_file(&mut self, name: &str) -> Option<String> {
        let path = self.text(name)?;
        match (self.read)(&path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.refuse(name, format!("{path}: {error}"), "check that the file exists and may be read");
                None
            }
        }
    }

    fn items<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let items = self.text(name).map(|text| value::list(&text)).unwrap_or_default();
        let mut parsed = Vec::with_capacity(items.len());
        for item in items {
            match parse(&item) {
                Ok(item) => parsed.push(item),
                Err(what) => self.refuse(name, what, "docs/CONFIGURATION.md shows the form"),
            }
        }
        parsed
    }

    fn number(&mut self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        let (min, max) = match key::find(name).map(|key| key.form) {
            Some(Form::Number(min, max)) => (min, max),
            _ => (0, i64::from(i32::MAX)),
        };
        let number = text.trim().parse().ok().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let what = format!("is {text:?}, not a whole number from {min} to {max}");
            self.refuse(name, what, "docs/CONFIGURATION.md shows the form");
        }
        number
    }

    fn small<T: TryFrom<i64> + Default>(&mut self, name: &str) -> T {
        let number = self.number(name);
        match number.map(T::try_from) {
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                self.refuse(name, "is too large", "docs/CONFIGURATION.md shows the form");
                T::default()
            }
            None => T::default(),
        }
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.text(name).as_deref() {
            Some("true") => true,
            Some("false") | None => false,
            Some(other) => {
                self.refuse(name, format!("is {other:?}"), "use true or false");
                false
            }
        }
    }

    fn quantity(&mut self, name: &str, parse: fn(&str) -> Result<Option<u64>, String>) -> Option<u64> {
        let text = self.text(name)?;
        parse(&text).unwrap_or_else(|what| {
            self.refuse(name, what, "docs/CONFIGURATION.md shows the form");
            None
        })
    }

    fn bytes(&mut self, name: &str) -> Option<u64> {
        self.quantity(name, value::bytes)
    }

    fn milliseconds(&mut self, name: &str) -> Option<u64> {
        self.quantity(name, value::milliseconds)
    }

    fn limit_u32(&mut self, name: &str) -> u32 {
        let most = u64::from(i32::MAX.unsigned_abs());
        match self.bytes(name).map(|bytes| (bytes, u32::try_from(bytes.min(most)))) {
            Some((bytes, Ok(limit))) if bytes <= most && bytes > 0 => limit,
            _ => {
                self.refuse(
                    name,
                    format!("must be from 1 to {most} bytes"),
                    "docs/CONFIGURATION.md shows the form",
                );
                0
            }
        }
    }

    fn duration(&mut self, name: &str) -> Duration {
        match self.milliseconds(name) {
            Some(millis) if (1..=86_400_000).contains(&millis) => Duration::from_millis(millis),
            _ => {
                self.refuse(name, "must be from 1 ms to 1 day", "write for example 600, 200ms or 1s");
                Duration::from_millis(1)
            }
        }
    }
}

/// Parses the usual 8-4-4-4-12 form; dashes may be left out.
pub(super) fn parse_uuid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || text.len() > 36 {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok()
}
