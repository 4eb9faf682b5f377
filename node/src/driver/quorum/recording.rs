//! What is recorded of the quorum's member, and of the controller upon it, besides their acts: their beginnings, their steps,
//! and the whole of them where that may be missing.

use bytes::Bytes;
use highwater_model::fault::Faults;
use highwater_model::id::RequestId;
use highwater_model::metadata::{self, CommandRefusal, Image, Outcome};
use highwater_model::quorum::{Effect, Input, ProposalId, Recovered, Refusal, Tenure};
use highwater_model::trace::{Act, Beginning, Carried, Effects, Life, Shown, Told, UnderWay};
use highwater_transport::batch::Batch;

use super::{QuorumDriver, records};
use crate::trace::{CoreTrace, Recorder, carried_records, digest, encoded};

/// Records what a member is recovered from, and what that asks for.
pub(super) fn begin(trace: &mut CoreTrace, tenure: &Tenure, found: Option<Recovered>, begun: &[Effect]) {
    let Some(found) = found else { return };
    trace.began(|| Life::Quorum { tenure: *tenure, from: Beginning::Recovered(found, digest(begun)) });
}

/// Records what a controller begins from.
pub(super) fn begin_controller(recorder: &Recorder, tenure: &metadata::Tenure, image: &Image) -> CoreTrace {
    let mut trace = recorder.core();
    trace.began(|| {
        let from = Beginning::Recovered(image.clone(), Effects::default());
        Life::Controller { tenure: tenure.clone(), from }
    });
    trace
}

impl<F: Faults> QuorumDriver<F> {
    /// One step of the core, recorded. Its effects are yet to be issued.
    pub(super) fn take(&mut self, input: Input, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        self.show_if_stale();
        let noted = self.trace.noted(&input);
        let before = self.before(&input);
        let taken = self.core.step(&self.tenure, input, effects);
        self.trace.stepped(noted, taken.is_ok().then_some(effects.as_slice()));
        if let Some(before) = &before {
            self.judge_step(before, &taken, effects);
        }
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
            sends: count(self.sends.len()),
            stalled: self.stalled.waiting(),
            armed: self.timers.armed(),
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

    /// One step of the controller, recorded. Its effects are yet to be carried out.
    pub(super) fn take_by_controller(
        &mut self,
        input: metadata::Input,
        effects: &mut Vec<metadata::Effect>,
    ) -> Result<(), metadata::Refusal> {
        self.show_controller_if_stale();
        let noted = self.controller_trace.noted(&input);
        let taken = self.controller.step(&self.controller_tenure, input, effects);
        self.controller_trace.stepped(noted, taken.is_ok().then_some(effects.as_slice()));
        taken
    }

    fn show_controller_if_stale(&mut self) {
        if !self.controller_trace.is_stale() {
            return;
        }
        let (core, tenure) = (&self.controller, &self.controller_tenure);
        let armed = self.controller_timers.armed();
        self.controller_trace.began(|| {
            let shown = Shown { state: encoded(core), under_way: UnderWay { armed, ..UnderWay::default() } };
            Life::Controller { tenure: tenure.clone(), from: Beginning::Shown(shown) }
        });
    }

    /// A decision is handed to the quorum, or nobody is there to take it.
    pub(super) fn note_decided(&self, proposal: Option<ProposalId>, decision: &Bytes) {
        self.controller_trace.did(|| Act::Decided { proposal, carried: carried_by(decision) });
    }

    /// Somebody who asked for a decision was answered, or nobody waits any more.
    pub(super) fn note_answer(
        &self,
        request: RequestId,
        answer: &Result<Outcome, CommandRefusal>,
        is_awaited: bool,
    ) {
        self.controller_trace.did(|| match is_awaited {
            true => Act::Answered { request, answer: answer.clone() },
            false => Act::Replied { request: request.0, told: Told::Nobody },
        });
    }

    /// Somebody who asked for a decision was told that it is not taken here.
    pub(super) fn note_turned_away(&self, request: RequestId) {
        self.controller_trace.did(|| Act::Replied { request: request.0, told: Told::Refused });
    }
}

/// The records of a decision, from its bytes.
fn carried_by(decision: &Bytes) -> Carried {
    let batch = Batch::split_first(&mut decision.clone()).ok();
    let records = batch.and_then(|batch| records::decode_decision(&batch).ok());
    carried_records(&records.unwrap_or_default())
}
