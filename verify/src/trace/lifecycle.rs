//! Replaying one life of a broker's standing in the cluster.

use highwater_model::id::Offset;
use highwater_model::metadata::{
    Lifecycle, LifecycleEffect, LifecycleInput, LifecycleTenure, LifecycleTimer,
};
use highwater_model::trace::{Act, Beginning, Outcome, Stands};

use super::edge::{Book, Cause, EACH_INPUT, Kind, Owed, Reading, Wrong, wrong};
use super::step::{self, taken};

/// Lifecycles of brokers.
pub(super) struct OfLifecycle;

impl Kind for OfLifecycle {
    type Timer = LifecycleTimer;
    const ASKERS_GO: bool = false;

    fn spoken(_: &[u8]) -> String {
        "a message, which a lifecycle has none of".to_owned()
    }

    fn is_filled(_: &Reading, _: &[u8]) -> bool {
        false
    }
}

/// One life.
pub(super) struct LifecycleLife {
    pub(super) tenure: LifecycleTenure,
    pub(super) core: Lifecycle,
    pub(super) book: Book<OfLifecycle>,
}

impl LifecycleLife {
    /// A life from what it begins from.
    pub(super) fn begin(tenure: LifecycleTenure, from: Beginning<()>) -> Result<Self, Wrong> {
        let (core, book) = match from {
            Beginning::Recovered((), _) => (Lifecycle::new(), Book::new()),
            Beginning::Shown(shown) => {
                (step::shown(&shown.state, "a lifecycle")?, Book::partial(&shown.under_way)?)
            }
        };
        Ok(Self { tenure, core, book })
    }

    /// Takes an input as it was recorded, and enters what its effects owe. `committed` is the end of the metadata that the
    /// node's controller has, if that is known.
    pub(super) fn step(
        &mut self,
        outcome: Outcome,
        input: &LifecycleInput,
        committed: Option<Offset>,
    ) -> Result<(), Wrong> {
        self.book.step(&cause(input), input)?;
        if let (LifecycleInput::Applied { metadata_offset }, Some(committed)) = (input, committed)
            && *metadata_offset > committed
        {
            let expected = format!("metadata up to {committed}, which is committed");
            return wrong(EACH_INPUT, expected, format!("{input:?}"));
        }
        let (core, tenure, given) = (&mut self.core, &self.tenure, input.clone());
        let effects = taken(outcome, input, |effects| core.step(tenure, given, effects))?;
        effects.into_iter().flatten().for_each(|effect| self.owe(effect));
        Ok(())
    }

    fn owe(&mut self, effect: LifecycleEffect) {
        let owed = match effect {
            LifecycleEffect::Send { request, body } => Owed::Ask { request, body },
            LifecycleEffect::Arm(timer) => Owed::Arm(timer),
            LifecycleEffect::Registered { broker_epoch } => {
                // Nobody acts under it before the start-up records name it (R60).
                self.book.owe(Owed::Note(broker_epoch));
                Owed::Stand(Stands::Registered(broker_epoch))
            }
            LifecycleEffect::Fenced(fenced) => Owed::Stand(Stands::Fenced(fenced)),
            LifecycleEffect::MayStop { broker_epoch } => Owed::Stand(Stands::MayStop(broker_epoch)),
        };
        self.book.owe(owed);
    }

    /// Enters an act.
    pub(super) fn act(&mut self, act: &Act<LifecycleTimer>) -> Result<(), Wrong> {
        self.book.act(act)
    }
}

fn cause(input: &LifecycleInput) -> Cause<LifecycleTimer> {
    match input {
        LifecycleInput::Answered { request, answer } => Cause::Answered(*request, *answer),
        LifecycleInput::Expired(timer) => Cause::Expired(*timer),
        LifecycleInput::Started
        | LifecycleInput::Applied { .. }
        | LifecycleInput::DirectoryFailed(_)
        | LifecycleInput::StopAsked => Cause::Free,
    }
}
