//! A state of the metadata world.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use highwater_model::fault::Planted;
use highwater_model::id::{BrokerEpoch, NodeId, Offset, RequestId, TopicId, TopicPartition};
use highwater_model::invariant::metadata::{Led, Lost};
use highwater_model::metadata::{BrokerAnswer, BrokerRequest, Controller, Image, Lifecycle, Record};
use highwater_model::replication::AlterPartition;

use crate::engine::Encoder;

/// A value that is shared between states, and hashed once.
#[derive(Clone, Debug)]
pub struct Shared<T> {
    value: Arc<T>,
    digest: u64,
}

impl<T: Hash> Shared<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        let mut encoder = Encoder::new();
        value.hash(&mut encoder);
        Self { value: Arc::new(value), digest: encoder.fingerprint() }
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && (Arc::ptr_eq(&self.value, &other.value) || self.value == other.value)
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

/// A batch of the metadata log that is not committed.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Batch {
    /// Where it ends, exclusive.
    pub end: Offset,
    /// What it holds.
    pub records: Vec<Record>,
    /// The proposal that it accepts, if it does.
    pub accepts: Option<AlterPartition>,
    /// The broker that it registers and that had kept everything, if it does.
    pub kept: Option<NodeId>,
}

/// Who asked the controller.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Origin {
    /// A run of a broker.
    Broker {
        /// The broker.
        node: NodeId,
        /// The run.
        run: u8,
        /// Its request.
        request: RequestId,
    },
    /// A leader, with this proposal.
    Leader(AlterPartition),
    /// An operator.
    Operator,
}

impl Origin {
    /// The run of a broker that waits for the answer.
    #[must_use]
    pub fn of_run(&self) -> Option<(NodeId, u8)> {
        match self {
            Self::Broker { node, run, .. } => Some((*node, *run)),
            Self::Leader(_) | Self::Operator => None,
        }
    }
}

/// A message under way.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Envelope {
    /// From a run of a broker to the controller.
    Ask {
        /// The broker.
        node: NodeId,
        /// The run.
        run: u8,
        /// The request.
        request: RequestId,
        /// What is asked.
        body: BrokerRequest,
    },
    /// From the controller to a run of a broker.
    Tell {
        /// The broker.
        node: NodeId,
        /// The run.
        run: u8,
        /// The request that is answered.
        request: RequestId,
        /// The answer.
        answer: BrokerAnswer,
    },
    /// From a leader to the controller.
    Propose {
        /// The leader's broker.
        node: NodeId,
        /// The partition.
        partition: TopicPartition,
        /// The proposal.
        proposal: AlterPartition,
    },
}

impl Envelope {
    /// The run of a broker that it comes from or goes to.
    #[must_use]
    pub fn of_run(&self) -> Option<(NodeId, u8)> {
        match self {
            Self::Ask { node, run, .. } | Self::Tell { node, run, .. } => Some((*node, *run)),
            Self::Propose { .. } => None,
        }
    }

    /// Orders envelopes: what is under way is a multiset. Only answers that nobody awaits share a key; they go by what they say.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let said = |envelope: &Self| match envelope {
            Self::Tell { answer, .. } => Shared::new(*answer).digest,
            Self::Ask { .. } | Self::Propose { .. } => 0,
        };
        self.key().cmp(&other.key()).then_with(|| said(self).cmp(&said(other)))
    }

    fn key(&self) -> (u8, NodeId, u8, u64, u32) {
        match self {
            Self::Ask { node, run, request, body } => {
                let kind = u32::from(matches!(body, BrokerRequest::Register(_)));
                (0, *node, *run, request.0, kind)
            }
            Self::Tell { node, run, request, .. } => (1, *node, *run, request.0, 0),
            Self::Propose { node, proposal, .. } => {
                (2, *node, 0, u64::from(proposal.partition_epoch.0), proposal.isr().0)
            }
        }
    }
}

/// What a broker's disk tells at the next start (R60).
#[derive(Clone, Copy, Debug, Default, PartialEq, Hash)]
pub struct Disk {
    /// Broker epoch in the clean-stop marker.
    pub clean_stop: Option<BrokerEpoch>,
    /// Broker epoch in the start-up record.
    pub record: Option<BrokerEpoch>,
    /// Whether the kernel has run since that record was written.
    pub same_boot: bool,
    /// Whether a start has synced everything and no run may have counted anything since: none has been unfenced. Followed only where
    /// the flush policy changes.
    pub synced: bool,
}

impl Disk {
    /// The broker epoch of the start-up record, if it bears the boot id of the running kernel.
    pub(super) fn same_boot_epoch(&self) -> Option<BrokerEpoch> {
        self.record.filter(|_| self.same_boot)
    }
}

/// A running process.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Run {
    /// Its standing.
    pub lifecycle: Lifecycle,
    /// What its disk told when it started.
    pub found: Disk,
    /// The image that it has applied, by its place in the history.
    pub applied: u8,
}

/// A broker.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Broker {
    /// How many runs there have been.
    pub runs: u8,
    /// The process, if it runs.
    pub run: Option<Run>,
    /// Its disk.
    pub disk: Disk,
}

/// What only the claims need.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Ghost {
    /// Replicas that lost entries, and the run that did; their brokers have not registered since.
    pub losing: Vec<(Lost, u8)>,
    /// Replicas that lost entries and are registered anew.
    pub lost: Vec<Lost>,
    /// Partitions that nobody was left to lead when one was struck off that had lost nothing (RL0).
    pub struck_off: Vec<TopicPartition>,
    /// Who led each partition last.
    pub led: Vec<Led>,
    /// Topics that are gone.
    pub deleted: Vec<TopicId>,
}

/// What of the bounds was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Hash)]
pub struct Spent {
    /// Sessions of running brokers that ended.
    pub fences: u8,
    /// Killed processes.
    pub kills: u8,
    /// Power losses.
    pub power_losses: u8,
    /// Controlled shutdowns.
    pub shutdowns: u8,
    /// Fail-overs.
    pub failovers: u8,
    /// Elections of the controller that was in office.
    pub reelections: u8,
    /// Proposals.
    pub proposals: u8,
    /// Topics created, deleted, grown, configured.
    pub changes: u8,
    /// Messages lost.
    pub losses: u8,
    /// Messages repeated.
    pub repeats: u8,
    /// Heartbeats that told nothing new.
    pub beats: u8,
}

/// A state of the metadata world.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    /// The controller, active except within a step.
    pub controller: Shared<Controller<Planted>>,
    /// What it has appended and the quorum has not committed.
    pub tail: Vec<Batch>,
    /// Who waits for its answers, by the number that it knows them by.
    pub asked: Vec<(RequestId, Origin)>,
    /// Brokers whose session it watches, one bit each.
    pub watched: u8,
    /// Committed images that some running broker has yet to leave behind; the last is the current one.
    pub history: Vec<Shared<Image>>,
    /// The brokers.
    pub brokers: Vec<Broker>,
    /// What is under way, in the order of `Envelope::order`.
    pub wire: Vec<Envelope>,
    /// For the claims.
    pub ghost: Ghost,
    /// Against the bounds.
    pub spent: Spent,
}

impl State {
    /// The current committed image.
    #[must_use]
    pub fn image(&self) -> &Image {
        self.history.last().expect("there is an image from the start").get()
    }

    /// A broker.
    #[must_use]
    pub fn broker(&self, node: NodeId) -> &Broker {
        self.brokers.get(index(node)).expect("only the brokers of the bounds are spoken of")
    }

    pub(super) fn broker_mut(&mut self, node: NodeId) -> &mut Broker {
        self.brokers.get_mut(index(node)).expect("only the brokers of the bounds are spoken of")
    }

    /// The process of a broker, if it runs.
    #[must_use]
    pub fn run(&self, node: NodeId) -> Option<&Run> {
        self.broker(node).run.as_ref()
    }

    /// The image that a running broker has applied.
    #[must_use]
    pub fn applied(&self, node: NodeId) -> Option<&Image> {
        self.history.get(usize::from(self.run(node)?.applied)).map(Shared::get)
    }

    /// The brokers by name.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..).zip(0..self.brokers.len()).map(|(node, _)| NodeId(node))
    }

    /// Whether the controller watches the broker's session.
    #[must_use]
    pub fn is_watched(&self, node: NodeId) -> bool {
        self.watched & bit(node) != 0
    }
}

pub(super) fn bit(node: NodeId) -> u8 {
    1 << (index(node) % 8)
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0).unwrap_or(usize::MAX).saturating_sub(1)
}
