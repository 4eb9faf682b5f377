//! Producers that go on sending while processes are killed.

use std::sync::Arc;
use std::time::Duration;

use highwater_client::producer::Delivery;
use highwater_client::settings::ProducerSettings;
use highwater_client::{Client, Producer};
use highwater_transport::env::{Env, Task};
use tokio::sync::{mpsc, watch};

use super::{Ledger, PATIENCE};

/// Records that a producer hands over at once.
const BURST: u64 = 8;
/// Pause between bursts, so that a test does not spend its time with mere numbers.
const PAUSE: Duration = Duration::from_millis(8);

/// Producers at work.
#[derive(Debug)]
pub struct Load {
    ledger: Arc<Ledger>,
    env: Env,
    stop: watch::Sender<bool>,
    tasks: Vec<Task>,
}

impl Load {
    /// Starts the producers of a ledger, which has none yet; at `acks=all`, idempotent.
    #[must_use]
    pub fn start(client: &Client, ledger: &Arc<Ledger>) -> Self {
        let env = client.env().clone();
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        for first in 0..ledger.producers() {
            let settings = ProducerSettings {
                delivery_timeout: PATIENCE,
                linger: Duration::from_millis(2),
                ..ProducerSettings::default()
            };
            let producer = client.producer(settings);
            let (sent, outcomes) = mpsc::unbounded_channel();
            tasks.push(env.spawn("collect", collect(Arc::clone(ledger), outcomes)));
            let (ledger, env, stopped) = (Arc::clone(ledger), env.clone(), stopped.clone());
            let sending = produce(ledger, env.clone(), producer, first, stopped, sent);
            tasks.push(env.spawn("produce", sending));
        }
        Self { ledger: Arc::clone(ledger), env, stop, tasks }
    }

    /// Records acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        *self.ledger.watch().borrow()
    }

    /// Waits until `count` more records are acknowledged.
    ///
    /// # Panics
    /// If they are not in time.
    pub async fn until_more(&self, count: u64) {
        let mut acknowledged = self.ledger.watch();
        let wanted = self.acknowledged() + count;
        let enough = acknowledged.wait_for(|acknowledged| *acknowledged >= wanted);
        let enough = self.env.timeout(PATIENCE, enough).await.is_ok_and(|enough| enough.is_ok());
        assert!(enough, "{} of {wanted} acknowledged after {} s", self.acknowledged(), PATIENCE.as_secs());
    }

    /// Sends no more, and waits until the outcome of every record is known.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.finished().await;
        }
    }
}

async fn produce(
    ledger: Arc<Ledger>,
    env: Env,
    producer: Producer,
    first: u64,
    stopped: watch::Receiver<bool>,
    sent: mpsc::UnboundedSender<(u64, Delivery)>,
) {
    let mut number = first;
    while !*stopped.borrow() {
        for _ in 0..BURST {
            if let Ok(delivery) = ledger.send(&producer, number).await {
                sent.send((number, delivery)).expect("outcomes are collected to the end");
            }
            number += ledger.producers();
        }
        env.sleep(PAUSE).await;
    }
    producer.flush().await;
}

async fn collect(ledger: Arc<Ledger>, mut outcomes: mpsc::UnboundedReceiver<(u64, Delivery)>) {
    while let Some((number, delivery)) = outcomes.recv().await {
        let outcome = delivery.await;
        if let Err(error) = &outcome {
            eprintln!("record {number}: {error}");
        }
        ledger.told(number, &outcome);
    }
}
