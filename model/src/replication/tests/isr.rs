//! Proposals and their outcomes.

use super::*;
use crate::error_code::ErrorCode;

/// A leader whose follower 2, out of the ISR, has just fetched everything; and the effects of that.
fn joining(bug: Option<Bug>) -> (Subject, Vec<Effect>) {
    let mut leader = leader(&[R0, R1], bug);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    let effects = leader.take(from(R2, Message::Fetch(fetch(R2, 1, 0))));
    (leader, effects)
}

fn outcome(request: u64, outcome: AlterPartitionOutcome) -> Input {
    Input::AlterPartitionAnswered(AlterPartitionAnswer { request_id: RequestId(request), outcome })
}

fn applied(partition_epoch: u32, isr: &[ReplicaIdx]) -> AlterPartitionOutcome {
    AlterPartitionOutcome::Applied {
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(partition_epoch),
        isr: isr.iter().copied().collect(),
        min_isr: 2,
        flush: FlushPolicy::Os,
    }
}

#[test]
fn a_follower_that_holds_everything_is_proposed() {
    let (leader, effects) = joining(None);

    let proposed = Effect::ProposeIsr(proposal(1, 1, &[R0, R1, R2]));
    assert_eq!(effects, [proposed, arm(Timer::AlterPartitionRetry)]);
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(3)));
}

#[test]
fn an_applied_proposal_is_adopted_before_the_metadata_comes_and_stays_when_it_is_older() {
    let (mut leader, _) = joining(None);

    let adopted = leader.take(outcome(1, applied(2, &[R0, R1, R2])));
    assert_eq!(adopted, [disarm(Timer::AlterPartitionRetry)]);
    assert!(!leader.replica.is_changing_isr());
    let mut older = view(1, R0, 1, &[R0, R1]);
    older.metadata_offset = Offset(300);
    leader.take(Input::View(older));
    assert_eq!(leader.replica.view().isr, IsrSet::first(3));
    assert_eq!(leader.replica.view().partition_epoch, PartitionEpoch(2));
}

#[test]
fn an_unknown_outcome_repeats_the_identical_proposal() {
    let (mut leader, _) = joining(None);

    let again = leader.take(Input::Expired(Timer::AlterPartitionRetry));
    let proposed = Effect::ProposeIsr(proposal(1, 1, &[R0, R1, R2]));
    assert_eq!(again, [proposed, arm(Timer::AlterPartitionRetry)]);
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(3)));
}

#[test]
fn planted_an_unknown_outcome_is_taken_as_a_refusal() {
    let (mut leader, _) = joining(Some(Bug::RevertOnTimeout));
    leader.take(Input::Expired(Timer::AlterPartitionRetry));

    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn a_leader_that_is_behind_stays_pending_until_the_metadata_tells() {
    let (mut leader, _) = joining(None);

    let behind = AlterPartitionOutcome::Behind(ErrorCode::InvalidUpdateVersion);
    assert_eq!(leader.take(outcome(1, behind)), [disarm(Timer::AlterPartitionRetry)]);
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(3)));
    assert_eq!(leader.refuse(Input::Expired(Timer::AlterPartitionRetry)), Refusal::NotArmed);
    leader.take(Input::View(view(3, R0, 1, &[R0])));
    assert_eq!(leader.replica.view().isr, IsrSet::only(R0));
}

/// R45 would go back to the committed ISR at once; a copy that is still under way could then be applied unnoticed.
#[test]
fn a_refused_newcomer_is_waited_for_until_the_partition_epoch_moves() {
    let (mut leader, _) = joining(None);
    let held = leader.take(outcome(1, AlterPartitionOutcome::NotApplied));
    assert_eq!(held, [arm(Timer::AlterPartitionRetry)]);
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(3)));

    // The image says why; nothing else is wanted, so the ISR as it is moves the partition epoch.
    let mut fenced = view(1, R0, 1, &[R0, R1]);
    fenced.metadata_offset = Offset(200);
    fenced.replicas[2].eligible = false;
    let settling = leader.take(Input::View(fenced));
    let proposed = Effect::ProposeIsr(proposal(2, 1, &[R0, R1]));
    assert_eq!(settling, [disarm(Timer::AlterPartitionRetry), proposed, arm(Timer::AlterPartitionRetry)]);
    leader.take(outcome(2, applied(2, &[R0, R1])));
    assert_eq!(leader.replica.maximal_isr(), Some(IsrSet::first(2)));
}

#[test]
fn an_answer_to_another_proposal_is_ignored() {
    let (mut leader, _) = joining(None);
    assert_eq!(leader.refuse(outcome(7, applied(2, &[R0]))), Refusal::StaleAnswer);
}

#[test]
fn a_member_that_was_not_heard_from_is_proposed_without_a_broker_epoch() {
    let mut leader = leader(&[R0, R1], None);
    let effects = leader.take(from(R2, Message::Fetch(fetch(R2, 1, 0))));

    let mut proposed = proposal(1, 1, &[R0, R1, R2]);
    proposed.members[1].broker_epoch = None;
    assert!(effects.contains(&Effect::ProposeIsr(proposed)));
}

/// Whether a follower that has fetched up to `offset` of 4 is proposed, with 2 below the leader epoch's start and, if
/// `committed`, 3 below the high watermark.
fn is_proposed(bug: Option<Bug>, offset: u64, alter: fn(&mut PartitionView)) -> bool {
    let mut leader = leader(&[R0, R1], bug);
    leader.append(2);
    let mut now = view(2, R0, 2, &[R0, R1]);
    alter(&mut now);
    leader.take(Input::View(now));
    leader.append(2);
    let of_epoch = |replica, request, offset| {
        let last_epoch = Some(LeaderEpoch(if offset > 2 { 2 } else { 1 }));
        from(
            replica,
            Message::Fetch(Fetch {
                leader_epoch: LeaderEpoch(2),
                last_epoch,
                ..fetch(replica, request, offset)
            }),
        )
    };
    leader.take(of_epoch(R1, 1, 3));
    leader.take(of_epoch(R2, 1, offset));
    leader.replica.is_changing_isr()
}

#[test]
fn a_follower_joins_only_with_the_watermark_the_epoch_start_and_an_eligible_broker() {
    let as_it_is: fn(&mut PartitionView) = |_| {};
    assert!(is_proposed(None, 4, as_it_is));
    assert!(!is_proposed(None, 2, as_it_is));
    assert!(!is_proposed(None, 1, as_it_is));

    assert!(!is_proposed(None, 4, |view| view.replicas[2].eligible = false));
    assert!(is_proposed(Some(Bug::FencedReadmitted), 4, |view| view.replicas[2].eligible = false));
    assert!(!is_proposed(None, 4, |view| view.replicas[2].broker_epoch = Some(BrokerEpoch(2))));
    assert!(is_proposed(Some(Bug::StaleBrokerEpoch), 4, |view| {
        view.replicas[2].broker_epoch = Some(BrokerEpoch(99));
    }));
}

/// A leader that began with r1 in sync, with 2 records below the start of its epoch, and 1 above it; r1, dropped from the ISR
/// since and fenced meanwhile if `fenced`, fetches up to `offset`. Nobody has said that it lags.
fn is_taken_back(bug: Option<Bug>, fenced: bool, offset: u64) -> bool {
    // One is enough where the watermark is to rise without it.
    let min_isr = if fenced { 1 } else { 2 };
    let mut leader = leader(&[R0, R1], bug);
    leader.append(2);
    leader.take(Input::View(PartitionView { min_isr, ..view(2, R0, 2, &[R0, R1]) }));
    let mut alone = PartitionView { min_isr, ..view(3, R0, 2, &[R0]) };
    alone.replicas[1].eligible = !fenced;
    leader.take(Input::View(alone));
    let last_epoch = Some(LeaderEpoch(1));
    let told = Fetch { leader_epoch: LeaderEpoch(2), last_epoch, ..fetch(R1, 1, offset) };
    leader.take(from(R1, Message::Fetch(told)));
    leader.append(1);
    leader.take(Input::View(PartitionView { min_isr, ..view(4, R0, 2, &[R0]) }));
    leader.replica.is_changing_isr()
}

#[test]
fn planted_a_member_of_before_joins_below_the_epoch_start_or_below_the_watermark() {
    // Below the epoch's start, at a watermark that is still the one of before.
    assert!(!is_taken_back(None, false, 1));
    assert!(is_taken_back(Some(Bug::JoinAtStaleHighWatermark), false, 1));
    assert!(!is_taken_back(Some(Bug::NoWatermarkTestOnJoin), false, 1));
    // At the epoch's start, below a watermark that did not wait for one that is fenced.
    assert!(!is_taken_back(None, true, 2));
    assert!(is_taken_back(Some(Bug::NoWatermarkTestOnJoin), true, 2));
    assert!(!is_taken_back(Some(Bug::JoinAtStaleHighWatermark), true, 2));
}

#[test]
fn an_answer_that_tells_of_another_reign_or_of_nothing_newer_is_left_to_the_metadata() {
    for odd in [
        AlterPartitionOutcome::Applied {
            leader_epoch: LeaderEpoch(2),
            partition_epoch: PartitionEpoch(2),
            isr: IsrSet::first(3),
            min_isr: 2,
            flush: FlushPolicy::Os,
        },
        applied(1, &[R0, R1, R2]),
    ] {
        let (mut leader, _) = joining(None);
        assert_eq!(leader.replica.isr_change_stage(), Some(IsrChangeStage::Open(RequestId(1))));
        assert_eq!(leader.take(outcome(1, odd)), [disarm(Timer::AlterPartitionRetry)]);

        assert_eq!(leader.replica.isr_change_stage(), Some(IsrChangeStage::Behind));
        assert_eq!(leader.replica.view().isr, IsrSet::first(2));
        assert_eq!(leader.replica.open_proposal(), None);
    }
}

#[test]
fn an_applied_proposal_brings_the_whole_record_and_an_older_view_takes_nothing_of_it_back() {
    let (mut leader, _) = joining(None);
    let mut now = applied(2, &[R0, R1, R2]);
    if let AlterPartitionOutcome::Applied { min_isr, flush, .. } = &mut now {
        (*min_isr, *flush) = (1, FlushPolicy::Commit);
    }
    leader.take(outcome(1, now));
    let record = |leader: &Subject| {
        let view = leader.replica.view();
        (view.leader, view.leader_epoch, view.partition_epoch, view.isr, view.min_isr, view.flush)
    };
    let (whole, commit) = (IsrSet::first(3), FlushPolicy::Commit);
    let expected = (Some(R0), LeaderEpoch(1), PartitionEpoch(2), whole, 1, commit);
    assert_eq!(record(&leader), expected);

    let mut older = view(1, R0, 2, &[R0, R1]);
    (older.metadata_offset, older.leader) = (Offset(300), None);
    leader.take(Input::View(older));
    assert_eq!(record(&leader), expected);
}

#[test]
fn a_refused_proposal_is_evaluated_anew_when_its_timer_runs_out() {
    let (mut leader, _) = joining(None);
    leader.take(outcome(1, AlterPartitionOutcome::NotApplied));
    assert_eq!(leader.replica.isr_change_stage(), Some(IsrChangeStage::Held));

    let proposed = Effect::ProposeIsr(proposal(2, 1, &[R0, R1, R2]));
    let again = leader.take(Input::Expired(Timer::AlterPartitionRetry));
    assert_eq!(again, [proposed, arm(Timer::AlterPartitionRetry)]);
}

#[test]
fn a_replica_that_does_not_lead_takes_no_answer_to_a_proposal() {
    let mut idle = Subject::new(R0, None);
    let refusal = Refusal::NotLeader { leader: None, leader_epoch: LeaderEpoch(0) };

    assert_eq!(idle.refuse(outcome(1, applied(2, &[R0]))), refusal);
    assert_eq!(idle.replica.isr_change_stage(), None);
}

#[test]
fn a_late_follower_that_holds_everything_by_now_is_not_dropped() {
    let mut leader = Subject::new(R0, None);
    leader.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));
    leader.append(1);
    leader.take(leader.flushed());
    leader.take(from(R1, Message::Fetch(Fetch { durable_end: Offset(0), ..fetch(R1, 1, 1) })));
    leader.take(Input::Expired(Timer::Lag(R1)));
    leader.take(outcome(1, AlterPartitionOutcome::NotApplied));
    let (leader_epoch, broker_epoch) = (LeaderEpoch(1), registration(R1));
    let progress = Progress { leader_epoch, broker_epoch, request_id: RequestId(1), durable_end: Offset(1) };
    leader.take(from(R1, Message::Progress(progress)));

    // Only to void the copies of the refused proposal.
    let settling = Effect::ProposeIsr(proposal(2, 1, &[R0, R1]));
    assert!(leader.take(Input::Expired(Timer::AlterPartitionRetry)).contains(&settling));
}

#[test]
fn a_change_without_an_outcome_ends_with_the_reign() {
    let (mut leader, _) = joining(None);

    let deposed = leader.take(Input::View(view(2, R1, 2, &[R0, R1])));
    assert_eq!(deposed[0], disarm(Timer::AlterPartitionRetry));
    assert_eq!(leader.replica.isr_change_stage(), None);
}
