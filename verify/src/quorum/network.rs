//! Messages in flight: which can still change anything, and what their requests are called.
//!
//! A message that is lost is one that stays in flight for ever, so that losing needs no step of its own. Two things keep the
//! network small, and neither hides a behaviour:
//! - a message is dropped once its receiver would refuse it now and always, or learn nothing from it ([`is_known`]). Epochs only grow and requests never recur, so
//!   an answer of a lower epoch or to a request that is waited for no more, a fetch that a later one overtook, and a notice
//!   of a lower epoch stay refused. A request of a lower epoch whose requester has gone on is answered only to be refused
//!   in turn. `keep-dead=true` keeps them all: the verdict must be the same;
//! - request ids are renamed by rank, in cores and messages alike.

use highwater_model::id::{IncarnationId, QuorumEpoch, RequestId};
use highwater_model::quorum::{Asked, Body, Message, RoleName, VoteRequest, VoterKey};
use smallvec::SmallVec;

use super::World;
use super::order::Present;
use super::shared::Shared;
use super::state::{Node, Packet, Place, State, place, tenure};

/// Drops the messages that can change nothing, renames requests, and sorts.
pub(super) fn tidy(world: &World, state: &mut State) {
    let present = world.present(state);
    if !world.keeps_dead() {
        let nodes = &state.nodes;
        state.network.retain(|packet| !is_dead(world, present, nodes, packet));
    }
    present.merge_requests(&mut state.network);
    rename(present, state);
    state.network.sort_unstable();
}

/// Whether the receiver of a packet refuses it, now and always.
pub(super) fn is_dead(world: &World, present: Present, nodes: &[Shared<Node>], packet: &Packet) -> bool {
    let message = &packet.letter.message;
    let from = place(message.from.id);
    let (Some(receiver), Some(sender)) = (nodes.get(usize::from(packet.to)), nodes.get(usize::from(from)))
    else {
        return true;
    };
    if present.is_over(message) {
        return present.is_dead(nodes, message);
    }
    let ours = receiver.core.quorum_epoch();
    match &message.body {
        Body::BeginQuorum => {
            message.quorum_epoch < ours
                || (!world.bounds.late_notices && is_known(packet.to, receiver, message))
        }
        Body::EndQuorum { .. } => message.quorum_epoch < ours,
        Body::VoteAnswer(answer) => {
            let idle = !answer.granted && !answer.pre_vote && answer.leader.is_none();
            answers_nothing(receiver, message.quorum_epoch, answer.asked)
                || (idle && message.quorum_epoch == ours)
        }
        Body::FetchAnswer(answer) => answers_nothing(receiver, message.quorum_epoch, answer.asked),
        Body::Vote(vote) => {
            let settled = message.quorum_epoch == ours
                && !vote.pre_vote
                && receiver.core.vote().voted_for.is_some_and(|voted| voted != message.from)
                && receiver.core.leader(&tenure(packet.to, receiver)).is_none();
            settled
                || asks_nothing(sender, ours, message, vote.request)
                || idle_pre_vote(sender, ours, message, vote)
        }
        Body::Fetch(fetch) => {
            asks_nothing(sender, ours, message, fetch.request) || overtaken(receiver, message, fetch.request)
        }
    }
}

/// A notice of a leader that the receiver follows already in that epoch: it tells nothing now. It might later, when the receiver
/// knows no leader any more. If that leader still leads, it can announce itself again. If it has restarted since, or resigned, it
/// can not, and the late notice would make the receiver follow one who leads no more: until a timer runs out it would ask for
/// records in vain, store nothing, and give no vote in an epoch whose leader is elected already. That is left out, but not with
/// `late-notices=true`: some bounds of every sweep have it, and what is seen from outside is the same
/// (`a_notice_that_comes_late_can_not_be_seen_from_outside`).
fn is_known(at: Place, receiver: &Node, message: &Message) -> bool {
    let tenure = tenure(at, receiver);
    let follows = matches!(receiver.core.role(&tenure), RoleName::Follower | RoleName::Observer);
    follows
        && message.quorum_epoch == receiver.core.quorum_epoch()
        && receiver.core.leader(&tenure) == Some(message.from)
}

/// An answer of an epoch that is over, or in this one to a request that is waited for no more.
fn answers_nothing(receiver: &Node, theirs: QuorumEpoch, asked: Asked) -> bool {
    let ours = receiver.core.quorum_epoch();
    let waited_for = asked.incarnation == IncarnationId(u128::from(receiver.starts))
        && receiver.core.waits_for() == Some(asked.request);
    theirs < ours || (theirs == ours && !waited_for)
}

/// A request of an epoch that is over at the receiver, whose requester does not wait for it, nor would learn of a new epoch.
fn asks_nothing(sender: &Node, ours: QuorumEpoch, message: &Message, request: RequestId) -> bool {
    let waits = message.incarnation == IncarnationId(u128::from(sender.starts))
        && sender.core.waits_for() == Some(request);
    message.quorum_epoch < ours && !waits && sender.core.quorum_epoch() >= ours
}

/// A pre-vote that raises no epoch, and whose answer nobody waits for, nor would learn a new epoch from.
fn idle_pre_vote(sender: &Node, ours: QuorumEpoch, message: &Message, vote: &VoteRequest) -> bool {
    let waits = sender.core.waits_for() == Some(vote.request);
    vote.pre_vote && message.quorum_epoch <= ours && !waits && sender.core.quorum_epoch() >= ours
}

/// A fetch of the receiver's epoch that a later one of the same run has overtaken there.
fn overtaken(receiver: &Node, message: &Message, request: RequestId) -> bool {
    let last = receiver.core.last_fetch_of(message.from);
    let same_epoch = message.quorum_epoch == receiver.core.quorum_epoch();
    same_epoch && last.is_some_and(|last| last.incarnation == message.incarnation && last.request >= request)
}

/// Fetches of a replica that are in flight.
pub(super) fn fetches_in_flight(state: &State, from: Place) -> u8 {
    let fetches = state.network.iter().filter(|packet| {
        place(packet.letter.message.from.id) == from && matches!(packet.letter.message.body, Body::Fetch(_))
    });
    u8::try_from(fetches.count()).unwrap_or(u8::MAX)
}

/// Whether a voter may not know the leader at `at`, and no announcement is on its way: it has restarted or was left.
pub(super) fn announcing_helps(state: &State, at: Place) -> bool {
    let Some(leader) = state.nodes.get(usize::from(at)) else {
        return false;
    };
    (0..)
        .zip(&state.nodes)
        .any(|(other, node)| other != at && announced_to(state, (at, leader), (other, node)))
}

/// Whether an announcement of the leader would tell this replica something.
pub(super) fn announced_to(state: &State, (at, leader): (Place, &Node), (to, node): (Place, &Node)) -> bool {
    let epoch = leader.core.quorum_epoch();
    let own = tenure(at, leader).key;
    let knows = node.core.leader(&tenure(to, node)) == Some(own);
    let is_voter = leader.core.voters().latest().of_node(tenure(to, node).key.id).is_some();
    let coming = state.network.iter().any(|packet| {
        let message = &packet.letter.message;
        packet.to == to
            && message.from == own
            && message.quorum_epoch == epoch
            && message.body == Body::BeginQuorum
    });
    is_voter && node.core.quorum_epoch() <= epoch && !(knows && node.core.quorum_epoch() == epoch) && !coming
}

/// Whether an observer without a leader has neither a probe nor an answer in flight.
pub(super) fn probing_helps(world: &World, state: &State, at: Place) -> bool {
    let Some(node) = state.nodes.get(usize::from(at)) else {
        return false;
    };
    let attached = node.core.leader(&tenure(at, node)).is_some();
    let answered =
        |packet: &Packet| packet.to == at && matches!(packet.letter.message.body, Body::FetchAnswer(_));
    let asks = fetches_in_flight(state, at) > 0 || state.network.iter().any(answered);
    !attached && world.has_observers() && !asks
}

/// A requester's run.
type Requester = (VoterKey, IncarnationId);

/// Calls the requests of every run by their rank among those that anybody remembers.
///
/// What a replica behind remembers tells nothing any more, nor does what a request of an earlier epoch is called.
fn rename(present: Present, state: &mut State) {
    let mut known: SmallVec<[(Requester, RequestId); 16]> = SmallVec::new();
    for (at, node) in (0..).zip(&state.nodes) {
        let remembered = node.core.requests(&tenure(at, node));
        let remembered = remembered.take(if present.is_behind(node) { 1 } else { usize::MAX });
        known.extend(remembered.map(|(key, asked)| ((key, asked.incarnation), asked.request)));
    }
    for packet in &state.network {
        known.extend(requested(state, packet).filter(|_| !present.is_over(&packet.letter.message)));
    }
    known.sort_unstable();
    known.dedup();
    let rank = |requester: Requester, request: RequestId| {
        let below = known.iter().filter(|(whose, other)| *whose == requester && *other < request);
        RequestId(below.count() as u64)
    };
    if known.iter().all(|(requester, request)| rank(*requester, *request) == *request) {
        return;
    }
    let renamed: SmallVec<[Option<RequestId>; 6]> = state
        .network
        .iter()
        .map(|packet| {
            let (requester, request) = requested(state, packet)?;
            Some(rank(requester, request)).filter(|name| *name != request)
        })
        .collect();
    for (packet, name) in state.network.iter_mut().zip(renamed) {
        let Some(name) = name else { continue };
        packet.letter.change(|letter| letter.message.rename_request(name));
    }
    for (at, node) in (0..).zip(&mut state.nodes) {
        let tenure = tenure(at, node);
        let anew = |key, asked: Asked| rank((key, asked.incarnation), asked.request);
        if node.core.requests(&tenure).any(|(key, asked)| anew(key, asked) != asked.request) {
            node.change(|node| node.core.rename_requests(&tenure, anew));
        }
    }
}

/// The request that a packet makes or answers, and whose it is.
fn requested(state: &State, packet: &Packet) -> Option<(Requester, RequestId)> {
    let receiver = state.nodes.get(usize::from(packet.to))?;
    let (key, asked) = packet.letter.message.request(tenure(packet.to, receiver).key)?;
    Some(((key, asked.incarnation), asked.request))
}
