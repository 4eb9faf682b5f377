//! The state of a replica, and the step that changes it.

use serde::Serialize;

use super::{BatchSummary, Effects, Input, Refusal, Tenure, VisibleHighWatermark};
use crate::fault::Faults;
use crate::id::{LeaderEpoch, Offset};
use crate::log::LogShape;

/// What a broker finds of a replica when it starts (R63).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recovered<'a> {
    /// The log after recovery, from [`LogShape::recovered`]; its epoch history rebuilt from its batches.
    pub log: LogShape<LeaderEpoch>,
    /// The checkpointed high watermark: a hint, possibly stale, 0 when there is none.
    pub high_watermark: Offset,
    /// Summaries of the log's batches in order; only those of idempotent producers matter.
    pub batches: &'a [BatchSummary],
}

/// One replica of one partition in one incarnation of its broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Replica<F> {
    #[serde(skip)]
    faults: F,
    log: LogShape<LeaderEpoch>,
    high_watermark: Offset,
}

impl<F: Faults> Replica<F> {
    /// A replica as it comes back from disk: neither leader nor follower until the first view.
    #[must_use]
    pub fn recover(_tenure: &Tenure, faults: F, recovered: Recovered<'_>) -> Self {
        let high_watermark = recovered.high_watermark.min(recovered.log.end()).max(recovered.log.start());
        Self { faults, log: recovered.log, high_watermark }
    }

    /// Takes one input. Effects are appended in the order in which they must be issued.
    ///
    /// # Errors
    /// A refusal: the state is as it was, and nothing was appended to `effects`.
    pub fn step(&mut self, _tenure: &Tenure, _input: Input, _effects: &mut Effects) -> Result<(), Refusal> {
        Err(self.not_leader())
    }

    /// End of what consumers may read here (R5).
    ///
    /// # Errors
    /// When this replica does not lead.
    pub fn readable_end(&self) -> Result<VisibleHighWatermark, Refusal> {
        Err(self.not_leader())
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &LogShape<LeaderEpoch> {
        &self.log
    }

    /// The high watermark, exclusive: for invariants and checkpoints, never for clients (E10).
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    fn not_leader(&self) -> Refusal {
        let _ = self.faults;
        Refusal::NotLeader { leader: None, leader_epoch: LeaderEpoch::default() }
    }
}
