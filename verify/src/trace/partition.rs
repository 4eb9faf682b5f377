//! One partition over all brokers, as [`highwater_model::invariant::replication`] judges it.
//!
//! What a trace shows of a partition is what its replicas' cores believe, step by step, in an order that keeps causality:
//! each moment of it is one that the cluster may have been in. Nothing is judged here but by the named predicates, over a
//! picture of such a moment on a [`Scale`]. What is not asked, because a trace does not know: RI9 and RI16 (what records
//! hold), RI13 (what a disk lost; its broker says it when it registers), RI17 (what clients sent).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use highwater_model::fault::Sound;
use highwater_model::id::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch, TopicPartition};
use highwater_model::invariant::Violation;
use highwater_model::invariant::metadata::accepted_change_is_the_next_one;
use highwater_model::invariant::replication::{
    self as invariant, Ghosts, Leadership, PartitionSight, Property, ReplicaSight, View, properties,
};
use highwater_model::log::LogShape;
use highwater_model::metadata::{Broker, Image, Partition};
use highwater_model::replication::{
    AlterPartition, AlterPartitionAnswer, AlterPartitionOutcome, FlushPolicy, IsrSet, PartitionView, Replica,
    ReplicaIdx,
};
use highwater_model::trace::CoreNumber;

use super::cluster::Met;
use super::edge::{Wrong, wrong};
use super::history::Committed;
use super::replica::ReplicaLife;
use super::scale::{Scale, Stretch, marks_of, stretches};

const AS_DECIDED: &str = "a replica is told what the controller decided";

/// The predicates that a trace can be asked.
const ASKED: [&str; 12] =
    ["RI1", "RI2", "RI3", "RI4", "RI5", "RI6", "RI7", "RI10", "RI11", "RI12", "RI14", "RL3"];
/// Those of them that compare what several nodes do at one moment. They are asked only while the order of moments is known.
const OF_MOMENTS: [&str; 6] = ["RI2", "RI3", "RI4", "RI5", "RI7", "RL3"];
/// Those of them that hold only as long as no more tails are lost than the promise allows, and no leader was elected who
/// may lack something (R62, R53).
const OF_RECORDS: [&str; 6] = ["RI1", "RI2", "RI3", "RI5", "RI6", "RI7"];

static PROPERTIES: LazyLock<Vec<Property<Stretch>>> =
    LazyLock::new(|| properties().into_iter().filter(|property| ASKED.contains(&property.rule)).collect());

/// What the controller decided in one version of the partition's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decided {
    leader: Option<ReplicaIdx>,
    leader_epoch: LeaderEpoch,
    isr: IsrSet,
}

/// A replica as it was seen last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    core: CoreNumber,
    broker_epoch: BrokerEpoch,
    log: LogShape<LeaderEpoch>,
    high_watermark: Offset,
    leads: Option<Leadership>,
    /// Whether it runs, and nothing that it did is missing.
    is_current: bool,
}

/// One partition.
#[derive(Default)]
pub(super) struct PartitionWatch {
    nodes: Vec<NodeId>,
    replicas: BTreeMap<ReplicaIdx, Seen>,
    decided: BTreeMap<PartitionEpoch, Decided>,
    /// As the controllers have it; or, where none is recorded, as the newest view has it.
    partition: Option<PartitionSight>,
    has_controller: bool,
    /// Registrations as the controllers have them, by replica.
    registered: BTreeMap<ReplicaIdx, BrokerEpoch>,
    changes: Vec<(PartitionEpoch, LeaderEpoch)>,
    committed: Committed<LeaderEpoch>,
    /// The last offset of each leader epoch that was acknowledged to a producer that asked for all.
    acked: BTreeMap<LeaderEpoch, Offset>,
    led: Vec<(LeaderEpoch, ReplicaIdx)>,
    watermarks: BTreeMap<LeaderEpoch, Offset>,
    /// How often a replica came back with less than it had written.
    lossy: u32,
    /// Whether a leader was elected who may lack something.
    is_unclean: bool,
    /// Whether a message was taken that is not recorded as sent.
    has_lost_order: bool,
}

impl PartitionWatch {
    /// A replica took a step, or is met.
    pub(super) fn see(&mut self, own: ReplicaIdx, seen: Seen, met: Met) -> Result<(), Wrong> {
        if met == Met::Begins {
            let before = self.replicas.get(&own);
            self.lossy += u32::from(before.is_some_and(|before| before.log.written() > seen.log.end()));
        }
        let is_lost = |known: &Seen| known.core == seen.core && !known.is_current && met != Met::Begins;
        let is_current = !self.replicas.get(&own).is_some_and(is_lost);
        let seen = Seen { is_current, ..seen };
        if self.replicas.get(&own) == Some(&seen) {
            return Ok(());
        }
        self.remember(&seen, own);
        self.replicas.insert(own, seen);
        self.judge(None)?;
        self.note_leader(own);
        Ok(())
    }

    /// What this node did from here on is not known, or is over: what it has on disk stays.
    pub(super) fn lose(&mut self, node: NodeId) {
        let on = |replica: &ReplicaIdx| self.nodes.get(usize::from(replica.0)) == Some(&node);
        self.replicas.iter_mut().filter(|(replica, _)| on(replica)).for_each(|(_, seen)| {
            seen.is_current = false;
        });
    }

    /// Whether one of its replicas is on this node.
    pub(super) fn has_replica_on(&self, node: NodeId) -> bool {
        self.nodes.contains(&node)
    }

    /// A message that has to do with it was taken that is not recorded as sent. What it rested on may not have been replayed
    /// yet, at whatever node, so that from here on moments may be shown that never were.
    pub(super) fn lose_order(&mut self) {
        self.has_lost_order = true;
    }

    /// Whether moments may have been shown that never were.
    pub(super) fn has_lost_order(&self) -> bool {
        self.has_lost_order
    }

    /// A replica's life has ended in order.
    pub(super) fn end(&mut self, node: NodeId, core: CoreNumber) {
        let on = |replica: &ReplicaIdx| self.nodes.get(usize::from(replica.0)) == Some(&node);
        let is_it = |(replica, seen): &(&ReplicaIdx, &mut Seen)| on(replica) && seen.core == core;
        self.replicas.iter_mut().filter(is_it).for_each(|(_, seen)| seen.is_current = false);
    }

    /// What leaders commit is committed.
    fn remember(&mut self, seen: &Seen, own: ReplicaIdx) {
        let Some(leads) = seen.leads.filter(|_| seen.is_current) else { return };
        self.committed.note(&seen.log, seen.high_watermark);
        if !self.led.contains(&(leads.leader_epoch, own)) {
            // Those of older epochs lead no more: who leads later than the epoch of the controller's record is not known.
            self.led.push((leads.leader_epoch, own));
        }
    }

    fn note_leader(&mut self, own: ReplicaIdx) {
        let Some(seen) = self.replicas.get(&own) else { return };
        if let Some(leads) = seen.leads {
            self.watermarks.insert(leads.leader_epoch, seen.high_watermark);
        }
    }

    /// Whose replicas these are; whether that was not known.
    pub(super) fn is_of(&mut self, nodes: &[NodeId]) -> bool {
        let is_new = self.nodes.is_empty();
        if is_new {
            self.nodes = nodes.to_vec();
        }
        is_new
    }

    /// The controllers have it so from here on.
    pub(super) fn decide(&mut self, image: &Image, at: TopicPartition) -> Result<(), Wrong> {
        let Some(state) = image.partition(at) else { return Ok(()) };
        let sight = sight_in(image, state);
        let registered = state
            .assignment()
            .filter_map(|(replica, node)| Some((replica, image.broker(node)?.broker_epoch)));
        let registered: BTreeMap<ReplicaIdx, BrokerEpoch> = registered.collect();
        if self.partition == Some(sight) && self.registered == registered {
            return Ok(());
        }
        let epochs = (sight.partition_epoch, sight.leader_epoch);
        if self.changes.last() != Some(&epochs) {
            self.changes.push(epochs);
        }
        let is = Decided { leader: sight.leader, leader_epoch: sight.leader_epoch, isr: sight.isr };
        self.decided.insert(sight.partition_epoch, is);
        (self.partition, self.has_controller, self.registered) = (Some(sight), true, registered);
        self.judge(None)
    }

    /// Changes before are not known.
    pub(super) fn forget_changes(&mut self) {
        self.changes.clear();
    }

    /// A leader is told what became of its proposal: it is applied as it was proposed, and as it is committed.
    pub(super) fn proposal_answered(
        &self,
        proposal: &AlterPartition,
        answer: &AlterPartitionAnswer,
    ) -> Result<(), Wrong> {
        accepted_change_is_the_next_one(proposal, answer).map_err(|broken| named(broken, "RI11"))?;
        let AlterPartitionOutcome::Applied { leader_epoch, partition_epoch, isr, .. } = answer.outcome else {
            return Ok(());
        };
        match self.decided.get(&partition_epoch) {
            Some(known) if (known.leader_epoch, known.isr) != (leader_epoch, isr) => {
                wrong(AS_DECIDED, format!("{known:?}"), format!("{answer:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Somebody was elected who may lack something that is committed (R53).
    pub(super) fn elect_uncleanly(&mut self) {
        self.is_unclean = true;
    }

    /// Whether nothing is promised any more of its records.
    pub(super) fn promises_nothing(&self) -> bool {
        self.partition.is_some_and(|partition| self.is_void(&partition))
    }

    /// A replica was told what the controller decided.
    pub(super) fn told(&mut self, view: &PartitionView) -> Result<(), Wrong> {
        let told = Decided { leader: view.leader, leader_epoch: view.leader_epoch, isr: view.isr };
        let known = *self.decided.entry(view.partition_epoch).or_insert(told);
        if known != told {
            let expected = format!("{known:?} in partition epoch {}", view.partition_epoch);
            return wrong(AS_DECIDED, expected, format!("{told:?}"));
        }
        let is_newer = |known: &PartitionSight| view.partition_epoch > known.partition_epoch;
        if !self.has_controller && self.partition.as_ref().is_none_or(is_newer) {
            self.partition = Some(sight_of(view));
        }
        Ok(())
    }

    /// A leader's ISR is one that the controller decided: by its view, or by the answer to its proposal.
    pub(super) fn isr_is_decided(&self, core: &Replica<Sound>) -> Result<(), Wrong> {
        let view = core.view();
        let Some(known) = self.decided.get(&view.partition_epoch) else { return Ok(()) };
        if known.isr != view.isr || known.leader_epoch != view.leader_epoch {
            return wrong(AS_DECIDED, format!("{known:?}"), format!("{view:?}"));
        }
        Ok(())
    }

    /// A producer that asked for all was told by this replica that its batch lies there.
    pub(super) fn acknowledged(&mut self, leader: ReplicaIdx, offset: Offset) -> Result<(), Wrong> {
        if let Some(epoch) = self.replicas.get(&leader).and_then(|seen| seen.log.epoch_at(offset)) {
            let last = self.acked.entry(epoch).or_insert(offset);
            *last = offset.max(*last);
        }
        self.judge(Some((leader, offset)))
    }

    fn is_void(&self, partition: &PartitionSight) -> bool {
        let is_lossy = self.lossy >= u32::from(partition.min_isr);
        self.is_unclean || (partition.flush == FlushPolicy::Os && is_lossy)
    }

    /// Asks the predicates of this moment; of an acknowledgement, whether enough hold what it is of.
    fn judge(&self, acknowledged: Option<(ReplicaIdx, Offset)>) -> Result<(), Wrong> {
        let Some(partition) = self.partition else { return Ok(()) };
        let scale = self.scale(acknowledged.map(|(_, offset)| offset));
        let frame = Frame::of(self, &scale);
        let view = frame.view(self, partition);
        let is_void = self.is_void(&partition);
        let is_asked = |rule: &str| {
            (!is_void || !OF_RECORDS.contains(&rule)) && (!self.has_lost_order || !OF_MOMENTS.contains(&rule))
        };
        for property in PROPERTIES.iter().filter(|property| is_asked(property.rule)) {
            (property.holds)(&view).map_err(|broken| named(broken, property.rule))?;
        }
        match acknowledged {
            Some((leader, offset)) if !is_void && !self.has_lost_order && self.knows_all() => {
                invariant::acked_was_replicated(&view, leader, scale.place(offset))
                    .map_err(|broken| named(broken, "RI8"))
            }
            _ => Ok(()),
        }
    }

    /// Whether every replica is known as it is.
    fn knows_all(&self) -> bool {
        let count = self.replicas.values().filter(|seen| seen.is_current).count();
        count == self.nodes.len()
    }

    fn scale(&self, acknowledged: Option<Offset>) -> Scale {
        let logs = || self.replicas.values().map(|seen| &seen.log);
        let lowest = || logs().map(LogShape::start).min().unwrap_or_default();
        let marks = logs().flat_map(marks_of);
        let watermarks = self.replicas.values().map(|seen| seen.high_watermark);
        let records = self.acked.values().copied().chain(acknowledged).flat_map(|at| [at, at.after(1)]);
        let ghosts = self.watermarks.values().copied().chain(self.committed.marks());
        let base = self.committed.start().unwrap_or_else(lowest);
        Scale::new(base, marks.chain(watermarks).chain(records).chain(ghosts))
    }
}

impl Seen {
    pub(super) fn of(core: CoreNumber, life: &ReplicaLife) -> Self {
        Self {
            core,
            broker_epoch: life.tenure.broker_epoch,
            log: life.core.log().clone(),
            high_watermark: life.core.high_watermark(),
            leads: Leadership::of(&life.core),
            is_current: true,
        }
    }
}

/// A partition as an image has it.
fn sight_in(image: &Image, state: &Partition) -> PartitionSight {
    let is_active = |node| image.broker(node).is_some_and(Broker::is_active);
    let active = state.assignment().filter(|(_, node)| is_active(*node));
    PartitionSight {
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        isr: state.isr,
        eligible_leaders: state.eligible_leaders,
        min_isr: state.min_isr,
        flush: state.flush,
        active: active.map(|(replica, _)| replica).collect(),
    }
}

/// A partition as a view has it, which does not tell who is eligible outside of the ISR.
fn sight_of(view: &PartitionView) -> PartitionSight {
    let active = (0..).map(ReplicaIdx).zip(&view.replicas).filter(|(_, replica)| replica.eligible);
    PartitionSight {
        leader: view.leader,
        leader_epoch: view.leader_epoch,
        partition_epoch: view.partition_epoch,
        isr: view.isr,
        eligible_leaders: IsrSet::EMPTY,
        min_isr: view.min_isr,
        flush: view.flush,
        active: active.map(|(replica, _)| replica).collect(),
    }
}

/// A broken predicate, with the rule that it stands for.
pub(super) fn named(broken: Violation, rule: &str) -> Wrong {
    let Violation { property, details } = broken;
    let expected = format!("{property} ({rule})");
    Wrong { rule: property, expected, recorded: details }
}

/// What a picture borrows.
struct Frame {
    logs: Vec<LogShape<LeaderEpoch>>,
    records: Vec<Vec<Stretch>>,
    committed: Vec<Stretch>,
    acked: Vec<(Offset, u64)>,
    watermarks: Vec<(LeaderEpoch, Offset)>,
    high_watermarks: Vec<Offset>,
}

impl Frame {
    fn of(watch: &PartitionWatch, scale: &Scale) -> Self {
        let seen = |replica| watch.replicas.get(&ReplicaIdx(replica));
        let count = u8::try_from(watch.nodes.len()).unwrap_or(u8::MAX);
        let short = |replica| {
            seen(replica).map_or_else(|| LogShape::empty(Offset::ZERO), |seen| scale.log(&seen.log))
        };
        let logs: Vec<LogShape<LeaderEpoch>> = (0..count).map(short).collect();
        let acked = watch.acked.iter().map(|(epoch, offset)| {
            use invariant::StoredRecord as _;
            let place = scale.place(*offset);
            (place, Stretch::new(*epoch, place).value())
        });
        let place = |offset: Offset| scale.place(offset);
        let high_watermark = |replica| seen(replica).map_or(Offset::ZERO, |seen| place(seen.high_watermark));
        Self {
            records: logs.iter().map(stretches).collect(),
            logs,
            committed: watch.committed.stretches(scale).map(|(epoch, at)| Stretch::new(epoch, at)).collect(),
            acked: acked.collect(),
            watermarks: watch.watermarks.iter().map(|(epoch, at)| (*epoch, place(*at))).collect(),
            high_watermarks: (0..count).map(high_watermark).collect(),
        }
    }

    fn view<'a>(&'a self, watch: &'a PartitionWatch, partition: PartitionSight) -> View<'a, Stretch> {
        let records = self.logs.iter().zip(&self.records).zip(&self.high_watermarks);
        let sights = (0..).map(ReplicaIdx).zip(records);
        let sight =
            |(replica, ((log, records), high_watermark)): (ReplicaIdx, ((&'a _, &'a Vec<_>), &Offset))| {
                let seen = watch.replicas.get(&replica);
                let running = seen.is_some_and(|seen| watch.runs(replica, seen));
                ReplicaSight {
                    running,
                    log,
                    records: records.as_slice(),
                    high_watermark: *high_watermark,
                    leads: seen.and_then(|seen| seen.leads).filter(|_| running),
                    unclean: false,
                }
            };
        View {
            replicas: sights.map(sight).collect(),
            partition,
            ghosts: Ghosts {
                committed: &self.committed,
                acked: &self.acked,
                led: &watch.led,
                watermarks: &self.watermarks,
                changes: &watch.changes,
                ..Ghosts::default()
            },
        }
    }
}

impl PartitionWatch {
    /// Whether a replica runs under the registration that the controllers have: another one is not counted any more.
    fn runs(&self, replica: ReplicaIdx, seen: &Seen) -> bool {
        let registered = self.registered.get(&replica);
        seen.is_current && registered.is_none_or(|registered| *registered == seen.broker_epoch)
    }
}
