//! Asking the active controller, wherever it is.
//!
//! Every node may be asked by a client for what only the active controller decides. This finds it, asks, asks again when
//! it moved, and says who is missing when there is none. What is decided is the controller's.

use std::fmt::Write as _;
use std::time::Duration;

use highwater_model::api::ApiError;
use highwater_model::error_code::ErrorCode;
use highwater_model::id::NodeId;
use highwater_model::metadata::{Command, CommandRefusal, Outcome};
use highwater_transport::env::{Env, Instant};
use highwater_transport::watch;
use tokio::sync::oneshot;

use crate::driver::quorum::{Ask, QuorumFeeds};
use crate::peers::Peers;
use crate::peers::wire::{ControllerAnswer, ControllerCall};

/// How long to wait before asking again when nobody is known to lead.
const PAUSE: Duration = Duration::from_millis(50);

/// Finds and asks the active controller. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct ControllerClient {
    env: Env,
    own: NodeId,
    quorum: QuorumFeeds,
    peers: Peers,
}

/// Why one attempt gave no answer. The outcome may be open.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// Whether the controller may have acted upon it.
    pub(crate) is_open: bool,
}

impl ControllerClient {
    pub(crate) fn new(env: &Env, own: NodeId, quorum: QuorumFeeds, peers: Peers) -> Self {
        Self { env: env.clone(), own, quorum, peers }
    }

    /// The active controller as this node knows it.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        *self.quorum.leader.borrow()
    }

    /// Tells of every change of the active controller.
    pub(crate) fn leaders(&self) -> watch::Receiver<Option<NodeId>> {
        self.quorum.leader.clone()
    }

    /// Asks for a decision once, of whoever is thought to lead.
    ///
    /// # Errors
    /// [`NoAnswer`] when there was none in time.
    pub(crate) async fn decide_once(
        &self,
        command: Command,
        timeout: Duration,
    ) -> Result<Result<Outcome, CommandRefusal>, NoAnswer> {
        let answer = self.ask_once(ControllerCall::Decide(command), timeout).await?;
        if let ControllerAnswer::Decided(answer) = answer {
            Ok(answer)
        } else {
            Err(NoAnswer { is_open: false })
        }
    }

    /// Asks for a decision until there is an answer, or `timeout` has passed.
    ///
    /// # Errors
    /// As a client is told it.
    pub(crate) async fn decide(&self, command: Command, timeout: Duration) -> Result<Outcome, ApiError> {
        let deadline = self.env.now() + timeout;
        let ControllerAnswer::Decided(answer) = self.ask(ControllerCall::Decide(command), timeout).await?
        else {
            return Err(answered_otherwise());
        };
        if let Err(deposed @ CommandRefusal::Deposed) = &answer {
            return Err(self.open_outcome(&deposed.to_string(), deadline).await);
        }
        answer.map_err(|refusal| ApiError::new(refusal.code(), refusal.to_string()))
    }

    /// Asks until there is an answer that is not "ask another", or `timeout` has passed. A call whose outcome is open is
    /// not repeated.
    ///
    /// # Errors
    /// As a client is told it: who is missing, when no controller is active.
    pub(crate) async fn ask(
        &self,
        call: ControllerCall,
        timeout: Duration,
    ) -> Result<ControllerAnswer, ApiError> {
        let deadline = self.env.now() + timeout;
        let mut leaders = self.quorum.leader.clone();
        loop {
            let left = deadline.since(self.env.now());
            if left.is_zero() {
                return Err(self.no_controller(timeout));
            }
            let known = *leaders.borrow_and_update();
            match self.ask_once(call.clone(), left).await {
                Ok(
                    ControllerAnswer::NotController { .. }
                    | ControllerAnswer::Decided(Err(CommandRefusal::NotAppended)),
                ) => {}
                Ok(ControllerAnswer::Refused(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
                Err(NoAnswer { is_open: true }) if !matches!(call, ControllerCall::ReadPoint) => {
                    let who = known
                        .map_or_else(|| "the controller".to_owned(), |known| format!("controller {known}"));
                    let what = format!(
                        "{who} took the request and gave no answer; it may still take effect: look before you ask again"
                    );
                    return Err(self.open_outcome(&what, deadline).await);
                }
                // Nothing has come of it, nor will: to ask again does no harm.
                Err(NoAnswer { .. }) => {}
            }
            self.pause(&mut leaders, deadline).await;
        }
    }

    async fn ask_once(&self, call: ControllerCall, timeout: Duration) -> Result<ControllerAnswer, NoAnswer> {
        let Some(leader) = self.leader() else { return Err(NoAnswer { is_open: false }) };
        if leader != self.own {
            return self.peers.call(leader, &call, timeout).await.map_err(|error| {
                tracing::debug!(%leader, %error, "the controller gave no answer");
                NoAnswer { is_open: is_open(&error) }
            });
        }
        self.ask_here(call, timeout).await
    }

    /// Asks the quorum's task of this node.
    pub(crate) async fn ask_here(
        &self,
        call: ControllerCall,
        timeout: Duration,
    ) -> Result<ControllerAnswer, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        if self.quorum.asks.send(Ask::Call { call, reply }).await.is_err() {
            return Err(NoAnswer { is_open: false });
        }
        match self.env.timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(NoAnswer { is_open: true }),
        }
    }

    async fn pause(&self, leaders: &mut watch::Receiver<Option<NodeId>>, deadline: Instant) {
        let until = deadline.min(self.env.now() + PAUSE);
        let changed = async {
            if leaders.changed().await.is_err() {
                // This node stops: nobody will ever tell of a leader. Who asked waits its time, and does not spin.
                std::future::pending::<()>().await;
            }
        };
        // Whether it changed or not, the next turn looks.
        let _ = self.env.timeout_at(until, changed).await;
    }

    /// What is told when the outcome is open. It is told when there is a controller to look at it with; or, if there is
    /// none by then, at the deadline, and with who is missing.
    async fn open_outcome(&self, what: &str, deadline: Instant) -> ApiError {
        let mut leaders = self.quorum.leader.clone();
        while self.env.now() < deadline {
            // Whoever has just failed is noticed by then.
            self.pause(&mut leaders, deadline).await;
            if self.is_active() {
                return ApiError::new(ErrorCode::RequestTimedOut, what);
            }
        }
        ApiError::new(ErrorCode::RequestTimedOut, format!("{what}.{}", self.quorum_in_words()))
    }

    /// Whether there is an active controller, as far as this node knows, and it is reached from here. A voter that asks
    /// whether it would be elected still knows the leader that it misses.
    pub(crate) fn is_active(&self) -> bool {
        let is_reached = |node| node == self.own || self.peers.report(node).is_some_and(|link| link.is_up);
        self.leader().is_some_and(is_reached)
    }

    fn no_controller(&self, waited: Duration) -> ApiError {
        let message = format!(
            "no controller is active; nothing was done in {} ms.{}",
            waited.as_millis(),
            self.quorum_in_words()
        );
        ApiError::new(ErrorCode::RequestTimedOut, message)
    }

    /// Which voters can be reached from here, and how many are needed.
    pub(crate) fn quorum_in_words(&self) -> String {
        let voters = self.quorum.voters.borrow().clone();
        let mut words = format!(" Metadata quorum of {}, {} needed:", voters.len(), voters.len() / 2 + 1);
        for voter in voters {
            // Writing to a string does not fail.
            let _ = match self.peers.report(voter) {
                None if voter == self.own => write!(words, " node {voter} is up (this one);"),
                None => write!(words, " node {voter} has no known address;"),
                Some(link) if link.is_up => write!(words, " node {voter} is connected;"),
                Some(link) => write!(
                    words,
                    " node {voter} is unreachable for {} ms ({});",
                    link.for_so_long.as_millis(),
                    link.trouble.as_deref().unwrap_or("not tried yet")
                ),
            };
        }
        words
    }
}

/// What a client is told when the controller's answer is to another question.
pub(crate) fn answered_otherwise() -> ApiError {
    ApiError::new(ErrorCode::UnknownServerError, "the controller answered something else")
}

/// Whether a failed call may have been acted upon.
fn is_open(error: &crate::peers::PeerCallError) -> bool {
    match error {
        crate::peers::PeerCallError::NotConnected(_) => false,
        crate::peers::PeerCallError::Call(error) => error.outcome_unknown(),
        crate::peers::PeerCallError::Answer(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use highwater_model::metadata::Image;
    use highwater_transport::certs::LabAuthority;
    use highwater_transport::quic::{Endpoint, Settings};
    use tokio::sync::mpsc;

    use super::*;

    const OWN: NodeId = NodeId(1);

    /// Found by the simulator, in which such a node stood still for ever.
    #[tokio::test]
    async fn who_asks_a_node_that_stops_waits_and_does_not_spin() {
        let env = Env::real();
        let identity = LabAuthority::new("test").unwrap().broker(OWN).unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let endpoint = Endpoint::bind(&env, local, &identity, Settings::default()).unwrap();
        let peers = Peers::new(&env, OWN, endpoint, "127.0.0.1:1");
        // Whoever would tell of a leader is gone.
        let feeds = QuorumFeeds {
            asks: mpsc::channel(1).0,
            images: watch::channel(Arc::new(Image::default())).1,
            leader: watch::channel(None).1,
            voters: watch::channel(Vec::new()).1,
        };
        let client = ControllerClient::new(&env, OWN, feeds, peers);
        let mut asking = std::pin::pin!(client.ask(ControllerCall::ReadPoint, PAUSE * 2));

        let first_look = std::future::poll_fn(|context| {
            std::task::Poll::Ready(Future::poll(asking.as_mut(), context).is_ready())
        });

        assert!(!first_look.await, "it gave the thread back only when its time was over");
        assert_eq!(asking.await.unwrap_err().code, ErrorCode::RequestTimedOut);
    }
}
