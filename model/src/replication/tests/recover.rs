//! A replica as it comes back.

use super::*;
use crate::log::EpochHistory;

fn recovered(hint: u64) -> Replica<Planted> {
    let mut epochs = EpochHistory::default();
    epochs.assign(LeaderEpoch(1), Offset(2));
    let log = LogShape::recovered(Offset(2), Offset(3), Offset(6), epochs);
    let batches = [BatchSummary { base_offset: Offset(2), ..sequenced(5, 0, 0, 4) }];
    Replica::recover(
        &tenure(R1),
        Planted(None),
        Recovered { log, high_watermark: Offset(hint), batches: &batches },
    )
}

#[test]
fn a_checkpointed_watermark_is_a_hint_within_the_log() {
    assert_eq!(recovered(0).high_watermark(), Offset(2));
    assert_eq!(recovered(4).high_watermark(), Offset(4));
    assert_eq!(recovered(9).high_watermark(), Offset(6));
}

#[test]
fn it_follows_from_what_it_has_and_syncs_what_may_not_be_synced() {
    let mut subject = Subject { tenure: tenure(R1), replica: recovered(0) };
    let effects = subject.take(Input::View(under_commit(view(1, R0, 1, &[R0, R1]))));

    let sync = Effect::Sync { up_to: Offset(6), generation: LogGeneration::default() };
    let fetch = Fetch { durable_end: Offset(3), log_start: Offset(2), ..fetch(R1, 1, 6) };
    assert_eq!(effects, [sync, sent(R0, Message::Fetch(fetch)), arm(Timer::FetchRetry)]);
}

#[test]
fn it_knows_its_producers_again() {
    let mut subject = Subject { tenure: tenure(R1), replica: recovered(0) };
    subject.take(Input::View(view(1, R1, 2, &[R0, R1])));

    let again = subject.take(produce(Acks::All, 1, sequenced(5, 0, 0, 4)));
    assert_eq!(again, []);
}
