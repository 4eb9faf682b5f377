//! What a whole node leaves on its disk.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use highwater_model::fault::Sound;
use highwater_model::id::{ClusterId, Offset};
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::sim::{Config, Simulation};
use highwater_transport::identity::Expect;
use highwater_transport::quic::{self, CloseCode};

mod lagging;
mod snapshots;

use super::*;
use crate::config::Endpoint as Address;
use crate::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use crate::disk::SimDisk;
use crate::driver::quorum::LOG_DIRECTORY;
use crate::log::{OffsetCheckpoint, RECOVERY_POINTS};
use crate::monitor::Monitors;
use crate::trace::Recorder;

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
        trace: Recorder::default(),
        monitors: Monitors::every(NonZeroU32::MIN),
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

#[test]
fn a_node_that_joins_and_that_nobody_answers_says_whom_it_asked_and_does_not_start() {
    let identity = LabAuthority::new("test").unwrap().broker(NodeId(2)).unwrap();
    let run = Simulation::run(3, Config::default(), async move |sim| {
        let (cluster, node, directory) = (ClusterId(7), NodeId(2), DirectoryId(2));
        let text = Formatted { cluster, node, directory, voters: Vec::new() }.render().into_bytes();
        let disk = SimDisk::new("broker-2", 3);
        disk.mount(None).replace(FILE_NAME, text.into()).await.unwrap();
        let process = sim.process("broker-2", IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2)));
        let disks = vec![disk.mount(Some(process.env()))];
        let listen = SocketAddr::new(process.address(), PORT);
        let controllers = [(NodeId(1), format!("{HOST}:{PORT}"))].into();
        let settings = Settings { node, listen, controllers, ..settings() };
        let started = Box::pin(Server::start(process.env(), disks, &identity, settings, Sound));
        let ended = sim.env().timeout(Duration::from_secs(90), started).await;
        ended.map(|started| started.map(drop).map_err(|error| error.to_string()))
    });

    let error = run.success().expect("it gives up").expect_err("nobody is there");
    assert!(error.contains("has said in 60 s who votes: node 1: "), "{error}");
}

#[test]
fn clients_have_so_many_connections_and_no_more() {
    let authority = LabAuthority::new("test").unwrap();
    let (broker, alice) = (authority.broker(NodeId(1)).unwrap(), authority.client("alice").unwrap());
    let run = Simulation::run(2, Config::default(), async move |sim| {
        let disk = formatted(2).await;
        let env = sim.process("broker-1", HOST).env();
        let disks = vec![disk.mount(Some(env.clone()))];
        let limits = Limits { client_connections_max: 1, ..Limits::default() };
        let settings = Settings { limits, ..settings() };
        let mut server = Box::pin(Server::start(env, disks, &broker, settings, Sound)).await.unwrap();
        server.ready().await;
        let process = sim.process("client", IpAddr::V4(Ipv4Addr::new(198, 18, 0, 100)));
        let own = SocketAddr::new(process.address(), 0);
        let client = Endpoint::bind(&process.env(), own, &alice, quic::Settings::default()).unwrap();
        let dial = async || client.connect(server.address(), Expect::AnyBroker).await.unwrap();
        let first = dial().await;
        let refused = dial().await.closed().await.reason;
        let is_first_open = !first.is_closed();
        first.close(CloseCode::Done, "done");
        sim.env().sleep(Duration::from_millis(100)).await;
        let third = dial().await;
        sim.env().sleep(Duration::from_millis(100)).await;
        (refused.to_string(), is_first_open, !third.is_closed())
    });

    let (refused, is_first_open, is_third_open) = run.success();
    assert!(refused.contains("max.connections are open"), "{refused}");
    assert!(is_first_open && is_third_open);
}
