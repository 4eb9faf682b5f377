//! What is recorded of a broker's lifecycle besides its acts: its beginning, its steps, and the whole of it where that may be
//! missing.

use highwater_model::fault::Faults;
use highwater_model::metadata::{LifecycleEffect, LifecycleInput, LifecycleRefusal, LifecycleTenure};
use highwater_model::trace::{Beginning, Effects, Life, Shown, UnderWay};

use super::LifecycleDriver;
use crate::trace::{CoreTrace, Recorder, encoded};

/// Records that a lifecycle begins, which it does from nothing.
pub(super) fn begin(recorder: &Recorder, tenure: &LifecycleTenure) -> CoreTrace {
    let mut trace = recorder.core();
    trace.began(|| Life::Lifecycle {
        tenure: tenure.clone(),
        from: Beginning::Recovered((), Effects::default()),
    });
    trace
}

impl<F: Faults> LifecycleDriver<F> {
    /// One step of the core, recorded. Its effects are yet to be issued.
    pub(super) fn take(
        &mut self,
        input: LifecycleInput,
        effects: &mut Vec<LifecycleEffect>,
    ) -> Result<(), LifecycleRefusal> {
        self.show_if_stale();
        let noted = self.trace.noted(&input);
        let taken = self.core.step(&self.parts.tenure, input, effects);
        self.trace.stepped(noted, taken.is_ok().then_some(effects.as_slice()));
        taken
    }

    fn show_if_stale(&mut self) {
        if !self.trace.is_stale() {
            return;
        }
        let (core, tenure, armed) = (&self.core, &self.parts.tenure, self.timers.armed());
        self.trace.began(|| {
            let shown = Shown { state: encoded(core), under_way: UnderWay { armed, ..UnderWay::default() } };
            Life::Lifecycle { tenure: tenure.clone(), from: Beginning::Shown(shown) }
        });
    }
}
