//! Prints what one connection over loopback carries: megabytes per second in frames of 64 KiB and of 1 MiB, and calls
//! per second, each side on a thread of its own.
//!
//! Run with `cargo run --release -p highwater-transport --example throughput`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use bytes::Bytes;
use core::time::Duration;
use highwater_model::id::NodeId;
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use highwater_transport::frame::Frame;
use highwater_transport::identity::Expect;
use highwater_transport::quic::{Connection, Endpoint, Lane, Settings};
use highwater_transport::rpc::{Caller, Requests};
use std::net::{Ipv4Addr, SocketAddr};

/// The bytes sent for each frame size.
const TOTAL_BYTES: usize = 1 << 30;

/// The calls made, and how many of them are under way at a time.
const CALLS: usize = 100_000;
const CALLS_UNDER_WAY: usize = 64;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Failure = Box<dyn core::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let authority = LabAuthority::new("throughput")?;
    let (broker, client) = (authority.broker(NodeId(1))?, authority.client("throughput")?);
    for datagram_bytes in [None, Some(1452)] {
        let settings = Settings { datagram_bytes_max: datagram_bytes, ..Settings::default() };
        let (announce, announced) = tokio::sync::oneshot::channel();
        let (identity, server_settings) = (broker.clone(), settings.clone());
        #[expect(clippy::disallowed_methods, reason = "one runtime for each side, as in two processes")]
        let server = std::thread::spawn(move || {
            runtime()?.block_on(async {
                let env = Env::real();
                let endpoint = Endpoint::bind(&env, LOCAL, &identity, server_settings)?;
                announce.send(endpoint.local_address()).map_err(|_| "the dialling side is gone")?;
                let connection = endpoint.accept().await.ok_or("endpoint closed")?;
                serve(&connection).await
            })
        });
        runtime()?.block_on(async {
            let env = Env::real();
            let endpoint = Endpoint::bind(&env, LOCAL, &client, settings)?;
            let connection = endpoint.connect(announced.await?, Expect::Broker(NodeId(1))).await?;
            println!("datagrams up to {} bytes", datagram_bytes.unwrap_or(65_000));
            measure(&env, &connection).await?;
            endpoint.close().await;
            Ok::<(), Failure>(())
        })?;
        server.join().map_err(|_| "the accepting side panicked")??;
    }
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Answers every request with an empty frame, channel after channel.
async fn serve(connection: &Connection) -> Result<(), Failure> {
    while let Ok(channel) = connection.accept().await {
        let mut requests = Requests::new(channel);
        while let Ok(Some(request)) = requests.next().await {
            request.responder.answer(Frame::default()).await?;
        }
    }
    Ok(())
}

async fn measure(env: &Env, connection: &Connection) -> Result<(), Failure> {
    for size in [64 << 10, 1 << 20] {
        let frames = TOTAL_BYTES / size;
        let took = calls(env, connection, size, frames).await?;
        let rate = f64::from(u32::try_from(TOTAL_BYTES / 1_000_000)?) / took.as_secs_f64();
        println!("  frames of {:>4} KiB: {rate:>7.0} MB/s", size >> 10);
    }
    let took = calls(env, connection, 1 << 10, CALLS).await?;
    let rate = f64::from(u32::try_from(CALLS)?) / took.as_secs_f64();
    println!("  calls of 1 KiB, {CALLS_UNDER_WAY} under way: {rate:>7.0} /s");
    Ok(())
}

/// Makes `count` calls of `size` bytes on a channel of their own, and tells how long they took.
async fn calls(env: &Env, connection: &Connection, size: usize, count: usize) -> Result<Duration, Failure> {
    const LIMIT: Duration = Duration::from_secs(60);
    let caller = Caller::new(env, connection.open(Lane::Data).await?);
    let payload = vec![Bytes::from(vec![7; size])];
    let start = env.now();
    let mut pending = std::collections::VecDeque::new();
    for _ in 0..count {
        if pending.len() == CALLS_UNDER_WAY
            && let Some(oldest) = pending.pop_front()
        {
            highwater_transport::rpc::PendingCall::answer(oldest).await?;
        }
        pending.push_back(caller.start(Frame::default().with_payload(payload.clone()), LIMIT).await?);
    }
    for call in pending {
        call.answer().await?;
    }
    Ok(env.now().since(start))
}
