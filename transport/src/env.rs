//! The one door to time, timers, randomness, spawning and datagrams: [`Env`].
//!
//! A broker or client takes an `Env` and reaches none of these in any other way, so that the same code runs on the
//! operating system ([`Env::real`]) and, from a seed, in one thread of the simulator ([`sim`]). What is sent in the
//! datagrams, and storage, are left to others.

mod instant;
mod real;
pub mod sim;
mod task;

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use rand_chacha::ChaCha12Rng;
use rand_core::RngCore;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use instant::Instant;
pub use task::Task;

/// Size asked of the kernel for the send and the receive buffer of each UDP socket, in bytes. The windows of all
/// connections into one socket should together stay under it, else datagrams are lost even on loopback.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// What [`Env::compute`] is given to do takes less than so long in a simulation, in microseconds.
const COMPUTE_US_MAX: u64 = 20_000;

/// The environment of one process, be it a process of the operating system or a simulated one.
///
/// A cheap handle: clones share one clock, one source of randomness and one set of tasks. Its methods are called
/// within the tokio runtime that the process runs on. It is also the [`quinn::Runtime`] of the process's endpoints, so
/// that the tasks and timers of QUIC belong to the process like any other.
#[derive(Clone)]
pub struct Env {
    inner: Arc<Inner>,
}

/// What the clones of one [`Env`] share.
struct Inner {
    name: String,
    origin: tokio::time::Instant,
    random: Mutex<ChaCha12Rng>,
    tasks: task::TaskSet,
    world: World,
}

/// Where datagrams and the wall clock come from.
enum World {
    Real,
    Simulated(sim::Host),
}

/// A deadline passed before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadline passed")]
pub struct Elapsed;

impl Env {
    /// The environment that the operating system offers, on the tokio runtime that it is called in.
    ///
    /// # Panics
    /// When the operating system gives no entropy.
    #[must_use]
    pub fn real() -> Self {
        Self::new("real", real::random(), World::Real)
    }

    fn new(name: &str, random: ChaCha12Rng, world: World) -> Self {
        let origin = match &world {
            World::Real => tokio::time::Instant::now(),
            World::Simulated(host) => host.origin(),
        };
        let tasks = task::TaskSet::default();
        Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                origin,
                random: Mutex::new(random),
                tasks,
                world,
            }),
        }
    }

    /// The name of the process: its simulated name, or `real`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// True in the simulator.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        matches!(self.inner.world, World::Simulated(_))
    }

    /// The monotonic time since the environment's origin: when it was made, or the start of the simulation.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::since_origin(tokio::time::Instant::now() - self.inner.origin)
    }

    /// The wall clock, in milliseconds since the Unix epoch. It may jump; only record timestamps and certificates
    /// rest on it.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        match &self.inner.world {
            World::Real => real::wall_ms(),
            World::Simulated(host) => host.wall_ms(),
        }
    }

    /// Completes when `duration` has passed; timers have a resolution of one millisecond.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + Sync + use<> {
        self.sleep_until(self.now() + duration)
    }

    /// Completes when the clock has reached `deadline`, at once if it has passed.
    pub fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + Sync + use<> {
        tokio::time::sleep_until(self.inner.origin + deadline.elapsed())
    }

    /// Awaits `future` for at most `duration`; a future that is not ready by then is dropped.
    ///
    /// # Errors
    /// [`Elapsed`] when the time was over first.
    pub async fn timeout<T>(
        &self,
        duration: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.timeout_at(self.now() + duration, future).await
    }

    /// Awaits `future` until `deadline`; a future that is not ready by then is dropped.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline came first.
    pub async fn timeout_at<T>(
        &self,
        deadline: Instant,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let at = self.inner.origin + deadline.elapsed();
        tokio::time::timeout_at(at, future).await.map_err(|_| Elapsed)
    }

    /// Runs `future` as a task of this process. Dropping the [`Task`] detaches it; the end of a simulated process
    /// aborts it. On a process that has ended the future is dropped unpolled.
    pub fn spawn(&self, name: &str, future: impl Future<Output = ()> + Send + 'static) -> Task {
        self.spawn_boxed(name, Box::pin(future))
    }

    /// Does work that takes long and waits for nothing, such as encoding something large, without holding up any task: on a
    /// thread of the runtime's that may block, in a simulation after a while drawn from the seed. Dropping the future does
    /// not end work that has begun, and the runtime does not end before it; in a simulation it has not begun then.
    ///
    /// # Panics
    /// When `work` does.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match &self.inner.world {
            World::Real => real::compute(work).await,
            World::Simulated(_) => {
                let micros = self.random_u64() % COMPUTE_US_MAX;
                self.sleep(Duration::from_micros(micros)).await;
                work()
            }
        }
    }

    /// Ends this process without a word to anybody: aborts every task and admits no more. Each is dropped at its next
    /// turn; a task that calls this runs on until its next `await`.
    pub fn end(&self) {
        self.inner.tasks.end();
    }

    fn spawn_boxed(&self, name: &str, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task {
        task::spawn(self, name, future)
    }

    /// A random number: from the operating system's entropy, or from the simulation's seed.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        locked(&self.inner.random).next_u64()
    }

    /// A random number of 128 bits, fit to be a unique identifier.
    #[must_use]
    pub fn random_u128(&self) -> u128 {
        (u128::from(self.random_u64()) << 64) | u128::from(self.random_u64())
    }

    /// Fills `bytes` with randomness.
    pub fn random_bytes(&self, bytes: &mut [u8]) {
        locked(&self.inner.random).fill_bytes(bytes);
    }

    /// The addresses that `host:port` stands for, at least one: an address as it is, a name as the operating system
    /// resolves it, IPv4 first because that is where most listen, and in a simulation the name of a process.
    ///
    /// # Errors
    /// When the text has no port, or nobody knows the name.
    pub async fn resolve(&self, host_and_port: &str) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host_and_port.parse() {
            return Ok(vec![address]);
        }
        match &self.inner.world {
            World::Real => real::resolve(host_and_port).await,
            World::Simulated(host) => host.resolve(host_and_port).map(|address| vec![address]),
        }
    }

    /// Opens a UDP socket; port 0 picks a free one. A simulated process binds under its own address, which the
    /// unspecified address stands for too.
    ///
    /// # Errors
    /// When the address is in use, or not this host's.
    pub fn udp_bind(&self, address: SocketAddr) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        match &self.inner.world {
            World::Real => real::udp_bind(self, address),
            World::Simulated(host) => host.bind(address),
        }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

impl quinn::Runtime for Env {
    fn new_timer(&self, at: std::time::Instant) -> Pin<Box<dyn quinn::AsyncTimer>> {
        quinn::TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.spawn_boxed("quic", future);
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        match &self.inner.world {
            World::Real => quinn::TokioRuntime.wrap_udp_socket(socket),
            World::Simulated(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Locks a mutex whose data is consistent at every instant, so that the panic of a holder does not spread.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
