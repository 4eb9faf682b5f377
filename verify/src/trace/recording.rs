//! Replaying one run of one broker, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use highwater_model::id::{NodeId, Offset};
use highwater_model::quorum;
use highwater_model::replication;
use highwater_model::trace::{Act, Acted, Began, CoreNumber, Ended, Gap, Life, Step, kind};
use serde::de::DeserializeOwned;

use super::edge::Wrong;
use super::quorum::QuorumLife;
use super::read::{Record, Recording};
use super::replica::{ReplicaLife, carried};
use super::{Finding, Tally, encoded};

/// What the life of a core is replayed with.
pub(super) enum Replayed {
    /// A replica of a partition.
    Replica(Box<ReplicaLife>),
    /// A member of the quorum.
    Quorum(Box<QuorumLife>),
}

/// Which kind of core a number belongs to, and whether it is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Replica,
    Quorum,
}

/// What a record holds.
enum Parsed {
    Began(Box<Began>),
    ReplicaStep(Box<Step<replication::Input>>),
    QuorumStep(Box<Step<quorum::Input>>),
    ReplicaAct(Box<Acted<replication::Timer>>),
    QuorumAct(Box<Acted<quorum::Timer>>),
    Gap(Gap),
    Ended(Ended),
    /// It can not be judged, or need not be; others may have taken what it sent.
    Passed {
        sent: Vec<MessageName>,
        is_unjudged: bool,
    },
    Malformed(String),
}

/// A message on its way, so that two of the same are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MessageName {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    name: u64,
}

/// What the last record showed to others.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The core that took a step, or began, or was shown.
    pub(super) core: Option<CoreNumber>,
    /// A message that was given to the transport, by each name that it may have.
    pub(super) sent: Vec<MessageName>,
    /// What it learned from the controller.
    pub(super) view: Option<replication::PartitionView>,
    /// What was acknowledged to producers that asked for all.
    pub(super) acknowledged: Vec<Offset>,
}

/// A run that is being replayed.
pub struct Replay {
    recording: Recording,
    at: usize,
    next: Option<Parsed>,
    known: BTreeMap<CoreNumber, Known>,
    lives: BTreeMap<CoreNumber, Replayed>,
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

impl Replay {
    /// A run at its beginning.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let cut_short = u64::from(!recording.is_closed);
        let tally = Tally { runs: 1, cut_short, ..Tally::default() };
        let (known, lives, spoilt) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut replay =
            Self { recording, at: 0, next: None, known, lives, spoilt, findings: Vec::new(), tally };
        replay.count_what_is_before();
        replay.parse_next();
        replay
    }

    /// A run whose first files are gone begins with a later number.
    fn count_what_is_before(&mut self) {
        self.tally.missing += self.recording.records.first().map_or(0, |first| first.number);
    }

    /// What was found, and what was judged.
    #[must_use]
    pub fn finish(self) -> (Vec<Finding>, Tally) {
        (self.findings, self.tally)
    }

    pub(super) fn node(&self) -> NodeId {
        self.recording.header.node
    }

    pub(super) fn is_closed(&self) -> bool {
        self.recording.is_closed
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

    /// Whether records are missing anywhere in this run, replayed yet or not.
    pub(super) fn has_gaps(&self) -> bool {
        let records = &self.recording.records;
        let numbers = (0..).zip(records).all(|(expected, record)| record.number == expected);
        !numbers || records.iter().any(|record| record.kind == kind::GAP)
    }

    /// The message that the next record takes, if it takes one.
    pub(super) fn awaits(&self) -> Option<MessageName> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only a step takes a message")]
        match self.next.as_ref()? {
            Parsed::ReplicaStep(step) => {
                let Some(Replayed::Replica(life)) = self.lives.get(&step.core) else { return None };
                let replication::Input::Message { from, message, batches } = &step.input else { return None };
                let from = life.tenure.replicas.get(usize::from(from.0)).copied()?;
                let body = super::replica::body(life.tenure.partition, *message);
                Some(name(from, self.node(), &(body, carried(batches))))
            }
            Parsed::QuorumStep(step) => {
                let quorum::Input::Received(message) = &step.input else { return None };
                Some(name(message.from.id, self.node(), &encoded(message)))
            }
            _ => None,
        }
    }

    /// Every message that is given to the transport in this run, sooner or later.
    pub(super) fn ever_sent(&self) -> impl Iterator<Item = MessageName> + '_ {
        self.recording.records.iter().flat_map(|record| self.sent_by_anybody(record))
    }

    /// The input that is replayed next, in words.
    pub(super) fn next_in_words(&self) -> String {
        match &self.next {
            Some(Parsed::ReplicaStep(step)) => format!("{:?}", step.input),
            Some(Parsed::QuorumStep(step)) => format!("{:?}", step.input),
            _ => String::new(),
        }
    }

    fn parse_next(&mut self) {
        self.next = self.recording.records.get(self.at).map(|record| self.parse(record));
    }

    fn parse(&self, record: &Record) -> Parsed {
        let parsed = match record.kind {
            kind::BEGAN => decode(record).map(|began| Parsed::Began(Box::new(began))),
            kind::STEP | kind::ACT => match self.known_core(record) {
                Ok(None) => Ok(Parsed::Passed { sent: self.sent_by_anybody(record), is_unjudged: true }),
                Ok(Some((core, _))) if self.spoilt.contains(&core) => {
                    Ok(Parsed::Passed { sent: self.sent_by_anybody(record), is_unjudged: false })
                }
                Ok(Some((_, Known::Replica))) if record.kind == kind::STEP => {
                    decode(record).map(|step| Parsed::ReplicaStep(Box::new(step)))
                }
                Ok(Some((_, Known::Quorum))) if record.kind == kind::STEP => {
                    decode(record).map(|step| Parsed::QuorumStep(Box::new(step)))
                }
                Ok(Some((_, Known::Replica))) => decode(record).map(|act| Parsed::ReplicaAct(Box::new(act))),
                Ok(Some((_, Known::Quorum))) => decode(record).map(|act| Parsed::QuorumAct(Box::new(act))),
                Err(error) => Err(error),
            },
            kind::GAP => decode(record).map(Parsed::Gap),
            kind::ENDED => decode(record).map(Parsed::Ended),
            kind::CLOSED => Ok(Parsed::Passed { sent: Vec::new(), is_unjudged: false }),
            other => Err(format!("kind {other}, unknown to this build")),
        };
        parsed.unwrap_or_else(Parsed::Malformed)
    }

    /// The core of a step or an act, if its life is being replayed.
    fn known_core(&self, record: &Record) -> Result<Option<(CoreNumber, Known)>, String> {
        let (core, _) = postcard::take_from_bytes::<CoreNumber>(&record.body).map_err(|e| e.to_string())?;
        let is_here = self.lives.contains_key(&core) || self.spoilt.contains(&core);
        Ok(self.known.get(&core).filter(|_| is_here).map(|known| (core, *known)))
    }

    /// Replays the next record, if there is one.
    pub(super) fn advance(&mut self) -> Option<Shown> {
        let parsed = self.next.take()?;
        let number = self.recording.records.get(self.at).map(|record| record.number);
        self.tally.missing += self.skipped();
        let shown = self.take(parsed).unwrap_or_else(|(core, wrong)| {
            self.find(number.unwrap_or_default(), core, wrong);
            Shown::default()
        });
        self.at += 1;
        self.parse_next();
        Some(shown)
    }

    /// Records that are missing before this one, other than those that are said to be.
    fn skipped(&mut self) -> u64 {
        let mut last =
            self.recording.records.iter().skip(self.at.saturating_sub(1)).map(|record| record.number);
        let (Some(before), Some(here)) = (last.next(), last.next().filter(|_| self.at > 0)) else { return 0 };
        let skipped = here.saturating_sub(before + 1);
        if skipped > 0 {
            self.lives.clear();
        }
        skipped
    }

    fn take(&mut self, parsed: Parsed) -> Result<Shown, (CoreNumber, Wrong)> {
        match parsed {
            Parsed::Began(began) => self.begin(*began),
            Parsed::ReplicaStep(step) => self.step_replica(*step),
            Parsed::QuorumStep(step) => {
                let Step { core, outcome, input } = *step;
                self.tally.steps += 1;
                if let Some(Replayed::Quorum(life)) = self.lives.get_mut(&core) {
                    life.step(outcome, &input).map_err(|wrong| (core, wrong))?;
                }
                Ok(Shown { core: Some(core), ..Shown::default() })
            }
            Parsed::ReplicaAct(acted) => {
                let sent = self.sent(&acted.act, true);
                self.tally.acts += 1;
                let judged = match self.lives.get_mut(&acted.core) {
                    Some(Replayed::Replica(life)) => life.act(&acted.act),
                    _ => Ok(()),
                };
                Ok(self.judged(acted.core, judged, sent))
            }
            Parsed::QuorumAct(acted) => {
                let sent = self.sent(&acted.act, false);
                self.tally.acts += 1;
                let judged = match self.lives.get_mut(&acted.core) {
                    Some(Replayed::Quorum(life)) => life.act(&acted.act),
                    _ => Ok(()),
                };
                Ok(self.judged(acted.core, judged, sent))
            }
            Parsed::Gap(gap) => {
                self.tally.missing += gap.records;
                self.lives.clear();
                Ok(Shown::default())
            }
            Parsed::Ended(ended) => match self.lives.remove(&ended.core) {
                Some(Replayed::Replica(life)) => life.book.end().map_err(|wrong| (ended.core, wrong)),
                Some(Replayed::Quorum(life)) => life.book.end().map_err(|wrong| (ended.core, wrong)),
                None => Ok(()),
            }
            .map(|()| Shown::default()),
            Parsed::Passed { sent, is_unjudged } => {
                self.tally.unjudged += u64::from(is_unjudged);
                Ok(Shown { sent, ..Shown::default() })
            }
            Parsed::Malformed(recorded) => {
                let expected = "a record as docs/TRACE.md has it".to_owned();
                Err((CoreNumber(0), Wrong { rule: "records are well-formed", expected, recorded }))
            }
        }
    }

    /// Whatever is wrong with an act, what it sent was sent.
    fn judged(&mut self, core: CoreNumber, judged: Result<(), Wrong>, sent: Vec<MessageName>) -> Shown {
        if let Err(wrong) = judged {
            let number = self.recording.records.get(self.at).map(|record| record.number);
            self.find(number.unwrap_or_default(), core, wrong);
        }
        Shown { sent, ..Shown::default() }
    }

    /// A frame that was given to the transport. A link that did not take it takes nothing away.
    fn sent<T: Debug>(&self, act: &Act<T>, with_batches: bool) -> Vec<MessageName> {
        let Act::Sent { to, body, carried, .. } = act else { return Vec::new() };
        let from = self.node();
        vec![if with_batches { name(from, *to, &(body, carried)) } else { name(from, *to, body) }]
    }

    /// As [`Self::sent`], of a core that is not judged, whatever kind it is: a frame names no timer.
    fn sent_by_anybody(&self, record: &Record) -> Vec<MessageName> {
        let acted = (record.kind == kind::ACT).then(|| decode::<Acted<replication::Timer>>(record));
        let Some(Ok(Acted { act, .. })) = acted else { return Vec::new() };
        [self.sent(&act, true), self.sent(&act, false)].concat()
    }

    fn begin(&mut self, began: Began) -> Result<Shown, (CoreNumber, Wrong)> {
        let core = began.core;
        if self.spoilt.contains(&core) {
            return Ok(Shown::default());
        }
        if let Some(life) = self.lives.get(&core) {
            return as_replayed(life, &began.life).map_err(|wrong| (core, wrong));
        }
        let begun = match began.life {
            Life::Replica { tenure, from } => {
                self.known.insert(core, Known::Replica);
                ReplicaLife::begin(tenure, from).map(|life| Replayed::Replica(Box::new(life)))
            }
            Life::Quorum { tenure, from } => {
                self.known.insert(core, Known::Quorum);
                QuorumLife::begin(tenure, from).map(|life| Replayed::Quorum(Box::new(life)))
            }
        };
        self.tally.cores += 1;
        self.lives.insert(core, begun.map_err(|wrong| (core, wrong))?);
        Ok(Shown { core: Some(core), ..Shown::default() })
    }

    fn step_replica(&mut self, step: Step<replication::Input>) -> Result<Shown, (CoreNumber, Wrong)> {
        let Step { core, outcome, input } = step;
        self.tally.steps += 1;
        let view = if let replication::Input::View(view) = &input { Some(view.clone()) } else { None };
        let Some(Replayed::Replica(life)) = self.lives.get_mut(&core) else { return Ok(Shown::default()) };
        let stepped = life.step(outcome, input).map_err(|wrong| (core, wrong))?;
        Ok(Shown { core: Some(core), sent: Vec::new(), view, acknowledged: stepped.acknowledged })
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
        match self.lives.get(&core) {
            Some(Replayed::Replica(life)) => format!("core {core} (replica of {})", life.tenure.partition),
            Some(Replayed::Quorum(_)) => format!("core {core} (metadata quorum)"),
            None => format!("core {core}"),
        }
    }
}

/// A core that is shown in the midst of its life must be as it was replayed.
fn as_replayed(life: &Replayed, shown: &Life) -> Result<Shown, Wrong> {
    use highwater_model::trace::Beginning::Shown as AsIs;
    let (replayed, recorded) = match (life, shown) {
        (Replayed::Replica(life), Life::Replica { from: AsIs(shown), .. }) => {
            (encoded(&life.core), &shown.state)
        }
        (Replayed::Quorum(life), Life::Quorum { from: AsIs(shown), .. }) => {
            (encoded(&life.core), &shown.state)
        }
        _ => {
            let expected = "one beginning of each core".to_owned();
            let recorded = "another one".to_owned();
            return Err(Wrong { rule: "a core begins its life once", expected, recorded });
        }
    };
    if replayed == *recorded {
        return Ok(Shown::default());
    }
    let expected = match life {
        Replayed::Replica(life) => format!("{:?}", life.core),
        Replayed::Quorum(life) => format!("{:?}", life.core),
    };
    Err(Wrong {
        rule: "a core is as its replay",
        expected,
        recorded: format!("{} other bytes", recorded.len()),
    })
}

fn name<T: serde::Serialize>(from: NodeId, to: NodeId, what: &T) -> MessageName {
    MessageName { from, to, name: xxhash_rust::xxh3::xxh3_64(&encoded(what)) }
}

fn decode<T: DeserializeOwned>(record: &Record) -> Result<T, String> {
    postcard::from_bytes(&record.body).map_err(|error| error.to_string())
}
