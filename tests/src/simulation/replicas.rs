//! What the disks of all machines hold in the end, whoever leads: no consumer reads what followers have.

use std::time::Duration;

use highwater_client::Client;
use highwater_model::id::{Offset, PartitionIndex};
use highwater_node::log::{Replica, compare, dump};

use super::cluster::{Cluster, Machine};
use super::judge::Seen;
use super::load::{PARTITIONS, TOPIC};

/// How often to look whether all logs end alike.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until every replica's log ends at the high watermark of its partition, and gives those.
pub(super) async fn level(cluster: &Cluster, client: &Client) -> Vec<(PartitionIndex, Offset)> {
    loop {
        let mut ends = Vec::new();
        for partition in (0..PARTITIONS).map(PartitionIndex) {
            if let Ok(told) = client.ends(TOPIC, partition).await {
                let is_level = |machine: &Machine| log_end(&machine.replica(TOPIC, partition)) == told.end;
                ends.extend(cluster.machines.iter().all(is_level).then_some((partition, told.end)));
            }
        }
        if ends.len() == PARTITIONS as usize {
            return ends;
        }
        client.env().sleep(LOOK_EVERY).await;
    }
}

/// Where each replica's log ends, in words.
pub(super) fn describe(cluster: &Cluster) -> String {
    let ends = |partition: PartitionIndex| {
        let end = |machine: &Machine| log_end(&machine.replica(TOPIC, partition)).to_string();
        let ends: Vec<String> = cluster.machines.iter().map(end).collect();
        format!("partition {partition} ends at {}; ", ends.join(", "))
    };
    (0..PARTITIONS).map(PartitionIndex).map(ends).collect()
}

fn log_end(replica: &Replica) -> Offset {
    let Ok(dump) = dump(replica.disk.clone(), &replica.directory, false) else { return Offset::ZERO };
    let batches = dump.map_while(|described| described.ok()?.batch.ok());
    batches.last().map_or(Offset::ZERO, |batch| batch.header().end_offset())
}

/// Every place at which the disks differ below these offsets, or hold another number of records than were read there.
pub(super) fn differences(
    cluster: &Cluster,
    ends: &[(PartitionIndex, Offset)],
    seen: &[Seen],
) -> Vec<String> {
    let mut found = Vec::new();
    let Some((first, others)) = cluster.machines.split_first() else { return found };
    for (partition, end) in ends {
        let reference = first.replica(TOPIC, *partition);
        let read = seen.iter().filter(|seen| seen.partition == *partition).count() as u64;
        for other in others {
            let (one, two) = (first.node, other.node);
            match compare(&reference, &other.replica(TOPIC, *partition), *end) {
                Ok(Ok(agreed)) if agreed.records == read => {}
                Ok(Ok(agreed)) => {
                    let records = agreed.records;
                    found.push(format!("partition {partition}: {records} records on disk, {read} were read"));
                }
                Ok(Err(differs)) => {
                    found.push(format!("partition {partition} of brokers {one} and {two} differs {differs}"));
                }
                Err(fault) => found.push(format!("partition {partition} of broker {one} or {two}: {fault}")),
            }
        }
    }
    found
}
