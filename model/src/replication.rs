//! One replica of one partition: leader or follower, ISR, high watermark, truncation, producers (rules R*).
//!
//! [`Replica`] is the core: feed it [`Input`]s, carry out its [`Effect`]s in order. Record bytes, durations and the
//! election of leaders belong to others (the node and the metadata core). What the driver owes it is said at each input
//! and effect; the general contract is in `docs/ARCHITECTURE.md`.

mod acks;
mod alter_partition;
mod append;
mod batch;
mod effect;
mod end_read;
mod follow;
mod input;
mod isr;
mod lag;
mod lead;
mod leading;
mod message;
mod producer;
mod recover;
mod refusal;
mod replica_set;
mod room;
mod serve;
mod state;
mod tenure;
#[cfg(test)]
mod tests;
mod token;
mod view;
mod watermark;

pub use alter_partition::{AlterPartition, AlterPartitionAnswer, AlterPartitionOutcome, ProposedMember};
use batch::OFFSET_MAX;
pub use batch::{BatchKind, BatchProducer, BatchSummary, Batches};
pub use effect::{Effect, Effects, Timer};
pub use input::Input;
pub use leading::IsrChangeStage;
pub use message::{Answered, Fetch, FetchAnswer, FetchBody, Message, Progress, ReadRound};
pub use recover::Recovered;
pub use refusal::Refusal;
pub use replica_set::{IsrSet, REPLICAS_MAX, ReplicaIdx};
pub use state::Replica;
pub use tenure::Tenure;
pub use token::{Acknowledgement, EndOfLog, VisibleHighWatermark};
pub use view::{FlushPolicy, PartitionView, ReplicaView};
