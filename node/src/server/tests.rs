//! What a whole node leaves on its disk.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use highwater_model::fault::Sound;
use highwater_model::id::{ClusterId, Offset};
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::sim::{Config, Simulation};

mod snapshots;

use super::*;
use crate::config::Endpoint as Address;
use crate::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use crate::disk::SimDisk;
use crate::driver::quorum::LOG_DIRECTORY;
use crate::log::{OffsetCheckpoint, RECOVERY_POINTS};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1));
const PORT: u16 = 9092;

async fn formatted(seed: u64) -> SimDisk {
    let disk = SimDisk::new("broker-1", seed);
    let (cluster, node, directory) = (ClusterId(7), NodeId(1), DirectoryId(1));
    let endpoint = Address { host: HOST.to_string(), port: PORT };
    let voters = vec![InitialVoter { node, endpoint, directory }];
    let text = Formatted { cluster, node, directory, voters }.render().into_bytes();
    disk.mount(None).replace(FILE_NAME, text.into()).await.expect("an empty disk takes a file");
    disk
}

fn settings() -> Settings {
    Settings {
        node: NodeId(1),
        cluster: None,
        roles: Roles { broker: true, controller: true },
        listen: SocketAddr::new(HOST, PORT),
        advertised: None,
        controllers: std::collections::BTreeMap::new(),
        timing: Timing::default(),
        topics: TopicDefaults::default(),
        limits: Limits::default(),
    }
}

#[test]
fn a_directory_is_marked_clean_when_the_metadata_log_is_closed_too() {
    let identity = LabAuthority::new("test").unwrap().broker(NodeId(1)).unwrap();
    let run = Simulation::run(1, Config::default(), async move |sim| {
        let disk = formatted(1).await;
        let env = sim.process("broker-1", HOST).env();
        let disks = vec![disk.mount(Some(env.clone()))];
        let mut server = Box::pin(Server::start(env, disks, &identity, settings(), Sound)).await.unwrap();
        server.ready().await;
        Box::pin(server.shutdown()).await;
        disk.kill();
        let mount = disk.mount(None);
        let is_clean = mount.read_whole("clean-stop").is_ok();
        let points = OffsetCheckpoint::load(mount, RECOVERY_POINTS).unwrap();
        (is_clean, points.offset_of(LOG_DIRECTORY))
    });

    let (is_clean, metadata) = run.success();
    assert!(is_clean);
    assert!(metadata > Some(Offset::ZERO), "{metadata:?}");
}
