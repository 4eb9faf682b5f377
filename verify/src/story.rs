//! A counterexample as people and files have it: every step in words, with what it changed, whom it concerns, and what
//! is under way after it.
//!
//! [`Story::of`] makes it from what a search found; `story::file` writes it and reads what a replay needs of it.

use highwater_model::fault::Bug;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::bounds::Bounds;
use crate::engine::{Counterexample, PANIC, quietly};
use crate::registry;
use crate::world::{Broken, Checked, Message, Notes, Picture};

pub mod file;
mod follow;
mod statement;

pub use statement::statement;

/// What a file of this kind says of itself.
pub const KIND: &str = "highwater-counterexample";

/// Version of the file's schema. A field more does not raise it; a field less, or one of another meaning, does.
pub const VERSION: u32 = 1;

/// A counterexample. As JSON this is the file that `--out` writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    /// [`KIND`].
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// [`VERSION`].
    pub version: u32,
    /// The model's name.
    pub model: &'static str,
    /// Its bounds, in print order.
    #[serde(serialize_with = "by_key")]
    pub bounds: Vec<Bound>,
    /// The bug that was planted, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planted: Option<Planted>,
    /// The command that searches for it.
    pub again: String,
    /// What is broken, in the last step.
    pub claim: Claim,
    /// The state before the first step.
    pub start: Picture,
    /// The steps in order.
    pub steps: Vec<Telling>,
    /// What follows on the last step, where that is what breaks the claim: what a schedule without faults comes to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aftermath: Vec<Telling>,
}

/// One of the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Whether that is the value by default.
    pub usual: bool,
}

fn by_key<S: Serializer>(bounds: &[Bound], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(bounds.iter().map(|bound| (bound.key, &bound.value)))
}

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Planted {
    /// Its id in the catalogue.
    pub id: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// A broken claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Its name.
    pub name: &'static str,
    /// Its id in the protocol rules.
    pub rule: &'static str,
    /// What it says.
    pub statement: String,
    /// The values that break it.
    pub values: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Telling {
    /// Its number, from 1.
    pub step: usize,
    /// The action, as [`Checked::step`] takes it; `None` in an aftermath, which follows of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Value>,
    /// The action in words.
    pub words: String,
    /// Names of the lanes in which it happens.
    pub lanes: Vec<String>,
    /// The message that it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takes: Option<Message>,
    /// What it changed, a line each.
    pub changes: Vec<String>,
    /// Messages that it sent.
    pub sent: Vec<Message>,
    /// Messages other than the one it takes that will not arrive any more: lost, or able to tell their receiver nothing.
    pub gone: Vec<Message>,
    /// The state after it; `None` when a core failed one of its own assertions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Picture>,
}

impl Claim {
    /// A broken claim of the world `W`, with its rule and its statement.
    pub fn of<W: Checked>(broken: &Broken) -> Self {
        let own = W::always().iter().map(|always| (always.name, always.rule));
        // A recovery run may also break a claim of the world that it is made in.
        let rule =
            own.chain(registry::claims()).find(|(name, _)| *name == broken.claim).map(|(_, rule)| rule);
        Self {
            name: broken.claim,
            rule: rule.unwrap_or(if broken.claim == PANIC { "assertion" } else { "" }),
            statement: statement(broken.claim),
            values: broken.values.clone(),
        }
    }
}

impl Story {
    /// Tells a counterexample.
    pub fn of<W: Checked>(world: &W, planted: Option<Bug>, example: &Counterexample<W>) -> Self {
        let steps = tell(world, &example.start, &example.actions);
        let start = picture(world, &example.start);
        let mut story = Self::from_parts(world, planted, Claim::of::<W>(&example.broken), (start, steps));
        story.follow(world, &example.aftermath);
        story
    }

    /// A story whose steps have been told.
    pub(crate) fn from_parts<W: Checked>(
        world: &W,
        planted: Option<Bug>,
        claim: Claim,
        (start, steps): (Picture, Vec<Telling>),
    ) -> Self {
        Self {
            kind: KIND,
            version: VERSION,
            model: W::NAME,
            bounds: bounds(world.bounds()),
            again: again::<W>(world.bounds(), planted),
            planted: planted.map(|bug| Planted { id: bug.id(), what: bug.what() }),
            claim,
            start,
            steps,
            aftermath: Vec::new(),
        }
    }

    /// The last state that is shown.
    fn end(&self) -> &Picture {
        self.steps.iter().rev().find_map(|step| step.after.as_ref()).unwrap_or(&self.start)
    }

    /// The bounds on one line.
    #[must_use]
    pub fn bounds_line(&self) -> String {
        words(&self.bounds)
    }
}

fn bounds<B: Bounds>(bounds: &B) -> Vec<Bound> {
    let usual = B::default().pairs();
    let bound = |(key, value): (_, String)| {
        let usual = usual.contains(&(key, value.clone()));
        Bound { key, value, usual }
    };
    bounds.pairs().into_iter().map(bound).collect()
}

fn words<'b>(bounds: impl IntoIterator<Item = &'b Bound>) -> String {
    let words = bounds.into_iter().map(|bound| format!("{}={}", bound.key, bound.value));
    words.collect::<Vec<_>>().join(" ")
}

/// How a world of this name is asked for: the model, and the flag that makes recovery runs of it.
pub(crate) fn asked_as(name: &'static str) -> (&'static str, Option<&'static str>) {
    match name.strip_suffix("-liveness") {
        Some(model) => (model, Some("--liveness")),
        None => (name, None),
    }
}

/// The command that searches at these bounds: a bug has bounds of its own, and a model without any is swept.
fn again<W: Checked>(asked: &W::Bounds, planted: Option<Bug>) -> String {
    let (model, liveness) = asked_as(W::NAME);
    let liveness = liveness.map(|flag| format!(" {flag}")).unwrap_or_default();
    let mutant = planted.map(|bug| format!(" --mutant {}", bug.id())).unwrap_or_default();
    let own = planted.and_then(|bug| W::mutants().into_iter().find(|mutant| mutant.bug == bug));
    let from = own.as_ref().map_or_else(W::Bounds::default, |mutant| mutant.bounds.clone()).pairs();
    let bounds = bounds(asked);
    let told = words(bounds.iter().filter(|bound| !from.contains(&(bound.key, bound.value.clone()))));
    let told = if told.is_empty() && own.is_none() { words(&bounds) } else { told };
    let gap = if told.is_empty() { "" } else { " " };
    format!("verify check {model}{gap}{told}{liveness}{mutant}")
}

/// A state as it is shown; nothing of one that a planted bug has made too strange to show.
pub(crate) fn picture<W: Checked>(world: &W, state: &W::State) -> Picture {
    quietly(|| world.picture(state)).unwrap_or_default()
}

/// Tells the steps that `actions` take from `start`, to the last of them or the first that fails an assertion.
fn tell<W: Checked>(world: &W, start: &W::State, actions: &[W::Action]) -> Vec<Telling> {
    let mut state = start.clone();
    let mut steps = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        let next = quietly(|| world.step(&state, action, &mut Notes::default()));
        steps.push(telling(world, at + 1, (&state, action), next.as_ref()));
        let Ok(next) = next else { break };
        state = next;
    }
    steps
}

/// Tells one step: what `action` made of `before`, or the message of the assertion that failed.
pub(crate) fn telling<W: Checked>(
    world: &W,
    step: usize,
    (before, action): (&W::State, &W::Action),
    after: Result<&W::State, &String>,
) -> Telling {
    let part = quietly(|| world.part(before, action)).unwrap_or_default();
    let was = picture(world, before);
    let takes = part.takes.and_then(|at| was.in_flight.get(at).cloned());
    let (changes, is) = match after {
        Ok(after) => (world.changes(before, after), Some(picture(world, after))),
        Err(message) => (vec![message.clone()], None),
    };
    let (sent, gone) = match &is {
        Some(is) => traffic(&was, is, part.takes),
        None => (Vec::new(), Vec::new()),
    };
    Telling {
        step,
        action: Some(serde_json::to_value(action).unwrap_or_default()),
        words: world.describe(before, action),
        lanes: part.lanes,
        takes,
        changes,
        sent,
        gone,
        after: is,
    }
}

/// What came under way in a step, and what is under way no more without having been taken.
fn traffic(was: &Picture, is: &Picture, takes: Option<usize>) -> (Vec<Message>, Vec<Message>) {
    let mut sent = is.in_flight.clone();
    let mut gone = Vec::new();
    let others = was.in_flight.iter().enumerate().filter(|(at, _)| takes != Some(*at));
    for (_, message) in others {
        match sent.iter().position(|other| other == message) {
            Some(same) => _ = sent.remove(same),
            None => gone.push(message.clone()),
        }
    }
    // The one that is taken may stay, to arrive once more.
    let taken = takes.and_then(|at| was.in_flight.get(at));
    if let Some(again) = taken.and_then(|taken| sent.iter().position(|other| other == taken)) {
        sent.remove(again);
    }
    (sent, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(says: &str) -> Message {
        Message { from: "a".to_owned(), to: "b".to_owned(), says: says.to_owned() }
    }

    fn with(in_flight: &[&str]) -> Picture {
        Picture { lanes: Vec::new(), in_flight: in_flight.iter().map(|says| message(says)).collect() }
    }

    #[test]
    fn what_is_taken_is_neither_sent_nor_gone() {
        let (sent, gone) = traffic(&with(&["taken", "stays", "dies"]), &with(&["new", "stays"]), Some(0));

        assert_eq!((sent, gone), (vec![message("new")], vec![message("dies")]));
    }

    #[test]
    fn of_two_equal_messages_one_is_taken() {
        let (sent, gone) = traffic(&with(&["one", "one"]), &with(&["one"]), Some(0));

        assert_eq!((sent, gone), (Vec::new(), Vec::new()));
    }

    #[test]
    fn of_equal_messages_each_counts() {
        let (sent, gone) = traffic(&with(&["one"]), &with(&["one", "one"]), None);

        assert_eq!((sent, gone), (vec![message("one")], Vec::new()));
    }
}
