//! What must hold of one partition over all brokers, whatever order of what is concurrent is chosen.

use std::collections::BTreeMap;

use highwater_model::fault::Sound;
use highwater_model::id::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch};
use highwater_model::replication::{IsrSet, PartitionView, Replica, ReplicaIdx};

use super::edge::{Wrong, wrong};
use super::history::{Committed, Lineage};
use super::replica::ReplicaLife;

const ONE_LEADER: &str = "replication/one_leader_per_epoch (RI10)";
const STABLE: &str = "replication/committed_stable (RI1)";
const COMPLETE: &str = "replication/leader_completeness (RI2)";
const MATCHING: &str = "replication/log_matching (RI6)";
const ACKED: &str = "replication/acked_was_replicated (RI7)";
const ONE_RECORD: &str = "replication/cas_linear (RI11)";
const WATERMARK: &str = "replication/watermark_order (RI14)";

/// Who leads: a broker in one registration.
type Leader = (NodeId, BrokerEpoch);

/// What the controller decided in one version of the partition's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decided {
    leader: Option<ReplicaIdx>,
    leader_epoch: LeaderEpoch,
    isr: IsrSet,
}

/// One partition.
#[derive(Default)]
pub(super) struct PartitionWatch {
    leaders: BTreeMap<LeaderEpoch, Leader>,
    watermarks: BTreeMap<LeaderEpoch, Offset>,
    decided: BTreeMap<PartitionEpoch, Decided>,
    lineage: Lineage<LeaderEpoch>,
    committed: Committed<LeaderEpoch>,
}

impl PartitionWatch {
    /// A replica took a step, or is met for the first time.
    pub(super) fn see(&mut self, node: NodeId, life: &ReplicaLife) -> Result<(), Wrong> {
        let core = &life.core;
        self.lineage.see(core.log(), MATCHING)?;
        if core.is_leading() {
            self.lead((node, life.tenure.broker_epoch), core)?;
        }
        let by = core.view().leader_epoch;
        if core.is_leading() {
            self.committed.see(core.log(), core.high_watermark(), by, [STABLE, COMPLETE])
        } else {
            // A follower commits nothing, but what it takes for committed is.
            let known = core.high_watermark().min(self.committed.end());
            self.committed.see(core.log(), known, by, [STABLE, COMPLETE])
        }
    }

    fn lead(&mut self, leader: Leader, core: &Replica<Sound>) -> Result<(), Wrong> {
        let leader_epoch = core.view().leader_epoch;
        match self.leaders.get(&leader_epoch) {
            None => {
                self.leaders.insert(leader_epoch, leader);
                self.committed.lead(core.log(), leader_epoch, COMPLETE)?;
            }
            Some(known) if *known != leader => {
                let expected = format!("{known:?} leads in leader epoch {leader_epoch}");
                return wrong(ONE_LEADER, expected, format!("{leader:?} does"));
            }
            Some(_) => {}
        }
        let known = self.watermarks.entry(leader_epoch).or_default();
        if *known > core.high_watermark() {
            let expected = format!("a high watermark of {known} or more in leader epoch {leader_epoch}");
            return wrong(WATERMARK, expected, format!("{}", core.high_watermark()));
        }
        *known = core.high_watermark();
        Ok(())
    }

    /// A replica was told what the controller decided.
    pub(super) fn decided(&mut self, view: &PartitionView) -> Result<(), Wrong> {
        let told = Decided { leader: view.leader, leader_epoch: view.leader_epoch, isr: view.isr };
        let known = *self.decided.entry(view.partition_epoch).or_insert(told);
        if known != told {
            let expected = format!("{known:?} in partition epoch {}", view.partition_epoch);
            return wrong(ONE_RECORD, expected, format!("{told:?}"));
        }
        Ok(())
    }

    /// A leader's ISR is one that the controller decided.
    pub(super) fn isr_is_decided(&self, core: &Replica<Sound>) -> Result<(), Wrong> {
        let view = core.view();
        let Some(known) = self.decided.get(&view.partition_epoch) else { return Ok(()) };
        if known.isr != view.isr || known.leader_epoch != view.leader_epoch {
            return wrong(ONE_RECORD, format!("{known:?}"), format!("{view:?}"));
        }
        Ok(())
    }

    /// A producer that asked for all was told that its batch lies there.
    pub(super) fn acknowledged(&self, offset: Offset) -> Result<(), Wrong> {
        if offset < self.committed.end() {
            return Ok(());
        }
        let expected =
            format!("acknowledgements below {}, where what is committed ends", self.committed.end());
        wrong(ACKED, expected, format!("one at {offset}"))
    }
}
