//! A client of the cluster: what it knows of it, and how it asks.
//!
//! Finds whom to ask; leaves keeping the metadata fresh to `refresh`, finding what is not known yet to `search`, records to
//! `producer` and `consumer` and operations to `admin`.

mod refresh;
mod search;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use highwater_model::api::{Answer, ApiError, Request};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::NodeId;
use highwater_transport::env::{Env, Instant};
use highwater_transport::identity::{Expect, Identity};
use highwater_transport::watch;

use crate::admin::Admin;
use crate::consumer::Consumer;
use crate::error::{ClientError, Outcome};
use crate::link::{Link, Links, name_of};
use crate::metadata::Image;
use crate::producer::Producer;
use crate::settings::{ClientSettings, ConsumerSettings, ProducerSettings};

use self::refresh::Refreshing;
use self::search::Searches;
use self::servers::Servers;

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
    servers: Servers,
    refreshing: Refreshing,
    searches: Searches,
}

impl Client {
    /// A client of the cluster that `settings.bootstrap_servers` belong to. Connects when it is first used.
    #[must_use]
    pub fn new(env: &Env, identity: Identity, settings: ClientSettings) -> Self {
        let links = Links::new(env, identity, settings.connect_timeout);
        let (image, _) = watch::channel(Arc::new(Image::default()));
        let refreshing = Refreshing::with(env.now() + settings.metadata_age_max);
        let (env, servers, searches) = (env.clone(), Servers::default(), Searches::default());
        let shared = Shared { env, settings, links, image, servers, refreshing, searches };
        Self { shared: Arc::new(shared) }
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

    /// Where brokers may be asked: at the addresses that are known, and at those from the settings.
    fn addresses(&self) -> Vec<(String, Expect)> {
        let image = self.image();
        let known = image.brokers().map(|(node, address)| (address.to_owned(), Expect::Broker(node)));
        let mut addresses: Vec<(String, Expect)> = known.collect();
        for address in &self.settings().bootstrap_servers {
            if !addresses.iter().any(|(known, _)| known == address) {
                addresses.push((address.clone(), Expect::AnyBroker));
            }
        }
        addresses
    }

    /// Asks brokers until one answers, from the one whose turn it is, and those that were silent lately last. It is then
    /// the turn of the one that answered.
    pub(crate) async fn ask_any(&self, request: &Request, turn: &mut usize) -> Result<Answer, ClientError> {
        let addresses = self.addresses();
        let mut last = "no address is known".to_owned();
        // A dead broker must not hold up the question for long while another one lives.
        for patience in [IMPATIENCE.min(self.settings().connect_timeout), self.settings().connect_timeout] {
            for place in self.shared.servers.order(&addresses, *turn, self.env().now()) {
                let Some((address, expect)) = addresses.get(place) else { continue };
                let asked = self.ask_at(address, *expect, request, patience);
                let is_silent = match self.env().timeout(patience, asked).await {
                    Ok(Ok(answer)) => {
                        self.shared.servers.note_answer(address);
                        *turn = place;
                        return Ok(answer);
                    }
                    Ok(Err(ClientError::Refused(refusal))) if !refusal.code.is_retriable() => {
                        return Err(ClientError::Refused(refusal));
                    }
                    Ok(Err(error)) => {
                        last = error.to_string();
                        !matches!(error, ClientError::Refused(_))
                    }
                    Err(_) => {
                        last = format!("{address} did not answer within {} ms", patience.as_millis());
                        true
                    }
                };
                if is_silent {
                    self.shared.servers.note_silence(address, self.env().now());
                }
            }
        }
        Err(self.unreachable(last))
    }

    /// None of the addresses came to anything.
    fn unreachable(&self, last: String) -> ClientError {
        let addresses = self.addresses();
        let servers: Vec<&str> = addresses.iter().map(|(address, _)| address.as_str()).collect();
        ClientError::Unreachable { servers: servers.join(","), last }
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

    /// Asks one broker. Neither the connection nor the answer is waited for beyond `deadline`, nor the answer longer than
    /// `request.timeout.ms`.
    pub(crate) async fn ask(
        &self,
        node: NodeId,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, ClientError> {
        let link = self.link_until(node, deadline).await?;
        let timeout = deadline.since(self.env().now()).min(self.settings().request_timeout);
        let pending = link.start(request, Vec::new(), timeout).await?;
        let answer = pending.answer().await;
        if let (Ok(_) | Err(ClientError::Refused(_)), Some(address)) = (&answer, self.image().address(node)) {
            self.shared.servers.note_answer(address);
        }
        answer.map(|(answer, _)| answer)
    }

    async fn link_until(&self, node: NodeId, deadline: Instant) -> Result<Link, ClientError> {
        let was_asked = self.env().now() < deadline;
        let linked = match self.env().timeout_at(deadline, self.link(node)).await {
            Ok(linked) => linked,
            Err(_) => Err(ClientError::Unreachable {
                servers: format!("broker {node}"),
                last: "there was no connection in time".to_owned(),
            }),
        };
        if let Some(address) = self.image().address(node).filter(|_| was_asked && linked.is_err()) {
            self.shared.servers.note_silence(address, self.env().now());
        }
        linked
    }

    /// Asks any broker, again and again until one answers or the time is over, each time another one. Errors that may pass
    /// are tried again only if repeating the request does no harm. That there is no such topic is final: a broker makes
    /// sure of it at the active controller before it says so.
    pub(crate) async fn ask_until(&self, request: &Request, repeatable: bool) -> Result<Answer, ClientError> {
        let deadline = self.env().now() + self.settings().api_timeout;
        let mut backoff = self.backoff();
        let mut may_be_done = false;
        let mut turn = 0;
        loop {
            let error = match Box::pin(self.ask_once(request, deadline, turn)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            may_be_done |= error.outcome() == Outcome::Unknown;
            let is_final = !error.is_retriable() || error.code() == Some(ErrorCode::UnknownTopicOrPartition);
            if is_final || (may_be_done && !repeatable) {
                return Err(error);
            }
            let again_at = self.env().now() + backoff.next();
            if again_at >= deadline {
                return Err(self.out_of_time(request, &error, may_be_done));
            }
            self.env().sleep_until(again_at).await;
            turn += 1;
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

    /// Asks one broker that is reached: the controller at the first turn, if it is one of them, and another at each further
    /// one. Those that were silent lately are tried last.
    pub(crate) async fn ask_once(
        &self,
        request: &Request,
        deadline: Instant,
        turn: usize,
    ) -> Result<Answer, ClientError> {
        if self.image().brokers().next().is_none() {
            self.refresh_until(Vec::new(), deadline).await?;
        }
        let mut last = ClientError::Unreachable {
            servers: "the cluster".to_owned(),
            last: "no broker is known".to_owned(),
        };
        for node in self.nodes(turn) {
            match self.ask(node, request, deadline).await {
                // Who can be asked no more in time is not asked, and not noted as silent.
                Err(error @ ClientError::Unreachable { .. }) if self.env().now() < deadline => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    /// The brokers in the order in which they are asked at this turn.
    fn nodes(&self, turn: usize) -> Vec<NodeId> {
        let (image, now) = (self.image(), self.env().now());
        let mut brokers: Vec<(NodeId, &str)> = image.brokers().collect();
        brokers.sort_by_key(|(node, _)| Some(*node) != image.controller());
        let first = turn.checked_rem(brokers.len()).unwrap_or_default();
        brokers.rotate_left(first);
        brokers.sort_by_key(|(_, address)| self.shared.servers.is_silent(address, now));
        brokers.into_iter().map(|(node, _)| node).collect()
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
