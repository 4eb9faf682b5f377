//! Messages under way: a sorted multiset, from which any may be delivered next, or never.
//!
//! Sorted, because no rule depends on the order in which messages were sent.

use highwater_model::id::BrokerEpoch;
use highwater_model::replication::{AlterPartition, AlterPartitionAnswer, Message, ReplicaIdx};
use smallvec::SmallVec;

use super::disk::Entries;
use super::part::{Kind, Part};

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Envelope {
    /// From replica to replica.
    Peer {
        /// Sender.
        from: ReplicaIdx,
        /// Receiver.
        to: ReplicaIdx,
        /// The core's message.
        message: Message,
        /// The records attached to an answer.
        records: Entries,
    },
    /// From a leader to the controller.
    Proposal {
        /// The leader.
        from: ReplicaIdx,
        /// What it proposes.
        proposal: AlterPartition,
    },
    /// From the controller to a leader, on the connection of one incarnation.
    Decision {
        /// The leader.
        to: ReplicaIdx,
        /// Its incarnation that asked.
        broker_epoch: BrokerEpoch,
        /// The answer.
        answer: AlterPartitionAnswer,
    },
}

impl Kind for Envelope {
    type Fate = ();
}

/// Everything under way.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Network {
    envelopes: SmallVec<[Part<Envelope>; 6]>,
}

impl Network {
    /// The messages, sorted.
    #[must_use]
    pub fn envelopes(&self) -> &[Part<Envelope>] {
        &self.envelopes
    }

    /// Adds a message.
    pub(super) fn send(&mut self, envelope: Part<Envelope>) {
        let at = self.envelopes.partition_point(|other| **other < *envelope);
        self.envelopes.insert(at, envelope);
    }

    /// Takes the message at this place.
    pub(super) fn take(&mut self, at: usize) -> Part<Envelope> {
        self.envelopes.remove(at)
    }

    /// Drops the messages at the places where there is a reason to.
    pub(super) fn drop_dead<R>(&mut self, dead: &[Option<R>]) {
        let mut dead = dead.iter();
        self.envelopes.retain(|_| !dead.next().is_some_and(Option::is_some));
    }

    /// Drops of equal answers to a fetch all but one: when one is taken, the others are of a fetch without an open end.
    pub(super) fn drop_twins(&mut self) {
        let is_answer =
            |envelope: &Envelope| matches!(envelope, Envelope::Peer { message: Message::FetchAnswer(_), .. });
        self.envelopes.dedup_by(|one, other| one == other && is_answer(one));
    }

    /// Fetches of `follower` and answers to it, of those messages that count.
    pub(super) fn fetches_of(&self, follower: ReplicaIdx, counts: impl Fn(&Envelope) -> bool) -> usize {
        let of_follower = |envelope: &&Part<Envelope>| match &***envelope {
            Envelope::Peer { from, message: Message::Fetch(_), .. } => *from == follower,
            Envelope::Peer { to, message: Message::FetchAnswer(_), .. } => *to == follower,
            Envelope::Peer { .. } | Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
        };
        self.envelopes.iter().filter(of_follower).filter(|envelope| counts(envelope)).count()
    }
}
