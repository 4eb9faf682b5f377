//! What a run found: for people and for programs.

use serde::Serialize;

use super::judge::Verdict;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, thousands};
use crate::cli::replicas::Compared;

/// What was killed, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Kill {
    /// The broker.
    pub(super) broker: u32,
    /// Partitions that it led.
    pub(super) led_partitions: Vec<u32>,
    /// Whether it was also the active controller.
    pub(super) was_active_controller: bool,
    /// Batches that were sent and not answered at that moment.
    pub(super) batches_in_flight: usize,
    /// Records acknowledged until then.
    pub(super) acknowledged_before: u64,
    /// Records acknowledged from then on.
    pub(super) acknowledged_after: u64,
    /// From SIGKILL to the next acknowledged write to each partition that it led; the longest.
    pub(super) fail_over_ms: Option<u64>,
    /// That write of each partition.
    pub(super) next_leaders: Vec<NextLeader>,
    /// From its restart until it was in every ISR again.
    pub(super) back_in_isr_ms: u64,
}

/// The first write that was acknowledged by the next leader of a partition whose leader was killed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NextLeader {
    /// The partition.
    pub(super) partition: u32,
    /// The leader epoch of the one that was killed.
    pub(super) killed_leader_epoch: u32,
    /// Who acknowledged.
    pub(super) broker: u32,
    /// Under which leader epoch.
    pub(super) leader_epoch: u32,
    /// How long after SIGKILL.
    pub(super) after_ms: u64,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Brokers.
    pub(super) brokers: u32,
    /// Partitions of the topic.
    pub(super) partitions: u32,
    /// Replicas of each.
    pub(super) replication_factor: u16,
    /// The topic's `min.insync.replicas`.
    pub(super) min_insync_replicas: u16,
    /// The seed.
    pub(super) seed: u64,
    /// Records that were to be produced.
    pub(super) records: u64,
    /// Records that were acknowledged.
    pub(super) acknowledged: u64,
    /// Records that were not acknowledged in time.
    pub(super) failed: u64,
    /// Records that were consumed.
    pub(super) consumed: u64,
    /// Acknowledged records that are not there.
    pub(super) lost: u64,
    /// Records that are there more than once.
    pub(super) duplicated: u64,
    /// Records behind one that their producer sent later.
    pub(super) reordered: u64,
    /// Consumed records that nobody sent.
    pub(super) foreign: u64,
    /// The kill's fail-over, again.
    pub(super) fail_over_ms: Option<u64>,
    /// The kill.
    pub(super) kill: Option<Kill>,
    /// How long producing took.
    pub(super) produce_ms: u64,
    /// How long consuming took.
    pub(super) consume_ms: u64,
    /// Whether what all replicas hold was compared.
    pub(super) replicas_compared: bool,
    /// What that came to.
    pub(super) replicas: Option<Compared>,
}

impl Report {
    /// Puts in what the judge found.
    pub(super) fn judged(mut self, verdict: &Verdict) -> Self {
        self.acknowledged = verdict.acknowledged;
        self.consumed = verdict.consumed;
        self.lost = verdict.lost;
        self.duplicated = verdict.duplicated;
        self.reordered = verdict.reordered;
        self.foreign = verdict.foreign;
        self
    }

    /// How many promises were not kept.
    pub(super) fn broken_promises(&self) -> u64 {
        self.lost + self.duplicated + self.reordered + self.foreign + self.differing_replicas()
    }

    /// How many logs differ from their leader's.
    pub(super) fn differing_replicas(&self) -> u64 {
        self.replicas.as_ref().map_or(0, |compared| compared.differences.len() as u64)
    }

    /// Tells a person.
    pub(super) fn print(&self, output: &Output) -> Result<(), Failure> {
        let line = |name: &str, value: String| output.text(format!("  {name:<14} {value}"));
        output.text("")?;
        let split = self.kill.as_ref().map(|kill| {
            let (before, after) = (thousands(kill.acknowledged_before), thousands(kill.acknowledged_after));
            format!("   ({before} before the kill, {after} after)")
        });
        line("acknowledged", format!("{}{}", thousands(self.acknowledged), split.unwrap_or_default()))?;
        if self.failed > 0 {
            line("not in time", thousands(self.failed))?;
        }
        line("consumed", thousands(self.consumed))?;
        line("lost", thousands(self.lost))?;
        line("duplicated", thousands(self.duplicated))?;
        line("reordered", thousands(self.reordered))?;
        if self.foreign > 0 {
            line("foreign", thousands(self.foreign))?;
        }
        if let Some(compared) = &self.replicas {
            let (logs, records) = (compared.logs, thousands(compared.records));
            let differing = self.differing_replicas();
            line(
                "replicas",
                format!("{logs} compared with their leaders, {records} records alike, {differing} differ"),
            )?;
            compared.differences.iter().try_for_each(|difference| line("", difference.clone()))?;
        }
        if let Some(kill) = &self.kill {
            line("in flight", format!("{} batches at the kill", kill.batches_in_flight))?;
            let fail_over = kill.fail_over_ms.map_or_else(|| "not seen".to_owned(), |ms| format!("{ms} ms"));
            line(
                "fail-over",
                format!("{fail_over}   (SIGKILL to the first write that the next leader acknowledged)"),
            )?;
            line("back in ISR", format!("{} ms after its restart", kill.back_in_isr_ms))?;
        }
        Ok(())
    }
}
