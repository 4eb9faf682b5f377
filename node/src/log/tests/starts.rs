//! Where a log begins: after a restart elsewhere, after records were deleted, and whatever ends in the midst of either.

use super::*;

/// A log of 120 records whose restart at this offset comes no further than to the removal of what there was.
async fn cut_short(sim: &SimDisk, start: u64) {
    let (mut log, _) = open(&sim.mount(None), Hints::default()).await;
    sim.fail_cuts(1);
    assert!(log.restart_at(Offset(start)).await.unwrap_err().is_full());
}

#[tokio::test]
async fn a_restart_that_is_cut_short_comes_to_its_end_when_the_log_is_opened() {
    for seed in 0..20 {
        for start in [120, 500] {
            let (sim, disk) = simulated();
            let mut log = filled(&disk, &batches(40, 1)).await;
            log.begin_epoch(4).await.unwrap();
            drop(log);
            cut_short(&sim, start).await;
            if seed % 2 == 0 {
                sim.power_loss(seed)
            } else {
                sim.kill()
            }

            let (log, recovered) = open(&sim.mount(None), Hints::default()).await;
            let (begin, epochs) = (Offset(start), Vec::new());
            assert_eq!((recovered.start, recovered.end, recovered.cut), (begin, begin, None), "seed {seed}");
            assert_eq!((recovered.epochs, log.segments_count()), (epochs, 1));
        }
    }
}

#[tokio::test]
async fn nothing_is_appended_while_nobody_knows_where_the_log_ends() {
    let (sim, disk) = simulated();
    let mut log = filled(&disk, &batches(40, 1)).await;
    sim.fail_cuts(2);
    for _ in 0..2 {
        assert!(log.truncate(Offset(60)).await.unwrap_err().is_full());
        assert!(matches!(log.append(&[batch(120, 3, 1, 1)]).await, Err(Fault::CutOpen { .. })));
    }
    log.truncate(Offset(60)).await.unwrap();

    assert!(log.is_whole());
    append_all(&mut log, &[batch(60, 3, 1, 1)]).await;
}

#[tokio::test]
async fn what_a_decided_restart_is_about_to_remove_is_not_gone_on_with() {
    let (sim, disk) = simulated();
    let mut log = filled(&disk, &batches(40, 1)).await;
    sim.fail_cuts(1);
    assert!(log.restart_at(Offset(500)).await.unwrap_err().is_full());

    for to in [60, 120] {
        assert!(matches!(log.truncate(Offset(to)).await, Err(Fault::CutOpen { .. })));
    }
    assert!(matches!(log.trim(Offset(60)), Err(Fault::CutOpen { .. })));
    assert!(matches!(log.append(&[batch(120, 3, 1, 1)]).await, Err(Fault::CutOpen { .. })));
    log.restart_at(Offset(500)).await.unwrap();

    append_all(&mut log, &[batch(500, 3, 1, 1)]).await;
}

#[tokio::test]
async fn a_restart_elsewhere_takes_the_place_of_one_that_was_cut_short() {
    let (sim, disk) = simulated();
    drop(filled(&disk, &batches(40, 1)).await);
    let (mut log, _) = open(&disk, Hints::default()).await;
    sim.fail_cuts(2);
    for start in [500, 600] {
        assert!(log.restart_at(Offset(start)).await.unwrap_err().is_full());
    }
    sim.kill();

    assert_eq!(open(&sim.mount(None), Hints::default()).await.1.start, Offset(600));
}

#[tokio::test]
async fn what_is_written_after_a_restart_further_down_is_kept() {
    let (sim, disk) = simulated();
    let mut log = filled(&disk, &batches(40, 1)).await;
    log.trim(Offset(50)).unwrap();
    log.restart_at(Offset(500)).await.unwrap();
    log.restart_at(Offset(0)).await.unwrap();
    append_all(&mut log, &batches(2, 3)).await;
    log.sync().await.unwrap();
    sim.power_loss(4);

    let (log, recovered) = open(&sim.mount(None), Hints::default()).await;
    assert_eq!((recovered.start, recovered.cut), (Offset(0), None));
    assert_eq!(contents(&log).await, batches(2, 3));
}

#[tokio::test]
async fn where_a_log_begins_survives_a_power_loss_even_within_a_segment() {
    for seed in 0..20 {
        let (sim, disk) = simulated();
        let mut log = filled(&disk, &batches(40, 1)).await;
        log.trim(Offset(50)).unwrap();
        sim.power_loss(seed);

        let (log, recovered) = open(&sim.mount(None), Hints::default()).await;
        assert_eq!((recovered.start, recovered.end, recovered.cut), (Offset(50), Offset(120), None));
        log.delete().await.unwrap();
        let recovered = open(&sim.mount(None), Hints::default()).await.1;
        assert_eq!((recovered.start, recovered.end, recovered.cut), (Offset(0), Offset(0), None));
    }
}

#[tokio::test]
async fn records_are_deleted_without_room_to_note_it_and_leave_no_gap() {
    for seed in 0..20 {
        let (sim, disk) = simulated();
        let mut log = filled(&disk, &batches(40, 1)).await;
        let before = log.segments_count();
        sim.set_no_new_files(true);
        log.trim(Offset(100)).unwrap();
        assert!(log.segments_count() + 1 < before, "several segments go");
        sim.power_loss(seed);

        let (_, recovered) = open(&sim.mount(None), Hints::default()).await;
        assert!((1..=100).contains(&recovered.start.0), "it begins with a segment, at {}", recovered.start);
        assert_eq!((recovered.end, recovered.cut), (Offset(120), None), "seed {seed}");
    }
}

#[tokio::test]
async fn a_log_that_ends_below_its_noted_start_is_damaged_until_that_is_accepted() {
    let (sim, disk) = simulated();
    let mut log = filled(&disk, &batches(40, 1)).await;
    log.trim(Offset(119)).unwrap();
    let last = disk.list(LOG).unwrap().into_iter().rev().find(|entry| entry.name.ends_with(".log")).unwrap();
    sim.kill();
    assert!(sim.flip_bit(&format!("{LOG}/{}", last.name), 70, 1));

    let end = open(&sim.mount(None), Hints::default()).await.1.end;
    assert!(end < Offset(119));
    let (log, recovered) = open(&sim.mount(None), Hints::default()).await;
    assert!(recovered.cut.is_some_and(|cut| cut.is_damage), "it is found by every start");
    log.accept_recovered().unwrap();
    let (_, recovered) = open(&sim.mount(None), Hints::default()).await;
    assert_eq!((recovered.end, recovered.cut), (end, None));
}
