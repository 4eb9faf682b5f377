//! Which links a fault of the network cuts, and how it treats datagrams.

use std::time::Duration;

use highwater_model::id::NodeId;

use super::Kind;
use crate::cluster::Disorder;
use crate::random::Random;

/// From whom nothing reaches whom, of brokers in some order. A fault that is about a leader is about this one; `is_mute` says
/// which way it is cut off where it is cut off one way.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind cuts nothing")]
pub(super) fn cuts(kind: Kind, nodes: &[NodeId], leader: NodeId, is_mute: bool) -> Vec<(NodeId, NodeId)> {
    let (count, half) = (nodes.len(), nodes.len() / 2);
    let place = |node: NodeId| nodes.iter().position(|other| *other == node).unwrap_or_default();
    let is_cut = |from: NodeId, to: NodeId| {
        let (first, second) = (place(from), place(to));
        match kind {
            Kind::LeaderAlone => from == leader || to == leader,
            Kind::OneWay | Kind::Late => (if is_mute { from } else { to }) == leader,
            Kind::Halves => (first < half) != (second < half),
            // The one in the middle sees both parts, which do not see each other.
            Kind::Bridge => first != half && second != half && (first < half) != (second < half),
            // In a ring each sees so many on both sides that it sees a majority. Three would all see one another, so one of
            // their links is cut.
            Kind::MajorityRing if count <= 3 => first + second == 1,
            Kind::MajorityRing => {
                let apart = first.abs_diff(second);
                apart.min(count - apart) > half.div_ceil(2)
            }
            _ => false,
        }
    };
    let pairs = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, to)| from != to && is_cut(*from, *to)).collect()
}

/// How a fault treats datagrams.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind leaves them alone")]
pub(super) fn disorder(kind: Kind, random: &mut Random) -> Disorder {
    let percent = u8::try_from(1 + random.below(30)).unwrap_or(1);
    let nothing = Disorder::default();
    match kind {
        Kind::Loss => Disorder { loss_percent: percent, ..nothing },
        Kind::Duplicates => Disorder { duplicate_percent: percent, ..nothing },
        Kind::Reordering => Disorder { reorder_percent: percent, ..nothing },
        Kind::Delay => Disorder {
            delay: random.between(Duration::from_millis(5), Duration::from_millis(80)),
            jitter: random.between(Duration::ZERO, Duration::from_millis(60)),
            ..nothing
        },
        _ => nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: u32) -> Vec<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    /// How many others a node can speak with, both ways.
    fn sees(cuts: &[(NodeId, NodeId)], nodes: &[NodeId], node: NodeId) -> usize {
        let is_whole = |other: NodeId| !cuts.contains(&(node, other)) && !cuts.contains(&(other, node));
        nodes.iter().filter(|other| **other != node && is_whole(**other)).count()
    }

    #[test]
    fn every_broker_of_a_ring_sees_a_majority_and_not_all() {
        for count in 5..=9 {
            let nodes = nodes(count);
            let cuts = cuts(Kind::MajorityRing, &nodes, NodeId(1), false);

            for node in &nodes {
                let seen = sees(&cuts, &nodes, *node) + 1;
                assert!(seen > nodes.len() / 2 && seen < nodes.len(), "{node} of {count} sees {seen}");
            }
        }
        assert_eq!(cuts(Kind::MajorityRing, &nodes(3), NodeId(1), false).len(), 2);
    }

    #[test]
    fn one_broker_of_a_bridge_sees_all_and_the_others_do_not() {
        for count in 3..=9 {
            let nodes = nodes(count);
            let cuts = cuts(Kind::Bridge, &nodes, NodeId(1), false);

            let all = nodes.iter().filter(|node| sees(&cuts, &nodes, **node) == nodes.len() - 1).count();
            assert_eq!(all, 1, "of {count}");
        }
    }

    #[test]
    fn a_leader_is_cut_off_both_ways_or_one() {
        let cuts = |kind, is_mute| cuts(kind, &nodes(3), NodeId(2), is_mute);

        assert_eq!(cuts(Kind::OneWay, true), [(NodeId(2), NodeId(1)), (NodeId(2), NodeId(3))]);
        assert_eq!(cuts(Kind::OneWay, false), [(NodeId(1), NodeId(2)), (NodeId(3), NodeId(2))]);
        assert_eq!(cuts(Kind::LeaderAlone, false).len(), 4);
        assert_eq!(cuts(Kind::Halves, false).len(), 4);
        assert_eq!(cuts(Kind::KillOne, false), []);
    }

    #[test]
    fn each_kind_of_disorder_is_some() {
        let mut random = Random::of(1, 1);

        for kind in [Kind::Loss, Kind::Delay, Kind::Duplicates, Kind::Reordering] {
            assert_ne!(disorder(kind, &mut random), Disorder::default(), "{kind:?}");
        }
        assert_eq!(disorder(Kind::KillOne, &mut random), Disorder::default());
    }
}
