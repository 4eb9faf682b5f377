//! What is recorded of a replica besides its acts: its beginning, and the whole of it where that may be missing.

use highwater_model::fault::Faults;
use highwater_model::id::{NodeId, RequestId};
use highwater_model::replication::{Recovered, Tenure};
use highwater_model::trace::{Act, Beginning, Effects, Life, ReplicaRecovered, Shown, Told, UnderWay};

use super::{ReplicaDriver, Turn};
use crate::trace::{CoreTrace, encoded};

/// Records what a replica is recovered from.
pub(super) fn begin(trace: &mut CoreTrace, tenure: &Tenure, recovered: &Recovered<'_>) {
    trace.began(|| {
        let found = ReplicaRecovered {
            log: recovered.log.clone(),
            high_watermark: recovered.high_watermark,
            batches: recovered.batches.to_vec(),
        };
        Life::Replica { tenure: tenure.clone(), from: Beginning::Recovered(found, Effects::default()) }
    });
}

impl<F: Faults> ReplicaDriver<F> {
    /// Shows the core as it is, where a reader may lack what was recorded of it before.
    pub(super) fn show_if_stale(&mut self) {
        if !self.trace.is_stale() {
            return;
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let under_way = UnderWay {
            writes: count(self.writes.len()),
            syncs: count(self.syncs.len()),
            stores: 0,
            sends: count(self.sends.len()),
            stalled: None,
            armed: self.timers.armed(),
        };
        let (core, tenure) = (&self.core, &self.parts.tenure);
        self.trace.began(|| {
            let shown = Shown { state: encoded(core), under_way };
            Life::Replica { tenure: tenure.clone(), from: Beginning::Shown(shown) }
        });
    }

    /// Nobody waits any more for what the core would have told.
    pub(super) fn told_nobody(&self, request_id: RequestId) {
        self.trace.did(|| Act::Replied { request: request_id.0, told: Told::Nobody });
    }

    /// No message that waits for its records will be sent.
    pub(super) fn forget_sends(&mut self) {
        for to in self.sends.forget() {
            self.trace.did(|| Act::NotSent { to });
        }
    }

    /// The oldest message to this node that waited for its records will not be sent.
    pub(super) fn not_sent(&self, to: NodeId) -> Turn {
        self.trace.did(|| Act::NotSent { to });
        Turn::Nothing
    }
}
