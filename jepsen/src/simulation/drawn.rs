//! What each seed draws for itself: which faults, how many at once, how fast, and how large the workload is. What is rare
//! under one mixture is common under another.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_model::id::NodeId;

use crate::nemesis::{Kind, Pace, Troubles};
use crate::random::Random;
use crate::run::Plan;
use crate::workload::{Work, log};

/// Fewer kinds than this are not taken out of those that were asked for.
const KINDS_MIN: usize = 4;

/// Under the policy below one machine may lose power if there are so many: two hold whatever is acknowledged.
const BROKERS_WITH_A_FRAIL_ONE: usize = 3;

/// The policy under which more than one machine that loses power may lose what was acknowledged.
const PAGE_CACHE: &str = "os";

/// The plan of a seed, out of what was asked for; and kinds of fault that it must do without, with the reason.
pub(super) fn drawn(asked: &Plan, seed: u64, nodes: &[NodeId]) -> (Plan, BTreeMap<Kind, String>) {
    let mut random = Random::of(seed, 4);
    let mut work = asked.work.clone();
    if let Work::Log(log) = &mut work {
        resize(log, &mut random);
    }
    let is_page_cache = matches!(&work, Work::Log(log) if log.flush_policy == PAGE_CACHE);
    let frail = random.one_of(nodes).copied().filter(|_| is_page_cache);
    let mut kinds = some_of(&asked.troubles.kinds, &mut random);
    let mut left_out = BTreeMap::new();
    // One machine alone may keep what it lost from all.
    let none_may = is_page_cache && nodes.len() < BROKERS_WITH_A_FRAIL_ONE;
    kinds.retain(|kind| {
        let is_too_much =
            (*kind == Kind::PowerLossOfAll && is_page_cache) || (*kind == Kind::PowerLossOfOne && none_may);
        if is_too_much {
            left_out.insert(*kind, "flush.policy=os promises nothing of what so many lose".to_owned());
        }
        !is_too_much
    });
    let pace = if asked.troubles.pace == Pace::default() { pace(&mut random) } else { asked.troubles.pace };
    (Plan { seed, time: asked.time, troubles: Troubles { kinds, pace, frail }, work }, left_out)
}

fn resize(log: &mut log::Plan, random: &mut Random) {
    log.partitions = 1 + u32::try_from(random.below(log.partitions.into())).unwrap_or_default();
    if random.once_in(4) && log.flush_policy != PAGE_CACHE {
        log.flush_policy = PAGE_CACHE.to_owned();
    }
}

/// Half of the kinds, or all.
fn some_of(kinds: &[Kind], random: &mut Random) -> Vec<Kind> {
    if random.once_in(4) {
        return kinds.to_vec();
    }
    let some: Vec<Kind> = kinds.iter().copied().filter(|_| random.once_in(2)).collect();
    if some.len() < KINDS_MIN { kinds.to_vec() } else { some }
}

fn pace(random: &mut Random) -> Pace {
    let times = |least, most| (Duration::from_millis(least), Duration::from_millis(most));
    let quiet = [times(300, 1500), times(50, 600), times(1000, 4000)];
    let lasts = [times(300, 3500), times(0, 400), times(1500, 9000)];
    let (quiet_min, quiet_max) = random.one_of(&quiet).copied().unwrap_or_default();
    let (lasts_min, lasts_max) = random.one_of(&lasts).copied().unwrap_or_default();
    let at_once = 1 + usize::try_from(random.below(3)).unwrap_or_default();
    Pace { quiet_min, quiet_max, lasts_min, lasts_max, at_once }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::Group;

    #[test]
    fn a_seed_draws_the_same_each_time_and_others_draw_otherwise() {
        let troubles = Troubles { kinds: Kind::ALL.to_vec(), pace: Pace::default(), frail: None };
        let (time, work) = (Duration::from_secs(60), Work::Log(log::Plan::default()));
        let asked = Plan { seed: 0, time, troubles, work };
        let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
        let plans: Vec<Plan> = (0..200).map(|seed| drawn(&asked, seed, &nodes).0).collect();

        for (seed, plan) in (0..).zip(&plans) {
            let (again, left_out) = drawn(&asked, seed, &nodes);
            assert_eq!((&plan.troubles, &plan.work), (&again.troubles, &again.work));
            let Work::Log(log) = &plan.work else { panic!("it was asked for records") };
            let of_all = plan.troubles.kinds.contains(&Kind::PowerLossOfAll);
            assert_eq!(log.flush_policy == PAGE_CACHE, plan.troubles.frail.is_some());
            assert!(!(of_all && log.flush_policy == PAGE_CACHE));
            assert!(left_out.is_empty() || log.flush_policy == PAGE_CACHE);
        }
        for group in Group::ALL {
            let has = |plan: &&Plan| plan.troubles.kinds.iter().any(|kind| kind.group() == *group);
            assert!(plans.iter().filter(has).count() > 100, "{group:?}");
        }
        assert!(plans.iter().any(|plan| plan.troubles.pace.at_once == 3));
    }
}
