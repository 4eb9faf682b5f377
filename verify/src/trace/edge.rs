//! What a driver owes at the edge, and whether it did that and nothing else: one book for each life of a core.
//!
//! A step's effects are entered as owed; each act must be the next that is owed, or the end of something submitted. An
//! input that only the edge can bring about must follow at once upon the act that brought it about, and name the log as
//! it was when the thing was submitted.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;

use highwater_model::id::{LogGeneration, NodeId, Offset, RequestId};
use highwater_model::quorum::{SnapshotId, Vote};
use highwater_model::replication::{AlterPartition, AlterPartitionAnswer};
use highwater_model::trace::{Act, Carried, Effects, How, Told, UnderWay};

/// What differs between the kinds of cores.
pub(super) trait Kind {
    /// Names of its timers.
    type Timer: Copy + Ord + Debug;
    /// Whether messages that wait for their records leave in order, and not at all once the log was cut.
    const READS_IN_ORDER: bool;
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
    Arm(T),
    Disarm(T),
    Reply { request: u64, told: Told },
    Wake,
    FetchSnapshot(SnapshotId),
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
    proposals: Vec<AlterPartition>,
    proposed: Vec<RequestId>,
    answered: Vec<AlterPartitionAnswer>,
    /// Writes that wait for room.
    stalled: u32,
    has_stalled: bool,
    /// Whether it begins in the midst of a life.
    is_partial: bool,
    /// Whether the next step may have been brought about before the records begin.
    is_first: bool,
    is_offline: bool,
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
            proposals: Vec::new(),
            proposed: Vec::new(),
            answered: Vec::new(),
            stalled: 0,
            has_stalled: false,
            is_partial: false,
            is_first: false,
            is_offline: false,
        }
    }

    /// The book of a core that is shown in the midst of its life.
    pub(super) fn partial(under_way: UnderWay) -> Self {
        let unknown = |count: u32| (0..count).map(|_| UNKNOWN).collect::<VecDeque<_>>();
        Self {
            writes: unknown(under_way.writes),
            writes_submitted: under_way.writes.into(),
            syncs: unknown(under_way.syncs),
            stores: (0..under_way.stores).map(|_| None).collect(),
            reading_unknown: under_way.sends,
            is_partial: true,
            is_first: true,
            ..Self::new()
        }
    }

    pub(super) fn owe(&mut self, owed: Owed<K::Timer>) {
        self.owed.push_back(owed);
    }

    /// A proposal is to be handed over, whenever.
    pub(super) fn owe_proposal(&mut self, proposal: AlterPartition) {
        self.proposals.push(proposal);
    }

    /// The core's life ends in order.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        self.nothing_owed(&"the end of its life")
    }

    fn nothing_owed(&self, next: &dyn Debug) -> Result<(), Wrong> {
        match self.owed.front() {
            Some(owed) if !self.is_offline => wrong(EACH_EFFECT, shown_owed::<K>(owed), format!("{next:?}")),
            _ => Ok(()),
        }
    }

    /// The core takes an input that was brought about so.
    pub(super) fn step(&mut self, cause: &Cause<K::Timer>, input: &dyn Debug) -> Result<(), Wrong> {
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
            | Cause::Expired(_)) => {
                wrong(EACH_INPUT, format!("an act at the edge before {caused:?}"), format!("{input:?}"))
            }
        }
    }

    fn take_answer(&mut self, answer: &AlterPartitionAnswer, input: &dyn Debug) -> Result<(), Wrong> {
        match self.answered.iter().position(|known| known == answer) {
            Some(at) => {
                self.answered.remove(at);
                Ok(())
            }
            None if self.is_partial => Ok(()),
            None => wrong(EACH_INPUT, "an answer that came from the controller", format!("{input:?}")),
        }
    }

    /// The core's step was refused, which is itself the answer to this request.
    pub(super) fn owe_refusal(&mut self, request: RequestId) {
        self.owe(Owed::Reply { request: request.0, told: Told::Refused });
    }

    /// Enters an act.
    pub(super) fn act(&mut self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.is_offline {
            return Ok(());
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
            Act::NotSent => self.not_sent(act),
            Act::Reading { to, from, end } => self.read(*to, (*from, *end), act),
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
                self.is_offline = true;
                Ok(())
            }
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

    fn write(
        &mut self,
        from: Offset,
        end: Offset,
        carried: Carried,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        let generation = match self.owed.front() {
            Some(Owed::Write { generation, carried: expected, .. }) => {
                let (generation, carried) = (*generation, expected.map(|_| carried));
                self.next(&Owed::Write { from, end, generation, carried }, act)?;
                Some(generation)
            }
            _ if self.stalled > 0 => {
                self.stalled -= 1;
                None
            }
            _ => {
                return self
                    .next(&Owed::Write { from, end, generation: LogGeneration(0), carried: None }, act);
            }
        };
        self.writes_submitted += 1;
        self.writes.push_back(Submitted { end: Some(end), generation, writes_before: 0 });
        Ok(())
    }

    fn write_ended(&mut self, how: How, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        let Some(write) = self.writes.pop_front() else {
            return wrong(EACH_END, "no end of a write: none is under way", shown::<K>(act));
        };
        self.writes_ended += 1;
        self.is_due_optional = how != How::Done(write.end.unwrap_or_default()) || write.generation.is_none();
        match how {
            How::Done(end) if write.end.is_some_and(|expected| expected != end) => {
                wrong(EACH_END, format!("{write:?}"), shown::<K>(act))
            }
            How::Done(end) => {
                self.due = write.generation.map(|generation| Cause::Written(end, generation));
                self.is_first = write.generation.is_none();
                Ok(())
            }
            How::NoRoom => {
                self.due = write.generation.map(Cause::WriteFailed);
                self.is_first = write.generation.is_none();
                Ok(())
            }
            How::Failed => Ok(()),
        }
    }

    fn sync(&mut self, end: Offset, act: &Act<K::Timer>) -> Result<(), Wrong> {
        let generation = match self.owed.front() {
            Some(Owed::Sync { generation }) => {
                let generation = *generation;
                self.next(&Owed::Sync { generation }, act)?;
                Some(generation)
            }
            _ if self.has_stalled => None,
            _ => return self.next(&Owed::Sync { generation: LogGeneration(0) }, act),
        };
        self.syncs.push_back(Submitted { end: Some(end), generation, writes_before: self.writes_submitted });
        Ok(())
    }

    fn sync_ended(&mut self, how: How, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        let Some(sync) = self.syncs.pop_front() else {
            return wrong(EACH_END, "no end of a sync: none is under way", shown::<K>(act));
        };
        let How::Done(end) = how else { return Ok(()) };
        if sync.end.is_some_and(|expected| expected != end) || self.writes_ended < sync.writes_before {
            let ended = self.writes_ended;
            return wrong(EACH_END, format!("{sync:?} after {ended} writes"), shown::<K>(act));
        }
        self.is_due_optional = false;
        self.due = sync.generation.map(|generation| Cause::Flushed(end, generation));
        self.is_first = sync.generation.is_none();
        Ok(())
    }

    /// What has ended before must have been given to the core.
    fn no_end_is_due(&self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        match &self.due {
            Some(due) if !self.is_due_optional => wrong(EACH_END, format!("{due:?}"), shown::<K>(act)),
            _ => Ok(()),
        }
    }

    fn cut(
        &mut self,
        how: How,
        act: &Act<K::Timer>,
        owed: impl Fn(Offset) -> Owed<K::Timer>,
    ) -> Result<(), Wrong> {
        self.reading.iter_mut().for_each(|reading| reading.is_void = true);
        match (how, self.owed.front()) {
            (How::Done(end), _) => self.next(&owed(end), act),
            // The driver gives up next.
            (How::NoRoom | How::Failed, Some(Owed::Cut(_) | Owed::Restart(_))) => {
                self.owed.pop_front();
                Ok(())
            }
            _ => wrong(EACH_ACT, "nothing more of this step", shown::<K>(act)),
        }
    }

    fn store(&mut self, vote: Vote, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.owed.front() == Some(&Owed::Store(vote)) || !self.has_stalled {
            self.next(&Owed::Store(vote), act)?;
        }
        self.stores.push_back(Some(vote));
        Ok(())
    }

    fn store_ended(&mut self, how: How, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        let Some(vote) = self.stores.pop_front() else {
            return wrong(EACH_END, "no end of a store: none is under way", shown::<K>(act));
        };
        match how {
            How::Done(_) => {
                self.is_due_optional = false;
                self.due = vote.map(Cause::Stored);
                self.is_first = vote.is_none();
            }
            How::NoRoom => self.has_stalled = true,
            How::Failed => {}
        }
        Ok(())
    }

    fn stall(&mut self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.owed.pop_front_if(|owed| matches!(owed, Owed::Write { .. })).is_some() {
            self.stalled += 1;
        } else if !self.has_stalled {
            return wrong(EACH_ACT, "no write that waits", shown::<K>(act));
        }
        self.has_stalled = true;
        Ok(())
    }

    fn read(&mut self, to: NodeId, range: (Offset, Offset), act: &Act<K::Timer>) -> Result<(), Wrong> {
        match self.owed.front() {
            Some(Owed::Read(owed)) if (owed.to, (owed.from, owed.end)) == (to, range) => {
                self.reading.push_back(owed.clone());
                self.owed.pop_front();
                Ok(())
            }
            Some(owed) => wrong(EACH_EFFECT, shown_owed::<K>(owed), shown::<K>(act)),
            None => wrong(EACH_ACT, "nothing more of this step", shown::<K>(act)),
        }
    }

    fn sent(&mut self, to: NodeId, body: &[u8], carried: Carried, act: &Act<K::Timer>) -> Result<(), Wrong> {
        let is_next = |owed: &mut Owed<K::Timer>| matches!(owed, Owed::Send { to: next, body: expected, .. } if *next == to && expected == body);
        if carried.count == 0 && self.owed.pop_front_if(is_next).is_some() {
            return Ok(());
        }
        let is_it = |reading: &Reading| reading.to == to && K::is_filled(reading, body);
        let at = self.reading.iter().position(is_it).filter(|at| !K::READS_IN_ORDER || *at == 0);
        if let Some(reading) = at.and_then(|at| self.reading.remove(at)) {
            if reading.is_void && K::READS_IN_ORDER {
                return wrong(GENERATION, "nothing that was read before the log was cut", shown::<K>(act));
            }
            return Ok(());
        }
        if self.reading_unknown > 0 {
            self.reading_unknown -= 1;
            return Ok(());
        }
        match (self.owed.front(), self.reading.front()) {
            (Some(owed), _) => wrong(EACH_EFFECT, shown_owed::<K>(owed), shown::<K>(act)),
            (None, Some(reading)) => wrong(EACH_ACT, K::spoken(&reading.body), shown::<K>(act)),
            (None, None) => wrong(EACH_ACT, "no message", shown::<K>(act)),
        }
    }

    fn not_sent(&mut self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.reading_unknown > 0 {
            self.reading_unknown -= 1;
            return Ok(());
        }
        if K::READS_IN_ORDER && self.reading.pop_front().is_none() {
            return wrong(EACH_ACT, "no message that waits for its records", shown::<K>(act));
        }
        Ok(())
    }

    fn expired(&mut self, timer: K::Timer, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        if !self.armed.remove(&timer) && !self.is_partial {
            return wrong(EACH_ACT, "no timer that was not armed", shown::<K>(act));
        }
        self.is_due_optional = false;
        self.due = Some(Cause::Expired(timer));
        Ok(())
    }

    fn replied(&mut self, request: u64, told: Told, act: &Act<K::Timer>) -> Result<(), Wrong> {
        let told = match self.owed.front() {
            Some(Owed::Reply { told: expected, .. }) if K::ASKERS_GO && told == Told::Nobody => *expected,
            _ => told,
        };
        self.next(&Owed::Reply { request, told }, act)
    }

    fn proposed(&mut self, proposal: &AlterPartition, act: &Act<K::Timer>) -> Result<(), Wrong> {
        let known = self.proposals.iter().position(|known| known == proposal);
        if let Some(at) = known {
            self.proposals.remove(at);
        } else if !self.is_partial {
            return wrong(EACH_ACT, "no proposal", shown::<K>(act));
        }
        self.proposed.push(proposal.request_id);
        Ok(())
    }

    fn proposal_answered(&mut self, answer: AlterPartitionAnswer, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if !self.proposed.contains(&answer.request_id) && !self.is_partial {
            return wrong(EACH_END, "an answer to a proposal that was made", shown::<K>(act));
        }
        self.answered.push(answer);
        Ok(())
    }
}

/// An act in words.
fn shown<K: Kind>(act: &Act<K::Timer>) -> String {
    let Act::Sent { to, body, carried, has_link } = act else { return format!("{act:?}") };
    format!("Sent {{ to: {to}, {}, {carried:?}, link: {has_link} }}", K::spoken(body))
}

/// What is owed, in words.
fn shown_owed<K: Kind>(owed: &Owed<K::Timer>) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are words already")]
    match owed {
        Owed::Send { to, body } => format!("Send {{ to: {to}, {} }}", K::spoken(body)),
        Owed::Read(reading) => format!(
            "Read [{}, {}) for {}, {}",
            reading.from,
            reading.end,
            reading.to,
            K::spoken(&reading.body)
        ),
        _ => format!("{owed:?}"),
    }
}

/// The effects of a step as a trace has them.
pub(super) fn effects_digest(count: usize, digest: u32) -> Effects {
    Effects { count: u32::try_from(count).unwrap_or(u32::MAX), digest }
}
