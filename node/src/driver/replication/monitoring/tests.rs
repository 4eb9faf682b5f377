//! Each monitor of a replica is shown the fault that it is for: a bug in its core, or else what only a bug could bring about.

use std::num::NonZeroU32;

use highwater_model::fault::{Bug, Planted};
use highwater_model::id::PartitionEpoch;
use highwater_model::replication::{
    Answered, Batches, FetchAnswer, IsrSet, PartitionView, ReadRound, ReplicaIdx, Timer,
};
use tokio::sync::mpsc;

use super::super::tests::{driver_with, produce, reign};
use super::*;
use crate::disk::SimDisk;
use crate::monitor::Monitors;

const OTHER: ReplicaIdx = ReplicaIdx(1);

/// A replica with such a bug, and where its monitors count.
async fn watched(bug: Option<Bug>) -> (ReplicaDriver<Planted>, Monitors) {
    let monitors = Monitors::every(NonZeroU32::MIN);
    let (failures, _) = mpsc::channel(1);
    let driver = driver_with(&SimDisk::new("sim", 7), failures, Planted(bug), monitors.clone()).await;
    (driver, monitors)
}

fn violated(monitors: &Monitors) -> Vec<String> {
    let counts = monitors.counts().into_iter();
    counts.filter(|count| count.violated > 0).map(|count| count.name).collect()
}

fn evaluated(monitors: &Monitors, monitor: Monitor) -> u64 {
    monitors.counts().iter().find(|count| count.name == monitor.name()).map_or(0, |count| count.evaluated)
}

/// Before a step that does nothing.
fn idle(driver: &ReplicaDriver<Planted>) -> Before {
    driver.before(&Input::Expired(Timer::FetchRetry)).expect("monitors are on")
}

/// The other replica leads, in the leader epoch after the reign.
fn reign_of_the_other() -> PartitionView {
    PartitionView {
        metadata_offset: Offset(20),
        leader: Some(OTHER),
        leader_epoch: LeaderEpoch(2),
        partition_epoch: PartitionEpoch(2),
        isr: IsrSet::only(OTHER),
        ..reign()
    }
}

/// The leader answers the fetch that is open, to this run.
fn answered(driver: &mut ReplicaDriver<Planted>, run: u64, body: FetchBody) {
    let request_id = driver.core.open_fetch().expect("a follower fetches");
    let generation = driver.core.generation();
    let answer = FetchAnswer {
        answered: Answered { request_id, broker_epoch: BrokerEpoch(run), generation },
        leader_epoch: LeaderEpoch(2),
        high_watermark: Offset(0),
        log_start: Offset(20),
        round: ReadRound::default(),
        body,
    };
    let message = Message::FetchAnswer(answer);
    // One to another run is refused, unless that is the bug.
    let _ = driver.step(Input::Message { from: OTHER, message, batches: Batches::new() });
}

/// Nothing is violated without the bug, and this property, perhaps with others, with it.
async fn assert_noticed(bug: Bug, property: &str, provoke: impl Fn(&mut ReplicaDriver<Planted>)) {
    for planted in [None, Some(bug)] {
        let (mut driver, monitors) = watched(planted).await;
        provoke(&mut driver);
        let found = violated(&monitors);
        let noticed = found.iter().any(|name| name == property);
        assert_eq!(
            (noticed, found.is_empty()),
            (planted.is_some(), planted.is_none()),
            "{planted:?}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_leader_is_looked_at_as_a_whole_and_is_sound() {
    let (mut driver, monitors) = watched(None).await;
    driver.step(Input::View(reign())).unwrap();

    assert_eq!(violated(&monitors), Vec::<String>::new());
    for monitor in [Monitor::EpochHistory, Monitor::QuorumSuperset, Monitor::LeaderLeavesNothingUndone] {
        assert!(evaluated(&monitors, monitor) > 0, "{monitor:?}");
    }
}

#[tokio::test]
async fn an_early_acknowledgement_is_noticed() {
    let (mut driver, monitors) = watched(None).await;
    driver.step(Input::View(reign())).unwrap();

    driver.judge_acknowledgement(Offset(99), Acks::Leader);
    assert_eq!(violated(&monitors), Vec::<String>::new(), "nobody was promised more");
    driver.judge_acknowledgement(Offset(99), Acks::All);
    assert_eq!(violated(&monitors), ["replication/acked_was_replicated", "replication/acked_is_committed"]);
}

#[tokio::test]
async fn a_reader_beyond_the_high_watermark_is_noticed() {
    let (driver, monitors) = watched(None).await;

    driver.judge_readable(driver.core.high_watermark());
    assert_eq!(violated(&monitors), Vec::<String>::new());
    driver.judge_readable(driver.core.high_watermark().after(1));
    assert_eq!(violated(&monitors), ["replication/readers_see_what_is_committed"]);
}

#[tokio::test]
async fn a_watermark_that_falls_within_a_reign_is_noticed() {
    let (mut driver, monitors) = watched(None).await;
    driver.step(Input::View(reign())).unwrap();
    let sound = idle(&driver);
    let higher = sound.reign.map(|reign| Reign { high_watermark: Offset(99), ..reign });

    driver.judge_step(&Before { reign: higher, ..sound });
    assert_eq!(violated(&monitors), ["replication/watermark_of_a_leader_never_goes_back"]);
}

#[tokio::test]
async fn a_core_that_believes_in_another_log_than_there_is_is_noticed() {
    let (mut driver, monitors) = watched(None).await;
    let before = idle(&driver);
    driver.judge_state(&before);
    assert_eq!(violated(&monitors), Vec::<String>::new());
    driver.monitor.cut(Offset(3), LogGeneration(1));
    driver.judge_state(&before);
    assert_eq!(violated(&monitors), ["replication/replica_believes_what_its_disk_holds"]);

    let (mut driver, monitors) = watched(None).await;
    driver.monitor.epochs.assign(LeaderEpoch(9), Offset(3));
    driver.judge_state(&before);
    assert_eq!(violated(&monitors), ["replication/epoch_history"]);
}

#[tokio::test]
async fn a_sync_of_another_log_that_counts_is_noticed() {
    let property = "replication/replica_believes_what_its_disk_holds";
    assert_noticed(Bug::FlushIgnoresGeneration, property, |driver| {
        driver.step(Input::View(reign())).unwrap();
        drop(produce(driver));
        let (end, stale) =
            (driver.core.log().end(), LogGeneration(driver.core.generation().0.wrapping_add(5)));
        driver.monitor.flushed(end, stale);
        // Refused, unless that is the bug.
        let _ = driver.step(Input::Flushed { end, generation: stale });
    })
    .await;
}

#[tokio::test]
async fn a_shrink_that_counts_before_it_is_accepted_is_noticed() {
    assert_noticed(Bug::EagerShrink, "replication/quorum_superset", |driver| {
        let mut view = PartitionView { isr: IsrSet::first(2), ..reign() };
        view.replicas.iter_mut().for_each(|replica| replica.broker_epoch = Some(BrokerEpoch(1)));
        driver.step(Input::View(view)).unwrap();
        driver.step(Input::Expired(Timer::Lag(OTHER))).unwrap();
        assert!(driver.core.is_changing_isr(), "it proposes to go on alone");
    })
    .await;
}

#[tokio::test]
async fn a_watermark_that_is_not_evaluated_again_is_noticed() {
    assert_noticed(Bug::WatermarkNotReevaluated, "replication/leader_leaves_nothing_undone", |driver| {
        driver.step(Input::View(PartitionView { isr: IsrSet::first(2), ..reign() })).unwrap();
        let alone =
            PartitionView { metadata_offset: Offset(10), partition_epoch: PartitionEpoch(2), ..reign() };
        driver.step(Input::View(alone)).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_answer_to_an_earlier_run_is_noticed() {
    assert_noticed(Bug::StaleResponse, "replication/answer_is_to_this_run", |driver| {
        driver.step(Input::View(reign_of_the_other())).unwrap();
        answered(driver, 9, FetchBody::Records { from: Offset(6), end: Offset(6) });
    })
    .await;
}

#[tokio::test]
async fn a_cut_that_leaves_an_epoch_is_noticed() {
    let (mut driver, monitors) = watched(Some(Bug::EpochSurvivesNoopTruncation)).await;
    // It led, and wrote nothing: its epoch is in nobody's log.
    driver.step(Input::View(reign())).unwrap();
    driver.step(Input::View(reign_of_the_other())).unwrap();
    answered(&mut driver, 1, FetchBody::Diverging(EpochEnd { epoch: LeaderEpoch(0), end: Offset(6) }));

    let found = violated(&monitors);
    assert!(found.contains(&"replication/cut_leaves_no_epoch_that_the_leader_lacks".to_owned()), "{found:?}");
}

#[tokio::test]
async fn a_high_watermark_below_the_log_is_noticed() {
    assert_noticed(Bug::WatermarkBelowLogStart, "replication/watermark_order", |driver| {
        driver.step(Input::View(reign_of_the_other())).unwrap();
        answered(driver, 1, FetchBody::OutOfRange);
        assert_eq!(driver.core.log().start(), Offset(20));
    })
    .await;
}

#[tokio::test]
async fn a_log_that_is_trimmed_to_its_end_has_no_epoch_of_a_record() {
    let (mut driver, monitors) = watched(None).await;
    driver.step(Input::View(reign())).unwrap();
    let end = driver.core.log().end();
    driver.step(Input::RaiseLogStart { to: end }).unwrap();
    assert_eq!((driver.log.start(), driver.monitor.epochs.starts()), (end, [].as_slice()));

    let (leader_epoch, partition_epoch) = (LeaderEpoch(2), PartitionEpoch(2));
    let again = PartitionView { metadata_offset: Offset(20), leader_epoch, partition_epoch, ..reign() };
    driver.step(Input::View(again)).unwrap();
    assert!(driver.core.is_leading());
    assert_eq!(violated(&monitors), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_off_keeps_no_epochs() {
    let (failures, _) = mpsc::channel(1);
    let mut driver = driver_with(&SimDisk::new("sim", 7), failures, Planted(None), Monitors::default()).await;
    driver.step(Input::View(reign())).unwrap();
    drop(produce(&mut driver));

    assert_eq!(driver.monitor.epochs.starts(), []);
}
