//! From which bounds recovery runs are made, and which planted bugs they must catch.

use highwater_model::fault::Bug;

use super::ends::name;
use crate::recovery::Table;

/// The recovery runs of this world.
pub(super) const RECOVERIES: Table = Table {
    quick: &[
        "voters=1 values=2 kills=1 power-losses=1",
        "voters=1 observers=1 values=1 changes=1 snapshots=2",
        "start=second elections=2 values=0",
        "elections=1 values=1 resends=1",
        "start=cold elections=1 values=0 pre-votes=asked",
        "voters=2 observers=1 elections=2 values=0 changes=1",
        "voters=2 elections=1 values=0 changes=1 reads=1",
        "elections=2 values=0 wipes=1",
        "voters=4 elections=1 values=0 changes=1",
    ],
    standard: &[
        "voters=1 observers=1 values=1 changes=1 snapshots=2",
        "start=tail elections=3 values=0",
        "voters=5 elections=1 values=1 sample=8",
        "elections=2 values=2 power-losses=1 sample=64",
    ],
    mutants: &[
        (Bug::NoCheckQuorum, "KAFKA-15489", "elections=1 values=1", &[name::LEADS_NOBODY]),
        (Bug::NoLeaderChangeRecord, "Raft 8, KIP-595", "start=cold elections=1 values=0", &[name::IS_LED]),
        (Bug::HeardForGood, "KAFKA-15489", "voters=4 elections=1 values=0 changes=1", &[name::LEADS_NOBODY]),
        (Bug::RemovedWaits, "PHD 4.2.2", "voters=2 elections=2 values=0 changes=1", &[name::IS_LED]),
        (
            Bug::RetiresEarly,
            "CCF, arXiv 2406.17455",
            "elections=0 values=0 kills=1 changes=1",
            &[name::ALL_FOLLOW],
        ),
        (
            Bug::RemovedLeadsOn,
            "etcd 11038, PHD 4.2.2",
            "voters=2 elections=1 values=0 changes=1",
            &[name::NO_CHANGE_IS_OPEN],
        ),
        (
            Bug::LeaderCountsItselfOnce,
            "rules Q13, Q20b",
            "voters=2 elections=1 values=1",
            &[name::LOGS_ARE_ONE],
        ),
        (
            Bug::ReadsOutlastChange,
            "raft-rs PR 368",
            "voters=2 elections=1 values=0 changes=1 reads=1",
            &[name::ALL_IS_ANSWERED],
        ),
        (Bug::DeposedSaysNothing, "Camunda 42720", "elections=2 values=1", &[name::ALL_IS_ANSWERED]),
    ],
};
