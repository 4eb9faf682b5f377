//! The operating system's side of [`super::Env`]: entropy, wall clock and UDP sockets with large buffers.
//!
//! Leaves timers and tasks to tokio, through [`super::Env`].

use super::{Env, SOCKET_BUFFER_BYTES};
use quinn::Runtime as _;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A generator seeded by the operating system.
pub(super) fn random() -> ChaCha12Rng {
    ChaCha12Rng::from_os_rng()
}

/// Milliseconds since the Unix epoch; 0 when the clock stands before it.
#[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters")]
pub(super) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Opens a socket and asks for large buffers; what the kernel granted is logged, for a small grant costs datagrams.
pub(super) fn udp_bind(env: &Env, address: SocketAddr) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    enlarge(&socket, address);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    env.wrap_udp_socket(socket.into())
}

/// Asks the operating system for the addresses of a name.
pub(super) async fn resolve(host_and_port: &str) -> io::Result<Vec<SocketAddr>> {
    in_order(tokio::net::lookup_host(host_and_port).await?.collect())
}

/// Works on a thread of tokio's that may block.
#[expect(clippy::disallowed_methods, reason = "this is where work leaves the tasks' threads")]
pub(super) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and whoever waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// IPv4 first, otherwise in the order found, each once.
fn in_order(mut found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    found.sort_by_key(SocketAddr::is_ipv6);
    found.dedup();
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

fn enlarge(socket: &Socket, address: SocketAddr) {
    let asked = socket
        .set_recv_buffer_size(SOCKET_BUFFER_BYTES)
        .and_then(|()| socket.set_send_buffer_size(SOCKET_BUFFER_BYTES));
    // Linux doubles the number for its own bookkeeping and reports the doubled one.
    let receive = socket.recv_buffer_size().unwrap_or(0) / 2;
    let send = socket.send_buffer_size().unwrap_or(0) / 2;
    if asked.is_err() || receive < SOCKET_BUFFER_BYTES || send < SOCKET_BUFFER_BYTES {
        tracing::warn!(%address, receive, send, asked = SOCKET_BUFFER_BYTES,
            "UDP buffers are smaller than asked for; raise net.core.rmem_max and net.core.wmem_max");
    } else {
        tracing::debug!(%address, receive, send, "UDP socket buffers granted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn work_that_takes_long_holds_up_no_task() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let env = Env::real();
        let working = env.compute(move || receiver.blocking_recv());

        // All tasks share one thread: were the work done in it, nobody would ever send.
        let (found, ()) = tokio::join!(working, async { sender.send(7).expect("somebody receives") });

        assert_eq!(found, Some(7));
    }

    #[test]
    fn the_addresses_of_a_name_begin_with_those_of_ipv4() {
        let parsed = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };

        let found = in_order(parsed(&["[::1]:9092", "127.0.0.1:9092", "127.0.0.1:9092", "127.0.0.2:9092"]));

        assert_eq!(found.ok(), Some(parsed(&["127.0.0.1:9092", "127.0.0.2:9092", "[::1]:9092"])));
        assert!(in_order(Vec::new()).is_err());
    }
}
