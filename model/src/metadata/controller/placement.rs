//! Where replicas go: deterministic, spread over the brokers, the preferred leader rotating by partition.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::id::NodeId;

/// Replicas of the partition with this index, `factor` of them, the preferred leader first. `brokers` are the candidates
/// that may lead, `spare` those that are registered but not active: they hold replicas only where the others are too few.
/// `start` shifts where the rotation begins, so that topics do not all begin at the same broker. The followers of a leader
/// rotate too, so that its load spreads over all when it goes.
pub(super) fn place(
    brokers: &[NodeId],
    spare: &[NodeId],
    factor: u16,
    start: u64,
    index: u32,
) -> SmallVec<[NodeId; 4]> {
    let factor = usize::from(factor);
    let count = u64::try_from(brokers.len()).unwrap_or(u64::MAX).max(1);
    let turn = start.wrapping_add(u64::from(index)) % count;
    let first = nth(brokers, turn);
    let others: Vec<NodeId> = brokers.iter().copied().filter(|node| Some(*node) != first).collect();
    let shift = turn.wrapping_add(u64::from(index) / count);
    let followers = rotated(&others, shift);
    first.into_iter().chain(followers).chain(rotated(spare, shift)).take(factor).collect()
}

fn nth(nodes: &[NodeId], at: u64) -> Option<NodeId> {
    nodes.get(usize::try_from(at).ok()?).copied()
}

/// All of them, beginning `shift` places further on.
fn rotated(nodes: &[NodeId], shift: u64) -> impl Iterator<Item = NodeId> {
    let count = u64::try_from(nodes.len()).unwrap_or(u64::MAX).max(1);
    let skip = usize::try_from(shift % count).unwrap_or(0);
    nodes.iter().copied().cycle().skip(skip).take(nodes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[u32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn leaders_and_followers_rotate() {
        let brokers = nodes(&[1, 2, 3]);
        let placed: Vec<_> = (0..6).map(|index| place(&brokers, &[], 2, 0, index).to_vec()).collect();

        let wanted: [&[u32]; 6] = [&[1, 2], &[2, 3], &[3, 1], &[1, 3], &[2, 1], &[3, 2]];
        assert_eq!(placed, wanted.map(nodes));
    }

    #[test]
    fn a_broker_that_is_down_holds_a_replica_only_where_it_must() {
        let placed = place(&nodes(&[1, 3]), &nodes(&[2]), 3, 1, 0);

        assert_eq!(placed.to_vec(), nodes(&[3, 1, 2]));
        assert_eq!(place(&nodes(&[1, 3]), &nodes(&[2]), 2, 1, 0).to_vec(), nodes(&[3, 1]));
    }
}
