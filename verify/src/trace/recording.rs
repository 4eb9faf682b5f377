//! Replaying one run of one broker, record by record.

mod life;
mod parsed;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use highwater_model::id::{IncarnationId, NodeId, Offset};
use highwater_model::metadata::{self, Command, Image, Record as MetadataRecord};
use highwater_model::quorum;
use highwater_model::replication;
use highwater_model::trace::{Act, Began, Beginning, CoreNumber, Ended, Life, Step};

use super::controller::{ControllerLife, FromQuorum, Showed};
use super::edge::{AFTER_END, Answer, Wrong, wrong};
use super::read::{FRAME_BYTES_MAX, Recording};
use super::spoken::{Acquainted, Saying, Speaker, Speakers};
use super::step::soundly;
use super::{Finding, Tally};
pub(super) use life::Replayed;
use parsed::{Entry, Judged, Known, Parsed, parse};

/// What the last record showed to others.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The core that took a step, or began, or was shown.
    pub(super) core: Option<CoreNumber>,
    /// Whether its life begins here, or is known again from here on.
    pub(super) has_begun: bool,
    /// Whether it is shown in the midst of its life: what it knows rests on what others did who knows when.
    pub(super) is_amid: bool,
    /// Whether a core of this run is not followed any more: its life is over, or records are missing.
    pub(super) is_lost: bool,
    /// A core whose life ended in order.
    pub(super) ended: Option<CoreNumber>,
    /// What was said to others.
    pub(super) said: Option<Saying>,
    /// What a replica learned from the controller.
    pub(super) view: Option<replication::PartitionView>,
    /// What was acknowledged to producers that asked for all.
    pub(super) acknowledged: Vec<Offset>,
    /// A batch that a controller took for committed, and the image before it.
    pub(super) committed: Option<(Image, Offset, Vec<MetadataRecord>)>,
    /// A command that a controller was asked.
    pub(super) asked: Option<Command>,
    /// A command that a controller answered.
    pub(super) answered: Option<(Command, Answer)>,
}

impl Shown {
    fn by(core: CoreNumber) -> Self {
        Self { core: Some(core), ..Self::default() }
    }

    fn by_controller(core: CoreNumber, showed: Showed) -> Self {
        let Showed { committed, answered, asked } = showed;
        Self { committed, answered, asked, ..Self::by(core) }
    }
}

/// A run that is being replayed.
pub struct Replay {
    recording: Recording,
    at: usize,
    next: Option<Parsed>,
    known: BTreeMap<CoreNumber, Known>,
    lives: BTreeMap<CoreNumber, Replayed>,
    /// Cores whose lives have ended in order; what was begun for them aside may still come back.
    ended: BTreeMap<CoreNumber, Option<Replayed>>,
    speakers: Speakers,
    /// The controller whose life is replayed, and what it was told before it began.
    controller: Option<CoreNumber>,
    told: Vec<FromQuorum>,
    /// The member of the quorum whose life is replayed.
    quorum: Option<CoreNumber>,
    /// Cores of which something was found: the rest of their lives follows from that.
    spoilt: BTreeSet<CoreNumber>,
    findings: Vec<Finding>,
    tally: Tally,
}

impl Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("header", &self.recording.header).field("at", &self.at).finish()
    }
}

/// Replays one run by itself.
#[must_use]
pub fn replay(recording: Recording) -> (Vec<Finding>, Tally) {
    let mut replay = Replay::new(recording);
    while replay.advance().is_some() {}
    replay.finish()
}

/// What went wrong, of which core.
type OfCore<T> = Result<T, (CoreNumber, Wrong)>;

impl Replay {
    /// A run at its beginning.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let (cut_short, torn_bytes) = (u64::from(!recording.is_closed), recording.torn_bytes);
        // A run whose first files are gone begins with a later number.
        let first = recording.records.first().map_or(0, |first| first.number);
        // More than a frame is not what a process leaves that is killed while it writes.
        let is_torn_far = usize::try_from(torn_bytes).map_or(true, |bytes| bytes > FRAME_BYTES_MAX);
        let missing = first.saturating_add(u64::from(is_torn_far));
        let mut replay = Self {
            recording,
            at: 0,
            next: None,
            known: BTreeMap::new(),
            lives: BTreeMap::new(),
            ended: BTreeMap::new(),
            speakers: Speakers::default(),
            controller: None,
            told: Vec::new(),
            quorum: None,
            spoilt: BTreeSet::new(),
            findings: Vec::new(),
            tally: Tally { runs: 1, cut_short, torn_bytes, missing, ..Tally::default() },
        };
        replay.parse_next();
        replay
    }

    /// What was found, and what was judged.
    #[must_use]
    pub fn finish(self) -> (Vec<Finding>, Tally) {
        (self.findings, self.tally)
    }

    pub(super) fn node(&self) -> NodeId {
        self.recording.header.node
    }

    pub(super) fn incarnation(&self) -> IncarnationId {
        self.recording.header.incarnation
    }

    /// Whether it may have said something that is not among what was replayed up to here: what is lost behind the end of a
    /// recording came after all that is in it.
    pub(super) fn may_have_said_more(&self) -> bool {
        self.tally.missing > 0 || (self.is_over() && !self.recording.is_closed)
    }

    /// Whether everything has been replayed.
    pub(super) fn is_over(&self) -> bool {
        self.next.is_none()
    }

    pub(super) fn life(&self, core: CoreNumber) -> Option<&Replayed> {
        self.lives.get(&core)
    }

    pub(super) fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// What the next record rests on that another must have said.
    pub(super) fn awaits(&self) -> Option<Saying> {
        // Who is spoken to is not known any more where records are missing.
        if self.skipped() > 0 {
            return None;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is heard of others")]
        match self.next.as_ref()? {
            Parsed::Replica(Entry::Step(step)) => {
                let Some(Replayed::Replica(life)) = self.lives.get(&step.core) else { return None };
                let replication::Input::Message { from, message, batches } = &step.input else { return None };
                let from = life.tenure.replicas.get(usize::from(from.0)).copied()?;
                Some(Saying::to_replica((from, self.node()), life.tenure.partition, *message, batches))
            }
            Parsed::Replica(Entry::Act(acted)) => {
                let Some(Replayed::Replica(life)) = self.lives.get(&acted.core) else { return None };
                let Act::ProposalAnswered(answer) = &acted.act else { return None };
                let proposal = life.book.proposal(answer.request_id)?;
                Some(Saying::answer_to_proposal(life.tenure.partition, proposal, *answer))
            }
            Parsed::Quorum(Entry::Step(step)) => {
                let quorum::Input::Received(message) = &step.input else { return None };
                Some(Saying::to_member(self.node(), message))
            }
            Parsed::Controller(Entry::Step(step)) => {
                let metadata::Input::Asked { command, .. } = &step.input else { return None };
                Saying::command(command)
            }
            Parsed::Lifecycle(Entry::Act(acted)) => {
                let Some(Replayed::Lifecycle(life)) = self.lives.get(&acted.core) else { return None };
                let Act::Heard { request, answer: Some(answer) } = &acted.act else { return None };
                Some(Saying::answer(life.book.request(*request)?, answer))
            }
            _ => None,
        }
    }

    /// Who has said what is awaited, as far as it says so itself.
    pub(super) fn awaited_of(&self) -> Option<Speaker> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others are answers of the controller")]
        match self.next.as_ref()? {
            Parsed::Replica(Entry::Step(step)) => {
                let Some(Replayed::Replica(life)) = self.lives.get(&step.core) else { return None };
                let replication::Input::Message { from, message, .. } = &step.input else { return None };
                let from = life.tenure.replicas.get(usize::from(from.0)).copied()?;
                Some(Speaker::of_replica(from, message))
            }
            Parsed::Quorum(Entry::Step(step)) => {
                let quorum::Input::Received(message) = &step.input else { return None };
                Some(Speaker::Member(message.from.id, message.incarnation))
            }
            Parsed::Controller(Entry::Step(step)) => {
                let metadata::Input::Asked { command, .. } = &step.input else { return None };
                Speaker::of_command(command)
            }
            _ => Some(Speaker::Controller),
        }
    }

    /// Everything that is said in this run, sooner or later; and what is known of other runs by it.
    pub(super) fn ever_said(&self) -> (Vec<Saying>, Acquainted) {
        let mut speakers = Speakers::to_learn();
        let records = self.recording.records.iter();
        let said = records.filter_map(|record| speakers.hear(self.node(), record)).collect();
        (said, speakers.into_acquainted())
    }

    /// The input or act that is replayed next, in words.
    pub(super) fn next_in_words(&self) -> String {
        self.next.as_ref().map(Parsed::words).unwrap_or_default()
    }

    fn parse_next(&mut self) {
        let judged = |core| match (self.spoilt.contains(&core), self.known.get(&core)) {
            (true, _) => Judged::Spoilt,
            (false, Some(known)) if self.lives.contains_key(&core) => Judged::As(*known),
            (false, Some(known)) if self.ended.contains_key(&core) => Judged::As(*known),
            _ => Judged::Unknown,
        };
        self.next = self.recording.records.get(self.at).map(|record| parse(record, judged));
    }

    /// Replays the next record, if there is one.
    pub(super) fn advance(&mut self) -> Option<Shown> {
        let parsed = self.next.take()?;
        let node = self.node();
        let record = self.recording.records.get(self.at)?;
        let number = record.number;
        // Whatever is wrong with an act, what it said was said.
        let said = self.speakers.hear(node, record);
        let is_lost = self.skip();
        let core = parsed.core();
        let taken = soundly(&"this record", || self.take(parsed)).map_err(|wrong| (core, wrong));
        let mut shown = taken.flatten().unwrap_or_else(|(core, wrong)| {
            self.find(number, core, wrong);
            Shown { is_lost: true, ..Shown::default() }
        });
        shown.is_lost |= is_lost;
        self.at += 1;
        self.parse_next();
        Some(Shown { said, ..shown })
    }

    /// Records may be missing before this one, other than those that are said to be. Whether they are.
    fn skip(&mut self) -> bool {
        let skipped = self.skipped();
        if skipped > 0 {
            self.tally.missing = self.tally.missing.saturating_add(skipped);
            self.forget_lives();
        }
        skipped > 0
    }

    /// How many records are missing before the next one.
    fn skipped(&self) -> u64 {
        let record = |at: usize| self.recording.records.get(at);
        let (before, here) = (self.at.checked_sub(1).and_then(record), record(self.at));
        match (before, here) {
            (Some(before), Some(here)) => here.number.saturating_sub(before.number.saturating_add(1)),
            _ => 0,
        }
    }

    /// What any core did meanwhile is not known: each is judged again from where it is shown.
    fn forget_lives(&mut self) {
        self.lives.clear();
        self.told.clear();
        (self.controller, self.quorum) = (None, None);
    }

    fn take(&mut self, parsed: Parsed) -> OfCore<Shown> {
        if let Some(late) = self.take_late(&parsed) {
            return late;
        }
        match parsed {
            Parsed::Began(began) => self.begin(*began),
            Parsed::Replica(entry) => self.replica(entry),
            Parsed::Quorum(entry) => self.member(entry),
            Parsed::Controller(entry) => self.controller(entry),
            Parsed::Lifecycle(entry) => self.lifecycle(entry),
            Parsed::Gap(gap) => {
                self.tally.missing = self.tally.missing.saturating_add(gap.records);
                self.forget_lives();
                Ok(Shown { is_lost: true, ..Shown::default() })
            }
            Parsed::Ended(Ended { core }) => {
                let life = self.lives.remove(&core);
                let ended = life.as_ref().map_or(Ok(()), Replayed::end);
                self.ended.insert(core, life);
                let shown = Shown { ended: Some(core), ..Shown::default() };
                ended.map(|()| shown).map_err(|wrong| (core, wrong))
            }
            Parsed::Passed { is_unjudged } => {
                self.tally.unjudged += u64::from(is_unjudged);
                Ok(Shown::default())
            }
            Parsed::Malformed(recorded) => {
                let expected = "a record as docs/TRACE.md has it".to_owned();
                Err((CoreNumber(0), Wrong { rule: "records are well-formed", expected, recorded }))
            }
        }
    }

    /// A record of a core whose life has ended: what was begun aside for it may come back, and nothing else.
    fn take_late(&mut self, parsed: &Parsed) -> Option<OfCore<Shown>> {
        if matches!(parsed, Parsed::Gap(_) | Parsed::Passed { .. } | Parsed::Malformed(_)) {
            return None;
        }
        let core = parsed.core();
        let life = self.ended.get_mut(&core)?;
        let late = match (life, parsed) {
            (Some(Replayed::Replica(life)), Parsed::Replica(Entry::Act(acted))) => life.book.late(&acted.act),
            (None, Parsed::Replica(Entry::Act(_))) => Ok(()),
            _ => wrong(AFTER_END, "nothing more of this core", parsed.words()),
        };
        Some(late.map(|()| Shown::default()).map_err(|wrong| (core, wrong)))
    }

    fn begin(&mut self, began: Began) -> OfCore<Shown> {
        let core = began.core;
        if self.spoilt.contains(&core) {
            return Ok(Shown::default());
        }
        if let Some(life) = self.lives.get(&core) {
            return life.is_as(&began.life).map(|()| Shown::default()).map_err(|wrong| (core, wrong));
        }
        let is_amid = is_shown(&began.life);
        let known = Known::of(&began.life);
        self.known.insert(core, known);
        self.tally.cores += 1;
        let mut life = Replayed::begin(began.life).map_err(|wrong| (core, wrong))?;
        match &mut life {
            Replayed::Quorum(life) => {
                self.quorum = Some(core);
                self.told = life.take_told();
            }
            Replayed::Controller(life) => {
                self.controller = Some(core);
                self.told.drain(..).for_each(|told| life.hear(told));
            }
            Replayed::Replica(_) | Replayed::Lifecycle(_) => {}
        }
        self.lives.insert(core, life);
        Ok(Shown { has_begun: true, is_amid, ..Shown::by(core) })
    }

    fn replica(&mut self, entry: Entry<replication::Input, replication::Timer>) -> OfCore<Shown> {
        match entry {
            Entry::Step(step) => {
                let Step { core, outcome, input } = *step;
                self.tally.steps += 1;
                let view =
                    if let replication::Input::View(view) = &input { Some(view.clone()) } else { None };
                let Some(Replayed::Replica(life)) = self.lives.get_mut(&core) else {
                    return Ok(Shown::default());
                };
                let stepped = life.step(outcome, input).map_err(|wrong| (core, wrong))?;
                Ok(Shown { view, acknowledged: stepped.acknowledged, ..Shown::by(core) })
            }
            Entry::Act(acted) => {
                self.tally.acts += 1;
                let Some(Replayed::Replica(life)) = self.lives.get_mut(&acted.core) else {
                    return Ok(Shown::default());
                };
                life.act(&acted.act).map(|()| Shown::default()).map_err(|wrong| (acted.core, wrong))
            }
        }
    }

    fn member(&mut self, entry: Entry<quorum::Input, quorum::Timer>) -> OfCore<Shown> {
        match entry {
            Entry::Step(step) => {
                let Step { core, outcome, input } = *step;
                self.tally.steps += 1;
                let Some(Replayed::Quorum(life)) = self.lives.get_mut(&core) else {
                    return Ok(Shown::default());
                };
                life.step(outcome, &input).map_err(|wrong| (core, wrong))?;
                let told = life.take_told();
                match self.controller_life() {
                    Some(life) => told.into_iter().for_each(|told| life.hear(told)),
                    None => self.told.extend(told),
                }
                Ok(Shown::by(core))
            }
            Entry::Act(acted) => {
                self.tally.acts += 1;
                let Some(Replayed::Quorum(life)) = self.lives.get_mut(&acted.core) else {
                    return Ok(Shown::default());
                };
                life.act(&acted.act).map(|()| Shown::default()).map_err(|wrong| (acted.core, wrong))
            }
        }
    }

    fn controller(&mut self, entry: Entry<metadata::Input, metadata::Timer>) -> OfCore<Shown> {
        let has_quorum = self.quorum.is_some_and(|core| self.lives.contains_key(&core));
        match entry {
            Entry::Step(step) => {
                let Step { core, outcome, input } = *step;
                self.tally.steps += 1;
                let Some(Replayed::Controller(life)) = self.lives.get_mut(&core) else {
                    return Ok(Shown::default());
                };
                let showed = life.step(outcome, input, has_quorum).map_err(|wrong| (core, wrong))?;
                Ok(Shown::by_controller(core, showed))
            }
            Entry::Act(acted) => {
                self.tally.acts += 1;
                let Some(Replayed::Controller(life)) = self.lives.get_mut(&acted.core) else {
                    return Ok(Shown::default());
                };
                let showed = life.act(&acted.act).map_err(|wrong| (acted.core, wrong))?;
                Ok(Shown::by_controller(acted.core, showed))
            }
        }
    }

    fn lifecycle(
        &mut self,
        entry: Entry<metadata::LifecycleInput, metadata::LifecycleTimer>,
    ) -> OfCore<Shown> {
        let committed = self.controller_life().map(|life| life.core.committed().end());
        match entry {
            Entry::Step(step) => {
                let Step { core, outcome, input } = *step;
                self.tally.steps += 1;
                let Some(Replayed::Lifecycle(life)) = self.lives.get_mut(&core) else {
                    return Ok(Shown::default());
                };
                life.step(outcome, &input, committed).map_err(|wrong| (core, wrong))?;
                Ok(Shown::by(core))
            }
            Entry::Act(acted) => {
                self.tally.acts += 1;
                let Some(Replayed::Lifecycle(life)) = self.lives.get_mut(&acted.core) else {
                    return Ok(Shown::default());
                };
                life.act(&acted.act).map(|()| Shown::default()).map_err(|wrong| (acted.core, wrong))
            }
        }
    }

    fn controller_life(&mut self) -> Option<&mut ControllerLife> {
        match self.lives.get_mut(&self.controller?) {
            Some(Replayed::Controller(life)) => Some(life),
            _ => None,
        }
    }

    /// Notes what is wrong at the record that was replayed last, or is being replayed.
    pub(super) fn find_here(&mut self, core: CoreNumber, wrong: Wrong) {
        let at = self.at.saturating_sub(1);
        let number = self.recording.records.get(at).map(|record| record.number);
        self.find(number.unwrap_or_default(), core, wrong);
        self.parse_next();
    }

    /// Notes what is wrong at the record that is replayed next.
    pub(super) fn find_ahead(&mut self, wrong: Wrong) {
        let Some(record) = self.recording.records.get(self.at) else { return };
        let core =
            postcard::take_from_bytes::<CoreNumber>(&record.body).map_or(CoreNumber(0), |(core, _)| core);
        let number = record.number;
        self.find(number, core, wrong);
        self.parse_next();
    }

    fn find(&mut self, record: u64, core: CoreNumber, wrong: Wrong) {
        let Wrong { rule, expected, recorded } = wrong;
        let header = &self.recording.header;
        self.findings.push(Finding {
            node: header.node.0,
            incarnation: format!("{:032x}", header.incarnation.0),
            record,
            core: self.words(core),
            rule,
            expected,
            recorded,
        });
        self.spoilt.insert(core);
        self.lives.remove(&core);
    }

    fn words(&self, core: CoreNumber) -> String {
        let words = self.lives.get(&core).map(|life| format!(" ({})", life.words()));
        format!("core {core}{}", words.unwrap_or_default())
    }
}

/// Whether a core is shown in the midst of its life.
fn is_shown(life: &Life) -> bool {
    match life {
        Life::Replica { from, .. } => matches!(from, Beginning::Shown(_)),
        Life::Quorum { from, .. } => matches!(from, Beginning::Shown(_)),
        Life::Controller { from, .. } => matches!(from, Beginning::Shown(_)),
        Life::Lifecycle { from, .. } => matches!(from, Beginning::Shown(_)),
    }
}
