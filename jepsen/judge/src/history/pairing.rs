//! Finds which event ended which operation, and insists that the history can be one.

use std::collections::BTreeMap;

use super::event::{Actor, Event, Phase};
use super::operation::{Operation, What};

/// Why this is no history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The indexes do not ascend.
    #[error("event {index} comes after event {last}: the order of events is not known")]
    Order {
        /// The event.
        index: u64,
        /// The one before it.
        last: u64,
    },
    /// Time runs backwards.
    #[error("event {index} is at {time_ns} ns, and the one before it at {last_ns} ns")]
    Time {
        /// The event.
        index: u64,
        /// Its time.
        time_ns: u64,
        /// That of the event before.
        last_ns: u64,
    },
    /// A process begins an operation within another.
    #[error("event {index}: {actor} begins an operation before its last one has ended")]
    Busy {
        /// The event.
        index: u64,
        /// Who.
        actor: Actor,
    },
    /// An operation ends that never began.
    #[error("event {index}: {actor} ends an operation that it has not begun")]
    NotBegun {
        /// The event.
        index: u64,
        /// Who.
        actor: Actor,
    },
    /// An operation ends as another.
    #[error("event {index}: {actor} ends another operation than it began")]
    Another {
        /// The event.
        index: u64,
        /// Who.
        actor: Actor,
    },
    /// A process goes on although nobody knows how its last operation ended.
    #[error("event {index}: {actor} goes on after an operation whose end is not known")]
    Retired {
        /// The event.
        index: u64,
        /// Who.
        actor: Actor,
    },
}

/// Operations under way.
#[derive(Clone, Debug, Default)]
pub struct Pairing {
    /// What each actor is at; none once it may do nothing more.
    open: BTreeMap<Actor, Option<Event>>,
    last: Option<(u64, u64)>,
}

impl Pairing {
    /// Takes the next event; gives the operation that it ends. A fault's step is an operation by itself.
    ///
    /// # Errors
    /// When the events so far cannot be a history.
    pub fn take(&mut self, event: Event) -> Result<Option<Operation>, Malformed> {
        self.advance(&event)?;
        let (index, actor) = (event.index, event.actor);
        if actor == Actor::Nemesis {
            return Ok(Some(operation(event.clone(), Some(event))));
        }
        match (event.phase, self.open.remove(&actor)) {
            (_, Some(None)) => Err(Malformed::Retired { index, actor }),
            (Phase::Invoke, Some(Some(_))) => Err(Malformed::Busy { index, actor }),
            (Phase::Invoke, None) => {
                self.open.insert(actor, Some(event));
                Ok(None)
            }
            (_, None) => Err(Malformed::NotBegun { index, actor }),
            (_, Some(Some(began))) if !same(&began.what, &event.what) => {
                Err(Malformed::Another { index, actor })
            }
            (phase, Some(Some(began))) => {
                if phase == Phase::Info {
                    self.open.insert(actor, None);
                }
                Ok(Some(operation(began, Some(event))))
            }
        }
    }

    /// The operations that never ended, in the order in which they began.
    #[must_use]
    pub fn finish(self) -> Vec<Operation> {
        let mut left: Vec<Operation> =
            self.open.into_values().flatten().map(|began| operation(began, None)).collect();
        left.sort_by_key(|operation| operation.invoked);
        left
    }

    fn advance(&mut self, event: &Event) -> Result<(), Malformed> {
        let (index, time_ns) = (event.index, event.time_ns);
        match self.last.replace((index, time_ns)) {
            Some((last, _)) if last >= index => Err(Malformed::Order { index, last }),
            Some((_, last_ns)) if last_ns > time_ns => Err(Malformed::Time { index, time_ns, last_ns }),
            _ => Ok(()),
        }
    }
}

/// Whether an operation that began so may end so.
fn same(began: &What, ended: &What) -> bool {
    match (began, ended) {
        (What::Send(began), What::Send(ended)) => {
            let names = |send: &super::Send| -> Vec<(u32, u64)> {
                send.records.iter().map(|record| (record.key, record.value)).collect()
            };
            began.acks == ended.acks && began.idempotent == ended.idempotent && names(began) == names(ended)
        }
        (What::Assign(began), What::Assign(ended)) => began == ended,
        (What::End(began), What::End(ended)) => {
            began.key == ended.key && began.linearizable == ended.linearizable
        }
        (What::Read(began), What::Read(ended)) => began.key == ended.key,
        (What::Write(began), What::Write(ended)) => began == ended,
        (What::CompareAndSet(began), What::CompareAndSet(ended)) => began == ended,
        (What::Drained(began), What::Drained(ended)) => began.key == ended.key,
        _ => std::mem::discriminant(began) == std::mem::discriminant(ended),
    }
}

fn operation(began: Event, ended: Option<Event>) -> Operation {
    let (invoked, invoked_ns, actor) = (began.index, began.time_ns, began.actor);
    let (completed, completed_ns) =
        ended.as_ref().map_or((u64::MAX, u64::MAX), |ended| (ended.index, ended.time_ns));
    let outcome = ended.as_ref().map_or(Phase::Info, |ended| ended.phase);
    let Event { what, error, .. } = ended.unwrap_or(began);
    Operation { actor, invoked, completed, invoked_ns, completed_ns, outcome, what, error }
}
