//! The catalogue of known bugs as a whole: which entries have no mutant, and why.
//!
//! An entry is `B-` and two digits; a letter after them names one of its forms, and each form is a [`Bug`] of its own.
//! Entries B-60 and above are of groups and transactions, which have no core yet.

use highwater_model::fault::Bug;

/// The last entry that concerns the cores that there are.
pub const LAST: u8 = 54;

/// An entry that no world has a mutant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NotApplicable {
    /// Its id.
    pub id: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Why there is no mutant.
    pub reason: &'static str,
}

/// The entries without a mutant.
pub const NOT_APPLICABLE: &[NotApplicable] = &[
    NotApplicable {
        id: "B-19",
        what: "epoch history dropped on a log swap (KAFKA-15608, KAFKA-20961)",
        reason: "needs replicas that move between log directories; there are no moves yet",
    },
    NotApplicable {
        id: "B-24",
        what: "ISR flapping under min.insync.replicas (KAFKA-19996)",
        reason: "is the rule as once specified, not a slip from it: R42 asks that a newcomer is caught up, too",
    },
    NotApplicable {
        id: "B-25",
        what: "stale progress of a replica that is removed and added again",
        reason: "needs reassignments; there are no moves yet",
    },
    NotApplicable { id: "B-29", what: "nothing", reason: "the catalogue has no such entry" },
];

/// The entry that a bug is a form of: its id without the letter.
#[must_use]
pub fn entry_of(bug: Bug) -> &'static str {
    bug.id().trim_end_matches(|last: char| last.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::registry::{recoveries, worlds};

    fn has_a_mutant(bug: Bug) -> bool {
        worlds().iter().chain(&recoveries()).any(|world| world.catches(bug))
    }

    #[test]
    fn every_entry_has_a_mutant_or_a_reason_why_not_and_never_both() {
        let planted: BTreeSet<&str> =
            Bug::ALL.iter().copied().filter(|bug| has_a_mutant(*bug)).map(entry_of).collect();
        let excused: BTreeSet<&str> = NOT_APPLICABLE.iter().map(|entry| entry.id).collect();
        let entries: BTreeSet<String> = (1..=LAST).map(|number| format!("B-{number:02}")).collect();

        for id in &entries {
            let (planted, excused) = (planted.contains(id.as_str()), excused.contains(id.as_str()));
            assert!(planted != excused, "{id} has a mutant: {planted}, has none for a reason: {excused}");
        }
        assert!(excused.iter().all(|id| entries.contains(*id)));
    }

    #[test]
    fn every_bug_that_can_be_planted_is_one_that_a_world_must_catch() {
        let idle: Vec<&str> =
            Bug::ALL.iter().copied().filter(|bug| !has_a_mutant(*bug)).map(Bug::id).collect();

        assert_eq!(idle, Vec::<&str>::new());
    }

    #[test]
    fn a_form_belongs_to_its_entry() {
        assert_eq!(entry_of(Bug::ProducersNotTruncated), "B-27");
        assert_eq!(entry_of(Bug::NoCheckQuorum), "B-45");
    }
}
