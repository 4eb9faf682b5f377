//! The predicates that a replica's driver holds its core against: after a step, where the step is what they speak of, and
//! after its effects are issued, over the whole of the core.
//!
//! What the log really holds is kept here by the driver's own account (what it submitted, which completions came, where it
//! cut), so that the core is not held against itself.

#[cfg(test)]
mod tests;

use highwater_model::api::Acks;
use highwater_model::fault::Faults;
use highwater_model::id::{BrokerEpoch, LeaderEpoch, LogGeneration, Offset};
use highwater_model::invariant::Monitor;
use highwater_model::invariant::replication::{
    Leadership, OnDisk, Reign, acked_is_committed, answer_is_to_this_run,
    cut_leaves_no_epoch_that_the_leader_lacks, epochs_are_those_of_the_records,
    leader_holds_what_it_acknowledged, leader_leaves_nothing_undone, leader_waits_for_its_isr,
    readers_see_what_is_committed, replica_believes_what_its_disk_holds, watermark_lies_within_the_log,
    watermark_of_a_leader_never_goes_back,
};
use highwater_model::log::{EpochEnd, EpochHistory};
use highwater_model::replication::{FetchBody, Input, Message, Replica, Tenure};
use highwater_transport::batch::{Batch, BatchHeader};

use super::ReplicaDriver;
use crate::log;
use crate::monitor::CoreMonitor;

/// What the driver knows of its log, and the monitors of its core.
#[derive(Debug)]
pub(super) struct ReplicaMonitor {
    core: CoreMonitor,
    /// The epochs of the records that are there.
    epochs: EpochHistory<LeaderEpoch>,
    flushed: Offset,
    written: Offset,
    /// The generation of the log: completions of another one say nothing of it.
    generation: LogGeneration,
}

/// What a step is judged by, from before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    reign: Option<Reign>,
    stance: Stance,
    /// The answer that it takes, if its input is one.
    answer: Option<Taken>,
    /// Whether it is told that the log is shorter than it was.
    finds_no_room: bool,
}

/// What is rarely changed by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stance {
    leader_epoch: LeaderEpoch,
    is_leading: bool,
    is_following: bool,
    generation: LogGeneration,
    start: Offset,
}

/// A leader's answer to a fetch.
#[derive(Clone, Copy, Debug)]
struct Taken {
    broker_epoch: BrokerEpoch,
    diverging: Option<EpochEnd<LeaderEpoch>>,
}

impl Stance {
    fn of<F: Faults>(core: &Replica<F>) -> Self {
        Self {
            leader_epoch: core.view().leader_epoch,
            is_leading: core.is_leading(),
            is_following: core.is_following(),
            generation: core.generation(),
            start: core.log().start(),
        }
    }
}

impl Taken {
    fn of(input: &Input) -> Option<Self> {
        let Input::Message { message: Message::FetchAnswer(answer), .. } = input else { return None };
        let diverging = match answer.body {
            FetchBody::Diverging(diverging) => Some(diverging),
            FetchBody::Records { .. } | FetchBody::OutOfRange => None,
        };
        Some(Self { broker_epoch: answer.answered.broker_epoch, diverging })
    }
}

fn reign<F: Faults>(tenure: &Tenure, core: &Replica<F>) -> Option<Reign> {
    core.is_leading().then(|| Reign {
        broker_epoch: tenure.broker_epoch,
        leader_epoch: core.view().leader_epoch,
        high_watermark: core.high_watermark(),
    })
}

fn epoch_of(header: &BatchHeader) -> LeaderEpoch {
    LeaderEpoch(header.leader_epoch.unwrap_or(0))
}

impl ReplicaMonitor {
    /// Of a log as it was found.
    pub(super) fn new(core: CoreMonitor, recovered: &log::Recovered, generation: LogGeneration) -> Self {
        let mut epochs = EpochHistory::default();
        for header in recovered.batches.iter().filter(|_| core.is_on()) {
            epochs.assign(epoch_of(header), header.base_offset.max(recovered.start));
        }
        Self { core, epochs, flushed: recovered.end, written: recovered.end, generation }
    }

    /// For what acts for the driver aside.
    pub(super) fn aside(&self) -> CoreMonitor {
        self.core.clone()
    }

    /// These batches were submitted.
    pub(super) fn appended(&mut self, batches: &[Batch]) {
        for header in batches.iter().filter(|_| self.core.is_on()).map(Batch::header) {
            self.epochs.assign(epoch_of(header), header.base_offset);
        }
    }

    /// A write that was submitted in this generation has ended.
    pub(super) fn written(&mut self, end: Offset, generation: LogGeneration) {
        if generation == self.generation {
            self.written = self.written.max(end);
        }
    }

    /// A sync that was submitted in this generation has ended.
    pub(super) fn flushed(&mut self, end: Offset, generation: LogGeneration) {
        if generation == self.generation {
            self.written = self.written.max(end);
            self.flushed = self.flushed.max(end);
        }
    }

    /// The log was cut, and ends here now.
    pub(super) fn cut(&mut self, end: Offset, generation: LogGeneration) {
        self.epochs.truncate(end);
        self.written = self.written.min(end);
        self.flushed = self.flushed.min(end);
        self.generation = generation;
    }

    /// The log was thrown away, and begins here now.
    pub(super) fn restarted(&mut self, at: Offset, generation: LogGeneration) {
        self.epochs = EpochHistory::default();
        self.written = at;
        self.flushed = at;
        self.generation = generation;
    }

    /// The log begins here now, and ends there.
    pub(super) fn trimmed(&mut self, start: Offset, end: Offset) {
        self.epochs.trim(start);
        // It has no records: the core may keep the last epoch, or replace it by the next one.
        self.epochs.truncate(end);
    }
}

impl<F: Faults> ReplicaDriver<F> {
    /// What a step with this input is judged by; nothing if nobody judges it.
    pub(super) fn before(&self, input: &Input) -> Option<Before> {
        self.monitor.core.is_on().then(|| Before {
            reign: reign(&self.parts.tenure, &self.core),
            stance: Stance::of(&self.core),
            answer: Taken::of(input),
            finds_no_room: matches!(input, Input::WriteFailed { .. }),
        })
    }

    /// Judges the step that was just taken, before its effects are issued.
    pub(super) fn judge_step(&self, before: &Before) {
        let (core, tenure) = (&self.core, &self.parts.tenure);
        let own = tenure.own;
        let check = &self.monitor.core;
        if before.reign.is_some() {
            let after = reign(tenure, core);
            check.check(Monitor::WatermarkOfALeaderNeverGoesBack, || {
                watermark_of_a_leader_never_goes_back(own, before.reign, after)
            });
        }
        let Some(taken) = before.answer else { return };
        check.check(Monitor::AnswerIsToThisRun, || {
            answer_is_to_this_run(own, Some(tenure.broker_epoch), taken.broker_epoch)
        });
        if let Some(diverging) = taken.diverging {
            let last = core.log().last_epoch();
            check.check(Monitor::CutLeavesNoEpochThatTheLeaderLacks, || {
                cut_leaves_no_epoch_that_the_leader_lacks(own, last, diverging)
            });
        }
    }

    /// Judges the core as a whole, once the effects of a step are issued, if it is time to.
    pub(super) fn judge_state(&mut self, before: &Before) {
        if before.finds_no_room {
            self.monitor.cut(self.log.end(), self.core.generation());
        }
        let changed = before.stance != Stance::of(&self.core);
        if self.failed.is_some() || !self.monitor.core.is_due(changed) {
            return;
        }
        let (core, tenure, disk) = (&self.core, &self.parts.tenure, self.on_disk());
        let (own, check) = (tenure.own, &self.monitor.core);
        check.check(Monitor::WatermarkOrder, || {
            watermark_lies_within_the_log(own, core.log(), core.high_watermark())
        });
        check.check(Monitor::EpochHistory, || {
            epochs_are_those_of_the_records(own, core.log(), self.monitor.epochs.starts())
        });
        check.check(Monitor::ReplicaBelievesWhatItsDiskHolds, || {
            replica_believes_what_its_disk_holds(own, core.log(), &disk)
        });
        if let Some(leads) = Leadership::of(core) {
            check.check(Monitor::QuorumSuperset, || leader_waits_for_its_isr(own, &leads));
            check.check(Monitor::LeaderLeavesNothingUndone, || leader_leaves_nothing_undone(tenure, core));
        }
    }

    /// A produce is answered positively.
    pub(super) fn judge_acknowledgement(&self, offset: Offset, acks: Acks) {
        if acks != Acks::All {
            return;
        }
        let (own, flush) = (self.parts.tenure.own, self.core.view().flush);
        let check = &self.monitor.core;
        check
            .check(Monitor::AckedIsCommitted, || acked_is_committed(own, offset, self.core.high_watermark()));
        check.check(Monitor::AckedWasReplicated, || {
            leader_holds_what_it_acknowledged(own, &self.on_disk(), flush, offset)
        });
    }

    /// A client is shown records up to this end, exclusive.
    pub(super) fn judge_readable(&self, end: Offset) {
        let own = self.parts.tenure.own;
        self.monitor.core.check(Monitor::ReadersSeeWhatIsCommitted, || {
            readers_see_what_is_committed(own, end, self.core.high_watermark())
        });
    }

    /// The log by the driver's own account. Where a write is under way that may find no room, it ends where the core has
    /// submitted to: whether that is there is known when the write has ended.
    fn on_disk(&self) -> OnDisk {
        let (is, submitted) = (self.log.end(), self.core.log().end());
        let end = if self.writes.len() > 0 { is.max(submitted) } else { is };
        OnDisk { start: self.log.start(), flushed: self.monitor.flushed, written: self.monitor.written, end }
    }
}
