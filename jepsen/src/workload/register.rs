//! Registers in the metadata of the cluster: a configuration of a topic is read linearizably, written, and written only if
//! nobody else has since it was read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater_client::Client;
use highwater_client::error::{ClientError, Outcome};
use highwater_model::api::{ConfigChange, ConfigSource, NewTopic};
use highwater_model::id::Offset;
use highwater_transport::env::Task;
use jepsen_judge::history::{CompareAndSet, Register, What};

use super::{Stage, TOPIC, create};
use crate::random::Random;

/// The longest that an operation is tried: what clients allow one.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The configuration that is a register.
const CONFIG: &str = "retention.ms";

/// What is added to a value: no such time has ever passed, so that nothing is deleted.
const VALUE_MIN: u64 = 1_000_000_000_000;

/// How often to try to read at the end.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// How large the workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Registers: topics of one partition each.
    pub registers: u32,
    /// Processes, each of which works on all registers.
    pub processes: u32,
    /// How long a process waits between two operations, at most.
    pub pause_max: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { registers: 5, processes: 8, pause_max: Duration::from_millis(60) }
    }
}

fn topic(register: u32) -> String {
    format!("{TOPIC}-register-{register}")
}

impl Plan {
    /// Makes the topics.
    ///
    /// # Errors
    /// Why one is still not there.
    pub async fn create_topics(&self, client: &Client, replicas: u16) -> Result<(), String> {
        for register in 0..self.registers {
            let topic = NewTopic {
                name: topic(register),
                partitions: Some(1),
                replication_factor: Some(replicas),
                assignments: Vec::new(),
                configs: Vec::new(),
            };
            create(client, &topic).await?;
        }
        Ok(())
    }

    /// The names of the topics.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        (0..self.registers).map(topic).collect()
    }

    /// Starts every process.
    #[must_use]
    pub fn start(&self, stage: &Stage) -> Vec<Task> {
        let numbers = Arc::new(AtomicU64::new(1));
        let one = |who: u32| {
            let random = Random::of(stage.seed, 1_000 + u64::from(who));
            let user =
                User { stage: stage.clone(), plan: self.clone(), numbers: Arc::clone(&numbers), random };
            stage.env.spawn("register", user.run())
        };
        (0..self.processes).map(one).collect()
    }

    /// Reads every register once more.
    ///
    /// # Errors
    /// Which could not be read in time.
    pub async fn read_all(&self, stage: &Stage, patience: Duration) -> Result<(), String> {
        let deadline = stage.env.now() + patience;
        let client = (stage.new_client)().map_err(|error| error.to_string())?;
        let process = stage.recorder.new_process();
        for register in 0..self.registers {
            while read(stage, process, &client, register).await.is_none() {
                if stage.env.now() >= deadline {
                    return Err(format!("register {register} could not be read in {} s", patience.as_secs()));
                }
                stage.env.sleep(TRY_EVERY).await;
            }
        }
        Ok(())
    }
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    value: Option<u64>,
    /// The metadata offset of the change that made it so.
    offset: Offset,
}

/// Reads a register and writes down what was told.
async fn read(stage: &Stage, process: u32, client: &Client, register: u32) -> Option<Found> {
    let what = |value| What::Read(Register { key: register, value });
    let begun = stage.recorder.begin(process, what(None));
    let asked = client.admin().describe_configs(&topic(register), true).await;
    let configs = match asked {
        Ok(configs) => configs,
        Err(error) => {
            begun.fail(what(None), error);
            return None;
        }
    };
    let set =
        configs.entries.iter().find(|entry| entry.name == CONFIG && entry.source == ConfigSource::Topic);
    let number = |text: &str| text.parse::<u64>().ok()?.checked_sub(VALUE_MIN);
    // What nobody wrote is a value of its own, which the judge will not find among those written.
    let value = set.map(|entry| number(&entry.value).unwrap_or(u64::MAX));
    begun.ok(what(value));
    Some(Found { value, offset: configs.offset })
}

/// A client that works on all registers.
struct User {
    stage: Stage,
    plan: Plan,
    numbers: Arc<AtomicU64>,
    random: Random,
}

impl User {
    async fn run(mut self) {
        while self.stage.goes_on() {
            match (self.stage.new_client)() {
                Ok(client) => Box::pin(self.one_process(&client)).await,
                Err(error) => {
                    tracing::warn!(%error, "a process has no client");
                    return;
                }
            }
        }
    }

    /// Works as one process until it cannot go on.
    async fn one_process(&mut self, client: &Client) {
        let process = self.stage.recorder.new_process();
        let mut known: BTreeMap<u32, Found> = BTreeMap::new();
        let mut goes_on = true;
        while goes_on && self.stage.goes_on() {
            let register = u32::try_from(self.random.below(self.plan.registers.into())).unwrap_or_default();
            goes_on = match (self.random.below(4), known.remove(&register)) {
                (0, _) => self.write(process, client, register).await,
                (1, Some(found)) => self.compare_and_set(process, client, (register, found)).await,
                _ => {
                    let found = read(&self.stage, process, client, register).await;
                    known.extend(found.map(|found| (register, found)));
                    true
                }
            };
            let pause = self.random.between(Duration::ZERO, self.plan.pause_max);
            self.stage.env.sleep(pause).await;
        }
    }

    fn next_value(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    async fn write(&self, process: u32, client: &Client, register: u32) -> bool {
        let value = self.next_value();
        let what = What::Write(Register { key: register, value: Some(value) });
        self.change(process, client, (register, value, None), what).await
    }

    /// No other change has the offset, so that who finds it there still finds the value that it read.
    async fn compare_and_set(&self, process: u32, client: &Client, (register, found): (u32, Found)) -> bool {
        let value = self.next_value();
        let what = What::CompareAndSet(CompareAndSet { key: register, expected: found.value, value });
        self.change(process, client, (register, value, Some(found.offset)), what).await
    }

    /// Changes a register and writes down what came of it; false if the process can do nothing more.
    async fn change(
        &self,
        process: u32,
        client: &Client,
        (register, value, expected_offset): (u32, u64, Option<Offset>),
        what: What,
    ) -> bool {
        let change = ConfigChange { name: CONFIG.to_owned(), value: Some((VALUE_MIN + value).to_string()) };
        let begun = self.stage.recorder.begin(process, what.clone());
        match client.admin().alter_configs(&topic(register), vec![change], expected_offset).await {
            Ok(()) => begun.ok(what),
            Err(error) if is_certain(&error) => begun.fail(what, error),
            Err(error) => {
                begun.info(what, error);
                return false;
            }
        }
        true
    }
}

/// Whether it was certainly not done.
fn is_certain(error: &ClientError) -> bool {
    error.outcome() == Outcome::NotDone
}
