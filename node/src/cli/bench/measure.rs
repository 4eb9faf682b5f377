//! One repetition: the load on the cluster, and what is seen of it.

use std::time::Duration;

use highwater_client::consumer::{Consumer, Start};
use highwater_client::settings::ConsumerSettings;
use highwater_model::id::{NodeId, Offset, PartitionIndex};

use super::arena::{Arena, Usage, led_by};
use super::args::Workload;
use super::latency::Latencies;
use super::load::{Amount, Load, Outcome, Running, since_of};
use super::machine;
use super::report::{Broker, FailOver, Phase, Run};
use crate::cli::failure::{Failure, exit};

/// Records a second where latency is measured and no rate was asked for.
const LIVE_RATE: u32 = 10_000;
/// The same where a leader is killed.
const FAIL_OVER_RATE: u32 = 2_000;
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// Produces.
pub(super) async fn produce(
    arena: &mut Arena,
    workload: &Workload,
    partitions: u32,
) -> Result<Vec<(Phase, Run)>, Failure> {
    let load = Load::new(&arena.client, &arena.topic, partitions, workload);
    warm_up(arena, workload, &load).await?;
    let frame = Frame::begin(arena);
    let mut running = load.start(Amount::of(workload));
    running.until_over().await;
    let after = arena.usage();
    let outcome = running.finish().await;
    arena.all_run()?;
    let run = frame.end(&after, outcome.in_time, outcome.took, workload);
    Ok(vec![(Phase::Produce, run.produced(outcome)?)])
}

/// Produces, reads all of it from the beginning, and then what is produced meanwhile.
pub(super) async fn consume(
    arena: &mut Arena,
    workload: &Workload,
    partitions: u32,
) -> Result<Vec<(Phase, Run)>, Failure> {
    let fill = Load::new(&arena.client, &arena.topic, partitions, workload).unbound();
    let touched = touch(arena, &fill).await?;
    let filled = fill.start(Amount::of(workload)).finish().await;
    if let Some(error) = filled.last_error {
        return Err(error.into());
    }
    let filled = touched + filled.acknowledged;
    let mut consumer = arena.client.consumer(ConsumerSettings::default());
    for partition in (0..partitions).map(PartitionIndex) {
        consumer.assign(&arena.topic, partition, Start::Offset(Offset(0))).await?;
    }
    let frame = Frame::begin(arena);
    let began = arena.env.now();
    read(arena, &mut consumer, filled).await?;
    let took = arena.env.now().since(began);
    let replay = frame.end(&arena.usage(), filled, took, workload);
    let load = Load::new(&arena.client, &arena.topic, partitions, workload).at_most(LIVE_RATE);
    // What was filled has warmed the brokers up; these are other producers.
    let warmed = load.touch().await? + load.warm_up(workload.warm_up).await?;
    read(arena, &mut consumer, warmed).await?;
    let live = live(arena, workload, &load, &mut consumer).await?;
    Ok(vec![(Phase::Replay, replay), (Phase::Live, live)])
}

/// Waits until every partition has acknowledged a record; tells how many records that took.
async fn touch(arena: &mut Arena, load: &Load) -> Result<u64, Failure> {
    let touched = load.touch().await?;
    arena.ready_after = arena.env.now().since(arena.created_at);
    Ok(touched)
}

/// Brings everything to where it stays.
async fn warm_up(arena: &mut Arena, workload: &Workload, load: &Load) -> Result<(), Failure> {
    touch(arena, load).await?;
    load.warm_up(workload.warm_up).await?;
    Ok(())
}

/// Reads so many records.
async fn read(arena: &mut Arena, consumer: &mut Consumer, count: u64) -> Result<(), Failure> {
    let (mut seen, mut last) = (0, arena.env.now());
    while seen < count {
        let records = consumer.poll(POLL).await?;
        if records.is_empty() {
            quiet(arena, last)?;
        } else {
            last = arena.env.now();
        }
        seen += records.len() as u64;
    }
    Ok(())
}

/// Nothing came; that may not last.
fn quiet(arena: &mut Arena, last: highwater_transport::env::Instant) -> Result<(), Failure> {
    arena.all_run()?;
    if arena.env.now().since(last) < PATIENCE {
        return Ok(());
    }
    let message = format!("nothing more to read for {} s", PATIENCE.as_secs());
    Err(Failure::new(exit::UNREACHABLE, message, "see the brokers' logs"))
}

async fn live(
    arena: &mut Arena,
    workload: &Workload,
    load: &Load,
    consumer: &mut Consumer,
) -> Result<Run, Failure> {
    let frame = Frame::begin(arena);
    let began = arena.env.now();
    let running = load.start(Amount::of(workload));
    let (mut seen, mut last, mut latencies) = (0, began, Latencies::new());
    while !running.is_finished() || seen < running.acknowledged() {
        let records = consumer.poll(POLL).await?;
        if records.is_empty() {
            quiet(arena, last)?;
            continue;
        }
        last = arena.env.now();
        seen += records.len() as u64;
        for since in records.iter().filter_map(|record| since_of(record.value.as_ref()?)) {
            latencies.note(last.since(since));
        }
    }
    let after = arena.usage();
    let outcome = running.finish().await;
    let run = frame.end(&after, seen, last.since(began), workload);
    Ok(Run { latency: latencies.quantiles(), ..run.produced(outcome)? })
}

/// Produces, and kills a leader meanwhile: by turns the active controller and another broker.
pub(super) async fn fail_over(
    arena: &mut Arena,
    workload: &Workload,
    partitions: u32,
    repetition: u32,
) -> Result<Vec<(Phase, Run)>, Failure> {
    let load = Load::new(&arena.client, &arena.topic, partitions, workload);
    let load = load.at_most(FAIL_OVER_RATE).round_robin();
    warm_up(arena, workload, &load).await?;
    let frame = Frame::begin(arena);
    let running = load.start(Amount::For(PATIENCE * 2));
    let began = arena.env.now();
    arena.env.sleep(Duration::from_millis(500)).await;
    let (victim, was_active_controller, led) = victim(arena, repetition).await?;
    let killed_at = arena.env.now();
    running.with_silences(|silences| silences.kill(victim));
    arena.kill(victim).await?;
    let healed = until_healed(arena, &running, &led).await;
    running.stop();
    let after = arena.usage();
    let took = arena.env.now().since(began);
    let outcome = running.finish().await;
    healed?;
    let others: Vec<u32> = (0..partitions).filter(|partition| !led.contains(partition)).collect();
    let mut without_success = Latencies::new();
    outcome.silences.longest(&led).for_each(|silence| without_success.note(silence));
    let next = outcome.silences.all_by_another(&led).map_or(Duration::ZERO, |at| at.since(killed_at));
    let failover = without_success.quantiles().map(|quantiles| FailOver {
        broker: victim.0,
        was_active_controller,
        led_partitions: led.len(),
        without_success: quantiles,
        without_success_ms: quantiles.max_ms,
        next_leaders_ms: millis(next),
        others_without_success_ms: outcome.silences.longest(&others).max().map_or(0.0, millis),
    });
    let run = frame.end(&after, outcome.acknowledged, took, workload);
    Ok(vec![(Phase::Failover, Run { failover, ..run.produced(outcome)? })])
}

/// Whom to kill, whether it is the active controller, and what it leads.
async fn victim(arena: &Arena, repetition: u32) -> Result<(NodeId, bool, Vec<u32>), Failure> {
    let metadata = arena.metadata().await?;
    let mut leaders: Vec<(NodeId, Vec<u32>)> =
        metadata.brokers.iter().map(|broker| (broker.node, led_by(&metadata, broker.node))).collect();
    leaders.retain(|(_, led)| !led.is_empty());
    let wants_controller = repetition.is_multiple_of(2);
    leaders.sort_by_key(|(node, _)| (metadata.controller == Some(*node)) != wants_controller);
    let (node, led) =
        leaders.into_iter().next().ok_or_else(|| Failure::failed("there is no leader to kill", ""))?;
    Ok((node, metadata.controller == Some(node), led))
}

/// Waits until every partition that the victim led has an acknowledgement by another, and a moment more.
async fn until_healed(arena: &mut Arena, running: &Running, led: &[u32]) -> Result<(), Failure> {
    let deadline = arena.env.now() + PATIENCE;
    while running.with_silences(|silences| silences.all_by_another(led)).is_none() {
        arena.all_run()?;
        if arena.env.now() >= deadline {
            let message = format!("no acknowledgement by a next leader within {} s", PATIENCE.as_secs());
            return Err(Failure::new(exit::UNREACHABLE, message, "see the brokers' logs"));
        }
        arena.env.sleep(Duration::from_millis(20)).await;
    }
    arena.env.sleep(Duration::from_millis(500)).await;
    Ok(())
}

/// What the processes had used when a measurement began.
struct Frame {
    load_average: Option<f64>,
    ready_ms: f64,
    before: Usage,
}

impl Frame {
    fn begin(arena: &Arena) -> Self {
        let ready_ms = millis(arena.ready_after);
        Self { load_average: machine::load_average(), ready_ms, before: arena.usage() }
    }

    fn end(&self, after: &Usage, records: u64, took: Duration, workload: &Workload) -> Run {
        let bytes = records as f64 * f64::from(workload.record_size);
        let (seconds, gb) = (took.as_secs_f64().max(1e-9), (bytes / 1e9).max(1e-9));
        let brokers: Vec<Broker> = after
            .brokers
            .iter()
            .filter_map(|(node, after)| {
                let cpu_s = after.cpu_s - self.before.brokers.get(node)?.cpu_s;
                Some(Broker {
                    broker: node.0,
                    cpu_s,
                    cpu_s_per_gb: cpu_s / gb,
                    resident_mb: after.resident_bytes as f64 / 1e6,
                    resident_mb_max: after.resident_bytes_max as f64 / 1e6,
                })
            })
            .collect();
        let client = self.before.client.zip(after.client).map(|(before, after)| after.cpu_s - before.cpu_s);
        let of_brokers: f64 = brokers.iter().map(|broker| broker.cpu_s).sum();
        Run {
            repetition: 0,
            load_average: self.load_average,
            ready_ms: self.ready_ms,
            seconds,
            records,
            failed: 0,
            last_error: None,
            mb_per_s: bytes / 1e6 / seconds,
            records_per_s: records as f64 / seconds,
            latency: None,
            cpu_s_per_gb: client.filter(|_| !brokers.is_empty()).map(|client| (client + of_brokers) / gb),
            client_cpu_s_per_gb: client.map(|client| client / gb),
            brokers,
            failover: None,
        }
    }
}

impl Run {
    /// With what the producers saw. A run in which nothing was acknowledged is none.
    fn produced(self, outcome: Outcome) -> Result<Self, Failure> {
        let last_error = outcome.last_error.as_ref().map(ToString::to_string);
        match outcome.last_error {
            Some(error) if outcome.acknowledged == 0 => Err(error.into()),
            _ => Ok(Self {
                failed: outcome.failed,
                last_error,
                latency: outcome.latencies.quantiles(),
                ..self
            }),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
