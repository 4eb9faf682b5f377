//! Whom a leader has truly heard since its check-quorum timer was armed (Q7), kept beside its core and not asked of it.

use smallvec::SmallVec;

use super::ReplicaView;
use crate::id::QuorumEpoch;
use crate::quorum::{Body, Effect, Input, Message, Timer, VoterKey};

/// Who lives, by an input: whose fetch it is and of which epoch, or who reads a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignOfLife {
    from: VoterKey,
    quorum_epoch: Option<QuorumEpoch>,
}

impl SignOfLife {
    /// What an input shows.
    #[must_use]
    pub fn of(input: &Input) -> Option<Self> {
        if let Input::SnapshotServed { to } = input {
            return Some(Self { from: *to, quorum_epoch: None });
        }
        let Input::Received(Message { body: Body::Fetch(_), from, quorum_epoch, .. }) = input else {
            return None;
        };
        Some(Self { from: *from, quorum_epoch: Some(*quorum_epoch) })
    }
}

/// Whom a leader has heard since its check-quorum timer was armed: nobody, where no replica leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heard(SmallVec<[VoterKey; 2]>);

impl Heard {
    /// A step took a sign of life, and left the replica as `after`.
    pub fn note(&mut self, sign: SignOfLife, after: &ReplicaView<'_>) {
        let of_epoch = sign.quorum_epoch.is_none_or(|epoch| epoch == after.vote.quorum_epoch);
        if after.is_leader
            && of_epoch
            && let Err(at) = self.0.binary_search(&sign.from)
        {
            self.0.insert(at, sign.from);
        }
    }

    /// An effect was carried out: an interval begins, or none is left.
    pub fn follow(&mut self, effect: &Effect) {
        if matches!(effect, Effect::Arm(Timer::CheckQuorum) | Effect::LostLeadership { .. }) {
            self.0.clear();
        }
    }

    /// Nobody, as after a start.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The replicas, by ascending key.
    pub fn iter(&self) -> impl Iterator<Item = VoterKey> + '_ {
        self.0.iter().copied()
    }

    /// How many voters of this leader it holds, the leader itself included if it votes.
    #[must_use]
    pub fn voters_of(&self, leader: &ReplicaView<'_>) -> u32 {
        let voters = leader.voters.latest().keys().iter();
        let heard = voters.filter(|voter| **voter == leader.key || self.0.contains(voter));
        u32::try_from(heard.count()).unwrap_or(u32::MAX)
    }
}

/// Whether a step with these effects begins a check-quorum interval.
#[must_use]
pub fn begins_interval(effects: &[Effect]) -> bool {
    effects.contains(&Effect::Arm(Timer::CheckQuorum))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{key, replica, set};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn a_leader_has_heard_voters_of_its_epoch_since_the_interval_began() {
        let voters = VoterHistory::new(set(&[1, 2, 3]));
        let leader = ReplicaView { is_leader: true, ..replica(1, 2, &[], &voters) };
        let sign =
            |from, epoch: Option<u32>| SignOfLife { from: key(from), quorum_epoch: epoch.map(QuorumEpoch) };
        let mut heard = Heard::default();
        assert_eq!(heard.voters_of(&leader), 1);

        heard.note(sign(2, Some(1)), &leader);
        heard.note(sign(4, Some(2)), &leader);
        assert_eq!(heard.voters_of(&leader), 1);
        heard.note(sign(3, None), &leader);
        heard.note(sign(2, Some(2)), &leader);
        assert_eq!(heard.voters_of(&leader), 3);

        heard.follow(&Effect::Arm(Timer::LongPoll));
        assert_eq!(heard.voters_of(&leader), 3);
        heard.follow(&Effect::Arm(Timer::CheckQuorum));
        assert_eq!(heard.voters_of(&leader), 1);
    }
}
