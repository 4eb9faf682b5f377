//! What recovery finds after bytes were torn, lost or changed.

use super::*;

const FIRST: &str = "t-0/00000000000000000000.log";

fn hints(stop: Stop, recovery_point: u64) -> Hints {
    Hints { stop, recovery_point: Offset(recovery_point), ..Hints::default() }
}

both! {
    async fn a_tail_torn_anywhere_is_cut_and_nothing_else(disk: Arc<dyn Disk>) {
        let written = batches(4, 1);
        let size = written[0].len_bytes();
        let whole = u64::try_from(4 * size).unwrap();
        for torn in 1..u64::try_from(size).unwrap() {
            let log = filled(&disk, &written).await;
            disk.open(FIRST, Open::Existing).unwrap().truncate(whole - torn).unwrap();
            drop(log);

            let (log, recovered) = open(&disk, hints(Stop::Killed, 9)).await;
            let bytes = u64::try_from(size).unwrap() - torn;
            let cut = Cut { end: Offset(9), bytes, reason: CutReason::Torn, is_damage: false };
            assert_eq!((recovered.cut, recovered.end), (Some(cut), Offset(9)));
            assert_eq!(recovered.batches, headers(&written[..3]));
            assert_eq!(open(&disk, hints(Stop::Unknown, 9)).await.1.cut, None);
            log.delete().await.unwrap();
        }
    }

    async fn a_log_that_ends_below_its_recovery_point_is_damaged(disk: Arc<dyn Disk>) {
        let written = batches(4, 1);
        let size = u64::try_from(written[0].len_bytes()).unwrap();
        filled(&disk, &written).await;
        disk.open(FIRST, Open::Existing).unwrap().truncate(3 * size).unwrap();

        let recovered = open(&disk, hints(Stop::Unknown, 12)).await.1;
        let cut = Cut { end: Offset(9), bytes: 0, reason: CutReason::Missing, is_damage: true };
        assert_eq!(recovered.cut, Some(cut));
    }

    async fn a_lost_segment_ends_the_log_before_it(disk: Arc<dyn Disk>) {
        let written = batches(40, 1);
        filled(&disk, &written).await;
        disk.remove("t-0/00000000000000000021.log").unwrap();

        let (log, recovered) = open(&disk, hints(Stop::Unknown, 0)).await;
        let cut = recovered.cut.expect("what follows a lost segment is cut");
        assert_eq!((cut.end, cut.is_damage), (Offset(21), false));
        assert!(matches!(cut.reason, CutReason::Gap { .. }));
        assert_eq!(contents(&log).await, written[..7]);
    }

    async fn records_of_before_a_truncation_do_not_follow_those_of_after(disk: Arc<dyn Disk>) {
        let written = [batch(0, 1, 3, 9), batch(3, 3, 3, 9)];
        filled(&disk, &written).await;
        let stale = batch(6, 2, 1, 9);
        disk.open(FIRST, Open::Existing).unwrap().append(&stale.chunks()).unwrap().await.unwrap();

        let cut = open(&disk, hints(Stop::Unknown, 0)).await.1.cut.unwrap();
        assert_eq!((cut.end, cut.reason), (Offset(6), CutReason::OldEpoch { found: 2 }));
    }

    async fn indexes_on_disk_are_not_believed(disk: Arc<dyn Disk>) {
        let written = batches(40, 1);
        filled(&disk, &written).await.close().await.unwrap();
        let nonsense = bytes::Bytes::from_static(&[0x7f; 64]);
        disk.replace("t-0/00000000000000000000.index", nonsense.clone()).await.unwrap();
        disk.replace("t-0/leader-epoch-checkpoint", nonsense).await.unwrap();

        let (log, recovered) = open(&disk, Hints::default()).await;
        assert_eq!(recovered.epochs, [EpochEntry { epoch: 1, start: Offset(0) }]);
        assert_eq!(contents(&log).await, written);
    }
}

#[tokio::test]
async fn a_flipped_bit_cuts_the_log_there_and_says_whether_it_was_counted() {
    let written = batches(6, 1);
    let size = written[0].len_bytes();
    for (stop, recovery_point, is_damage) in [
        (Stop::Unknown, 9, false),
        (Stop::Unknown, 10, true),
        (Stop::Killed, 0, true),
        (Stop::Clean, 0, true),
    ] {
        for byte in 0..size {
            let (sim, disk) = simulated();
            filled(&disk, &written).await;
            assert!(sim.flip_bit(FIRST, 3 * size + byte, u8::try_from(byte % 8).unwrap()));

            let recovered = open(&disk, hints(stop, recovery_point)).await.1;
            // The leader epoch, alone in the header, is covered by no checksum.
            if (12..16).contains(&byte) {
                continue;
            }
            let cut = recovered.cut.expect("a flipped bit is found");
            assert_eq!((cut.end, cut.is_damage), (Offset(9), is_damage), "byte {byte}: {:?}", cut.reason);
            assert_eq!(recovered.batches, headers(&written[..3]));
        }
    }
}

/// A start of a process on a disk: the log as it is found, with the recovery points.
async fn start(sim: &SimDisk, stop: Stop) -> (PartitionLog, Recovered, Arc<OffsetCheckpoint>) {
    let disk = sim.mount(None);
    let points = Arc::new(OffsetCheckpoint::load(Arc::clone(&disk), RECOVERY_POINTS).unwrap());
    let hints = Hints { stop, ..Hints::default() };
    let opened =
        PartitionLog::open_checkpointed(disk, LOG, None, small(), hints, Arc::clone(&points)).await.unwrap();
    (opened.0, opened.1, points)
}

#[tokio::test]
async fn damage_is_found_by_every_start_until_it_has_been_stated() {
    for stop in [Stop::Killed, Stop::Clean] {
        let (sim, disk) = simulated();
        let written = batches(6, 1);
        filled(&disk, &written).await;
        assert!(sim.flip_bit(FIRST, 3 * written[0].len_bytes() + 70, 0));

        for stop in [stop, Stop::Killed, Stop::Unknown] {
            let cut = start(&sim, stop).await.1.cut.expect("damage is told by every start");
            assert_eq!((cut.end, cut.is_damage), (Offset(9), true));
            sim.power_loss(11);
        }
        start(&sim, Stop::Killed).await.0.accept_recovered().unwrap();
        sim.power_loss(12);
        assert_eq!(start(&sim, Stop::Killed).await.1.cut, None);
    }
}

#[tokio::test]
async fn damage_is_remembered_only_when_what_is_left_is_synced() {
    let (sim, disk) = simulated();
    let written = batches(6, 1);
    filled(&disk, &written).await;
    assert!(sim.flip_bit(FIRST, 3 * written[0].len_bytes() + 70, 0));
    let points = Arc::new(OffsetCheckpoint::load(Arc::clone(&disk), RECOVERY_POINTS).unwrap());
    sim.fail_syncs(1);

    // Else the next start would take all of the log for synced.
    let opened =
        PartitionLog::open_checkpointed(disk, LOG, None, small(), hints(Stop::Killed, 0), points.clone());
    assert!(opened.await.unwrap_err().is_offline());
    assert_eq!(points.offset_of(LOG), None);
}

#[tokio::test]
async fn a_recovery_point_never_survives_above_a_cut() {
    let (sim, disk) = simulated();
    let written = batches(4, 1);
    filled(&disk, &written).await;
    let (mut log, _, points) = start(&sim, Stop::Killed).await;
    log.note_flushed(Offset(12));
    points.store().await.unwrap();
    log.truncate(Offset(6)).await.unwrap();
    sim.kill();

    let (log, recovered, points) = start(&sim, Stop::Killed).await;
    assert_eq!((recovered.cut, points.offset_of(LOG)), (None, Some(Offset(6))));
    log.delete().await.unwrap();
}
