//! Pictures of long logs of the quorum, each with what a predicate is for.

use highwater_model::id::DirectoryId;
use highwater_model::log::EpochHistory;

use super::*;

fn key(id: u32) -> VoterKey {
    VoterKey { id: NodeId(id), directory: DirectoryId(id.into()) }
}

fn log(records: &[(u32, u64)]) -> LogShape<QuorumEpoch> {
    let (mut epochs, mut end) = (EpochHistory::default(), Offset::ZERO);
    for (epoch, count) in records {
        epochs.assign(QuorumEpoch(*epoch), end);
        end = end.after(*count);
    }
    LogShape::recovered(Offset::ZERO, end, end, epochs)
}

/// A voter of three in this epoch, with all of these records synced.
fn seen(quorum_epoch: u32, records: &[(u32, u64)], committed: u64, is_leader: bool) -> Seen {
    let vote = Vote { quorum_epoch: QuorumEpoch(quorum_epoch), voted_for: None };
    Seen {
        core: CoreNumber(1),
        vote,
        stored: vote,
        is_leader,
        high_watermark: Some(Offset(committed)),
        log: log(records),
        oldest_snapshot: None,
        voters: VoterHistory::new(VoterSet::new([1, 2, 3].map(key)).unwrap()),
        is_current: true,
    }
}

/// Three voters with 1,000 records of epoch 1, of which the first leads and has committed 900.
fn watch() -> QuorumWatch {
    let mut watch = QuorumWatch::default();
    for id in [2, 3, 1] {
        let committed = if id == 1 { 900 } else { 0 };
        watch.see(key(id), seen(1, &[(1, 1_000)], committed, id == 1), Met::Begins).unwrap();
    }
    watch
}

fn broken(watch: &mut QuorumWatch, id: u32, seen: Seen) -> Option<&'static str> {
    watch.see(key(id), seen, Met::GoesOn).err().map(|wrong| wrong.rule)
}

#[test]
fn a_healthy_quorum_breaks_nothing() {
    let mut watch = watch();

    assert_eq!(broken(&mut watch, 2, seen(1, &[(1, 1_000)], 900, false)), None);
    assert_eq!(broken(&mut watch, 2, seen(2, &[(1, 1_000), (2, 1)], 900, true)), None);
    assert_eq!(broken(&mut watch, 3, seen(2, &[(1, 1_000), (2, 1)], 900, false)), None);
}

#[test]
fn what_each_predicate_is_for_is_found() {
    let voted = |whom| Seen {
        stored: Vote { quorum_epoch: QuorumEpoch(2), voted_for: Some(key(whom)) },
        ..seen(2, &[(1, 1_000)], 900, false)
    };
    let cases: [(&[(u32, Seen)], &str); 7] = [
        (&[(2, seen(1, &[(1, 1_000)], 0, true))], "quorum/one_leader_per_epoch"),
        (
            &[
                (3, seen(3, &[(1, 1_000), (3, 1)], 900, false)),
                (2, seen(3, &[(1, 990), (2, 10), (3, 1)], 0, false)),
            ],
            "quorum/logs_match",
        ),
        (&[(2, seen(2, &[(1, 899), (2, 100)], 950, false))], "quorum/committed_never_changes"),
        (&[(2, seen(2, &[(1, 899), (2, 1)], 0, true))], "quorum/leader_is_complete"),
        (&[(1, seen(1, &[(1, 1_001)], 1_001, true))], "quorum/quorum_holds_what_is_committed"),
        (&[(1, seen(1, &[(1, 1_000)], 800, true))], "quorum/high_watermark_never_moves_back"),
        (&[(2, voted(1)), (2, voted(3))], "quorum/one_vote_per_epoch"),
    ];
    for (steps, rule) in cases {
        let mut watch = watch();
        let mut found = None;
        for (id, seen) in steps {
            assert_eq!(found, None, "{rule}");
            found = broken(&mut watch, *id, seen.clone());
        }
        assert_eq!(found, Some(rule));
    }
}

#[test]
fn an_epoch_that_goes_back_is_found_across_runs() {
    let mut watch = watch();
    watch.see(key(2), seen(5, &[(1, 1_000)], 0, false), Met::GoesOn).unwrap();

    let found = watch.see(key(2), seen(4, &[(1, 1_000)], 0, false), Met::Begins);
    assert_eq!(found.map_err(|wrong| wrong.rule), Err("quorum/quorum_epoch_never_moves_back"));
}

#[test]
fn of_a_voter_that_is_not_known_nobody_can_tell_what_it_holds() {
    let mut watch = watch();
    watch.lose(NodeId(3));

    assert_eq!(broken(&mut watch, 1, seen(1, &[(1, 1_001)], 1_001, true)), None);
}
