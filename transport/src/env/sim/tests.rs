//! What the simulated environment promises its processes.

use super::*;
use std::net::SocketAddr;

fn address(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 18, 0, host))
}

/// A counter that a task of the process raises every second.
fn ticking(process: &Process) -> Arc<Mutex<u32>> {
    let (count, env) = (Arc::new(Mutex::new(0)), process.env());
    let ticks = Arc::clone(&count);
    process.env().spawn("tick", async move {
        loop {
            env.sleep(Duration::from_secs(1)).await;
            *locked(&ticks) += 1;
        }
    });
    count
}

#[test]
fn time_passes_only_as_far_as_timers_ask() {
    let outcome = Simulation::run(1, Config::default(), async |sim| {
        let env = sim.env();
        let hour = env.timeout(Duration::from_secs(600), env.sleep(Duration::from_secs(3600))).await;
        (hour, sim.now().elapsed(), env.wall_ms())
    });

    let start = Config::default().wall_start_ms;
    assert_eq!(outcome.elapsed, Duration::from_secs(600));
    assert_eq!(outcome.success(), (Err(super::super::Elapsed), Duration::from_secs(600), start + 600_000));
}

#[test]
fn a_killed_process_does_nothing_more_and_a_restarted_one_has_other_randomness() {
    let outcome = Simulation::run(1, Config::default(), async |sim| {
        let process = sim.process("one", address(1));
        let (count, before) = (ticking(&process), process.env().random_u128());
        sim.env().sleep(Duration::from_millis(3500)).await;
        let dead = process.env();
        process.kill();
        sim.env().sleep(Duration::from_secs(10)).await;
        assert!(dead.spawn("too late", async { panic!("a dead process runs nothing") }).is_finished());
        let after = process.restart().random_u128();
        (*locked(&count), Arc::strong_count(&count), before == after, process.incarnation())
    });

    assert_eq!(outcome.success(), (3, 1, false, 1));
}

#[test]
fn randomness_is_of_the_seed_and_the_name() {
    let draw = |seed, name: &'static str| {
        Simulation::run(seed, Config::default(), async |sim| sim.process(name, address(1)).env().random_u64())
            .success()
    };

    assert_eq!(draw(1, "one"), draw(1, "one"));
    assert_ne!(draw(1, "one"), draw(2, "one"));
    assert_ne!(draw(1, "one"), draw(1, "two"));
}

#[test]
fn a_paused_process_stands_still_while_time_goes_on() {
    let outcome = Simulation::run(1, Config::default(), async |sim| {
        let process = sim.process("one", address(1));
        let count = ticking(&process);
        sim.env().sleep(Duration::from_millis(2500)).await;
        process.pause();
        sim.env().sleep(Duration::from_secs(10)).await;
        let paused = *locked(&count);
        process.resume();
        sim.env().sleep(Duration::from_millis(1)).await;
        (paused, *locked(&count))
    });

    assert_eq!(outcome.success(), (2, 3));
}

#[test]
fn a_wall_clock_is_moved_alone_and_stays_moved_over_a_restart() {
    let outcome = Simulation::run(1, Config::default(), async |sim| {
        let process = sim.process("one", address(1));
        process.set_wall_offset_ms(-5000);
        let env = process.restart();
        (env.wall_ms(), env.now(), sim.env().wall_ms())
    });

    let start = Config::default().wall_start_ms;
    assert_eq!(outcome.success(), (start - 5000, Instant::default(), start));
}

#[test]
fn a_panic_of_a_task_ends_the_run_and_names_the_task() {
    let outcome = Simulation::run(1, Config::default(), async |sim| {
        let env = sim.process("one", address(1)).env();
        env.spawn("fragile", async { panic!("offset {} is below {}", 3, 4) });
        sim.env().sleep(Duration::from_secs(1)).await;
    });

    let (process, task) = ("one".to_owned(), "fragile".to_owned());
    let message = "offset 3 is below 4".to_owned();
    assert_eq!(outcome.result, Err(Failure::Panicked { process, task, message }));
    assert_eq!(outcome.elapsed, Duration::ZERO);
}

#[test]
fn a_body_that_never_ends_is_given_up() {
    let limit = Duration::from_secs(5);
    let outcome = Simulation::run(1, Config { time_limit: limit, ..Config::default() }, async |_| {
        core::future::pending::<()>().await;
    });

    assert_eq!(outcome.result, Err(Failure::OutOfTime(limit)));
}

#[test]
fn notes_and_cuts_are_part_of_the_trace() {
    let run = |note: &'static str| {
        let config = Config { events_kept: 10, ..Config::default() };
        Simulation::run(1, config, async |sim| {
            sim.note(note);
            sim.cut(address(1), address(2));
            sim.heal_all();
        })
        .trace
    };

    assert_eq!(run("a").hash(), run("a").hash());
    assert_ne!(run("a").hash(), run("b").hash());
    let words = ["0 note a", "0 cut 198.18.0.1 198.18.0.2", "0 cut 198.18.0.2 198.18.0.1", "0 heal all"];
    assert_eq!(run("a").kept(), words);
}

#[test]
fn an_address_is_bound_once_until_its_process_dies() {
    let outcome = Simulation::run(1, Config::default(), async |sim| {
        let process = sim.process("one", address(1));
        let at = SocketAddr::new(address(1), 9000);
        let held = process.env().udp_bind(at).unwrap();
        let twice = process.env().udp_bind(at).unwrap_err().kind();
        let elsewhere = process.env().udp_bind(SocketAddr::new(address(2), 9000)).unwrap_err().kind();
        let free = process.env().udp_bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)).unwrap();
        let again = process.restart().udp_bind(at).is_ok();
        drop(held);
        (twice, elsewhere, free.local_addr().unwrap(), again)
    });

    let free = SocketAddr::new(address(1), 49_152);
    assert_eq!(
        outcome.success(),
        (std::io::ErrorKind::AddrInUse, std::io::ErrorKind::AddrNotAvailable, free, true)
    );
}

#[test]
fn a_process_is_found_by_its_name() {
    let outcome = Simulation::run(1, Config::default(), async |sim| {
        let env = sim.process("one", address(1)).env();
        let two = sim.process("two", address(2));
        let named = env.resolve("two:9000").await.unwrap();
        let as_it_is = env.resolve("198.18.0.9:1").await.unwrap();
        let errors = [env.resolve("three:9000").await.unwrap_err(), env.resolve("two").await.unwrap_err()];
        assert_eq!(named, [SocketAddr::new(two.address(), 9000)]);
        (as_it_is, errors.map(|error| error.kind()))
    });

    let errors = [std::io::ErrorKind::NotFound, std::io::ErrorKind::InvalidInput];
    assert_eq!(outcome.success(), (vec![SocketAddr::new(address(9), 1)], errors));
}

#[tokio::test]
async fn a_real_name_is_resolved_by_the_operating_system() {
    let env = Env::real();

    let found = env.resolve("localhost:9000").await.unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 9000));
    assert!(env.resolve("localhost").await.is_err());
}
