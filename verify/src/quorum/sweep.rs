//! Which bounds are swept, and which planted bugs must be caught at which bounds.

use highwater_model::fault::Bug;
use highwater_model::invariant::quorum::name;

use super::bounds::Bounds;
use crate::bounds::{Bounds as _, at};
use crate::registry::WALK;
use crate::world::Mutant;

/// The sweep of a profile, smallest first. Each takes in the one before it, and so all that it puts to the test; what the quick
/// one lacks is looked at with every reduction that its bounds allow.
pub(super) fn profile(name: &str) -> Vec<Bounds> {
    let (whole, less): (&[&str], &[&[&str]]) = match name {
        "small" => (SMALL, &[]),
        "quick" => (QUICK, &[]),
        "standard" => (QUICK, &[STANDARD]),
        "deep" => (QUICK, &[STANDARD, DEEP]),
        WALK => (WALKS, &[]),
        _ => (&[], &[]),
    };
    let reduced = less.iter().copied().flatten().map(|line| reduced(line));
    whole.iter().map(|line| at(line)).chain(reduced).collect()
}

/// Two minutes on two cores are for all models together; this is about a fifth of them.
const QUICK: &[&str] = &[
    "voters=2 observers=1 values=0 elections=0 wipes=1 changes=1",
    "voters=1 values=2 kills=1 power-losses=1",
    "voters=2 elections=1 values=1 power-losses=1 only-losses=true",
    "voters=1 observers=1 values=1 changes=1 snapshots=2",
    "elections=1 values=1 corruptions=1",
    "voters=1 observers=1 elections=1 values=2 kills=1 resends=1 snapshots=2",
    "elections=1 values=1 kills=1 late-notices=true",
    "start=tail elections=3 values=0",
    "elections=1 values=2 resends=1 snapshots=2",
    "elections=2 values=1 repeats=1",
    "voters=2 observers=1 elections=2 values=0 changes=1",
    "start=cold elections=1 values=0 pre-votes=asked",
    "voters=5 elections=1 values=1",
    "elections=2 values=0 resigns=1 late-notices=true",
    "elections=2 values=0 wipes=1",
    "elections=2 values=1 resends=1",
    "elections=2 values=1 reads=1",
    "start=cold elections=2 values=0 pre-votes=asked",
    "start=cold elections=2 values=1",
    "start=second elections=3 split=true values=0 snapshots=2",
    "start=second elections=4 split=true values=0",
    "elections=2 values=2 power-losses=1",
];

/// What a mechanical mutation is judged by (`verify/mutation`): some five seconds on one thread.
const SMALL: &[&str] = &[
    "voters=1 values=2 kills=1 power-losses=1",
    "voters=2 elections=1 values=1 power-losses=1 only-losses=true",
    "voters=1 observers=1 values=1 changes=1 snapshots=2",
    "elections=1 values=1 corruptions=1",
    "voters=1 observers=1 elections=1 values=2 kills=1 resends=1 snapshots=2",
    "elections=1 values=1 kills=1 late-notices=true",
    "start=tail elections=3 values=0",
    "elections=1 values=2 resends=1 snapshots=2",
    "elections=2 values=1 repeats=1",
    "voters=2 observers=1 elections=2 values=0 changes=1",
    "start=cold elections=1 values=0 pre-votes=asked",
    "elections=1 values=0 changes=2",
    "voters=5 elections=1 values=1",
    "elections=1 values=2 power-losses=1",
    "elections=2 values=1 resends=1",
    "elections=2 values=1 reads=1",
    "elections=1 values=1 resigns=1 late-notices=true",
    "elections=1 values=1 wipes=1",
    "start=second elections=3 split=true values=0 snapshots=2",
    "start=second elections=3 split=true values=0",
    "start=cold elections=2 values=0",
];

/// What only random walks get through: nothing is left out, and every kind of fault comes several times.
const WALKS: &[&str] = &[
    "voters=3 values=8 elections=8 kills=3 power-losses=3 resends=8 repeats=4 resigns=2 reads=4 snapshots=3 \
     in-flight=3 split=true pre-votes=asked start=cold keep-dead=true",
    "voters=5 values=20 elections=16 kills=6 power-losses=6 resends=20 repeats=10 resigns=4 reads=8 snapshots=6 \
     in-flight=4 split=true start=cold keep-dead=true",
    "voters=5 observers=2 values=12 elections=12 kills=4 power-losses=4 wipes=1 corruptions=1 resends=16 repeats=8 resigns=2 \
     changes=6 reads=4 snapshots=6 in-flight=4 split=true pre-votes=asked keep-dead=true",
    "voters=3 values=8 elections=8 power-losses=3 only-losses=true resends=8 repeats=4 reads=4 in-flight=3 split=true \
     start=cold keep-dead=true",
];

/// Some three minutes of twenty. With reads, snapshots, replaced disks and pre-votes as messages every step is in any order.
const STANDARD: &[&str] = &[
    "voters=1 observers=1 values=2 changes=1 kills=1 snapshots=2",
    "start=cold elections=3 values=1",
    "elections=2 values=1 reads=1 resends=1",
    "elections=2 values=2 changes=1",
    "elections=1 values=2 power-losses=1 changes=1",
    "elections=2 values=0 power-losses=1 changes=1",
    "voters=4 elections=1 values=1 changes=1",
    "elections=3 values=1 changes=1",
    "elections=3 values=2 power-losses=1",
    "elections=2 values=1 power-losses=1 changes=1",
];

/// What takes hours.
const DEEP: &[&str] = &[
    "voters=4 elections=1 values=1 power-losses=1 changes=1",
    "voters=4 elections=2 values=0 changes=1",
    "voters=4 elections=1 values=2 changes=1",
    "elections=2 values=2 power-losses=1 resends=1",
    "voters=4 elections=2 values=1 changes=1",
    "elections=3 values=0 power-losses=1 changes=1",
];

/// With every reduction that these bounds allow.
fn reduced(line: &str) -> Bounds {
    let reduced = Bounds { epoch_order: true, symmetry: true, ..Bounds::default() };
    reduced.read(line.split(' ')).expect("the bounds of a sweep are well formed")
}

/// A bug, where it comes from, the bounds that show it, and what it breaks.
type Row = (Bug, &'static str, &'static str, &'static [&'static str]);

/// Every planted bug.
const MUTANTS: &[Row] = &[
    (
        Bug::CommitOldEpoch,
        "Raft figure 8",
        "start=second elections=4 split=true values=0",
        &[name::LEADER_IS_COMPLETE],
    ),
    (
        Bug::ChangeBeforeCommit,
        "Ongaro, raft-dev, July 2015",
        "voters=4 start=removal elections=3 changes=1 values=0",
        &[name::LEADER_IS_COMPLETE],
    ),
    (
        Bug::TwoChangesAtOnce,
        "redpanda PR 17675",
        "elections=1 values=0 changes=2",
        &[name::VOTERS_CHANGE_ONE_AT_A_TIME],
    ),
    (
        Bug::VoteForgotten,
        "Raft 5.2, KAFKA-16526",
        "start=cold elections=2 kills=1 values=0",
        &[name::ONE_VOTE_PER_EPOCH],
    ),
    (
        Bug::EpochForgotten,
        "Raft 5.2, NATS PR 7038",
        "start=cold elections=1 kills=1 values=0",
        &[name::QUORUM_EPOCH_NEVER_MOVES_BACK],
    ),
    (
        Bug::VoterReportsUnsynced,
        "KAFKA-10533, NATS 7564",
        "elections=1 values=1 power-losses=1",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::LeaderCountsUnsynced,
        "etcd 14370",
        "voters=1 values=1 power-losses=1",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (Bug::DirectoryIgnored, "NATS PR 7038", "elections=2 values=1 wipes=1", &[name::LEADER_IS_COMPLETE]),
    (
        Bug::CorruptTailKeepsVoting,
        "NATS PR 7587, Jepsen NATS 2.12.1",
        "elections=1 values=1 corruptions=1",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::StaleAppendTruncates,
        "openraft 9540c904",
        "elections=1 values=2 repeats=1",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::LogOrderByLength,
        "openraft a48a3282",
        "start=tail elections=3 values=0",
        &[name::LEADER_IS_COMPLETE],
    ),
    (
        Bug::ObserversCount,
        "openraft beb0302b",
        "observers=1 elections=1 values=1",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::DivergingCounts,
        "CCF, arXiv 2406.17455",
        "start=second elections=2 values=0",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::VotesOverUnion,
        "CCF, arXiv 2406.17455",
        "voters=4 elections=2 values=1 changes=1",
        &[name::LEADER_IS_COMPLETE],
    ),
    (
        Bug::SentCounts,
        "CCF, arXiv 2406.17455",
        "elections=1 values=1",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::RetiresEarly,
        "CCF, arXiv 2406.17455",
        "elections=0 values=1 kills=1 changes=1",
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::PastUntested,
        "rule Q42",
        "start=second elections=3 split=true values=0 snapshots=2",
        &[name::LOGS_MATCH],
    ),
    (
        Bug::SnapshotInstallNotAtomic,
        "ZooKeeper 3911, 4646, 4685",
        "voters=1 observers=1 elections=1 values=1 snapshots=1",
        &[name::LOG_START_HAS_A_SNAPSHOT],
    ),
    (
        Bug::AppliedApart,
        "etcd 13766",
        "voters=1 observers=1 values=0 changes=1 snapshots=1",
        &[name::SNAPSHOT_IS_THE_FOLD_OF_THE_LOG],
    ),
    (
        Bug::VotersOnCommit,
        "etcd-io/raft 456",
        "voters=1 observers=2 elections=2 values=0 changes=2 kills=1",
        // Two leaders of one epoch come of it; that the new set cannot hold a record which the old one committed comes first.
        &[name::QUORUM_HOLDS_WHAT_IS_COMMITTED],
    ),
    (
        Bug::NoCheckQuorum,
        "KAFKA-15489",
        "elections=1 values=0 resigns=1",
        &[name::LEADER_WITHOUT_A_MAJORITY_RESIGNS],
    ),
    (
        Bug::HeardForGood,
        "KAFKA-15489",
        "voters=4 elections=1 values=0 resigns=2 changes=1",
        &[name::LEADER_WITHOUT_A_MAJORITY_RESIGNS],
    ),
    (
        Bug::PreVoteWhileFollowing,
        "KIP-996",
        "elections=2 values=0 pre-votes=asked",
        &[name::PRE_VOTE_SPARES_A_WORKING_LEADER],
    ),
    (
        Bug::StaleVoteCounted,
        "Xraft, SandTable",
        "start=cold elections=3 values=0",
        &[name::ONE_LEADER_PER_EPOCH],
    ),
    (Bug::LeaderResumes, "KIP-595", "elections=1 values=1 power-losses=1", &[name::LOGS_MATCH]),
    (
        Bug::AnyFetchConfirms,
        "Raft 6.4",
        "elections=2 values=1 reads=1 resends=1",
        &[name::READS_ARE_LINEARIZABLE],
    ),
    (Bug::VoteTwice, "Raft 5.2", "start=cold elections=2 values=0", &[name::ONE_VOTE_PER_EPOCH]),
    (
        Bug::VoteBeforeStored,
        "Raft 5.2",
        "start=cold elections=2 values=0 power-losses=1",
        &[name::MESSAGES_ARE_OF_THE_STORED_EPOCH],
    ),
    (Bug::WatermarkForgotten, "rule Q16", "elections=2 values=0", &[name::HIGH_WATERMARK_NEVER_MOVES_BACK]),
    (
        Bug::VoteBeforeStored,
        "Raft 5.2",
        // What comes of it where nobody minds that: the vote is lost, and given again.
        "start=cold elections=2 values=0 power-losses=1 stored-epochs=false",
        &[name::ONE_VOTE_PER_EPOCH],
    ),
    (
        Bug::PreVoteVotes,
        "KIP-996",
        "start=cold elections=1 values=0 pre-votes=asked",
        &[name::PRE_VOTE_CHANGES_NOTHING],
    ),
    (Bug::AnnouncedSaysNothing, "L-16 on one path", "elections=2 values=1", &[name::WHO_WAITS_IS_REMEMBERED]),
    (
        Bug::LaterEpochUnheeded,
        "rule Q2",
        "start=cold elections=2 values=0",
        &[name::EPOCH_FOLLOWS_WHAT_IS_HEARD],
    ),
];

/// The planted bugs.
pub(super) fn mutants() -> Vec<Mutant<Bounds>> {
    let mutant =
        |(bug, source, bounds, breaks): &Row| Mutant { bug: *bug, source, bounds: at(bounds), breaks };
    MUTANTS.iter().map(mutant).collect()
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::*;
    use crate::engine::{Limits, Verdict, search};
    use crate::world::{Checked, misdeclared};

    #[test]
    fn claims_mutants_and_kinds_are_declared_in_pairs() {
        assert_eq!(misdeclared::<World>(), Vec::<String>::new());
    }

    #[test]
    fn dead_messages_change_no_verdict() {
        for line in ["start=cold elections=1 values=0", "start=tail elections=2 values=0"] {
            let kept = Bounds { keep_dead: true, ..at(line) };
            for bounds in [at(line), kept] {
                let outcome = search(&World::new(bounds, None), Limits::default(), &mut |_| {});
                assert!(matches!(outcome.verdict, Verdict::Holds), "{line}");
            }
        }
    }

    #[test]
    fn the_sound_core_is_clean_where_a_planted_bug_is_found() {
        let small = [
            Bug::LeaderCountsUnsynced,
            Bug::DivergingCounts,
            Bug::LogOrderByLength,
            Bug::CorruptTailKeepsVoting,
            Bug::RetiresEarly,
            Bug::SnapshotInstallNotAtomic,
            Bug::AppliedApart,
            Bug::NoCheckQuorum,
            Bug::PreVoteWhileFollowing,
            Bug::ObserversCount,
            Bug::CommitOldEpoch,
            Bug::TwoChangesAtOnce,
        ];
        for bug in small {
            let mutant =
                mutants().into_iter().find(|mutant| mutant.bug == bug).expect("a mutant of this world");
            let broken =
                search(&World::new(mutant.bounds.clone(), Some(bug)), Limits::default(), &mut |_| {});
            let sound = search(&World::new(mutant.bounds, None), Limits::default(), &mut |_| {});

            assert!(
                matches!(broken.verdict, Verdict::Violated(found) if mutant.breaks.contains(&found.broken.claim))
            );
            assert!(matches!(sound.verdict, Verdict::Holds));
        }
    }
}
