//! Waiting until the cluster is whole again, and reading everything that is in it.

use std::time::Duration;

use highwater_client::Client;
use highwater_client::consumer::{Consumed, Start};
use highwater_client::settings::ConsumerSettings;
use highwater_model::api::TopicDetail;
use highwater_model::id::PartitionIndex;

use super::cluster::BROKERS;
use super::judge::{RecordName, Seen};
use super::load::{PARTITIONS, TOPIC};

/// How often to look whether the cluster is whole.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until every partition is led and every replica in sync.
pub(super) async fn whole(client: &Client) -> TopicDetail {
    loop {
        if let Ok(topic) = client.admin().describe_topic(TOPIC).await {
            let is_whole = |at: &highwater_model::api::PartitionDetail| {
                at.leader.is_some() && at.isr.len() == usize::from(BROKERS)
            };
            if topic.partitions.iter().all(is_whole) && topic.partitions.len() == PARTITIONS as usize {
                return topic;
            }
        }
        client.env().sleep(LOOK_EVERY).await;
    }
}

/// What is not whole, for people.
pub(super) async fn describe(client: &Client) -> String {
    match client.admin().describe_topic(TOPIC).await {
        Ok(topic) => topic
            .partitions
            .iter()
            .map(|at| {
                let (leader, isr) = (at.leader, &at.isr);
                let eligible = &at.eligible_leaders;
                format!("partition {}: leader {leader:?}, isr {isr:?}, elr {eligible:?}; ", at.partition)
            })
            .collect(),
        Err(error) => error.to_string(),
    }
}

/// Reads every partition from the beginning to the end that it has now.
///
/// # Errors
/// What cannot be read, in words.
pub(super) async fn everything(client: &Client) -> Result<Vec<Seen>, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let mut consumer = client.consumer(ConsumerSettings::default());
    let mut ends = Vec::new();
    for partition in (0..PARTITIONS).map(PartitionIndex) {
        let assigned = consumer.assign(TOPIC, partition, Start::Beginning).await;
        assigned.map_err(|error| words(&error))?;
        let end = client.ends(TOPIC, partition).await.map_err(|error| words(&error))?.end;
        ends.push((partition, end));
    }
    let mut seen = Vec::new();
    while ends.iter().any(|(partition, end)| consumer.position(TOPIC, *partition) < Some(*end)) {
        let records = consumer.poll(Duration::from_secs(1)).await.map_err(|error| words(&error))?;
        seen.extend(records.into_iter().map(of));
    }
    Ok(seen)
}

fn of(record: Consumed) -> Seen {
    Seen {
        name: record.key.as_deref().and_then(RecordName::parse),
        partition: record.partition.partition,
        offset: record.offset,
        value: record.value.unwrap_or_default(),
    }
}
