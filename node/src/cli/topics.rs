//! `highwater topic` and `highwater config`.

use std::io::IsTerminal;

use highwater_model::api::{ConfigChange, ConfigSource, NewTopic, PartitionDetail, TopicDetail};
use highwater_model::error_code::ErrorCode;
use serde_json::{Value, json};

use super::args::{Config, Topic};
use super::failure::{Failure, exit};
use super::session::Session;
use crate::config::value;

/// Topic properties whose values are durations or sizes.
const DURATIONS: &[&str] = &["retention.ms", "segment.ms", "delete.retention.ms", "flush.ms"];
const SIZES: &[&str] = &["retention.bytes", "segment.bytes", "max.message.bytes"];

pub(super) async fn run(command: &Topic, session: &Session) -> Result<u8, Failure> {
    match command {
        Topic::Create { names, partitions, replication_factor, configs, if_not_exists, dry_run } => {
            let configs = configs.iter().map(|pair| setting(pair)).collect::<Result<Vec<_>, _>>()?;
            let wanted = |name: &String| NewTopic {
                name: name.clone(),
                partitions: *partitions,
                replication_factor: *replication_factor,
                assignments: Vec::new(),
                configs: configs.clone(),
            };
            create(session, names.iter().map(wanted).collect(), *if_not_exists, *dry_run).await
        }
        Topic::List => list(session).await,
        Topic::Describe { names } => describe(session, names).await,
        Topic::AddPartitions { name, to } => {
            let grown = session.client.admin().create_partitions(name, *to).await;
            grown.map_err(|error| Failure::from(error).on(name))?;
            session.output.text(format!(
                "{name} has {to} partitions; records with keys may go to other ones from here on"
            ))?;
            session.output.document(
                "topic.add-partitions",
                None,
                Some(&json!({"name": name, "partitions": to})),
                &[],
            )?;
            Ok(exit::DONE)
        }
        Topic::Delete { names, yes } => delete(session, names, *yes).await,
    }
}

/// `NAME=VALUE` with the value in the plain form that goes over the wire.
fn setting(pair: &str) -> Result<(String, String), Failure> {
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        Failure::usage(format!("{pair:?} is not NAME=VALUE"), "write -c min.insync.replicas=2")
    })?;
    let (name, value) = (name.trim(), value.trim());
    let plain = |parsed: Result<Option<u64>, String>| -> Result<String, Failure> {
        let parsed = parsed.map_err(|what| Failure::usage(format!("{name}: {what}"), ""))?;
        Ok(parsed.map_or_else(|| "-1".to_owned(), |number| number.to_string()))
    };
    let value = match name {
        _ if DURATIONS.contains(&name) => plain(value::milliseconds(value))?,
        _ if SIZES.contains(&name) => plain(value::bytes(value))?,
        _ => value.to_owned(),
    };
    Ok((name.to_owned(), value))
}

async fn create(
    session: &Session,
    topics: Vec<NewTopic>,
    if_not_exists: bool,
    dry_run: bool,
) -> Result<u8, Failure> {
    let (mut created, mut failures) = (Vec::new(), Vec::new());
    for topic in topics {
        let name = topic.name.clone();
        match session.client.admin().create_topic(topic, dry_run).await {
            Ok((id, partitions)) => {
                let done = if dry_run { "would be created" } else { "created" };
                session.output.text(format!("{name} {done} with {partitions} partitions"))?;
                created.push(json!({"name": name, "topic_id": id.to_string(), "partitions": partitions}));
            }
            Err(error) if if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => {
                session.output.text(format!("{name} exists"))?;
            }
            Err(error) => failures.push(Failure::from(error).on(name)),
        }
    }
    conclude(session, "topic.create", &created, &failures)
}

/// Prints what was done and what was not.
fn conclude(session: &Session, name: &str, done: &[Value], failures: &[Failure]) -> Result<u8, Failure> {
    session.output.document(name, None, Some(&done), failures)?;
    for failure in failures {
        session.output.failure(failure);
    }
    Ok(failures.first().map_or(exit::DONE, |failure| failure.exit))
}

async fn list(session: &Session) -> Result<u8, Failure> {
    let metadata = session.client.admin().metadata(None).await?;
    let mut topics: Vec<&TopicDetail> = metadata.topics.iter().flatten().collect();
    topics.sort_by_key(|topic| &topic.name);
    let replicas =
        |topic: &TopicDetail| topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    let rows: Vec<Vec<String>> = topics
        .iter()
        .map(|topic| {
            vec![topic.name.clone(), topic.partitions.len().to_string(), replicas(topic).to_string()]
        })
        .collect();
    if rows.is_empty() {
        session.output.note("there are no topics; highwater topic create NAME makes one");
    } else {
        session.output.table(&["NAME", "PARTITIONS", "REPLICAS"], &rows)?;
    }
    let data: Vec<Value> = topics
        .iter()
        .map(|topic| {
            json!({"name": topic.name, "topic_id": topic.topic.to_string(), "partitions": topic.partitions.len(),
                   "replication_factor": replicas(topic)})
        })
        .collect();
    session.output.document("topic.list", Some(metadata.cluster), Some(&data), &[])?;
    Ok(exit::DONE)
}

async fn describe(session: &Session, names: &[String]) -> Result<u8, Failure> {
    let admin = session.client.admin();
    let names: Vec<String> = match names {
        [] => admin.metadata(None).await?.topics.into_iter().flatten().map(|topic| topic.name).collect(),
        named => named.to_vec(),
    };
    let (mut described, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match admin.describe_topic(&name).await {
            Ok(topic) => {
                print_topic(session, &topic)?;
                described.push(topic_value(&topic));
            }
            Err(error) => failures.push(Failure::from(error).on(name)),
        }
    }
    conclude(session, "topic.describe", &described, &failures)
}

fn print_topic(session: &Session, topic: &TopicDetail) -> Result<(), Failure> {
    let configs: Vec<String> = topic.configs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let configs = if configs.is_empty() { String::new() } else { format!("  {}", configs.join(" ")) };
    session.output.text(format!(
        "{}  id {}  min.insync.replicas {}{configs}",
        topic.name, topic.topic, topic.min_insync_replicas
    ))?;
    let headings = ["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "ELIGIBLE", "START", "HW", "END"];
    let rows: Vec<Vec<String>> = topic.partitions.iter().map(row).collect();
    session.output.table(&headings, &rows)?;
    for partition in &topic.partitions {
        for replica in &partition.replica_details {
            if let Some(because) = &replica.missing_because {
                session.output.text(format!(
                    "  {}: replica {} is missing: {because}",
                    partition.partition, replica.node
                ))?;
            }
        }
    }
    Ok(())
}

fn row(partition: &PartitionDetail) -> Vec<String> {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let own = partition.replica_details.iter().find(|replica| Some(replica.node) == partition.leader);
    let ids = |ids: &[highwater_model::id::NodeId]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        if ids.is_empty() { "-".to_owned() } else { ids.join(",") }
    };
    vec![
        partition.partition.to_string(),
        or_dash(partition.leader.map(|leader| leader.to_string())),
        partition.leader_epoch.to_string(),
        ids(&partition.replicas),
        ids(&partition.isr),
        ids(&partition.eligible_leaders),
        or_dash(own.and_then(|own| own.log_start).map(|offset| offset.to_string())),
        or_dash(own.and_then(|own| own.high_watermark).map(|offset| offset.to_string())),
        or_dash(own.and_then(|own| own.log_end).map(|offset| offset.to_string())),
    ]
}

fn topic_value(topic: &TopicDetail) -> Value {
    let partition = |partition: &PartitionDetail| {
        let replica = |replica: &highwater_model::api::ReplicaDetail| {
            json!({"node": replica.node, "log_start": replica.log_start, "high_watermark": replica.high_watermark,
                   "log_end": replica.log_end, "missing_because": replica.missing_because})
        };
        json!({"partition": partition.partition, "leader": partition.leader, "leader_epoch": partition.leader_epoch,
               "partition_epoch": partition.partition_epoch, "replicas": partition.replicas, "isr": partition.isr,
               "eligible_leaders": partition.eligible_leaders,
               "replica_details": partition.replica_details.iter().map(replica).collect::<Vec<_>>()})
    };
    let configs: serde_json::Map<String, Value> =
        topic.configs.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect();
    json!({"name": topic.name, "topic_id": topic.topic.to_string(), "min_insync_replicas": topic.min_insync_replicas,
           "configs": configs, "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>()})
}

async fn delete(session: &Session, names: &[String], yes: bool) -> Result<u8, Failure> {
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage("deleting needs a yes", "pass --yes"));
        }
        session.output.note(format!("Delete {} and every record in it? Type yes:", names.join(", ")));
        let mut answer = String::new();
        if std::io::stdin().read_line(&mut answer).is_err() || answer.trim() != "yes" {
            return Err(Failure::failed("nothing was deleted", ""));
        }
    }
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match session.client.admin().delete_topic(name).await {
            Ok(()) => {
                session.output.text(format!("{name} deleted"))?;
                deleted.push(json!({"name": name}));
            }
            Err(error) => failures.push(Failure::from(error).on(name)),
        }
    }
    conclude(session, "topic.delete", &deleted, &failures)
}

pub(super) async fn config(command: &Config, session: &Session) -> Result<u8, Failure> {
    match command {
        Config::Get { topic, names } => get(session, topic, names).await,
        Config::Set { topic, values, unset } => {
            let mut changes = Vec::new();
            for pair in values {
                let (name, value) = setting(pair)?;
                changes.push(ConfigChange { name, value: Some(value) });
            }
            changes.extend(unset.iter().map(|name| ConfigChange { name: name.clone(), value: None }));
            if changes.is_empty() {
                return Err(Failure::usage("nothing is to be changed", "write NAME=VALUE, or --unset NAME"));
            }
            let altered = session.client.admin().alter_configs(topic, changes, None).await;
            altered.map_err(|error| Failure::from(error).on(topic))?;
            session.output.text(format!("{topic} changed"))?;
            session.output.document("config.set", None, Some(&json!({"topic": topic})), &[])?;
            Ok(exit::DONE)
        }
    }
}

async fn get(session: &Session, topic: &str, names: &[String]) -> Result<u8, Failure> {
    let configs = session.client.admin().describe_configs(topic, false).await;
    let entries = configs.map_err(|error| Failure::from(error).on(topic))?.entries;
    let wanted = |name: &String| names.is_empty() || names.contains(name);
    let shown: Vec<_> = entries.iter().filter(|entry| wanted(&entry.name)).collect();
    let source = |source: ConfigSource| match source {
        ConfigSource::Topic => "topic",
        ConfigSource::Broker => "broker",
        ConfigSource::Default | _ => "default",
    };
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|entry| vec![entry.name.clone(), entry.value.clone(), source(entry.source).to_owned()])
        .collect();
    session.output.table(&["NAME", "VALUE", "SOURCE"], &rows)?;
    let data: Vec<Value> = shown
        .iter()
        .map(|entry| json!({"name": entry.name, "value": entry.value, "source": source(entry.source)}))
        .collect();
    session.output.document("config.get", None, Some(&data), &[])?;
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn human_units_become_plain_numbers() {
        let plain = |pair: &str| setting(pair).map(|(_, value)| value);

        assert_eq!(plain("retention.ms=7d"), Ok("604800000".to_owned()));
        assert_eq!(plain("segment.bytes=64MiB"), Ok("67108864".to_owned()));
        assert_eq!(plain("retention.bytes=-1"), Ok("-1".to_owned()));
        assert_eq!(plain("flush.policy=os"), Ok("os".to_owned()));
        assert!(plain("flush.policy").is_err());
        assert!(plain("retention.ms=soon").is_err());
    }
}
