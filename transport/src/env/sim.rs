//! A whole cluster in one thread, replayed exactly by its seed: [`Simulation`].
//!
//! Processes run on tokio's current-thread runtime with paused time: when nothing is left to do the clock jumps to the
//! next timer. The network decides on time, addresses and lengths alone, never on payload, because the bytes that TLS
//! sends differ in every run. Storage is simulated by its own crate; what a run must satisfy is the caller's.

mod network;
mod process;
mod socket;
mod trace;

use super::{Env, Instant, locked};
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

pub use network::NetworkConfig;
pub use process::Process;
pub use trace::{Counters, Trace};

pub(super) use process::Host;

/// The address of [`Simulation::env`], which no process should take.
pub const HARNESS_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 19, 255, 254));

/// What a run is given besides its seed.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the network behaves at the start; [`Simulation::set_network`] changes it.
    pub network: NetworkConfig,
    /// Simulated time after which a body that has not returned is given up.
    pub time_limit: Duration,
    /// The wall clock at the start, in milliseconds since the Unix epoch.
    pub wall_start_ms: u64,
    /// How many events of the trace to keep in words, from the first, to find where two runs part.
    pub events_kept: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: NetworkConfig::default(),
            time_limit: Duration::from_secs(1200),
            wall_start_ms: 1_767_225_600_000,
            events_kept: 0,
        }
    }
}

impl From<NetworkConfig> for Config {
    fn from(network: NetworkConfig) -> Self {
        Self { network, ..Self::default() }
    }
}

/// Why a run has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A task of a process panicked; the run ended there.
    #[error("task {task} of process {process} panicked: {message}")]
    Panicked {
        /// The process's name.
        process: String,
        /// The task's name.
        task: String,
        /// What the panic said.
        message: String,
    },
    /// The body was not done when the time limit came.
    #[error("not done after {0:?} of simulated time")]
    OutOfTime(Duration),
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the body returned, or why it did not.
    pub result: Result<T, Failure>,
    /// The seed that repeats this run.
    pub seed: u64,
    /// The hash of all that happened on the network and of all notes.
    pub trace: Trace,
    /// Totals of the network.
    pub counters: Counters,
    /// The simulated time that the body took.
    pub elapsed: Duration,
}

impl<T> Outcome<T> {
    /// What the body returned.
    ///
    /// # Panics
    /// When the run failed; the message names the seed and the failure.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> T {
        match self.result {
            Ok(value) => value,
            Err(failure) => panic!("seed {}: {failure}", self.seed),
        }
    }
}

/// A running simulation; a cheap handle for the body to make processes and faults with.
#[derive(Clone, Debug)]
pub struct Simulation {
    world: Arc<World>,
    env: Env,
}

/// What all processes of one simulation share.
#[derive(Debug)]
struct World {
    seed: u64,
    origin: tokio::time::Instant,
    wall_start_ms: u64,
    network: Mutex<network::Network>,
    names: Mutex<BTreeMap<String, IpAddr>>,
    arrivals: tokio::sync::Notify,
    failure: Mutex<Option<Failure>>,
    failed: tokio::sync::Notify,
}

impl Simulation {
    /// Runs `body` to its end, or to the first panic of a task, or to the time limit.
    ///
    /// # Panics
    /// When the body itself panics, or the runtime cannot be built.
    pub fn run<T>(seed: u64, config: impl Into<Config>, body: impl AsyncFnOnce(Self) -> T) -> Outcome<T> {
        let config = config.into();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of one thread without sockets asks nothing of the operating system");
        runtime.block_on(Self::drive(seed, config, body))
    }

    async fn drive<T>(seed: u64, config: Config, body: impl AsyncFnOnce(Self) -> T) -> Outcome<T> {
        let limit = config.time_limit;
        let world = Arc::new(World::new(seed, config));
        let postman = Arc::clone(&world);
        #[expect(clippy::disallowed_methods, reason = "the network belongs to no process")]
        let delivery = tokio::spawn(async move { postman.deliver_forever().await });
        let env = Process::new(&world, "harness", HARNESS_ADDRESS).env();
        let sim = Self { world: Arc::clone(&world), env };
        let result = tokio::select! {
            biased;
            failure = world.failure() => Err(failure),
            value = body(sim) => world.verdict(value),
            () = tokio::time::sleep_until(world.origin + limit) => Err(Failure::OutOfTime(limit)),
        };
        delivery.abort();
        let elapsed = tokio::time::Instant::now() - world.origin;
        let network = locked(&world.network);
        Outcome { result, seed, trace: network.trace().clone(), counters: network.counters(), elapsed }
    }

    /// The seed that this run was started with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.world.seed
    }

    /// The environment of the harness itself: time, tasks and randomness for the test's own use.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Starts a process with an address of its own; several processes may share one.
    #[must_use]
    pub fn process(&self, name: &str, address: IpAddr) -> Process {
        Process::new(&self.world, name, address)
    }

    /// Records a fact in the trace, so that two runs that differ in it differ in their hash.
    pub fn note(&self, event: &str) {
        let now = self.world.now_us();
        locked(&self.world.network).note(now, event);
    }

    /// Changes delays and losses from here on; datagrams under way keep theirs.
    pub fn set_network(&self, config: NetworkConfig) {
        locked(&self.world.network).configure(config);
    }

    /// Cuts the network between two addresses in both directions; datagrams under way are lost too.
    pub fn cut(&self, a: IpAddr, b: IpAddr) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Loses everything that `from` sends to `to`.
    pub fn cut_one_way(&self, from: IpAddr, to: IpAddr) {
        let now = self.world.now_us();
        locked(&self.world.network).cut(now, from, to);
    }

    /// Lets everything that `from` sends to `to` take so much longer. Of what is under way nothing changes.
    pub fn slow_one_way(&self, from: IpAddr, to: IpAddr, by: Duration) {
        let now = self.world.now_us();
        locked(&self.world.network).slow(now, (from, to), by);
    }

    /// Undoes the cuts and delays between two addresses, in both directions.
    pub fn heal(&self, a: IpAddr, b: IpAddr) {
        let now = self.world.now_us();
        locked(&self.world.network).heal(now, a, b);
    }

    /// Undoes every cut and delay between two addresses.
    pub fn heal_all(&self) {
        let now = self.world.now_us();
        locked(&self.world.network).heal_all(now);
    }

    /// The time since the start of the simulation.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.env.now()
    }

    /// The hash of the trace so far.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        locked(&self.world.network).trace().hash()
    }

    /// Totals of the network so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        locked(&self.world.network).counters()
    }
}

impl World {
    fn new(seed: u64, config: Config) -> Self {
        Self {
            seed,
            origin: tokio::time::Instant::now(),
            wall_start_ms: config.wall_start_ms,
            network: Mutex::new(network::Network::new(seed, config.network, config.events_kept)),
            names: Mutex::default(),
            arrivals: tokio::sync::Notify::new(),
            failure: Mutex::new(None),
            failed: tokio::sync::Notify::new(),
        }
    }

    fn elapsed(&self) -> Duration {
        tokio::time::Instant::now() - self.origin
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Carries datagrams to their sockets when they are due.
    async fn deliver_forever(&self) {
        loop {
            let due = {
                let now = self.now_us();
                locked(&self.network).deliver(now)
            };
            match due {
                None => self.arrivals.notified().await,
                Some(due_us) => {
                    let at = self.origin + Duration::from_micros(due_us);
                    tokio::select! {
                        biased;
                        () = self.arrivals.notified() => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
            }
        }
    }

    /// Ends the run with its first failure.
    fn fail(&self, failure: Failure) {
        locked(&self.failure).get_or_insert(failure);
        self.failed.notify_one();
    }

    async fn failure(&self) -> Failure {
        self.failed.notified().await;
        let failure = locked(&self.failure).clone();
        failure.expect("a failure is recorded before it is announced")
    }

    /// The body's value, unless a task panicked in the same moment.
    fn verdict<T>(&self, value: T) -> Result<T, Failure> {
        locked(&self.failure).clone().map_or(Ok(value), Err)
    }
}

#[cfg(test)]
mod tests;
