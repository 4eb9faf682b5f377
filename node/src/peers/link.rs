//! One link: dials a node, opens its lanes, and dials again when the connection is lost.

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

async fn connect(peers: &Peers, node: NodeId, address: &str) -> Result<(Connection, Live), String> {
    let resolved = peers.inner.env.resolve(address).await.map_err(|error| format!("{address}: {error}"))?;
    let connection = peers.inner.endpoint.connect(resolved, Expect::Broker(node)).await;
    let connection = connection.map_err(|error| error.to_string())?;
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
