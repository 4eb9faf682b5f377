//! Where each message of a story was sent, and where it arrived: so that a page can lead from one to the other.

use crate::story::{Story, Telling};
use crate::world::Message;

/// A message's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Journey<'s> {
    /// The message.
    pub(super) message: &'s Message,
    /// The step that sent it; 0 for one that was in flight at the start.
    pub(super) sent: usize,
    /// How it ended; `None` for one that is in flight at the end.
    pub(super) end: Option<Ending>,
}

/// How a message's way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// In this step it was received.
    Received(usize),
    /// From this step on it will not arrive: lost, or able to tell its receiver nothing.
    Dropped(usize),
}

impl Ending {
    fn step(self) -> usize {
        match self {
            Self::Received(step) | Self::Dropped(step) => step,
        }
    }
}

/// The ways of all messages of a story, in the order in which they were sent.
pub(super) fn journeys(story: &Story) -> Vec<Journey<'_>> {
    let begin = |sent| move |message| Journey { message, sent, end: None };
    let mut journeys: Vec<Journey<'_>> = story.start.in_flight.iter().map(begin(0)).collect();
    for step in story.steps.iter().chain(&story.aftermath) {
        for gone in &step.gone {
            end(&mut journeys, gone, Ending::Dropped(step.step));
        }
        if let Some(taken) = &step.takes
            && !arrives_again(&journeys, taken, step)
        {
            end(&mut journeys, taken, Ending::Received(step.step));
        }
        journeys.extend(step.sent.iter().map(begin(step.step)));
    }
    journeys
}

/// Ends the way of the oldest message of these words that is in flight.
fn end(journeys: &mut [Journey<'_>], message: &Message, ending: Ending) {
    let on_its_way = |journey: &&mut Journey<'_>| journey.end.is_none() && journey.message == message;
    if let Some(journey) = journeys.iter_mut().find(on_its_way) {
        journey.end = Some(ending);
    }
}

/// Whether a message that a step takes stays in flight.
fn arrives_again(journeys: &[Journey<'_>], taken: &Message, step: &Telling) -> bool {
    let Some(after) = &step.after else { return false };
    let count = |messages: &[Message]| messages.iter().filter(|message| *message == taken).count();
    let before = journeys.iter().filter(|journey| journey.end.is_none() && journey.message == taken).count();
    count(&after.in_flight) >= before + count(&step.sent)
}

/// The way that ends where `step` receives it; for a message that will arrive again, the oldest of its words.
pub(super) fn received<'j, 's>(journeys: &'j [Journey<'s>], step: &Telling) -> Option<&'j Journey<'s>> {
    let taken = step.takes.as_ref()?;
    let ends_here = |journey: &&Journey<'_>| journey.end == Some(Ending::Received(step.step));
    let same = |journey: &&Journey<'_>| journey.message == taken && journey.sent < step.step;
    journeys.iter().find(ends_here).or_else(|| journeys.iter().find(same))
}

/// The ways of what is in flight after a step.
pub(super) fn in_flight<'j, 's>(
    journeys: &'j [Journey<'s>],
    step: usize,
) -> impl Iterator<Item = &'j Journey<'s>> {
    let lasts = move |journey: &&Journey<'_>| journey.end.is_none_or(|end| end.step() > step);
    journeys.iter().filter(move |journey| journey.sent <= step).filter(lasts)
}
