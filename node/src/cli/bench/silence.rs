//! How long partitions went without an acknowledgement.

use std::time::Duration;

use highwater_client::producer::Delivered;
use highwater_model::id::NodeId;
use highwater_transport::env::Instant;

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    /// The last acknowledgement, or the start.
    last: Instant,
    /// The longest time between two of them.
    longest: Duration,
    /// The first one by another than the broker that was killed.
    by_another: Option<Instant>,
}

/// All partitions, by index.
#[derive(Clone, Debug)]
pub(super) struct Silences {
    partitions: Vec<Silence>,
    killed: Option<NodeId>,
}

impl Silences {
    /// So many partitions, at this time.
    pub(super) fn new(partitions: u32, now: Instant) -> Self {
        let silence = Silence { last: now, longest: Duration::ZERO, by_another: None };
        Self { partitions: vec![silence; partitions as usize], killed: None }
    }

    /// An acknowledgement came.
    pub(super) fn note(&mut self, delivered: &Delivered) {
        let Some(silence) = self.partitions.get_mut(delivered.partition.0 as usize) else { return };
        silence.longest = silence.longest.max(delivered.at.since(silence.last));
        silence.last = silence.last.max(delivered.at);
        if self.killed.is_some_and(|killed| killed != delivered.leader.node) {
            silence.by_another = Some(silence.by_another.map_or(delivered.at, |at| at.min(delivered.at)));
        }
    }

    /// This broker is about to be killed: what was before does not count, but for the last acknowledgement.
    pub(super) fn kill(&mut self, broker: NodeId) {
        self.killed = Some(broker);
        for silence in &mut self.partitions {
            silence.longest = Duration::ZERO;
        }
    }

    /// The longest time without an acknowledgement of each of these partitions.
    pub(super) fn longest<'a>(&'a self, partitions: &'a [u32]) -> impl Iterator<Item = Duration> + 'a {
        self.of(partitions).map(|silence| silence.longest)
    }

    /// When the last of these partitions had its first acknowledgement by another broker; none before all had.
    pub(super) fn all_by_another(&self, partitions: &[u32]) -> Option<Instant> {
        self.of(partitions).try_fold(Instant::since_origin(Duration::ZERO), |last, silence| {
            silence.by_another.map(|at| last.max(at))
        })
    }

    fn of<'a>(&'a self, partitions: &'a [u32]) -> impl Iterator<Item = &'a Silence> + 'a {
        partitions.iter().filter_map(|partition| self.partitions.get(*partition as usize))
    }
}

#[cfg(test)]
mod tests {
    use highwater_client::metadata::Leader;
    use highwater_model::id::{LeaderEpoch, PartitionIndex};

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::since_origin(Duration::from_millis(ms))
    }

    fn acknowledged(partition: u32, by: u32, at_ms: u64) -> Delivered {
        let leader = Leader { node: NodeId(by), leader_epoch: LeaderEpoch(1) };
        Delivered { partition: PartitionIndex(partition), offset: None, leader, at: at(at_ms) }
    }

    fn longest_ms(silences: &Silences) -> Vec<u128> {
        silences.longest(&[0, 1]).map(|silence| silence.as_millis()).collect()
    }

    #[test]
    fn the_longest_silence_spans_the_kill() {
        let mut silences = Silences::new(2, at(0));
        silences.note(&acknowledged(0, 1, 500));
        silences.note(&acknowledged(0, 1, 510));
        silences.note(&acknowledged(1, 2, 505));
        assert_eq!(longest_ms(&silences), [500, 505]);

        silences.kill(NodeId(1));
        silences.note(&acknowledged(1, 2, 515));
        assert_eq!(silences.all_by_another(&[0]), None);
        silences.note(&acknowledged(0, 3, 910));
        silences.note(&acknowledged(0, 3, 915));

        assert_eq!(longest_ms(&silences), [400, 10]);
        assert_eq!(silences.all_by_another(&[0]), Some(at(910)));
    }

    #[test]
    fn a_late_acknowledgement_of_the_killed_broker_is_none_by_another() {
        let mut silences = Silences::new(1, at(0));

        silences.kill(NodeId(1));
        silences.note(&acknowledged(0, 1, 10));

        assert_eq!(silences.all_by_another(&[0]), None);
    }
}
