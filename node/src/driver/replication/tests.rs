//! What a replica does when its core and its log part.

use highwater_model::fault::Sound;
use highwater_model::id::{BrokerEpoch, PartitionIndex, TopicId, TopicPartition};
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
async fn log() -> (PartitionLog, log::Recovered) {
    let disk = SimDisk::new("sim", 7).mount(None);
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

async fn driver(failures: mpsc::Sender<DirectoryId>) -> ReplicaDriver<Sound> {
    let env = Env::real();
    let identity = LabAuthority::new("test").unwrap().broker(OWN).unwrap();
    let local = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::bind(&env, local, &identity, quic::Settings::default()).unwrap();
    let peers = Peers::new(&env, OWN, endpoint, "127.0.0.1:1");
    let (log, recovered) = log().await;
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
    let mut driver = driver(failures).await;
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
