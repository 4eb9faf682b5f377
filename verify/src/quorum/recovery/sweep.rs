//! From which bounds recovery runs are made, and which planted bugs they must catch.

use highwater_model::fault::Bug;

use super::super::bounds::Bounds;
use super::ends::name;
use crate::recovery::{self, Aim};
use crate::world::Mutant;

/// The sweep of a profile, smallest first.
pub(super) fn profile(name: &str) -> Vec<Aim<Bounds>> {
    let lines: &[&str] = match name {
        "quick" => QUICK,
        "standard" => STANDARD,
        _ => &[],
    };
    lines.iter().map(|line| recovery::at(line)).collect()
}

/// A planted bug, where it comes from, the bounds that show it, and what never comes to hold.
type Row = (Bug, &'static str, &'static str, &'static [&'static str]);

/// The planted bugs.
pub(super) fn mutants() -> Vec<Mutant<Aim<Bounds>>> {
    let mutant = |(bug, source, bounds, breaks): &Row| Mutant {
        bug: *bug,
        source,
        bounds: recovery::at(bounds),
        breaks,
    };
    MUTANTS.iter().map(mutant).collect()
}

/// What every change is checked against, within some ten seconds.
const QUICK: &[&str] = &[
    "voters=1 values=2 kills=1 power-losses=1",
    "voters=1 observers=1 values=1 changes=1 snapshots=2",
    "start=second elections=2 values=0",
    "elections=1 values=1 resends=1",
    "start=cold elections=1 values=0 pre-votes=asked",
    "voters=2 observers=1 elections=2 values=0 changes=1",
    "elections=2 values=0 wipes=1",
    "voters=4 elections=1 values=0 changes=1",
];

/// Larger ones, sampled.
const STANDARD: &[&str] = &[
    "voters=1 observers=1 values=1 changes=1 snapshots=2",
    "start=tail elections=3 values=0",
    "voters=5 elections=1 values=1 sample=8",
    "elections=2 values=2 power-losses=1 sample=64",
];

const MUTANTS: &[Row] = &[
    (Bug::NoCheckQuorum, "KAFKA-15489", "elections=1 values=1", &[name::LEADS_NOBODY]),
    (Bug::NoLeaderChangeRecord, "Raft 8, KIP-595", "start=cold elections=1 values=0", &[name::IS_LED]),
    (Bug::HeardForGood, "KAFKA-15489", "voters=4 elections=1 values=0 changes=1", &[name::LEADS_NOBODY]),
    (Bug::RemovedWaits, "PHD 4.2.2", "voters=2 elections=2 values=0 changes=1", &[name::IS_LED]),
];

#[cfg(test)]
mod tests {
    use super::super::super::World;
    use crate::recovery::Recovering;
    use crate::world::misdeclared;

    #[test]
    fn claims_and_mutants_name_each_other_rightly() {
        assert_eq!(misdeclared::<Recovering<World>>(), Vec::<String>::new());
    }
}
