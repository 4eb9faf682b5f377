//! Replaying one life of the controller: what it decides, and that what it is told has come to pass in the quorum below it.
//!
//! Controller and quorum are two cores of one task. What the quorum's core tells (who is in office, what is committed) is
//! entered here from its replay; the controller must be given that, in that order, and nothing else.

use std::collections::{BTreeMap, VecDeque};

use highwater_model::fault::Sound;
use highwater_model::id::{Offset, QuorumEpoch, RequestId};
use highwater_model::metadata::{Command, Controller, Effect, Image, Input, Record, Tenure, Timer};
use highwater_model::quorum::ProposalId;
use highwater_model::trace::{Act, Beginning, Carried, Outcome};

use super::digest;
use super::edge::{Answer, Book, Cause, EACH_EFFECT, EACH_INPUT, Kind, Owed, Reading, Wrong, wrong};
use super::step::{self, taken};

/// Controllers.
pub(super) struct OfController;

impl Kind for OfController {
    type Timer = Timer;
    const ASKERS_GO: bool = true;

    fn spoken(_: &[u8]) -> String {
        "a message, which a controller has none of".to_owned()
    }

    fn is_filled(_: &Reading, _: &[u8]) -> bool {
        false
    }
}

/// What the quorum below a controller tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FromQuorum {
    /// Everything below is committed; learned in this epoch.
    Committed { end: Offset, quorum_epoch: QuorumEpoch },
    /// Its node leads, and a record of its epoch is committed.
    Established { quorum_epoch: QuorumEpoch, committed: Offset },
    /// Its node leads no more.
    Lost,
    /// A proposal has its place, up to there; or was refused.
    Placed { proposal: ProposalId, end: Option<Offset> },
}

/// One life.
pub(super) struct ControllerLife {
    pub(super) tenure: Tenure,
    pub(super) core: Controller<Sound>,
    pub(super) book: Book<OfController>,
    /// What the quorum has told, and the core was not given yet.
    told: VecDeque<FromQuorum>,
    /// Whether all that the quorum tells is known.
    is_in_step: bool,
    /// Commands that are not answered.
    asked: BTreeMap<RequestId, Command>,
}

/// What a step or an act of a controller shows to others.
#[derive(Debug, Default)]
pub(super) struct Showed {
    /// A batch that it took for committed, and the image before it.
    pub(super) committed: Option<(Image, Offset, Vec<Record>)>,
    /// A command that was answered.
    pub(super) answered: Option<(Command, Answer)>,
    /// A command that was asked.
    pub(super) asked: Option<Command>,
}

impl ControllerLife {
    /// A life from what it begins from.
    pub(super) fn begin(tenure: Tenure, from: Beginning<Image>) -> Result<Self, Wrong> {
        let (core, book, is_in_step) = match from {
            Beginning::Recovered(image, _) => (Controller::new(Sound, image), Book::new(), true),
            Beginning::Shown(shown) => {
                (step::shown(&shown.state, "a controller")?, Book::partial(&shown.under_way)?, false)
            }
        };
        Ok(Self { tenure, core, book, told: VecDeque::new(), is_in_step, asked: BTreeMap::new() })
    }

    /// The quorum's core told this.
    pub(super) fn hear(&mut self, told: FromQuorum) {
        match told {
            FromQuorum::Placed { proposal, end } => self.book.placed(proposal, end),
            FromQuorum::Committed { .. } | FromQuorum::Established { .. } | FromQuorum::Lost => {
                self.told.push_back(told);
            }
        }
    }

    /// What the quorum tells is not known from here on.
    pub(super) fn lose_step(&mut self) {
        self.is_in_step = false;
        self.told.clear();
    }

    /// Takes an input as it was recorded, and enters what its effects owe. Without `has_quorum` the quorum below it is not
    /// replayed.
    pub(super) fn step(&mut self, outcome: Outcome, input: Input, has_quorum: bool) -> Result<Showed, Wrong> {
        let cause = cause(&input);
        if !has_quorum {
            self.lose_step();
        }
        if !self.is_in_step {
            self.book.believe_placing(&cause);
        }
        self.book.step(&cause, &input)?;
        self.rests_on_the_quorum(&input, has_quorum)?;
        let before = matches!(input, Input::Committed { .. }).then(|| self.core.committed().clone());
        let (core, tenure, given) = (&mut self.core, &self.tenure, input.clone());
        let effects = taken(outcome, &input, |effects| core.step(tenure, given, effects))?;
        let Some(effects) = effects else {
            if let Input::Asked { request, .. } = &input {
                self.book.owe_refusal(*request);
            }
            return Ok(Showed::default());
        };
        effects.into_iter().for_each(|effect| self.owe(effect));
        let mut showed = Showed::default();
        match input {
            Input::Committed { end, records, .. } => {
                showed.committed = before.map(|before| (before, end, records));
            }
            Input::Asked { request, command, .. } => {
                showed.asked = Some(command.clone());
                self.asked.insert(request, command);
            }
            Input::Elected { .. }
            | Input::Deposed
            | Input::Appended { .. }
            | Input::NotAppended
            | Input::Expired { .. } => {}
        }
        Ok(showed)
    }

    /// What the controller is told has come to pass in the quorum, and all that came to pass before it was told.
    fn rests_on_the_quorum(&mut self, input: &Input, has_quorum: bool) -> Result<(), Wrong> {
        let given = self.core.committed().end();
        let is_over =
            |told: &mut FromQuorum| matches!(told, FromQuorum::Committed { end, .. } if *end <= given);
        while self.told.pop_front_if(is_over).is_some() {}
        if !self.is_in_step {
            // Nothing waits for the controller when somebody asks it or a timer runs out.
            self.is_in_step = has_quorum && matches!(input, Input::Asked { .. } | Input::Expired { .. });
            self.told.clear();
            return Ok(());
        }
        let told = self.told.front().copied();
        let is_it = match (input, told) {
            (
                Input::Committed { end, quorum_epoch, .. },
                Some(FromQuorum::Committed { end: known, quorum_epoch: learned }),
            ) => {
                return match *end <= known && *quorum_epoch == learned {
                    true => Ok(()),
                    false => wrong(EACH_INPUT, format!("{told:?}"), format!("{input:?}")),
                };
            }
            (Input::Elected { quorum_epoch, committed }, _) => {
                let expected = FromQuorum::Established { quorum_epoch: *quorum_epoch, committed: *committed };
                told == Some(expected)
            }
            (Input::Deposed, _) => told == Some(FromQuorum::Lost),
            (Input::Committed { .. }, _) => false,
            (Input::Asked { .. } | Input::Expired { .. }, Some(told)) => {
                return wrong(EACH_EFFECT, format!("the controller is told: {told:?}"), format!("{input:?}"));
            }
            (Input::Asked { .. } | Input::Expired { .. }, None) => return Ok(()),
            // The book knows of placements.
            (Input::Appended { .. } | Input::NotAppended, _) => return Ok(()),
        };
        if !is_it {
            let expected = told.map_or_else(
                || "nothing more that the quorum tells".to_owned(),
                |told| format!("the controller is told: {told:?}"),
            );
            return wrong(EACH_INPUT, expected, format!("{input:?}"));
        }
        self.told.pop_front();
        Ok(())
    }

    fn owe(&mut self, effect: Effect) {
        let owed = match effect {
            Effect::Append(records) => {
                let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
                Owed::Decide(Carried { count, digest: digest(&records) })
            }
            Effect::Reply(reply) => {
                let request = reply.request();
                Owed::Answer { request, answer: reply.into_answer() }
            }
            Effect::Arm(timer) => Owed::Arm(timer),
            Effect::Disarm(timer) => Owed::Disarm(timer),
        };
        self.book.owe(owed);
    }

    /// Enters an act.
    pub(super) fn act(&mut self, act: &Act<Timer>) -> Result<Showed, Wrong> {
        self.book.act(act)?;
        let mut showed = Showed::default();
        if let Act::Answered { request, answer } = act {
            showed.answered = self.asked.remove(request).map(|command| (command, answer.clone()));
        } else if let Act::Replied { request, .. } = act {
            drop(self.asked.remove(&RequestId(*request)));
        }
        Ok(showed)
    }
}

fn cause(input: &Input) -> Cause<Timer> {
    match input {
        Input::Appended { end } => Cause::Placed(*end),
        Input::NotAppended => Cause::NotPlaced,
        Input::Expired { timer, .. } => Cause::Expired(*timer),
        Input::Committed { .. } | Input::Elected { .. } | Input::Deposed | Input::Asked { .. } => Cause::Free,
    }
}
