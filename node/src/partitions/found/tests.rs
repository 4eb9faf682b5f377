//! What is found on disks, and what is missed.

use super::*;
use crate::config::formatted::{FILE_NAME, Formatted};
use crate::disk::SimDisk;
use highwater_model::id::{ClusterId, NodeId, PartitionIndex, TopicId};

const ID: DirectoryId = DirectoryId(1);

/// A directory with one log, of which so much is said to be synced.
async fn used(synced: u64) -> SimDisk {
    let sim = SimDisk::new("sim", 7);
    let formatted = Formatted { cluster: ClusterId(7), node: NodeId(1), directory: ID, voters: Vec::new() };
    sim.mount(None).replace(FILE_NAME, formatted.render().into_bytes().into()).await.unwrap();
    let directory = LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap();
    let partition = TopicPartition { topic: TopicId(5), partition: PartitionIndex(0) };
    open(&directory, "t-0", partition, LogConfig::default()).await.unwrap();
    directory.recovery_points.note("t-0", Offset(synced));
    directory.recovery_points.store().await.unwrap();
    sim.kill();
    sim
}

async fn found(sim: &SimDisk) -> FoundLogs {
    let directory = LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap();
    FoundLogs::find(&LogDirectories::new(vec![directory])).await
}

#[tokio::test]
async fn a_log_that_is_gone_is_missed_if_it_had_been_synced() {
    for (synced, missing) in [(0, vec![]), (3, vec![(ID, "t-0".to_owned())])] {
        let sim = used(synced).await;
        sim.mount(None).remove_dir("t-0").unwrap();

        let found = found(&sim).await;
        assert_eq!((found.missing, found.failed), (missing, vec![]));
    }
}

#[tokio::test]
async fn a_log_in_use_that_names_no_topic_is_not_removed() {
    let sim = used(3).await;
    sim.mount(None).remove("t-0/partition.metadata").unwrap();
    assert_eq!(found(&sim).await.failed, [ID]);
    sim.kill();

    let sim = used(0).await;
    sim.mount(None).replace("t-0/partition.metadata", "x".into()).await.unwrap();
    assert_eq!(found(&sim).await.failed, [ID]);
    assert!(sim.content("t-0/00000000000000000000.log").is_some());
}
