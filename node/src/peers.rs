//! Links to the other nodes: one outbound connection each, made again whenever it is lost.
//!
//! A message is handed to the link or dropped, and counted then: the cores ask again. Control messages have a lane of
//! their own, so that votes and heartbeats do not queue behind records. What the messages mean is left to the drivers; inbound connections
//! to [`crate::listener`].

mod link;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_model::id::NodeId;
use highwater_model::trace::Act;
use highwater_transport::env::{Env, Instant, Task};
use highwater_transport::frame::{Frame, FrameError};
use highwater_transport::quic::{Endpoint, TrySendError};
use highwater_transport::rpc::CallError;

use self::link::Live;
use self::wire::{ControllerAnswer, ControllerCall, PeerFrame};
pub(crate) use highwater_transport::quic::Lane;
use highwater_transport::watch;

use crate::trace::{CoreTrace, carried_in};

/// How often it is told at most that messages to a node find its queue full.
const DROPS_TOLD_EVERY: Duration = Duration::from_secs(10);

/// The links of one node. A cheap handle.
#[derive(Clone)]
pub(crate) struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    own: NodeId,
    endpoint: Endpoint,
    /// `host:port` under which others reach this node.
    advertised: String,
    links: Mutex<BTreeMap<NodeId, Link>>,
    changes: watch::Sender<LinkChange>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("links", &locked(&self.inner.links).len()).finish_non_exhaustive()
    }
}

/// What is kept of one link.
struct Link {
    address: watch::Sender<String>,
    live: Option<Live>,
    since: Instant,
    trouble: Option<String>,
    drops: Drops,
    task: Option<Task>,
}

/// Messages that were dropped, which is told once in a while.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    count: u64,
    told_at: Option<Instant>,
}

/// The newest change of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkChange {
    /// Counts the changes.
    pub(crate) number: u64,
    /// The node whose link was made or lost.
    pub(crate) node: NodeId,
}

/// How a link stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkReport {
    /// Whether there is a connection.
    pub(crate) is_up: bool,
    /// For how long it has been so.
    pub(crate) for_so_long: Duration,
    /// Why there is no connection, if an attempt has failed.
    pub(crate) trouble: Option<String>,
}

/// Why a call to another node has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerCallError {
    /// There is no connection to it.
    #[error("no connection to node {0}")]
    NotConnected(NodeId),
    /// The call failed on its way.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer cannot be read.
    #[error("answer cannot be read: {0}")]
    Answer(#[from] FrameError),
}

impl Peers {
    /// No links yet.
    pub(crate) fn new(env: &Env, own: NodeId, endpoint: Endpoint, advertised: &str) -> Self {
        let (changes, _) = watch::channel(LinkChange { number: 0, node: own });
        let links = Mutex::new(BTreeMap::new());
        Self {
            inner: Arc::new(Inner {
                env: env.clone(),
                own,
                endpoint,
                advertised: advertised.to_owned(),
                links,
                changes,
            }),
        }
    }

    /// Says where a node is reached (`host:port`), and begins to connect to it. The own node needs no link.
    pub(crate) fn set_address(&self, node: NodeId, address: &str) {
        if node == self.inner.own {
            return;
        }
        let mut links = locked(&self.inner.links);
        if let Some(link) = links.get(&node) {
            link.address.send_if_modified(|known| {
                let changed = known != address;
                if changed {
                    address.clone_into(known);
                }
                changed
            });
            return;
        }
        let (sender, addresses) = watch::channel(address.to_owned());
        let since = self.inner.env.now();
        let task = self.inner.env.spawn("link", link::run(self.clone(), node, addresses));
        links.insert(
            node,
            Link {
                address: sender,
                live: None,
                since,
                trouble: None,
                drops: Drops::default(),
                task: Some(task),
            },
        );
    }

    /// Hands a one-way message to the link of a node, at once or not at all: it is dropped where there is no link, and
    /// where the queue is full. The newest goes, not the oldest: what waits is what its receiver lacks first, and records
    /// that do not continue a log are of no use to it.
    pub(crate) fn send(&self, to: NodeId, lane: Lane, frame: PeerFrame, trace: &CoreTrace) {
        let PeerFrame { kind, body, payload } = frame;
        let sender = self.live(to, |live| live.sender(lane));
        // Before it leaves: whatever anybody does upon it is recorded after.
        trace.did(|| {
            let (body, carried) = (body.to_vec(), carried_in(&payload));
            Act::Sent { to, body, carried, has_link: sender.is_some() }
        });
        let frame = Frame { kind, version: wire::VERSION, correlation: 0, body, payload };
        let Some(sender) = sender else { return };
        match sender.try_send(frame) {
            Ok(()) => {}
            Err(TrySendError::Full) => self.note_dropped(to, lane),
            Err(error) => tracing::debug!(%to, %lane, %error, "dropped a message"),
        }
    }

    fn note_dropped(&self, to: NodeId, lane: Lane) {
        let now = self.inner.env.now();
        let told = locked(&self.inner.links).get_mut(&to).and_then(|link| link.drops.note(now));
        if let Some(count) = told {
            tracing::warn!(%to, %lane, count, "dropped messages: the queue of the link is full");
        }
    }

    /// Asks the node that is thought to be the active controller.
    pub(crate) async fn call(
        &self,
        to: NodeId,
        call: &ControllerCall,
        timeout: Duration,
    ) -> Result<ControllerAnswer, PeerCallError> {
        let caller = self.live(to, Live::caller).ok_or(PeerCallError::NotConnected(to))?;
        let frame = Frame::encoded(wire::CONTROLLER, wire::VERSION, call)?;
        let answer = caller.call(frame, timeout).await?;
        Ok(answer.decoded()?)
    }

    /// Tells of every change of a link. Changes that come close together may be seen as one.
    pub(crate) fn changes(&self) -> watch::Receiver<LinkChange> {
        self.inner.changes.subscribe()
    }

    /// How the link to a node stands; `None` if there is none to be.
    pub(crate) fn report(&self, node: NodeId) -> Option<LinkReport> {
        let links = locked(&self.inner.links);
        let link = links.get(&node)?;
        Some(LinkReport {
            is_up: link.live.is_some(),
            for_so_long: self.inner.env.now().since(link.since),
            trouble: link.trouble.clone(),
        })
    }

    /// Ends all links.
    pub(crate) fn close(&self) {
        for link in std::mem::take(&mut *locked(&self.inner.links)).into_values() {
            if let Some(task) = link.task {
                task.abort();
            }
        }
    }

    fn live<T>(&self, node: NodeId, take: impl FnOnce(&Live) -> T) -> Option<T> {
        locked(&self.inner.links).get(&node).and_then(|link| link.live.as_ref()).map(take)
    }

    /// Notes that a link was made, or was lost, or could not be made.
    fn note(&self, node: NodeId, live: Option<Live>, trouble: Option<String>) {
        let mut links = locked(&self.inner.links);
        let Some(link) = links.get_mut(&node) else { return };
        let changed = link.live.is_some() != live.is_some();
        link.live = live;
        link.trouble = trouble;
        if changed {
            link.since = self.inner.env.now();
        }
        drop(links);
        if changed {
            self.inner.changes.send_modify(|change| *change = LinkChange { number: change.number + 1, node });
        }
    }
}

impl Drops {
    /// Counts one more, and gives the count when it is time to tell it.
    pub(crate) fn note(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        let is_due = self.told_at.is_none_or(|told_at| now.since(told_at) >= DROPS_TOLD_EVERY);
        is_due.then(|| {
            self.told_at = Some(now);
            self.count
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
