//! A client of the cluster: what it knows of it, and how it asks.
//!
//! Keeps the metadata fresh and finds whom to ask; leaves records to `producer` and `consumer` and operations to `admin`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_model::api::{Answer, ApiError, Request};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::NodeId;
use highwater_transport::env::{Env, Instant};
use highwater_transport::identity::{Expect, Identity};
use highwater_transport::watch;
use tokio::sync::Mutex as AsyncMutex;

use crate::admin::Admin;
use crate::consumer::Consumer;
use crate::error::{ClientError, Outcome};
use crate::link::{Link, Links, name_of};
use crate::metadata::Image;
use crate::producer::Producer;
use crate::settings::{ClientSettings, ConsumerSettings, ProducerSettings};

/// How long an operation is tried again on a topic that is said not to exist. The controller is asked first, and knows: this
/// is for one that has just changed.
const MISSING_FOR: Duration = Duration::from_millis(500);

/// How long it is remembered when metadata of a topic came: longer than anybody asks about.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How long a broker is waited for before the next one is asked, at first.
const IMPATIENCE: Duration = Duration::from_millis(300);

/// A client of one cluster. A cheap handle: clones share connections and metadata.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    env: Env,
    settings: ClientSettings,
    links: Links,
    image: watch::Sender<Arc<Image>>,
    refreshing: AsyncMutex<Turn>,
    /// When everything that is known is to be asked for again, in milliseconds since the environment's origin.
    stale_at_ms: AtomicU64,
    answered: Mutex<Answered>,
}

/// From whom to start asking for metadata next.
#[derive(Debug, Default)]
struct Turn(usize);

/// When metadata came last, and of which topics: what came of one says nothing of another's leaders.
#[derive(Debug, Default)]
struct Answered {
    /// Of any, or of none but the brokers.
    at: Option<Instant>,
    /// Of all.
    all: Option<Instant>,
    topics: BTreeMap<String, Instant>,
}

impl Answered {
    fn note(&mut self, topics: Option<&[String]>, now: Instant) {
        self.at = Some(now);
        match topics {
            None => self.all = Some(now),
            Some(topics) => {
                self.topics.retain(|_, at| now.since(*at) < REMEMBERED);
                self.topics.extend(topics.iter().map(|topic| (topic.clone(), now)));
            }
        }
    }

    fn of(&self, topic: &str) -> Option<Instant> {
        self.topics.get(topic).copied().max(self.all)
    }

    /// Whether an answer to this question came since `asked`.
    fn since(&self, topics: &[String], asked: Instant) -> bool {
        let came = |at: Option<Instant>| at.is_some_and(|at| at >= asked);
        came(self.at) && topics.iter().all(|topic| came(self.of(topic)))
    }
}

impl Client {
    /// A client of the cluster that `settings.bootstrap_servers` belong to. Connects when it is first used.
    #[must_use]
    pub fn new(env: &Env, identity: Identity, settings: ClientSettings) -> Self {
        let links = Links::new(env, identity, settings.connect_timeout);
        let (image, _) = watch::channel(Arc::new(Image::default()));
        let stale_at_ms = AtomicU64::new(millis(env.now() + settings.metadata_age_max));
        let (env, refreshing) = (env.clone(), AsyncMutex::default());
        let answered = Mutex::default();
        Self { shared: Arc::new(Shared { env, settings, links, image, refreshing, stale_at_ms, answered }) }
    }

    /// A producer.
    #[must_use]
    pub fn producer(&self, settings: ProducerSettings) -> Producer {
        Producer::new(self.clone(), settings)
    }

    /// A consumer of partitions that it is told.
    #[must_use]
    pub fn consumer(&self, settings: ConsumerSettings) -> Consumer {
        Consumer::new(self.clone(), settings)
    }

    /// Operations on topics, configuration and the cluster.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// The environment that it runs in.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.shared.env
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &ClientSettings {
        &self.shared.settings
    }

    /// What it knows of the cluster at present.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.shared.image.borrow().clone()
    }

    /// Follows what it knows of the cluster.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Image>> {
        self.shared.image.subscribe()
    }

    /// Closes the connections in good order.
    pub async fn close(&self) {
        self.shared.links.close().await;
    }

    /// Asks some broker for the metadata of `topics`, or of all, and remembers the answer. A call that waited for
    /// another one's answer to the same question takes that. A broker that does not know a topic may lag, so that the
    /// next question goes to another one.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if no broker answers.
    pub async fn refresh(&self, topics: Option<&[String]>) -> Result<Arc<Image>, ClientError> {
        let asked = self.env().now();
        let mut turn = self.shared.refreshing.lock().await;
        let known = |topics: &[String]| {
            let image = self.image();
            topics.iter().all(|topic| image.topic(topic).is_some()) && self.answered().since(topics, asked)
        };
        if topics.is_some_and(known) {
            return Ok(self.image());
        }
        let request = Request::Metadata { topics: topics.map(<[String]>::to_vec) };
        let answered = self.ask_any(&request, &mut turn.0).await?;
        let Answer::Metadata(answer) = answered else {
            return Err(ClientError::UnexpectedAnswer { from: "a broker".to_owned(), what: "metadata" });
        };
        self.answered().note(topics, self.env().now());
        let image = Arc::new(self.image().merged(&answer));
        self.shared.image.send_replace(Arc::clone(&image));
        if topics.is_some_and(|topics| topics.iter().any(|topic| image.topic(topic).is_none())) {
            turn.0 = turn.0.wrapping_add(1);
        }
        Ok(image)
    }

    /// What is known of the cluster, with this topic in it. While it is not known, brokers are asked in turn: one that
    /// says that there is no such topic may not have applied yet what made it. Nothing of the image is copied: this is
    /// done for every record, and a topic may have thousands of partitions.
    ///
    /// # Errors
    /// What was heard last, when `patience` is over.
    pub async fn image_with(&self, name: &str, patience: Duration) -> Result<Arc<Image>, ClientError> {
        let knows = |image: &Image| image.topic(name).is_some_and(|topic| !topic.partitions.is_empty());
        let image = self.image();
        if knows(&image) {
            return Ok(image);
        }
        let deadline = self.env().now() + patience;
        let mut backoff = self.backoff();
        loop {
            let error = match self.refresh(Some(&[name.to_owned()])).await {
                Ok(image) if knows(&image) => return Ok(image),
                Ok(_) => unknown_topic(name),
                Err(error) => error,
            };
            let again_at = self.env().now() + backoff.next();
            if again_at >= deadline {
                return Err(error);
            }
            self.env().sleep_until(again_at).await;
        }
    }

    fn answered(&self) -> MutexGuard<'_, Answered> {
        self.shared.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether metadata of this topic came within the last `duration`, whoever asked for it.
    pub(crate) fn refreshed_within(&self, topic: &str, duration: Duration) -> bool {
        let now = self.env().now();
        self.answered().of(topic).is_some_and(|at| now.since(at) < duration)
    }

    /// Asks in the background for all topics that are known, if that is longer ago than `metadata.max.age.ms`.
    pub(crate) fn keep_fresh(&self) {
        let (now, age) = (self.env().now(), self.settings().metadata_age_max);
        let stale_at = self.shared.stale_at_ms.load(Ordering::Relaxed);
        let claim = || {
            let next = millis(now + age);
            self.shared.stale_at_ms.compare_exchange(stale_at, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        if millis(now) < stale_at || claim().is_err() {
            return;
        }
        let topics: Vec<String> = self.image().topic_names().map(str::to_owned).collect();
        let client = self.clone();
        self.env().spawn("keep metadata fresh", async move {
            if let Err(error) = client.refresh(Some(&topics)).await {
                tracing::debug!(%error, "metadata not refreshed");
                let soon = client.env().now() + client.settings().retry_backoff_max;
                client.shared.stale_at_ms.store(millis(soon), Ordering::Relaxed);
            }
        });
    }

    /// Asks brokers in turn, those known and those from the settings, until one answers.
    pub(crate) async fn ask_any(&self, request: &Request, turn: &mut usize) -> Result<Answer, ClientError> {
        let image = self.image();
        let known = image.brokers().map(|(node, address)| (address.to_owned(), Expect::Broker(node)));
        let bootstrap =
            self.settings().bootstrap_servers.iter().map(|address| (address.clone(), Expect::AnyBroker));
        let mut servers: Vec<(String, Expect)> = known.collect();
        for (address, expect) in bootstrap {
            if !servers.iter().any(|(known, _)| *known == address) {
                servers.push((address, expect));
            }
        }
        let mut last = "no address is known".to_owned();
        // A dead broker must not hold up the question for long while another one lives.
        for patience in [IMPATIENCE.min(self.settings().connect_timeout), self.settings().connect_timeout] {
            for _ in 0..servers.len() {
                let Some((address, expect)) = servers.get(*turn % servers.len()) else { break };
                let asked = self.ask_at(address, *expect, request, patience);
                match self.env().timeout(patience, asked).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(ClientError::Refused(error))) if !error.code.is_retriable() => {
                        return Err(ClientError::Refused(error));
                    }
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_) => last = format!("{address} did not answer within {} ms", patience.as_millis()),
                }
                *turn = turn.wrapping_add(1);
            }
        }
        let servers: Vec<&str> = servers.iter().map(|(address, _)| address.as_str()).collect();
        Err(ClientError::Unreachable { servers: servers.join(","), last })
    }

    async fn ask_at(
        &self,
        address: &str,
        expect: Expect,
        request: &Request,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let link = self.shared.links.link(address, expect).await?;
        let pending = link.start(request, Vec::new(), timeout).await?;
        pending.answer().await.map(|(answer, _)| answer)
    }

    /// The connection to a broker.
    pub(crate) async fn link(&self, node: NodeId) -> Result<Link, ClientError> {
        let image = self.image();
        let Some(address) = image.address(node) else {
            return Err(ClientError::Unreachable {
                servers: format!("broker {node}"),
                last: "its address is not known".to_owned(),
            });
        };
        self.shared.links.link(address, Expect::Broker(node)).await
    }

    /// Asks one broker.
    pub(crate) async fn ask(
        &self,
        node: NodeId,
        request: &Request,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let pending = self.link(node).await?.start(request, Vec::new(), timeout).await?;
        pending.answer().await.map(|(answer, _)| answer)
    }

    /// Asks any broker, again and again until one answers or the time is over. Errors that may pass are tried again only
    /// if repeating the request does no harm.
    pub(crate) async fn ask_until(&self, request: &Request, repeatable: bool) -> Result<Answer, ClientError> {
        let deadline = self.env().now() + self.settings().api_timeout;
        let mut backoff = self.backoff();
        let mut may_be_done = false;
        let mut missing_until = None;
        loop {
            let left = deadline.since(self.env().now());
            let error = match self.ask_once(request, left.min(self.settings().request_timeout)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            may_be_done |= error.outcome() == Outcome::Unknown;
            if !error.is_retriable() || (may_be_done && !repeatable) {
                return Err(error);
            }
            let again_at = self.env().now() + backoff.next();
            if error.code() == Some(ErrorCode::UnknownTopicOrPartition) {
                let until = *missing_until.get_or_insert_with(|| self.env().now() + MISSING_FOR);
                if again_at >= until {
                    return Err(error);
                }
            }
            if again_at >= deadline {
                return Err(self.out_of_time(request, &error, may_be_done));
            }
            self.env().sleep_until(again_at).await;
        }
    }

    fn out_of_time(&self, request: &Request, error: &ClientError, may_be_done: bool) -> ClientError {
        let speaks_for_itself = matches!(error, ClientError::Unreachable { .. } | ClientError::Refused(_));
        if speaks_for_itself && may_be_done == (error.outcome() == Outcome::Unknown) {
            return error.clone();
        }
        ClientError::TimedOut {
            what: name_of(request).to_owned(),
            after: self.settings().api_timeout,
            last: Some(error.to_string()),
            outcome: if may_be_done { Outcome::Unknown } else { Outcome::NotDone },
        }
    }

    pub(crate) async fn ask_once(&self, request: &Request, timeout: Duration) -> Result<Answer, ClientError> {
        if self.image().brokers().next().is_none() {
            self.refresh(Some(&[])).await?;
        }
        let image = self.image();
        let controller = image.controller();
        let mut nodes: Vec<NodeId> = image.brokers().map(|(node, _)| node).collect();
        nodes.sort_by_key(|node| Some(*node) != controller);
        let mut last = ClientError::Unreachable {
            servers: "the cluster".to_owned(),
            last: "no broker is known".to_owned(),
        };
        for node in nodes {
            match self.ask(node, request, timeout).await {
                Err(error @ ClientError::Unreachable { .. }) => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    /// Pauses between attempts: doubling from `retry.backoff.ms` to `retry.backoff.max.ms`.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { next: self.settings().retry_backoff, most: self.settings().retry_backoff_max }
    }
}

/// Said when no broker that was asked knows a topic.
pub(crate) fn unknown_topic(name: &str) -> ClientError {
    let message = format!("there is no topic {name}");
    ClientError::Refused(ApiError::new(ErrorCode::UnknownTopicOrPartition, message))
}

fn millis(at: Instant) -> u64 {
    u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Pauses between attempts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::since_origin(Duration::from_millis(millis))
    }

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_came_of_a_topic_says_nothing_of_another() {
        let mut answered = Answered::default();
        answered.note(Some(&names(&["a"])), at(5));
        answered.note(Some(&names(&["b"])), at(9));

        assert_eq!((answered.of("a"), answered.of("b"), answered.of("c")), (Some(at(5)), Some(at(9)), None));
        assert!(answered.since(&names(&["b"]), at(9)) && !answered.since(&names(&["a", "b"]), at(6)));
        assert!(answered.since(&[], at(9)), "the brokers come with any");
        answered.note(None, at(12));
        assert!(answered.since(&names(&["a", "c"]), at(10)));
    }

    #[test]
    fn topics_that_nobody_asks_for_any_more_are_forgotten() {
        let mut answered = Answered::default();
        answered.note(Some(&names(&["a"])), at(0));
        answered.note(Some(&names(&["b"])), at(0) + REMEMBERED);

        assert_eq!(answered.topics.keys().collect::<Vec<_>>(), ["b"]);
    }
}
