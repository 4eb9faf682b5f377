//! What becomes of a replica's log while one process hosts it.

use highwater_model::api::Acks;
use highwater_model::fault::Sound;
use highwater_model::id::{ClusterId, IncarnationId, PartitionEpoch, PartitionIndex, TopicId};
use highwater_model::metadata::{
    BrokerChanged, BrokerRegistered, Partition, PartitionRecord, Record, TopicConfigured, TopicCreated,
};
use highwater_model::replication::{FlushPolicy, IsrSet, ReplicaIdx};
use highwater_transport::batch::{Batch, BatchBuilder, NewRecord};
use highwater_transport::certs::LabAuthority;
use highwater_transport::quic::{self, Endpoint};

use super::*;
use crate::config::formatted::{FILE_NAME, Formatted};
use crate::disk::SimDisk;
use crate::driver::quorum::QuorumFeeds;
use crate::driver::replication::Produce;

const OWN: NodeId = NodeId(1);
const TOPIC: TopicId = TopicId(5);

/// A host, what it is fed, and what it says.
struct Rig {
    host: Host<Sound>,
    disks: Vec<SimDisk>,
    image: Image,
    images: watch::Sender<Arc<Image>>,
    broker_epoch: watch::Sender<Option<BrokerEpoch>>,
    failed: mpsc::Receiver<DirectoryId>,
}

fn partition(index: u32) -> TopicPartition {
    TopicPartition { topic: TOPIC, partition: PartitionIndex(index) }
}

/// Directories 0, 1, … with these ids.
async fn formatted(count: u128) -> (Vec<SimDisk>, Vec<LogDirectory>) {
    let (mut disks, mut directories) = (Vec::new(), Vec::new());
    for directory in (0..count).map(DirectoryId) {
        let sim = SimDisk::new("sim", 7);
        let formatted = Formatted { cluster: ClusterId(7), node: OWN, directory, voters: Vec::new() };
        sim.mount(None).replace(FILE_NAME, formatted.render().into_bytes().into()).await.unwrap();
        directories.push(LogDirectory::take(sim.mount(None), OWN).await.unwrap());
        disks.push(sim);
    }
    (disks, directories)
}

impl Rig {
    async fn new(directories: u128) -> Self {
        let env = Env::real();
        let identity = LabAuthority::new("test").unwrap().broker(OWN).unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let endpoint = Endpoint::bind(&env, local, &identity, quic::Settings::default()).unwrap();
        let peers = Peers::new(&env, OWN, endpoint, "127.0.0.1:1");
        let (images, images_fed) = watch::channel(Arc::new(Image::default()));
        let (broker_epoch, broker_epoch_fed) = watch::channel(None);
        let (failures, failed) = mpsc::channel(8);
        let feeds = QuorumFeeds {
            asks: mpsc::channel(1).0,
            images: images_fed.clone(),
            leader: watch::channel(None).1,
            voters: watch::channel(Vec::new()).1,
        };
        let (disks, directories) = formatted(directories).await;
        let parts = HostParts {
            controller: ControllerClient::new(&env, OWN, feeds, peers.clone()),
            env,
            faults: Sound,
            own: OWN,
            timing: Timing::default(),
            limits: Limits::default(),
            directories: LogDirectories::new(directories),
            peers,
            images: images_fed,
            broker_epoch: broker_epoch_fed,
            failures,
            partitions: Partitions::default(),
            inbox: mpsc::channel(1).1,
            recorder: Recorder::default(),
            monitors: Monitors::default(),
        };
        let host = Host::new(parts, FoundLogs::default());
        Self { host, disks, image: Image::default(), images, broker_epoch, failed }
    }

    /// Commits a decision, and lets the host follow.
    async fn commit(&mut self, records: &[Record]) {
        let end = self.image.end().after(u64::try_from(records.len()).unwrap());
        self.image.apply(end, records);
        self.images.send_replace(Arc::new(self.image.clone()));
        self.host.follow().await;
    }

    /// The broker is registered and unfenced; the host knows.
    async fn register(&mut self) {
        let broker_epoch = BrokerEpoch(self.image.end().0);
        let registered = BrokerRegistered {
            node: OWN,
            incarnation: IncarnationId(1),
            address: "a:1".into(),
            directories: self.host.parts.directories.iter().map(LogDirectory::id).collect(),
            vouched_from: None,
        };
        self.commit(&[Record::BrokerRegistered(registered)]).await;
        self.broker_epoch.send_replace(Some(broker_epoch));
        self.commit(&[Record::BrokerUnfenced(BrokerChanged { node: OWN, broker_epoch })]).await;
    }

    async fn create_topic(&mut self, partitions: u32) {
        let created = TopicCreated { topic: TOPIC, name: "t".into() };
        let led = (0..partitions).map(|index| led(index, &[OWN], 1));
        let records: Vec<Record> = std::iter::once(Record::TopicCreated(created)).chain(led).collect();
        self.commit(&records).await;
    }

    /// Produces one record of so many bytes.
    async fn produce(&self, index: u32, bytes: usize) -> Offset {
        let mut builder = BatchBuilder::new();
        builder.push(&NewRecord { value: Some(&vec![7; bytes]), ..NewRecord::default() }).unwrap();
        let batch = Batch::split_first(&mut builder.build().unwrap()).unwrap();
        let (reply, answer) = oneshot::channel();
        let deadline = self.host.parts.env.now() + Duration::from_secs(10);
        let produce = Command::Produce(Produce { acks: Acks::All, batch, deadline, reply });
        self.host.parts.partitions.find(partition(index)).unwrap().send(produce).await.ok().unwrap();
        answer.await.unwrap().unwrap()
    }

    /// End of the log that the host runs.
    async fn log_end(&self, index: u32) -> Option<Offset> {
        self.host.parts.partitions.describe(partition(index)).await.first()?.log_end
    }

    fn segment(&self, disk: usize, index: u32, base: u64) -> Option<usize> {
        self.disks[disk].content(&format!("t-{index}/{base:020}.log")).map(|content| content.len())
    }
}

/// A partition that its first replica leads alone.
fn led(index: u32, replicas: &[NodeId], leader_epoch: u32) -> Record {
    let state = Partition {
        replicas: replicas.iter().copied().collect(),
        leader: Some(ReplicaIdx(0)),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(leader_epoch),
        isr: std::iter::once(ReplicaIdx(0)).collect(),
        eligible_leaders: IsrSet::default(),
        last_known_leader: None,
        recovering: false,
        min_isr: 1,
        flush: FlushPolicy::Os,
        flush_since: Offset::ZERO,
        missing: Default::default(),
    };
    Record::Partition(PartitionRecord { partition: partition(index), state })
}

#[tokio::test]
async fn a_new_registration_finds_each_log_where_it_was_and_whole() {
    let mut rig = Rig::new(2).await;
    rig.register().await;
    rig.create_topic(3).await;
    for _ in 0..3 {
        rig.produce(0, 100).await;
    }
    // One of the two directories has both logs that are left.
    rig.commit(&[led(1, &[NodeId(2)], 2)]).await;
    rig.register().await;
    rig.commit(&[led(0, &[OWN], 2)]).await;

    assert_eq!(rig.log_end(0).await, Some(Offset(3)));
    assert_eq!(rig.segment(1, 0, 0), None, "no second log was begun");
    assert_eq!(rig.produce(0, 100).await, Offset(3));
    assert!(rig.failed.try_recv().is_err());
}

#[tokio::test]
async fn damage_within_a_process_takes_the_directory_out_and_no_log_is_begun_instead() {
    let mut rig = Rig::new(2).await;
    rig.register().await;
    rig.create_topic(1).await;
    for _ in 0..3 {
        rig.produce(0, 100).await;
    }
    let length = rig.segment(0, 0, 0).unwrap();
    assert!(rig.disks[0].flip_bit("t-0/00000000000000000000.log", length - 1, 0));

    rig.register().await;
    rig.commit(&[led(0, &[OWN], 2)]).await;

    assert_eq!(rig.failed.try_recv(), Ok(DirectoryId(0)));
    assert_eq!(rig.log_end(0).await, None);
    assert_eq!(rig.segment(1, 0, 0), None);
}

#[tokio::test]
async fn a_changed_segment_size_holds_from_the_next_append_on() {
    let mut rig = Rig::new(1).await;
    rig.register().await;
    rig.create_topic(1).await;
    rig.produce(0, 3_000).await;
    rig.produce(0, 3_000).await;
    assert_eq!(rig.segment(0, 0, 2), None);

    let changes = vec![("segment.bytes".to_owned(), Some("4096".to_owned()))];
    rig.commit(&[Record::TopicConfigured(TopicConfigured { topic: TOPIC, changes })]).await;
    rig.produce(0, 3_000).await;

    assert!(rig.segment(0, 0, 2).is_some_and(|bytes| bytes > 3_000));
}

#[tokio::test]
async fn a_replica_that_went_offline_with_a_sound_log_is_back_in_the_next_leader_epoch() {
    let mut rig = Rig::new(1).await;
    rig.register().await;
    rig.create_topic(1).await;
    rig.produce(0, 100).await;
    let retired = rig.host.running[&partition(0)].retired.clone();
    retired.set(LeaderEpoch(1));
    rig.commit(&[led(0, &[OWN], 1)]).await;
    assert!(
        rig.host.running[&partition(0)].retired.leader_epoch().is_some(),
        "it has said things in this one"
    );

    rig.commit(&[led(0, &[OWN], 2)]).await;

    assert_eq!(rig.host.running[&partition(0)].retired.leader_epoch(), None);
    assert_eq!(rig.produce(0, 100).await, Offset(1));
    assert!(rig.failed.try_recv().is_err());
}

#[tokio::test]
async fn a_new_registration_on_a_full_disk_fails_no_directory() {
    let mut rig = Rig::new(1).await;
    rig.register().await;
    rig.create_topic(1).await;
    rig.produce(0, 100).await;
    rig.disks[0].set_capacity(Some(rig.disks[0].used_bytes()));

    rig.register().await;
    rig.commit(&[led(0, &[OWN], 2), led(1, &[OWN], 1)]).await;
    assert_eq!((rig.log_end(0).await, rig.log_end(1).await), (Some(Offset(1)), None));
    rig.disks[0].set_capacity(None);
    rig.host.follow().await;

    assert_eq!(rig.produce(0, 100).await, Offset(1));
    assert_eq!(rig.produce(1, 100).await, Offset(0));
    assert!(rig.failed.try_recv().is_err());
}

#[tokio::test]
async fn no_clean_stop_vouches_for_a_log_in_the_midst_of_a_cut() {
    for is_cut in [false, true] {
        let mut rig = Rig::new(2).await;
        rig.register().await;
        rig.create_topic(1).await;
        rig.produce(0, 100).await;
        let (broker_epoch, directory) = (BrokerEpoch(0), rig.host.running[&partition(0)].directory);
        let mut log = rig.host.stop(partition(0)).await.unwrap();
        if is_cut {
            rig.disks[0].fail_cuts(1);
            assert!(log.restart_at(Offset(9)).await.unwrap_err().is_full());
        }
        assert_eq!((directory, log.is_whole()), (DirectoryId(0), !is_cut));
        let (task, mut inbox) = mpsc::channel(1);
        let running = Running { task, directory, broker_epoch, retired: Retired::default(), told: None };
        rig.host.running.insert(partition(0), running);

        let giving = async {
            if let Some(Command::Stop(reply)) = inbox.recv().await {
                reply.send(log).expect("the host waits for it");
            }
        };
        let (closed, ()) = tokio::join!(rig.host.close(), giving);

        let vouched = if is_cut { vec![DirectoryId(1)] } else { vec![DirectoryId(0), DirectoryId(1)] };
        assert_eq!(closed, vouched);
        let point = rig.host.directory(directory).unwrap().recovery_points.offset_of("t-0");
        assert_eq!(point, Some(Offset(if is_cut { 0 } else { 1 })));
    }
}
