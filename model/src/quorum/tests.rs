//! Tests of the quorum core by family of handlers, each asserting the whole list of effects.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::fault::{Bug, Planted, Sound};
use crate::id::{DirectoryId, IncarnationId, LogGeneration, NodeId, Offset, QuorumEpoch, RequestId};
use crate::log::{EpochHistory, LogShape};

mod change;
mod commit;
mod election;
mod follow;
mod read;
mod recover;
mod replication;
mod snapshot;

/// One replica with its tenure, and what it asked for in the last step.
#[derive(Clone)]
struct Replica<F: Faults = Sound> {
    tenure: Tenure,
    core: Quorum<F>,
}

fn key(id: u32) -> VoterKey {
    VoterKey { id: NodeId(id), directory: DirectoryId(100 + u128::from(id)) }
}

fn set(ids: &[u32]) -> VoterSet {
    VoterSet::new(ids.iter().map(|id| key(*id))).expect("a legal set")
}

fn vote(epoch: u32, voted_for: Option<u32>) -> Vote {
    Vote { quorum_epoch: QuorumEpoch(epoch), voted_for: voted_for.map(key) }
}

/// A log of (epoch, count) runs, all flushed.
fn log(runs: &[(u32, u64)]) -> LogShape<QuorumEpoch> {
    let mut epochs = EpochHistory::default();
    let mut end = Offset::ZERO;
    for (epoch, count) in runs {
        epochs.assign(QuorumEpoch(*epoch), end);
        end = end.after(*count);
    }
    LogShape::recovered(Offset::ZERO, end, end, epochs)
}

fn recovered(voters: &[u32], vote: Vote, log: LogShape<QuorumEpoch>) -> Recovered {
    Recovered { vote, formatted: set(voters), snapshot: None, older: None, log, voters: Vec::new() }
}

fn message(from: u32, epoch: u32, body: Body) -> Message {
    let incarnation = IncarnationId(u128::from(from));
    Message { from: key(from), incarnation, quorum_epoch: QuorumEpoch(epoch), body }
}

fn received(from: u32, epoch: u32, body: Body) -> Input {
    Input::Received(message(from, epoch, body))
}

fn asked(from: u32, request: u64) -> Asked {
    Asked { incarnation: IncarnationId(u128::from(from)), request: RequestId(request) }
}

fn send(from: u32, epoch: u32, to: u32, body: Body) -> Effect {
    Effect::Send { to: NodeId(to), message: message(from, epoch, body) }
}

fn flushed(end: u64) -> Input {
    Input::Flushed { end: Offset(end), generation: LogGeneration(0) }
}

fn written(end: u64) -> Input {
    Input::Written { end: Offset(end), generation: LogGeneration(0) }
}

/// A fetch at `offset` after a record of `last_epoch`.
fn fetch(request: u64, offset: u64, last_epoch: Option<u32>) -> Fetch {
    Fetch {
        request: RequestId(request),
        fetch_offset: Offset(offset),
        last_fetched_epoch: last_epoch.map(QuorumEpoch),
        high_watermark: None,
        round: 0,
    }
}

fn records(to: u32, request: u64, high_watermark: Option<u64>, batches: Vec<Batch>) -> Body {
    let high_watermark = high_watermark.map(Offset);
    let fetched = Fetched::Records { high_watermark, round: 0, batches };
    Body::FetchAnswer(FetchAnswer { asked: asked(to, request), fetched })
}

fn data(base: u64, count: u32, epoch: u32) -> Batch {
    Batch { base_offset: Offset(base), count, quorum_epoch: QuorumEpoch(epoch), kind: BatchKind::Data }
}

fn granted(to: u32, request: u64, pre_vote: bool) -> Body {
    Body::VoteAnswer(VoteAnswer { asked: asked(to, request), pre_vote, granted: true, leader: None })
}

fn committed(high_watermark: u64) -> Effect {
    Effect::Committed(CommittedEnd { high_watermark: Offset(high_watermark) })
}

impl Replica {
    /// Replica `id` of these voters, come back with this vote and log; its first effects are dropped.
    fn of(id: u32, voters: &[u32], vote: Vote, log: LogShape<QuorumEpoch>) -> Self {
        Self::planted(Sound, id, recovered(voters, vote, log))
    }

    /// Replica 1 of three, with an empty log, in epoch 0.
    fn fresh() -> Self {
        Self::of(1, &[1, 2, 3], vote(0, None), log(&[]))
    }

    /// Replica 1 of these voters, leading epoch 1 with its first record at offset 0, which is written and flushed.
    fn leading(voters: &[u32]) -> Self {
        Self::leads(Sound, voters)
    }

    /// Replica 1 of three, following replica 2 in epoch 1, with this flushed log and a fetch outstanding.
    fn following(log: LogShape<QuorumEpoch>) -> Self {
        let mut replica = Self::of(1, &[1, 2, 3], vote(1, None), log);
        replica.does(received(2, 1, Body::BeginQuorum));
        replica
    }
}

impl<F: Faults> Replica<F> {
    fn planted(faults: F, id: u32, recovered: Recovered) -> Self {
        let tenure = Tenure { key: key(id), incarnation: IncarnationId(u128::from(id)) };
        let core = Quorum::recover(&tenure, faults, recovered, &mut Effects::new());
        Self { tenure, core }
    }

    /// With what is planted, replica 1 of these voters, leading epoch 1 with its first record at offset 0, which is written and flushed.
    fn leads(faults: F, voters: &[u32]) -> Self {
        let mut replica = Self::planted(faults, 1, recovered(voters, vote(0, None), log(&[])));
        if voters.len() > 1 {
            replica.does(Input::Expired(Timer::Election));
            replica.does(received(2, 0, granted(1, 2, true)));
            replica.does(received(3, 0, granted(1, 2, true)));
        }
        replica.does(Input::VoteStored(vote(1, Some(1))));
        for voter in voters.iter().filter(|_| voters.len() > 1).skip(1).take(voters.len() / 2) {
            replica.does(received(*voter, 1, granted(1, 3, false)));
        }
        assert!(replica.core.is_leader());
        replica.does(written(1));
        replica.does(flushed(1));
        replica
    }

    /// The effects of an input that is taken.
    fn takes(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Effects::new();
        self.core.step(&self.tenure, input, &mut effects).expect("the input is taken");
        effects
    }

    /// Steps, whether or not the input is refused.
    fn does(&mut self, input: Input) {
        let _ = self.core.step(&self.tenure, input, &mut Effects::new());
    }

    /// The refusal of an input; the state is as it was, and nothing is asked for.
    fn refuses(&mut self, input: Input) -> Refusal {
        let (before, mut effects) = (self.core.clone(), Effects::new());
        let refusal = self.core.step(&self.tenure, input, &mut effects).expect_err("the input is refused");
        assert_eq!(self.core, before);
        assert_eq!(effects, vec![]);
        refusal
    }

    fn role(&self) -> RoleName {
        self.core.role(&self.tenure)
    }
}
