//! What is recorded of the quorum's member besides its acts: its beginning, its steps, and the whole of it where that may
//! be missing.

use highwater_model::fault::Faults;
use highwater_model::quorum::{Effect, Input, Recovered, Refusal, Tenure};
use highwater_model::trace::{Act, Beginning, Life, Shown, Told, UnderWay};

use super::QuorumDriver;
use crate::trace::{CoreTrace, digest, encoded};

/// Records what a member is recovered from, and what that asks for.
pub(super) fn begin(trace: &mut CoreTrace, tenure: &Tenure, found: Option<Recovered>, begun: &[Effect]) {
    let Some(found) = found else { return };
    trace.began(|| Life::Quorum { tenure: *tenure, from: Beginning::Recovered(found, digest(begun)) });
}

impl<F: Faults> QuorumDriver<F> {
    /// One step of the core, recorded. Its effects are yet to be issued.
    pub(super) fn take(&mut self, input: Input, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        self.show_if_stale();
        let noted = self.trace.noted(&input);
        let taken = self.core.step(&self.tenure, input, effects);
        self.trace.stepped(noted, taken.is_ok().then_some(effects.as_slice()));
        taken
    }

    /// Shows the core as it is, where a reader may lack what was recorded of it before.
    fn show_if_stale(&mut self) {
        if !self.trace.is_stale() {
            return;
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let under_way = UnderWay {
            writes: count(self.writes.len()),
            syncs: count(self.syncs.len()),
            stores: count(self.votes.len()),
            sends: u32::MAX,
        };
        let (core, tenure) = (&self.core, self.tenure);
        self.trace.began(|| {
            let shown = Shown { state: encoded(core), under_way };
            Life::Quorum { tenure, from: Beginning::Shown(shown) }
        });
    }

    /// Somebody was answered, or nobody waits any more.
    pub(super) fn note_reply(&self, request: u64, told: Option<Told>) {
        self.trace.did(|| Act::Replied { request, told: told.unwrap_or(Told::Nobody) });
    }
}
