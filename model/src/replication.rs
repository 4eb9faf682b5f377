//! One replica of one partition: leader or follower, ISR, high watermark, truncation, producers (rules R*).
//!
//! [`Replica`] is the core: feed it [`Input`]s, carry out its [`Effect`]s in order. Record bytes, durations and the
//! election of leaders belong to others (the node and the metadata core). What the driver owes it is said at each input
//! and effect; the general contract is in `docs/ARCHITECTURE.md`.

mod alter_partition;
mod batch;
mod effect;
mod input;
mod message;
mod refusal;
mod replica_set;
mod state;
mod tenure;
mod token;
mod view;

pub use alter_partition::{AlterPartition, AlterPartitionAnswer, AlterPartitionOutcome, ProposedMember};
pub use batch::{BatchKind, BatchProducer, BatchSummary, Batches};
pub use effect::{Effect, Effects, Timer};
pub use input::Input;
pub use message::{Answered, Fetch, FetchAnswer, FetchBody, Message, Progress, ReadRound};
pub use refusal::Refusal;
pub use replica_set::{IsrSet, REPLICAS_MAX, ReplicaIdx};
pub use state::{Recovered, Replica};
pub use tenure::Tenure;
pub use token::{Acknowledgement, EndOfLog, VisibleHighWatermark};
pub use view::{FlushPolicy, PartitionView, ReplicaView};
