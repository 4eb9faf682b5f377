//! A simulated process: its address, its life and death, its clock.
//!
//! What dies with a process is all that its [`Env`] gave: tasks, timers and sockets. What outlives it, a disk for
//! instance, is kept by whoever owns that.

use super::super::{Env, World as EnvWorld, locked};
use super::network::Network;
use super::socket::{Mailbox, Socket};
use super::{Failure, World};
use core::sync::atomic::{AtomicI64, Ordering};
use core::task::Waker;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

/// A process of a simulation; a cheap handle that outlives kills and restarts.
#[derive(Clone, Debug)]
pub struct Process {
    world: Arc<World>,
    name: Arc<str>,
    address: IpAddr,
    run: Arc<Mutex<Run>>,
}

/// The present run of a process.
#[derive(Debug)]
struct Run {
    incarnation: u64,
    env: Env,
    host: Host,
}

/// What an [`Env`] knows of the simulated process that it belongs to.
#[derive(Clone, Debug)]
pub(in super::super) struct Host {
    world: Arc<World>,
    state: Arc<HostState>,
}

#[derive(Debug)]
struct HostState {
    name: Arc<str>,
    address: IpAddr,
    wall_offset_ms: AtomicI64,
    mailboxes: Mutex<Vec<Arc<Mailbox>>>,
    pause: Mutex<Pause>,
}

/// Tasks that became ready while the process was paused.
#[derive(Debug, Default)]
struct Pause {
    paused: bool,
    waiting: Vec<Waker>,
}

impl Process {
    pub(super) fn new(world: &Arc<World>, name: &str, address: IpAddr) -> Self {
        let name: Arc<str> = name.into();
        locked(&world.names).insert(name.to_string(), address);
        let run = Run::start(world, &name, address, 0, 0);
        Self { world: Arc::clone(world), name, address, run: Arc::new(Mutex::new(run)) }
    }

    /// The process's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process's address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The environment of the present run, or of the last one when the process was killed.
    #[must_use]
    pub fn env(&self) -> Env {
        locked(&self.run).env.clone()
    }

    /// How often the process was restarted.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        locked(&self.run).incarnation
    }

    /// Ends the present run as SIGKILL does: its tasks are never polled again, nothing that they hold is sent, its
    /// sockets are gone. What tasks own is dropped as soon as the runtime comes to it.
    pub fn kill(&self) {
        let run = locked(&self.run);
        self.note("kill");
        run.host.end();
        run.env.inner.tasks.end();
    }

    /// Starts a new run with the same address; the former one is killed if it lives.
    #[must_use]
    pub fn restart(&self) -> Env {
        self.kill();
        let mut run = locked(&self.run);
        let offset = run.host.state.wall_offset_ms.load(Ordering::Relaxed);
        *run = Run::start(&self.world, &self.name, self.address, run.incarnation + 1, offset);
        self.note("restart");
        run.env.clone()
    }

    /// Stops the process from running, as SIGSTOP does, while time and the network go on.
    pub fn pause(&self) {
        self.note("pause");
        locked(&locked(&self.run).host.state.pause).paused = true;
    }

    /// Lets a paused process run on.
    pub fn resume(&self) {
        self.note("resume");
        let run = locked(&self.run);
        let mut pause = locked(&run.host.state.pause);
        pause.paused = false;
        let waiting = core::mem::take(&mut pause.waiting);
        drop(pause);
        drop(run);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Sets how far this process's wall clock is ahead of the simulation's (behind when negative), in milliseconds.
    /// The monotonic clock is not moved.
    pub fn set_wall_offset_ms(&self, offset: i64) {
        locked(&self.run).host.state.wall_offset_ms.store(offset, Ordering::Relaxed);
    }

    fn note(&self, event: &str) {
        let now = self.world.now_us();
        locked(&self.world.network).note(now, &format!("{event} {}", self.name));
    }
}

impl Run {
    fn start(world: &Arc<World>, name: &Arc<str>, address: IpAddr, incarnation: u64, offset: i64) -> Self {
        let state = HostState {
            name: Arc::clone(name),
            address,
            wall_offset_ms: AtomicI64::new(offset),
            mailboxes: Mutex::default(),
            pause: Mutex::default(),
        };
        let host = Host { world: Arc::clone(world), state: Arc::new(state) };
        let random = random(world.seed, name, incarnation);
        Self { incarnation, env: Env::new(name, random, EnvWorld::Simulated(host.clone())), host }
    }
}

impl Host {
    pub(in super::super) fn origin(&self) -> tokio::time::Instant {
        self.world.origin
    }

    pub(in super::super) fn wall_ms(&self) -> u64 {
        let elapsed = u64::try_from(self.world.elapsed().as_millis()).unwrap_or(u64::MAX);
        let offset = self.state.wall_offset_ms.load(Ordering::Relaxed);
        self.world.wall_start_ms.saturating_add(elapsed).saturating_add_signed(offset)
    }

    pub(in super::super) fn bind(
        &self,
        mut address: SocketAddr,
    ) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        if address.ip().is_unspecified() {
            address.set_ip(self.state.address);
        }
        if address.ip() != self.state.address {
            return Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
        }
        let mailbox = self.network(|network| network.bind(address))?;
        locked(&self.state.mailboxes).push(Arc::clone(&mailbox));
        Ok(Arc::new(Socket::new(Arc::clone(&self.world), mailbox)))
    }

    /// The address of the process that is named before the port.
    pub(in super::super) fn resolve(&self, host_and_port: &str) -> io::Result<SocketAddr> {
        let (name, port) = host_and_port.rsplit_once(':').ok_or(io::ErrorKind::InvalidInput)?;
        let port = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        let address = locked(&self.world.names).get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(SocketAddr::new(address, port))
    }

    /// True when the process is paused; the task is woken when it runs on.
    pub(in super::super) fn is_paused(&self, task: &Waker) -> bool {
        let mut pause = locked(&self.state.pause);
        if pause.paused && !pause.waiting.iter().any(|waiting| waiting.will_wake(task)) {
            pause.waiting.push(task.clone());
        }
        pause.paused
    }

    /// Reports a panic of one of the process's tasks, which fails the simulation.
    pub(in super::super) fn panicked(&self, task: &str, message: String) {
        let process = self.state.name.to_string();
        self.world.fail(Failure::Panicked { process, task: task.to_owned(), message });
    }

    fn end(&self) {
        for mailbox in core::mem::take(&mut *locked(&self.state.mailboxes)) {
            mailbox.close();
            self.network(|network| network.unbind(&mailbox));
        }
    }

    fn network<T>(&self, act: impl FnOnce(&mut Network) -> T) -> T {
        act(&mut locked(&self.world.network))
    }
}

/// The randomness of one run of a process: of the seed, the name and the incarnation, so that what one process draws
/// does not shift what another draws.
fn random(seed: u64, name: &str, incarnation: u64) -> ChaCha12Rng {
    let mut key = [0; 32];
    let mut mixed: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let words = [seed, mixed, incarnation, 0x6869_6768_7761_7465];
    for (place, word) in key.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha12Rng::from_seed(key)
}
