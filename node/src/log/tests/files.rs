//! Snapshots, and logs described for people.

use highwater_transport::batch::BatchError;

use super::*;

const NAME: SnapshotName = SnapshotName { end: Offset(42), epoch: 3 };

both! {
    async fn snapshots_are_found_by_name(disk: Arc<dyn Disk>) {
        filled(&disk, &batches(2, 1)).await;
        let snapshots = Snapshots::new(Arc::clone(&disk), LOG);
        let newer = SnapshotName { end: Offset(50), epoch: 4 };
        for name in [NAME, newer] {
            snapshots.publish(name, bytes::Bytes::from(name.end.to_string())).await.unwrap();
        }

        assert_eq!(snapshots.list().unwrap(), [NAME, newer]);
        assert_eq!(disk.read_whole("t-0/00000000000000000042-0000000003.checkpoint").unwrap(), "42");
        snapshots.remove_below(Offset(50)).await.unwrap();
        assert_eq!(snapshots.list().unwrap(), [newer]);
        assert!(snapshots.read(NAME).unwrap_err().is_missing());
        assert_eq!(snapshots.read(newer).unwrap(), "50");
        assert_eq!(open(&disk, Hints::default()).await.1.end, Offset(6));
    }

    async fn what_an_interrupted_beginning_left_goes(disk: Arc<dyn Disk>) {
        let leave = async |start: u64| {
            let file = disk.open(&format!("{LOG}/{start:020}.log.tmp"), Open::New).unwrap();
            file.append(&batches(1, 7).iter().flat_map(Batch::chunks).collect::<Vec<_>>()).unwrap().await.unwrap();
        };
        let nameless = || disk.list(LOG).unwrap().iter().filter(|entry| entry.name.ends_with(".log.tmp")).count();
        drop(filled(&disk, &batches(2, 1)).await);
        leave(500).await;
        leave(600).await;

        let (mut log, recovered) = open(&disk, Hints::default()).await;
        assert_eq!((recovered.end, recovered.cut, nameless()), (Offset(6), None, 0));

        leave(500).await;
        log.restart_at(Offset(500)).await.unwrap();
        append_all(&mut log, &[batch(500, 2, 3, 60)]).await;
        log.sync().await.unwrap();
        drop(log);
        let (log, recovered) = open(&disk, Hints::default()).await;
        assert_eq!((recovered.start, recovered.end, recovered.cut), (Offset(500), Offset(503), None));
        assert_eq!((contents(&log).await, nameless()), (vec![batch(500, 2, 3, 60)], 0));
    }

    async fn a_dump_describes_every_batch_and_goes_on_after_a_broken_segment(disk: Arc<dyn Disk>) {
        let written = batches(40, 1);
        let log = filled(&disk, &written).await;
        let described: Vec<_> = dump(Arc::clone(&disk), LOG, true).unwrap().map(Result::unwrap).collect();
        let found: Vec<_> = described.iter().map(|described| described.batch.clone().unwrap()).collect();
        assert_eq!(found, written);
        assert!(described.iter().all(|described| described.unsound.is_none()));

        let first = disk.open("t-0/00000000000000000000.log", Open::Existing).unwrap();
        first.truncate(first.len_bytes() - 5).unwrap();
        drop(log);
        let described: Vec<_> = dump(Arc::clone(&disk), LOG, false).unwrap().map(Result::unwrap).collect();
        assert_eq!(described.len(), 40);
        assert_eq!(described.iter().filter(|described| described.batch.is_err()).count(), 1);
        let one = dump(Arc::clone(&disk), "t-0/00000000000000000021.log", true).unwrap();
        assert_eq!(one.count(), 7);
        assert!(dump(disk, "t-1", true).unwrap_err().is_missing());
    }
}

/// A replica that was given these batches.
async fn replica(written: &[Batch]) -> (SimDisk, Replica) {
    let (sim, disk) = simulated();
    drop(filled(&disk, written).await);
    (sim, Replica { disk, directory: LOG.to_owned() })
}

#[tokio::test]
async fn replicas_are_compared_byte_by_byte_up_to_an_offset() {
    let written = batches(40, 1);
    let (until, last) = (Offset(100), written[39].header().end_offset());
    let (_, leader) = replica(&written).await;
    let below = written.iter().filter(|batch| batch.header().base_offset < until).count();
    let (_, short) = replica(&written[..below]).await;
    let agreed = compare(&leader, &short, until).unwrap().unwrap();
    assert_eq!(agreed.batches, below as u64);
    let missing = compare(&leader, &short, last).unwrap().unwrap_err();
    assert_eq!((missing.offset, missing.other), (written[below].header().base_offset, Held::Nothing));

    let (sim, flipped) = replica(&written).await;
    assert!(sim.flip_bit("t-0/00000000000000000000.log", 70, 3));
    let found = compare(&leader, &flipped, last).unwrap().unwrap_err();
    assert_eq!(found.offset, Offset::ZERO);
    assert!(matches!(found.other, Held::Damage(BatchError::Crc { .. })), "{found}");

    // Sound, and of another leader: what a replica holds that did not cut its log as it had to.
    let mut other = written.clone();
    other[39] = other[39].stamped(other[39].header().base_offset, 9, None);
    let (_, diverged) = replica(&other).await;
    let found = compare(&leader, &diverged, last).unwrap().unwrap_err();
    assert_eq!(found.offset, written[39].header().base_offset);
    assert!(found.to_string().contains("of leader epoch 9"), "{found}");

    let absent = Replica { directory: "u-0".to_owned(), ..leader.clone() };
    assert_eq!(compare(&leader, &absent, last).unwrap().unwrap_err().other, Held::Nothing);
    assert_eq!(compare(&leader, &absent, Offset::ZERO).unwrap(), Ok(Agreed::default()));
}

#[tokio::test]
async fn a_flipped_bit_shows_in_a_verifying_dump() {
    let (sim, disk) = simulated();
    filled(&disk, &batches(3, 1)).await;
    sim.flip_bit("t-0/00000000000000000000.log", batch(0, 1, 3, 60).len_bytes() + 100, 1);

    let unsound = |verify| {
        dump(Arc::clone(&disk), LOG, verify)
            .unwrap()
            .map(|d| d.unwrap().unsound.is_some())
            .collect::<Vec<_>>()
    };
    assert_eq!(unsound(true), [false, true, false]);
    assert_eq!(unsound(false), [false; 3]);
}

#[test]
fn a_snapshot_is_there_whole_or_not_at_all() {
    let mut seen = [false; 2];
    for seed in 0..40 {
        let simulation = highwater_transport::env::sim::Simulation::run(
            seed,
            highwater_transport::env::sim::Config::default(),
            async |simulation| {
                let sim = SimDisk::new("sim", seed);
                let process = simulation.process("broker", "198.18.0.1".parse().unwrap());
                let disk = sim.mount(Some(process.env()));
                disk.create_dir(LOG).unwrap();
                let directories = vec![String::new()];
                disk.sync(crate::disk::SyncSet { directories, ..crate::disk::SyncSet::default() })
                    .await
                    .unwrap();
                drop(Snapshots::new(disk, LOG).publish(NAME, bytes::Bytes::from_static(b"whole")));
                process.kill();
                sim.power_loss(seed);
                Snapshots::new(sim.mount(None), LOG).read(NAME).ok()
            },
        );
        let found = simulation.success();
        assert!(found.as_ref().is_none_or(|content| content == "whole"));
        seen[usize::from(found.is_some())] = true;
    }

    assert_eq!(seen, [true, true]);
}

#[tokio::test]
async fn a_log_closes_in_order_though_its_indexes_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(directory.path()).unwrap());
    let log = filled(&disk, &batches(2, 1)).await;
    for name in ["index", "timeindex"] {
        disk.create_dir(&format!("t-0/00000000000000000000.{name}/x")).unwrap();
    }

    assert_eq!(log.close().await.unwrap(), Flushed { end: Offset(6) });
}
