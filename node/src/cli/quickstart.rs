//! `highwater quickstart`: a cluster of processes, a stream of records, a leader killed in the middle of it, and the proof
//! that nothing acknowledged was lost, duplicated or reordered.

pub mod activity;
pub mod judge;
mod progress;
mod report;
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_client::consumer::{Consumed, Start};
use highwater_client::metadata::Leader;
use highwater_client::producer::Delivered;
use highwater_client::settings::ClientSettings;
use highwater_client::{Admin, Client};
use highwater_model::api::{MetadataAnswer, NewTopic, PartitionDetail, ReplicaAssignment, TopicDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{NodeId, PartitionIndex};
use highwater_transport::env::{Env, Instant};

use self::activity::{Dice, Events};
use self::judge::{Judge, Verdict};
use self::progress::Progress;
use self::report::{Kill, NextLeader, Report};
use self::traffic::{NUMBER_HEADER, Traffic};
use super::args::{Global, Quickstart};
use super::failure::{Failure, exit};
use super::files;
use super::local::{LocalCluster, free_ports};
use super::output::{Output, thousands};
use super::replicas::{Compared, compare_replicas};

const TOPIC: &str = "visits";
const PARTITIONS: u32 = 3;
const PRODUCERS: u64 = 8;
/// Batches that must be in flight when the leader is killed.
const IN_FLIGHT_AT_KILL: usize = 32;
/// How long the other brokers are held at most before the kill; well below a session.
const HOLD_MAX: Duration = Duration::from_millis(200);
/// How long anything may take that a healthy cluster does in a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the whole story.
pub(crate) async fn run(args: &Quickstart, global: &Global, output: &Output) -> Result<u8, Failure> {
    let env = Env::real();
    let seed = args.seed.unwrap_or_else(|| env.random_u64() >> 16);
    let events = Arc::new(events(args, seed)?);
    let dir = args
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!(".highwater/quickstart-{:08x}", env.random_u64() >> 32)));
    if dir.exists() {
        return Err(Failure::usage("exists already", "name a directory that does not exist")
            .on(dir.display().to_string()));
    }
    let trace = args.trace.as_deref().map(files::absolute).transpose()?;
    let extra: Vec<_> = trace.iter().map(|dir| ("trace.dir", dir.display().to_string())).collect();
    let mut cluster = LocalCluster::create(&env, &dir, free_ports(args.brokers)?, &extra)?;
    if args.keep {
        cluster.outlive();
    }
    let api_timeout = global.timeout.unwrap_or(PATIENCE);
    let client = cluster.client(&env, ClientSettings { api_timeout, ..ClientSettings::default() })?;
    let admin = client.admin();
    let progress = Progress::new(output);
    let mut story = Story { env, args: args.clone(), seed, events, cluster, client, admin, progress };
    let told = story.tell().await;
    let report = told.inspect_err(|_| output.note(format!("the brokers' files are in {}", dir.display())))?;
    story.finish(output, &dir, &report).await
}

fn events(args: &Quickstart, seed: u64) -> Result<Events, Failure> {
    let Some(path) = &args.input else { return Ok(Events::Made { seed, count: args.records }) };
    let lines: Result<Vec<Bytes>, std::io::Error> =
        files::lines(Some(path))?.map(|line| line.map(Bytes::from)).collect();
    let lines = lines.map_err(|error| Failure::file(path, &error))?;
    if lines.is_empty() {
        return Err(
            Failure::usage("has no lines", "name a file with at least one").on(path.display().to_string())
        );
    }
    Ok(Events::Lines(lines))
}

/// Everything that a run is made of.
struct Story {
    env: Env,
    args: Quickstart,
    seed: u64,
    events: Arc<Events>,
    cluster: LocalCluster,
    client: Client,
    admin: Admin,
    progress: Progress,
}

impl Story {
    async fn tell(&mut self) -> Result<Report, Failure> {
        self.start().await?;
        self.create_topic().await?;
        let began = self.env.now();
        let mut traffic = Traffic::start(&self.client, TOPIC, &self.events, PRODUCERS);
        self.progress.count("producing", self.events.count());
        let mut kill = if self.args.no_kill { None } else { Some(self.kill(&traffic).await?) };
        traffic.let_go();
        self.until_produced(&mut traffic).await?;
        let produce_ms = millis(self.env.now().since(began));
        if let Some((kill, restarted_at)) = &mut kill {
            self.until_in_sync("is back in every ISR").await?;
            kill.back_in_isr_ms = millis(self.env.now().since(*restarted_at));
            kill.acknowledged_after = traffic.acknowledged() - kill.acknowledged_before;
        }
        let (fates, failed, error) = traffic.outcome();
        if let Some(error) = error {
            self.progress.step(format!("{failed} records were not acknowledged; the last: {error}"));
        }
        let began = self.env.now();
        let verdict = self.consume(Judge::new(PRODUCERS, fates)).await?;
        let consume_ms = millis(self.env.now().since(began));
        let compared = match self.compare_replicas().await {
            Err(failure) if verdict.is_clean() => return Err(failure),
            compared => compared.ok(),
        };
        let kill = kill.map(|(kill, _)| kill);
        let report = self.report(kill, failed, (produce_ms, consume_ms));
        Ok(Report { replicas_compared: compared.is_some(), replicas: compared, ..report.judged(&verdict) })
    }

    /// What followers hold is read by no consumer, so their files are compared with their leaders'.
    async fn compare_replicas(&mut self) -> Result<Compared, Failure> {
        let answer = self.until_in_sync("has every replica in sync").await?;
        let topic = answer.topics.iter().flatten().next();
        let topic = topic.ok_or_else(|| Failure::failed(format!("topic {TOPIC} is gone"), ""))?;
        compare_replicas(&self.client, &self.cluster.layout, topic).await
    }

    fn report(&self, kill: Option<Kill>, failed: u64, took: (u64, u64)) -> Report {
        Report {
            brokers: self.args.brokers,
            partitions: PARTITIONS,
            replication_factor: self.replication_factor(),
            min_insync_replicas: self.replication_factor().min(2),
            seed: self.seed,
            records: self.events.count(),
            acknowledged: 0,
            failed,
            consumed: 0,
            lost: 0,
            duplicated: 0,
            reordered: 0,
            foreign: 0,
            fail_over_ms: kill.as_ref().and_then(|kill| kill.fail_over_ms),
            kill,
            produce_ms: took.0,
            consume_ms: took.1,
            replicas_compared: false,
            replicas: None,
        }
    }

    fn replication_factor(&self) -> u16 {
        u16::try_from(self.args.brokers.min(3)).unwrap_or(3)
    }

    /// Starts every broker and waits until all are admitted.
    async fn start(&mut self) -> Result<(), Failure> {
        let nodes: Vec<NodeId> = self.cluster.ports.keys().copied().collect();
        for node in &nodes {
            self.cluster.start(*node)?;
        }
        let brokers = nodes.len();
        self.progress
            .step(format!("{brokers} brokers started; files in {}", self.cluster.layout.dir.display()));
        self.until("all brokers to be ready", |answer, _| {
            answer.brokers.iter().filter(|broker| !broker.fenced).count() == brokers
        })
        .await
        .map(|_| ())
    }

    /// Creates the topic. The active controller leads a partition, so that it can be the victim.
    async fn create_topic(&mut self) -> Result<(), Failure> {
        let metadata = self.admin.metadata(Some(Vec::new())).await?;
        let mut nodes: Vec<NodeId> = self.cluster.ports.keys().copied().collect();
        nodes.sort_by_key(|node| (Some(*node) != metadata.controller, *node));
        let replicas = |partition: u32| {
            let first = partition as usize % nodes.len();
            let ring = nodes.iter().cycle().skip(first).take(usize::from(self.replication_factor()));
            ReplicaAssignment { partition: PartitionIndex(partition), replicas: ring.copied().collect() }
        };
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: None,
            replication_factor: None,
            assignments: (0..PARTITIONS).map(replicas).collect(),
            configs: vec![("min.insync.replicas".to_owned(), self.replication_factor().min(2).to_string())],
        };
        let deadline = self.env.now() + PATIENCE;
        // Where an answer leaves open whether it was created, asking again tells.
        loop {
            match self.admin.create_topic(topic.clone(), false).await {
                Ok(_) => break,
                Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => break,
                Err(error) if error.is_retriable() && self.env.now() < deadline => self.all_run()?,
                Err(error) => return Err(Failure::from(error).on(TOPIC)),
            }
        }
        self.until_in_sync("is ready").await.map(|_| ())
    }

    /// Waits until every partition of the topic has a leader and all its replicas in sync.
    async fn until_in_sync(&mut self, what: &str) -> Result<MetadataAnswer, Failure> {
        let is_whole = |topic: Option<&TopicDetail>| topic.is_some_and(TopicDetail::is_whole);
        let answer = self.until("every replica to be in sync", |_, topic| is_whole(topic)).await?;
        self.progress.step(format!("topic {TOPIC} {what}"));
        Ok(answer)
    }

    /// Asks for the metadata until it is as wanted, or the time is over, or a broker ends by itself.
    async fn until(
        &mut self,
        what: &str,
        wanted: impl Fn(&MetadataAnswer, Option<&TopicDetail>) -> bool,
    ) -> Result<MetadataAnswer, Failure> {
        let deadline = self.env.now() + PATIENCE;
        let mut pause = Duration::from_millis(20);
        let mut last = "no broker answered".to_owned();
        while self.env.now() < deadline {
            if let Some(ended) = self.cluster.ended() {
                return Err(ended);
            }
            match self.admin.metadata_once(Some(vec![TOPIC.to_owned()])).await {
                Ok(answer) => {
                    if wanted(&answer, answer.topics.iter().flatten().next()) {
                        return Ok(answer);
                    }
                    last = state_of(&answer);
                }
                Err(error) => last = error.to_string(),
            }
            self.env.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
        let message = format!("waited {} s for {what}: {last}", PATIENCE.as_secs());
        Err(Failure::new(exit::UNREACHABLE, message, format!("see {}", self.cluster.layout.dir.display())))
    }

    /// Kills a leader at a moment that the seed decides, sees the fail-over, and starts it again.
    async fn kill(&mut self, traffic: &Traffic) -> Result<(Kill, Instant), Failure> {
        let mut dice = Dice::new(self.seed, u64::MAX);
        let at = self.events.count() * (20 + dice.roll(40)) / 100;
        self.until_acknowledged(traffic, at, 0).await?;
        let metadata = self.admin.metadata(Some(vec![TOPIC.to_owned()])).await?;
        let (victim, led) = victim(&metadata, self.seed)?;
        traffic.watch_fail_over(&led);
        // For a moment the others are held, so that the victim has records that nobody else has: had it acknowledged one
        // of them, that would show.
        self.cluster.hold_others(victim, true);
        self.env.sleep(Duration::from_millis(20 + dice.roll(40))).await;
        let env = self.env.clone();
        // A stream that has come to its end has no more in flight.
        let enough =
            env.timeout(HOLD_MAX, self.until_acknowledged(traffic, u64::MAX, IN_FLIGHT_AT_KILL)).await;
        let (acknowledged_before, batches_in_flight) = (traffic.acknowledged(), traffic.batches_in_flight());
        let killed_at = traffic.now();
        let killed = self.cluster.kill(victim).await;
        self.cluster.hold_others(victim, false);
        traffic.let_go();
        enough.unwrap_or(Ok(())).and(killed)?;
        let was_active_controller = metadata.controller == Some(victim);
        let role = if was_active_controller { ", the active controller," } else { "" };
        let (count, flight) = (led.len(), batches_in_flight);
        self.progress.step(format!(
            "broker {victim}{role} killed with SIGKILL: it led {count} of {PARTITIONS} partitions, {flight} batches in flight"
        ));
        let alone = self.cluster.ports.len() == 1;
        let restarted_at = if alone { Some(self.restart(victim)?) } else { None };
        let next = self.until_fail_over(traffic).await?;
        let next_leaders: Vec<NextLeader> =
            next.iter().filter_map(|next| next_leader(&led, next, killed_at)).collect();
        let restarted_at = match restarted_at {
            Some(at) => at,
            None => self.restart(victim)?,
        };
        let kill = Kill {
            broker: victim.0,
            led_partitions: led.iter().map(|(partition, _)| *partition).collect(),
            was_active_controller,
            batches_in_flight,
            acknowledged_before,
            acknowledged_after: 0,
            fail_over_ms: next_leaders.iter().map(|next| next.after_ms).max(),
            next_leaders,
            back_in_isr_ms: 0,
        };
        Ok((kill, restarted_at))
    }

    fn restart(&mut self, node: NodeId) -> Result<Instant, Failure> {
        self.cluster.start(node)?;
        self.progress.step(format!("broker {node} started again"));
        Ok(self.env.now())
    }

    /// Waits until so many records are acknowledged; or, if `in_flight` is not 0, until so many batches are in flight,
    /// whatever comes first. Ends with the stream, and fails when a broker ends by itself.
    async fn until_acknowledged(
        &mut self,
        traffic: &Traffic,
        count: u64,
        in_flight: usize,
    ) -> Result<(), Failure> {
        let mut acknowledged = traffic.watch();
        loop {
            let now = *acknowledged.borrow_and_update();
            self.progress.at(now);
            let enough = in_flight > 0 && traffic.batches_in_flight() >= in_flight;
            if enough || now >= count || traffic.is_finished() {
                return Ok(());
            }
            self.all_run()?;
            let next = self.env.timeout(Duration::from_millis(100), acknowledged.changed());
            if matches!(next.await, Ok(Err(_))) {
                return Ok(());
            }
        }
    }

    /// Fails if a broker has ended by itself.
    fn all_run(&mut self) -> Result<(), Failure> {
        self.cluster.ended().map_or(Ok(()), Err)
    }

    /// Waits until the next leader of every partition that the victim led has acknowledged a write; nothing if the stream
    /// ends before that.
    async fn until_fail_over(&mut self, traffic: &Traffic) -> Result<Vec<Delivered>, Failure> {
        let mut acknowledged = traffic.watch();
        loop {
            self.progress.at(*acknowledged.borrow_and_update());
            let is_over = traffic.is_finished();
            if let Some(next) = traffic.failed_over() {
                return Ok(next);
            }
            if is_over {
                return Ok(Vec::new());
            }
            self.all_run()?;
            let next = self.env.timeout(Duration::from_millis(100), acknowledged.changed());
            if matches!(next.await, Ok(Err(_))) {
                return Ok(Vec::new());
            }
        }
    }

    async fn until_produced(&mut self, traffic: &mut Traffic) -> Result<(), Failure> {
        self.until_acknowledged(traffic, self.events.count(), 0).await?;
        traffic.finished().await;
        self.progress.done();
        Ok(())
    }

    /// Reads everything from the beginning and has it judged.
    async fn consume(&mut self, mut judge: Judge) -> Result<Verdict, Failure> {
        let mut consumer = self.client.consumer(Default::default());
        let mut ends = Vec::new();
        for partition in (0..PARTITIONS).map(PartitionIndex) {
            ends.push((partition, self.client.ends(TOPIC, partition).await?.end));
            consumer.assign(TOPIC, partition, Start::Beginning).await?;
        }
        self.progress.count("consuming", ends.iter().map(|(_, end)| end.0).sum());
        let mut count = 0;
        let mut silent_since = self.env.now();
        while ends
            .iter()
            .any(|(partition, end)| consumer.position(TOPIC, *partition).is_none_or(|at| at < *end))
        {
            self.all_run()?;
            let records = consumer.poll(Duration::from_secs(1)).await?;
            if !records.is_empty() {
                silent_since = self.env.now();
            } else if self.env.now().since(silent_since) > PATIENCE {
                let message = format!("nothing more to consume after {} records", thousands(count));
                return Err(Failure::new(exit::UNREACHABLE, message, "see the brokers' logs"));
            }
            for record in &records {
                judge.consumed(
                    record.partition.partition.0,
                    record.offset.0,
                    number_of(&self.events, record),
                );
                count += 1;
            }
            self.progress.at(count);
        }
        self.progress.done();
        self.all_run()?;
        Ok(judge.verdict())
    }

    /// Prints what was found, and leaves the cluster running or takes it down.
    async fn finish(
        mut self,
        output: &Output,
        dir: &std::path::Path,
        report: &Report,
    ) -> Result<u8, Failure> {
        report.print(output)?;
        let failures: Vec<Failure> = verdict_failure(report, self.args.fail_over_max).into_iter().collect();
        output.document("quickstart", None, Some(report), &failures)?;
        if self.args.keep {
            self.cluster.keep();
            super::dev::print_next(output, &self.cluster, TOPIC)?;
        } else {
            self.client.close().await;
            self.cluster.stop(&self.env, Duration::from_secs(10)).await;
            if !failures.is_empty() {
                output.note(format!("the brokers' files are in {}", dir.display()));
            } else if self.args.dir.is_none() {
                files::remove_dir(dir)?;
            }
        }
        for failure in &failures {
            output.failure(failure);
        }
        Ok(failures.first().map_or(exit::DONE, |failure| failure.exit))
    }
}

fn verdict_failure(report: &Report, fail_over_max: Option<Duration>) -> Option<Failure> {
    let (lost, duplicated, reordered) = (report.lost, report.duplicated, report.reordered);
    if report.broken_promises() > 0 {
        let differing = report.differing_replicas();
        let message = format!(
            "promises were broken: {lost} records lost, {duplicated} duplicated, {reordered} reordered, {differing} replicas differ"
        );
        return Some(Failure::new(
            exit::CHECK_FAILED,
            message,
            "keep the directory, and report it with the seed",
        ));
    }
    if report.failed > 0 {
        let message = format!("{} records were not acknowledged", report.failed);
        return Some(Failure::failed(message, "see the brokers' logs"));
    }
    match (report.fail_over_ms, fail_over_max.map(millis)) {
        (None, _) if report.kill.is_some() => {
            let message = "the stream ended before the next leader had acknowledged anything";
            Some(Failure::new(exit::INCONCLUSIVE, message, "give it more --records"))
        }
        (Some(took), Some(most)) if took > most => {
            let message = format!("the fail-over took {took} ms, more than {most} ms");
            Some(Failure::new(exit::CHECK_FAILED, message, "see the brokers' logs"))
        }
        _ => None,
    }
}

/// Whom to kill, and what it leads: in three of four runs the active controller.
fn victim(metadata: &MetadataAnswer, seed: u64) -> Result<(NodeId, Vec<(u32, Leader)>), Failure> {
    let topic = metadata.topics.iter().flatten().next();
    let partitions = topic.map(|topic| topic.partitions.as_slice()).unwrap_or_default();
    let leaders: Vec<NodeId> = partitions.iter().filter_map(|partition| partition.leader).collect();
    let wants_controller = seed % 4 != 3;
    let is_wanted = |node: &&NodeId| (metadata.controller == Some(**node)) == wants_controller;
    let chosen = leaders.iter().find(is_wanted).or_else(|| leaders.first());
    let chosen =
        *chosen.ok_or_else(|| Failure::failed(format!("topic {TOPIC} has no leader to kill"), ""))?;
    let led = partitions.iter().filter(|partition| partition.leader == Some(chosen));
    let leads = |partition: &PartitionDetail| {
        (partition.partition.0, Leader { node: chosen, leader_epoch: partition.leader_epoch })
    };
    Ok((chosen, led.map(leads).collect()))
}

/// The first write that the next leader of a partition acknowledged.
fn next_leader(led: &[(u32, Leader)], next: &Delivered, killed_at: Instant) -> Option<NextLeader> {
    let (partition, killed) = led.iter().find(|(partition, _)| *partition == next.partition.0)?;
    Some(NextLeader {
        partition: *partition,
        killed_leader_epoch: killed.leader_epoch.0,
        broker: next.leader.node.0,
        leader_epoch: next.leader.leader_epoch.0,
        after_ms: millis(next.at.since(killed_at)),
    })
}

/// The number of the record whose content this is, compared byte by byte.
fn number_of(events: &Events, record: &Consumed) -> Option<u64> {
    let [(name, Some(number))] = record.headers.as_slice() else { return None };
    let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let event = events.event(number)?;
    let same = name.as_ref() == NUMBER_HEADER
        && record.key == event.key
        && record.value.as_ref() == Some(&event.value);
    same.then_some(number)
}

/// The state of a cluster in a few words.
fn state_of(answer: &MetadataAnswer) -> String {
    let up = answer.brokers.iter().filter(|broker| !broker.fenced).count();
    let partitions = answer.topics.iter().flatten().flat_map(|topic| &topic.partitions);
    let states: Vec<String> = partitions
        .map(|partition| {
            let leader = partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
            format!("{TOPIC}-{} leader {leader} isr {:?}", partition.partition, partition.isr)
        })
        .collect();
    format!("{up} of {} brokers ready; {}", answer.brokers.len(), states.join(", "))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
