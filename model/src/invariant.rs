//! Invariants as named predicates, one file each.
