//! What becomes of messages that a link cannot take.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::sim::{Config, Process, Simulation};
use highwater_transport::quic;

use super::*;

const PORT: u16 = 9092;
const OTHER: NodeId = NodeId(2);
/// More than the queue takes.
const SENT: u64 = 5_000;

fn endpoint(process: &Process, authority: &LabAuthority, node: NodeId) -> Endpoint {
    let identity = authority.broker(node).unwrap();
    let address = SocketAddr::new(process.address(), PORT);
    Endpoint::bind(&process.env(), address, &identity, quic::Settings::default()).unwrap()
}

fn numbered(number: u64) -> PeerFrame {
    let body = Bytes::copy_from_slice(&number.to_be_bytes());
    PeerFrame { kind: wire::REPLICATION, body, payload: Vec::new() }
}

/// The number of the next frame on the data lane.
async fn number(data: &mut quic::Channel) -> u64 {
    let frame = data.receive().await.unwrap().unwrap();
    u64::from_be_bytes(frame.body.as_ref().try_into().unwrap())
}

#[test]
fn a_full_queue_drops_the_newest_counts_them_and_keeps_the_order() {
    let run = Simulation::run(1, Config::default(), async |sim| {
        let authority = LabAuthority::new("test").unwrap();
        let process = |name, host| sim.process(name, IpAddr::V4(Ipv4Addr::new(198, 18, 0, host)));
        let (one, two) = (process("one", 1), process("two", 2));
        let there = endpoint(&two, &authority, OTHER);
        let peers =
            Peers::new(&one.env(), NodeId(1), endpoint(&one, &authority, NodeId(1)), "198.18.0.1:9092");
        let mut changes = peers.changes();
        peers.set_address(OTHER, &format!("{}:{PORT}", two.address()));
        let connection = there.accept().await.unwrap();
        while !peers.report(OTHER).is_some_and(|link| link.is_up) {
            changes.changed().await.unwrap();
        }

        let off = crate::trace::Recorder::default().core();
        (0..SENT).for_each(|sent| peers.send(OTHER, Lane::Data, numbered(sent), &off));

        let dropped = locked(&peers.inner.links).get(&OTHER).unwrap().drops.count;
        let mut channels = Vec::new();
        let mut data = loop {
            let channel = connection.accept().await.unwrap();
            if channel.lane() == Lane::Data {
                break channel;
            }
            channels.push(channel);
        };
        for expected in 0..SENT - dropped {
            assert_eq!(number(&mut data).await, expected);
        }
        peers.send(OTHER, Lane::Data, numbered(SENT), &off);
        assert_eq!(number(&mut data).await, SENT, "nothing that was dropped comes late");
        dropped
    });

    let queued = u64::try_from(link::DATA_QUEUE.frames_max).unwrap();
    assert_eq!(run.success(), SENT - queued);
}

#[tokio::test]
async fn drops_are_told_once_in_a_while_with_their_count() {
    let began = Env::real().now();
    let mut drops = Drops::default();

    let told = [0, 1, 9, 10, 11].map(|secs| drops.note(began + Duration::from_secs(secs)));

    assert_eq!(told, [Some(1), None, None, Some(4), None]);
}
