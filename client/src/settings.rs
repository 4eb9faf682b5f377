//! What a client, a producer and a consumer are told: Kafka's property names, with Highwater's defaults.

use std::time::Duration;

pub use highwater_model::api::Acks;

/// How a client reaches the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// `bootstrap.servers`: `host:port` of some brokers; at least one must be reachable at first.
    pub bootstrap_servers: Vec<String>,
    /// `client.id`: shows in the brokers' logs.
    pub client_id: String,
    /// `request.timeout.ms`: how long one attempt of a request waits for its answer.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`: how long a call goes on trying.
    pub api_timeout: Duration,
    /// `retry.backoff.ms`: pause before another attempt; doubles up to `retry.backoff.max.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`: how long to wait for a connection.
    pub connect_timeout: Duration,
    /// `metadata.max.age.ms`: metadata older than this is asked for again.
    pub metadata_age_max: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            bootstrap_servers: vec!["localhost:9092".to_owned()],
            client_id: "highwater".to_owned(),
            request_timeout: Duration::from_secs(10),
            api_timeout: Duration::from_secs(30),
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(1),
            metadata_age_max: Duration::from_secs(60),
        }
    }
}

/// How a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`: nothing is written twice or out of order by a retry. Needs `acks=all`.
    pub idempotent: bool,
    /// `linger.ms`: how long a batch that is not full waits for more records.
    pub linger: Duration,
    /// `batch.size`: a batch is full at so many bytes.
    pub batch_bytes: usize,
    /// `max.request.size`: largest record, in bytes.
    pub record_bytes_max: usize,
    /// `max.in.flight.requests.per.connection`, here per partition: 1 to 5.
    pub in_flight_max: usize,
    /// `delivery.timeout.ms`: how long a record is tried before it fails.
    pub delivery_timeout: Duration,
    /// `max.block.ms`: how long sending waits for room in the buffer or for the topic to be known.
    pub block_max: Duration,
    /// `buffer.memory`: bytes of records that are not done with.
    pub buffer_bytes: usize,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            linger: Duration::from_millis(5),
            batch_bytes: 64 << 10,
            record_bytes_max: 1 << 20,
            in_flight_max: 5,
            delivery_timeout: Duration::from_secs(120),
            block_max: Duration::from_secs(60),
            buffer_bytes: 32 << 20,
        }
    }
}

/// How a consumer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// `fetch.max.wait.ms`: how long a broker waits for `fetch.min.bytes`.
    pub fetch_wait_max: Duration,
    /// `fetch.min.bytes`.
    pub fetch_bytes_min: u32,
    /// `fetch.max.bytes`: about how much one answer carries.
    pub fetch_bytes_max: u32,
    /// `max.partition.fetch.bytes`: about how much of it may be of one partition.
    pub partition_bytes_max: u32,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            fetch_wait_max: Duration::from_millis(500),
            fetch_bytes_min: 1,
            fetch_bytes_max: 8 << 20,
            partition_bytes_max: 1 << 20,
        }
    }
}
