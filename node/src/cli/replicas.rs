//! Compares what the replicas of a local cluster hold, file by file, whoever leads and whatever anybody says.
//!
//! For `quickstart`, and for tests that keep a cluster of processes. What is compared is read by [`crate::log`].

use std::sync::Arc;

use highwater_client::Client;
use highwater_model::api::{PartitionDetail, TopicDetail};
use highwater_model::id::{NodeId, Offset};
use serde::Serialize;

use super::failure::Failure;
use super::local::Layout;
use crate::disk::{Disk, RealDisk};
use crate::log::{Replica, compare, directory_of};

/// What a comparison of all replicas of a topic came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Logs that were compared with their leader's.
    pub logs: u64,
    /// Batches that they have in common with it, all logs together.
    pub batches: u64,
    /// Records in those.
    pub records: u64,
    /// The first place at which a log differs from its leader's, for each that does.
    pub differences: Vec<String>,
}

/// Compares the followers' logs with the leaders' below each partition's present high watermark. Every replica must be in
/// sync when this is asked.
///
/// # Errors
/// If the high watermark cannot be asked for, or a file cannot be read.
pub async fn compare_replicas(
    client: &Client,
    layout: &Layout,
    topic: &TopicDetail,
) -> Result<Compared, Failure> {
    let mut compared = Compared::default();
    for partition in &topic.partitions {
        let ends = client.ends(&topic.name, partition.partition).await?;
        compared.partition(layout, &topic.name, partition, ends.end)?;
    }
    Ok(compared)
}

impl Compared {
    fn partition(
        &mut self,
        layout: &Layout,
        topic: &str,
        partition: &PartitionDetail,
        until: Offset,
    ) -> Result<(), Failure> {
        let directory = directory_of(topic, partition.partition);
        let leader = partition.leader.or_else(|| partition.replicas.first().copied());
        let Some(leader) = leader else { return Ok(()) };
        let reference = replica(layout, leader, &directory)?;
        for node in partition.replicas.iter().filter(|node| **node != leader) {
            self.logs += 1;
            let follower = replica(layout, *node, &directory)?;
            let found = compare(&reference, &follower, until);
            match found.map_err(|fault| Failure::failed(fault.to_string(), "see the brokers' logs"))? {
                Ok(agreed) => {
                    self.batches += agreed.batches;
                    self.records += agreed.records;
                }
                Err(differs) => self.differences.push(format!(
                    "{directory} of leader {leader} (one) and follower {node} (other) differ {differs}"
                )),
            }
        }
        Ok(())
    }
}

fn replica(layout: &Layout, node: NodeId, directory: &str) -> Result<Replica, Failure> {
    let disk = RealDisk::open(&layout.data_dir(node));
    let disk = disk.map_err(|fault| Failure::failed(fault.to_string(), "see the brokers' logs"))?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    Ok(Replica { disk, directory: directory.to_owned() })
}
