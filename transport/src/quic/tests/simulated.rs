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

/// Four brokers that each dial the next and send, while one after another is killed and started anew, or cut off.
fn mesh_run(seed: u64) -> Outcome<u64> {
    Simulation::run(seed, NetworkConfig::default(), async |sim| {
        let authority = authority();
        let count = 4_u8;
        let processes: Vec<_> =
            (0..count).map(|id| sim.process(&format!("broker {id}"), address(id))).collect();
        let identities: Vec<_> =
            (0..count).map(|id| authority.broker(NodeId(u32::from(id))).unwrap()).collect();
        for (id, process) in (0..count).zip(&processes) {
            chatter(process, &identities[usize::from(id)], (id + 1) % count);
        }
        for _ in 0..6 {
            sim.env().sleep(Duration::from_millis(300)).await;
            let victim = usize::try_from(sim.env().random_u64() % u64::from(count)).unwrap();
            if sim.env().random_u64().is_multiple_of(2) {
                processes[victim].kill();
                sim.env().sleep(Duration::from_millis(100)).await;
                let _ = processes[victim].restart();
                let next = u8::try_from(victim + 1).unwrap() % count;
                chatter(&processes[victim], &identities[victim], next);
            } else {
                sim.cut(address(u8::try_from(victim).unwrap()), address(0));
                sim.env().sleep(Duration::from_millis(400)).await;
                sim.heal_all();
            }
        }
        sim.counters().delivered
    })
}

/// Serves echoes and sends frames to the process at `to` for ever, dialling it again whenever the connection is lost.
fn chatter(process: &Process, identity: &Identity, to: u8) {
    let (env, endpoint) = (process.env(), listen(process, identity));
    echo(&env, &endpoint);
    process.env().spawn("chatter", async move {
        loop {
            let target = SocketAddr::new(address(to), PORT);
            let Ok(connection) = endpoint.connect(target, Expect::Broker(NodeId(u32::from(to)))).await else {
                env.sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(mut channel) = connection.open(Lane::Control).await else { continue };
            while channel.send(frame(env.random_u64(), 3000)).await.is_ok() {
                if !matches!(channel.receive().await, Ok(Some(_))) {
                    break;
                }
                env.sleep(Duration::from_millis(10)).await;
            }
        }
    });
}

/// Set for the second process of the test below: the seed whose traces to print.
const TRACE_SEED: &str = "HIGHWATER_TEST_TRACE_SEED";

fn traces(seed: u64) -> String {
    let (lossy, mesh) = (lossy_run(seed), mesh_run(seed));
    assert!(mesh.counters.unreachable > 0, "{:?}", mesh.counters);
    let hashes = format!("traces={:016x},{:016x}", lossy.trace.hash(), mesh.trace.hash());
    assert!(lossy.success() == 60 && mesh.success() > 500);
    hashes
}

#[test]
fn a_seed_gives_one_trace_in_every_process() {
    if let Ok(seed) = std::env::var(TRACE_SEED) {
        println!("{}", traces(seed.parse().unwrap()));
        return;
    }
    let name = "quic::tests::simulated::a_seed_gives_one_trace_in_every_process";
    let mut seen = Vec::new();
    for seed in 2..4_u64 {
        let here = traces(seed);
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(TRACE_SEED, seed.to_string())
            .output()
            .unwrap();
        let there = String::from_utf8(child.stdout).unwrap();
        assert!(there.contains(&here), "seed {seed}: {here} here, but there:\n{there}");
        assert!(!seen.contains(&here), "two seeds, one trace");
        seen.push(here);
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

#[test]
fn control_overtakes_records_and_goes_on_when_nobody_reads_them() {
    let outcome = Simulation::run(10, NetworkConfig::CALM, async |sim| {
        let authority = authority();
        let (one, two) = (sim.process("one", address(1)), sim.process("two", address(2)));
        let broker = listen(&one, &authority.broker(NodeId(1)).unwrap());
        let client = dialler(&two, &authority.client("alice").unwrap());
        let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
        let accepted = broker.accept().await.unwrap();
        let (data, control) =
            (dialled.open(Lane::Data).await.unwrap(), dialled.open(Lane::Control).await.unwrap());
        for correlation in 0..3 {
            data.send(frame(correlation, 2 << 20)).await.unwrap();
        }
        let start = sim.now();
        control.send(frame(9, 100)).await.unwrap();
        let (mut records, mut votes) = (accepted.accept().await.unwrap(), accepted.accept().await.unwrap());
        assert_eq!((records.lane(), votes.lane()), (Lane::Data, Lane::Control));
        let first = votes.receive().await;
        let overtook = sim.now().since(start);
        // The data lane is full and stays so.
        sim.env().sleep(Duration::from_secs(5)).await;
        control.send(frame(10, 100)).await.unwrap();
        let second = votes.receive().await;
        let mut count = 0;
        while count < 3 {
            assert_eq!(records.receive().await, Ok(Some(frame(count, 2 << 20))));
            count += 1;
        }
        (first, overtook, second)
    });

    let (first, overtook, second) = outcome.success();
    assert_eq!((first, second), (Ok(Some(frame(9, 100))), Ok(Some(frame(10, 100)))));
    assert!(overtook < Duration::from_millis(10), "{overtook:?}");
}

#[test]
fn forged_addresses_do_not_take_the_handshakes_of_real_ones() {
    let outcome = Simulation::run(11, NetworkConfig::CALM, async |sim| {
        let authority = authority();
        let settings = Settings { accept_queue_max: 4, ..Settings::default() };
        let broker = sim.process("broker", address(1));
        let (env, at) = (broker.env(), SocketAddr::new(broker.address(), PORT));
        let identity = authority.broker(NodeId(1)).unwrap();
        let listening = Endpoint::bind(&env, at, &identity, settings).unwrap();
        let alice = authority.client("alice").unwrap();
        // A forger never sees what is sent to the address that it names.
        let forgers: Vec<Process> =
            (20..30).map(|host| sim.process(&format!("forger {host}"), address(host))).collect();
        for forger in &forgers {
            sim.cut_one_way(broker.address(), forger.address());
            let endpoint = dialler(forger, &alice);
            forger.env().spawn("forge", async move {
                let _ = endpoint.connect(at, Expect::AnyBroker).await;
            });
        }
        sim.env().sleep(Duration::from_millis(20)).await;
        let honest = sim.process("client", address(2));
        let client = dialler(&honest, &alice);
        let dialled = client.connect(listening.local_address(), Expect::AnyBroker).await;
        dialled.map(|connection| connection.peer().clone())
    });

    assert_eq!(outcome.success(), Ok(Principal::Broker(NodeId(1))));
}

/// Requests of a broker's peers that are under way at once, when each of `clients` sends 8 of 1 MiB on two channels, and how
/// many come once those are done with.
async fn held_at_once(
    sim: &Simulation,
    settings: Settings,
    (identity, peers): (&Identity, &[Identity]),
) -> (usize, usize) {
    let broker = sim.process("broker", address(1));
    let (env, at) = (broker.env(), SocketAddr::new(broker.address(), PORT));
    let listening = Endpoint::bind(&env, at, identity, settings).unwrap();
    let (arrive, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let process = sim.process("clients", address(2));
    for peer in peers {
        let endpoint = dialler(&process, peer);
        let connection = endpoint.connect(at, Expect::AnyBroker).await.unwrap();
        let accepted = listening.accept().await.unwrap();
        for _ in 0..2 {
            let (channel, endpoint) = (connection.open(Lane::Data).await.unwrap(), endpoint.clone());
            process.env().spawn("send", async move {
                for correlation in 0..4 {
                    channel.send(frame(correlation, (1 << 20) - 4)).await.unwrap();
                }
                channel.sender().closed().await;
                drop(endpoint);
            });
            let mut receiver = accepted.accept().await.unwrap().split().1;
            let arrive = arrive.clone();
            env.spawn("receive", async move {
                while let Ok(Some(held)) = receiver.receive_held().await {
                    arrive.send(held).unwrap();
                }
            });
        }
    }
    let mut counts = Vec::new();
    for _ in 0..2 {
        sim.env().sleep(Duration::from_secs(3)).await;
        let mut held = Vec::new();
        while let Ok(one) = arrived.try_recv() {
            held.push(one);
        }
        counts.push(held.len());
    }
    (counts[0], counts[1])
}

#[test]
fn requests_are_held_up_to_a_number_of_bytes_of_each_connection_and_of_all_clients() {
    let settings = Settings {
        request_bytes_per_connection_max: 3 << 20,
        request_bytes_of_clients_max: 4 << 20,
        ..Settings::default()
    };
    let authority = authority();
    let client = || authority.client("alice").unwrap();
    let one = authority.broker(NodeId(1)).unwrap();
    let run = |seed, peers: Vec<Identity>| {
        let settings = settings.clone();
        let held = async |sim| held_at_once(&sim, settings, (&one, &peers)).await;
        Simulation::run(seed, NetworkConfig::CALM, held).success()
    };

    assert_eq!(run(12, vec![client()]), (3, 3));
    assert_eq!(run(13, vec![client(), client()]), (4, 4));
    // Other brokers are bound each by itself, and not by what clients hold.
    let broker = |node| authority.broker(NodeId(node)).unwrap();
    assert_eq!(run(14, vec![broker(2), broker(3), client()]), (9, 9));
}

#[test]
fn a_peer_that_sends_a_frame_in_a_trickle_loses_its_channel() {
    let outcome = Simulation::run(16, NetworkConfig::CALM, async |sim| {
        let authority = authority();
        let (one, two) = (sim.process("one", address(1)), sim.process("two", address(2)));
        let broker = listen(&one, &authority.broker(NodeId(1)).unwrap());
        let client = dialler(&two, &authority.client("alice").unwrap());
        let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
        let accepted = broker.accept().await.unwrap();
        let mut encoder = crate::frame::Encoder::default();
        encoder.push(&frame(1, 1000), &crate::frame::FrameLimits::default()).unwrap();
        let whole: Vec<u8> = encoder.take().concat();
        let (mut stream, _answers) = dialled.quinn().open_bi().await.unwrap();
        stream.write_all(&[PROTOCOL_VERSION, 1]).await.unwrap();
        let (env, pause) = (two.env(), Settings::default().frame_stall_max / 2);
        two.env().spawn("trickle", async move {
            for byte in whole {
                drop(stream.write_all(&[byte]).await);
                env.sleep(pause).await;
            }
        });

        let mut channel = accepted.accept().await.unwrap();
        let began = sim.now();
        (channel.receive().await, sim.now().since(began))
    });

    let (stalled, waited) = outcome.success();
    assert_eq!(stalled, Err(ReceiveError::Stalled));
    let header_takes = Settings::default().frame_stall_max * 20;
    assert!(waited < header_takes, "{waited:?}");
}

#[test]
fn a_peer_that_stops_within_a_frame_loses_its_channel() {
    let outcome = Simulation::run(15, NetworkConfig::CALM, async |sim| {
        let authority = authority();
        let (one, two) = (sim.process("one", address(1)), sim.process("two", address(2)));
        let broker = listen(&one, &authority.broker(NodeId(1)).unwrap());
        let client = dialler(&two, &authority.client("alice").unwrap());
        let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
        let accepted = broker.accept().await.unwrap();
        let mut encoder = crate::frame::Encoder::default();
        encoder.push(&frame(1, 1000), &crate::frame::FrameLimits::default()).unwrap();
        let whole: Vec<u8> = encoder.take().concat();
        let (mut stream, _answers) = dialled.quinn().open_bi().await.unwrap();
        stream.write_all(&[PROTOCOL_VERSION, 1]).await.unwrap();
        stream.write_all(&whole[..whole.len() - 1]).await.unwrap();

        let mut channel = accepted.accept().await.unwrap();
        let began = sim.now();
        let stalled = channel.receive().await;
        (stalled, sim.now().since(began), channel.receive().await, accepted.is_closed())
    });

    let (stalled, waited, again, is_closed) = outcome.success();
    assert_eq!((&stalled, &again), (&Err(ReceiveError::Stalled), &Err(ReceiveError::Stalled)));
    assert!(waited >= Settings::default().frame_stall_max, "{waited:?}");
    assert!(!is_closed);
}
