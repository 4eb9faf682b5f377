//! Other names for replicas: two that swap theirs.

use highwater_model::replication::{IsrSet, ReplicaIdx, Timer};

/// Of more replicas only the first so many ever swap names, so that the encodings of a part are few.
pub(crate) const RENAMED_MAX: u8 = 3;

/// What each replica is called: as it is, but for two that swap their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renaming {
    one: ReplicaIdx,
    other: ReplicaIdx,
}

impl Renaming {
    /// Every replica by its own name.
    pub(crate) const NONE: Self = Self { one: ReplicaIdx(0), other: ReplicaIdx(0) };

    /// The swaps of two replicas that leave `leader` its name.
    pub(crate) fn around(leader: ReplicaIdx, replicas: u8) -> impl Iterator<Item = Self> {
        let others =
            move || (0..replicas.min(RENAMED_MAX)).map(ReplicaIdx).filter(move |replica| *replica != leader);
        others().flat_map(move |one| {
            others().filter(move |other| *other > one).map(move |other| Self { one, other })
        })
    }

    /// A number of its own, below 4.
    pub(crate) fn index(self) -> usize {
        usize::from(self.one.0 + self.other.0)
    }

    /// Whether every replica keeps its name.
    pub(crate) fn is_none(self) -> bool {
        self.one == self.other
    }

    /// The name of a replica; also the replica of that name.
    pub(crate) fn of(self, replica: ReplicaIdx) -> ReplicaIdx {
        if replica == self.one {
            self.other
        } else if replica == self.other {
            self.one
        } else {
            replica
        }
    }

    /// The names of a set of replicas.
    pub(crate) fn of_set(self, replicas: IsrSet) -> IsrSet {
        if replicas.contains(self.one) == replicas.contains(self.other) {
            return replicas;
        }
        let both = IsrSet::only(self.one).with(self.other);
        replicas.minus(both).union(both.minus(replicas))
    }

    /// A timer with the name of the replica that it is about.
    pub(crate) fn of_timer(self, timer: Timer) -> Timer {
        match timer {
            Timer::Lag(replica) => Timer::Lag(self.of(replica)),
            Timer::FetchRetry | Timer::AlterPartitionRetry | Timer::Room => timer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swaps(leader: u8, replicas: u8) -> Vec<(u8, u8)> {
        Renaming::around(ReplicaIdx(leader), replicas).map(|swap| (swap.one.0, swap.other.0)).collect()
    }

    #[test]
    fn a_renaming_leaves_the_leader_its_name() {
        assert_eq!(swaps(0, 3), [(1, 2)]);
        assert_eq!(swaps(1, 3), [(0, 2)]);
        assert_eq!(swaps(2, 3), [(0, 1)]);
        assert!(swaps(1, 2).is_empty());
        assert_eq!(swaps(3, 4), [(0, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn every_renaming_has_a_number_of_its_own() {
        let all = Renaming::around(ReplicaIdx(9), 9).chain([Renaming::NONE]);
        let mut numbers: Vec<usize> = all.map(Renaming::index).collect();
        numbers.sort_unstable();

        assert_eq!(numbers, [0, 1, 2, 3]);
    }

    #[test]
    fn sets_and_timers_are_renamed_with_their_replicas() {
        let swap = Renaming { one: ReplicaIdx(0), other: ReplicaIdx(2) };

        assert_eq!(swap.of_set(IsrSet(0b011)), IsrSet(0b110));
        assert_eq!(swap.of_set(IsrSet(0b101)), IsrSet(0b101));
        assert_eq!(Renaming::NONE.of_set(IsrSet(0b011)), IsrSet(0b011));
        assert_eq!(swap.of_timer(Timer::Lag(ReplicaIdx(2))), Timer::Lag(ReplicaIdx(0)));
        assert_eq!(swap.of_timer(Timer::Room), Timer::Room);
    }
}
