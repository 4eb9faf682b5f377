//! What a client does when its only broker answers as a test wants: with another topic, with a refusal, or not at all.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test answers the few requests that it is about")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater_client::Client;
use highwater_client::consumer::Start;
use highwater_client::error::{ClientError, ConsumeError, Outcome, ProduceError};
use highwater_client::producer::Record;
use highwater_client::settings::{ClientSettings, ProducerSettings};
use highwater_model::api::{
    Answer, ApiError, BrokerDetail, MetadataAnswer, PartitionDetail, ProduceAnswer, ProducedPartition,
    ProducerIdentity, Request, TopicDetail,
};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{
    BrokerEpoch, ClusterId, LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionIndex, ProducerEpoch,
    ProducerId, TopicId,
};
use highwater_transport::api;
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use highwater_transport::quic::{Endpoint, Settings};
use highwater_transport::rpc::Requests;

const NODE: NodeId = NodeId(1);

/// What the broker's metadata says.
#[derive(Clone, Copy, Debug)]
struct World {
    metadata_offset: u64,
    /// The topics `t` and, as the next one, `u`, and how many partitions they have.
    topic: Option<(u128, u32)>,
    /// How many more times it says that there is no such topic, because it has not heard of it yet.
    unheard: u32,
}

const NO_TOPIC: World = World { metadata_offset: 5, topic: None, unheard: 0 };

/// A broker that knows one topic and decides nothing. What it is asked besides metadata, the test answers.
struct Broker {
    env: Env,
    authority: Arc<LabAuthority>,
    address: String,
    world: Arc<Mutex<World>>,
    asked: Arc<Mutex<Vec<Request>>>,
}

/// An answer, or silence.
type Reply = Option<Answer>;

impl Broker {
    fn start(world: World, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_under(LabAuthority::new("test").expect("an authority").into(), world, reply)
    }

    fn start_under(
        authority: Arc<LabAuthority>,
        world: World,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let env = Env::real();
        let identity = authority.broker(NODE).expect("a certificate");
        let local = ([127, 0, 0, 1], 0).into();
        let endpoint = Endpoint::bind(&env, local, &identity, Settings::default()).expect("a free port");
        let address = endpoint.local_address().to_string();
        let (world, asked) = (Arc::new(Mutex::new(world)), Arc::new(Mutex::default()));
        let broker = Self { env: env.clone(), authority, address, world, asked };
        let serving = Arc::new(broker.serving(reply));
        env.clone().spawn("fake broker", async move {
            while let Some(connection) = endpoint.accept().await {
                while let Ok(channel) = connection.accept().await {
                    let (mut requests, serving) = (Requests::new(channel), Arc::clone(&serving));
                    env.spawn("channel", async move {
                        while let Ok(Some(request)) = requests.next().await {
                            let asked = request.frame.decoded().expect("a request of ours");
                            if let Some(answer) = serving(asked) {
                                let frame = api::answer(&answer, Vec::new()).expect("it can be expressed");
                                drop(request.responder.answer(frame).await);
                            }
                        }
                    });
                }
            }
        });
        broker
    }

    fn serving(
        &self,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> impl Fn(Request) -> Reply + Send + Sync + 'static {
        let (address, world, asked) =
            (self.address.clone(), Arc::clone(&self.world), Arc::clone(&self.asked));
        move |request| {
            let answer = match &request {
                Request::Metadata { topics } => {
                    let mut world = world.lock().expect("nobody panicked");
                    let named = topics.as_deref().unwrap_or_default();
                    let answer = metadata(*world, &address, named);
                    world.unheard = world.unheard.saturating_sub(u32::from(!named.is_empty()));
                    Some(Answer::Metadata(answer))
                }
                request => reply(request),
            };
            asked.lock().expect("nobody panicked").push(request);
            answer
        }
    }

    fn client(&self, settings: ClientSettings) -> Client {
        let identity = self.authority.client("test").expect("a certificate");
        Client::new(
            &self.env,
            identity,
            ClientSettings { bootstrap_servers: vec![self.address.clone()], ..settings },
        )
    }

    fn turn_to(&self, world: World) {
        *self.world.lock().expect("nobody panicked") = world;
    }

    fn times_asked(&self, is_one: impl Fn(&Request) -> bool) -> usize {
        self.asked.lock().expect("nobody panicked").iter().filter(|request| is_one(request)).count()
    }
}

fn metadata(world: World, address: &str, names: &[String]) -> MetadataAnswer {
    let broker = BrokerDetail {
        node: NODE,
        broker_epoch: BrokerEpoch(1),
        address: address.to_owned(),
        fenced: false,
        shutting_down: false,
    };
    let topic = |name: &String| match world.topic {
        Some((topic, partitions)) if world.unheard == 0 && (name == "t" || name == "u") => Ok(TopicDetail {
            name: name.clone(),
            topic: TopicId(topic + u128::from(name == "u")),
            min_insync_replicas: 1,
            configs: Vec::new(),
            partitions: (0..partitions).map(partition).collect(),
        }),
        _ => Err((name.clone(), unknown_topic())),
    };
    MetadataAnswer {
        cluster: ClusterId(1),
        metadata_offset: Offset(world.metadata_offset),
        controller: Some(NODE),
        brokers: vec![broker],
        topics: names.iter().map(topic).collect(),
    }
}

fn partition(index: u32) -> PartitionDetail {
    PartitionDetail {
        partition: PartitionIndex(index),
        leader: Some(NODE),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(1),
        replicas: vec![NODE],
        isr: vec![NODE],
        eligible_leaders: Vec::new(),
        replica_details: Vec::new(),
    }
}

fn unknown_topic() -> ApiError {
    ApiError::new(ErrorCode::UnknownTopicOrPartition, "there is no such topic here")
}

fn of_partitions(partitions: u32) -> World {
    World { metadata_offset: 5, topic: Some((1, partitions)), unheard: 0 }
}

/// Gives producer ids, and acknowledges everything or refuses it for this reason.
fn takes_records(refusal: Option<ErrorCode>) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    move |request| match request {
        Request::InitProducerId => Some(Answer::Producer(ProducerIdentity {
            producer_id: ProducerId(1),
            producer_epoch: ProducerEpoch(0),
            node: NODE,
        })),
        Request::Produce { partitions, .. } => {
            let result = refusal.map_or(Ok(Offset(0)), |code| Err(ApiError::new(code, "as the test wants")));
            let outcome = |partition| ProducedPartition { partition, result: result.clone() };
            let partitions = partitions.iter().map(|asked| outcome(asked.partition)).collect();
            Some(Answer::Produce(ProduceAnswer { partitions }))
        }
        _ => None,
    }
}

fn to_partition(index: u32) -> Record {
    Record { partition: Some(PartitionIndex(index)), ..Record::of("x") }
}

fn code<T: std::fmt::Debug>(result: Result<T, ProduceError>) -> Option<ErrorCode> {
    result.expect_err("it is refused").code()
}

#[tokio::test]
async fn a_change_of_configuration_whose_outcome_is_open_is_not_made_again() {
    let broker = Broker::start(of_partitions(1), |_| None);
    let settings = ClientSettings {
        request_timeout: Duration::from_millis(200),
        api_timeout: Duration::from_secs(3),
        ..ClientSettings::default()
    };

    let changed = broker.client(settings).admin().alter_configs("t", Vec::new(), None).await;

    assert_eq!(changed.map_err(|error| error.outcome()), Err(Outcome::Unknown));
    assert_eq!(broker.times_asked(|request| matches!(request, Request::AlterConfigs { .. })), 1);
}

/// Asking so often for a topic takes more than a second.
const OFTEN: u32 = 10;

#[tokio::test]
async fn an_operation_on_a_topic_that_nobody_knows_is_refused_within_a_second() {
    let refuse = |request: &Request| {
        matches!(request, Request::DescribeTopic { .. }).then(|| Answer::Refused(unknown_topic()))
    };
    let broker = Broker::start(NO_TOPIC, refuse);
    let client = broker.client(ClientSettings::default());

    let described = Box::pin(async { client.admin().describe_topic("t").await });
    let described = broker.env.timeout(Duration::from_secs(2), described).await;

    let refused = described.expect("at once").expect_err("there is no such topic");
    assert_eq!(refused.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test]
async fn a_producer_goes_on_asking_for_a_topic_that_its_broker_has_not_heard_of_yet() {
    let broker = Broker::start(World { unheard: OFTEN, ..of_partitions(1) }, takes_records(None));
    let producer = broker.client(ClientSettings::default()).producer(ProducerSettings::default());

    let delivery = producer.send("t", Record::of("x")).await.expect("it is heard of in the end");

    delivery.await.expect("acknowledged");
}

#[tokio::test]
async fn a_consumer_goes_on_asking_for_a_topic_that_its_broker_has_not_heard_of_yet() {
    let broker = Broker::start(World { unheard: OFTEN, ..of_partitions(1) }, |_| None);
    let mut consumer = broker.client(ClientSettings::default()).consumer(Default::default());

    let assigned = consumer.assign("t", PartitionIndex(0), Start::Offset(Offset(0))).await;

    assigned.expect("it is heard of in the end");
}

#[tokio::test]
async fn another_broker_is_asked_for_a_topic_that_one_does_not_know() {
    let authority = Arc::new(LabAuthority::new("test").expect("an authority"));
    let knowing = Broker::start_under(Arc::clone(&authority), of_partitions(1), takes_records(None));
    let lagging = Broker::start_under(authority, World { metadata_offset: 4, ..NO_TOPIC }, |_| None);
    let identity = lagging.authority.client("test").expect("a certificate");
    let bootstrap_servers = vec![lagging.address.clone(), knowing.address.clone()];
    let client = Client::new(
        &lagging.env,
        identity,
        ClientSettings { bootstrap_servers, ..ClientSettings::default() },
    );
    let settings = ProducerSettings { block_max: Duration::from_secs(30), ..ProducerSettings::default() };
    let producer = client.producer(settings);

    let delivery = producer.send("t", Record::of("x")).await.expect("one broker knows it");

    delivery.await.expect("acknowledged");
    assert!(lagging.times_asked(|_| true) > 0);
}

#[tokio::test]
async fn a_partition_that_was_added_is_asked_for_before_it_is_said_not_to_exist() {
    let broker = Broker::start(of_partitions(1), takes_records(None));
    let producer = broker.client(ClientSettings::default()).producer(ProducerSettings::default());
    producer.send("t", to_partition(0)).await.expect("it is there").await.expect("acknowledged");

    broker.turn_to(World { metadata_offset: 6, ..of_partitions(2) });

    producer.send("t", to_partition(1)).await.expect("it is there by now").await.expect("acknowledged");
}

#[tokio::test]
async fn metadata_is_asked_for_again_when_it_is_old() {
    let broker = Broker::start(of_partitions(1), takes_records(None));
    let settings =
        ClientSettings { metadata_age_max: Duration::from_millis(20), ..ClientSettings::default() };
    let client = broker.client(settings);
    let producer = client.producer(ProducerSettings::default());
    producer.send("t", Record::of("x")).await.expect("sent").await.expect("acknowledged");

    broker.turn_to(World { metadata_offset: 6, ..of_partitions(4) });
    let mut image = client.watch();
    let grown = async {
        while image.borrow_and_update().topic("t").is_none_or(|topic| topic.partitions.len() < 4) {
            producer.send("t", Record::of("x")).await.expect("sent").await.expect("acknowledged");
        }
    };

    broker
        .env
        .timeout(Duration::from_secs(5), Box::pin(grown))
        .await
        .expect("it is noticed that the topic grew");
}

#[tokio::test]
async fn a_silent_leader_is_asked_about_though_others_ask_about_another_topic_all_the_time() {
    let takes = takes_records(None);
    let silent = move |request: &Request| match request {
        Request::Produce { .. } => None,
        request => takes(request),
    };
    let broker = Broker::start(of_partitions(1), silent);
    let client = broker.client(ClientSettings::default());
    let producer = client.producer(ProducerSettings::default());
    let _delivery = producer.send("t", Record::of("x")).await.expect("the topic is known");

    let of_t = |request: &Request| matches!(request, Request::Metadata { topics: Some(topics) } if topics.as_slice() == ["t"]);
    let before = broker.times_asked(of_t);
    let asked_again = async {
        while broker.times_asked(of_t) < before + 2 {
            client.refresh(Some(&["u".to_owned()])).await.expect("the broker answers");
        }
    };

    let patience = Duration::from_secs(5);
    broker.env.timeout(patience, Box::pin(asked_again)).await.expect("there may be another leader");
}

#[tokio::test]
async fn records_of_a_topic_that_was_made_anew_fail_instead_of_waiting_for_the_old_one() {
    let broker = Broker::start(of_partitions(1), takes_records(Some(ErrorCode::UnknownTopicId)));
    let producer = broker.client(ClientSettings::default()).producer(ProducerSettings::default());
    let delivery = producer.send("t", Record::of("x")).await.expect("the topic is known");

    broker.turn_to(World { metadata_offset: 9, topic: Some((2, 1)), unheard: 0 });

    let failed = broker.env.timeout(Duration::from_secs(5), delivery).await.expect("at once");
    let failed = failed.expect_err("its topic is gone");
    assert_eq!(failed.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test]
async fn every_partition_gives_up_at_the_delivery_timeout_while_there_is_no_producer_id() {
    let broker = Broker::start(of_partitions(20), |_| None);
    let settings =
        ProducerSettings { delivery_timeout: Duration::from_secs(1), ..ProducerSettings::default() };
    let producer = broker.client(ClientSettings::default()).producer(settings);
    let mut deliveries = Vec::new();
    for index in 0..20 {
        deliveries.push(producer.send("t", to_partition(index)).await.expect("the topic is known"));
    }

    broker.env.timeout(Duration::from_secs(3), producer.flush()).await.expect("flush ends in time");

    for delivery in deliveries {
        let failed = delivery.await.expect_err("nobody took it");
        assert!(matches!(failed, ProduceError::TimedOut { outcome: Outcome::NotDone, .. }), "{failed:?}");
    }
}

#[tokio::test]
async fn a_record_that_no_frame_can_carry_is_refused_and_not_tried_again() {
    let broker = Broker::start(of_partitions(1), takes_records(None));
    let bytes = 80 << 20;
    let settings = ProducerSettings {
        record_bytes_max: 2 * bytes,
        buffer_bytes: 2 * bytes,
        ..ProducerSettings::default()
    };
    let producer = broker.client(ClientSettings::default()).producer(settings);

    let delivery = producer.send("t", Record::of(vec![0; bytes])).await.expect("it is within the settings");
    let refused = broker.env.timeout(Duration::from_secs(20), delivery).await.expect("at once");

    assert_eq!(code(refused), Some(ErrorCode::MessageTooLarge));
    assert_eq!(broker.times_asked(|request| matches!(request, Request::Produce { .. })), 0);
}

#[tokio::test]
async fn a_consumer_of_a_topic_that_was_deleted_is_told() {
    let broker = Broker::start(of_partitions(1), |_| None);
    let settings =
        ClientSettings { metadata_age_max: Duration::from_millis(20), ..ClientSettings::default() };
    let mut consumer = broker.client(settings).consumer(Default::default());
    consumer.assign("t", PartitionIndex(0), Start::Offset(Offset(0))).await.expect("it is there");

    broker.turn_to(World { metadata_offset: 9, ..NO_TOPIC });
    let told = async {
        loop {
            if let Err(error) = consumer.poll(Duration::from_millis(100)).await {
                return error;
            }
        }
    };

    let told =
        broker.env.timeout(Duration::from_secs(5), Box::pin(told)).await.expect("it does not wait for ever");
    let ConsumeError::Client(ClientError::Refused(error)) = told else { panic!("{told:?}") };
    assert_eq!(error.code, ErrorCode::UnknownTopicOrPartition);
}
