//! Linearizable end reads.

use super::*;

fn read(request: u64) -> Input {
    Input::EndRead { request_id: RequestId(request) }
}

#[test]
fn it_waits_for_a_round_that_began_after_it_came() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));

    // The parked fetch is older than the read: it is answered with the round, and says nothing itself.
    let told = FetchAnswer { round: ReadRound(1), ..records(R1, 1, (0, 0), 0) };
    assert_eq!(leader.take(read(9)), [answered(R1, told)]);
    let echo = Fetch { round: ReadRound(1), ..fetch(R1, 2, 0) };
    let (request_id, offset, leader_epoch) = (RequestId(9), Offset(0), LeaderEpoch(1));
    let known = Effect::EndKnown(EndOfLog { request_id, offset, leader_epoch });
    assert_eq!(leader.take(from(R1, Message::Fetch(echo))), [known]);
}

#[test]
fn a_fetch_without_the_echo_does_not_answer_it() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(read(9));

    let effects = leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    let told = FetchAnswer { round: ReadRound(1), ..records(R1, 1, (0, 0), 0) };
    assert_eq!(effects, [answered(R1, told), disarm(Timer::Lag(R1))]);
}

#[test]
fn it_is_refused_where_another_leader_could_be_acknowledging() {
    let mut short = leader(&[R0], None);
    let missing = [R1, R2].into_iter().collect();
    let refusal = Refusal::NotEnoughReplicas { isr: IsrSet::only(R0), min_isr: 2, missing };
    assert_eq!(short.refuse(read(1)), refusal);

    let mut new = leader(&[R0, R1], None);
    new.append(2);
    new.take(Input::View(view(2, R0, 2, &[R0, R1])));
    let (high_watermark, leader_epoch_start) = (Offset(0), Offset(2));
    assert_eq!(new.refuse(read(1)), Refusal::WatermarkNotApplied { high_watermark, leader_epoch_start });
}

#[test]
fn it_waits_while_too_few_are_in_sync() {
    let mut leader = leader(&[R0, R1], None);
    leader.take(from(R1, Message::Fetch(fetch(R1, 1, 0))));
    leader.take(read(9));
    let alone = leader.take(Input::View(view(2, R0, 1, &[R0])));
    assert!(!alone.iter().any(|effect| matches!(effect, Effect::EndKnown(_))), "{alone:?}");

    leader.take(Input::View(view(3, R0, 1, &[R0, R1])));
    let echo = Fetch { round: ReadRound(1), ..fetch(R1, 2, 0) };
    let known = leader.take(from(R1, Message::Fetch(echo)));
    assert!(matches!(known[..], [Effect::EndKnown(_), ..]), "{known:?}");
}
