//! Each monitor of the quorum's member is shown the fault that it is for.

use std::num::NonZeroU32;

use highwater_model::fault::{Bug, Planted};
use highwater_model::id::{DirectoryId, IncarnationId, NodeId, RequestId};
use highwater_model::log::{EpochHistory, LogShape};
use highwater_model::quorum::{Asked, VoteAnswer, VoterRecord};
use highwater_transport::env::Env;

use super::*;
use crate::monitor::{Monitors, Place};

fn key(id: u32) -> VoterKey {
    VoterKey { id: NodeId(id), directory: DirectoryId(u128::from(id)) }
}

fn set(ids: &[u32]) -> VoterSet {
    VoterSet::new(ids.iter().map(|id| key(*id))).unwrap()
}

const INCARNATION: IncarnationId = IncarnationId(7);

fn tenure() -> Tenure {
    Tenure { key: key(1), incarnation: INCARNATION }
}

/// A disk that holds a record of each of these voter sets, in epoch 3.
fn found(records: &[&[u32]]) -> Recovered {
    let mut epochs = EpochHistory::default();
    if !records.is_empty() {
        epochs.assign(QuorumEpoch(3), Offset(0));
    }
    let end = Offset(records.len() as u64);
    let record = |(at, ids): (u64, &&[u32])| VoterRecord { offset: Offset(at), voters: set(ids) };
    Recovered {
        vote: Vote { quorum_epoch: QuorumEpoch(3), voted_for: None },
        formatted: set(&[1]),
        snapshot: None,
        older: None,
        log: LogShape::recovered(Offset(0), end, end, epochs),
        voters: (0..).zip(records).map(record).collect(),
    }
}

/// What the disk tells once it has done what the core asked of it.
fn completion(effect: Effect) -> Option<Input> {
    if let Effect::StoreVote(vote) = effect {
        Some(Input::VoteStored(vote))
    } else if let Effect::Append { batches, generation, .. } = effect {
        Some(Input::Written { end: batches.last().unwrap().end(), generation })
    } else if let Effect::Sync { end, generation } = effect {
        Some(Input::Flushed { end, generation })
    } else {
        None
    }
}

/// The member alone in its quorum, which leads it and has committed a record of its epoch.
fn leader(records: &[&[u32]]) -> Quorum<Planted> {
    let mut due = Vec::new();
    let mut core = Quorum::recover(&tenure(), Planted(None), found(records), &mut due);
    while !due.is_empty() {
        let effects = std::mem::take(&mut due);
        for effect in effects {
            if let Some(input) = completion(effect) {
                core.step(&tenure(), input, &mut due).unwrap();
            }
        }
    }
    assert!(core.is_established(), "nobody else votes");
    core
}

/// What is violated when the monitor is shown something: names of properties.
fn violated(show: impl FnOnce(&mut QuorumMonitor)) -> Vec<String> {
    violated_from(&found(&[]), show)
}

fn violated_from(found: &Recovered, show: impl FnOnce(&mut QuorumMonitor)) -> Vec<String> {
    let monitors = Monitors::every(NonZeroU32::MIN);
    show(&mut QuorumMonitor::new(monitors.core(&Env::real(), Place::Quorum), &tenure(), found));
    let counts = monitors.counts();
    assert!(counts.iter().any(|count| count.evaluated > 0), "something was evaluated");
    counts.into_iter().filter(|count| count.violated > 0).map(|count| count.name).collect()
}

fn before(core: &Quorum<Planted>) -> Before {
    Before {
        vote: core.vote(),
        high_watermark: core.high_watermark(),
        heard: None,
        pre_vote: None,
        duty: Duty::None,
        sign: None,
    }
}

fn message(quorum_epoch: QuorumEpoch, body: Body) -> Message {
    Message { from: key(1), incarnation: INCARNATION, quorum_epoch, body }
}

fn granted(pre_vote: bool) -> Body {
    let asked = Asked { incarnation: INCARNATION, request: RequestId(1) };
    Body::VoteAnswer(VoteAnswer { asked, pre_vote, granted: true, leader: None })
}

#[test]
fn a_sound_leader_breaks_nothing() {
    let core = leader(&[&[1], &[1, 2], &[1]]);
    let found = violated(|monitor| {
        monitor.judge_start(&tenure(), &core);
        monitor.judge_heard(&Before { heard: Some(core.quorum_epoch()), ..before(&core) }, None);
        let judged = Before { heard: Some(core.quorum_epoch()), ..before(&core) };
        monitor.judge_taken(&judged, &seen(&tenure(), &core), &[]);
        monitor.judge_state(&tenure(), &core, Offset(0));
        monitor.judge_commitment(Offset(0), core.high_watermark().unwrap());
    });

    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_a_refusal_shows_is_noticed() {
    let core = leader(&[]);
    let shown = |refusal| {
        let heard = Before { heard: Some(QuorumEpoch(3)), ..before(&core) };
        violated(|monitor| monitor.judge_heard(&heard, Some(&refusal)))
    };

    let twins = Refusal::TwoLeaders { quorum_epoch: QuorumEpoch(3), known: key(2), claimant: key(3) };
    assert_eq!(shown(twins), ["quorum/one_leader_per_epoch"]);
    let cut = Refusal::TruncationBelowHighWatermark { end: Offset(1), high_watermark: Offset(2) };
    assert_eq!(shown(cut), ["quorum/committed_never_changes"]);
}

#[test]
fn a_step_back_and_a_vote_by_a_pre_vote_are_noticed() {
    let core = leader(&[]);
    let stepped =
        |before: Before| violated(|monitor| monitor.judge_taken(&before, &seen(&tenure(), &core), &[]));

    let higher = Some(Offset(99));
    assert_eq!(
        stepped(Before { high_watermark: higher, ..before(&core) }),
        ["quorum/high_watermark_never_moves_back"]
    );
    let later = Vote { quorum_epoch: QuorumEpoch(99), voted_for: None };
    assert_eq!(stepped(Before { vote: later, ..before(&core) }), ["quorum/quorum_epoch_never_moves_back"]);
    let heard = Some(QuorumEpoch(99));
    assert_eq!(stepped(Before { heard, ..before(&core) }), ["quorum/epoch_follows_what_is_heard"]);
    let unvoted = Vote { voted_for: None, ..core.vote() };
    let pre_vote = Some(core.quorum_epoch());
    assert_eq!(
        stepped(Before { vote: unvoted, pre_vote, ..before(&core) }),
        ["quorum/pre_vote_changes_nothing"]
    );
}

#[test]
fn a_duty_that_is_not_done_is_noticed() {
    let core = leader(&[]);
    // It leads on, though two of the three voters that there are now have not been heard.
    let voters = VoterHistory::new(set(&[1, 2, 3]));
    let after = ReplicaView { voters: &voters, ..seen(&tenure(), &core) };
    let unheard = Before { duty: Duty::BeHeard { is_over: true }, ..before(&core) };
    let found = violated(|monitor| monitor.judge_taken(&unheard, &after, &[]));
    assert_eq!(found, ["quorum/leader_without_a_majority_resigns"]);

    let asked = Duty::Spare { asked_in: core.quorum_epoch(), vote: core.vote(), hears_leader: true };
    let grants = Effect::Send { to: NodeId(2), message: message(core.quorum_epoch(), granted(true)) };
    let asked = Before { duty: asked, ..before(&core) };
    let found = violated(|monitor| monitor.judge_taken(&asked, &after, &[grants]));
    assert_eq!(found, ["quorum/pre_vote_spares_a_working_leader"]);
}

#[test]
fn a_start_that_forgets_the_epoch_is_noticed() {
    let mut effects = Vec::new();
    let forgets = Planted(Some(Bug::EpochForgotten));
    let core = Quorum::recover(&tenure(), forgets, found(&[]), &mut effects);
    // A voter alone begins an election at once; one that waits has no epoch at all.
    assert!(core.vote().quorum_epoch < QuorumEpoch(3));

    let found = violated(|monitor| monitor.judge_start(&tenure(), &core));
    assert_eq!(found, ["quorum/quorum_epoch_never_moves_back"]);
}

#[test]
fn a_second_vote_and_a_message_before_its_epoch_is_stored_are_noticed() {
    let vote = |candidate: u32| Vote { quorum_epoch: QuorumEpoch(3), voted_for: Some(key(candidate)) };
    let stored = Recovered { vote: vote(2), ..found(&[]) };

    let once = violated_from(&stored, |monitor| {
        monitor.judge_sent(&message(QuorumEpoch(3), granted(false)), vote(2));
    });
    assert_eq!(once, Vec::<String>::new());
    let twice = violated_from(&stored, |monitor| {
        monitor.stored = vote(3);
        monitor.judge_sent(&message(QuorumEpoch(3), granted(false)), vote(3));
    });
    assert_eq!(twice, ["quorum/one_vote_per_epoch"]);
    let early = violated_from(&stored, |monitor| {
        monitor.judge_sent(&message(QuorumEpoch(4), Body::BeginQuorum), vote(2))
    });
    assert_eq!(early, ["quorum/messages_are_of_the_stored_epoch"]);
}

#[test]
fn a_leap_of_the_voters_and_a_log_start_without_a_snapshot_are_noticed() {
    let leaps = leader(&[&[1, 2, 3], &[1]]);
    let found = violated(|monitor| monitor.judge_state(&tenure(), &leaps, Offset(0)));
    assert_eq!(found, ["quorum/voters_change_one_at_a_time"]);

    let trimmed = leader(&[]);
    let found = violated(|monitor| monitor.judge_state(&tenure(), &trimmed, Offset(1)));
    assert_eq!(found, ["quorum/log_start_has_a_snapshot"]);
}

#[test]
fn an_early_answer_and_a_snapshot_of_other_voters_are_noticed() {
    let found = violated(|monitor| monitor.judge_commitment(Offset(4), Offset(4)));
    assert_eq!(found, ["quorum/acknowledged_is_kept"]);

    let id = |end| SnapshotId { end: Offset(end), quorum_epoch: QuorumEpoch(3) };
    let found = violated(|monitor| {
        monitor.voters_committed(Offset(1), set(&[1, 2]));
        monitor.judge_snapshot(id(1), &set(&[1]));
    });
    assert_eq!(found, Vec::<String>::new());
    let found = violated(|monitor| {
        monitor.voters_committed(Offset(1), set(&[1, 2]));
        monitor.judge_snapshot(id(2), &set(&[1]));
    });
    assert_eq!(found, ["quorum/snapshot_is_the_fold_of_the_log"]);
}

#[test]
fn what_is_off_does_not_even_parse() {
    let kind = BatchKind::Voters(set(&[1, 2]));
    let mut bytes = records::encode_control(&kind, 0).unwrap().unwrap();
    let batch = Batch::split_first(&mut bytes).unwrap().stamped(Offset(4), 3, None);
    let known = |monitors: Monitors| {
        let core = monitors.core(&Env::real(), Place::Quorum);
        let mut monitor = QuorumMonitor::new(core, &tenure(), &found(&[]));
        monitor.committed(&batch);
        monitor.committed.last_offset()
    };

    assert_eq!(known(Monitors::every(NonZeroU32::MIN)), Some(Offset(4)));
    assert_eq!(known(Monitors::default()), None);
}
