//! One QUIC connection over loopback: each side with a thread and a runtime of its own, as two processes have.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use highwater_model::id::NodeId;
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use highwater_transport::frame::Frame;
use highwater_transport::identity::{Expect, Identity};
use highwater_transport::quic::{Connection, Endpoint, Lane, Settings};
use highwater_transport::rpc::{Caller, PendingCall, Requests};
use tokio::sync::oneshot;

use super::Rate;
use crate::cli::bench::machine;
use crate::cli::failure::Failure;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Frames that are not answered yet.
const UNDER_WAY: usize = 64;
/// How long one frame may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends frames of this length for about so long, after a quarter of it unmeasured, in which the largest datagram is found.
pub(super) async fn measure(frame_bytes: usize, duration: Duration) -> Result<Rate, Failure> {
    let authority = LabAuthority::new("highwater bench").map_err(failed)?;
    let (broker, client) = (authority.broker(NodeId(1)), authority.client("bench"));
    let (broker, client) = (broker.map_err(failed)?, client.map_err(failed)?);
    let (announce, announced) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "the other side is another process in all but name")]
    let server = std::thread::spawn(move || serve(&broker, announce));
    let rate = match announced.await {
        Ok(address) => send(&client, address, frame_bytes, duration).await,
        Err(_) => Err(failed("it does not listen")),
    };
    let served = server.join().unwrap_or_else(|_| Err(failed("it panicked")));
    rate.and_then(|rate| served.map(|()| rate))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::failed(
        format!("the network's own limit was not measured: {error}"),
        "or leave it out with --no-limits",
    )
}

/// Answers every frame with an empty one, until the other side is gone.
fn serve(identity: &Identity, announce: oneshot::Sender<SocketAddr>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let endpoint = Endpoint::bind(&Env::real(), LOCAL, identity, Settings::default()).map_err(failed)?;
        announce.send(endpoint.local_address()).map_err(|_| failed("nobody dials"))?;
        let connection = endpoint.accept().await.ok_or_else(|| failed("nobody dialled"))?;
        while let Ok(channel) = connection.accept().await {
            let mut requests = Requests::new(channel);
            while let Ok(Some(request)) = requests.next().await {
                request.responder.answer(Frame::default()).await.map_err(failed)?;
            }
        }
        Ok(())
    })
}

async fn send(
    identity: &Identity,
    address: SocketAddr,
    frame_bytes: usize,
    duration: Duration,
) -> Result<Rate, Failure> {
    let env = Env::real();
    let endpoint = Endpoint::bind(&env, LOCAL, identity, Settings::default()).map_err(failed)?;
    let connection = endpoint.connect(address, Expect::Broker(NodeId(1))).await.map_err(failed)?;
    pump(&env, &connection, frame_bytes, duration / 4).await?;
    let before = machine::used(None);
    let (bytes, took) = pump(&env, &connection, frame_bytes, duration).await?;
    let after = machine::used(None);
    endpoint.close().await;
    Ok(Rate::of(bytes, took, before, after))
}

/// How many bytes were sent and answered, and in what time.
async fn pump(
    env: &Env,
    connection: &Connection,
    frame_bytes: usize,
    duration: Duration,
) -> Result<(u64, Duration), Failure> {
    let caller = Caller::new(env, connection.open(Lane::Data).await.map_err(failed)?);
    let payload = vec![Bytes::from(vec![7; frame_bytes])];
    let (began, mut bytes) = (env.now(), 0);
    let mut pending: VecDeque<PendingCall> = VecDeque::new();
    while env.now().since(began) < duration {
        if pending.len() == UNDER_WAY
            && let Some(oldest) = pending.pop_front()
        {
            oldest.answer().await.map_err(failed)?;
        }
        let frame = Frame::default().with_payload(payload.clone());
        pending.push_back(caller.start(frame, PATIENCE).await.map_err(failed)?);
        bytes += frame_bytes as u64;
    }
    for call in pending {
        call.answer().await.map_err(failed)?;
    }
    Ok((bytes, env.now().since(began)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_go_over_a_link_of_their_own() {
        let rate = measure(1024, Duration::from_millis(40)).await.expect("loopback is there");

        assert!(rate.mb_per_s > 0.0, "{rate:?}");
    }
}
