//! All runs of all brokers together, merged by causality: a message is taken after it was sent.
//!
//! What is concurrent may be merged in any order; what is judged here does not depend on it. No clock is read.

use std::collections::{BTreeMap, BTreeSet};

use highwater_model::id::{NodeId, TopicPartition};
use highwater_model::metadata::{Command, Image, Outcome};
use highwater_model::trace::CoreNumber;
use rustc_hash::FxHashSet;

use super::controller::ControllerLife;
use super::edge::{Answer, Wrong};
use super::metadata_cluster::{MetadataWatch, News};
use super::partition::{PartitionWatch, Seen};
use super::quorum_cluster::{self, QuorumWatch};
use super::read::Recording;
use super::recording::{Replay, Replayed, Shown};
use super::replica::ReplicaLife;
use super::roster::Roster;
use super::spoken::{Saying, Speaker};
use super::step::soundly;
use super::{Finding, Tally};

const SENT_BEFORE: &str = "a message that is taken was sent, as it is and by whom it names";

/// What was found, over all brokers.
#[must_use]
pub fn judge(recordings: Vec<Recording>) -> (Vec<Finding>, Tally) {
    let mut cluster = Cluster::default();
    let (mut runs, mut acquainted) = (Vec::new(), Vec::new());
    for recording in recordings {
        let run = Replay::new(recording);
        let (said, knows) = run.ever_said();
        cluster.ever_said.extend(said);
        acquainted.push(((run.node(), run.incarnation()), knows));
        runs.push(run);
    }
    cluster.roster = Roster::new(acquainted);
    while cluster.round(&mut runs) {}
    let unrecorded = cluster.roster.count_unrecorded();
    let is_void = |watch: &&PartitionWatch| watch.promises_nothing();
    let void = u64::try_from(cluster.partitions.values().filter(is_void).count()).unwrap_or(u64::MAX);
    let unordered = cluster.count_unordered();
    let (mut findings, mut tally) = (Vec::new(), Tally { unrecorded, void, unordered, ..Tally::default() });
    for run in runs {
        let (found, judged) = run.finish();
        findings.extend(found);
        tally.add(&judged);
    }
    (findings, tally)
}

/// What is known of the cluster so far.
#[derive(Default)]
struct Cluster {
    said: FxHashSet<Saying>,
    /// Said by anybody at any time, as far as is recorded.
    ever_said: FxHashSet<Saying>,
    roster: Roster,
    partitions: BTreeMap<TopicPartition, PartitionWatch>,
    quorum: QuorumWatch,
    metadata: MetadataWatch,
    disorder: Disorder,
}

/// Of which partitions moments may be shown that never were, whenever they are met.
#[derive(Default)]
struct Disorder {
    is_everywhere: bool,
    /// Of those with replicas on these nodes.
    with: BTreeSet<NodeId>,
}

impl Disorder {
    fn is_of(&self, watch: &PartitionWatch) -> bool {
        self.is_everywhere || self.with.iter().any(|node| watch.has_replica_on(*node))
    }
}

impl Cluster {
    /// Of how many partitions, the quorum counted as one, no moment is judged any more.
    fn count_unordered(&self) -> u64 {
        let partitions = self.partitions.values().filter(|watch| watch.has_lost_order()).count();
        u64::try_from(partitions).unwrap_or(u64::MAX) + u64::from(self.quorum.has_lost_order())
    }

    /// Replays as far as causality lets, and then one step that it does not. Whether there was anything to replay.
    fn round(&mut self, runs: &mut [Replay]) -> bool {
        let mut has_moved = false;
        for place in 0..runs.len() {
            // A run of a node begins after the one before it: what is durable is handed on.
            let Some((run, before)) = split(runs, place) else { continue };
            if before.iter().any(|earlier| earlier.node() == run.node() && !earlier.is_over()) {
                continue;
            }
            has_moved |= self.run_on(run);
        }
        if has_moved || runs.iter().all(Replay::is_over) {
            return has_moved;
        }
        self.let_pass(runs);
        true
    }

    /// Replays one run up to a message that was not sent yet. Whether anything was replayed.
    fn run_on(&mut self, run: &mut Replay) -> bool {
        if run.is_over() {
            return false;
        }
        let mut has_moved = false;
        loop {
            if let Some(awaited) = run.awaits() {
                if !self.said.contains(&awaited) {
                    return has_moved;
                }
                run.tally_mut().messages += 1;
            }
            let Some(shown) = run.advance() else {
                self.lose(run.node());
                return has_moved;
            };
            has_moved = true;
            self.take(run, shown);
        }
    }

    fn take(&mut self, run: &mut Replay, shown: Shown) {
        self.said.extend(shown.said);
        if shown.is_lost {
            self.lose(run.node());
        }
        if let Some(core) = shown.ended {
            self.partitions.values_mut().for_each(|watch| watch.end(run.node(), core));
            self.quorum.end(run.node(), core);
        }
        let Some(core) = shown.core else { return };
        if shown.is_amid {
            self.meet_amid(run, core);
        }
        let seen = soundly(&"a picture of the cluster", || self.see(run, core, &shown));
        if let Err(wrong) = seen.flatten() {
            run.find_here(core, wrong);
            // What follows from it is not held against anybody else.
            self.lose(run.node());
        }
    }

    /// A core is shown that knows more than is recorded, perhaps of what others have yet to do: moments may be shown from here on that
    /// never were.
    fn meet_amid(&mut self, run: &Replay, core: CoreNumber) {
        match run.life(core) {
            Some(Replayed::Replica(life)) => {
                self.partitions.entry(life.tenure.partition).or_default().lose_order();
            }
            Some(Replayed::Quorum(_)) => self.quorum.lose_order(),
            Some(Replayed::Controller(_)) => {
                self.disorder.is_everywhere = true;
                self.partitions.values_mut().for_each(PartitionWatch::lose_order);
            }
            Some(Replayed::Lifecycle(_)) | None => {}
        }
    }

    /// What the cores of this node did from here on is not known, or is over.
    fn lose(&mut self, node: NodeId) {
        self.partitions.values_mut().for_each(|watch| watch.lose(node));
        self.quorum.lose(node);
    }

    fn see(&mut self, run: &Replay, core: CoreNumber, shown: &Shown) -> Result<(), Wrong> {
        match run.life(core) {
            Some(Replayed::Replica(life)) => self.see_replica(core, life, shown),
            Some(Replayed::Quorum(life)) => {
                self.quorum.see(life.tenure.key, quorum_cluster::Seen::of(core, life), Met::of(shown))
            }
            Some(Replayed::Controller(life)) => self.see_controller(run, life, shown),
            Some(Replayed::Lifecycle(_)) | None => Ok(()),
        }
    }

    fn see_replica(&mut self, core: CoreNumber, life: &ReplicaLife, shown: &Shown) -> Result<(), Wrong> {
        let at = life.tenure.partition;
        let watch = self.partitions.entry(at).or_default();
        if watch.is_of(&life.tenure.replicas) {
            if self.disorder.is_of(watch) {
                watch.lose_order();
            }
            watch.decide(self.metadata.image(), at)?;
        }
        if let Some(view) = &shown.view {
            watch.told(view)?;
        }
        watch.see(life.tenure.own, Seen::of(core, life), Met::of(shown))?;
        if life.core.is_leading() {
            watch.isr_is_decided(&life.core)?;
        }
        shown.acknowledged.iter().try_for_each(|offset| watch.acknowledged(life.tenure.own, *offset))
    }

    fn see_controller(&mut self, run: &Replay, life: &ControllerLife, shown: &Shown) -> Result<(), Wrong> {
        let core = &life.core;
        if let Some(quorum_epoch) = core.active_in() {
            self.metadata.hold_office(quorum_epoch, (run.node(), run.incarnation()))?;
        }
        if let Some(command) = &shown.asked {
            self.metadata.asked(command);
        }
        let news = match &shown.committed {
            Some((before, end, records)) => {
                self.metadata.commit(before, (*end, records), core.committed())?
            }
            None if shown.has_begun => self.metadata.meet(core)?,
            None => None,
        };
        if let Some(news) = news {
            self.decide(&news)?;
        }
        match &shown.answered {
            Some((command, answer)) => self.answered(core.committed(), command, answer),
            None => Ok(()),
        }
    }

    /// The controllers have decided something.
    fn decide(&mut self, news: &News) -> Result<(), Wrong> {
        for at in &news.unclean {
            self.partitions.entry(*at).or_default().elect_uncleanly();
        }
        for (at, watch) in &mut self.partitions {
            if news.is_jump {
                watch.forget_changes();
            }
            watch.decide(self.metadata.image(), *at)?;
        }
        Ok(())
    }

    fn answered(&self, image: &Image, command: &Command, answer: &Answer) -> Result<(), Wrong> {
        self.metadata.answered(image, command, answer)?;
        let Command::AlterPartition { partition, proposal, .. } = command else { return Ok(()) };
        let (Some(watch), Ok(Outcome::PartitionAltered(answer))) = (self.partitions.get(partition), answer)
        else {
            return Ok(());
        };
        watch.proposal_answered(proposal, answer)
    }

    /// Whether whoever this is may have said what is not recorded: in a run that is not among the recordings, where records
    /// are missing, or behind the end of a recording, all of which has then been replayed.
    fn may_have_said_more(&self, runs: &[Replay], speaker: Speaker) -> bool {
        let may_be = |run: &&Replay| self.roster.may_be(speaker, (run.node(), run.incarnation()));
        self.roster.unrecorded(speaker).is_some()
            || runs.iter().filter(may_be).any(Replay::may_have_said_more)
    }

    /// Nobody can go on: somebody takes a message that nobody sent, as far as is recorded.
    fn let_pass(&mut self, runs: &mut [Replay]) {
        let waiting = |(place, run): (usize, &Replay)| Some((place, run.awaits()?));
        let blocked: Vec<(usize, Saying)> = runs.iter().enumerate().filter_map(waiting).collect();
        let may_pass = |place: usize| {
            let speaker = runs.get(place).and_then(Replay::awaited_of);
            speaker.is_none_or(|speaker| self.may_have_said_more(runs, speaker))
        };
        // The others wait for what follows.
        let is_never_said = |blocked: &&(usize, Saying)| !self.ever_said.contains(&blocked.1);
        let passes = |blocked: &&(usize, Saying)| may_pass(blocked.0);
        let passing = blocked.iter().filter(is_never_said).find(passes);
        let passing = passing.or_else(|| blocked.iter().find(passes)).copied();
        let wrong = blocked.iter().find(is_never_said).or_else(|| blocked.first()).copied();
        let Some((place, awaited)) = passing.or(wrong) else { return };
        let from = awaited.from;
        let speaker = runs.get(place).and_then(Replay::awaited_of);
        let Some(run) = runs.get_mut(place) else { return };
        if passing.is_none() {
            let from = from.map_or_else(|| "the controller".to_owned(), |from| format!("broker {from}"));
            let expected = format!("a message that {from} has sent to broker {} before", run.node());
            let recorded = run.next_in_words();
            run.find_ahead(Wrong { rule: SENT_BEFORE, expected, recorded });
        } else {
            run.tally_mut().messages_from_the_cut += 1;
            self.said.insert(awaited);
            speaker.into_iter().for_each(|speaker| self.believe(speaker, from));
        }
    }

    /// Whoever said what is believed has done more than is known, and so may others have whom it rests on: of what a member
    /// of the quorum or a controller says, whoever has to do with any partition.
    fn believe(&mut self, speaker: Speaker, from: Option<NodeId>) {
        self.roster.believe(speaker);
        from.into_iter().for_each(|from| self.lose(from));
        self.disorder.is_everywhere |= matches!(speaker, Speaker::Member(..) | Speaker::Controller);
        self.disorder.with.extend(from);
        let disorder = &self.disorder;
        let is_lost = |watch: &&mut PartitionWatch| disorder.is_of(watch);
        self.partitions.values_mut().filter(is_lost).for_each(PartitionWatch::lose_order);
        self.quorum.lose_order();
    }
}

/// How a core is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Its life begins, or is known again from here on.
    Begins,
    /// It goes on from where it was.
    GoesOn,
}

impl Met {
    fn of(shown: &Shown) -> Self {
        if shown.has_begun { Self::Begins } else { Self::GoesOn }
    }
}

/// A run, and those before it.
fn split(runs: &mut [Replay], place: usize) -> Option<(&mut Replay, &[Replay])> {
    let (before, rest) = runs.split_at_mut(place);
    Some((rest.first_mut()?, before))
}
