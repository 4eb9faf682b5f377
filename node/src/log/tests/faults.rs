//! Failing syncs, full disks, and processes that end.

use super::*;

#[tokio::test]
async fn a_failed_sync_takes_the_directory_offline_for_good() {
    let (sim, disk) = simulated();
    let mut log = filled(&disk, &batches(2, 1)).await;
    sim.fail_syncs(1);
    append_all(&mut log, &[batch(6, 1, 1, 1)]).await;

    let fault = log.sync().await.unwrap_err();
    assert_eq!(
        fault.to_string(),
        "log directory sim is offline since syncing t-0/00000000000000000000.log gave: simulated fault"
    );
    for fault in [
        log.sync().await.unwrap_err(),
        log.append(&[batch(7, 1, 1, 1)]).await.unwrap_err(),
        log.read(Offset(0), 1, Offset(6)).await.unwrap_err(),
        disk.replace("x", bytes::Bytes::new()).await.unwrap_err(),
        disk.list("").unwrap_err(),
    ] {
        assert!(fault.is_offline(), "{fault}");
    }
    assert!(disk.offline().is_some());
    sim.power_loss(3);
    let recovered = open(&sim.mount(None), Hints::default()).await.1;
    assert!(recovered.end >= Offset(6));
}

/// A disk whose process was killed after a sync failed: 30 records of these batches were synced before, 90 not.
async fn after_a_failed_sync(written: &[Batch]) -> SimDisk {
    let (sim, disk) = simulated();
    let mut log = filled(&disk, &written[..10]).await;
    append_all(&mut log, &written[10..]).await;
    sim.fail_syncs(1);
    assert!(log.sync().await.unwrap_err().is_offline());
    sim.kill();
    sim
}

#[tokio::test]
async fn what_a_failed_sync_left_in_the_page_cache_is_written_again_before_it_counts() {
    let written = batches(40, 1);
    for seed in 0..20 {
        let sim = after_a_failed_sync(&written).await;

        let hints = Hints { stop: Stop::Killed, recovery_point: Offset(30), ..Hints::default() };
        let recovered = open(&sim.mount(None), hints).await.1;
        assert_eq!((recovered.end, recovered.cut), (Offset(120), None));
        sim.power_loss(seed);

        let hints = Hints { recovery_point: recovered.end, ..Hints::default() };
        let (log, recovered) = open(&sim.mount(None), hints).await;
        assert_eq!((recovered.end, recovered.cut), (Offset(120), None), "seed {seed}");
        assert_eq!(contents(&log).await, written);
    }
}

#[tokio::test]
async fn a_doubted_log_is_written_again_as_well() {
    let sim = after_a_failed_sync(&batches(40, 1)).await;

    let hints = Hints { stop: Stop::Killed, recovery_point: Hints::NEVER_REACHED, ..Hints::default() };
    let recovered = open(&sim.mount(None), hints).await.1;
    assert_eq!(recovered.end, Offset(120));
    sim.power_loss(1);

    assert_eq!(open(&sim.mount(None), Hints::default()).await.1.end, Offset(120));
}

#[tokio::test]
async fn after_a_clean_stop_nothing_is_written_again() {
    let (sim, disk) = simulated();
    let mut log = filled(&disk, &batches(10, 1)).await;
    append_all(&mut log, &[batch(30, 1, 3, 5000)]).await;
    sim.fail_syncs(1);
    drop(log.sync().await.unwrap_err());
    sim.kill();

    // A lie, which shows that a clean stop is believed.
    let hints = Hints { stop: Stop::Clean, ..Hints::default() };
    assert_eq!(open(&sim.mount(None), hints).await.1.end, Offset(33));
    sim.power_loss(1);
    assert_eq!(open(&sim.mount(None), Hints::default()).await.1.end, Offset(30));
}

#[tokio::test]
async fn a_full_disk_refuses_reads_on_and_resumes() {
    let (sim, disk) = simulated();
    let written = batches(3, 1);
    let mut log = filled(&disk, &written[..2]).await;
    sim.set_capacity(Some(sim.used_bytes() + 100));

    assert!(log.append(&written[2..]).await.unwrap_err().is_full());
    assert_eq!((log.end(), contents(&log).await), (Offset(6), written[..2].to_vec()));
    log.sync().await.unwrap();
    sim.set_capacity(None);
    append_all(&mut log, &written[2..]).await;
    assert_eq!(open(&disk, Hints::default()).await.1.batches, headers(&written));
}

#[tokio::test]
async fn whatever_was_mounted_before_a_kill_is_gone() {
    let (sim, disk) = simulated();
    let written = batches(3, 1);
    let mut log = filled(&disk, &written[..2]).await;
    append_all(&mut log, &written[2..]).await;
    let boot = disk.boot_id().unwrap();
    sim.kill();

    assert!(matches!(log.append(&[batch(9, 1, 1, 1)]).await, Err(Fault::Gone)));
    let disk = sim.mount(None);
    assert_eq!(disk.boot_id().unwrap(), boot);
    assert_eq!(open(&disk, Hints::default()).await.1.batches, headers(&written));
    sim.power_loss(1);
    assert_ne!(sim.mount(None).boot_id().unwrap(), boot);
}

#[tokio::test]
async fn without_syncs_a_power_loss_loses() {
    let lost = async |lying| {
        let (sim, disk) = simulated();
        sim.set_lying_sync(lying);
        filled(&disk, &batches(20, 1)).await;
        sim.power_loss(5);
        open(&sim.mount(None), Hints::default()).await.1.end < Offset(60)
    };

    assert!(!lost(false).await);
    assert!(lost(true).await);
}

/// The log, with recovery points of its own.
async fn checkpointed(sim: &SimDisk) -> (PartitionLog, Recovered, Arc<OffsetCheckpoint>) {
    let disk = sim.mount(None);
    let points = Arc::new(OffsetCheckpoint::load(Arc::clone(&disk), RECOVERY_POINTS).unwrap());
    let (config, hints) = (small(), Hints::default());
    let opened = PartitionLog::open_checkpointed(disk, LOG, None, config, hints, Arc::clone(&points));
    let (log, recovered) = opened.await.unwrap();
    (log, recovered, points)
}

#[tokio::test]
async fn a_log_that_finds_no_room_to_begin_anew_is_as_it_was() {
    let (sim, disk) = simulated();
    let written = batches(40, 1);
    filled(&disk, &written).await;
    let (mut log, _, points) = checkpointed(&sim).await;
    log.note_flushed(log.end());
    points.store().await.unwrap();
    sim.set_no_new_files(true);

    assert!(log.restart_at(Offset(500)).await.unwrap_err().is_full());
    assert_eq!((log.start(), contents(&log).await), (Offset(0), written.clone()));
    log.close().await.unwrap();
    let (mut log, recovered, points) = checkpointed(&sim).await;
    assert_eq!((recovered.batches, recovered.cut), (headers(&written), None));
    sim.set_no_new_files(false);
    assert_eq!(log.restart_at(Offset(500)).await.unwrap(), Truncated { end: Offset(500) });
    append_all(&mut log, &[batch(500, 2, 3, 60)]).await;
    log.sync().await.unwrap();
    drop((log, points));
    sim.power_loss(3);
    let (_, recovered, _) = checkpointed(&sim).await;
    assert_eq!((recovered.start, recovered.end, recovered.cut), (Offset(500), Offset(503), None));
}

#[tokio::test]
async fn a_log_that_finds_no_room_to_begin_anew_keeps_its_recovery_point() {
    let (sim, disk) = simulated();
    filled(&disk, &batches(40, 1)).await;
    let (mut log, _, points) = checkpointed(&sim).await;
    log.note_flushed(log.end());
    points.store().await.unwrap();
    sim.set_no_new_files(true);

    assert!(log.restart_at(Offset(500)).await.unwrap_err().is_full());
    assert_eq!(points.offset_of(LOG), Some(Offset(120)));
    sim.kill();
    let stored = OffsetCheckpoint::load(sim.mount(None), RECOVERY_POINTS).unwrap();
    assert_eq!(stored.offset_of(LOG), Some(Offset(120)));
}

#[tokio::test]
async fn a_cut_that_finds_no_room_halfway_is_not_taken_for_damage() {
    for restarts in [false, true] {
        let (sim, disk) = simulated();
        let written = batches(40, 1);
        filled(&disk, &written).await;
        let (mut log, _, points) = checkpointed(&sim).await;
        log.note_flushed(log.end());
        points.store().await.unwrap();
        sim.fail_cuts(1);
        let cut = if restarts { log.restart_at(Offset(500)) } else { log.truncate(Offset(30)) };
        assert!(cut.await.unwrap_err().is_full());

        log.close().await.unwrap();
        points.store().await.unwrap();
        let (mut log, recovered, _) = checkpointed(&sim).await;
        assert_eq!(recovered.cut, None, "restarts: {restarts}");
        let ends = if restarts { 500..=500 } else { 30..=119 };
        assert!(ends.contains(&recovered.end.0), "restarts: {restarts}, ends at {}", recovered.end);
        assert_eq!(log.restart_at(Offset(600)).await.unwrap(), Truncated { end: Offset(600) });
    }
}

#[tokio::test]
async fn a_log_on_a_full_disk_can_be_cut() {
    let (sim, disk) = simulated();
    filled(&disk, &batches(4, 1)).await;
    let (mut log, _, points) = checkpointed(&sim).await;
    log.note_flushed(Offset(12));
    points.store().await.unwrap();
    sim.set_capacity(Some(sim.used_bytes()));

    log.truncate(Offset(6)).await.unwrap();
    sim.power_loss(1);
    let (_, recovered, points) = checkpointed(&sim).await;
    assert_eq!((recovered.end, recovered.cut, points.offset_of(LOG)), (Offset(6), None, None));
}
