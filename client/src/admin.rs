//! Operations on topics, configuration, the cluster and its quorum.
//!
//! Any broker is asked, and asks the active controller where it must. What may be repeated without harm is.

use std::collections::BTreeSet;
use std::time::Duration;

use highwater_model::api::{
    Answer, ApiError, ClusterDetail, ConfigChange, CreatedTopic, MetadataAnswer, MonitorsDetail,
    NewPartitions, NewTopic, QuorumDetail, Request, TopicConfigs, TopicDetail, TopicOutcome, VoterChange,
};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{NodeId, Offset, TopicId};
use highwater_transport::env::Instant;

use crate::client::Client;
use crate::error::ClientError;

/// Asks for operations. A cheap handle.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

fn unexpected(what: &'static str) -> ClientError {
    ClientError::UnexpectedAnswer { from: "a broker".to_owned(), what }
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// How long brokers may wait for the metadata to commit, in ms: less than this side waits for their answer.
    fn timeout_ms(&self) -> u32 {
        let least = self.client.settings().request_timeout.min(self.client.settings().api_timeout);
        u32::try_from((least * 9 / 10).max(Duration::from_millis(1)).as_millis()).unwrap_or(u32::MAX)
    }

    /// Until when one broker is waited for that has to answer for itself.
    fn soon(&self) -> Instant {
        self.client.env().now() + self.client.settings().connect_timeout
    }

    /// Brokers, and the named topics or all of them, as some broker has them: a past committed image.
    ///
    /// # Errors
    /// If no broker answers in time.
    pub async fn metadata(&self, topics: Option<Vec<String>>) -> Result<MetadataAnswer, ClientError> {
        let Answer::Metadata(answer) = self.client.ask_until(&Request::Metadata { topics }, true).await?
        else {
            return Err(unexpected("metadata"));
        };
        Ok(answer)
    }

    /// As [`Admin::metadata`], but every known broker is asked at most twice, so that a caller can look again itself.
    ///
    /// # Errors
    /// If no broker answers.
    pub async fn metadata_once(&self, topics: Option<Vec<String>>) -> Result<MetadataAnswer, ClientError> {
        let mut turn = usize::try_from(self.client.env().random_u64() >> 40).unwrap_or_default();
        let answer = self.client.ask_any(&Request::Metadata { topics }, &mut turn).await?;
        let Answer::Metadata(answer) = answer else {
            return Err(unexpected("metadata"));
        };
        Ok(answer)
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// Why it was not created. A time-out leaves open whether it was; asking again then says that it exists.
    pub async fn create_topic(
        &self,
        topic: NewTopic,
        validate_only: bool,
    ) -> Result<(TopicId, u32), ClientError> {
        let request =
            Request::CreateTopics { topics: vec![topic], timeout_ms: self.timeout_ms(), validate_only };
        let Answer::CreatedTopics(created) = self.client.ask_until(&request, validate_only).await? else {
            return Err(unexpected("created topics"));
        };
        first(created, |created: CreatedTopic| created.result)
    }

    /// Deletes a topic and everything in it.
    ///
    /// # Errors
    /// Why it was not deleted.
    pub async fn delete_topic(&self, name: &str) -> Result<(), ClientError> {
        let request = Request::DeleteTopics { names: vec![name.to_owned()], timeout_ms: self.timeout_ms() };
        self.topic_outcome(&request).await
    }

    /// Grows a topic to `total` partitions.
    ///
    /// # Errors
    /// Why it was not grown; the number never shrinks (R83).
    pub async fn create_partitions(&self, name: &str, total: u32) -> Result<(), ClientError> {
        let topics = vec![NewPartitions { name: name.to_owned(), total }];
        self.topic_outcome(&Request::CreatePartitions { topics, timeout_ms: self.timeout_ms() }).await
    }

    async fn topic_outcome(&self, request: &Request) -> Result<(), ClientError> {
        let Answer::Topics(outcomes) = self.client.ask_until(request, false).await? else {
            return Err(unexpected("outcomes of topics"));
        };
        first(outcomes, |outcome: TopicOutcome| outcome.result)
    }

    /// What each replica of a topic knows, and why members are missing from the ISR. Every leader is asked for its own
    /// partitions; of one that does not answer, only what the metadata says is told.
    ///
    /// # Errors
    /// If there is no such topic, or nobody answers in time.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDetail, ClientError> {
        let deadline = self.client.env().now() + self.client.settings().api_timeout;
        let request = Request::DescribeTopic { topic: name.to_owned() };
        let Answer::Topic(mut topic) = self.client.ask_until(&request, true).await? else {
            return Err(unexpected("a topic"));
        };
        let leaders: BTreeSet<NodeId> =
            topic.partitions.iter().filter_map(|partition| partition.leader).collect();
        for leader in leaders {
            let asked = self.client.ask(leader, &request, self.soon().min(deadline)).await;
            let Ok(Answer::Topic(told)) = asked else { continue };
            let own = told.partitions.into_iter().filter(|partition| partition.leader == Some(leader));
            for own in own.filter(|_| told.topic == topic.topic) {
                let known = topic.partitions.iter_mut().find(|known| known.partition == own.partition);
                if let Some(known) = known.filter(|known| known.leader_epoch <= own.leader_epoch) {
                    *known = own;
                }
            }
        }
        Ok(topic)
    }

    /// The configuration of a topic, with the source of each value; `linearizable` has it reflect every change that was
    /// acknowledged before (Q18), else a past image answers.
    ///
    /// # Errors
    /// If there is no such topic, or nobody answers in time.
    pub async fn describe_configs(
        &self,
        topic: &str,
        linearizable: bool,
    ) -> Result<TopicConfigs, ClientError> {
        let request = Request::DescribeConfigs { topic: topic.to_owned(), linearizable };
        let Answer::Configs(configs) = self.client.ask_until(&request, true).await? else {
            return Err(unexpected("configuration"));
        };
        Ok(configs)
    }

    /// Changes the configuration of a topic; only if `expected_offset` last changed it, if that is given.
    ///
    /// # Errors
    /// Why it was not changed. A time-out leaves open whether it was, and may still be.
    pub async fn alter_configs(
        &self,
        topic: &str,
        changes: Vec<ConfigChange>,
        expected_offset: Option<Offset>,
    ) -> Result<(), ClientError> {
        let request = Request::AlterConfigs { topic: topic.to_owned(), changes, expected_offset };
        // Done twice, the second time could undo what another has changed in between.
        let answer = self.client.ask_until(&request, false).await?;
        if answer == Answer::Done { Ok(()) } else { Err(unexpected("a changed configuration")) }
    }

    /// The cluster; `linearizable` asks the active controller (Q18), else a past image answers.
    ///
    /// # Errors
    /// If nobody answers in time.
    pub async fn describe_cluster(&self, linearizable: bool) -> Result<ClusterDetail, ClientError> {
        let Answer::Cluster(cluster) =
            self.client.ask_until(&Request::DescribeCluster { linearizable }, true).await?
        else {
            return Err(unexpected("a cluster"));
        };
        Ok(cluster)
    }

    /// The metadata quorum as its leader sees it.
    ///
    /// # Errors
    /// If nobody answers in time.
    pub async fn describe_quorum(&self) -> Result<QuorumDetail, ClientError> {
        let Answer::Quorum(quorum) = self.client.ask_until(&Request::DescribeQuorum, true).await? else {
            return Err(unexpected("a quorum"));
        };
        Ok(quorum)
    }

    /// What the runtime monitors of this broker have counted since its process started.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub async fn describe_monitors(&self, node: NodeId) -> Result<MonitorsDetail, ClientError> {
        let Answer::Monitors(detail) = self.client.ask(node, &Request::DescribeMonitors, self.soon()).await?
        else {
            return Err(unexpected("the counts of monitors"));
        };
        Ok(detail)
    }

    /// Adds or removes a voter (Q30).
    ///
    /// # Errors
    /// Why the set was not changed.
    pub async fn change_voters(&self, change: VoterChange) -> Result<(), ClientError> {
        let request = Request::ChangeVoters { change, timeout_ms: self.timeout_ms() };
        let answer = self.client.ask_until(&request, false).await?;
        if answer == Answer::Done { Ok(()) } else { Err(unexpected("a changed voter set")) }
    }
}

/// The outcome of the one item that was asked for.
fn first<T, R>(items: Vec<T>, result: impl Fn(T) -> Result<R, ApiError>) -> Result<R, ClientError> {
    match items.into_iter().next() {
        Some(item) => result(item).map_err(ClientError::Refused),
        None => {
            let nothing = ApiError::new(ErrorCode::UnknownServerError, "the answer names no outcome");
            Err(ClientError::Refused(nothing))
        }
    }
}
