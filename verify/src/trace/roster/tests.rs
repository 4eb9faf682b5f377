//! Of whom something may be believed, and of whom not.

use highwater_model::metadata::{BrokerChanged, BrokerRegistered};

use super::*;

const A: NodeId = NodeId(1);
const N: NodeId = NodeId(2);

fn run(number: u128) -> IncarnationId {
    IncarnationId(number)
}

fn registered(node: NodeId, incarnation: u128) -> Record {
    Record::BrokerRegistered(BrokerRegistered {
        node,
        incarnation: run(incarnation),
        address: "n:1".into(),
        directories: Default::default(),
        vouched_from: None,
    })
}

/// What a run knows that took these batches, each with its end.
fn knows(batches: &[(u64, Record)]) -> Acquainted {
    let mut acquainted = Acquainted::default();
    for (end, record) in batches {
        acquainted.registrations.in_batch(Offset(*end), std::slice::from_ref(record));
    }
    acquainted
}

/// Run 20 of N, which registered at 3, is not recorded; its next one, which did at 9, is, and so is A's, which did at 5.
fn rolling() -> Roster {
    let mut by_a = knows(&[(4, registered(N, 20)), (6, registered(A, 10)), (10, registered(N, 21))]);
    by_a.registered.insert(BrokerEpoch(5));
    let mut by_n = Acquainted::default();
    by_n.registered.insert(BrokerEpoch(9));
    Roster::new(vec![((A, run(10)), by_a), ((N, run(21)), by_n)])
}

fn named(node: NodeId, incarnation: u128) -> Option<Unrecorded> {
    Some((node, Some(run(incarnation))))
}

#[test]
fn a_registration_is_of_the_run_that_the_metadata_names() {
    let roster = rolling();
    let under = |node, broker_epoch| roster.unrecorded(Speaker::Registered(node, BrokerEpoch(broker_epoch)));

    assert_eq!(under(N, 3), named(N, 20), "it ran unrecorded");
    assert_eq!(under(N, 9), None, "it is recorded");
    assert!(roster.may_be(Speaker::Registered(N, BrokerEpoch(9)), (N, run(21))));
    assert!(!roster.may_be(Speaker::Registered(N, BrokerEpoch(3)), (N, run(21))));
    assert_eq!(under(N, 5), None, "that record registered another node");
    assert_eq!(under(A, 3), None);
    assert_eq!(under(N, 4), Some((N, None)), "nobody has that record");
    assert_eq!(under(N, u64::MAX), Some((N, None)));
}

#[test]
fn who_answers_was_at_work_when_the_asker_was_registered() {
    let mut roster = rolling();
    let answers = |roster: &Roster, asker| roster.unrecorded(Speaker::Answerer(N, BrokerEpoch(asker)));

    assert_eq!(answers(&roster, 5), named(N, 20), "it was registered then");
    assert_eq!(answers(&roster, 11), None, "it had ended: another run was registered");
    assert!(roster.may_be(Speaker::Answerer(N, BrokerEpoch(11)), (N, run(21))));
    assert!(!roster.may_be(Speaker::Answerer(N, BrokerEpoch(11)), (A, run(10))));
    assert!(roster.may_be(Speaker::Answerer(NodeId(3), BrokerEpoch(11)), (NodeId(3), run(30))));
    assert_eq!(roster.unrecorded(Speaker::Answerer(NodeId(3), BrokerEpoch(11))), Some((NodeId(3), None)));

    assert_eq!(roster.count_unrecorded(), 0, "nothing was believed of it");
    roster.believe(Speaker::Answerer(N, BrokerEpoch(5)));
    roster.believe(Speaker::Registered(N, BrokerEpoch(3)));
    roster.believe(Speaker::Registered(N, BrokerEpoch(9)));
    assert_eq!(roster.count_unrecorded(), 1);
}

#[test]
fn a_run_that_ended_before_the_asker_registered_does_not_answer_though_its_last_moments_are_missing() {
    let mut by_n = Acquainted::default();
    by_n.registered.insert(BrokerEpoch(3));
    let by_a = knows(&[(10, registered(N, 21))]);
    let roster = Roster::new(vec![((N, run(20)), by_n), ((N, run(21)), by_a)]);

    assert!(roster.may_be(Speaker::Answerer(N, BrokerEpoch(5)), (N, run(20))));
    assert!(!roster.may_be(Speaker::Answerer(N, BrokerEpoch(11)), (N, run(20))));
    assert!(
        roster.may_be(Speaker::Answerer(N, BrokerEpoch(11)), (N, run(22))),
        "it is not known when it was"
    );
}

#[test]
fn what_was_heard_of_in_the_quorum_is_believed_while_nobody_knows_when_it_was() {
    let mut by_a = knows(&[(4, registered(N, 20)), (10, registered(N, 21))]);
    by_a.heard.extend([(N, run(21)), (N, run(22))]);
    let roster = |acquainted| Roster::new(vec![((A, run(10)), acquainted), ((N, run(21)), knows(&[]))]);
    let unplaced = roster(by_a);

    assert_eq!(unplaced.unrecorded(Speaker::Answerer(N, BrokerEpoch(11))), named(N, 22));
    assert_eq!(unplaced.unrecorded(Speaker::Controller), named(N, 22));
    assert_eq!(unplaced.count_unrecorded(), 1);

    let mut by_a = knows(&[(4, registered(N, 20)), (10, registered(N, 21))]);
    by_a.heard.insert((N, run(20)));
    let placed = roster(by_a);
    assert_eq!(placed.unrecorded(Speaker::Answerer(N, BrokerEpoch(11))), None, "it had ended");
    assert_eq!(placed.unrecorded(Speaker::Answerer(N, BrokerEpoch(9))), None, "so it had");
    assert_eq!(placed.unrecorded(Speaker::Answerer(N, BrokerEpoch(8))), named(N, 20));
}

#[test]
fn places_in_the_metadata_log_that_nobody_would_write_do_no_harm() {
    let mut registrations = Registrations::default();
    registrations.in_batch(Offset(u64::MAX), &[registered(N, 20), registered(A, 10)]);
    registrations.in_batch(Offset(0), &[registered(N, 21)]);

    assert_eq!(registrations.of(A, BrokerEpoch(u64::MAX - 1)), Some(run(10)));
    assert!(registrations.is_known_at(BrokerEpoch(u64::MAX - 1)));
    assert!(!registrations.is_known_at(BrokerEpoch(u64::MAX)));
}

#[test]
fn an_image_names_those_that_are_registered_in_it() {
    let mut image = Image::default();
    image.apply(Offset(4), &[registered(N, 20)]);
    image.apply(Offset(10), &[registered(N, 21)]);
    let changed = BrokerChanged { node: N, broker_epoch: BrokerEpoch(9) };
    image.apply(Offset(11), &[Record::BrokerUnfenced(changed)]);
    let mut registrations = Registrations::default();
    registrations.in_batch(Offset(11), &[Record::Snapshot(Box::new(image))]);

    assert_eq!(registrations.of(N, BrokerEpoch(9)), Some(run(21)));
    assert_eq!(registrations.of(N, BrokerEpoch(3)), None);
    assert!(!registrations.is_known_at(BrokerEpoch(10)), "a snapshot does not say what lay where");
}
