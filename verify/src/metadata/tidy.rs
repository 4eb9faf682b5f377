//! Makes states that behave alike equal: requests are numbered anew, answers that can only be refused are dropped unless
//! `keep-dead=true` keeps them, images that nobody holds are forgotten.

use highwater_model::id::{NodeId, RequestId};

use super::World;
use super::state::{Envelope, Origin, State};

/// The awaited request of a run is its first; all others are older.
pub(super) const AWAITED: RequestId = RequestId(1);
const OLDER: RequestId = RequestId(0);

pub(super) fn tidy(world: &World, state: &mut State) {
    for node in state.nodes() {
        renumber(state, node);
    }
    if !world.bounds.keep_dead {
        drop_void_answers(state);
    }
    state.wire.sort_by(Envelope::order);
    forget_images(state);
}

/// A request is compared with the awaited one and with nothing else.
fn renumber(state: &mut State, node: NodeId) {
    let broker = state.broker_mut(node);
    let number = broker.runs;
    let awaited = broker.run.as_ref().and_then(|run| run.lifecycle.awaited());
    if let Some(run) = &mut broker.run {
        run.lifecycle = run.lifecycle.clone().renumbered(AWAITED);
    }
    let anew = |run: u8, request: &mut RequestId| {
        *request = if run == number && Some(*request) == awaited { AWAITED } else { OLDER };
    };
    for envelope in &mut state.wire {
        match envelope {
            Envelope::Ask { node: of, run, request, .. } | Envelope::Tell { node: of, run, request, .. } => {
                if *of == node {
                    anew(*run, request);
                }
            }
            Envelope::Propose { .. } => {}
        }
    }
    for (_, origin) in &mut state.asked {
        match origin {
            Origin::Broker { node: of, run, request } if *of == node => anew(*run, request),
            Origin::Broker { .. } | Origin::Leader(_) | Origin::Operator => {}
        }
    }
}

/// An answer to a run that has ended finds nobody; one to a request that was given up is refused.
pub(super) fn drop_void_answers(state: &mut State) {
    let mut wire = std::mem::take(&mut state.wire);
    wire.retain(|envelope| !is_void(state, envelope));
    state.wire = wire;
}

/// Whether it is an answer that nobody awaits, or ever will: a run has one request open, its last, and never begins again.
pub(super) fn is_void(state: &State, envelope: &Envelope) -> bool {
    let Envelope::Tell { node, run, request, .. } = envelope else { return false };
    let running = state.run(*node).filter(|_| state.broker(*node).runs == *run);
    running.is_none_or(|running| running.lifecycle.awaited() != Some(*request))
}

fn forget_images(state: &mut State) {
    let newest = u8::try_from(state.history.len() - 1).expect("few images are held");
    let running = state.brokers.iter().filter_map(|broker| broker.run.as_ref());
    let oldest = running.map(|run| run.applied).min().unwrap_or(newest);
    state.history.drain(..usize::from(oldest));
    for run in state.brokers.iter_mut().filter_map(|broker| broker.run.as_mut()) {
        run.applied -= oldest;
    }
}
