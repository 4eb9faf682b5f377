//! Whom a client asks, how often, and until when: brokers that lag, that are silent, or that are none, in simulated time.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test answers the few requests that it is about")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater_client::Client;
use highwater_client::consumer::Start;
use highwater_client::error::{ClientError, ConsumeError, Outcome, ProduceError};
use highwater_client::producer::Record;
use highwater_client::settings::{ClientSettings, ProducerSettings};
use highwater_model::api::{
    Answer, ApiError, BrokerDetail, MetadataAnswer, PartitionDetail, ProducerIdentity, Request, TopicConfigs,
    TopicDetail,
};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{
    BrokerEpoch, ClusterId, LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionIndex, ProducerEpoch,
    ProducerId, TopicId,
};
use highwater_transport::api;
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use highwater_transport::env::sim::{NetworkConfig, Process, Simulation};
use highwater_transport::quic::{Endpoint, Settings};
use highwater_transport::rpc::Requests;

const SECOND: Duration = Duration::from_secs(1);

/// What is over by then was over in time: the network takes its milliseconds, too.
const ABOUT: Duration = Duration::from_millis(50);

/// A controller that is no broker.
const CONTROLLER: NodeId = NodeId(9);

/// How many partitions a broker believes each topic to have.
type Image = BTreeMap<String, u32>;

/// An answer, or silence.
type Reply = fn(NodeId, &Request) -> Option<Answer>;

fn silence(_: NodeId, _: &Request) -> Option<Answer> {
    None
}

/// Brokers that decide nothing. What they are asked besides metadata, the test answers. The last of them leads everything.
struct Brokers {
    env: Env,
    authority: Arc<LabAuthority>,
    processes: Vec<Process>,
    images: Arc<Mutex<BTreeMap<NodeId, Image>>>,
    asked: Arc<Mutex<Vec<(NodeId, Request)>>>,
    reply: Reply,
}

impl Brokers {
    fn start(sim: &Simulation, count: u8, reply: Reply) -> Arc<Self> {
        let process =
            |host: u8| sim.process(&format!("broker-{host}"), IpAddr::V4(Ipv4Addr::new(198, 18, 0, host)));
        let brokers = Arc::new(Self {
            env: sim.process("client", IpAddr::V4(Ipv4Addr::new(198, 18, 0, 100))).env(),
            authority: LabAuthority::new("test").expect("an authority").into(),
            processes: (1..=count).map(process).collect(),
            images: Arc::default(),
            asked: Arc::default(),
            reply,
        });
        for (node, process) in brokers.all() {
            brokers.clone().serve(node, process);
        }
        brokers
    }

    fn all(&self) -> impl Iterator<Item = (NodeId, &Process)> {
        (1..).map(NodeId).zip(&self.processes)
    }

    fn serve(self: Arc<Self>, node: NodeId, process: &Process) {
        let identity = self.authority.broker(node).expect("a certificate");
        let (env, local) = (process.env(), SocketAddr::new(process.address(), 9092));
        let endpoint = Endpoint::bind(&env, local, &identity, Settings::default()).expect("a free port");
        env.clone().spawn("fake broker", async move {
            while let Some(connection) = endpoint.accept().await {
                let (env, brokers) = (env.clone(), Arc::clone(&self));
                env.clone().spawn("connection", async move {
                    while let Ok(channel) = connection.accept().await {
                        let brokers = Arc::clone(&brokers);
                        env.spawn("channel", async move {
                            brokers.answer_all(node, Requests::new(channel)).await
                        });
                    }
                });
            }
        });
    }

    async fn answer_all(&self, node: NodeId, mut requests: Requests) {
        while let Ok(Some(request)) = requests.next().await {
            let asked = request.frame.decoded().expect("a request of ours");
            let answer = match &asked {
                Request::Metadata { topics } => {
                    Some(Answer::Metadata(self.metadata(node, topics.as_deref().unwrap_or_default())))
                }
                other => (self.reply)(node, other),
            };
            self.asked.lock().expect("nobody panicked").push((node, asked));
            if let Some(answer) = answer {
                let frame = api::answer(&answer, Vec::new()).expect("it can be expressed");
                drop(request.responder.answer(frame).await);
            }
        }
    }

    fn metadata(&self, node: NodeId, names: &[String]) -> MetadataAnswer {
        let leader = self.all().last().expect("there are some").0;
        let images = self.images.lock().expect("nobody panicked");
        let image = images.get(&node).cloned().unwrap_or_default();
        let broker = |(node, process): (NodeId, &Process)| BrokerDetail {
            node,
            broker_epoch: BrokerEpoch(1),
            address: format!("{}:9092", process.address()),
            fenced: false,
            shutting_down: false,
        };
        let topic = |name: &String| match image.get(name) {
            Some(partitions) => Ok(TopicDetail {
                name: name.clone(),
                topic: TopicId(1),
                min_insync_replicas: 1,
                configs: Vec::new(),
                partitions: (0..*partitions).map(|index| partition(index, leader)).collect(),
            }),
            None => Err((name.clone(), ApiError::new(ErrorCode::UnknownTopicOrPartition, "not here"))),
        };
        MetadataAnswer {
            cluster: ClusterId(1),
            metadata_offset: Offset(image.values().map(|partitions| u64::from(*partitions)).sum()),
            controller: Some(CONTROLLER),
            brokers: self.all().map(broker).collect(),
            topics: names.iter().map(topic).collect(),
        }
    }

    /// From now on this broker believes the topic `t` to have so many partitions.
    fn teach(&self, node: u32, partitions: u32) {
        let mut images = self.images.lock().expect("nobody panicked");
        images.entry(NodeId(node)).or_default().insert("t".to_owned(), partitions);
    }

    fn client(&self, settings: ClientSettings) -> Client {
        let identity = self.authority.client("test").expect("a certificate");
        let address = |(_, process): (NodeId, &Process)| format!("{}:9092", process.address());
        let bootstrap_servers = self.all().map(address).collect();
        Client::new(&self.env, identity, ClientSettings { bootstrap_servers, ..settings })
    }

    /// How often each broker was asked so.
    fn asked(&self, is_one: impl Fn(&Request) -> bool) -> BTreeMap<u32, usize> {
        let mut count = BTreeMap::new();
        for (node, request) in self.asked.lock().expect("nobody panicked").iter() {
            *count.entry(node.0).or_default() += usize::from(is_one(request));
        }
        count
    }
}

fn partition(index: u32, leader: NodeId) -> PartitionDetail {
    PartitionDetail {
        partition: PartitionIndex(index),
        leader: Some(leader),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(1),
        replicas: vec![leader],
        isr: vec![leader],
        eligible_leaders: Vec::new(),
        replica_details: Vec::new(),
    }
}

fn asks_for(topic: &str) -> impl Fn(&Request) -> bool {
    move |request| matches!(request, Request::Metadata { topics: Some(topics) } if topics.as_slice() == [topic])
}

/// A run upon a network that loses and repeats nothing.
fn run<T>(body: impl AsyncFnOnce(Simulation) -> T) -> T {
    Simulation::run(1, NetworkConfig::CALM, body).success()
}

fn blocking_for(block_max: Duration) -> ProducerSettings {
    ProducerSettings { block_max, ..ProducerSettings::default() }
}

/// Hands over a record of each of so many tasks; what became of it and how long that took.
async fn sent_by_many(
    client: &Client,
    tasks: usize,
    topic: &'static str,
    settings: ProducerSettings,
) -> Vec<(Result<(), ProduceError>, Duration)> {
    let producer = Arc::new(client.producer(settings));
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let begun = client.env().now();
    let send = |_| {
        let (producer, outcomes, env) = (Arc::clone(&producer), Arc::clone(&outcomes), client.env().clone());
        client.env().spawn("send", async move {
            let sent = producer.send(topic, Record::of("x")).await.map(drop);
            outcomes.lock().expect("nobody panicked").push((sent, env.now().since(begun)));
        })
    };
    for task in (0..tasks).map(send).collect::<Vec<_>>() {
        task.finished().await;
    }
    std::mem::take(&mut *outcomes.lock().expect("nobody panicked"))
}

#[test]
fn each_of_many_senders_gives_up_in_time_while_every_broker_is_silent() {
    let outcomes = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        brokers.processes.iter().for_each(Process::kill);
        let client = brokers.client(ClientSettings::default());
        sent_by_many(&client, 100, "t", blocking_for(6 * SECOND)).await
    });

    assert_eq!(outcomes.len(), 100);
    for (sent, after) in outcomes {
        let error = sent.expect_err("nobody is there");
        assert!(matches!(error, ProduceError::Lookup(ClientError::Unreachable { .. })), "{error}");
        assert_eq!((after, error.outcome()), (6 * SECOND, Outcome::NotDone));
    }
}

#[test]
fn those_who_wait_for_metadata_learn_together_that_nobody_answers() {
    let longest = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        brokers.processes.iter().for_each(Process::kill);
        let client = brokers.client(ClientSettings::default());
        let begun = sim.now();
        let refresh = |number| {
            let (client, names) = (client.clone(), [format!("topic-{number}")]);
            sim.env().spawn("refresh", async move {
                client.refresh(Some(&names)).await.expect_err("nobody is there");
            })
        };
        for task in (0..100).map(refresh).collect::<Vec<_>>() {
            task.finished().await;
        }
        sim.now().since(begun)
    });

    assert!(longest < 5 * SECOND, "{longest:?}");
}

#[test]
fn the_wait_for_a_topic_and_the_wait_for_room_have_one_deadline() {
    let (refused, after) = run(async |sim| {
        let brokers = Brokers::start(&sim, 1, silence);
        let client = brokers.client(ClientSettings::default());
        let settings = ProducerSettings { buffer_bytes: 1, record_bytes_max: 30, ..blocking_for(2 * SECOND) };
        let producer = client.producer(settings);
        let learns = Arc::clone(&brokers);
        sim.env().spawn("the topic is made", async move {
            learns.env.sleep(SECOND * 3 / 2).await;
            learns.teach(1, 1);
        });
        let begun = sim.now();
        let (one, other) =
            tokio::join!(producer.send("t", Record::of("x")), producer.send("t", Record::of("y")));
        let refused = match (one, other) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            both => panic!("there is room for one: {both:?}"),
        };
        (refused, sim.now().since(begun))
    });

    assert_eq!(refused, ProduceError::BufferFull { after: 2 * SECOND });
    assert_eq!(after, 2 * SECOND);
}

#[test]
fn the_ends_of_a_partition_and_where_to_begin_are_looked_for_until_one_deadline() {
    let (ends, after, assigned, after_both) = run(async |sim| {
        let brokers = Brokers::start(&sim, 2, silence);
        [1, 2].iter().for_each(|node| brokers.teach(*node, 1));
        let client = brokers.client(ClientSettings { api_timeout: 5 * SECOND, ..ClientSettings::default() });
        let begun = sim.now();
        let ends = client.ends("t", PartitionIndex(0)).await;
        let after = sim.now().since(begun);
        let mut consumer = client.consumer(Default::default());
        let assigned = consumer.assign("t", PartitionIndex(0), Start::End).await;
        (ends, after, assigned, sim.now().since(begun))
    });

    assert!(ends.expect_err("the leader is silent").is_unreachable());
    let ConsumeError::Client(error) = assigned.expect_err("the leader is silent") else { panic!("no other") };
    assert!(error.is_unreachable());
    assert!(after <= 5 * SECOND && after_both <= 10 * SECOND, "{after:?}, {after_both:?}");
}

#[test]
fn an_operation_ends_in_time_while_every_broker_is_silent() {
    let (error, after) = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        brokers.processes.iter().for_each(Process::kill);
        let client = brokers.client(ClientSettings { api_timeout: SECOND, ..ClientSettings::default() });
        let begun = sim.now();
        (client.admin().describe_quorum().await.expect_err("nobody is there"), sim.now().since(begun))
    });

    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert_eq!(after, SECOND);
}

#[test]
fn however_many_wait_for_a_topic_that_nobody_knows_one_asks_for_all() {
    let (outcomes, asked) = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        let client = brokers.client(ClientSettings::default());
        let outcomes = sent_by_many(&client, 40, "tt", blocking_for(5 * SECOND)).await;
        (outcomes, brokers.asked(asks_for("tt")))
    });

    assert_eq!(outcomes.len(), 40);
    for (sent, after) in outcomes {
        let refused = sent.expect_err("there is no such topic");
        assert_eq!(refused.code(), Some(ErrorCode::UnknownTopicOrPartition));
        assert!(refused.to_string().contains("there is no topic tt"), "{refused}");
        assert!(refused.hint().contains("topic create"), "{}", refused.hint());
        assert_eq!((after, refused.outcome()), (5 * SECOND, Outcome::NotDone));
    }
    // Every 250 ms at the most, after some that come sooner.
    assert!(asked.values().sum::<usize>() <= 25, "{asked:?}");
    assert!(asked.values().all(|count| *count >= 7), "in turn: {asked:?}");
}

/// Hands over so many records, each of a task of its own, one task after the other; when each began, and what became of it.
async fn sent_one_after_another(
    client: &Client,
    tasks: u32,
    every: Duration,
    settings: ProducerSettings,
) -> Vec<(Duration, Result<(), ProduceError>)> {
    let (producer, begun) = (Arc::new(client.producer(settings)), client.env().now());
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let mut sending = Vec::new();
    for task in 0..tasks {
        let (producer, outcomes) = (Arc::clone(&producer), Arc::clone(&outcomes));
        sending.push(client.env().spawn("send", async move {
            let sent = producer.send("t", Record::of("x")).await.map(drop);
            outcomes.lock().expect("nobody panicked").push((every * task, sent));
        }));
        client.env().sleep_until(begun + every * (task + 1)).await;
    }
    for task in sending {
        task.finished().await;
    }
    std::mem::take(&mut *outcomes.lock().expect("nobody panicked"))
}

#[test]
fn one_asks_for_all_though_somebody_gives_up_at_every_moment() {
    let (outcomes, asked) = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        let client = brokers.client(ClientSettings::default());
        let every = Duration::from_millis(2);
        let outcomes = sent_one_after_another(&client, 1000, every, blocking_for(SECOND)).await;
        (outcomes, brokers.asked(asks_for("t")))
    });

    assert_eq!(outcomes.len(), 1000);
    for (_, sent) in outcomes {
        assert_eq!(sent.map_err(|error| error.code()), Err(Some(ErrorCode::UnknownTopicOrPartition)));
    }
    // For 3 s, every 250 ms at the most, after some that come sooner.
    let asked = asked.values().sum::<usize>();
    assert!((12..=17).contains(&asked), "{asked}");
}

#[test]
fn a_topic_that_is_made_later_is_found_though_a_broker_is_dead_and_somebody_gives_up_at_every_moment() {
    let outcomes = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        brokers.processes[0].kill();
        let client = brokers.client(ClientSettings::default());
        let learns = Arc::clone(&brokers);
        sim.env().spawn("the topic is made", async move {
            // The dead one has been asked once more by then.
            learns.env.sleep(15 * SECOND).await;
            [2, 3].iter().for_each(|node| learns.teach(*node, 1));
        });
        sent_one_after_another(&client, 180, SECOND / 10, blocking_for(2 * SECOND)).await
    });

    assert_eq!(outcomes.len(), 180);
    for (begun, sent) in outcomes {
        // It is found within a pause and the patience with the dead one.
        let is_early = begun < 12 * SECOND;
        let is_late = begun > 14 * SECOND;
        match sent {
            Ok(()) => assert!(!is_early, "{begun:?}"),
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition), "{begun:?}: {error}");
                assert!(!is_late, "{begun:?}: {error}");
            }
        }
    }
}

#[test]
fn what_is_asked_for_those_who_wait_but_a_moment_is_known_to_the_next() {
    let (sent, described) = run(async |sim| {
        let brokers = Brokers::start(&sim, 2, first_has_no_controller);
        brokers.processes[0].kill();
        brokers.teach(2, 1);
        let settings =
            ClientSettings { api_timeout: Duration::from_millis(200), ..ClientSettings::default() };
        let (client, other) = (brokers.client(settings.clone()), brokers.client(settings));
        let producer = client.producer(blocking_for(Duration::ZERO));
        producer.send("t", Record::of("x")).await.map(drop).expect_err("nothing is known yet");
        other.admin().describe_configs("t", false).await.expect_err("nobody is known yet");
        sim.env().sleep(SECOND).await;
        (
            producer.send("t", Record::of("x")).await.map(drop),
            other.admin().describe_configs("t", false).await,
        )
    });

    assert_eq!((sent, described), (Ok(()), Ok(no_configs())));
}

#[test]
fn a_topic_that_nobody_knows_does_not_hold_up_the_metadata_of_others_though_a_broker_is_dead() {
    let longest = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        [1, 2, 3].iter().for_each(|node| brokers.teach(*node, 1));
        let client = brokers.client(ClientSettings::default());
        client.refresh(Some(&["t".to_owned()])).await.expect("three answer");
        brokers.processes[1].kill();
        let misspelt = client.clone();
        sim.env().spawn("misspelt", async move {
            sent_by_many(&misspelt, 10, "tt", blocking_for(20 * SECOND)).await;
        });
        let mut longest = Duration::ZERO;
        while sim.now().elapsed() < 20 * SECOND {
            let begun = sim.now();
            client.refresh(Some(&["t".to_owned()])).await.expect("two answer");
            longest = longest.max(sim.now().since(begun));
            sim.env().sleep(ABOUT).await;
        }
        longest
    });

    assert!(longest < ABOUT, "{longest:?}");
}

#[test]
fn a_dead_broker_is_waited_for_once_in_a_while_and_not_at_each_question() {
    let after = run(async |sim| {
        let brokers = Brokers::start(&sim, 3, silence);
        [1, 2, 3].iter().for_each(|node| brokers.teach(*node, 1));
        brokers.processes[0].kill();
        let client = brokers.client(ClientSettings::default());
        let begun = sim.now();
        let producer = client.producer(blocking_for(3 * SECOND));
        producer.send("tt", Record::of("x")).await.expect_err("there is no such topic");
        let asked: usize = brokers.asked(asks_for("tt")).values().sum();
        (sim.now().since(begun), asked)
    });

    // 300 ms for the dead one, and then 13 questions: after 0, 20, 60, 140, 300 ms, and each 250 ms.
    assert_eq!(after.0, 3 * SECOND);
    assert!(after.1 >= 14, "{after:?}");
}

#[test]
fn a_partition_that_one_broker_has_not_heard_of_yet_is_asked_for_at_another() {
    let (assigned, sent) = run(async |sim| {
        let brokers = Brokers::start(&sim, 2, takes_ids);
        [1, 2].iter().for_each(|node| brokers.teach(*node, 1));
        let client = brokers.client(ClientSettings::default());
        client.refresh(Some(&["t".to_owned()])).await.expect("it is known");
        let assign = async |partition| {
            let mut consumer = client.consumer(Default::default());
            consumer.assign("t", PartitionIndex(partition), Start::Offset(Offset(0))).await
        };
        brokers.teach(2, 2);
        let assigned = assign(1).await;
        brokers.teach(2, 3);
        let producer = client.producer(ProducerSettings::default());
        let sent = producer.send("t", to_partition(2)).await.map(drop);
        (assigned, sent)
    });

    assert_eq!((assigned, sent), (Ok(()), Ok(())));
}

#[test]
fn a_partition_that_nobody_has_heard_of_is_refused_when_the_time_for_it_is_over() {
    let (refused, after, assigned) = run(async |sim| {
        let brokers = Brokers::start(&sim, 2, silence);
        [1, 2].iter().for_each(|node| brokers.teach(*node, 1));
        let client = brokers.client(ClientSettings { api_timeout: SECOND, ..ClientSettings::default() });
        let begun = sim.now();
        let refused = client.producer(blocking_for(2 * SECOND)).send("t", to_partition(1)).await.map(drop);
        let after = sim.now().since(begun);
        let mut consumer = client.consumer(Default::default());
        let assigned = consumer.assign("t", PartitionIndex(1), Start::End).await;
        (refused, after, assigned)
    });

    assert_eq!(refused, Err(ProduceError::NoSuchPartition { topic: "t".to_owned(), partition: 1 }));
    assert_eq!(after, 2 * SECOND);
    let error = assigned.expect_err("there is no such partition");
    assert_eq!(error.to_string(), "UNKNOWN_TOPIC_OR_PARTITION: topic t has no partition 1");
}

fn no_configs() -> TopicConfigs {
    TopicConfigs { offset: Offset(0), entries: Vec::new() }
}

/// Only the second broker reaches the controller.
fn first_has_no_controller(node: NodeId, request: &Request) -> Option<Answer> {
    let no_controller = ApiError::new(ErrorCode::NotController, "there is no active controller");
    match request {
        _ if node == NodeId(1) => Some(Answer::Refused(no_controller)),
        Request::DescribeConfigs { .. } => Some(Answer::Configs(no_configs())),
        request => takes_ids(node, request),
    }
}

fn takes_ids(node: NodeId, request: &Request) -> Option<Answer> {
    let identity = ProducerIdentity { producer_id: ProducerId(1), producer_epoch: ProducerEpoch(0), node };
    matches!(request, Request::InitProducerId).then_some(Answer::Producer(identity))
}

#[test]
fn another_broker_is_asked_where_one_cannot_and_the_controller_is_none() {
    let (described, produced) = run(async |sim| {
        let brokers = Brokers::start(&sim, 2, first_has_no_controller);
        brokers.teach(1, 1);
        let client = brokers.client(ClientSettings { api_timeout: 2 * SECOND, ..ClientSettings::default() });
        let described = client.admin().describe_configs("t", false).await;
        let _delivery = client.producer(ProducerSettings::default()).send("t", Record::of("x")).await;
        let is_produced = || brokers.asked(|request| matches!(request, Request::Produce { .. }))[&2] > 0;
        let produced = async {
            while !is_produced() {
                sim.env().sleep(ABOUT).await;
            }
        };
        (described, sim.env().timeout(2 * SECOND, produced).await)
    });

    assert_eq!(described, Ok(no_configs()));
    produced.expect("a producer id is had from the second");
}

fn to_partition(index: u32) -> Record {
    Record { partition: Some(PartitionIndex(index)), ..Record::of("x") }
}
