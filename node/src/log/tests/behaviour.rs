//! What a log does as long as nothing goes wrong.

use super::*;

both! {
    async fn what_is_appended_is_read_back_across_segments_and_a_restart(disk: Arc<dyn Disk>) {
        let written = batches(40, 1);
        let mut log = filled(&disk, &written).await;

        assert_eq!(log.sync().await.unwrap(), Flushed { end: Offset(120) });
        assert!(log.segments_count() > 3);
        assert_eq!(contents(&log).await, written);
        assert_eq!(log.headers(Offset(0), Offset(120)).await.unwrap(), headers(&written));
        assert_eq!(log.headers(Offset(4), Offset(7)).await.unwrap(), headers(&written)[1..3]);
        let (again, recovered) = open(&disk, Hints::default()).await;
        let epochs = vec![EpochEntry { epoch: 1, start: Offset(0) }];
        let expected =
            Recovered { start: Offset(0), end: Offset(120), epochs, batches: headers(&written), cut: None };
        assert_eq!(recovered, expected);
        assert_eq!(contents(&again).await, written);
    }

    async fn a_read_from_any_offset_begins_with_the_batch_that_holds_it(disk: Arc<dyn Disk>) {
        let log = filled(&disk, &batches(40, 1)).await;

        for offset in 0..120 {
            let read = split(log.read(Offset(offset), 1, Offset(120)).await.unwrap()).unwrap();
            assert_eq!(headers(&read), [*batch(offset / 3 * 3, 1, 3, 60).header()]);
        }
        assert!(log.read(Offset(120), 1, Offset(120)).await.unwrap().is_empty());
        assert!(matches!(log.read(Offset(121), 1, Offset(121)).await, Err(Fault::OutOfRange { .. })));
    }

    async fn a_read_gives_whole_batches_within_its_bounds(disk: Arc<dyn Disk>) {
        let written = batches(6, 1);
        let log = filled(&disk, &written).await;
        let size = written[0].len_bytes();

        let count = async |bytes_max, up_to| split(log.read(Offset(0), bytes_max, Offset(up_to)).await.unwrap()).unwrap().len();
        assert_eq!(count(2 * size, 18).await, 2);
        assert_eq!(count(3 * size - 1, 18).await, 2);
        assert_eq!(count(0, 18).await, 1);
        assert_eq!(count(10 * size, 8).await, 2);
        assert_eq!(count(10 * size, 2).await, 0);
    }

    async fn several_batches_go_in_one_append(disk: Arc<dyn Disk>) {
        let (mut log, _) = open(&disk, Hints::default()).await;
        let written = batches(3, 4);

        assert_eq!(log.append(&written).await.unwrap(), Written { end: Offset(9) });
        assert_eq!(log.append(&[]).await.unwrap(), Written { end: Offset(9) });
        assert_eq!(contents(&log).await, written);
    }

    async fn what_does_not_continue_the_log_is_refused_and_changes_nothing(disk: Arc<dyn Disk>) {
        let written = batches(2, 4);
        let mut log = filled(&disk, &written).await;

        for wrong in [batch(5, 4, 1, 1), batch(8, 4, 1, 1), batch(7, 3, 1, 1)] {
            assert!(matches!(log.append(&[batch(6, 4, 1, 1), wrong.clone()]).await, Err(Fault::Misplaced { .. })));
            assert!(matches!(log.append(&[wrong]).await, Err(Fault::Misplaced { .. })));
        }
        assert_eq!((log.end(), contents(&log).await), (Offset(6), written));
    }

    async fn a_truncation_reaches_over_segments(disk: Arc<dyn Disk>) {
        let written = batches(40, 1);
        for kept in [39, 21, 20, 3, 1, 0] {
            let mut log = filled(&disk, &written).await;
            let end = Offset(u64::try_from(kept).unwrap() * 3);

            assert_eq!(log.truncate(end).await.unwrap(), Truncated { end });
            assert_eq!(contents(&log).await, written[..kept]);
            let later = batch(end.0, 2, 5, 80);
            append_all(&mut log, std::slice::from_ref(&later)).await;
            log.sync().await.unwrap();
            let (again, recovered) = open(&disk, Hints::default()).await;
            assert_eq!((recovered.cut, recovered.end), (None, later.header().end_offset()));
            assert_eq!(contents(&again).await, [&written[..kept], &[later]].concat());
            again.delete().await.unwrap();
        }
    }

    async fn a_cut_within_a_batch_is_refused_and_cuts_nothing(disk: Arc<dyn Disk>) {
        let written = batches(40, 1);
        let mut log = filled(&disk, &written).await;

        for within in [1, 8, 119] {
            let refused = log.truncate(Offset(within)).await;
            assert!(matches!(refused, Err(Fault::WithinBatch { .. })), "{refused:?}");
        }
        assert_eq!((log.end(), contents(&log).await), (Offset(120), written));
    }

    async fn an_epoch_without_records_outlives_a_restart_but_no_truncation(disk: Arc<dyn Disk>) {
        let mut log = filled(&disk, &batches(2, 1)).await;
        log.begin_epoch(3).await.unwrap();
        let begun = EpochEntry { epoch: 3, start: Offset(6) };
        let first = EpochEntry { epoch: 1, start: Offset(0) };

        assert_eq!(open(&disk, Hints::default()).await.1.epochs, [first, begun]);
        log.truncate(Offset(6)).await.unwrap();
        log.sync().await.unwrap();
        log.begin_epoch(1).await.unwrap();
        assert_eq!(open(&disk, Hints::default()).await.1.epochs, [first]);
    }

    async fn the_shape_is_the_one_that_a_core_takes(disk: Arc<dyn Disk>) {
        let mut log = filled(&disk, &batches(2, 1)).await;
        append_all(&mut log, &[batch(6, 4, 2, 9)]).await;

        let shape = open(&disk, Hints::default()).await.1.shape(highwater_model::id::LeaderEpoch);
        assert_eq!((shape.start(), shape.flushed(), shape.end()), (Offset(0), Offset(8), Offset(8)));
        assert_eq!(shape.epoch_at(Offset(5)), Some(highwater_model::id::LeaderEpoch(1)));
        assert_eq!(shape.epoch_at(Offset(6)), Some(highwater_model::id::LeaderEpoch(4)));
    }

    async fn a_restart_elsewhere_throws_everything_away(disk: Arc<dyn Disk>) {
        let mut log = filled(&disk, &batches(40, 1)).await;

        assert_eq!(log.restart_at(Offset(500)).await.unwrap(), Truncated { end: Offset(500) });
        let later = batch(500, 2, 5, 80);
        append_all(&mut log, std::slice::from_ref(&later)).await;
        log.sync().await.unwrap();
        let (log, recovered) = open(&disk, Hints::default()).await;
        assert_eq!((recovered.start, recovered.end, recovered.cut), (Offset(500), Offset(505), None));
        assert_eq!(contents(&log).await, [later]);
    }

    async fn trimming_removes_whole_segments_and_hides_the_rest(disk: Arc<dyn Disk>) {
        let written = batches(40, 1);
        let mut log = filled(&disk, &written).await;
        let (before, bytes) = (log.segments_count(), log.size_bytes());
        log.trim(Offset(50)).unwrap();

        assert!(log.segments_count() < before);
        assert!(log.size_bytes() < bytes);
        assert_eq!(log.start(), Offset(50));
        assert!(matches!(log.read(Offset(49), 1, Offset(120)).await, Err(Fault::OutOfRange { .. })));
        assert_eq!(contents(&log).await, written[16..]);
        let hints = Hints { log_start: Offset(50), ..Hints::default() };
        let (log, recovered) = open(&disk, hints).await;
        assert_eq!((recovered.start, recovered.end), (Offset(50), Offset(120)));
        assert_eq!(recovered.epochs, [EpochEntry { epoch: 1, start: Offset(50) }]);
        assert_eq!(contents(&log).await, written[16..]);
    }

    async fn a_directory_of_another_topic_id_is_not_opened(disk: Arc<dyn Disk>) {
        let open = async |id| PartitionLog::open(Arc::clone(&disk), LOG, Some(TopicId(id)), small(), Hints::default()).await;
        open(5).await.unwrap();

        open(5).await.unwrap();
        assert!(matches!(open(6).await, Err(Fault::Malformed { .. })));
        assert_eq!(topic_id_of(disk.as_ref(), LOG).unwrap(), Some(TopicId(5)));
    }

    async fn closing_writes_indexes_as_kafka_has_them(disk: Arc<dyn Disk>) {
        let (mut log, _) = open(&disk, Hints::default()).await;
        append_all(&mut log, &batches(4, 1)).await;
        assert_eq!(log.close().await.unwrap(), Flushed { end: Offset(12) });

        // Batches of 266 bytes and an interval of 200: an entry for each batch but the first.
        let size = batch(0, 1, 3, 60).len_bytes();
        let entry = |last: u32, position: usize| [last.to_be_bytes(), u32::try_from(position).unwrap().to_be_bytes()].concat();
        let offsets = [entry(5, size), entry(8, 2 * size), entry(11, 3 * size)].concat();
        let index = disk.read_whole("t-0/00000000000000000000.index").unwrap();
        assert_eq!(index, offsets);
        let times = disk.read_whole("t-0/00000000000000000000.timeindex").unwrap();
        assert_eq!(times.len(), 36);
        assert_eq!(times[..12], [&32_i64.to_be_bytes()[..], &5_u32.to_be_bytes()].concat());
    }

    async fn checkpoints_come_back_and_are_lowered_at_once(disk: Arc<dyn Disk>) {
        let checkpoint = OffsetCheckpoint::load(Arc::clone(&disk), RECOVERY_POINTS).unwrap();
        checkpoint.note("a-b-3", Offset(17));
        checkpoint.note("c-0", Offset(4));
        checkpoint.store().await.unwrap();
        checkpoint.lower("a-b-3", Offset(9)).unwrap();

        assert_eq!(disk.read_whole(RECOVERY_POINTS).unwrap(), "0\n2\na-b 3 9\nc 0 4\n");
        let again = OffsetCheckpoint::load(Arc::clone(&disk), RECOVERY_POINTS).unwrap();
        assert_eq!((again.offset_of("a-b-3"), again.offset_of("d-0")), (Some(Offset(9)), None));
        assert_eq!(directory_of("a-b", PartitionIndex(3)), "a-b-3");
    }

    async fn a_directory_is_one_process_s_alone(disk: Arc<dyn Disk>) {
        disk.lock().unwrap();

        disk.lock().unwrap();
        assert!(!disk.boot_id().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_second_process_does_not_get_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = RealDisk::open(directory.path()).unwrap();
    let second = RealDisk::open(directory.path()).unwrap();
    first.lock().unwrap();

    assert!(matches!(second.lock(), Err(Fault::Locked { .. })));
    drop(first);
    second.lock().unwrap();
}

#[tokio::test]
async fn paths_stay_within_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(directory.path()).unwrap();

    for path in ["../x", "/etc/passwd", "a/../../x", "."] {
        assert!(matches!(disk.open(path, Open::OrNew), Err(Fault::BadPath { .. })), "{path}");
    }
}
