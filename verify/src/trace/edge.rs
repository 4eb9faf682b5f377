//! What a driver owes at the edge, and whether it did that and nothing else: one book for each life of a core.
//!
//! A step's effects are entered as owed; each act must be the next that is owed, or the end of something submitted. An
//! input that only the edge can bring about must follow at once upon the act that brought it about, and name the log as
//! it was when the thing was submitted.

mod controller;
mod message;
mod storage;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;

use highwater_model::id::{BrokerEpoch, LogGeneration, NodeId, Offset, RequestId};
use highwater_model::metadata::{BrokerAnswer, BrokerRequest};
use highwater_model::quorum::{ProposalId, SnapshotId, Vote};
use highwater_model::replication::{AlterPartition, AlterPartitionAnswer};
use highwater_model::trace::{Act, Carried, Stands, Told, UnderWay};

use super::step;
pub(super) use controller::Answer;
use words::{shown, shown_owed};

/// What differs between the kinds of cores.
pub(super) trait Kind {
    /// Names of its timers.
    type Timer: Copy + Ord + Debug + serde::de::DeserializeOwned;
    /// Whether somebody who asked may be gone before the core answers.
    const ASKERS_GO: bool;

    /// The message in a body, in words.
    fn spoken(body: &[u8]) -> String;

    /// Whether `body` is the message that waited for its records.
    fn is_filled(waiting: &Reading, body: &[u8]) -> bool;
}

/// A message that waits for its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) to: NodeId,
    pub(super) from: Offset,
    pub(super) end: Offset,
    /// Its body before it is filled.
    pub(super) body: Vec<u8>,
    /// Whether the log has been cut since.
    pub(super) is_void: bool,
}

/// An act that an effect asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owed<T> {
    Write { from: Offset, end: Offset, generation: LogGeneration, carried: Option<Carried> },
    Sync { generation: LogGeneration },
    Cut(Offset),
    Restart(Offset),
    Trim(Offset),
    Store(Vote),
    Send { to: NodeId, body: Vec<u8> },
    Read(Reading),
    Propose(AlterPartition),
    Arm(T),
    Disarm(T),
    Reply { request: u64, told: Told },
    Wake,
    FetchSnapshot(SnapshotId),
    Decide(Carried),
    Answer { request: RequestId, answer: Answer },
    Ask { request: RequestId, body: BrokerRequest },
    Note(BrokerEpoch),
    Stand(Stands),
}

/// What brought an input about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause<T> {
    /// Somebody asked, said or decided something.
    Free,
    Written(Offset, LogGeneration),
    WriteFailed(LogGeneration),
    Flushed(Offset, LogGeneration),
    Stored(Vote),
    Expired(T),
    ProposalAnswered(AlterPartitionAnswer),
    /// A decision has its place in the log, which ends there.
    Placed(Offset),
    NotPlaced,
    /// The controller answered a broker.
    Answered(RequestId, BrokerAnswer),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) rule: &'static str,
    pub(super) expected: String,
    pub(super) recorded: String,
}

pub(super) const EACH_EFFECT: &str = "each effect has its act, in order";
pub(super) const EACH_ACT: &str = "each act has its effect";
pub(super) const EACH_INPUT: &str = "an input rests on what has come to pass at the edge";
pub(super) const EACH_END: &str = "what ends was submitted, and its end is given to the core, once";
pub(super) const AFTER_END: &str = "nothing is done for a core whose life has ended";
pub(super) const GIVE_UP: &str = "nothing is done for a core whose storage has failed";
pub(super) const GENERATION: &str = "nothing is delivered to another log generation than its own";

pub(super) fn wrong(
    rule: &'static str,
    expected: impl Into<String>,
    recorded: impl Into<String>,
) -> Result<(), Wrong> {
    Err(Wrong { rule, expected: expected.into(), recorded: recorded.into() })
}

/// A write or sync under way.
#[derive(Clone, Copy, Debug)]
struct Submitted {
    /// Where it ends; `None` if it was submitted before the records begin.
    end: Option<Offset>,
    generation: Option<LogGeneration>,
    /// For a sync: how many writes had been submitted before it.
    writes_before: u64,
}

/// More writes, syncs or votes than this are not under way at once: each holds memory of its broker.
const UNDER_WAY_MAX: u32 = 1 << 20;

const UNKNOWN: Submitted = Submitted { end: None, generation: None, writes_before: 0 };

/// The book of one life.
pub(super) struct Book<K: Kind> {
    owed: VecDeque<Owed<K::Timer>>,
    writes: VecDeque<Submitted>,
    writes_submitted: u64,
    writes_ended: u64,
    syncs: VecDeque<Submitted>,
    stores: VecDeque<Option<Vote>>,
    reading: VecDeque<Reading>,
    /// Messages that wait for records since before the records begin.
    reading_unknown: u32,
    armed: BTreeSet<K::Timer>,
    /// What must be given to the core next.
    due: Option<Cause<K::Timer>>,
    /// Whether what is due may just as well be left out.
    is_due_optional: bool,
    /// Proposals, and how often each is asked without an answer.
    proposed: Vec<(AlterPartition, u32)>,
    answered: Vec<AlterPartitionAnswer>,
    /// What the quorum was given to place last.
    placing: Option<ProposalId>,
    /// Requests to the controller that have come to no end.
    asked: Vec<(RequestId, BrokerRequest)>,
    /// Writes that wait for room.
    stalled: u32,
    has_stalled: bool,
    /// Whether it begins in the midst of a life.
    is_partial: bool,
    /// The first name that was new since it is known; what came of requests of earlier names is excused once.
    first_asked: Option<RequestId>,
    excused: BTreeSet<RequestId>,
    /// The proposal that was open when it was shown.
    open_before: Option<RequestId>,
    /// Whether the next step may have been brought about before the records begin.
    is_first: bool,
    is_offline: bool,
    /// Whether storage has failed, so that the driver goes no further.
    must_give_up: bool,
}

impl<K: Kind> Book<K> {
    /// The book of a core from its recovery on.
    pub(super) fn new() -> Self {
        Self {
            owed: VecDeque::new(),
            writes: VecDeque::new(),
            writes_submitted: 0,
            writes_ended: 0,
            syncs: VecDeque::new(),
            stores: VecDeque::new(),
            reading: VecDeque::new(),
            reading_unknown: 0,
            armed: BTreeSet::new(),
            due: None,
            is_due_optional: false,
            proposed: Vec::new(),
            answered: Vec::new(),
            placing: None,
            asked: Vec::new(),
            stalled: 0,
            has_stalled: false,
            is_partial: false,
            first_asked: None,
            excused: BTreeSet::new(),
            open_before: None,
            is_first: false,
            is_offline: false,
            must_give_up: false,
        }
    }

    /// The book of a core that is shown in the midst of its life.
    pub(super) fn partial(under_way: &UnderWay) -> Result<Self, Wrong> {
        let armed: Vec<K::Timer> = step::shown(&under_way.armed, "timers that run")?;
        let unknown = |count: u32| (0..count).map(|_| UNKNOWN).collect::<VecDeque<_>>();
        if under_way.writes.max(under_way.syncs).max(under_way.stores) > UNDER_WAY_MAX {
            let expected = format!("at most {UNDER_WAY_MAX} of a kind under way");
            return Err(Wrong { rule: step::SHOWN_WELL, expected, recorded: format!("{under_way:?}") });
        }
        Ok(Self {
            writes: unknown(under_way.writes),
            writes_submitted: under_way.writes.into(),
            syncs: unknown(under_way.syncs),
            stores: (0..under_way.stores).map(|_| None).collect(),
            reading_unknown: under_way.sends,
            armed: armed.into_iter().collect(),
            stalled: under_way.stalled.unwrap_or_default(),
            has_stalled: under_way.stalled.is_some(),
            is_partial: true,
            is_first: true,
            ..Self::new()
        })
    }

    pub(super) fn owe(&mut self, owed: Owed<K::Timer>) {
        self.owed.push_back(owed);
    }

    /// The core's life ends in order.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        self.nothing_owed(&"the end of its life")?;
        self.may_go_on(&"the end of its life")?;
        if self.is_offline { Ok(()) } else { self.nothing_waits(&"the end of its life") }
    }

    /// It begins in the midst of a life, in which this proposal was open.
    pub(super) fn opened_before(&mut self, request: Option<RequestId>) {
        self.open_before = request;
    }

    /// Whether something may have been asked under this name before the records begin.
    fn is_asked_before(&self, request: RequestId) -> bool {
        self.is_partial && self.first_asked.is_none_or(|first| request < first)
    }

    /// What has failed must be followed by nothing.
    fn may_go_on(&self, next: &dyn Debug) -> Result<(), Wrong> {
        match self.must_give_up {
            true => wrong(GIVE_UP, "nothing more, but that the core goes offline", format!("{next:?}")),
            false => Ok(()),
        }
    }

    fn nothing_owed(&self, next: &dyn Debug) -> Result<(), Wrong> {
        match self.owed.front() {
            Some(owed) if !self.is_offline => wrong(EACH_EFFECT, shown_owed::<K>(owed), format!("{next:?}")),
            _ => Ok(()),
        }
    }

    /// The core takes an input that was brought about so.
    pub(super) fn step(&mut self, cause: &Cause<K::Timer>, input: &dyn Debug) -> Result<(), Wrong> {
        self.may_go_on(input)?;
        self.nothing_owed(input)?;
        if std::mem::take(&mut self.is_first) {
            self.due = None;
            return Ok(());
        }
        let due = self.due.take();
        if due.as_ref() == Some(cause) {
            return Ok(());
        }
        if let Some(due) = due.filter(|_| !self.is_due_optional) {
            let same = matches!(
                (&due, cause),
                (Cause::Written(..), Cause::Written(..)) | (Cause::Flushed(..), Cause::Flushed(..))
            );
            return wrong(if same { GENERATION } else { EACH_END }, format!("{due:?}"), format!("{input:?}"));
        }
        match cause {
            Cause::Free => Ok(()),
            Cause::ProposalAnswered(answer) => self.take_answer(answer, input),
            caused @ (Cause::Written(..)
            | Cause::WriteFailed(_)
            | Cause::Flushed(..)
            | Cause::Stored(_)
            | Cause::Expired(_)
            | Cause::Placed(_)
            | Cause::NotPlaced
            | Cause::Answered(..)) => {
                wrong(EACH_INPUT, format!("an act at the edge before {caused:?}"), format!("{input:?}"))
            }
        }
    }

    /// The core's step was refused, which is itself the answer to this request.
    pub(super) fn owe_refusal(&mut self, request: RequestId) {
        self.owe(Owed::Reply { request: request.0, told: Told::Refused });
    }

    /// Enters an act.
    pub(super) fn act(&mut self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.is_offline {
            return still_done(act).map_or(Ok(()), |what| wrong(GIVE_UP, "nothing more", what));
        }
        if !matches!(act, Act::Offline | Act::NotSent { .. } | Act::ProposalAnswered(_)) {
            self.may_go_on(act)?;
        }
        match act {
            Act::Write { from, end, carried } => self.write(*from, *end, *carried, act),
            Act::WriteEnded(how) => self.write_ended(*how, act),
            Act::Sync(end) => self.sync(*end, act),
            Act::SyncEnded(how) => self.sync_ended(*how, act),
            Act::Cut(how) => self.cut(*how, act, Owed::Cut),
            Act::Restart(how) => self.cut(*how, act, Owed::Restart),
            Act::Trim(to) => self.next(&Owed::Trim(*to), act),
            Act::Store(vote) => self.store(*vote, act),
            Act::StoreEnded(how) => self.store_ended(*how, act),
            Act::Stalled => self.stall(act),
            Act::Sent { to, body, carried, .. } => self.sent(*to, body, *carried, act),
            Act::NotSent { to } => self.not_sent(*to, act),
            Act::Reading { to, from, end } => self.read(*to, (*from, *end), act),
            Act::Unread { to, from, end } => self.unread(*to, (*from, *end), act),
            Act::Armed(timer) => self.next(&Owed::Arm(*timer), act).map(|()| {
                self.armed.insert(*timer);
            }),
            Act::Disarmed(timer) => self.next(&Owed::Disarm(*timer), act).map(|()| {
                self.armed.remove(timer);
            }),
            Act::Expired(timer) => self.expired(*timer, act),
            Act::Replied { request, told } => self.replied(*request, *told, act),
            Act::Woke => {
                // Waking once too often does no harm: whoever is woken looks again.
                drop(self.owed.pop_front_if(|owed| *owed == Owed::Wake));
                Ok(())
            }
            Act::Shown(_) => Ok(()),
            Act::Proposed(proposal) => self.proposed(proposal, act),
            Act::ProposalAnswered(answer) => self.proposal_answered(*answer, act),
            Act::FetchingSnapshot(id) => self.next(&Owed::FetchSnapshot(*id), act),
            Act::Offline => {
                (self.is_offline, self.must_give_up) = (true, false);
                self.nothing_waits(act)
            }
            Act::Decided { proposal, carried } => self.decided(*proposal, *carried, act),
            Act::Answered { request, answer } => self.answered(*request, answer, act),
            Act::Asked { request, body } => self.asked(*request, body, act),
            Act::Heard { request, answer } => self.heard(*request, answer.as_ref(), act),
            Act::Noted(broker_epoch) => self.next(&Owed::Note(*broker_epoch), act),
            Act::Stands(stands) => self.next(&Owed::Stand(*stands), act),
        }
    }

    /// Enters an act of after the end of its life: what was begun aside may come back.
    pub(super) fn late(&mut self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "all others are done by the driver, which has ended"
        )]
        match act {
            Act::ProposalAnswered(answer) => self.proposal_answered(*answer, act),
            _ => wrong(AFTER_END, "nothing more of this core", shown::<K>(act)),
        }
    }

    /// The act must be the next that is owed.
    fn next(&mut self, expected: &Owed<K::Timer>, act: &Act<K::Timer>) -> Result<(), Wrong> {
        match self.owed.front() {
            Some(owed) if owed == expected => {
                self.owed.pop_front();
                Ok(())
            }
            Some(owed) => wrong(EACH_EFFECT, shown_owed::<K>(owed), shown::<K>(act)),
            None => wrong(EACH_ACT, "nothing more of this step", shown::<K>(act)),
        }
    }

    fn expired(&mut self, timer: K::Timer, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        if !self.armed.remove(&timer) {
            return wrong(EACH_ACT, "no timer that was not armed", shown::<K>(act));
        }
        self.is_due_optional = false;
        self.due = Some(Cause::Expired(timer));
        Ok(())
    }
}

/// An act of a core that does nothing more, if it is one that changes or tells anything.
fn still_done<T: Debug>(act: &Act<T>) -> Option<String> {
    let is_done = matches!(
        act,
        Act::Write { .. }
            | Act::Sync(_)
            | Act::Cut(_)
            | Act::Restart(_)
            | Act::Sent { .. }
            | Act::Reading { .. }
            | Act::Unread { .. }
            | Act::Proposed(_)
    );
    is_done.then(|| format!("{act:?}"))
}
