//! What a replica does when its core and its log part.

use highwater_model::fault::Sound;
use highwater_model::id::{BrokerEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicPartition};
use highwater_model::replication::{FlushPolicy, IsrSet, PartitionView, ReplicaView};
use highwater_transport::batch::{BatchBuilder, NewRecord};
use highwater_transport::certs::LabAuthority;
use highwater_transport::quic::{self, Endpoint};
use highwater_transport::watch;

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
        faults: Sound,
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
    let why = "the replica is offline: its log was to be cut at 2 and no batch ends there: 0";
    assert_eq!(driver.failed.as_deref(), Some(why));
    assert_eq!(driver.step(stale), Ok(()), "a replica that is out takes no step");
    assert!(failed.try_recv().is_err(), "the directory is sound");
}

/// The replica leads, alone in the ISR.
fn reign() -> PartitionView {
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

fn produce(driver: &mut ReplicaDriver<Sound>) -> oneshot::Receiver<Told<Offset>> {
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
