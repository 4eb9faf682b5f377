//! The queue against hand-made answers, and against a leader that keeps to R71 behind a network that does not.

use super::*;

/// A queue whose producer the leader knows already: ten records were acknowledged before.
fn queue(batches: &[&'static str]) -> Queue<&'static str, u64> {
    let mut queue = Queue::new(5);
    queue.push("first", 10, 100);
    let (first, ..) = send(&mut queue);
    queue.answered(first, Verdict::Acknowledged(Some(Offset(0))));
    for batch in batches {
        queue.push(*batch, 10, 100);
    }
    queue
}

fn send(queue: &mut Queue<&'static str, u64>) -> (Attempt, u16, u32) {
    let (id, stamp, _) = queue.send_next().expect("a batch may be sent");
    (id, stamp.epoch.0, stamp.sequence.0)
}

fn lost() -> Verdict {
    Verdict::Retriable { outcome: Outcome::Unknown, why: Heard::said("connection lost") }
}

fn refused_for_now() -> Verdict {
    Verdict::Retriable { outcome: Outcome::NotDone, why: Heard::said("NOT_ENOUGH_REPLICAS") }
}

fn out_of_order() -> Verdict {
    Verdict::OutOfOrder { why: Heard::said("OUT_OF_ORDER_SEQUENCE_NUMBER") }
}

#[test]
fn batches_go_out_in_order_and_at_most_five_are_under_way() {
    let mut queue = queue(&["a", "b", "c", "d", "e", "f"]);

    let sequences: Vec<u32> = (0..5).map(|_| send(&mut queue).2).collect();

    assert_eq!(sequences, [10, 20, 30, 40, 50]);
    assert!(queue.send_next().is_none());
}

#[test]
fn each_batch_has_a_deadline_of_its_own() {
    let mut queue = queue(&["a"]);
    queue.push("b", 10, 5000);
    let ((a, ..), (b, ..)) = (send(&mut queue), send(&mut queue));

    assert_eq!(
        [queue.deadline_of(a), queue.deadline_of(b), queue.deadline()],
        [Some(100), Some(5000), Some(100)]
    );
}

#[test]
fn the_first_batch_of_an_epoch_goes_alone() {
    let mut queue: Queue<&str, u64> = Queue::new(5);
    queue.push("a", 10, 100);
    queue.push("b", 10, 100);
    let (a, ..) = send(&mut queue);

    assert!(
        queue.send_next().is_none(),
        "a leader that knows nothing of the producer would take b without a"
    );
    queue.answered(a, Verdict::Acknowledged(Some(Offset(0))));
    assert_eq!(send(&mut queue).2, 10);
}

#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_sequence_and_before_anything_new() {
    let mut queue = queue(&["a", "b", "c"]);
    let (a, ..) = send(&mut queue);
    let (b, ..) = send(&mut queue);

    assert_eq!(queue.answered(a, lost()), None);
    assert!(queue.send_next().is_none(), "the answer to b is still out");
    assert_eq!(queue.answered(b, lost()), None);

    let sequences: Vec<u32> = (0..3).map(|_| send(&mut queue).2).collect();
    assert_eq!(sequences, [10, 20, 30]);
}

#[test]
fn an_acknowledgement_counts_even_after_the_attempt_was_given_up() {
    let mut queue = queue(&["a"]);
    let (a, ..) = send(&mut queue);
    queue.abandon(Outcome::Unknown, "new leader");

    let finished = queue.answered(a, Verdict::Acknowledged(Some(Offset(7))));

    assert_eq!(finished, Some(Finished { batch: "a", end: End::Acknowledged(Some(Offset(7))) }));
    assert_eq!(queue.answered(a, lost()), None);
}

#[test]
fn what_became_of_an_attempt_that_was_given_up_says_nothing_of_the_next() {
    let mut queue = queue(&["a"]);
    let (first, ..) = send(&mut queue);
    queue.abandon(Outcome::Unknown, "new leader");
    let (second, ..) = send(&mut queue);

    assert_eq!(queue.answered(first, out_of_order()), None);
    assert_eq!(queue.in_flight(), 1);
    assert!(queue.answered(second, Verdict::Acknowledged(Some(Offset(7)))).is_some());
}

#[test]
fn a_batch_that_was_only_ever_refused_is_known_not_to_be_written() {
    let mut queue = queue(&["a"]);
    let (a, ..) = send(&mut queue);
    queue.answered(a, refused_for_now());

    let finished = queue.expire(100);

    let end = End::Expired { outcome: Outcome::NotDone, last: Heard::said("NOT_ENOUGH_REPLICAS") };
    assert_eq!(finished, [Finished { batch: "a", end }]);
}

#[test]
fn a_batch_whose_answer_was_once_lost_stays_unknown() {
    let mut queue = queue(&["a"]);
    let (first, ..) = send(&mut queue);
    queue.answered(first, lost());
    let (second, ..) = send(&mut queue);
    queue.answered(second, refused_for_now());

    let end = End::Expired { outcome: Outcome::Unknown, last: Heard::said("NOT_ENOUGH_REPLICAS") };
    assert_eq!(queue.expire(100), [Finished { batch: "a", end }]);
}

#[test]
fn a_gap_is_closed_under_a_new_epoch_and_never_by_using_sequences_again() {
    let mut queue = Queue::new(5);
    queue.push("a", 10, 100);
    queue.push("b", 10, 200);
    let (a, ..) = send(&mut queue);
    queue.answered(a, refused_for_now());
    queue.expire(100);

    let (b, epoch, sequence) = send(&mut queue);
    assert_eq!((epoch, sequence), (0, 10), "a was given up, its sequences are not used again");
    queue.answered(b, out_of_order());

    let (_, epoch, sequence) = send(&mut queue);
    assert_eq!((epoch, sequence), (1, 0));
}

#[test]
fn a_batch_that_may_be_written_is_not_sent_under_a_new_epoch() {
    let mut queue = queue(&["a", "b"]);
    let (first, ..) = send(&mut queue);
    queue.answered(first, lost());
    let (second, ..) = send(&mut queue);

    let finished = queue.answered(second, out_of_order());

    assert_eq!(finished, Some(Finished { batch: "a", end: End::Refused { outcome: Outcome::Unknown } }));
    assert_eq!(send(&mut queue).1, 1, "b was never sent and starts the new epoch");
}

#[test]
fn a_batch_behind_one_that_is_sent_again_is_only_out_of_turn() {
    let mut queue = queue(&["a", "b"]);
    let (a, ..) = send(&mut queue);
    let (b, ..) = send(&mut queue);
    queue.answered(a, refused_for_now());
    queue.answered(b, out_of_order());

    assert_eq!((send(&mut queue).2, send(&mut queue).2), (10, 20));
}

#[test]
fn closing_says_of_each_batch_whether_it_may_be_written() {
    let mut queue = queue(&["a", "b"]);
    send(&mut queue);

    assert_eq!(queue.close(), [("a", Outcome::Unknown), ("b", Outcome::NotDone)]);
}

/// A leader that keeps to R71, holding one value per batch.
#[derive(Default)]
struct Leader {
    log: Vec<u32>,
    known: Option<(u16, u32)>,
    recent: VecDeque<(u16, u32, usize)>,
}

impl Leader {
    fn append(&mut self, stamp: Stamp, value: u32) -> Verdict {
        let key = (stamp.epoch.0, stamp.sequence.0);
        if let Some((_, _, at)) = self.recent.iter().find(|(e, s, _)| (*e, *s) == key) {
            return Verdict::Acknowledged(Some(Offset(*at as u64)));
        }
        let fits = match self.known {
            None => true,
            Some((epoch, next)) => key == (epoch, next) || (key.0 > epoch && key.1 == 0),
        };
        if !fits {
            return out_of_order();
        }
        self.known = Some((key.0, key.1 + 1));
        self.recent.push_back((key.0, key.1, self.log.len()));
        if self.recent.len() > IN_FLIGHT_MAX {
            self.recent.pop_front();
        }
        self.log.push(value);
        Verdict::Acknowledged(Some(Offset(self.log.len() as u64 - 1)))
    }
}

/// A small generator, so that a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Drives one queue against one leader: requests arrive in order or the connection breaks; answers may be lost; some
/// requests are refused for now; now and then a batch expires.
fn run(seed: u64) -> (Vec<u32>, Vec<(u32, End)>) {
    let mut dice = Dice(seed);
    let mut queue: Queue<u32, u64> = Queue::new(5);
    let mut leader = Leader::default();
    let mut wire: VecDeque<(Attempt, Stamp, u32)> = VecDeque::new();
    let mut done = Vec::new();
    for value in 0..40 {
        queue.push(value, 1, if dice.roll(8) == 0 { dice.roll(60) } else { 10_000 });
    }
    for now in 0..10_000 {
        let finished = match dice.roll(10) {
            0..4 => {
                if let Some((id, stamp, value)) = queue.send_next() {
                    wire.push_back((id, stamp, *value));
                }
                None
            }
            4..8 => wire.pop_front().and_then(|(id, stamp, value)| {
                let verdict = if dice.roll(6) == 0 { refused_for_now() } else { leader.append(stamp, value) };
                let verdict = if dice.roll(5) == 0 { lost() } else { verdict };
                queue.answered(id, verdict)
            }),
            8 if dice.roll(10) == 0 => {
                wire.clear();
                queue.abandon(Outcome::Unknown, "connection lost");
                None
            }
            _ => {
                done.extend(queue.expire(now).into_iter().map(|finished| (finished.batch, finished.end)));
                None
            }
        };
        done.extend(finished.map(|finished| (finished.batch, finished.end)));
        if queue.is_empty() {
            break;
        }
    }
    assert!(queue.is_empty(), "seed {seed}: every batch comes to an end");
    (leader.log, done)
}

#[test]
fn whatever_the_network_does_nothing_is_written_twice_or_out_of_order_and_no_verdict_lies() {
    for seed in 1..3_000 {
        let (log, done) = run(seed);

        assert!(log.is_sorted_by(|a, b| a < b), "seed {seed}: {log:?}");
        for (value, end) in done {
            let written = log.contains(&value);
            match end {
                End::Acknowledged(Some(at)) => {
                    let there = usize::try_from(at.0).ok().and_then(|at| log.get(at));
                    assert_eq!(there, Some(&value), "seed {seed}: acknowledged at another place");
                }
                End::Acknowledged(None) => panic!("seed {seed}: an acknowledgement without its offset"),
                End::Expired { outcome: Outcome::NotDone, .. }
                | End::Refused { outcome: Outcome::NotDone } => {
                    assert!(!written, "seed {seed}: {value} is said not to be written");
                }
                End::Expired { .. } | End::Refused { .. } => {}
            }
        }
    }
}

#[test]
fn a_batch_that_expires_under_way_tells_the_last_thing_that_was_heard_of_it() {
    let mut queue = queue(&["a"]);
    let (a, ..) = send(&mut queue);
    queue.answered(a, refused_for_now());
    send(&mut queue);

    let expired = queue.expire(100);

    let [Finished { batch: "a", end: End::Expired { outcome, last } }] = expired.as_slice() else {
        panic!("{expired:?}")
    };
    assert_eq!((*outcome, last.words.as_str()), (Outcome::Unknown, "NOT_ENOUGH_REPLICAS"));
}

#[test]
fn an_attempt_that_nobody_answers_does_not_take_back_what_a_broker_said() {
    let said = |code, words: &str| Verdict::Retriable {
        outcome: Outcome::NotDone,
        why: Heard { code, words: words.to_owned() },
    };
    let told = |verdicts: Vec<Verdict>| {
        let mut queue = queue(&["a"]);
        for verdict in verdicts {
            let (a, ..) = send(&mut queue);
            queue.answered(a, verdict);
        }
        let End::Expired { last, .. } = queue.expire(100).remove(0).end else { panic!("its time is over") };
        (last.code, last.words)
    };
    let (few, not_leader) = (Some(ErrorCode::NotEnoughReplicas), Some(ErrorCode::NotLeaderOrFollower));

    let refused = said(few, "1 of 2");
    assert_eq!(
        told(vec![refused.clone(), lost(), lost()]),
        (few, "1 of 2; then: connection lost".to_owned())
    );
    assert_eq!(told(vec![refused, lost(), said(not_leader, "3 leads")]), (not_leader, "3 leads".to_owned()));
    assert_eq!(told(vec![lost()]), (None, "connection lost".to_owned()));
}
