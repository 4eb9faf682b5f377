//! What there is to say of random walks beyond what there is to say of a search.

use highwater_model::fault::Bug;
use serde::Serialize;

use crate::bounds::Bounds as _;
use crate::engine::{Plan, Walked};
use crate::story::asked_as;
use crate::world::Checked;

/// Which walks they were, and how to take the one again that broke a claim.
#[derive(Clone, Debug, Serialize)]
pub struct Walks {
    /// The seed.
    pub seed: u64,
    /// Number of the first walk.
    pub first: u64,
    /// Walks begun.
    pub walks: u64,
    /// Number of the walk that broke a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk: Option<u64>,
    /// Steps taken until then in all walks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_until_found: Option<u64>,
    /// Length of that walk, before it was shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// The command that takes that walk again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

impl Walks {
    /// What `plan` came to.
    #[must_use]
    pub fn new<W: Checked>(plan: Plan, walked: &Walked<W>, bounds: &W::Bounds, planted: Option<Bug>) -> Self {
        let again = |walk: u64| {
            let planted = planted.map(|bug| format!(" --mutant {}", bug.id())).unwrap_or_default();
            let (model, liveness) = asked_as(W::NAME);
            let liveness = liveness.map(|flag| format!(" {flag}")).unwrap_or_default();
            let (bounds, seed) = (bounds.line(), plan.seed);
            format!(
                "verify check {model} {bounds}{liveness}{planted} --walk --seed {seed} --from-walk {walk} --steps 1"
            )
        };
        Self {
            seed: plan.seed,
            first: plan.first,
            walks: walked.walks,
            walk: walked.sighting.map(|sighting| sighting.walk),
            steps_until_found: walked.sighting.map(|sighting| sighting.steps),
            length: walked.sighting.map(|sighting| sighting.length),
            again: walked.sighting.map(|sighting| again(sighting.walk)),
        }
    }
}
