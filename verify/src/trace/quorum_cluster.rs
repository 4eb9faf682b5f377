//! What must hold of the metadata quorum over all its members, whatever order of what is concurrent is chosen.

use std::collections::BTreeMap;

use highwater_model::id::{IncarnationId, Offset, QuorumEpoch};
use highwater_model::quorum::VoterKey;

use super::edge::{Wrong, wrong};
use super::history::{Committed, Lineage};
use super::quorum::QuorumLife;

const ONE_LEADER: &str = "quorum/one_leader_per_epoch (QI1)";
const MATCHING: &str = "quorum/logs_match (QI2)";
const STABLE: &str = "quorum/committed_never_changes (QI3)";
const COMPLETE: &str = "quorum/leader_is_complete (QI4)";
const WATERMARK: &str = "quorum/high_watermark_never_moves_back (QI6)";
const EPOCH: &str = "quorum/quorum_epoch_never_moves_back (QI7)";
const ONE_VOTE: &str = "quorum/one_vote_per_epoch (QI8)";
const ONE_CHANGE: &str = "quorum/voters_change_one_at_a_time (QI9)";

/// The quorum.
#[derive(Default)]
pub(super) struct QuorumWatch {
    leaders: BTreeMap<QuorumEpoch, (VoterKey, IncarnationId)>,
    votes: BTreeMap<(VoterKey, QuorumEpoch), VoterKey>,
    epochs: BTreeMap<VoterKey, QuorumEpoch>,
    watermarks: BTreeMap<IncarnationId, Offset>,
    lineage: Lineage<QuorumEpoch>,
    committed: Committed<QuorumEpoch>,
}

impl QuorumWatch {
    /// A member took a step, or is met for the first time.
    pub(super) fn see(&mut self, life: &QuorumLife) -> Result<(), Wrong> {
        let (core, tenure) = (&life.core, &life.tenure);
        self.vote(life)?;
        self.lineage.see(core.log(), MATCHING)?;
        let quorum_epoch = core.quorum_epoch();
        if core.is_leader() && core.log().last_epoch() == Some(quorum_epoch) {
            let leader = (tenure.key, tenure.incarnation);
            let known = *self.leaders.entry(quorum_epoch).or_insert_with(|| leader);
            if known != leader {
                let expected = format!("{known:?} leads in quorum epoch {quorum_epoch}");
                return wrong(ONE_LEADER, expected, format!("{leader:?} does"));
            }
            self.committed.lead(core.log(), quorum_epoch, COMPLETE)?;
        }
        self.voters(life)?;
        let Some(high_watermark) = core.high_watermark() else { return Ok(()) };
        let before = self.watermarks.entry(tenure.incarnation).or_default();
        if *before > high_watermark {
            return wrong(WATERMARK, format!("{before} or more"), format!("{high_watermark}"));
        }
        *before = high_watermark;
        if core.is_leader() {
            return self.committed.see(core.log(), high_watermark, quorum_epoch, [STABLE, COMPLETE]);
        }
        let known = high_watermark.min(self.committed.end());
        self.committed.see(core.log(), known, quorum_epoch, [STABLE, COMPLETE])
    }

    /// A vote counts once it is stored: one that was not leaves no trace elsewhere.
    fn vote(&mut self, life: &QuorumLife) -> Result<(), Wrong> {
        let (key, stored) = (life.tenure.key, life.core.stored());
        let newest = self.epochs.entry(key).or_insert(stored.quorum_epoch);
        if *newest > stored.quorum_epoch {
            return wrong(EPOCH, format!("quorum epoch {newest} or more"), format!("{stored:?}"));
        }
        *newest = stored.quorum_epoch;
        let Some(candidate) = stored.voted_for else { return Ok(()) };
        let known = *self.votes.entry((key, stored.quorum_epoch)).or_insert(candidate);
        if known != candidate {
            return wrong(ONE_VOTE, format!("{key} votes for {known}"), format!("{stored:?}"));
        }
        Ok(())
    }

    fn voters(&self, life: &QuorumLife) -> Result<(), Wrong> {
        for pair in life.core.voters().records().windows(2) {
            let [before, after] = pair else { continue };
            let differ =
                |one: &[VoterKey], other: &[VoterKey]| one.iter().filter(|key| !other.contains(key)).count();
            let (old, new) = (before.voters.keys(), after.voters.keys());
            if differ(old, new) + differ(new, old) > 1 {
                return wrong(ONE_CHANGE, format!("one more or one less than {old:?}"), format!("{new:?}"));
            }
        }
        Ok(())
    }
}
