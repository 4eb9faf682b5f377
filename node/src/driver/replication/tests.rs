//! What a replica does when its core and its log part.

use highwater_model::fault::Sound;
use highwater_model::id::{BrokerEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicPartition};
use highwater_model::replication::{
    Answered, FetchAnswer, FetchBody, FlushPolicy, IsrSet, PartitionView, ReadRound, ReplicaView,
};
use highwater_transport::batch::{BatchBuilder, NewRecord};
use highwater_transport::certs::LabAuthority;
use highwater_transport::quic::{self, Endpoint};
use highwater_transport::watch;

use std::num::NonZeroU32;

use super::*;
use crate::disk::SimDisk;
use crate::driver::quorum::QuorumFeeds;
use crate::log::{Hints, LogConfig};

const OWN: NodeId = NodeId(1);
const DIRECTORY: DirectoryId = DirectoryId(7);

/// A batch of three records.
fn batch(base: u64) -> Batch {
    let mut builder = BatchBuilder::new();
    for _ in 0..3 {
        builder.push(&NewRecord { value: Some(b"record"), ..NewRecord::default() }).unwrap();
    }
    Batch::split_first(&mut builder.build_at(Offset(base), Some(0)).unwrap()).unwrap()
}

/// A log of two batches, which ends at 6.
async fn log(sim: &SimDisk) -> (PartitionLog, log::Recovered) {
    let disk = sim.mount(None);
    let (mut log, _) =
        PartitionLog::open(disk.clone(), "t-0", None, LogConfig::default(), Hints::default()).await.unwrap();
    log.append(&[batch(0), batch(3)]).await.unwrap();
    log.sync().await.unwrap();
    PartitionLog::open(disk, "t-0", None, LogConfig::default(), Hints::default()).await.unwrap()
}

fn controller(env: &Env, peers: &Peers) -> ControllerClient {
    let feeds = QuorumFeeds {
        asks: mpsc::channel(1).0,
        images: watch::channel(Arc::new(Image::default())).1,
        leader: watch::channel(None).1,
        voters: watch::channel(Vec::new()).1,
    };
    ControllerClient::new(env, OWN, feeds, peers.clone())
}

async fn driver(sim: &SimDisk, failures: mpsc::Sender<DirectoryId>) -> ReplicaDriver<Sound> {
    driver_with(sim, failures, Sound, Monitors::every(NonZeroU32::MIN)).await
}

/// A replica on this disk, with such bugs, whose monitors count there.
pub(super) async fn driver_with<F: Faults>(
    sim: &SimDisk,
    failures: mpsc::Sender<DirectoryId>,
    faults: F,
    monitors: Monitors,
) -> ReplicaDriver<F> {
    let env = Env::real();
    let identity = LabAuthority::new("test").unwrap().broker(OWN).unwrap();
    let local = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::bind(&env, local, &identity, quic::Settings::default()).unwrap();
    let peers = Peers::new(&env, OWN, endpoint, "127.0.0.1:1");
    let (log, recovered) = log(sim).await;
    let (own, inbox) = mpsc::channel(1);
    let parts = ReplicaParts {
        controller: controller(&env, &peers),
        env,
        faults,
        tenure: Tenure {
            partition: TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) },
            own: ReplicaIdx(0),
            replicas: [OWN, NodeId(2)].into_iter().collect(),
            broker_epoch: BrokerEpoch(1),
        },
        directory: DIRECTORY,
        log,
        recovered,
        timing: Timing::default(),
        limits: Limits::default(),
        peers,
        failures,
        retired: Retired::default(),
        recorder: Recorder::default(),
        monitors,
    };
    ReplicaDriver::new(parts, &own, inbox)
}

#[tokio::test]
async fn a_cut_within_a_batch_takes_the_replica_out_and_nothing_else() {
    let (failures, mut failed) = mpsc::channel(1);
    let mut driver = driver(&SimDisk::new("sim", 7), failures).await;
    let generation = LogGeneration(1);
    let stale = Input::Written { end: Offset(6), generation: LogGeneration(9) };
    driver.issue(Effect::Truncate { to: Offset(3), generation });
    assert_eq!(driver.step(stale.clone()), Err(Refusal::StaleCompletion));
    assert_eq!(driver.failed, None);

    driver.issue(Effect::Truncate { to: Offset(2), generation });
    let why = "the replica is offline: t-0: no batch ends at 2: the one that is there begins at 0";
    assert_eq!(driver.failed.as_deref(), Some(why));
    assert_eq!(driver.log.end(), Offset(3), "what it has counted is there");
    assert_eq!(driver.parts.retired.leader_epoch(), Some(LeaderEpoch(0)));
    assert_eq!(driver.step(stale), Ok(()), "a replica that is out takes no step");
    assert!(failed.try_recv().is_err(), "the directory is sound");
}

#[tokio::test]
async fn a_produce_that_finds_too_many_waiting_is_refused_and_not_timed_out() {
    let mut driver = driver(&SimDisk::new("sim", 7), mpsc::channel(1).0).await;
    driver.parts.limits.pending_produces_max = 0;
    let (reply, refused) = oneshot::channel();
    let deadline = driver.parts.env.now() + Duration::from_secs(1);

    driver.on_produce(Produce { acks: Acks::All, batch: batch(6), deadline, reply });

    let error = refused.await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::ThrottlingQuotaExceeded, "{error}");
    assert_eq!(driver.log.end(), Offset(6), "nothing was done");
}

/// The replica leads, alone in the ISR.
pub(super) fn reign() -> PartitionView {
    let replica = |broker_epoch| ReplicaView { broker_epoch, eligible: true };
    PartitionView {
        metadata_offset: Offset(9),
        leader: Some(ReplicaIdx(0)),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(1),
        isr: IsrSet::first(1),
        min_isr: 1,
        flush: FlushPolicy::Os,
        replicas: [Some(BrokerEpoch(1)), None].map(replica).into_iter().collect(),
    }
}

pub(super) fn produce<F: Faults>(driver: &mut ReplicaDriver<F>) -> oneshot::Receiver<Told<Offset>> {
    let (reply, told) = oneshot::channel();
    let deadline = driver.parts.env.now() + Duration::from_secs(60);
    driver.on_produce(Produce { acks: Acks::All, batch: batch(0), deadline, reply });
    told
}

async fn read(driver: &mut ReplicaDriver<Sound>) -> Vec<Batch> {
    let (reply, granted) = oneshot::channel();
    let wake = Arc::new(Notify::new());
    driver.on_read(Read { from: Offset(0), bytes_max: 10_000, leader_epoch: None, wake, reply });
    batch::split(granted.await.unwrap().unwrap().reading.await.unwrap()).unwrap()
}

/// One turn, which something is there for.
async fn turn(driver: &mut ReplicaDriver<Sound>) {
    match driver.turn().await {
        Turn::Step(input) => driver.step_or_trace(input),
        Turn::Failed(fault) => driver.fail(&fault),
        Turn::Nothing => {}
        Turn::Command(_) | Turn::Send(..) | Turn::Expired(_) | Turn::Ended => {
            panic!("nothing else happens here")
        }
    }
}

#[tokio::test]
async fn a_leader_whose_disk_is_full_refuses_and_is_read_and_goes_on_when_there_is_room() {
    let (failures, mut failed) = mpsc::channel(1);
    let sim = SimDisk::new("sim", 7);
    let mut driver = driver(&sim, failures).await;
    driver.step(Input::View(reign())).unwrap();
    sim.set_capacity(Some(sim.used_bytes()));

    for _ in 0..2 {
        // The second is submitted before it is known that the first found no room.
        let refused = [produce(&mut driver), produce(&mut driver)];
        turn(&mut driver).await;
        turn(&mut driver).await;
        for told in refused {
            let error = told.await.unwrap().unwrap_err();
            let words = "the disk of broker 1, which leads, is full; nothing was written; free some space";
            assert_eq!((error.code, error.message.as_str()), (ErrorCode::KafkaStorageError, words));
        }
        assert_eq!(read(&mut driver).await.len(), 2);
    }
    sim.set_capacity(None);
    let told = produce(&mut driver);
    turn(&mut driver).await;

    assert_eq!(told.await.unwrap(), Ok(Offset(6)));
    assert_eq!(read(&mut driver).await.len(), 3);
    assert!(driver.failed.is_none() && failed.try_recv().is_err(), "the directory is sound");
}

/// An answer with the second batch of the log.
fn second_batch() -> Effect {
    let (request_id, generation) = (RequestId(1), LogGeneration(0));
    let answer = FetchAnswer {
        answered: Answered { request_id, broker_epoch: BrokerEpoch(2), generation },
        leader_epoch: LeaderEpoch(1),
        high_watermark: Offset(6),
        log_start: Offset(0),
        round: ReadRound::default(),
        body: FetchBody::Records { from: Offset(3), end: Offset(6) },
    };
    Effect::Send { to: ReplicaIdx(1), message: Message::FetchAnswer(answer) }
}

#[tokio::test]
async fn what_was_being_read_when_the_log_was_cut_is_not_sent_and_harms_nobody() {
    let (failures, mut failed) = mpsc::channel(1);
    let mut driver = driver(&SimDisk::new("sim", 7), failures).await;
    let cut = |to| Effect::Truncate { to, generation: LogGeneration(1) };
    // First nothing lies where it was to be read, then another batch does.
    for other in [None, Some(batch(3))] {
        driver.issue(second_batch());
        driver.issue(cut(Offset(3)));
        if let Some(other) = other {
            driver.log.append(&[other]).await.unwrap();
        }

        assert!(matches!(driver.turn().await, Turn::Nothing));
        if driver.log.end() == Offset(3) {
            driver.log.append(&[batch(3)]).await.unwrap();
        }
    }
    driver.issue(second_batch());
    assert!(matches!(driver.turn().await, Turn::Send(..)));
    assert!(driver.failed.is_none() && failed.try_recv().is_err());
}

#[tokio::test]
async fn a_write_without_room_takes_no_answer_away_from_a_follower() {
    let (failures, _) = mpsc::channel(1);
    let sim = SimDisk::new("sim", 7);
    let mut driver = driver(&sim, failures).await;
    driver.step(Input::View(reign())).unwrap();
    sim.set_capacity(Some(sim.used_bytes()));
    driver.issue(second_batch());
    let refused = produce(&mut driver);
    turn(&mut driver).await;

    assert!(refused.await.unwrap().is_err());
    assert!(matches!(driver.turn().await, Turn::Send(..)));
}
