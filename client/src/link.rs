//! Connections to brokers: one per address, made when first needed and made anew when lost.
//!
//! Sends requests in the order in which they are started, and names what became of each. Leaves whom to ask to `client`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use highwater_model::api::{Answer, ApiError, Request};
use highwater_model::error_code::ErrorCode;
use highwater_transport::api::{self, KIND, VERSION};
use highwater_transport::env::{Env, Instant};
use highwater_transport::frame::Frame;
use highwater_transport::identity::{Expect, Identity};
use highwater_transport::quic::{self, CloseCode, Connection, Endpoint, Lane, SendError};
use highwater_transport::rpc::{CallError, Caller, PendingCall};
use tokio::sync::Mutex as AsyncMutex;

use crate::error::{ClientError, Outcome};

/// How long a connection that closes waits until the broker has taken what needs no answer.
const LINGER: Duration = Duration::from_secs(5);

/// A request that was sent; its answer is still out.
#[derive(Debug)]
pub(crate) struct PendingAnswer {
    pending: PendingCall,
    to: String,
    what: &'static str,
    timeout: Duration,
}

impl PendingAnswer {
    /// Waits for the answer and the payload beside it. A request that was refused as a whole is an error.
    pub(crate) async fn answer(self) -> Result<(Answer, Vec<Bytes>), ClientError> {
        let frame = match self.pending.answer().await {
            Ok(frame) => frame,
            Err(error) => return Err(call_error(&error, &self.to, self.what, self.timeout)),
        };
        let unexpected = || ClientError::UnexpectedAnswer { from: self.to.clone(), what: self.what };
        if frame.kind != KIND || frame.version != VERSION {
            return Err(unexpected());
        }
        match frame.decoded::<Answer>() {
            Ok(Answer::Refused(error)) => Err(ClientError::Refused(error)),
            Ok(answer) => Ok((answer, frame.payload)),
            Err(_) => Err(unexpected()),
        }
    }
}

fn call_error(error: &CallError, to: &str, what: &str, timeout: Duration) -> ClientError {
    let outcome = if error.outcome_unknown() { Outcome::Unknown } else { Outcome::NotDone };
    match error {
        CallError::TimedOut | CallError::Congested => ClientError::TimedOut {
            what: format!("{what} of {to}"),
            after: timeout,
            last: Some(error.to_string()),
            outcome,
        },
        // It would be so at every attempt.
        CallError::NotSent(SendError::Frame(cause)) => {
            ClientError::Refused(ApiError::new(ErrorCode::MessageTooLarge, format!("{what}: {cause}")))
        }
        CallError::NotSent(cause) => {
            ClientError::Unreachable { servers: to.to_owned(), last: cause.to_string() }
        }
        CallError::Lost(cause) => ClientError::ConnectionLost {
            to: to.to_owned(),
            cause: cause.as_ref().map_or_else(|| "closed by the peer".to_owned(), ToString::to_string),
        },
        other => ClientError::ConnectionLost { to: to.to_owned(), cause: other.to_string() },
    }
}

/// A live connection to one broker.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    connection: Connection,
    data: Caller,
    control: Caller,
    address: String,
    /// Something was sent that has no answer, so nobody has waited until the broker took it.
    told: Arc<AtomicBool>,
}

impl Link {
    /// Sends a request. Requests whose `start` returned in some order arrive in that order, records among themselves
    /// and everything else among itself.
    pub(crate) async fn start(
        &self,
        request: &Request,
        payload: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<PendingAnswer, ClientError> {
        let caller = if carries_records(request) { &self.data } else { &self.control };
        let what = name_of(request);
        let frame = encode(request, payload, &self.address)?;
        match caller.start(frame, timeout).await {
            Ok(pending) => Ok(PendingAnswer { pending, to: self.address.clone(), what, timeout }),
            Err(error) => Err(call_error(&error, &self.address, what, timeout)),
        }
    }

    /// Sends a request that has no answer (`acks=0`).
    pub(crate) async fn tell(
        &self,
        env: &Env,
        request: &Request,
        payload: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let (what, frame) = (name_of(request), encode(request, payload, &self.address)?);
        self.told.store(true, Ordering::Relaxed);
        // A frame that is given up before it is taken is not sent.
        let told = match env.timeout(timeout, self.data.tell(frame)).await {
            Ok(told) => told.map_err(CallError::NotSent),
            Err(_) => Err(CallError::Congested),
        };
        told.map_err(|error| call_error(&error, &self.address, what, timeout))
    }

    /// Closes the connection. What was sent without an answer shall have reached the broker, if it is quick.
    async fn close(&self, env: &Env) {
        if self.told.load(Ordering::Relaxed) && env.timeout(LINGER, self.data.finish()).await.is_err() {
            tracing::warn!(broker = self.address, "closed before the broker had taken everything");
        }
        self.connection.close(CloseCode::Done, "client closed");
    }

    fn is_usable(&self) -> bool {
        !(self.connection.is_closed() || self.data.is_closed() || self.control.is_closed())
    }
}

fn encode(request: &Request, payload: Vec<Bytes>, address: &str) -> Result<Frame, ClientError> {
    api::request(request, payload).map_err(|_| ClientError::UnexpectedAnswer {
        from: address.to_owned(),
        what: "a request that can be encoded",
    })
}

fn carries_records(request: &Request) -> bool {
    matches!(request, Request::Produce { .. } | Request::Fetch { .. })
}

/// What a request is called in an error.
pub(crate) fn name_of(request: &Request) -> &'static str {
    match request {
        Request::Metadata { .. } => "metadata request",
        Request::Produce { .. } => "produce request",
        Request::Fetch { .. } => "fetch request",
        Request::ListOffsets { .. } => "offsets request",
        Request::InitProducerId => "producer id request",
        Request::CreateTopics { .. } => "creation of topics",
        Request::DeleteTopics { .. } => "deletion of topics",
        Request::CreatePartitions { .. } => "growth of topics",
        Request::DescribeConfigs { .. } | Request::AlterConfigs { .. } => "configuration request",
        Request::DescribeCluster { .. } => "description of the cluster",
        Request::DescribeTopic { .. } => "description of a topic",
        Request::DescribeQuorum => "description of the quorum",
        Request::ChangeVoters { .. } => "change of voters",
        Request::DescribeMonitors => "description of the monitors",
        _ => "request",
    }
}

/// The connections of one client, by address.
#[derive(Debug)]
pub(crate) struct Links {
    env: Env,
    identity: Identity,
    settings: quic::Settings,
    endpoints: Mutex<BTreeMap<SocketAddr, Endpoint>>,
    links: Mutex<BTreeMap<String, Arc<AsyncMutex<Place>>>>,
}

/// What there is at an address.
#[derive(Debug, Default)]
struct Place {
    link: Option<Link>,
    /// When dialling last failed, and why.
    failed: Option<(Instant, ClientError)>,
}

impl Links {
    pub(crate) fn new(env: &Env, identity: Identity, connect_timeout: Duration) -> Self {
        let settings = quic::Settings { connect_timeout, ..quic::Settings::default() };
        let (endpoints, links) = (Mutex::default(), Mutex::default());
        Self { env: env.clone(), identity, settings, endpoints, links }
    }

    /// The connection to `address`, made if there is none. Whoever answers must prove to be `expect`. A call that waited
    /// while another one dialled in vain does not dial again.
    pub(crate) async fn link(&self, address: &str, expect: Expect) -> Result<Link, ClientError> {
        let asked = self.env.now();
        let place = {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(links.entry(address.to_owned()).or_default())
        };
        let mut place = place.lock().await;
        let usable = |link: &&Link| link.is_usable() && expect.admits(link.connection.peer());
        if let Some(link) = place.link.as_ref().filter(usable) {
            return Ok(link.clone());
        }
        if let Some((at, error)) = place.failed.as_ref().filter(|(at, _)| *at > asked) {
            tracing::trace!(address, ?at, "dialled in vain meanwhile");
            return Err(error.clone());
        }
        // Rare, and large: whoever has a connection does not carry it along.
        match Box::pin(self.connect(address, expect)).await {
            Ok(link) => {
                *place = Place { link: Some(link.clone()), failed: None };
                Ok(link)
            }
            Err(error) => {
                place.failed = Some((self.env.now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Dials each of its addresses until one answers.
    async fn connect(&self, address: &str, expect: Expect) -> Result<Link, ClientError> {
        let unreachable = |last: String| ClientError::Unreachable { servers: address.to_owned(), last };
        let targets = self.env.resolve(address).await.map_err(|error| unreachable(error.to_string()))?;
        let mut last = "it has no address".to_owned();
        for target in targets {
            match self.dial(address, target, expect).await {
                Ok(link) => return Ok(link),
                Err(error) => last = error,
            }
        }
        Err(unreachable(last))
    }

    async fn dial(&self, address: &str, target: SocketAddr, expect: Expect) -> Result<Link, String> {
        let endpoint = self.endpoint(target)?;
        let connection = endpoint.connect(target, expect).await.map_err(|error| error.to_string())?;
        let data = connection.open(Lane::Data).await.map_err(|error| error.to_string())?;
        let control = connection.open(Lane::Control).await.map_err(|error| error.to_string())?;
        let (data, control) = (Caller::new(&self.env, data), Caller::new(&self.env, control));
        Ok(Link { connection, data, control, address: address.to_owned(), told: Arc::default() })
    }

    /// The socket from which `target` is dialled: loopback has its own, because its datagrams are larger.
    fn endpoint(&self, target: SocketAddr) -> Result<Endpoint, String> {
        let local: SocketAddr = match target {
            SocketAddr::V4(v4) if v4.ip().is_loopback() && !self.env.is_simulated() => {
                (Ipv4Addr::LOCALHOST, 0).into()
            }
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(v6) if v6.ip().is_loopback() && !self.env.is_simulated() => {
                (Ipv6Addr::LOCALHOST, 0).into()
            }
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = endpoints.get(&local) {
            return Ok(endpoint.clone());
        }
        let endpoint = Endpoint::bind(&self.env, local, &self.identity, self.settings.clone())
            .map_err(|error| error.to_string())?;
        endpoints.insert(local, endpoint.clone());
        Ok(endpoint)
    }

    /// Closes every connection in good order.
    pub(crate) async fn close(&self) {
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        for place in links.into_values() {
            if let Some(link) = place.lock().await.link.take() {
                link.close(&self.env).await;
            }
        }
        let endpoints = std::mem::take(&mut *self.endpoints.lock().unwrap_or_else(PoisonError::into_inner));
        for endpoint in endpoints.into_values() {
            endpoint.close().await;
        }
    }
}
