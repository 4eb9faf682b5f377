//! The simulated network: what becomes of each datagram, drawn from the seed.
//!
//! Leaves waiting and waking to [`super::World`] and the sockets. Timers have a resolution of one millisecond, so that
//! is the effective resolution of delays too; datagrams due in one millisecond arrive in the order of their exact times.

use super::socket::Mailbox;
use super::trace::{Counters, Trace};
use core::time::Duration;
use quinn::udp::EcnCodepoint;
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// How a network treats datagrams. Chances are in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// The shortest one-way delay.
    pub delay_min: Duration,
    /// The longest one-way delay (inclusive); delays are drawn evenly, so a range reorders.
    pub delay_max: Duration,
    /// Chance that a datagram is lost.
    pub loss_millionths: u32,
    /// Chance that a datagram arrives twice.
    pub duplicate_millionths: u32,
    /// Chance that a datagram is held back for up to eight times the longest delay.
    pub reorder_millionths: u32,
    /// The largest datagram carried, in bytes of UDP payload; larger ones vanish.
    pub datagram_bytes_max: usize,
}

impl NetworkConfig {
    /// A network that loses nothing and takes one millisecond.
    pub const CALM: Self = Self {
        delay_min: Duration::from_millis(1),
        delay_max: Duration::from_millis(1),
        loss_millionths: 0,
        duplicate_millionths: 0,
        reorder_millionths: 0,
        datagram_bytes_max: 1472,
    };

    /// This network with another chance of loss, in per cent.
    #[must_use]
    pub const fn with_loss_percent(mut self, percent: u32) -> Self {
        self.loss_millionths = percent * 10_000;
        self
    }
}

impl Default for NetworkConfig {
    /// One to five milliseconds, and a little of every disorder.
    fn default() -> Self {
        Self {
            delay_max: Duration::from_millis(5),
            loss_millionths: 2_000,
            duplicate_millionths: 2_000,
            reorder_millionths: 5_000,
            ..Self::CALM
        }
    }
}

/// A datagram under way or in a socket's buffer.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) bytes: Arc<[u8]>,
}

/// The network of one simulation.
#[derive(Debug)]
pub(super) struct Network {
    config: NetworkConfig,
    random: ChaCha12Rng,
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    /// How much longer everything takes from one address to another, in microseconds.
    slow: BTreeMap<(IpAddr, IpAddr), u64>,
    sockets: BTreeMap<SocketAddr, Arc<Mailbox>>,
    under_way: BTreeMap<(u64, u64), Datagram>,
    next_sequence: u64,
    next_port: u16,
    trace: Trace,
    counters: Counters,
}

impl Network {
    pub(super) fn new(seed: u64, config: NetworkConfig, events_kept: usize) -> Self {
        Self {
            config,
            random: ChaCha12Rng::seed_from_u64(seed),
            cuts: BTreeSet::new(),
            slow: BTreeMap::new(),
            sockets: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next_sequence: 0,
            next_port: 49_152,
            trace: Trace::new(seed, events_kept),
            counters: Counters::default(),
        }
    }

    pub(super) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    pub(super) fn configure(&mut self, config: NetworkConfig) {
        self.config = config;
    }

    pub(super) fn note(&mut self, now_us: u64, event: &str) {
        self.trace.event(format_args!("{now_us} note {event}"));
    }

    pub(super) fn cut(&mut self, now_us: u64, from: IpAddr, to: IpAddr) {
        self.cuts.insert((from, to));
        self.trace.event(format_args!("{now_us} cut {from} {to}"));
    }

    pub(super) fn slow(&mut self, now_us: u64, (from, to): (IpAddr, IpAddr), by: Duration) {
        self.slow.insert((from, to), micros(by));
        self.trace.event(format_args!("{now_us} slow {from} {to} {}", micros(by)));
    }

    pub(super) fn heal(&mut self, now_us: u64, a: IpAddr, b: IpAddr) {
        self.slow.remove(&(a, b));
        self.slow.remove(&(b, a));
        self.cuts.remove(&(a, b));
        self.cuts.remove(&(b, a));
        self.trace.event(format_args!("{now_us} heal {a} {b}"));
    }

    pub(super) fn heal_all(&mut self, now_us: u64) {
        self.cuts.clear();
        self.slow.clear();
        self.trace.event(format_args!("{now_us} heal all"));
    }

    /// Binds a mailbox; port 0 picks the next free one.
    pub(super) fn bind(&mut self, mut address: SocketAddr) -> io::Result<Arc<Mailbox>> {
        while address.port() == 0 || (address.port() >= 49_152 && self.sockets.contains_key(&address)) {
            address.set_port(self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        }
        if self.sockets.contains_key(&address) {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        let mailbox = Arc::new(Mailbox::new(address));
        self.sockets.insert(address, Arc::clone(&mailbox));
        Ok(mailbox)
    }

    /// Takes a mailbox off the network; another may take its address at once.
    pub(super) fn unbind(&mut self, mailbox: &Arc<Mailbox>) {
        let address = mailbox.address();
        if self.sockets.get(&address).is_some_and(|bound| Arc::ptr_eq(bound, mailbox)) {
            self.sockets.remove(&address);
        }
    }

    /// Decides the fate of one datagram.
    pub(super) fn send(&mut self, now_us: u64, datagram: Datagram) {
        let length = datagram.bytes.len();
        self.counters.sent += 1;
        self.counters.sent_bytes += length as u64;
        // The same number of draws for every datagram keeps one decision from shifting all later ones.
        let lost = self.chance(self.config.loss_millionths);
        let twice = self.chance(self.config.duplicate_millionths);
        let first = self.delay_us();
        let second = self.delay_us();
        if length > self.config.datagram_bytes_max {
            self.counters.refused += 1;
            self.record(now_us, &datagram, "too large");
        } else if self.is_cut(&datagram) {
            self.counters.cut += 1;
            self.record(now_us, &datagram, "cut");
        } else if lost {
            self.counters.lost += 1;
            self.record(now_us, &datagram, "lost");
        } else {
            self.record(now_us, &datagram, "sent");
            if twice {
                self.counters.duplicated += 1;
                let copy = Datagram { bytes: Arc::clone(&datagram.bytes), ..datagram };
                self.post(now_us, second, copy);
            }
            self.post(now_us, first, datagram);
        }
    }

    /// Delivers what is due, and tells when the next datagram is.
    pub(super) fn deliver(&mut self, now_us: u64) -> Option<u64> {
        while let Some(entry) = self.under_way.first_entry() {
            let due_us = entry.key().0;
            if due_us > now_us {
                return Some(due_us);
            }
            let datagram = entry.remove();
            self.arrive(now_us, datagram);
        }
        None
    }

    fn arrive(&mut self, now_us: u64, datagram: Datagram) {
        if self.is_cut(&datagram) {
            self.counters.cut += 1;
            self.record(now_us, &datagram, "cut under way");
            return;
        }
        let Some(mailbox) = self.sockets.get(&datagram.to).map(Arc::clone) else {
            self.counters.unreachable += 1;
            self.record(now_us, &datagram, "no socket");
            return;
        };
        let (from, to, length) = (datagram.from, datagram.to, datagram.bytes.len());
        let fate = if mailbox.put(datagram) {
            self.counters.delivered += 1;
            "delivered"
        } else {
            self.counters.refused += 1;
            "buffer full"
        };
        self.trace.event(format_args!("{now_us} {from} {to} {length} {fate}"));
    }

    fn post(&mut self, now_us: u64, delay_us: u64, datagram: Datagram) {
        let way = (datagram.from.ip(), datagram.to.ip());
        let delay_us = delay_us + self.slow.get(&way).copied().unwrap_or_default();
        self.counters.held_back += u64::from(delay_us > micros(self.config.delay_max));
        self.next_sequence += 1;
        self.under_way.insert((now_us + delay_us, self.next_sequence), datagram);
    }

    fn is_cut(&self, datagram: &Datagram) -> bool {
        self.cuts.contains(&(datagram.from.ip(), datagram.to.ip()))
    }

    fn record(&mut self, now_us: u64, datagram: &Datagram, fate: &str) {
        let Datagram { from, to, bytes, .. } = datagram;
        self.trace.event(format_args!("{now_us} {from} {to} {} {fate}", bytes.len()));
    }

    fn chance(&mut self, millionths: u32) -> bool {
        self.random.next_u64() % 1_000_000 < u64::from(millionths)
    }

    fn delay_us(&mut self) -> u64 {
        let least = micros(self.config.delay_min);
        let most = micros(self.config.delay_max).max(least);
        let drawn = least + self.random.next_u64() % (most - least + 1);
        let held = self.chance(self.config.reorder_millionths);
        let extra = self.random.next_u64() % (8 * most + 1);
        if held { drawn + extra } else { drawn }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().min(1 << 60)).unwrap_or(1 << 60)
}
