//! Where a driver's acts leave it and come back: each is recorded here, by what really carries it out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use highwater_model::id::{LeaderEpoch, Offset, RequestId};
use highwater_model::trace::{Act, How, Told};
use highwater_transport::batch::Batch;
use highwater_transport::env::Instant;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{CoreTrace, carried, encoded};
use crate::disk::{Completion, Fault};
use crate::driver::timers::Timers;
use crate::log::{Flushed, PartitionLog, Truncated, Written};

/// Something that was submitted, whose end is recorded when it is seen.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    completion: Completion<T>,
    trace: CoreTrace,
    /// The record of its end; `None` once it is recorded.
    ended: fn(Result<&T, &Fault>) -> Act<()>,
}

impl<T: Unpin> Watched<T> {
    pub(crate) fn new(
        completion: Completion<T>,
        trace: &CoreTrace,
        ended: fn(Result<&T, &Fault>) -> Act<()>,
    ) -> Self {
        Self { completion, trace: trace.clone(), ended }
    }

    /// Reports a value before the end, without a record: what a driver must never do.
    pub(crate) fn unrecorded(value: T) -> Self
    where
        T: Send,
    {
        let off = super::Recorder::default().core();
        Self::new(Completion::done(Ok(value)), &off, |_| Act::Offline)
    }
}

impl<T: Unpin> Future for Watched<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.completion).poll(context);
        if let Poll::Ready(result) = &polled {
            self.trace.did(|| (self.ended)(result.as_ref()));
        }
        polled
    }
}

/// How something ended.
pub(crate) fn how<T>(result: Result<&T, &Fault>, end: impl FnOnce(&T) -> Offset) -> How {
    match result {
        Ok(value) => How::Done(end(value)),
        Err(Fault::Misplaced { .. }) => How::NoRoom,
        Err(fault) if fault.is_full() => How::NoRoom,
        Err(_) => How::Failed,
    }
}

/// A log of a driver. Reading is the log's own; whatever changes it is recorded.
#[derive(Debug)]
pub(crate) struct EdgeLog {
    log: PartitionLog,
    trace: CoreTrace,
    /// How often it was cut: what is read across a cut may be anything.
    cuts: u64,
}

impl std::ops::Deref for EdgeLog {
    type Target = PartitionLog;

    fn deref(&self) -> &PartitionLog {
        &self.log
    }
}

impl EdgeLog {
    pub(crate) fn new(log: PartitionLog, trace: &CoreTrace) -> Self {
        Self { log, trace: trace.clone(), cuts: 0 }
    }

    /// How often it was cut or begun again.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts
    }

    pub(crate) fn into_inner(self) -> PartitionLog {
        self.log
    }

    pub(crate) fn set_segment_bytes_max(&mut self, bytes: u64) {
        self.log.set_segment_bytes_max(bytes);
    }

    /// Submits a write.
    pub(crate) fn append(&mut self, batches: &[Batch]) -> Watched<Written> {
        let completion = self.submit(batches);
        self.note_submitted(batches);
        self.watch_write(completion)
    }

    /// Submits a write whose end is not watched yet.
    pub(crate) fn submit(&mut self, batches: &[Batch]) -> Completion<Written> {
        self.log.append(batches)
    }

    /// Records that a write was submitted.
    pub(crate) fn note_submitted(&self, batches: &[Batch]) {
        self.trace.did(|| {
            let end_of =
                |batch: Option<&Batch>| batch.map_or(Offset::ZERO, |batch| batch.header().end_offset());
            let from = batches.first().map_or(Offset::ZERO, |batch| batch.header().base_offset);
            Act::Write { from, end: end_of(batches.last()), carried: carried(batches) }
        });
    }

    /// Watches for the end of a write.
    pub(crate) fn watch_write(&self, completion: Completion<Written>) -> Watched<Written> {
        Watched::new(completion, &self.trace, |result| Act::WriteEnded(how(result, |written| written.end)))
    }

    /// Submits a sync.
    pub(crate) fn sync(&mut self) -> Watched<Flushed> {
        let completion = self.log.sync();
        let end = self.log.end();
        self.trace.did(|| Act::Sync(end));
        Watched::new(completion, &self.trace, |result| Act::SyncEnded(how(result, |flushed| flushed.end)))
    }

    /// Cuts the log.
    pub(crate) fn truncate(&mut self, to: Offset) -> Completion<Truncated> {
        let cut = self.log.truncate(to);
        self.cut(cut, Act::Cut)
    }

    /// Throws the log away.
    pub(crate) fn restart_at(&mut self, at: Offset) -> Completion<Truncated> {
        let cut = self.log.restart_at(at);
        self.cut(cut, Act::Restart)
    }

    fn cut(&mut self, cut: Completion<Truncated>, act: fn(How) -> Act<()>) -> Completion<Truncated> {
        self.cuts += 1;
        match cut.now() {
            Ok(result) => {
                self.trace.did(|| act(how(result.as_ref(), |truncated| truncated.end)));
                Completion::done(result)
            }
            Err(pending) => pending,
        }
    }

    /// Raises the log's start.
    pub(crate) fn trim(&mut self, to: Offset) -> Result<(), Fault> {
        self.trace.did(|| Act::Trim(to));
        self.log.trim(to)
    }

    /// Closes it in order.
    pub(crate) async fn close(self) -> Result<Flushed, Fault> {
        self.log.close().await
    }
}

/// The timers of a core.
#[derive(Debug)]
pub(crate) struct EdgeTimers<T> {
    timers: Timers<T, Instant>,
    trace: CoreTrace,
}

impl<T: Ord + Copy + Serialize> EdgeTimers<T> {
    /// No timer is armed.
    pub(crate) fn new(trace: &CoreTrace) -> Self {
        Self { timers: Timers::new(), trace: trace.clone() }
    }

    pub(crate) fn arm(&mut self, timer: T, at: Instant) {
        self.trace.act(|| Act::Armed(timer));
        self.timers.arm(timer, at);
    }

    pub(crate) fn disarm(&mut self, timer: T) {
        self.trace.act(|| Act::Disarmed(timer));
        self.timers.disarm(timer);
    }

    /// Moves the end of a timer that runs; whether it runs is the core's to say, for how long is not.
    pub(crate) fn defer(&mut self, timer: T, at: Instant) {
        if self.timers.is_armed(timer) {
            self.timers.arm(timer, at);
        }
    }

    /// The timers that run, for the record.
    pub(crate) fn armed(&self) -> Vec<u8> {
        encoded(&self.timers.armed().collect::<Vec<T>>())
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Takes out one timer that has expired by `now`, the earliest first.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<T> {
        let timer = self.timers.expired(now)?;
        self.trace.act(|| Act::Expired(timer));
        Some(timer)
    }

    /// Reports a timer as run out, whether it runs or not: what a driver must never do.
    pub(crate) fn report_expired(&self, timer: T) {
        self.trace.act(|| Act::Expired(timer));
    }

    /// Lets a timer run out now. Whether it was armed.
    pub(crate) fn expire(&mut self, timer: T) -> bool {
        let is_armed = self.timers.is_armed(timer);
        if is_armed {
            self.timers.disarm(timer);
            self.trace.act(|| Act::Expired(timer));
        }
        is_armed
    }
}

/// What a client is told, for the record.
pub(crate) trait Answer {
    fn told(&self) -> Told;
}

impl Answer for Offset {
    fn told(&self) -> Told {
        Told::Acknowledged(*self)
    }
}

impl Answer for (Offset, LeaderEpoch) {
    fn told(&self) -> Told {
        Told::End(self.0, self.1)
    }
}

/// The way back to somebody who asked.
#[derive(Debug)]
pub(crate) struct Reply<T, E> {
    sender: oneshot::Sender<Result<T, E>>,
    request: RequestId,
    trace: CoreTrace,
}

impl<T: Answer, E> Reply<T, E> {
    pub(crate) fn new(sender: oneshot::Sender<Result<T, E>>, request: RequestId, trace: &CoreTrace) -> Self {
        Self { sender, request, trace: trace.clone() }
    }

    /// Answers.
    pub(crate) fn send(self, answer: Result<T, E>) {
        self.trace.did(|| {
            let told = answer.as_ref().map_or(Told::Refused, Answer::told);
            Act::Replied { request: self.request.0, told }
        });
        // Whoever asked may be gone.
        drop(self.sender.send(answer));
    }
}
