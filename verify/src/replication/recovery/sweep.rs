//! From which bounds recovery runs are made, and which planted bugs they must catch.

use highwater_model::fault::Bug;

use super::ends::name;
use crate::recovery::{COMES_TO_REST, Table};

/// The recovery runs of this world.
pub(super) const RECOVERIES: Table = Table {
    quick: &[
        "brokers=1 kills=2",
        "brokers=2 elections=1 shrinks=1 timeouts=1 flush=os",
        "brokers=2 elections=1 kills=1",
        "brokers=2 elections=1 shutdowns=1",
        "brokers=2 power-losses=1 shrinks=1",
        "brokers=2 power-losses=1 shrinks=1 flush=os",
        "brokers=2 records=2 elections=1 full-disks=1 min-isr=1 flush=os",
        "brokers=2 elections=1 full-disks=1 retries=1",
        "brokers=2 records=2 shrinks=1 full-disks=1 min-isr=1 flush=os in-flight=1",
        "brokers=2 elections=1 shrinks=1 min-isr=1 in-flight=1",
        "brokers=2 records=2 elections=1 deletes=1 min-isr=1 in-flight=1 writes=at-once",
        "brokers=2 shrinks=1 kills=1 min-isr=1 in-flight=1 writes=at-once",
        "brokers=3 elections=1 flush=os",
        "brokers=3 shrinks=1 kills=1 flush=os writes=at-once sample=16",
    ],
    standard: &[
        "brokers=2 records=2 shrinks=1 kills=1 deletes=1 min-isr=1 in-flight=1 writes=at-once sample=16",
        "brokers=3 kills=1",
        "brokers=3 elections=1 shrinks=1 flush=os writes=at-once",
        "brokers=2 elections=1 kills=1 power-losses=1 flush=os writes=at-once",
        "brokers=3 elections=1 kills=1 writes=at-once sample=16",
        "brokers=2 records=2 elections=1 kills=1 power-losses=1 writes=at-once sample=64",
        "brokers=3 elections=1 shrinks=1 kills=1 flush=os writes=at-once known-views-wait=false sample=64",
    ],
    mutants: &[
        (
            Bug::EpochSurvivesNoopTruncation,
            "KAFKA-10706",
            "brokers=2 elections=2 min-isr=1 flush=os in-flight=1",
            &[name::FOLLOWERS_FOLLOW],
        ),
        (
            Bug::WatermarkNotReevaluated,
            "KAFKA-13091",
            "brokers=2 elections=1 flush=os in-flight=1",
            &[name::ALL_IS_COMMITTED],
        ),
        (
            Bug::StaleControllerFences,
            "KAFKA-14144, KAFKA-14154",
            "brokers=2 elections=1 flush=os in-flight=1",
            &[name::NO_CHANGE_IS_OPEN],
        ),
        // That power may be lost, too, is no excuse for a kill.
        (Bug::NeverKept, "rule R60", "brokers=1 kills=1 power-losses=1 flush=os", &[name::IS_LED]),
        (
            Bug::ProposalNotRepeated,
            "rule R45",
            "brokers=2 elections=1 flush=os in-flight=1",
            &[name::NO_CHANGE_IS_OPEN],
        ),
        (Bug::FetchNotRepeated, "rule R10", "brokers=2 flush=os", &[name::FOLLOWERS_FOLLOW]),
        (
            Bug::LateSyncStaysOut,
            "Highwater's own, found by recovery runs",
            "brokers=2 shrinks=1 in-flight=1",
            &[name::ISR_IS_WHOLE],
        ),
        (
            Bug::UnsyncedComesBack,
            "rule RL9",
            "brokers=2 shrinks=1 min-isr=1 in-flight=1",
            // The ISR flaps for ever, and nothing is committed meanwhile: whichever the run is cut off at.
            &[name::ALL_IS_COMMITTED],
        ),
        (
            Bug::UnfencedTooLate,
            "rule Q54, kin to KAFKA-13959",
            // Whoever is unfenced after it has lost its session has read of that, which is beyond its registration.
            "brokers=2 kills=1 flush=os in-flight=1",
            &[name::EVERY_BROKER_IS_ACTIVE],
        ),
        (Bug::WrittenWakesNobody, "rule R10", "brokers=2 flush=os in-flight=1", &[name::LOGS_ARE_ONE]),
        (
            Bug::DeposedTellsNobody,
            "KAFKA-2960",
            "brokers=2 elections=1 flush=os in-flight=1",
            &[name::PRODUCES_ARE_ANSWERED],
        ),
        (Bug::SyncsForNothing, "TurboDB 106, kin to etcd 2486", "brokers=1", &[COMES_TO_REST]),
    ],
};
