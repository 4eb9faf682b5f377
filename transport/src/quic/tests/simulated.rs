//! Over the simulated network.

use super::*;
use crate::env::sim::{NetworkConfig, Outcome, Process, Simulation};
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

const PORT: u16 = 9000;

fn address(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 18, 0, host))
}

fn listen(process: &Process, identity: &Identity) -> Endpoint {
    bind(&process.env(), SocketAddr::new(process.address(), PORT), identity)
}

fn dialler(process: &Process, identity: &Identity) -> Endpoint {
    bind(&process.env(), SocketAddr::new(process.address(), 0), identity)
}

/// Sends frames over a lossy network that is also cut for half a second, and counts those that come back in order.
fn lossy_run(seed: u64) -> Outcome<u64> {
    let network =
        NetworkConfig { duplicate_millionths: 50_000, ..NetworkConfig::default() }.with_loss_percent(5);
    Simulation::run(seed, network, async |sim| {
        let authority = authority();
        let (one, two) = (sim.process("one", address(1)), sim.process("two", address(2)));
        let broker = listen(&one, &authority.broker(NodeId(1)).unwrap());
        echo(&one.env(), &broker);
        let client = dialler(&two, &authority.client("alice").unwrap());
        let connection = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
        let (sender, mut receiver) = connection.open(Lane::Data).await.unwrap().split();
        let frames = 60;
        two.env().spawn("send", async move {
            for correlation in 0..frames {
                sender.send(frame(correlation, 20_000)).await.unwrap();
            }
        });
        let mut count = 0;
        while let Some(received) = receiver.receive().await.unwrap() {
            assert_eq!(received, frame(count, 20_000));
            count += 1;
            if count == 20 {
                sim.cut(one.address(), two.address());
                sim.env().sleep(Duration::from_millis(500)).await;
                sim.heal_all();
            }
            sim.note(&format!("received {count}"));
        }
        count
    })
}

#[test]
fn loss_and_a_partition_that_heals_lose_no_frame() {
    let outcome = lossy_run(1);

    assert!(outcome.counters.lost > 50, "{:?}", outcome.counters);
    assert!(outcome.counters.duplicated > 20, "{:?}", outcome.counters);
    assert!(outcome.counters.cut > 0, "{:?}", outcome.counters);
    assert_eq!(outcome.success(), 60);
}

/// Set for the second process of the test below: the seed whose trace to print.
const TRACE_SEED: &str = "HIGHWATER_TEST_TRACE_SEED";

#[test]
fn a_seed_gives_one_trace_in_every_process() {
    if let Ok(seed) = std::env::var(TRACE_SEED) {
        println!("trace={:016x}", lossy_run(seed.parse().unwrap()).trace.hash());
        return;
    }
    let name = "quic::tests::simulated::a_seed_gives_one_trace_in_every_process";
    let mut hashes = Vec::new();
    for seed in 2..5_u64 {
        let here = format!("trace={:016x}", lossy_run(seed).trace.hash());
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(TRACE_SEED, seed.to_string())
            .output()
            .unwrap();
        let output = String::from_utf8(child.stdout).unwrap();
        assert!(output.contains(&here), "seed {seed}: {here} here, but there:\n{output}");
        assert!(!hashes.contains(&here), "two seeds, one trace");
        hashes.push(here);
    }
}

#[test]
fn a_killed_process_is_missed_within_two_seconds_and_its_successor_sooner() {
    let outcome = Simulation::run(7, NetworkConfig::CALM, async |sim| {
        let authority = authority();
        let (one, two) = (sim.process("one", address(1)), sim.process("two", address(2)));
        let identity = authority.broker(NodeId(1)).unwrap();
        let broker = listen(&one, &identity);
        let to = broker.local_address();
        let client = dialler(&two, &authority.broker(NodeId(2)).unwrap());

        let connection = client.connect(to, Expect::Broker(NodeId(1))).await.unwrap();
        one.kill();
        let killed = sim.now();
        let missed = connection.closed().await.reason;
        let missed_after = sim.now().since(killed);

        let env = one.restart();
        let successor = bind(&env, to, &identity);
        let connection = client.connect(to, Expect::Broker(NodeId(1))).await.unwrap();
        drop(successor);
        let env = one.restart();
        let killed = sim.now();
        let _successor = bind(&env, to, &identity);
        let replaced = connection.closed().await.reason;
        ((missed, missed_after), (replaced, sim.now().since(killed)))
    });

    let ((missed, missed_after), (replaced, replaced_after)) = outcome.success();
    assert_eq!(missed, LossReason::TimedOut);
    assert!(missed_after < Duration::from_secs(2), "{missed_after:?}");
    assert_eq!(replaced, LossReason::Forgotten);
    assert!(replaced_after < Duration::from_millis(400), "{replaced_after:?}");
}

#[test]
fn an_idle_connection_lives_on_and_a_cut_one_is_missed_on_both_sides() {
    let outcome = Simulation::run(8, NetworkConfig::CALM, async |sim| {
        let authority = authority();
        let (one, two) = (sim.process("one", address(1)), sim.process("two", address(2)));
        let broker = listen(&one, &authority.broker(NodeId(1)).unwrap());
        let client = dialler(&two, &authority.client("alice").unwrap());
        let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
        let accepted = broker.accept().await.unwrap();

        sim.env().sleep(Duration::from_secs(60)).await;
        let alive = !dialled.is_closed() && !accepted.is_closed();
        sim.cut_one_way(one.address(), two.address());
        let reasons = (dialled.closed().await.reason, accepted.closed().await.reason);
        (alive, reasons)
    });

    assert_eq!(outcome.success(), (true, (LossReason::TimedOut, LossReason::TimedOut)));
}

#[test]
fn a_paused_process_misses_its_connections_when_it_runs_on() {
    let outcome = Simulation::run(9, NetworkConfig::CALM, async |sim| {
        let authority = authority();
        let (one, two) = (sim.process("one", address(1)), sim.process("two", address(2)));
        let broker = listen(&one, &authority.broker(NodeId(1)).unwrap());
        let client = dialler(&two, &authority.client("alice").unwrap());
        let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
        let accepted = broker.accept().await.unwrap();

        one.pause();
        let missed = dialled.closed().await.reason;
        let unaware = !accepted.is_closed();
        sim.env().sleep(Duration::from_secs(5)).await;
        one.resume();
        (missed, unaware, accepted.closed().await.reason)
    });

    assert_eq!(outcome.success(), (LossReason::TimedOut, true, LossReason::Forgotten));
}
