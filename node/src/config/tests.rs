//! The typed configuration: what is read, what is refused, and that the documentation lists it all.

use super::*;
use crate::config::key::Form;

fn layers(settings: &[&str]) -> Layers {
    let mut layers = Layers::default();
    layers.add_flags([
        "node.id=1",
        "log.dirs=/var/lib/highwater",
        "ssl.keystore.certificate.chain=chain",
        "ssl.keystore.key=key",
        "ssl.truststore.certificates=roots",
    ]);
    layers.add(settings.iter().filter_map(|pair| pair.split_once('=')).map(|(name, value)| {
        (name.to_owned(), layers::Setting { value: value.to_owned(), origin: Origin::File("f".to_owned()) })
    }));
    layers
}

fn resolve(settings: &[&str]) -> Result<ServerConfig, Problems> {
    ServerConfig::resolve(&layers(settings), &|path| Err(std::io::Error::other(path.to_owned())))
}

#[test]
fn the_defaults_are_highwaters_own() {
    let config = resolve(&[]).expect("complete");

    assert_eq!(config.roles, Roles { broker: true, controller: true });
    assert_eq!(config.timing.broker_session_timeout, Duration::from_secs(1));
    assert_eq!(config.timing.broker_heartbeat_interval, Duration::from_millis(200));
    assert_eq!(config.timing.quorum_fetch_timeout, Duration::from_millis(600));
    assert_eq!(config.topic_defaults.flush_policy, FlushPolicy::Commit);
    assert_eq!(config.topic_defaults.retention, Some(Duration::from_secs(168 * 3600)));
    assert_eq!(config.listener, Endpoint { host: "localhost".to_owned(), port: 9092 });
    assert_eq!(config.advertised, config.listener);
}

#[test]
fn a_missing_log_directory_is_refused_and_says_what_to_set() {
    let problems = ServerConfig::resolve(&Layers::default(), &|_| Ok(String::new())).expect_err("incomplete");

    let names: Vec<&str> = problems.0.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["node.id", "log.dirs", "ssl.keystore.location", "ssl.truststore.location"]);
    assert!(problems.0.iter().all(|problem| !problem.hint.is_empty()));
}

/// The log directories as they are resolved, or what is refused.
fn log_dirs(settings: &[&str]) -> Result<Vec<String>, String> {
    let mut layers = Layers::default();
    layers.add_flags(["node.id=1", "ssl.keystore.certificate.chain=c", "ssl.keystore.key=k"]);
    layers.add_flags(["ssl.truststore.certificates=r"].iter().chain(settings).copied());
    let resolved = ServerConfig::resolve(&layers, &|_| Ok(String::new()));
    let names = |config: ServerConfig| config.log_dirs.iter().map(|dir| dir.display().to_string()).collect();
    resolved.map(names).map_err(|problems| problems.to_string())
}

#[test]
fn the_log_directory_with_the_metadata_comes_first() {
    assert_eq!(log_dirs(&["log.dirs=/a, /b,/c"]), Ok(vec!["/a".into(), "/b".into(), "/c".into()]));
    let chosen = log_dirs(&["log.dirs=/a,/b,/c", "metadata.log.dir=/c"]);
    assert_eq!(chosen, Ok(vec!["/c".into(), "/a".into(), "/b".into()]));

    let twice = log_dirs(&["log.dirs=/a,/b,/a"]).expect_err("refused");
    assert!(twice.contains("names /a twice"), "{twice}");
    let elsewhere = log_dirs(&["log.dirs=/a,/b", "metadata.log.dir=/m"]).expect_err("refused");
    assert!(elsewhere.contains("metadata.log.dir is /m, which is none of log.dirs"), "{elsewhere}");
}

#[test]
fn servers_to_ask_for_the_controllers_are_said_to_have_no_effect() {
    let layers = layers(&["controller.quorum.bootstrap.servers=a:1,b:2"]);

    assert!(layers.warnings.iter().any(|warning| warning.contains("has no effect yet")), "{layers:?}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let problems = resolve(&[
        "num.partitions=none",
        "process.roles=zookeeper",
        "listeners=PLAINTEXT://:9092",
        "broker.heartbeat.interval.ms=1s",
        "ssl.keystore.type=JKS",
        "flush.policy=never",
        "message.max.bytes=0",
    ])
    .expect_err("refused");

    assert_eq!(problems.0.len(), 7, "{problems}");
}

#[test]
fn monitors_are_on_unless_they_are_turned_off_and_bad_values_are_refused_by_name() {
    let steps = |settings: &[&str]| resolve(settings).map(|config| config.monitor_steps.map(NonZeroU32::get));

    assert_eq!(steps(&[]), Ok(Some(256)));
    assert_eq!(steps(&["monitor.steps=1"]), Ok(Some(1)));
    assert_eq!(steps(&["monitor.enable=false"]), Ok(None));
    for bad in ["monitor.steps=0", "monitor.steps=often", "monitor.enable=perhaps"] {
        let problems = steps(&[bad, "monitor.enable=false"][..if bad.contains("enable") { 1 } else { 2 }]);
        let problems = problems.expect_err("refused");
        let named = bad.split('=').next();
        assert_eq!(problems.0.iter().map(|problem| Some(problem.name.as_str())).collect::<Vec<_>>(), [named]);
    }
}

#[test]
fn a_wildcard_address_is_not_advertised() {
    assert!(resolve(&["listeners=QUIC://:9092"]).is_err());

    let config = resolve(&["listeners=QUIC://0.0.0.0:9092", "advertised.listeners=QUIC://broker-1:9092"]);

    assert_eq!(config.expect("complete").advertised.host, "broker-1");
}

#[test]
fn milliseconds_of_retention_come_before_minutes_and_hours() {
    let retention = |settings: &[&str]| resolve(settings).expect("complete").topic_defaults.retention;

    assert_eq!(retention(&["log.retention.hours=1"]), Some(Duration::from_secs(3600)));
    assert_eq!(
        retention(&["log.retention.hours=1", "log.retention.minutes=5"]),
        Some(Duration::from_secs(300))
    );
    assert_eq!(retention(&["log.retention.minutes=5", "log.retention.ms=-1"]), None);
}

#[test]
fn a_key_file_that_cannot_be_read_is_refused_by_name() {
    let mut layers = Layers::default();
    layers.add_flags([
        "node.id=1",
        "log.dirs=/d",
        "ssl.keystore.location=/keys.pem",
        "ssl.truststore.location=/roots.pem",
    ]);

    let problems = ServerConfig::resolve(&layers, &|path| Err(std::io::Error::other(path.to_owned())));

    assert!(problems.expect_err("refused").to_string().contains("/keys.pem"));
}

#[test]
fn what_is_set_for_topics_goes_to_topics_in_its_plain_form() {
    let set = |settings: &[&str]| resolve(settings).expect("complete").topic_defaults.set;

    assert_eq!(set(&[]), []);
    let expected = [("min.insync.replicas", "2"), ("max.message.bytes", "65536")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(set(&["message.max.bytes=64KiB", "min.insync.replicas=2"]), expected);
}

#[test]
fn secrets_are_not_shown() {
    let shown = effective(&layers(&[]));

    assert!(shown.iter().any(|(name, value, _)| *name == "ssl.keystore.key" && value == "[hidden]"));
    assert!(!format!("{:?}", resolve(&[])).contains("\"key\""));
}

#[test]
fn voters_and_cluster_are_read() {
    let config =
        resolve(&["cluster.id=00112233-4455-6677-8899-aabbccddeeff", "controller.quorum.voters=1@a:1,2@b:2"])
            .expect("complete");

    assert_eq!(config.cluster, Some(ClusterId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)));
    assert_eq!(config.quorum_voters.len(), 2);
    assert!(resolve(&["cluster.id=x"]).is_err());
}

/// The rows that `docs/CONFIGURATION.md` must have.
fn documented_rows() -> String {
    let mut rows = String::new();
    for key in KEYS {
        let form = match key.form {
            Form::Text => "text".to_owned(),
            Form::Number(min, max) => format!("{min} to {max}"),
            Form::Flag => "true or false".to_owned(),
            Form::Milliseconds => "duration".to_owned(),
            Form::Count => "number".to_owned(),
            Form::Bytes => "size".to_owned(),
            Form::Choice(words) => words.join(" or "),
            Form::List => "list".to_owned(),
        };
        let effect = match key.support {
            Support::Applied => String::new(),
            Support::Accepted => " No effect yet.".to_owned(),
            Support::AliasOf(_) => " Alias.".to_owned(),
        };
        let default = key.default.map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
        rows.push_str(&format!("| `{}` | {form} | {default} | {}{effect} |\n", key.name, key.meaning));
    }
    rows
}

#[test]
fn the_documentation_lists_every_key() {
    let page = include_str!("../../../docs/CONFIGURATION.md");

    let rows = documented_rows();
    assert!(page.contains(&rows), "docs/CONFIGURATION.md must contain exactly these rows:\n{rows}");
}
