//! What is dropped as overtaken is what its receiver goes on knowing.

use highwater_model::replication::Message;

use super::super::network::Envelope;
use super::*;

/// Whether a fetch is under way to a leader that has heard of a later one of the same run in the same leader epoch.
fn is_overtaken(state: &State, envelope: &Envelope) -> bool {
    let Envelope::Peer { from, to, message: Message::Fetch(fetch), .. } = envelope else { return false };
    state.run(*to).filter(|leader| leader.known == fetch.leader_epoch).is_some_and(|leader| {
        let known = leader.core.last_fetch(*from);
        known.is_some_and(|(run, last)| run == fetch.broker_epoch && last > fetch.request_id)
    })
}

#[test]
fn a_fetch_that_was_overtaken_stays_as_long_as_its_leader_may_forget_the_later_one() {
    let states = seen("brokers=2 full-disks=1 min-isr=1 flush=os", &|state| {
        let overtaken =
            state.network.envelopes().iter().filter(|envelope| is_overtaken(state, envelope)).count();
        format!("{} full disks to come, {overtaken} overtaken", state.left.full_disks)
    });

    assert!(states.contains("1 full disks to come, 1 overtaken"), "{states:?}");
    assert!(states.contains("0 full disks to come, 0 overtaken"), "{states:?}");
    assert!(!states.contains("0 full disks to come, 1 overtaken"), "{states:?}");
}

#[test]
fn with_full_disks_the_same_is_seen_and_caught_whether_dead_messages_are_kept() {
    let line = "brokers=2 elections=1 full-disks=1 min-isr=1 flush=os in-flight=1";
    let whole = outside(&format!("{line} reduce=-dead"));
    assert!(whole.len() > 20);
    assert_eq!(outside(line), whole);

    let bounds = "brokers=3 records=2 elections=1 full-disks=1 flush=os in-flight=1 reduce=-dead";
    assert!(matches!(searched(bounds, Some(Bug::ProgressOutlivesTail)).verdict, Verdict::Violated(_)));
}
