//! A state of the replication world.

use std::hash::{Hash, Hasher};

use highwater_model::fault::Planted;
use highwater_model::id::{BrokerEpoch, LeaderEpoch, Offset};
use highwater_model::replication::{Replica, ReplicaIdx, Timer};
use smallvec::SmallVec;

use super::bounds::Bounds;
use super::cluster::Cluster;
use super::dead::epoch_of;
use super::disk::{Disk, Entries};
use super::encode::encode;
use super::network::{Envelope, Network};
use super::part::{Kind, Part};
use super::past::Past;
use super::turn::Turn;
use crate::engine::Encoder;

/// One running incarnation of a broker.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Run {
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// The core.
    pub core: Replica<Planted>,
    /// End of the metadata that it has applied, exclusive.
    pub applied: Offset,
    /// Leader epoch in the view that it has applied; nothing of an older one concerns it.
    pub known: LeaderEpoch,
    /// Timers that run, sorted.
    pub timers: SmallVec<[Timer; 4]>,
}

/// A broker: its disk, and its process while it runs.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Broker {
    /// Which replica it holds.
    pub replica: ReplicaIdx,
    /// What survives the process.
    pub disk: Disk,
    /// The process.
    pub run: Option<Run>,
}

impl Kind for Broker {
    type Fate = Turn;
}

/// What a client knows of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It waits for the answer of this replica's process.
    Open(ReplicaIdx),
    /// It was told that it is held as it asked for.
    Acknowledged,
    /// It was told that it is not, or its broker died: the record may be committed or not.
    Unknown,
    /// It was refused before anything was written (R2).
    Refused,
}

/// What is remembered for the claims alone; no core sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Every record that was ever below a leader's high watermark, by offset.
    pub committed: Entries,
    /// How often a broker lost a part of its log that was not synced, with what the policy had counted in it.
    pub lossy: u8,
    /// Whether nobody was left who may lead when one was struck off that had kept its data (RL0).
    pub struck_off: bool,
}

/// What is known of records outside of the brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// The records produced so far, by value.
    pub clients: SmallVec<[Standing; 4]>,
    /// For the claims.
    pub ghost: Ghost,
}

impl Kind for Ledger {
    type Fate = ();
}

/// What is left to spend of the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Left {
    /// Fences of running brokers.
    pub elections: u8,
    /// Expiries of lag timers.
    pub shrinks: u8,
    /// Killed processes.
    pub kills: u8,
    /// Power losses.
    pub power_losses: u8,
    /// Writes that found no room.
    pub full_disks: u8,
    /// Controlled shutdowns.
    pub shutdowns: u8,
    /// Disks that are put back.
    pub restores: u8,
    /// Expiries of waits for the controller.
    pub timeouts: u8,
    /// Repeated produces.
    pub retries: u8,
    /// Deletions.
    pub deletes: u8,
    /// Changes of `min.insync.replicas`.
    pub configs: u8,
    /// Proposals to a deposed controller.
    pub deposed: u8,
}

/// Everything that the future depends on. States that differ in nothing that any step could tell hash alike.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The brokers, by replica.
    pub brokers: SmallVec<[Part<Broker>; 3]>,
    /// The controller and the views that brokers have yet to apply.
    pub cluster: Part<Cluster>,
    /// Messages under way.
    pub network: Network,
    /// What clients know, and what is remembered for the claims.
    pub ledger: Part<Ledger>,
    /// What may still happen.
    pub left: Left,
    /// What follows of the rest for leaders of the past.
    pub(super) past: Vec<Past>,
}

impl Left {
    /// All of it as two numbers.
    fn words(self) -> [u64; 2] {
        let Self {
            elections, shrinks, kills, power_losses, full_disks, shutdowns, timeouts, retries, ..
        } = self;
        let Self { deletes, configs, deposed, restores, .. } = self;
        let faults = [elections, shrinks, kills, power_losses, full_disks, shutdowns, timeouts, retries];
        [u64::from_le_bytes(faults), u64::from_le_bytes([deletes, configs, deposed, restores, 0, 0, 0, 0])]
    }

    /// All of the bounds.
    pub(super) fn of(bounds: &Bounds) -> Self {
        Self {
            elections: bounds.elections,
            shrinks: bounds.shrinks,
            kills: bounds.kills,
            full_disks: bounds.full_disks,
            power_losses: bounds.power_losses,
            shutdowns: bounds.shutdowns,
            restores: bounds.restores,
            timeouts: bounds.timeouts,
            retries: bounds.retries,
            deletes: bounds.deletes,
            configs: bounds.configs,
            deposed: bounds.deposed,
        }
    }
}

/// A number that tells a state from others: each word is multiplied in, and the halves of the product are folded.
struct Identity(u64);

impl Identity {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
    fn add(&mut self, word: u64) {
        let product = u128::from(self.0.rotate_left(23) ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut encoder = Encoder::new();
        encode(self, &mut encoder);
        state.write(encoder.bytes());
    }
}

impl State {
    /// As `Checked::identity` has it: which parts this state is made of. Equal parts are one.
    pub(super) fn identity(&self) -> u64 {
        let [first, second] = self.left.words();
        let mut identity = Identity(first);
        identity.add(second);
        self.brokers.iter().for_each(|part| identity.add(part.address()));
        identity.add(self.cluster.address());
        identity.add(self.ledger.address());
        self.network.envelopes().iter().for_each(|part| identity.add(part.address()));
        identity.0.max(1)
    }

    /// The broker of a replica.
    #[must_use]
    pub fn broker(&self, replica: ReplicaIdx) -> &Broker {
        self.part(replica).get()
    }

    /// The shared broker of a replica.
    pub(super) fn part(&self, replica: ReplicaIdx) -> Part<Broker> {
        *self.brokers.get(usize::from(replica.0)).expect("every replica has a broker")
    }

    /// The place of a replica's broker.
    pub(super) fn part_mut(&mut self, replica: ReplicaIdx) -> &mut Part<Broker> {
        self.brokers.get_mut(usize::from(replica.0)).expect("every replica has a broker")
    }

    /// This replica, if it is a leader of the past.
    pub(super) fn past_of(&self, replica: ReplicaIdx) -> Option<&Past> {
        self.past.iter().find(|past| past.leader == replica)
    }

    /// The leader of the past that a message is for, unless it is for a reign to come.
    pub(super) fn past_receiver(&self, envelope: &Envelope) -> Option<&Past> {
        match envelope {
            Envelope::Peer { to, message, .. } => {
                let past = self.past_of(*to)?;
                let is_of_now = self.run(*to).is_some_and(|run| epoch_of(message) <= run.known);
                is_of_now.then_some(past)
            }
            Envelope::Decision { to, .. } => self.past_of(*to),
            Envelope::Proposal { .. } => None,
        }
    }

    /// The process of a replica's broker, while it runs.
    #[must_use]
    pub fn run(&self, replica: ReplicaIdx) -> Option<&Run> {
        self.broker(replica).run.as_ref()
    }

    /// Whether this state and the other one share what they know of a broker, so that it is the same.
    pub(super) fn shares_broker(&self, other: &Self, replica: ReplicaIdx) -> bool {
        let at = usize::from(replica.0);
        match (self.brokers.get(at), other.brokers.get(at)) {
            (Some(own), Some(other)) => own.is_shared_with(*other),
            _ => false,
        }
    }

    /// Every replica.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaIdx> + use<> {
        (0..u8::try_from(self.brokers.len()).expect("few brokers")).map(ReplicaIdx)
    }
}

impl Run {
    /// Whether it believes to lead.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.core.readable_end().is_ok()
    }

    /// Starts or stops a timer.
    pub(super) fn set(&mut self, timer: Timer, on: bool) {
        match (self.timers.binary_search(&timer), on) {
            (Err(at), true) => self.timers.insert(at, timer),
            (Ok(at), false) => {
                self.timers.remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }
}
