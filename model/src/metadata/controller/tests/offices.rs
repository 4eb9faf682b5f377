//! When answers are given, and what is forgotten.

use super::*;

#[test]
fn an_answer_waits_for_the_commit() {
    let mut cluster = Cluster::new();
    cluster.hold = true;
    let effects = cluster.submit(Command::RegisterBroker(registration(1, 1, None)));

    assert_eq!(effects, vec![Effect::Arm(Timer::Session(NodeId(1)))]);
    let answer = Ok(Outcome::Registered { broker_epoch: BrokerEpoch(1) });
    assert_eq!(cluster.commit(), vec![Effect::Reply(Reply { request: RequestId(1), answer })]);
}

#[test]
fn a_refusal_waits_for_the_decision_that_it_rests_on() {
    let mut cluster = Cluster::running("2");
    cluster.hold = true;
    let stale = cluster.proposal(&[1, 2]);
    cluster.lose_session(3);

    let node = NodeId(1);
    let effects = cluster.submit(Command::AlterPartition { node, partition: partition(), proposal: stale });
    assert_eq!(effects, vec![]);
    let answers: Vec<_> = cluster.commit().into_iter().filter_map(reply).collect();
    let [Err(CommandRefusal::StalePartitionEpoch { .. })] = answers.as_slice() else {
        panic!("{answers:?} is not one refusal of a stale partition epoch")
    };
}

#[test]
fn a_deposed_controller_forgets_what_is_not_committed_and_says_that_the_outcome_is_open() {
    let mut cluster = Cluster::new();
    let before = cluster.controller.committed().clone();
    cluster.hold = true;
    cluster.submit(Command::RegisterBroker(registration(1, 1, None)));
    let effects = cluster.step(Input::Deposed);

    let open = Effect::Reply(Reply { request: RequestId(1), answer: Err(CommandRefusal::Deposed) });
    let disarmed = [Timer::Session(NodeId(1)), Timer::LeaderRebalance].map(Effect::Disarm);
    assert_eq!(effects, disarmed.into_iter().chain([open]).collect::<Vec<_>>());
    assert_eq!(cluster.controller, Controller::new(Sound, before));
}

#[test]
fn a_commit_learned_under_another_epoch_answers_nothing() {
    let mut cluster = Cluster::new();
    cluster.hold = true;
    cluster.submit(Command::RegisterBroker(registration(1, 1, None)));
    let (end, records) = cluster.held.remove(0);

    let later = Input::Committed { end, quorum_epoch: QuorumEpoch(2), records };
    assert_eq!(cluster.step(later), vec![]);
    assert!(cluster.controller.has_pending());
}

#[test]
fn a_new_office_watches_every_broker_that_may_lead() {
    let mut cluster = Cluster::running("2");
    cluster.lose_session(3);
    cluster.step(Input::Deposed);
    let committed = cluster.controller.committed().end();
    let effects = cluster.step(Input::Elected { quorum_epoch: QuorumEpoch(2), committed });

    assert_eq!(effects, [1, 2].map(|node| Effect::Arm(Timer::Session(NodeId(node)))));
}

#[test]
fn nothing_is_decided_before_the_last_batch_has_its_place() {
    let mut cluster = Cluster::new();
    let (tenure, mut effects) = (Tenure::default(), Vec::new());
    let asked = |run| Input::Asked {
        request: RequestId(1),
        at_ms: 0,
        command: Command::RegisterBroker(registration(1, run, None)),
    };
    cluster.controller.step(&tenure, asked(1), &mut effects).unwrap();

    assert_eq!(cluster.controller.step(&tenure, asked(2), &mut effects), Err(Refusal::AppendUnderWay));
    cluster.controller.step(&tenure, Input::NotAppended, &mut Vec::new()).unwrap();
    assert_eq!(cluster.controller.step(&tenure, asked(2), &mut effects), Ok(()));
}

#[test]
fn inputs_out_of_place_are_refused_and_change_nothing() {
    let tenure = Tenure::default();
    let mut controller = Controller::new(Sound, Image::default());
    let before = controller.clone();
    let mut refused = |input| controller.step(&tenure, input, &mut Vec::new()).unwrap_err();

    let elected = Input::Elected { quorum_epoch: QuorumEpoch(1), committed: Offset(1) };
    assert_eq!(refused(elected), Refusal::Behind { committed: Offset(1), applied: Offset(0) });
    assert_eq!(refused(Input::Appended { end: Offset(1) }), Refusal::NotActive);
    let command = Command::DeleteTopic { name: "t".to_string() };
    assert_eq!(refused(Input::Asked { request: RequestId(1), at_ms: 0, command }), Refusal::NotActive);
    let empty = Input::Committed { end: Offset(0), quorum_epoch: QuorumEpoch(1), records: Vec::new() };
    assert_eq!(refused(empty), Refusal::OutOfOrder { end: Offset(0), applied: Offset(0) });
    assert_eq!(controller, before);
}

#[test]
fn an_append_that_nobody_asked_for_is_refused_and_one_that_failed_is_told() {
    let mut cluster = Cluster::new();
    let mut refused = |input| cluster.controller.step(&cluster.tenure, input, &mut Vec::new());
    assert_eq!(refused(Input::Appended { end: Offset(2) }), Err(Refusal::NothingToPlace));
    assert_eq!(refused(Input::NotAppended), Err(Refusal::NothingToPlace));

    let registration = Command::RegisterBroker(registration(1, 1, None));
    let asked = Input::Asked { request: RequestId(7), at_ms: 100, command: registration };
    let mut effects = Vec::new();
    cluster.controller.step(&cluster.tenure, asked, &mut effects).unwrap();
    assert!(cluster.controller.has_pending());
    let (end, applied) = (Offset(1), Offset(1));
    let twice = cluster.controller.step(&cluster.tenure, Input::Appended { end }, &mut Vec::new());
    assert_eq!(twice, Err(Refusal::OutOfOrder { end, applied }));
    let told = cluster.step(Input::NotAppended);
    let answer = Err(CommandRefusal::NotAppended);
    assert_eq!(told, vec![Effect::Reply(Reply { request: RequestId(7), answer })]);
    assert!(!cluster.controller.has_pending());
}

#[test]
fn whoever_is_elected_again_ends_the_office_before() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.controller.active_in(), Some(QUORUM_EPOCH));
    cluster.hold = true;
    cluster.submit(Command::RegisterBroker(registration(1, 1, None)));
    let committed = cluster.controller.committed().end();
    let effects = cluster.step(Input::Elected { quorum_epoch: QuorumEpoch(2), committed });

    let open = Effect::Reply(Reply { request: RequestId(1), answer: Err(CommandRefusal::Deposed) });
    let disarmed = [Timer::Session(NodeId(1)), Timer::LeaderRebalance].map(Effect::Disarm);
    assert_eq!(effects, disarmed.into_iter().chain([open]).collect::<Vec<_>>());
    assert_eq!(cluster.controller.active_in(), Some(QuorumEpoch(2)));
    cluster.step(Input::Deposed);
    assert_eq!(cluster.controller.active_in(), None);
}

#[test]
fn leaders_go_back_to_preferred_replicas_each_time_the_timer_runs_out_where_that_is_configured() {
    let mut cluster = Cluster::running("1");
    cluster.tenure.leader_rebalance = true;
    cluster.lose_session(1);
    cluster.register(registration(1, 2, None)).unwrap();
    cluster.beat(1);
    let grow = cluster.proposal(&[2, 3, 1]);
    cluster.propose(grow).unwrap();
    assert_eq!(cluster.sets(), (vec![1, 2, 3], vec![], Some(2)));

    let again = || Effect::Arm(Timer::LeaderRebalance);
    let expired = || Input::Expired { timer: Timer::LeaderRebalance, at_ms: 300 };
    assert_eq!(cluster.step(expired()), [again()]);
    assert_eq!(cluster.sets(), (vec![1, 2, 3], vec![], Some(1)));
    let settled = cluster.controller.clone();
    assert_eq!(cluster.step(expired()), [again()]);
    assert_eq!(cluster.controller, settled);

    cluster.step(Input::Deposed);
    let committed = cluster.controller.committed().end();
    let effects = cluster.step(Input::Elected { quorum_epoch: QuorumEpoch(2), committed });
    assert_eq!(effects.last(), Some(&again()));
}

#[test]
fn how_far_brokers_are_is_noted_only_while_one_hands_over() {
    let mut cluster = Cluster::running("2");
    let heard = |cluster: &Cluster| [1, 2, 3, 4].map(|node| cluster.controller.heard_from(NodeId(node)));
    let none = Some(Offset::ZERO);
    cluster.beat(2);
    assert_eq!(heard(&cluster), [none, none, none, None]);

    cluster.stop(1);
    cluster.beat(2);
    let end = Some(cluster.controller.committed().end());
    assert_eq!(heard(&cluster), [none, end, none, None]);
    cluster.beat(3);
    cluster.stop(1);
    cluster.beat(3);
    assert_eq!(heard(&cluster), [none, none, none, None]);
}
