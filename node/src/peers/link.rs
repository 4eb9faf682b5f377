//! One link: dials a node, opens its lanes, and dials again when the connection is lost.

use std::net::SocketAddr;
use std::time::Duration;

use highwater_model::id::NodeId;
use highwater_transport::frame::Frame;
use highwater_transport::identity::Expect;
use highwater_transport::quic::{Connection, Lane, Queue, Receiver, Sender};
use highwater_transport::rpc::Caller;
use highwater_transport::watch;

use super::Peers;
use super::wire::{self, Hello};

/// The first wait after an attempt that failed.
const BACKOFF_MIN: Duration = Duration::from_millis(25);
/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_millis(400);

/// What may wait on the data lane. A replica has one answer under way to each follower, so that the frames of thousands
/// of partitions fit; the bytes are those of many answers of `replica.fetch.response.max.bytes`.
pub(super) const DATA_QUEUE: Queue = Queue { frames_max: 4_096, bytes_max: 32 << 20 };

/// A connection and its lanes.
pub(super) struct Live {
    control: Sender,
    data: Sender,
    caller: Caller,
    /// Kept, or the peer would take the lanes for given up.
    _receivers: [Receiver; 2],
}

impl Live {
    pub(super) fn sender(&self, lane: Lane) -> Sender {
        match lane {
            Lane::Control => self.control.clone(),
            Lane::Data => self.data.clone(),
        }
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller.clone()
    }
}

/// Keeps the link to `node` for ever.
pub(super) async fn run(peers: Peers, node: NodeId, mut addresses: watch::Receiver<String>) {
    let env = peers.inner.env.clone();
    let mut backoff = BACKOFF_MIN;
    loop {
        let address = addresses.borrow_and_update().clone();
        match connect(&peers, node, &address).await {
            Ok((connection, live)) => {
                tracing::debug!(%node, %address, "connected");
                backoff = BACKOFF_MIN;
                peers.note(node, Some(live), None);
                tokio::select! {
                    biased;
                    lost = connection.closed() => {
                        tracing::info!(%node, %address, %lost, "lost the connection to another node");
                        peers.note(node, None, Some(lost.to_string()));
                    }
                    changed = addresses.changed() => {
                        peers.note(node, None, Some("its address changed".to_owned()));
                        if changed.is_err() {
                            return;
                        }
                    }
                }
            }
            Err(trouble) => {
                tracing::debug!(%node, %address, %trouble, "cannot connect to another node");
                peers.note(node, None, Some(format!("{address}: {trouble}")));
                tokio::select! {
                    biased;
                    changed = addresses.changed() => if changed.is_err() { return },
                    () = env.sleep(backoff) => {}
                }
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// Dials each of its addresses that this node's own socket can reach, until one answers.
async fn dial(peers: &Peers, node: NodeId, address: &str) -> Result<Connection, String> {
    let (env, endpoint) = (&peers.inner.env, &peers.inner.endpoint);
    let own = endpoint.local_address();
    let found = reachable(env.resolve(address).await.map_err(|error| error.to_string())?, own);
    let mut last = format!("has no address that can be reached from {own}");
    for target in found {
        match endpoint.connect(target, Expect::Broker(node)).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// From an IPv4 socket only IPv4 is reached; from one of IPv6 perhaps both.
fn reachable(mut found: Vec<SocketAddr>, own: SocketAddr) -> Vec<SocketAddr> {
    found.retain(|target| target.is_ipv4() || own.is_ipv6());
    found.sort_by_key(|target| target.is_ipv4() != own.is_ipv4());
    found
}

async fn connect(peers: &Peers, node: NodeId, address: &str) -> Result<(Connection, Live), String> {
    let connection = dial(peers, node, address).await?;
    let open = async |lane| connection.open(lane).await.map_err(|error| error.to_string());
    let (control, control_end) = open(Lane::Control).await?.split();
    let hello = Hello { address: peers.inner.advertised.clone() };
    let hello = Frame::encoded(wire::HELLO, wire::VERSION, &hello).map_err(|error| error.to_string())?;
    control.send(hello).await.map_err(|error| error.to_string())?;
    let data = connection.open_with(Lane::Data, DATA_QUEUE).await;
    let (data, data_end) = data.map_err(|error| error.to_string())?.split();
    let caller = Caller::new(&peers.inner.env, open(Lane::Control).await?);
    Ok((connection, Live { control, data, caller, _receivers: [control_end, data_end] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_node_is_dialled_where_the_own_socket_reaches() {
        let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
        let (four, six) = (address("127.0.0.1:9092"), address("[::1]:9092"));

        assert_eq!(reachable(vec![six, four], address("0.0.0.0:9092")), vec![four]);
        assert_eq!(reachable(vec![four, six], address("[::]:9092")), vec![six, four]);
    }
}
