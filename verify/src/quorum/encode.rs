//! What of a state makes a difference, as bytes.
//!
//! Left out is what no later step and no claim reads:
//! - of a replica behind everything but what it brings along ([`super::order`]);
//! - who led an epoch that is over: nobody can be elected in it any more (Q2), and whether an old leader led the newest that
//!   anybody led is told with it;
//! - the votes that were told. They rest on those that are stored (Q1): each is held against the stored one when it leaves, and a
//!   stored one against the one before it, which is more than that no voter votes twice;
//! - who waits for a proposal: in every step these are held to be the very ones that the core of whom it was made to remembers;
//! - what was acknowledged, if no read asks for it. It is committed, which is looked at when it is acknowledged, and what is
//!   committed is held durably by some of every majority (QI5), so by a voter; unless so many disks may be replaced that none of a
//!   majority is left: then it is told.
//!
//! - where voters are interchangeable: what only a leader without a majority, a voter to be added, or a pre-vote would be judged by,
//!   if there are none.
//!
//! The votes, the acknowledgements and who waits are told with a planted bug, and with `keep-dead=true`.

use std::hash::{Hash, Hasher};

use highwater_model::quorum::Unread;
use smallvec::SmallVec;

use super::World;
use super::bounds::{Bounds, PreVotes};
use super::naming::{Naming, least, namings};
use super::order::Present;
use super::shared::Shared;
use super::state::{Letter, Node, Packet, Place, State};
use crate::engine::Encoder;

/// Writes a state.
pub(super) fn encode(world: &World, state: &State, sink: &mut Encoder) {
    if world.keeps_dead() {
        return state.hash(sink);
    }
    let present = world.present(state);
    if !world.symmetric {
        let mut numbers = Vec::new();
        write(world, present, state, None, &mut numbers);
        return numbers.iter().for_each(|number| sink.write_u64(*number));
    }
    least(
        |each| namings(present, state, world.bounds.voters, each),
        |naming, numbers| write(world, present, state, Some(naming), numbers),
        |numbers| numbers.iter().for_each(|number| sink.write_u64(*number)),
    );
}

/// The numbers that tell a state, its replicas named so.
fn write(world: &World, present: Present, state: &State, naming: Option<Naming>, numbers: &mut Vec<u64>) {
    let name = |at: Place| naming.map_or(at, |naming| naming.name(at));
    let newest = state.ghost.elected.iter().map(|(epoch, _)| *epoch).max();
    let mut nodes: SmallVec<[(Place, u64); 5]> = (0..)
        .zip(&state.nodes)
        .map(|(at, node)| {
            let told = if present.is_behind(node) {
                let leads = node.core.is_leader() && Some(node.core.quorum_epoch()) >= newest;
                done(present, node, leads, naming)
            } else {
                naming.map_or_else(
                    || node.fingerprint(),
                    |naming| match present.has_stored(node) {
                        true => node.named(naming, |node, naming| named_node(world, node, naming, None)),
                        false => named_node(world, node, naming, Some(present)),
                    },
                )
            };
            (name(at), told)
        })
        .collect();
    nodes.sort_unstable();
    numbers.extend(nodes.iter().map(|(_, told)| *told));
    let mut packets: SmallVec<[u64; 8]> =
        state.network.iter().map(|packet| told_of(present, packet, naming)).collect();
    packets.sort_unstable();
    numbers.extend(packets);
    numbers.push(rest(world, present, state, naming));
}

/// A message on its way. All that makes a difference of a request that is answered with the newest epoch is its way.
fn told_of(present: Present, packet: &Packet, naming: Option<Naming>) -> u64 {
    let name = |at: Place| naming.map_or(at, |naming| naming.name(at));
    let to = name(packet.to);
    if let Some((kind, from, _)) = present.request_of_the_past(packet) {
        return u64::from(kind) << 16 | u64::from(name(from)) << 8 | u64::from(to);
    }
    let letter = &packet.letter;
    let told = naming.map_or_else(|| letter.fingerprint(), |naming| letter.named(naming, named_letter));
    told.rotate_left(8) ^ u64::from(to)
}

fn digest(write: impl FnOnce(&mut Encoder)) -> u64 {
    let mut encoder = Encoder::new();
    write(&mut encoder);
    encoder.fingerprint()
}

/// What was promised, and what was spent.
fn rest(world: &World, present: Present, state: &State, naming: Option<Naming>) -> u64 {
    let content = |content: u64| naming.map_or(content, |naming| naming.content(content));
    let ghost = &state.ghost;
    digest(|sink| {
        for entry in &ghost.committed {
            (entry.quorum_epoch, content(entry.content)).hash(sink);
        }
        sink.write_u8(0xff);
        let current = ghost.elected.iter().filter(|(epoch, _)| *epoch >= present.epoch());
        let mut elected: SmallVec<[_; 4]> =
            current.map(|(epoch, key)| (*epoch, naming.map_or(*key, |naming| naming.key(*key)))).collect();
        elected.sort_unstable();
        elected.hash(sink);
        if !world.reduces() {
            ghost.granted.hash(sink);
            state.proposals.hash(sink);
        }
        if !world.reduces() || world.bounds.reads > 0 || may_lose_a_majority(world) {
            ghost.acknowledged.hash(sink);
            ghost.reads.hash(sink);
        }
        state.spent.hash(sink);
    })
}

/// Whether as many disks as make a majority may be replaced, of as few voters as may be left.
fn may_lose_a_majority(world: &World) -> bool {
    let Bounds { voters, wipes, corruptions, changes, .. } = world.bounds;
    let left = voters.saturating_sub(changes).max(1);
    wipes + corruptions > left / 2
}

/// A replica behind: what it brings along, and what the claims look at.
fn done(present: Present, node: &Node, leads_newest: bool, naming: Option<Naming>) -> u64 {
    let content = |content: u64| naming.map_or(content, |naming| naming.content(content));
    digest(|sink| {
        let may_stand = present.may_stand(node);
        sink.write_u8(
            u8::from(node.core.is_leader()) | u8::from(may_stand) << 1 | u8::from(leads_newest) << 2,
        );
        node.core.high_watermark().hash(sink);
        (node.starts, node.wipes).hash(sink);
        for entry in &node.disk.entries {
            (entry.quorum_epoch, content(entry.content)).hash(sink);
        }
        sink.write_u8(0xff);
        (node.disk.start, node.disk.flushed, &node.disk.syncs).hash(sink);
        // Each is stored in a step of its own, before a vote of the newest epoch.
        sink.write_usize(node.disk.storing.len());
        node.core.log().generation().hash(sink);
    })
}

/// A replica with all others by their names. Of one that has stored no vote of the newest epoch yet (`left_behind`) nobody reads its
/// votes of earlier ones: it does not crash ([`super::order`]). Only how many of them are still to be stored is told.
fn named_node(world: &World, node: &Node, naming: Naming, left_behind: Option<Present>) -> u64 {
    digest(|sink| {
        let unread = Unread { stored: left_behind.is_some(), ..unread(world) };
        node.core.renamed(|key| naming.key(key), unread).hash(sink);
        if !unread.heard {
            let mut heard: SmallVec<[_; 2]> = node.heard.iter().map(|key| naming.key(key)).collect();
            heard.sort_unstable();
            heard.hash(sink);
        }
        (node.starts, node.wipes).hash(sink);
        let disk = &node.disk;
        sink.write_usize(disk.storing.len());
        let epoch = left_behind.map(Present::epoch).unwrap_or_default();
        for vote in [disk.vote].iter().chain(&disk.storing) {
            let is_read = vote.quorum_epoch >= epoch;
            is_read.then(|| naming.vote(*vote)).hash(sink);
        }
        for entry in &disk.entries {
            (entry.quorum_epoch, naming.content(entry.content)).hash(sink);
        }
        sink.write_u8(0xff);
        (disk.start, disk.flushed, &disk.syncs).hash(sink);
    })
}

/// What no step reads at these bounds.
fn unread(world: &World) -> Unread {
    let bounds = &world.bounds;
    Unread {
        heard: bounds.resigns == 0,
        caught_up: bounds.changes == 0,
        fetched: bounds.pre_votes == PreVotes::Free,
        stored: false,
    }
}

/// A message with all replicas by their names.
fn named_letter(letter: &Letter, naming: Naming) -> u64 {
    digest(|sink| {
        letter.message.renamed(|key| naming.key(key)).hash(sink);
        letter.contents.iter().for_each(|content| naming.content(*content).hash(sink));
    })
}

/// What tells two states apart at once.
pub(super) fn identity(world: &World, state: &State) -> u64 {
    let mut numbers: SmallVec<[u64; 24]> = state.nodes.iter().map(Shared::fingerprint).collect();
    numbers.extend(state.network.iter().map(|packet| packet.letter.fingerprint() ^ u64::from(packet.to)));
    digest(|sink| {
        numbers.iter().for_each(|number| sink.write(&number.to_le_bytes()));
        state.ghost.hash(sink);
        state.spent.hash(sink);
        if !world.reduces() {
            state.proposals.hash(sink);
        }
    })
}
