//! What the recovery sweeps of all worlds have in common: bounds by profile, and the planted bugs that must be caught.

use highwater_model::fault::Bug;

use super::Aim;
use crate::bounds::{Bounds, at};
use crate::world::Mutant;

/// The bounds of a world's recovery runs, as lines of `key=value` words, smallest first, and its planted bugs.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// What every change is checked against, within some twenty seconds.
    pub quick: &'static [&'static str],
    /// Larger ones, sampled.
    pub standard: &'static [&'static str],
    /// The planted bugs.
    pub mutants: &'static [Row],
}

/// A planted bug, where it comes from, the bounds that show it, and what never comes to hold.
pub type Row = (Bug, &'static str, &'static str, &'static [&'static str]);

impl Table {
    /// The sweep of a profile; empty if there is none of this name. Each takes in the one before it, and so all that it puts to
    /// the test.
    pub(super) fn profile<B: Bounds>(&self, name: &str) -> Vec<Aim<B>> {
        let parts: &[&[&str]] = match name {
            "quick" => &[self.quick],
            "standard" => &[self.quick, self.standard],
            _ => &[],
        };
        parts.iter().copied().flatten().map(|line| at(line)).collect()
    }

    /// The planted bugs.
    pub(super) fn mutants<B: Bounds>(&self) -> Vec<Mutant<Aim<B>>> {
        let mutant =
            |(bug, source, line, breaks): &Row| Mutant { bug: *bug, source, bounds: at(line), breaks };
        self.mutants.iter().map(mutant).collect()
    }
}
