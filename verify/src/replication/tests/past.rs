//! Leaders that everybody has left.

use std::collections::BTreeSet;

use stateright::Model as _;

use super::super::{Action, Standing, State};
use super::{fingerprint, world};
use crate::world::{Checked as _, Notes};

/// What each step from a state leads to.
type Steps = [(Action, State)];

/// Calls `look` with every state of these bounds, and with the steps from it.
fn walk(line: &str, look: &mut dyn FnMut(&State, &Steps)) {
    let world = world(line);
    let (mut known, mut queue) = (BTreeSet::new(), world.init_states());
    let mut actions = Vec::new();
    while let Some(state) = queue.pop() {
        world.actions(&state, &mut actions);
        let step = |action: Action| (action, world.step(&state, &action, &mut Notes::default()));
        let steps: Vec<(Action, State)> = actions.drain(..).map(step).collect();
        look(&state, &steps);
        let ends = steps.into_iter().map(|(_, end)| end);
        queue.extend(ends.filter(|end| known.insert(fingerprint(&world, end))));
    }
}

#[test]
fn a_leader_of_the_past_may_acknowledge_what_its_members_have_told_it_before_they_left() {
    for flush in ["os", "commit"] {
        let mut acknowledged = 0;
        walk(&format!("elections=1 flush={flush} writes=at-once"), &mut |state, steps| {
            let heard = steps.iter().filter(|(action, _)| matches!(action, Action::Hear(_)));
            for (_, end) in heard {
                assert_eq!(state.ledger.clients.first(), Some(&Standing::Open(state.past[0].leader)));
                assert_eq!(end.ledger.clients.first(), Some(&Standing::Acknowledged));
                acknowledged += 1;
            }
        });
        assert!(acknowledged > 0, "{flush}");
    }
}

#[test]
fn a_leader_of_the_past_that_can_bring_about_nothing_waits_for_its_syncs_at_most() {
    let (mut of_past, mut waiting) = (0, 0);
    walk("elections=1 shrinks=1 writes=at-once in-flight=1", &mut |state, _| {
        for past in &state.past {
            let syncs = !state.broker(past.leader).disk.syncs.is_empty();
            assert!(past.may_reach() || syncs, "{state:#?}");
            of_past += 1;
            waiting += u32::from(!past.may_reach());
        }
    });

    assert!(waiting > 0 && of_past > waiting, "{waiting} of {of_past}");
}

#[test]
fn what_keeps_dead_messages_keeps_leaders_of_the_past_as_they_are() {
    let mut hears = false;
    walk("brokers=2 elections=1 flush=os reduce=views+parked in-flight=1", &mut |state, steps| {
        assert!(state.past.is_empty());
        hears |= steps.iter().any(|(action, _)| matches!(action, Action::Hear(_)));
    });

    assert!(!hears);
}
