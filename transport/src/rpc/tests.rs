//! What calls promise.

use super::*;
use crate::certs::LabAuthority;
use crate::env::Env;
use crate::env::sim::{NetworkConfig, Process, Simulation};
use crate::frame::{Frame, FrameError};
use crate::identity::Expect;
use crate::quic::{Connection, Endpoint, Lane, LossReason, ReceiveError, SendError, Settings};
use core::time::Duration;
use highwater_model::id::NodeId;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const SECOND: Duration = Duration::from_secs(1);

/// A caller of `from` on a new connection to `to`, and both ends of that connection.
async fn connected(to: (&Env, SocketAddr), from: (&Env, SocketAddr)) -> (Caller, Connection, Connection) {
    let authority = LabAuthority::new("test").unwrap();
    let identity = authority.broker(NodeId(1)).unwrap();
    let server = Endpoint::bind(to.0, to.1, &identity, Settings::default()).unwrap();
    let identity = authority.client("alice").unwrap();
    let client = Endpoint::bind(from.0, from.1, &identity, Settings::default()).unwrap();
    let dialled = client.connect(server.local_address(), Expect::AnyBroker).await.unwrap();
    let accepted = server.accept().await.unwrap();
    let caller = Caller::new(from.0, dialled.open(Lane::Data).await.unwrap());
    (caller, dialled, accepted)
}

fn processes(sim: &Simulation) -> (Process, Process) {
    let address = |host| IpAddr::V4(Ipv4Addr::new(198, 18, 0, host));
    (sim.process("one", address(1)), sim.process("two", address(2)))
}

async fn connected_in(one: &Process, two: &Process) -> (Caller, Connection, Connection) {
    let at = |process: &Process| SocketAddr::new(process.address(), 0);
    connected((&one.env(), at(one)), (&two.env(), at(two))).await
}

fn question(number: u32) -> Frame {
    Frame::encoded(5, 1, &number).unwrap()
}

#[tokio::test]
async fn a_thousand_calls_under_way_each_get_their_own_answer_in_any_order() {
    let env = Env::real();
    let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let (caller, _dialled, accepted) = connected((&env, local), (&env, local)).await;
    env.spawn("serve", async move {
        let mut requests = Requests::new(accepted.accept().await.unwrap());
        let mut held = Vec::new();
        while held.len() < 1000 {
            held.push(requests.next().await.unwrap().unwrap());
        }
        for request in held.into_iter().rev() {
            let number: u32 = request.frame.decoded().unwrap();
            request.responder.answer(Frame::encoded(0, 1, &(number * 2)).unwrap()).await.unwrap();
        }
        assert!(requests.next().await.unwrap().is_none());
    });

    let mut pending = Vec::new();
    for number in 0..1000 {
        pending.push(caller.start(question(number), 20 * SECOND).await.unwrap());
    }

    for (number, call) in (0_u32..).zip(pending) {
        let answer = call.answer().await.unwrap();
        assert_eq!((answer.kind, answer.decoded::<u32>()), (5, Ok(number * 2)));
    }
    assert_eq!(caller.under_way(), 0);
}

#[test]
fn a_call_without_answer_ends_at_its_deadline_and_its_late_answer_is_dropped() {
    let outcome = Simulation::run(1, NetworkConfig::CALM, async |sim| {
        let (one, two) = processes(&sim);
        let (caller, _dialled, accepted) = connected_in(&one, &two).await;
        let start = sim.now();
        let first = caller.start(question(1), SECOND).await.unwrap();
        let mut requests = Requests::new(accepted.accept().await.unwrap());
        let late = requests.next().await.unwrap().unwrap();

        let error = first.answer().await.unwrap_err();
        let waited = sim.now().since(start);
        late.responder.answer(question(11)).await.unwrap();
        let second = caller.start(question(2), SECOND).await.unwrap();
        requests.next().await.unwrap().unwrap().responder.answer(question(22)).await.unwrap();
        (error, waited, second.answer().await.unwrap().decoded::<u32>())
    });

    assert_eq!(outcome.success(), (CallError::TimedOut, SECOND, Ok(22)));
}

#[test]
fn a_lost_connection_fails_all_calls_under_way_with_outcome_unknown_and_later_ones_as_not_sent() {
    let outcome = Simulation::run(2, NetworkConfig::CALM, async |sim| {
        let (one, two) = processes(&sim);
        let (caller, dialled, _accepted) = connected_in(&one, &two).await;
        let mut pending = Vec::new();
        for number in 0..5 {
            pending.push(caller.start(question(number), 60 * SECOND).await.unwrap());
        }
        one.kill();
        caller.closed().await;
        let mut errors = Vec::new();
        for call in pending {
            errors.push(call.answer().await.unwrap_err());
        }
        let lost = dialled.closed().await;
        (errors, lost, caller.call(question(9), SECOND).await.unwrap_err(), sim.now().elapsed())
    });

    let (errors, lost, later, elapsed) = outcome.success();
    assert_eq!(lost.reason, LossReason::TimedOut);
    assert_eq!(errors, vec![CallError::Lost(Some(ReceiveError::Lost(lost))); 5]);
    assert!(errors.iter().all(CallError::outcome_unknown));
    assert_eq!(later, CallError::NotSent(SendError::Closed));
    assert!(!later.outcome_unknown());
    assert!(elapsed < 2 * SECOND, "{elapsed:?}");
}

#[test]
fn a_server_that_does_not_read_congests_its_callers() {
    let outcome = Simulation::run(3, NetworkConfig::CALM, async |sim| {
        let (one, two) = processes(&sim);
        let (caller, _dialled, accepted) = connected_in(&one, &two).await;
        let _unread = Requests::new(accepted.accept().await.unwrap());
        let big = || question(1).with_payload(vec![vec![0; (4 << 20) - 64].into()]);
        let mut pending = Vec::new();
        loop {
            match caller.start(big(), SECOND).await {
                Ok(call) => pending.push(call),
                Err(error) => return (pending.len(), error, caller.under_way()),
            }
        }
    });

    let (sent, error, under_way) = outcome.success();
    assert_eq!(error, CallError::Congested);
    assert!((2..=4).contains(&sent), "{sent}");
    assert_eq!(under_way, sent);
}

#[test]
fn an_answer_may_be_larger_than_any_question() {
    let outcome = Simulation::run(6, NetworkConfig::CALM, async |sim| {
        let (one, two) = processes(&sim);
        let (caller, _dialled, accepted) = connected_in(&one, &two).await;
        let large = || Frame { kind: 5, version: 1, body: vec![7; 12 << 20].into(), ..Frame::default() };
        let refused = caller.call(large(), SECOND).await.unwrap_err();
        let call = caller.start(question(1), 20 * SECOND).await.unwrap();
        let mut requests = Requests::new(accepted.accept().await.unwrap());
        let request = requests.next().await.unwrap().unwrap();
        let limits = request.responder.limits();
        request.responder.answer(large()).await.unwrap();
        (refused, limits.body_bytes_max, call.answer().await.unwrap().body.len())
    });

    let (refused, limit, length) = outcome.success();
    let too_large = FrameError::BodyTooLarge { length: 12 << 20, max: 1 << 20 };
    assert_eq!(refused, CallError::NotSent(SendError::Frame(too_large)));
    assert_eq!((limit, length), (16 << 20, 12 << 20));
}

#[test]
fn a_told_frame_expects_no_answer() {
    let outcome = Simulation::run(4, NetworkConfig::CALM, async |sim| {
        let (one, two) = processes(&sim);
        let (caller, _dialled, accepted) = connected_in(&one, &two).await;
        caller.tell(question(7)).await.unwrap();
        let mut requests = Requests::new(accepted.accept().await.unwrap());
        let told = requests.next().await.unwrap().unwrap();
        let expected = told.responder.is_expected();
        told.responder.answer(question(8)).await.unwrap();
        (expected, told.frame.decoded::<u32>())
    });

    assert_eq!(outcome.success(), (false, Ok(7)));
}
