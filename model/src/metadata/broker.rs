//! A broker as the metadata has it, and what it states when it registers.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::id::{BrokerEpoch, DirectoryId, IncarnationId, NodeId, Offset, TopicPartition};

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Broker {
    /// Its id.
    pub node: NodeId,
    /// Its registration: the offset of the registration record (Q51).
    pub broker_epoch: BrokerEpoch,
    /// The process that registered.
    pub incarnation: IncarnationId,
    /// `host:port` of its QUIC listener.
    pub address: Arc<str>,
    /// Its log directories, sorted.
    pub directories: SmallVec<[DirectoryId; 1]>,
    /// The oldest registration of this broker whose facts still vouch for its directories (R60). A process that was
    /// registered and ended before it knew, or before its start-up record was written, has written nothing else: its
    /// successor states the registration before. The first unfencing ends that.
    pub vouched_from: BrokerEpoch,
    /// Whether it may not lead and not be in ISRs (Q54, Q55).
    pub fenced: bool,
    /// End of the batch that began its controlled shutdown, exclusive, while it is shutting down (Q56).
    pub stopping: Option<Offset>,
}

impl Broker {
    /// Whether it may lead partitions and join ISRs: unfenced and not shutting down (R43.4, R51).
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && self.stopping.is_none()
    }

    /// Whether a clean-stop marker or a start-up record of `stated` vouches for what was counted under this registration
    /// (R60).
    #[must_use]
    pub fn is_vouched_by(&self, stated: Option<BrokerEpoch>) -> bool {
        stated.is_some_and(|stated| self.vouched_from <= stated && stated <= self.broker_epoch)
    }
}

/// What a broker says about one of its log directories when it registers (R60).
///
/// Each fact is judged against the registered broker epoch, and must stay true on disk until a registration that stated
/// it has been accepted: a start that dies before it could register must not make the next one look clean.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DirectoryFacts {
    /// The directory.
    pub directory: DirectoryId,
    /// Broker epoch in its synced clean-stop marker, if there is one.
    pub clean_stop: Option<BrokerEpoch>,
    /// Broker epoch in its start-up record, if that record bears the boot id of the running kernel (X10).
    pub same_boot: Option<BrokerEpoch>,
    /// Partitions of which less was found than had been counted (X11, X12).
    pub damaged: Vec<TopicPartition>,
    /// Whether a log that had been synced is not there at all. Whose it was is not known: any partition's.
    pub incomplete: bool,
}

/// A broker asks to be registered (Q51).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// Its id.
    pub node: NodeId,
    /// This run of the process.
    pub incarnation: IncarnationId,
    /// The registration of this node that it replaces, as far as the process knows; `None` for none. A compare-and-set
    /// (X2): the late request of a run that has ended must not unseat a later one.
    pub replaces: Option<BrokerEpoch>,
    /// `host:port` of its QUIC listener.
    pub address: String,
    /// Its log directories.
    pub directories: Vec<DirectoryFacts>,
}
