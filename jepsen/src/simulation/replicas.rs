//! What the disks of all machines hold in the end, whoever leads: no consumer reads what followers have.

use std::time::Duration;

use highwater_client::Client;
use highwater_model::id::{Offset, PartitionIndex};
use highwater_node::log::{Replica, compare, dump};

use crate::cluster::simulated::{Machine, Simulated};
use crate::cluster::{Cluster as _, ClusterError};
use crate::workload::TOPIC;

/// How often to look whether all logs end alike.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long logs may take to end alike once nothing goes wrong and nobody writes.
const LEVEL_WITHIN: Duration = Duration::from_secs(15);

/// Waits until all logs end at the high watermarks, cuts the power of all machines where what is acknowledged must be synced,
/// and says where the disks differ below.
pub(super) async fn compared(
    cluster: &mut Simulated,
    client: &Client,
    (partitions, must_be_synced): (u32, bool),
) -> Result<Vec<String>, ClusterError> {
    let env = cluster.env().clone();
    let level = env.timeout(LEVEL_WITHIN, Box::pin(level(cluster, client, partitions))).await;
    let Ok(ends) = level else {
        let seconds = LEVEL_WITHIN.as_secs();
        return Ok(vec![format!("logs are not level after {seconds} s: {}", describe(cluster, partitions))]);
    };
    if must_be_synced {
        let nodes = cluster.nodes();
        cluster.lose_power(&nodes).await?;
    }
    Ok(ends.iter().flat_map(|end| differences(cluster, *end)).collect())
}

async fn level(cluster: &Simulated, client: &Client, partitions: u32) -> Vec<(u32, Offset)> {
    let mut ends = Vec::new();
    for partition in 0..partitions {
        loop {
            if let Ok(told) = client.ends(TOPIC, PartitionIndex(partition)).await {
                let is_level = |machine: &Machine| log_end(&machine.replica(partition)) == told.end;
                if cluster.machines().iter().all(is_level) {
                    ends.push((partition, told.end));
                    break;
                }
            }
            client.env().sleep(LOOK_EVERY).await;
        }
    }
    ends
}

fn describe(cluster: &Simulated, partitions: u32) -> String {
    let ends = |partition: u32| {
        let end = |machine: &Machine| log_end(&machine.replica(partition)).to_string();
        let ends: Vec<String> = cluster.machines().iter().map(end).collect();
        format!("partition {partition} ends at {}; ", ends.join(", "))
    };
    (0..partitions).map(ends).collect()
}

fn log_end(replica: &Replica) -> Offset {
    let Ok(dump) = dump(replica.disk.clone(), &replica.directory, false) else { return Offset::ZERO };
    let batches = dump.map_while(|described| described.ok()?.batch.ok());
    batches.last().map_or(Offset::ZERO, |batch| batch.header().end_offset())
}

/// Every place at which the disks differ below the end, or do not hold a record for each offset.
fn differences(cluster: &Simulated, (partition, end): (u32, Offset)) -> Vec<String> {
    let Some((first, others)) = cluster.machines().split_first() else { return Vec::new() };
    let reference = first.replica(partition);
    let difference = |other: &Machine| {
        let (one, two) = (first.node(), other.node());
        match compare(&reference, &other.replica(partition), end) {
            Ok(Ok(agreed)) if agreed.records == end.0 => None,
            Ok(Ok(agreed)) => {
                let records = agreed.records;
                Some(format!("partition {partition} has {records} records on disk and ends at {end}"))
            }
            Ok(Err(differs)) => {
                Some(format!("partition {partition} of brokers {one} and {two} differs {differs}"))
            }
            Err(fault) => Some(format!("partition {partition} of broker {one} or {two}: {fault}")),
        }
    };
    others.iter().filter_map(difference).collect()
}
