//! A replica's refusal, as a client is told it: which replica is missing, since when, and why, from the image.

use std::time::Duration;

use highwater_model::api::ApiError;
use highwater_model::fault::Faults;
use highwater_model::id::NodeId;
use highwater_model::metadata::{MissingReason, Partition};
use highwater_model::replication::{IsrSet, Refusal, ReplicaIdx};

use super::ReplicaDriver;

impl<F: Faults> ReplicaDriver<F> {
    /// Code and words of a refusal.
    pub(super) fn explained(&self, refusal: &Refusal) -> ApiError {
        let tenure = &self.parts.tenure;
        let node = |replica: ReplicaIdx| tenure.replicas.get(usize::from(replica.0)).copied();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other refusals speak of no node")]
        let message = match refusal {
            Refusal::NotEnoughReplicas { isr, min_isr, missing } => {
                let needed = format!("{} in sync, min.insync.replicas={min_isr}", isr.count());
                format!("{needed}; nothing was written; missing: {}", self.missing(*missing))
            }
            Refusal::TimedOut { high_watermark, needed, missing } => format!(
                "committed up to {high_watermark}, {needed} needed; it may still take effect; waiting for {}.{}",
                self.nodes(*missing),
                self.lost_quorum()
            ),
            Refusal::NoRoom { .. } => {
                let own = node(tenure.own).unwrap_or_default();
                format!(
                    "the disk of broker {own}, which leads, is full; nothing was written; free some space"
                )
            }
            Refusal::NotLeader { leader, leader_epoch } => match leader.and_then(node) {
                Some(leader) => format!("broker {leader} leads in leader epoch {leader_epoch}; ask it"),
                None => format!("there is no leader in leader epoch {leader_epoch}; ask again"),
            },
            other => other.to_string(),
        };
        ApiError::new(refusal.code(), message)
    }

    /// Without an active controller nobody is taken out of the ISR, so that whoever is gone is waited for until it is back.
    fn lost_quorum(&self) -> String {
        let controller = &self.parts.controller;
        if controller.is_active() {
            return String::new();
        }
        format!(" No controller is reached, who could decide without them.{}", controller.quorum_in_words())
    }

    fn nodes(&self, replicas: IsrSet) -> String {
        let tenure = &self.parts.tenure;
        let names: Vec<String> = replicas
            .iter()
            .filter_map(|replica| tenure.replicas.get(usize::from(replica.0)))
            .map(|node| format!("broker {node}"))
            .collect();
        names.join(", ")
    }

    fn missing(&self, replicas: IsrSet) -> String {
        let partition = self.image.as_ref().and_then(|image| image.partition(self.parts.tenure.partition));
        let now_ms = self.parts.env.wall_ms();
        let named = replicas.iter().filter_map(|replica| {
            let node = self.parts.tenure.replicas.get(usize::from(replica.0))?;
            Some(match partition {
                Some(partition) => missing_replica(*node, replica, partition, now_ms),
                None => format!("broker {node}"),
            })
        });
        named.collect::<Vec<_>>().join("; ")
    }
}

/// Which replica is outside the ISR, since when, and why.
pub(crate) fn missing_replica(
    node: NodeId,
    replica: ReplicaIdx,
    partition: &Partition,
    now_ms: u64,
) -> String {
    let Some(missing) = partition.missing(replica) else { return format!("broker {node}") };
    let so_long = Duration::from_millis(now_ms.saturating_sub(missing.since_ms));
    let why = because(missing.reason);
    format!("broker {node} ({why}, for {}.{} s)", so_long.as_secs(), so_long.subsec_millis() / 100)
}

fn because(reason: MissingReason) -> &'static str {
    match reason {
        MissingReason::Fenced => "its session ended: it stopped or cannot reach the controller",
        MissingReason::Shutdown => "it was shut down",
        MissingReason::Lagging => "it fell behind its leader",
        MissingReason::Restarted => "it restarted and is catching up",
        MissingReason::RestartedUncleanly => "it restarted without what it had counted, and is catching up",
        MissingReason::NeverJoined => {
            "it was not running when the partition was made, and has not joined since"
        }
        MissingReason::UncleanElection => "another replica was elected uncleanly",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words() {
        let reasons = [
            MissingReason::Fenced,
            MissingReason::Shutdown,
            MissingReason::Lagging,
            MissingReason::Restarted,
            MissingReason::RestartedUncleanly,
            MissingReason::NeverJoined,
            MissingReason::UncleanElection,
        ];
        let words: std::collections::BTreeSet<&str> = reasons.into_iter().map(because).collect();

        assert_eq!(words.len(), reasons.len());
    }
}
