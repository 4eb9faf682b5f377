//! The door: takes connections, and sends each frame to whoever is meant.
//!
//! A client's connection carries requests; another node's carries messages of the cores and calls to the controller too.
//! Who a peer is was proven before it came here. What a request means is left to [`crate::requests`].

use std::sync::Arc;

use bytes::Bytes;
use highwater_model::error_code::ErrorCode;
use highwater_model::id::NodeId;
use highwater_model::metadata::Command;
use highwater_model::{api, quorum};
use highwater_transport::env::Env;
use highwater_transport::frame::{Frame, FrameError, FrameLimits};
use highwater_transport::identity::Principal;
use highwater_transport::quic::{CloseCode, Connection, Endpoint, Room};
use highwater_transport::rpc::{Request, Requests, Responder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::controller_client::ControllerClient;
use crate::driver::quorum::{Ask, QuorumFeeds};
use crate::partitions::Partitions;
use crate::peers::Peers;
use crate::peers::wire::{self, ControllerAnswer, ControllerCall, Hello, ReplicaMessage};
use crate::requests::RequestHandler;
use crate::server::{Limits, Timing};

/// What frames are sent to. A cheap handle.
#[derive(Clone)]
pub(crate) struct Routes {
    pub(crate) env: Env,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    pub(crate) peers: Peers,
    pub(crate) quorum: QuorumFeeds,
    pub(crate) controller: ControllerClient,
    pub(crate) partitions: Partitions,
    pub(crate) requests: Arc<RequestHandler>,
}

/// Takes connections until the endpoint is closed.
pub(crate) async fn run(endpoint: Endpoint, routes: Routes) {
    let bound = usize::try_from(routes.limits.client_connections_max).unwrap_or(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(bound));
    while let Some(connection) = endpoint.accept().await {
        let is_client = matches!(connection.peer(), Principal::Client(_));
        let place = is_client.then(|| Arc::clone(&places).try_acquire_owned());
        if let Some(Err(_)) = place {
            tracing::warn!(peer = %connection.peer(), "closed a connection: max.connections are open");
            connection.close(CloseCode::NotAdmitted, "max.connections are open");
            continue;
        }
        tracing::debug!(peer = %connection.peer(), address = %connection.remote_address(), "connected");
        let env = routes.env.clone();
        let serving = serve(connection, routes.clone());
        drop(env.spawn("connection", async move {
            serving.await;
            drop(place);
        }));
    }
}

/// Takes the channels of one connection. All of them share one bound of requests under way.
async fn serve(connection: Connection, routes: Routes) {
    let bound = usize::try_from(routes.limits.requests_in_flight_max).unwrap_or(Semaphore::MAX_PERMITS);
    let room = Arc::new(Semaphore::new(bound));
    loop {
        match connection.accept().await {
            Ok(channel) => {
                let serving = Serving {
                    peer: connection.peer().clone(),
                    routes: routes.clone(),
                    room: Arc::clone(&room),
                };
                drop(routes.env.spawn("channel", serving.run(Requests::new(channel))));
            }
            Err(lost) => return tracing::debug!(%lost, "connection ended"),
        }
    }
}

/// One channel of a peer.
struct Serving {
    peer: Principal,
    routes: Routes,
    room: Arc<Semaphore>,
}

impl Serving {
    async fn run(self, mut requests: Requests) {
        loop {
            match requests.next().await {
                Ok(Some(request)) => self.on_request(request).await,
                Ok(None) => return,
                Err(error) => return tracing::debug!(peer = %self.peer, %error, "channel ended"),
            }
        }
    }

    /// Handles a frame: messages in the order in which they came, requests side by side.
    async fn on_request(&self, request: Request) {
        let Request { frame, responder, room: held } = request;
        match (frame.kind, &self.peer) {
            (highwater_transport::api::KIND, _) => self.on_client_request(frame, responder, held).await,
            (wire::QUORUM, Principal::Broker(from)) => self.on_quorum_message(*from, &frame).await,
            (wire::REPLICATION, Principal::Broker(from)) => self.on_replica_message(*from, frame).await,
            (wire::CONTROLLER, Principal::Broker(from)) => {
                self.on_controller_call(*from, &frame, responder).await
            }
            (wire::HELLO, Principal::Broker(from)) => self.on_hello(*from, &frame),
            (wire::QUORUM | wire::REPLICATION | wire::CONTROLLER | wire::HELLO, Principal::Client(name)) => {
                let message = format!("client {name} may not call what brokers call");
                self.refuse(responder, ErrorCode::ClusterAuthorizationFailed, message).await;
            }
            (kind, _) => {
                let message = format!("frames of kind {kind} are unknown here");
                self.refuse(responder, ErrorCode::UnsupportedVersion, message).await;
            }
        }
    }

    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    async fn refuse(&self, responder: Responder, code: ErrorCode, message: String) {
        tracing::debug!(peer = %self.peer, %code, message, "refused a frame");
        let answer = api::Answer::Refused(api::ApiError::new(code, message));
        if let Ok(frame) = highwater_transport::api::answer(&answer, Vec::new()) {
            drop(responder.answer(frame).await);
        }
    }

    async fn on_client_request(&self, frame: Frame, responder: Responder, held: Option<Room>) {
        if frame.version != highwater_transport::api::VERSION {
            let message = format!("version {} of requests is unknown here", frame.version);
            return self.refuse(responder, ErrorCode::UnsupportedVersion, message).await;
        }
        let request: api::Request = match frame.decoded() {
            Ok(request) => request,
            Err(error) => {
                return self.refuse(responder, ErrorCode::InvalidRequest, error.to_string()).await;
            }
        };
        let Some(room) = self.room().await else { return };
        // A produce is put into its partitions' inboxes here, so that those of one channel keep their order.
        let handling = self.routes.requests.begin(request, frame.payload).await;
        let answering = async move {
            let handled = handling.await;
            // The request is over; its memory must not wait for a client that does not read its answers.
            drop(held);
            if let Some((answer, payload)) = handled {
                match framed(&answer, payload, responder.limits()) {
                    Ok(frame) => drop(responder.answer(frame).await),
                    Err(error) => tracing::error!(%error, "an answer cannot be expressed"),
                }
            }
            drop(room);
        };
        drop(self.routes.env.spawn("request", answering));
    }

    fn on_hello(&self, from: NodeId, frame: &Frame) {
        match frame.decoded::<Hello>() {
            Ok(hello) => self.routes.peers.set_address(from, &hello.address),
            Err(error) => tracing::warn!(%from, %error, "dropped a malformed hello"),
        }
    }

    async fn on_quorum_message(&self, from: NodeId, frame: &Frame) {
        if frame.version != wire::VERSION {
            return tracing::debug!(%from, version = frame.version, "dropped a quorum message of another version");
        }
        match frame.decoded::<quorum::Message>() {
            Ok(message) => {
                let ask = Ask::Message { from, message, payload: frame.payload.clone() };
                drop(self.routes.quorum.asks.send(ask).await);
            }
            Err(error) => tracing::warn!(%from, %error, "dropped a malformed quorum message"),
        }
    }

    async fn on_replica_message(&self, from: NodeId, frame: Frame) {
        if frame.version != wire::VERSION {
            return tracing::debug!(%from, version = frame.version, "dropped a replica message of another version");
        }
        match frame.decoded::<ReplicaMessage>() {
            Ok(wrapped) => self.routes.partitions.deliver(from, wrapped, frame.payload).await,
            Err(error) => tracing::warn!(%from, %error, "dropped a malformed replica message"),
        }
    }

    async fn on_controller_call(&self, from: NodeId, frame: &Frame, responder: Responder) {
        let call: ControllerCall = match frame.decoded() {
            Ok(call) if frame.version == wire::VERSION => call,
            _ => {
                let error = api::ApiError::new(
                    ErrorCode::UnsupportedVersion,
                    "malformed call, or of an unknown version",
                );
                return answer_call(responder, &ControllerAnswer::Refused(error)).await;
            }
        };
        if !speaks_for_itself(from, &call) {
            let message = format!("broker {from} may not speak for another broker");
            let error = api::ApiError::new(ErrorCode::ClusterAuthorizationFailed, message);
            return answer_call(responder, &ControllerAnswer::Refused(error)).await;
        }
        let Some(room) = self.room().await else { return };
        let (controller, timeout) = (self.routes.controller.clone(), self.routes.timing.request);
        let answering = async move {
            // Without an answer the outcome is open, which the caller's own deadline says best.
            if let Ok(answer) = controller.ask_here(call, timeout).await {
                answer_call(responder, &answer).await;
            }
            drop(room);
        };
        drop(self.routes.env.spawn("controller call", answering));
    }
}

/// An answer as a frame, or in its place the refusal of one that is too large to be sent.
fn framed(answer: &api::Answer, payload: Vec<Bytes>, limits: FrameLimits) -> Result<Frame, FrameError> {
    let frame = highwater_transport::api::answer(answer, payload)?;
    let Err(error) = limits.check_frame(&frame) else { return Ok(frame) };
    let message = format!("the answer cannot be sent ({error}); ask for less at a time");
    let refused = api::Answer::Refused(api::ApiError::new(ErrorCode::InvalidRequest, message));
    highwater_transport::api::answer(&refused, Vec::new())
}

async fn answer_call(responder: Responder, answer: &ControllerAnswer) {
    match Frame::encoded(wire::CONTROLLER, wire::VERSION, answer) {
        Ok(frame) => drop(responder.answer(frame).await),
        Err(error) => tracing::error!(%error, "an answer cannot be expressed"),
    }
}

/// Whether a call that is made in a broker's name comes from that broker.
fn speaks_for_itself(from: NodeId, call: &ControllerCall) -> bool {
    if let ControllerCall::FetchSnapshot { replica, .. } = call {
        return replica.id == from;
    }
    let ControllerCall::Decide(command) = call else { return true };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other commands are made in nobody's name")]
    match command {
        Command::RegisterBroker(registration) => registration.node == from,
        Command::Heartbeat(heartbeat) => heartbeat.node == from,
        Command::AlterPartition { node, .. } | Command::AllocateProducerIds { node, .. } => *node == from,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
