//! Looking for a topic or a partition that is not known: it may have been made a moment ago, where the broker that was asked
//! has not heard of it yet.
//!
//! However many wait for a topic, one task asks for all of them, broker after broker, and each waits until its own deadline.
//! The task is none of theirs: a question whose asker gave up in the midst of it would have to be asked anew by the next
//! one, of the same broker, be it dead, and as often as somebody gives up.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_model::api::ApiError;
use highwater_model::error_code::ErrorCode;
use highwater_model::id::PartitionIndex;
use highwater_transport::env::Instant;

use super::{Client, unknown_topic};
use crate::error::ClientError;
use crate::metadata::{Image, find};

/// The topics that are looked for.
#[derive(Debug, Default)]
pub(super) struct Searches {
    of: Mutex<Ongoing>,
}

#[derive(Debug, Default)]
struct Ongoing {
    /// One for each task that asks.
    searches: BTreeMap<String, Arc<Search>>,
    /// Whom the next search asks first: one that ended early shall not have asked the same broker as all others.
    turn: usize,
}

impl Searches {
    fn ongoing(&self) -> MutexGuard<'_, Ongoing> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a search, unless somebody waits for more than the task that asks.
    fn is_over(&self, topic: &str, search: &Arc<Search>) -> bool {
        let mut ongoing = self.ongoing();
        // One is here, and one the task's. Nobody else takes one but under this lock.
        let is_over = Arc::strong_count(search) <= 2;
        if is_over {
            ongoing.searches.remove(topic);
        }
        is_over
    }
}

/// What those who wait for one topic share.
#[derive(Debug, Default)]
struct Search {
    /// What came of the last question, if there was one.
    heard: Mutex<Option<Result<(), ClientError>>>,
}

impl Search {
    fn heard(&self) -> Option<Result<(), ClientError>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, heard: Result<(), ClientError>) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    topic: &'a str,
    partition: Option<PartitionIndex>,
}

impl Wanted<'_> {
    fn is_in(&self, image: &Image) -> bool {
        let topic = image.topic(self.topic).filter(|topic| !topic.partitions.is_empty());
        topic.is_some_and(|topic| self.partition.is_none_or(|wanted| find(topic, wanted).is_some()))
    }

    /// Said when every broker that was asked has an image without it.
    fn missing_from(&self, image: &Image) -> ClientError {
        let topic = self.topic;
        let Some(partition) = self.partition.filter(|_| image.topic(topic).is_some()) else {
            return unknown_topic(topic);
        };
        let message = format!("topic {topic} has no partition {partition}");
        ClientError::Refused(ApiError::new(ErrorCode::UnknownTopicOrPartition, message))
    }
}

impl Client {
    /// What is known of the cluster, with this topic in it, and with this partition of it if one is named. While it is not
    /// known, brokers are asked in turn: one that says that there is no such thing may not have applied yet what made it.
    /// Nothing of the image is copied: this is done for every record, and a topic may have thousands of partitions.
    ///
    /// # Errors
    /// What was heard last, when `patience` is over.
    pub async fn image_with(
        &self,
        topic: &str,
        partition: Option<PartitionIndex>,
        patience: Duration,
    ) -> Result<Arc<Image>, ClientError> {
        self.image_until(topic, partition, self.env().now() + patience).await
    }

    /// As [`Client::image_with`], until `deadline`.
    pub(crate) async fn image_until(
        &self,
        topic: &str,
        partition: Option<PartitionIndex>,
        deadline: Instant,
    ) -> Result<Arc<Image>, ClientError> {
        let wanted = Wanted { topic, partition };
        let image = self.image();
        if wanted.is_in(&image) {
            return Ok(image);
        }
        // Rare, and large.
        Box::pin(self.found(wanted, deadline)).await
    }

    async fn found(&self, wanted: Wanted<'_>, deadline: Instant) -> Result<Arc<Image>, ClientError> {
        let mut images = self.watch();
        let search = self.search(wanted.topic);
        // The sender lives as long as this client.
        let found = images.wait_for(|image| wanted.is_in(image));
        let is_in_time = self.env().timeout_at(deadline, found).await.is_ok();
        match (is_in_time, search.heard()) {
            (true, _) => Ok(self.image()),
            (false, Some(Err(error))) => Err(error),
            (false, Some(Ok(()))) => Err(wanted.missing_from(&self.image())),
            (false, None) => Err(self.unreachable("none answered in time".to_owned())),
        }
    }

    /// The search for a topic, begun if there is none.
    fn search(&self, topic: &str) -> Arc<Search> {
        let mut ongoing = self.shared.searches.ongoing();
        if let Some(search) = ongoing.searches.get(topic) {
            return Arc::clone(search);
        }
        let search = Arc::<Search>::default();
        ongoing.searches.insert(topic.to_owned(), Arc::clone(&search));
        let turn = ongoing.turn;
        ongoing.turn = turn.wrapping_add(1);
        let asks = self.clone().look_for(topic.to_owned(), Arc::clone(&search), turn);
        self.env().spawn("look for a topic", asks);
        search
    }

    /// Asks for a topic until nobody waits for it any more.
    async fn look_for(self, topic: String, search: Arc<Search>, mut turn: usize) {
        let mut backoff = self.backoff();
        loop {
            let asked = self.ask_for_metadata(Some(from_ref(&topic)), &mut turn).await;
            search.note(asked.map(drop));
            turn = turn.wrapping_add(1);
            self.env().sleep(backoff.next()).await;
            if self.shared.searches.is_over(&topic, &search) {
                return;
            }
        }
    }
}
