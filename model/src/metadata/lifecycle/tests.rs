//! Registration, catching up, losing a registration, stopping.

use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::id::{IncarnationId, NodeId};
use crate::metadata::{Command, CommandRefusal, Outcome};

fn tenure() -> LifecycleTenure {
    LifecycleTenure {
        node: NodeId(1),
        incarnation: IncarnationId(7),
        address: "localhost:9092".to_string(),
        directories: vec![DirectoryFacts {
            directory: DirectoryId(5),
            clean_stop: Some(BrokerEpoch(3)),
            same_boot: None,
            damaged: Vec::new(),
            incomplete: false,
        }],
    }
}

fn step(lifecycle: &mut Lifecycle, input: LifecycleInput) -> Vec<LifecycleEffect> {
    let mut effects = Vec::new();
    lifecycle.step(&tenure(), input, &mut effects).unwrap();
    effects
}

fn answered(request: u64, answer: BrokerAnswer) -> LifecycleInput {
    LifecycleInput::Answered { request: RequestId(request), answer }
}

fn registration() -> Registration {
    let LifecycleTenure { node, incarnation, address, directories } = tenure();
    Registration { node, incarnation, replaces: Some(BrokerEpoch(3)), address, directories }
}

fn heartbeat(broker_epoch: u64, metadata_offset: u64, want_shutdown: bool) -> BrokerRequest {
    BrokerRequest::Heartbeat(Heartbeat {
        node: NodeId(1),
        broker_epoch: BrokerEpoch(broker_epoch),
        metadata_offset: Offset(metadata_offset),
        want_fence: false,
        want_shutdown,
        offline_directories: Vec::new(),
    })
}

fn sends(request: u64, body: BrokerRequest) -> Vec<LifecycleEffect> {
    vec![
        LifecycleEffect::Send { request: RequestId(request), body },
        LifecycleEffect::Arm(LifecycleTimer::Heartbeat),
    ]
}

fn running() -> Lifecycle {
    let mut lifecycle = Lifecycle::new();
    step(&mut lifecycle, LifecycleInput::Started);
    step(&mut lifecycle, answered(1, BrokerAnswer::Registered { broker_epoch: BrokerEpoch(10) }));
    step(&mut lifecycle, LifecycleInput::Applied { metadata_offset: Offset(11) });
    step(&mut lifecycle, answered(2, BrokerAnswer::Heartbeat { fenced: false, may_stop: false }));
    lifecycle
}

#[test]
fn a_start_registers_and_the_timer_repeats_it() {
    let mut lifecycle = Lifecycle::new();

    assert_eq!(
        step(&mut lifecycle, LifecycleInput::Started),
        sends(1, BrokerRequest::Register(registration()))
    );
    let again = step(&mut lifecycle, LifecycleInput::Expired(LifecycleTimer::Heartbeat));
    assert_eq!(again, sends(2, BrokerRequest::Register(registration())));
}

#[test]
fn a_broker_asks_to_be_unfenced_as_soon_as_it_has_applied_its_own_registration() {
    let mut lifecycle = Lifecycle::new();
    step(&mut lifecycle, LifecycleInput::Started);
    let registered =
        step(&mut lifecycle, answered(1, BrokerAnswer::Registered { broker_epoch: BrokerEpoch(10) }));

    assert_eq!(registered, vec![LifecycleEffect::Registered { broker_epoch: BrokerEpoch(10) }]);
    assert_eq!(step(&mut lifecycle, LifecycleInput::Applied { metadata_offset: Offset(10) }), vec![]);
    let caught_up = step(&mut lifecycle, LifecycleInput::Applied { metadata_offset: Offset(11) });
    assert_eq!(caught_up, sends(2, heartbeat(10, 11, false)));
    let unfenced =
        step(&mut lifecycle, answered(2, BrokerAnswer::Heartbeat { fenced: false, may_stop: false }));
    assert_eq!(unfenced, vec![LifecycleEffect::Fenced(false)]);
}

#[test]
fn an_answer_to_a_request_that_was_given_up_is_refused() {
    let mut lifecycle = Lifecycle::new();
    step(&mut lifecycle, LifecycleInput::Started);
    step(&mut lifecycle, LifecycleInput::Expired(LifecycleTimer::Heartbeat));
    let before = lifecycle.clone();

    let stale = answered(1, BrokerAnswer::Registered { broker_epoch: BrokerEpoch(10) });
    let refused = lifecycle.step(&tenure(), stale, &mut Vec::new());
    assert_eq!(refused, Err(LifecycleRefusal::NotAsked { request: RequestId(1) }));
    assert_eq!(lifecycle, before);
}

#[test]
fn a_lost_registration_is_renewed_and_says_that_nothing_was_lost() {
    let mut lifecycle = running();
    step(&mut lifecycle, LifecycleInput::Expired(LifecycleTimer::Heartbeat));
    let renewed = step(&mut lifecycle, answered(3, BrokerAnswer::Refused(ErrorCode::StaleBrokerEpoch)));

    let mut kept = Registration { replaces: Some(BrokerEpoch(10)), ..registration() };
    kept.directories[0].clean_stop = None;
    kept.directories[0].same_boot = Some(BrokerEpoch(10));
    let mut expected = vec![LifecycleEffect::Fenced(true)];
    expected.extend(sends(4, BrokerRequest::Register(kept)));
    assert_eq!(renewed, expected);
}

#[test]
fn a_registration_that_would_replace_another_than_the_current_one_is_corrected() {
    let mut lifecycle = Lifecycle::new();
    step(&mut lifecycle, LifecycleInput::Started);

    let moved = BrokerAnswer::RegistrationMoved { registered: Some(BrokerEpoch(7)) };
    let corrected = Registration { replaces: Some(BrokerEpoch(7)), ..registration() };
    assert_eq!(step(&mut lifecycle, answered(1, moved)), sends(2, BrokerRequest::Register(corrected)));
}

#[test]
fn a_broker_stops_when_the_controller_lets_it_go() {
    let mut lifecycle = running();

    assert_eq!(step(&mut lifecycle, LifecycleInput::StopAsked), sends(3, heartbeat(10, 11, true)));
    let not_yet =
        step(&mut lifecycle, answered(3, BrokerAnswer::Heartbeat { fenced: false, may_stop: false }));
    assert_eq!(not_yet, vec![]);
    step(&mut lifecycle, LifecycleInput::Expired(LifecycleTimer::Heartbeat));
    let done = step(&mut lifecycle, answered(4, BrokerAnswer::Heartbeat { fenced: true, may_stop: true }));
    let may_stop = LifecycleEffect::MayStop { broker_epoch: Some(BrokerEpoch(10)) };
    assert_eq!(done, vec![LifecycleEffect::Fenced(true), may_stop]);
}

#[test]
fn a_broker_that_was_never_registered_stops_at_once() {
    let mut lifecycle = Lifecycle::new();
    step(&mut lifecycle, LifecycleInput::Started);

    let stopped = step(&mut lifecycle, LifecycleInput::StopAsked);
    assert_eq!(stopped, vec![LifecycleEffect::MayStop { broker_epoch: None }]);
}

#[test]
fn a_failed_directory_is_reported_at_once() {
    let mut lifecycle = running();

    let effects = step(&mut lifecycle, LifecycleInput::DirectoryFailed(DirectoryId(5)));
    let BrokerRequest::Heartbeat(mut expected) = heartbeat(10, 11, false) else { unreachable!() };
    expected.offline_directories = vec![DirectoryId(5)];
    assert_eq!(effects, sends(3, BrokerRequest::Heartbeat(expected)));
}

#[test]
fn an_answer_is_taken_once() {
    let mut lifecycle = running();
    step(&mut lifecycle, LifecycleInput::Expired(LifecycleTimer::Heartbeat));
    assert_eq!(lifecycle.awaited(), Some(RequestId(3)));
    let answer = || answered(3, BrokerAnswer::Heartbeat { fenced: false, may_stop: false });
    step(&mut lifecycle, answer());

    assert_eq!(lifecycle.awaited(), None);
    let again = lifecycle.step(&tenure(), answer(), &mut Vec::new());
    assert_eq!(again, Err(LifecycleRefusal::NotAsked { request: RequestId(3) }));
}

#[test]
fn a_renewed_registration_vouches_for_no_directory_that_failed_and_for_all_that_did_not() {
    let mut tenure = tenure();
    tenure.directories[0].damaged = vec![crate::id::TopicPartition {
        topic: crate::id::TopicId(1),
        partition: crate::id::PartitionIndex(0),
    }];
    tenure.directories[0].incomplete = true;
    tenure.directories.push(DirectoryFacts { directory: DirectoryId(6), ..tenure.directories[0].clone() });
    let mut lifecycle = running();
    let mut effects = Vec::new();
    let inputs = [
        LifecycleInput::DirectoryFailed(DirectoryId(6)),
        answered(3, BrokerAnswer::Refused(ErrorCode::StaleBrokerEpoch)),
    ];
    for input in inputs {
        effects.clear();
        lifecycle.step(&tenure, input, &mut effects).unwrap();
    }

    let sent = effects.iter().find_map(|effect| {
        let LifecycleEffect::Send { body: BrokerRequest::Register(registration), .. } = effect else {
            return None;
        };
        Some(registration)
    });
    let kept = DirectoryFacts {
        directory: DirectoryId(5),
        clean_stop: None,
        same_boot: Some(BrokerEpoch(10)),
        damaged: Vec::new(),
        incomplete: false,
    };
    assert_eq!(sent.map(|registration| registration.directories.clone()), Some(vec![kept]));
}

#[test]
fn a_broker_that_was_asked_to_stop_while_it_registered_says_so_at_once() {
    let mut lifecycle = running();
    step(&mut lifecycle, LifecycleInput::Expired(LifecycleTimer::Heartbeat));
    step(&mut lifecycle, answered(3, BrokerAnswer::Refused(ErrorCode::StaleBrokerEpoch)));
    step(&mut lifecycle, LifecycleInput::Applied { metadata_offset: Offset(30) });

    let registered = answered(4, BrokerAnswer::Registered { broker_epoch: BrokerEpoch(20) });
    let mut expected = vec![LifecycleEffect::Registered { broker_epoch: BrokerEpoch(20) }];
    expected.extend(sends(5, heartbeat(20, 30, false)));
    assert_eq!(step(&mut lifecycle, registered), expected);
    assert!(!lifecycle.may_stop());
}

#[test]
fn a_lifecycle_tells_where_it_stands() {
    let told = |of: &Lifecycle| (of.broker_epoch(), of.is_fenced(), of.is_stopping(), of.may_stop());
    let mut lifecycle = Lifecycle::new();
    assert_eq!(told(&lifecycle), (None, true, false, false));
    lifecycle = running();
    assert_eq!(told(&lifecycle), (Some(BrokerEpoch(10)), false, false, false));
    step(&mut lifecycle, LifecycleInput::StopAsked);
    assert_eq!(told(&lifecycle), (Some(BrokerEpoch(10)), false, true, false));
    step(&mut lifecycle, answered(3, BrokerAnswer::Heartbeat { fenced: true, may_stop: true }));
    assert_eq!(told(&lifecycle), (Some(BrokerEpoch(10)), true, true, true));
}

#[test]
fn a_broker_that_may_stop_takes_nothing_any_more() {
    let mut lifecycle = Lifecycle::new();
    step(&mut lifecycle, LifecycleInput::StopAsked);
    let before = lifecycle.clone();

    let mut effects = Vec::new();
    let refused = lifecycle.step(&tenure(), LifecycleInput::Started, &mut effects);
    assert_eq!((refused, effects), (Err(LifecycleRefusal::Stopped), Vec::new()));
    assert_eq!(lifecycle, before);
}

#[test]
fn what_the_controller_said_of_the_registration_before_is_over_once_there_is_another() {
    let mut lifecycle = Lifecycle::new();
    step(&mut lifecycle, LifecycleInput::Started);
    let moved = BrokerAnswer::RegistrationMoved { registered: Some(BrokerEpoch(7)) };
    step(&mut lifecycle, answered(1, moved));
    step(&mut lifecycle, answered(2, BrokerAnswer::Registered { broker_epoch: BrokerEpoch(10) }));
    step(&mut lifecycle, LifecycleInput::Expired(LifecycleTimer::Heartbeat));
    let effects = step(&mut lifecycle, answered(3, BrokerAnswer::Refused(ErrorCode::StaleBrokerEpoch)));

    let [LifecycleEffect::Send { body: BrokerRequest::Register(renewed), .. }, _] = effects.as_slice() else {
        panic!("{effects:?} is not one request")
    };
    assert_eq!(renewed.replaces, Some(BrokerEpoch(10)));
}

#[test]
fn what_a_controller_answers_is_told_as_a_lifecycle_takes_it() {
    let (node, broker_epoch) = (NodeId(1), BrokerEpoch(9));
    let registered = Some(broker_epoch);
    let told = [
        (Ok(Outcome::Registered { broker_epoch }), BrokerAnswer::Registered { broker_epoch }),
        (
            Ok(Outcome::Heartbeat { fenced: true, may_stop: false }),
            BrokerAnswer::Heartbeat { fenced: true, may_stop: false },
        ),
        (
            Err(CommandRefusal::RegistrationMoved { node, given: None, registered }),
            BrokerAnswer::RegistrationMoved { registered },
        ),
        (
            Err(CommandRefusal::BrokerNotRegistered { node }),
            BrokerAnswer::Refused(ErrorCode::BrokerIdNotRegistered),
        ),
        (Ok(Outcome::Done), BrokerAnswer::Refused(ErrorCode::UnknownServerError)),
    ];

    told.into_iter().for_each(|(answer, expected)| assert_eq!(BrokerAnswer::of(&answer), expected));
    let asked = BrokerRequest::Register(registration()).into_command();
    assert_eq!(asked, Command::RegisterBroker(registration()));
}
