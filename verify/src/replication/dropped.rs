//! What is dropped because nothing can come of it is put to whom it is for all the same: if anything came of it, the
//! claim [`name::DROPPED`] would be broken.
//!
//! So a reduction does not hide the fence that it rests on. What a core makes of a message is remembered ([`Part::fate`]), which
//! makes this cheap.

use highwater_model::replication::{FetchBody, Message, ReplicaIdx};

use super::World;
use super::claims::name;
use super::cluster::Request;
use super::dead::Why;
use super::network::Envelope;
use super::part::Part;
use super::state::{Broker, Run, State};
use super::turn::{self, Event, Told, Turn};
use crate::world::Notes;

impl World {
    /// Puts a message that is dropped to its receiver as it is in `state`.
    pub(super) fn try_dropped(&self, state: &State, envelope: Part<Envelope>, why: Why, notes: &mut Notes) {
        let comes_to = match (envelope.get(), why) {
            (_, Why::Unheard) => None,
            (Envelope::Peer { to, .. } | Envelope::Decision { to, .. }, _) => {
                self.at_broker(state, *to, envelope, why)
            }
            (Envelope::Proposal { from, .. }, _) => self.at_controller(state, *from, envelope),
        };
        if let Some(comes_to) = comes_to {
            notes.broke(name::DROPPED, || format!("{envelope:?} was dropped as {why:?}, yet {comes_to}"));
        }
    }

    fn at_broker(
        &self,
        state: &State,
        at: ReplicaIdx,
        envelope: Part<Envelope>,
        why: Why,
    ) -> Option<&'static str> {
        let before = state.part(at);
        before.run.as_ref()?;
        let event = Event::Delivered(envelope);
        let turn = before.fate(event.key(), || turn::take(self, &before, event));
        match why {
            Why::Unheard => None,
            Why::Refused => unless(turn.refused.is_some() && is_as_before(before, turn), "it is not refused"),
            Why::Told => unless(is_as_before(before, turn), "its receiver heeds it"),
            Why::Heard => unless(is_merely_answered(before, turn), "it tells its receiver something"),
            Why::Past => unless(!tells_clients(turn) || is_answer(&envelope), "clients hear of it"),
            Why::Doomed | Why::Waits => unless(only_waits(before, turn), "its receiver does something"),
        }
    }

    /// The controller must refuse it; and the sender, if it is told so, must do nothing but wait.
    fn at_controller(
        &self,
        state: &State,
        from: ReplicaIdx,
        envelope: Part<Envelope>,
    ) -> Option<&'static str> {
        let (cluster, memory) = (state.cluster, &self.memory);
        let request = Request::Alter(envelope);
        let ruling = cluster.fate(request.key(), || cluster.ruling(request, memory));
        if ruling.after.partition() != cluster.partition() {
            return Some("the controller accepts it");
        }
        let broker_epoch = state.run(from)?.broker_epoch;
        let answer = Envelope::Decision { to: from, broker_epoch, answer: ruling.answer? };
        let before = state.part(from);
        let event = Event::Delivered(memory.envelopes.share(answer));
        let turn = before.fate(event.key(), || turn::take(self, &before, event));
        unless(turn.refused.is_some() || only_waits(before, turn), "its sender would act on the answer")
    }
}

fn unless(holds: bool, complaint: &'static str) -> Option<&'static str> {
    (!holds).then_some(complaint)
}

/// Whether nothing came of it: nobody is told anything, and the broker is the one that it was.
fn is_as_before(before: Part<Broker>, turn: &Turn) -> bool {
    turn.told.is_empty() && turn.after == before
}

/// Whether clients are told anything.
fn tells_clients(turn: &Turn) -> bool {
    let is_for_clients = |told: &Told| match told {
        Told::Acknowledged { .. } | Told::Refused(..) | Told::Visible(..) => true,
        Told::Send(_) | Told::Truncated | Told::Trimmed | Told::Restarted | Told::Covered(..) => false,
    };
    turn.told.iter().any(is_for_clients)
}

/// Whether this is the controller's answer to a leader of the past. It may as well have come before the leader was of the past
/// (`past`), so that clients may hear of it.
fn is_answer(envelope: &Envelope) -> bool {
    matches!(envelope, Envelope::Decision { .. })
}

/// Whether a leader is where it was with its log, its followers and its proposals.
fn stands_as_before(before: &Run, after: &Run) -> bool {
    let replicas = || before.core.view().replicas.iter().zip(0..).map(|(_, at)| ReplicaIdx(at));
    let ends = |run: &Run| -> Vec<_> {
        replicas().map(|of| (run.core.follower_end(of), run.core.follower_durable_end(of))).collect()
    };
    before.core.high_watermark() == after.core.high_watermark()
        && before.core.log() == after.core.log()
        && before.core.maximal_isr() == after.core.maximal_isr()
        && before.core.is_changing_isr() == after.core.is_changing_isr()
        && before.core.watermark_waits_for() == after.core.watermark_waits_for()
        && ends(before) == ends(after)
}

fn runs(before: &Broker, turn: &Turn, same: impl Fn(&Run, &Run) -> bool) -> bool {
    let after = turn.after.get();
    before.run.as_ref().zip(after.run.as_ref()).is_some_and(|(before, after)| same(before, after))
}

/// Whether a repeated fetch is answered, if at all, and nothing else comes of it.
fn is_merely_answered(before: Part<Broker>, turn: &Turn) -> bool {
    let is_answer = |told: &Told| match told {
        Told::Send(envelope) => matches!(
            envelope.get(),
            Envelope::Peer { message: Message::FetchAnswer(answer), .. }
                if matches!(answer.body, FetchBody::Records { .. })
        ),
        Told::Acknowledged { .. } | Told::Refused(..) | Told::Visible(..) => false,
        Told::Truncated | Told::Trimmed | Told::Restarted | Told::Covered(..) => false,
    };
    turn.refused.is_none() && turn.told.iter().all(is_answer) && runs(&before, turn, stands_as_before)
}

/// Whether a leader that was told to wait for metadata does just that.
fn only_waits(before: Part<Broker>, turn: &Turn) -> bool {
    turn.told.is_empty() && runs(&before, turn, stands_as_before)
}
