//! What is found on disks, and what is missed.

use super::*;
use crate::config::formatted::{FILE_NAME, Formatted};
use crate::disk::SimDisk;
use highwater_model::id::{BrokerEpoch, ClusterId, NodeId, PartitionIndex, TopicId};
use highwater_transport::batch::{Batch, BatchBuilder, NewRecord};

const ID: DirectoryId = DirectoryId(1);
const PARTITION: TopicPartition = TopicPartition { topic: TopicId(5), partition: PartitionIndex(0) };

/// A directory with one log, of which so much is said to be synced.
async fn used(synced: u64) -> SimDisk {
    let sim = SimDisk::new("sim", 7);
    let formatted = Formatted { cluster: ClusterId(7), node: NodeId(1), directory: ID, voters: Vec::new() };
    sim.mount(None).replace(FILE_NAME, formatted.render().into_bytes().into()).await.unwrap();
    let directory = LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap();
    open(&directory, "t-0", PARTITION, LogConfig::default()).await.unwrap();
    directory.recovery_points.note("t-0", Offset(synced));
    directory.recovery_points.store().await.unwrap();
    sim.kill();
    sim
}

async fn found(sim: &SimDisk) -> FoundLogs {
    let directory = LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap();
    FoundLogs::find(&Env::real(), &LogDirectories::new(vec![directory])).await
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

#[tokio::test]
async fn nothing_is_stated_of_a_directory_whose_logs_could_not_be_opened() {
    for (metadata, stated) in [(None, vec![ID]), (Some("x"), vec![])] {
        let sim = used(0).await;
        if let Some(metadata) = metadata {
            sim.mount(None).replace("t-0/partition.metadata", metadata.into()).await.unwrap();
        }
        let directory = LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap();
        let directories = LogDirectories::new(vec![directory]);
        let facts = FoundLogs::find(&Env::real(), &directories).await.facts(&directories);

        assert_eq!(facts.iter().map(|facts| facts.directory).collect::<Vec<_>>(), stated);
    }
}

/// A directory with a log of so many batches that was in use under this registration.
async fn copy(directory: DirectoryId, used_under: u64, batches: u64) -> SimDisk {
    let sim = SimDisk::new("sim", 7);
    let formatted = Formatted { cluster: ClusterId(7), node: NodeId(1), directory, voters: Vec::new() };
    sim.mount(None).replace(FILE_NAME, formatted.render().into_bytes().into()).await.unwrap();
    let taken = LogDirectories::new(vec![LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap()]);
    let directory = taken.iter().next().unwrap();
    directory.note_recovered().await.unwrap();
    taken.note_registration(BrokerEpoch(used_under)).await;
    let mut log = open(directory, "t-0", PARTITION, LogConfig::default()).await.unwrap().log;
    for offset in 0..batches {
        let mut builder = BatchBuilder::new();
        builder.push(&NewRecord { value: Some(b"record"), ..NewRecord::default() }).unwrap();
        let mut bytes = builder.build_at(Offset(offset), Some(1)).unwrap();
        log.append(&[Batch::split_first(&mut bytes).unwrap()]).await.unwrap();
    }
    log.close().await.unwrap();
    directory.recovery_points.store().await.unwrap();
    sim.kill();
    sim
}

/// What a start on these directories finds.
async fn found_in(disks: &[SimDisk]) -> FoundLogs {
    let mut directories = Vec::new();
    for sim in disks {
        directories.push(LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap());
    }
    let found = FoundLogs::find(&Env::real(), &LogDirectories::new(directories)).await;
    disks.iter().for_each(SimDisk::kill);
    found
}

fn logs(found: &FoundLogs) -> Vec<(DirectoryId, Offset)> {
    found.logs.values().map(|log| (log.directory, log.recovered.end)).collect()
}

fn names(sim: &SimDisk) -> Vec<String> {
    let entries = sim.mount(None).list("").unwrap();
    entries.into_iter().filter(|entry| entry.is_directory).map(|entry| entry.name).collect()
}

#[tokio::test]
async fn of_two_copies_the_one_in_use_under_the_newer_registration_is_the_log() {
    for power_loss in [false, true] {
        let disks = [copy(DirectoryId(1), 5, 3).await, copy(DirectoryId(2), 9, 1).await];
        if power_loss {
            // A start that ends before it has looked makes nothing of what the directories were used for.
            for (seed, sim) in (1..).zip(&disks) {
                sim.power_loss(seed);
                LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap();
                sim.kill();
            }
        }
        for _ in 0..2 {
            let found = found_in(&disks).await;
            assert_eq!(logs(&found), [(DirectoryId(2), Offset(1))]);
            assert_eq!((found.damaged, found.missing, found.failed), Default::default());
        }
        let [stray] = names(&disks[0]).try_into().unwrap();
        assert!(stray.starts_with("t-0.") && stray.ends_with("-stray"), "{stray}");
        assert!(disks[0].content(&format!("{stray}/00000000000000000000.log")).is_some());
        assert_eq!(names(&disks[1]), ["t-0"]);
    }
}

#[tokio::test]
async fn what_damage_a_stray_has_is_no_concern_of_the_log() {
    let disks = [copy(DirectoryId(1), 5, 3).await, copy(DirectoryId(2), 9, 1).await];
    assert!(disks[0].flip_bit("t-0/00000000000000000000.log", 62, 0));

    let found = found_in(&disks).await;

    assert_eq!(logs(&found), [(DirectoryId(2), Offset(1))]);
    assert_eq!((found.damaged, found.failed), Default::default());
}

#[tokio::test]
async fn of_copies_that_were_in_use_together_none_passes_for_kept() {
    let disks = [copy(DirectoryId(1), 5, 3).await, copy(DirectoryId(2), 5, 1).await];

    // It stays so until a registration has stated it.
    for _ in 0..2 {
        let found = found_in(&disks).await;
        assert_eq!(logs(&found), [(DirectoryId(1), Offset(3))]);
        assert_eq!(found.damaged, BTreeMap::from([(DirectoryId(1), vec![PARTITION])]));
    }
    assert_ne!(names(&disks[1]), ["t-0"]);
}
