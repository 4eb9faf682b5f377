//! `check --walk`: what is asked of random walks.

use clap::Args;

use crate::engine::Plan;

use super::Spend;

/// Random walks, on the command line.
#[derive(Debug, Args)]
pub(super) struct Walk {
    /// Random walks within bounds that no search exhausts, instead of a search; without bounds, those of profile `walk`
    #[arg(long)]
    walk: bool,
    /// What all chances are drawn from
    #[arg(long, value_name = "S", requires = "walk", default_value_t = 1)]
    seed: u64,
    /// Steps for each model, spread evenly over its bounds; 1,000,000 unless there is a timeout
    #[arg(long, value_name = "N", requires = "walk", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Number of the first walk
    #[arg(long, value_name = "N", requires = "walk", default_value_t = 0)]
    from_walk: u64,
}

impl Walk {
    /// The walks that are asked for, if any are.
    pub(super) fn plan(&self, spend: &Spend) -> Option<Plan> {
        let usual = Plan::default();
        let unless_told = usual.steps.filter(|_| spend.timeout.is_none());
        let steps = self.steps.or(unless_told);
        self.walk.then_some(Plan { seed: self.seed, first: self.from_walk, steps, ..usual })
    }
}
