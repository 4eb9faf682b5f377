//! `min.insync.replicas`, on brokers that are real processes beside three controllers of their own: who is acknowledged
//! and who is refused when followers are gone, by SIGKILL and by SIGTERM, and what the refusal says.

use std::time::Duration;

use highwater_client::Producer;
use highwater_client::error::{Outcome, ProduceError};
use highwater_client::settings::ProducerSettings;
use highwater_model::id::NodeId;
use highwater_tests::processes::{Cluster, Ledger, PATIENCE, REQUEST_TIMEOUT};

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");
const LEADER: NodeId = NodeId(4);
const FIRST: NodeId = NodeId(5);
const SECOND: NodeId = NodeId(6);
/// How long a record is tried that will be refused.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// How a follower is stopped.
#[derive(Clone, Copy, Debug)]
enum Signal {
    Kill,
    Term,
}

impl Signal {
    async fn stop(self, cluster: &mut Cluster, node: NodeId) {
        match self {
            Self::Kill => cluster.kill(&[node]).await,
            Self::Term => cluster.terminate(node).await,
        }
    }

    /// Why the metadata says that the follower is missing.
    fn reason(self) -> &'static str {
        match self {
            Self::Kill => "its session ended",
            Self::Term => "it was shut down",
        }
    }
}

/// A topic of one partition, led by [`LEADER`], and what was sent to it.
struct Topic {
    name: &'static str,
    ledger: Ledger,
    producer: Producer,
    acknowledged: u64,
}

impl Topic {
    async fn create(cluster: &mut Cluster, name: &'static str, replicas: &[NodeId], min_isr: u16) -> Self {
        cluster.create_topic(name, &[replicas], min_isr).await;
        let settings = ProducerSettings { delivery_timeout: DELIVERY_TIMEOUT, ..ProducerSettings::default() };
        let producer = cluster.client().producer(settings);
        Self { name, ledger: Ledger::new(name, 1, 1), producer, acknowledged: 0 }
    }

    async fn is_acknowledged(&mut self) {
        let outcomes = self.ledger.produce(&self.producer, 20).await;
        assert!(outcomes.iter().all(Result::is_ok), "{}: {outcomes:?}", self.name);
        self.acknowledged += 20;
    }

    /// Records are refused, certainly not written, and the words name who is missing, since when, and why.
    async fn is_refused(&self, cluster: &Cluster, missing: &[NodeId], why: &str) {
        drop(self.until_refused(cluster, 1, missing, why).await);
        // From here on the leader knows how few are in sync, and writes nothing more.
        let end = cluster.leader_log_end(self.name).await;
        for error in self.until_refused(cluster, 20, missing, why).await.iter().take(1) {
            eprintln!("{}: {error}\n  hint: {}", self.name, error.hint());
        }
        assert_eq!(cluster.leader_log_end(self.name).await, end, "{}", self.name);
    }

    /// Sends so many records, and as many more until all of them are refused for certain. None is ever acknowledged.
    ///
    /// What some broker knows of the ISR the leader may not know yet: until then it takes records that it cannot commit.
    /// And an attempt that is under way when the time of its record is over might still write it, for all that its
    /// producer knows. Such records may be there or not.
    async fn until_refused(
        &self,
        cluster: &Cluster,
        count: u64,
        missing: &[NodeId],
        why: &str,
    ) -> Vec<ProduceError> {
        let deadline = cluster.env().now() + PATIENCE;
        loop {
            let outcomes = self.ledger.produce(&self.producer, count).await;
            let refused =
                outcomes.into_iter().map(|outcome| outcome.expect_err("too few replicas are in sync"));
            let errors: Vec<ProduceError> = refused.collect();
            let Some(open) = errors.iter().find(|error| error.outcome() == Outcome::Unknown) else {
                errors.iter().for_each(|error| assert_explained(self.name, error, missing, why));
                return errors;
            };
            eprintln!("{}: may be written: {open}", self.name);
            assert!(cluster.env().now() < deadline, "{}: {open}", self.name);
        }
    }
}

/// The words of a refusal name each missing replica, since when, and why.
fn assert_explained(topic: &str, error: &ProduceError, missing: &[NodeId], why: &str) {
    let text = error.to_string();
    assert!(text.contains("NOT_ENOUGH_REPLICAS"), "{topic}: {text}");
    for node in missing {
        assert!(text.contains(&format!("broker {node} ({why}")), "{topic}: {text}");
    }
    assert_eq!(text.matches(", for ").count(), missing.len(), "{topic}: {text}");
}

async fn followers_stopped(signal: Signal) {
    let mut cluster = Cluster::with_controllers(PROGRAM, 3).await;
    let (two, three) = ([LEADER, FIRST], [LEADER, FIRST, SECOND]);
    let mut two_min_1 = Topic::create(&mut cluster, "rf2-min1", &two, 1).await;
    let mut two_min_2 = Topic::create(&mut cluster, "rf2-min2", &two, 2).await;
    let mut three_min_1 = Topic::create(&mut cluster, "rf3-min1", &three, 1).await;
    let mut three_min_2 = Topic::create(&mut cluster, "rf3-min2", &three, 2).await;
    for topic in [&mut two_min_1, &mut two_min_2, &mut three_min_1, &mut three_min_2] {
        topic.is_acknowledged().await;
    }

    signal.stop(&mut cluster, FIRST).await;
    for (name, left) in
        [("rf2-min1", vec![LEADER]), ("rf2-min2", vec![LEADER]), ("rf3-min2", vec![LEADER, SECOND])]
    {
        cluster.in_sync(name, &left).await;
    }
    two_min_1.is_acknowledged().await;
    two_min_2.is_refused(&cluster, &[FIRST], signal.reason()).await;
    three_min_1.is_acknowledged().await;
    three_min_2.is_acknowledged().await;

    signal.stop(&mut cluster, SECOND).await;
    cluster.in_sync("rf3-min1", &[LEADER]).await;
    cluster.in_sync("rf3-min2", &[LEADER]).await;
    three_min_1.is_acknowledged().await;
    three_min_2.is_refused(&cluster, &[FIRST, SECOND], signal.reason()).await;

    cluster.start_all(&[FIRST, SECOND]);
    cluster.all_in_sync(&["rf2-min1", "rf2-min2", "rf3-min1", "rf3-min2"]).await;
    for topic in [&mut two_min_1, &mut two_min_2, &mut three_min_1, &mut three_min_2] {
        topic.is_acknowledged().await;
        topic.ledger.assert_kept(cluster.client(), topic.acknowledged).await;
        cluster.assert_replicas_agree(topic.name, topic.acknowledged).await;
    }
}

#[tokio::test]
async fn with_followers_killed_too_few_in_sync_are_refused_and_enough_are_acknowledged() {
    followers_stopped(Signal::Kill).await;
}

#[tokio::test]
async fn with_followers_shut_down_too_few_in_sync_are_refused_and_enough_are_acknowledged() {
    followers_stopped(Signal::Term).await;
}

#[tokio::test]
async fn a_leader_that_is_shut_down_hands_its_partitions_over_before_it_ends() {
    let mut cluster = Cluster::with_controllers(PROGRAM, 3).await;
    let mut topic = Topic::create(&mut cluster, "visits", &[LEADER, FIRST, SECOND], 2).await;
    topic.is_acknowledged().await;

    let began = cluster.env().now();
    cluster.terminate(LEADER).await;
    let ended = cluster.env().now().since(began);
    // Nobody has to find out that it is gone: this is faster than its session.
    cluster.led_by("visits", &[FIRST, SECOND]).await;
    eprintln!("ended after {ended:?}, led again after {:?}", cluster.env().now().since(began));
    topic.is_acknowledged().await;

    cluster.start(LEADER);
    cluster.all_in_sync(&["visits"]).await;
    topic.ledger.assert_kept(cluster.client(), topic.acknowledged).await;
    cluster.assert_replicas_agree(topic.name, topic.acknowledged * 2).await;
}

#[tokio::test]
async fn with_two_of_three_combined_brokers_killed_a_produce_times_out_naming_the_lost_quorum() {
    let mut cluster = Cluster::combined(PROGRAM, 3).await;
    let [leader, others @ ..] = [NodeId(1), NodeId(2), NodeId(3)];
    cluster.create_topic("visits", &[&[leader, others[0], others[1]]], 2).await;
    let ledger = Ledger::new("visits", 1, 1);
    // The last attempt ends with this, and is to be answered well before: by then it has most of a request's time.
    let delivery_timeout = REQUEST_TIMEOUT * 8 / 3;
    let settings = ProducerSettings { delivery_timeout, ..ProducerSettings::default() };
    let producer = cluster.client().producer(settings);
    let outcomes = ledger.produce(&producer, 20).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");

    cluster.kill(&others).await;
    let outcomes = ledger.produce(&producer, 1).await;
    let [Err(error)] = outcomes.as_slice() else { panic!("nobody can commit it: {outcomes:?}") };
    let text = error.to_string();
    eprintln!("{text}");
    assert!(matches!(error, ProduceError::TimedOut { .. }), "{error:?}");
    assert!(text.contains("etadata quorum of 3, 2 needed"), "{text}");
    for node in others {
        assert!(text.contains(&format!("node {node} is unreachable")), "{text}");
    }

    cluster.start_all(&others);
    cluster.all_in_sync(&["visits"]).await;
    let outcomes = ledger.produce(&producer, 20).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    ledger.assert_kept(cluster.client(), 40).await;
    cluster.assert_replicas_agree("visits", 80).await;
}
