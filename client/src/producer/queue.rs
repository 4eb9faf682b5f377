//! Order, sequences and retries of one partition's batches (R70-R74), as a pure state machine.
//!
//! Decides which batch may be sent, under which producer epoch and sequence, and what each answer means for those behind
//! it. Leaves time, connections and the records themselves to the lane that drives it.

use std::collections::VecDeque;

use highwater_model::error_code::ErrorCode;
use highwater_model::id::{Offset, ProducerEpoch, Sequence};

use crate::error::Outcome;

/// Batches of one partition that a leader remembers, hence at most so many in flight (R70, R73).
pub(crate) const IN_FLIGHT_MAX: usize = 5;

/// One sending of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Which batch of the queue; ascending in send order.
    batch: u64,
    /// How often it had been sent before.
    number: u32,
}

/// Under which producer epoch and sequence a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Added to the epoch that the producer id was given with.
    pub(crate) epoch: ProducerEpoch,
    /// Sequence of its first record.
    pub(crate) sequence: Sequence,
}

/// What was last heard about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The code, if a broker gave one.
    pub(crate) code: Option<ErrorCode>,
    /// In words.
    pub(crate) words: String,
}

impl Heard {
    /// Something that no broker said.
    pub(crate) fn said(words: impl Into<String>) -> Self {
        Self { code: None, words: words.into() }
    }
}

/// What has been heard about a batch. That nobody has answered since does not take back what a broker said.
#[derive(Clone, Debug)]
struct Hearsay {
    /// What a broker said last.
    refusal: Option<Heard>,
    /// What was heard since then that no broker said.
    since: Option<Heard>,
}

impl Hearsay {
    fn note(&mut self, heard: Heard) {
        if heard.code.is_some() {
            *self = Self { refusal: Some(heard), since: None };
        } else {
            self.since = Some(heard);
        }
    }

    /// All of it, under the broker's code.
    fn told(&self) -> Heard {
        match (&self.refusal, &self.since) {
            (Some(refusal), Some(since)) => {
                Heard { code: refusal.code, words: format!("{}; then: {}", refusal.words, since.words) }
            }
            (Some(heard), None) | (None, Some(heard)) => heard.clone(),
            (None, None) => Heard::said("no answer yet"),
        }
    }
}

/// What came of sending a batch once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is written; the offset of its first record, unless there is none to know (`acks=0`).
    Acknowledged(Option<Offset>),
    /// It may be sent again. `outcome` is about this attempt alone.
    Retriable {
        /// Whether this attempt may have written it.
        outcome: Outcome,
        /// Why.
        why: Heard,
    },
    /// It does not follow what the leader has of this producer (R71). This attempt has not written it.
    OutOfOrder {
        /// What the leader said.
        why: Heard,
    },
    /// It will never be accepted. This attempt has not written it.
    Refused,
}

/// A batch that is done with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finished<B> {
    /// The batch.
    pub(crate) batch: B,
    /// What it came to.
    pub(crate) end: End,
}

/// What a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Acknowledged, with the offset of its first record if there is one.
    Acknowledged(Option<Offset>),
    /// Its time is over.
    Expired {
        /// Whether it may be written all the same.
        outcome: Outcome,
        /// The last thing heard about it, and what a broker said of it last.
        last: Heard,
    },
    /// Refused for good.
    Refused {
        /// Whether an earlier attempt may have written it.
        outcome: Outcome,
    },
}

#[derive(Clone, Debug)]
struct Slot<B, T> {
    id: u64,
    attempts: u32,
    batch: B,
    records: u32,
    deadline: T,
    stamp: Option<Stamp>,
    in_flight: bool,
    outcome: Outcome,
    heard: Hearsay,
}

/// The batches of one partition, oldest first.
#[derive(Debug)]
pub(crate) struct Queue<B, T> {
    slots: VecDeque<Slot<B, T>>,
    next_id: u64,
    stamp: Stamp,
    in_flight: usize,
    in_flight_max: usize,
    /// A batch of this epoch was acknowledged, so the leader knows the producer. Before that it would accept any
    /// sequence (R71), and the second batch could be written without the first: one at a time until then.
    known: bool,
    /// Something must be sent again: nothing new goes out until every answer is in, so that order is kept.
    rewinding: bool,
    /// The leader misses something that will not come: sequences start again under a new epoch (KIP-360).
    bump: bool,
}

impl<B, T: Copy + Ord> Queue<B, T> {
    /// An empty queue with at most so many batches in flight.
    #[must_use]
    pub(crate) fn new(in_flight_max: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            next_id: 0,
            stamp: Stamp { epoch: ProducerEpoch(0), sequence: Sequence(0) },
            in_flight: 0,
            in_flight_max: in_flight_max.clamp(1, IN_FLIGHT_MAX),
            known: false,
            rewinding: false,
            bump: false,
        }
    }

    /// Adds a batch behind all others.
    pub(crate) fn push(&mut self, batch: B, records: u32, deadline: T) {
        self.slots.push_back(Slot {
            id: self.next_id,
            attempts: 0,
            batch,
            records,
            deadline,
            stamp: None,
            in_flight: false,
            outcome: Outcome::NotDone,
            heard: Hearsay { refusal: None, since: None },
        });
        self.next_id += 1;
    }

    /// Whether every batch is done with.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Batches that wait to be sent.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        self.slots.len() - self.in_flight
    }

    /// Batches that are under way.
    #[must_use]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether another batch may be sent now.
    #[must_use]
    pub(crate) fn may_send(&self) -> bool {
        let most = if self.known { self.in_flight_max } else { 1 };
        !self.rewinding && self.in_flight < most
    }

    /// The next batch to send, stamped and counted as under way, if one may be sent now.
    pub(crate) fn send_next(&mut self) -> Option<(Attempt, Stamp, &mut B)> {
        if !self.may_send() {
            return None;
        }
        let slot = self.slots.iter_mut().find(|slot| !slot.in_flight)?;
        let stamp = match slot.stamp {
            Some(stamp) => stamp,
            None => {
                let stamp = self.stamp;
                self.stamp.sequence = stamp.sequence.after(slot.records);
                slot.stamp = Some(stamp);
                stamp
            }
        };
        let attempt = Attempt { batch: slot.id, number: slot.attempts };
        slot.attempts += 1;
        slot.in_flight = true;
        self.in_flight += 1;
        Some((attempt, stamp, &mut slot.batch))
    }

    /// Takes what came of an attempt. One that was given up counts only if it is an acknowledgement after all.
    pub(crate) fn answered(&mut self, attempt: Attempt, verdict: Verdict) -> Option<Finished<B>> {
        let at = self.slots.iter().position(|slot| slot.id == attempt.batch)?;
        let is_latest = self.slots.get(at).is_some_and(|slot| slot.attempts == attempt.number + 1);
        let is_acknowledged = matches!(verdict, Verdict::Acknowledged(_));
        if !(is_acknowledged || is_latest) {
            return None;
        }
        let was_in_flight = self.land(at);
        let finished = match verdict {
            Verdict::Acknowledged(offset) => {
                self.known = true;
                self.finish(at, End::Acknowledged(offset))
            }
            _ if !was_in_flight => None,
            Verdict::Retriable { outcome, why } => {
                self.rewind(at, outcome, why);
                None
            }
            Verdict::OutOfOrder { why } => self.out_of_order(at, why),
            Verdict::Refused => {
                let outcome = self.slots.get(at).map_or(Outcome::Unknown, |slot| slot.outcome);
                self.finish(at, End::Refused { outcome })
            }
        };
        self.settle();
        finished
    }

    /// Gives up every attempt that is under way, because the leader changed or the connection is lost.
    pub(crate) fn abandon(&mut self, outcome: Outcome, why: &str) {
        for at in 0..self.slots.len() {
            if self.land(at) {
                self.rewind(at, outcome, Heard::said(why));
            }
        }
        self.settle();
    }

    /// Ends every batch whose deadline is at or before `now`.
    pub(crate) fn expire(&mut self, now: T) -> Vec<Finished<B>> {
        let mut finished = Vec::new();
        while let Some(at) = self.slots.iter().position(|slot| slot.deadline <= now) {
            let in_flight = self.land(at);
            let Some(slot) = self.slots.get(at) else { break };
            let outcome = if in_flight { Outcome::Unknown } else { slot.outcome };
            let last = slot.heard.told();
            finished.extend(self.finish(at, End::Expired { outcome, last }));
        }
        self.settle();
        finished
    }

    /// Ends every batch: the producer closes.
    pub(crate) fn close(&mut self) -> Vec<(B, Outcome)> {
        self.in_flight = 0;
        let outcome = |slot: &Slot<B, T>| if slot.in_flight { Outcome::Unknown } else { slot.outcome };
        self.slots
            .drain(..)
            .map(|slot| {
                let outcome = outcome(&slot);
                (slot.batch, outcome)
            })
            .collect()
    }

    /// The earliest deadline of a batch.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<T> {
        self.slots.iter().map(|slot| slot.deadline).min()
    }

    /// The deadline of the batch of an attempt.
    #[must_use]
    pub(crate) fn deadline_of(&self, attempt: Attempt) -> Option<T> {
        self.slots.iter().find(|slot| slot.id == attempt.batch).map(|slot| slot.deadline)
    }

    /// Counts a batch as no longer under way; says whether it was.
    fn land(&mut self, at: usize) -> bool {
        let Some(slot) = self.slots.get_mut(at) else { return false };
        let was = std::mem::replace(&mut slot.in_flight, false);
        self.in_flight -= usize::from(was);
        was
    }

    fn finish(&mut self, at: usize, end: End) -> Option<Finished<B>> {
        self.slots.remove(at).map(|slot| Finished { batch: slot.batch, end })
    }

    fn rewind(&mut self, at: usize, outcome: Outcome, why: Heard) {
        self.rewinding = true;
        if let Some(slot) = self.slots.get_mut(at) {
            slot.outcome = slot.outcome.max(outcome);
            slot.heard.note(why);
        }
    }

    /// A batch behind one that must be sent again is out of order for that reason alone. The oldest one has nothing to
    /// wait for: what the leader misses was given up. It starts a new epoch (KIP-360), which is safe only if no attempt
    /// may have written it; else it would be there twice.
    fn out_of_order(&mut self, at: usize, why: Heard) -> Option<Finished<B>> {
        if at > 0 {
            self.rewind(at, Outcome::NotDone, why);
            return None;
        }
        self.bump = true;
        if self.slots.front().is_some_and(|slot| slot.outcome == Outcome::Unknown) {
            self.rewinding = true;
            return self.finish(at, End::Refused { outcome: Outcome::Unknown });
        }
        self.rewind(at, Outcome::NotDone, why);
        None
    }

    /// When every answer is in, sending goes on, if need be under a new epoch.
    fn settle(&mut self) {
        if self.in_flight > 0 {
            return;
        }
        self.rewinding = false;
        let unsafe_to_renumber = self.slots.iter().any(|slot| slot.outcome == Outcome::Unknown);
        if !self.bump || unsafe_to_renumber {
            return;
        }
        self.bump = false;
        self.known = false;
        self.stamp = Stamp { epoch: self.stamp.epoch.next(), sequence: Sequence(0) };
        for slot in &mut self.slots {
            slot.stamp = None;
        }
    }
}

#[cfg(test)]
mod tests;
