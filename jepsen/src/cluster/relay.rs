//! What stands between processes on the loopback address: a relay in front of each broker, which can lose, delay, duplicate
//! and reorder datagrams by who sends to whom.
//!
//! A broker listens at a port of its own and is known to all under its relay's. It sends from the port where it listens, so
//! the relay knows which broker a datagram comes from; any other sender is a client. Each sender has a socket of its own
//! behind the relay, so that answers find their way back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_model::id::NodeId;
use highwater_transport::env::{Env, Task};
use tokio::net::UdpSocket;

use super::Disorder;
use crate::random::Random;

/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// How long a datagram is held back so that later ones overtake it.
const HELD_BACK: Duration = Duration::from_millis(12);

/// The most senders that a relay has sockets for: those of brokers and clients that are gone are forgotten.
const FLOWS_MAX: usize = 512;

/// The links between brokers, and what is wrong with them. A cheap handle.
#[derive(Clone, Debug)]
pub struct Links {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    random: Random,
    disorder: Disorder,
    /// From whom nothing reaches whom.
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// How much longer everything takes from whom to whom.
    slow: BTreeMap<(NodeId, NodeId), Duration>,
    counts: Counted,
}

/// What was done to datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Datagrams that came.
    pub carried: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because the link was cut.
    pub cut: u64,
    /// Sent twice.
    pub duplicated: u64,
    /// Held back so that later ones overtake them.
    pub held_back: u64,
    /// Sent on later than they came.
    pub delayed: u64,
}

/// After which times copies of a datagram are sent on; none if it is lost.
type Fate = Vec<Duration>;

impl Links {
    /// Links with nothing wrong; chances are drawn from `random`.
    #[must_use]
    pub fn new(random: Random) -> Self {
        let (cuts, slow) = (BTreeSet::new(), BTreeMap::new());
        let (disorder, counts) = (Disorder::default(), Counted::default());
        Self { shared: Arc::new(Mutex::new(Shared { random, disorder, cuts, slow, counts })) }
    }

    /// Loses everything that one broker sends to another.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.shared().cuts.insert((from, to));
    }

    /// Lets everything that one broker sends to another take so much longer.
    pub fn slow(&self, from: NodeId, to: NodeId, by: Duration) {
        self.shared().slow.insert((from, to), by);
    }

    /// Has datagrams between brokers treated so too.
    pub fn disorder(&self, disorder: Disorder) {
        let mut shared = self.shared();
        shared.disorder = shared.disorder.and(disorder);
    }

    /// Undoes every cut, delay and disorder.
    pub fn heal(&self) {
        let mut shared = self.shared();
        shared.cuts.clear();
        shared.slow.clear();
        shared.disorder = Disorder::default();
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counted {
        self.shared().counts
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of a datagram; the network between clients and brokers is in order.
    fn fate(&self, from: Option<NodeId>, to: Option<NodeId>) -> Fate {
        let mut shared = self.shared();
        shared.counts.carried += 1;
        match (from, to) {
            (Some(from), Some(to)) => shared.fate(from, to),
            _ => vec![Duration::ZERO],
        }
    }
}

impl Shared {
    fn fate(&mut self, from: NodeId, to: NodeId) -> Fate {
        if self.cuts.contains(&(from, to)) {
            self.counts.cut += 1;
            return Vec::new();
        }
        let Disorder { loss_percent, duplicate_percent, reorder_percent, delay, jitter } = self.disorder;
        if self.happens(loss_percent) {
            self.counts.lost += 1;
            return Vec::new();
        }
        let slow = self.slow.get(&(from, to)).copied().unwrap_or_default();
        let delay = delay + slow;
        let mut after = self.random.between(delay, delay + jitter);
        if self.happens(reorder_percent) {
            self.counts.held_back += 1;
            after += HELD_BACK;
        }
        self.counts.delayed += u64::from(!delay.is_zero());
        if !self.happens(duplicate_percent) {
            return vec![after];
        }
        self.counts.duplicated += 1;
        vec![after, self.random.between(delay, delay + jitter)]
    }

    fn happens(&mut self, percent: u8) -> bool {
        percent > 0 && self.random.below(100) < percent.into()
    }
}

/// The relay in front of one broker; it ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    _carrying: Ending,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Ending(Task);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where a broker listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The broker.
    pub node: NodeId,
    /// Its own port.
    pub port: u16,
    /// Its relay's.
    pub relay_port: u16,
}

impl Relay {
    /// Starts the relay of a broker; `all` says which port is whose.
    ///
    /// # Errors
    /// If its port is taken.
    pub async fn start(env: &Env, links: &Links, to: Listening, all: &[Listening]) -> io::Result<Self> {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, to.relay_port)).await?);
        let brokers = all.iter().map(|broker| (broker.port, broker.node)).collect();
        let forward =
            Forward { env: env.clone(), links: links.clone(), front, to, brokers, flows: BTreeMap::new() };
        Ok(Self { _carrying: Ending(env.spawn("relay", forward.run())) })
    }
}

struct Forward {
    env: Env,
    links: Links,
    front: Arc<UdpSocket>,
    to: Listening,
    brokers: BTreeMap<u16, NodeId>,
    /// The socket behind the relay of each sender, and the task that carries answers back.
    flows: BTreeMap<SocketAddr, (Arc<UdpSocket>, Ending)>,
}

impl Forward {
    async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            // An error here is one about a datagram sent before: the broker does not listen. It says nothing of this one.
            let Ok((length, sender)) = self.front.recv_from(&mut buffer).await else { continue };
            let Some(datagram) = buffer.get(..length) else { continue };
            let from = self.brokers.get(&sender.port()).copied();
            let fate = self.links.fate(from, Some(self.to.node));
            if fate.is_empty() {
                continue;
            }
            match self.flow(sender, from).await {
                Ok(socket) => send(&self.env, &socket, datagram, None, fate),
                Err(error) => tracing::warn!(%error, %sender, "no socket for a sender"),
            }
        }
    }

    async fn flow(&mut self, sender: SocketAddr, from: Option<NodeId>) -> io::Result<Arc<UdpSocket>> {
        if let Some((socket, _)) = self.flows.get(&sender) {
            return Ok(Arc::clone(socket));
        }
        if self.flows.len() >= FLOWS_MAX {
            self.flows.pop_first();
        }
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        socket.connect((Ipv4Addr::LOCALHOST, self.to.port)).await?;
        let back = carry_back(
            self.env.clone(),
            self.links.clone(),
            (Arc::clone(&socket), Arc::clone(&self.front)),
            (self.to.node, from),
            sender,
        );
        let task = self.env.spawn("relay back", back);
        self.flows.insert(sender, (Arc::clone(&socket), Ending(task)));
        Ok(socket)
    }
}

/// Carries what the broker answers back to a sender.
async fn carry_back(
    env: Env,
    links: Links,
    (behind, front): (Arc<UdpSocket>, Arc<UdpSocket>),
    (from, to): (NodeId, Option<NodeId>),
    sender: SocketAddr,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match behind.recv(&mut buffer).await {
            Ok(length) => {
                let fate = links.fate(Some(from), to);
                buffer
                    .get(..length)
                    .into_iter()
                    .for_each(|datagram| send(&env, &front, datagram, Some(sender), fate.clone()));
            }
            // The broker does not listen; the kernel says so once for each datagram. It may listen again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => {
                tracing::warn!(%error, "a relay's socket cannot be read");
                return;
            }
        }
    }
}

/// Sends copies of a datagram, each after its time. A buffer that is full loses it, as networks do.
fn send(env: &Env, socket: &Arc<UdpSocket>, datagram: &[u8], to: Option<SocketAddr>, fate: Fate) {
    let send_now = move |socket: &UdpSocket, datagram: &[u8]| match to {
        Some(to) => drop(socket.try_send_to(datagram, to)),
        None => drop(socket.try_send(datagram)),
    };
    for after in fate {
        if after.is_zero() {
            send_now(socket, datagram);
            continue;
        }
        let (socket, datagram, sleep) = (Arc::clone(socket), datagram.to_vec(), env.sleep(after));
        env.spawn("delayed datagram", async move {
            sleep.await;
            send_now(&socket, &datagram);
        });
    }
}
