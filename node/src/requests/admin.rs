//! Topics, configuration and voters: what the active controller decides.

use std::time::Duration;

use highwater_model::api::{
    Answer, ApiError, ConfigChange, ConfigEntry, ConfigSource, CreatedTopic, NewPartitions, NewTopic,
    TopicConfigs, TopicOutcome, VoterChange,
};
use highwater_model::id::{Offset, TopicId};
use highwater_model::metadata::{Command, ConfigKey, Image, Outcome};

use super::{RequestHandler, unknown_topic};
use crate::peers::wire::ControllerCall;

/// How long an answer waits for this node's own image to show what was decided.
const VISIBLE_WAIT: Duration = Duration::from_secs(1);

impl RequestHandler {
    pub(super) async fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        timeout: Duration,
        validate_only: bool,
    ) -> Vec<CreatedTopic> {
        let mut created = Vec::with_capacity(topics.len());
        for mut new in topics {
            self.complete(&mut new.configs);
            let name = new.name.clone();
            let topic = TopicId(self.env.random_u128());
            let decided =
                self.controller.decide(Command::CreateTopic { topic, new, validate_only }, timeout).await;
            let result = decided.map(|outcome| {
                if let Outcome::TopicCreated { topic, partitions } = outcome {
                    (topic, partitions)
                } else {
                    (topic, 0)
                }
            });
            if let (Ok((topic, _)), false) = (&result, validate_only) {
                let topic = *topic;
                self.until(move |image| image.topic(topic).is_some()).await;
            }
            created.push(CreatedTopic { name, result });
        }
        created
    }

    /// Adds the configuration that topics are created with here, where the creator has not said otherwise.
    fn complete(&self, configs: &mut Vec<(String, String)>) {
        for (name, value) in &self.topic_configs {
            if !configs.iter().any(|(given, _)| given == name) {
                configs.push((name.clone(), value.clone()));
            }
        }
    }

    pub(super) async fn delete_topics(&self, names: Vec<String>, timeout: Duration) -> Vec<TopicOutcome> {
        let mut outcomes = Vec::with_capacity(names.len());
        for name in names {
            let decided = self.controller.decide(Command::DeleteTopic { name: name.clone() }, timeout).await;
            if decided.is_ok() {
                self.until(|image| image.topic_by_name(&name).is_none()).await;
            }
            outcomes.push(TopicOutcome { name, result: decided.map(drop) });
        }
        outcomes
    }

    pub(super) async fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        timeout: Duration,
    ) -> Vec<TopicOutcome> {
        let mut outcomes = Vec::with_capacity(topics.len());
        for NewPartitions { name, total } in topics {
            let command = Command::CreatePartitions { name: name.clone(), total };
            let decided = self.controller.decide(command, timeout).await;
            outcomes.push(TopicOutcome { name, result: decided.map(drop) });
        }
        outcomes
    }

    pub(super) async fn describe_configs(
        &self,
        name: &str,
        linearizable: bool,
    ) -> Result<TopicConfigs, ApiError> {
        if linearizable {
            self.catch_up().await?;
        }
        let image = self.image_with(name).await?;
        let topic = image.topic_by_name(name).ok_or_else(|| unknown_topic(name))?;
        let entry = |key: &ConfigKey| {
            let (value, is_set) = topic.config.describe(*key);
            let source = if is_set { ConfigSource::Topic } else { ConfigSource::Default };
            ConfigEntry { name: key.name().to_owned(), value, source }
        };
        let entries = ConfigKey::ALL.iter().map(entry).collect();
        Ok(TopicConfigs { offset: topic.config_offset, entries })
    }

    pub(super) async fn alter_configs(
        &self,
        name: String,
        changes: Vec<ConfigChange>,
        expected_offset: Option<Offset>,
    ) -> Result<Answer, ApiError> {
        let command = Command::AlterConfigs { name, changes, expected_offset };
        self.controller.decide(command, self.timing.request).await.map(|_| Answer::Done)
    }

    pub(super) async fn change_voters(
        &self,
        change: VoterChange,
        timeout: Duration,
    ) -> Result<Answer, ApiError> {
        self.controller.ask(ControllerCall::ChangeVoters(change), timeout).await.map(|_| Answer::Done)
    }

    /// Waits a while until this node's image is as it is expected to become; the decision is committed either way.
    pub(super) async fn until(&self, is_so: impl Fn(&Image) -> bool + Send) {
        let mut images = self.images.clone();
        let seen = async { drop(images.wait_for(|image| is_so(image)).await) };
        let _ = self.env.timeout(VISIBLE_WAIT, seen).await;
    }
}
