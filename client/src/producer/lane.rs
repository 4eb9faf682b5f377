//! One partition of a producer: fills batches, sends them to the leader, and follows the leader when it changes.
//!
//! Carries out what `queue` decides; the order and the sequences of batches are decided there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_model::api::{
    Acks, Answer, ApiError, ProduceAnswer, ProducePartition, ProducerIdentity, Request,
};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::TopicPartition;
use highwater_transport::env::Instant;
use highwater_transport::watch;
use tokio::sync::{mpsc, oneshot};

use super::batch::Batch;
use super::queue::{Attempt, End, Finished, Heard, Queue, Verdict};
use super::{Delivered, Entry, Shared};
use crate::client::{Backoff, Client};
use crate::error::{ClientError, Outcome, ProduceError};
use crate::link::Link;
use crate::metadata::{Image, Leader};

/// Silence of the leader after which the metadata is asked for, in case there is another one.
const SUSPICION: Duration = Duration::from_millis(100);

/// What a lane is told.
pub(super) enum Order {
    /// Send this record.
    Record(Entry),
    /// Say when nothing is left.
    Flush(oneshot::Sender<()>),
}

/// What comes back to a lane.
enum Event {
    /// What became of an attempt at this leader.
    Answered(Attempt, Leader, Result<Answer, ClientError>),
    /// The metadata was asked for.
    Refreshed,
}

/// The sending side of one partition.
pub(super) struct Lane {
    client: Client,
    shared: Arc<Shared>,
    topic: String,
    partition: TopicPartition,
    orders: mpsc::UnboundedReceiver<Order>,
    closed: bool,
    open: Option<Batch>,
    queue: Queue<Batch, Instant>,
    flushes: Vec<oneshot::Sender<()>>,
    events: mpsc::UnboundedReceiver<Event>,
    report: mpsc::UnboundedSender<Event>,
    image: watch::Receiver<Arc<Image>>,
    /// Whom the batches under way were sent to.
    leader: Option<Leader>,
    refreshing: bool,
    paused_until: Option<Instant>,
    backoff: Backoff,
    heard_at: Instant,
    counted_in_flight: usize,
}

impl Lane {
    pub(super) fn new(
        client: Client,
        shared: Arc<Shared>,
        topic: &str,
        partition: TopicPartition,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        let (report, events) = mpsc::unbounded_channel();
        let queue = Queue::new(shared.settings.in_flight_max);
        let (image, backoff, heard_at) = (client.watch(), client.backoff(), client.env().now());
        Self {
            client,
            shared,
            topic: topic.to_owned(),
            partition,
            orders,
            closed: false,
            open: None,
            queue,
            flushes: Vec::new(),
            events,
            report,
            image,
            leader: None,
            refreshing: false,
            paused_until: None,
            backoff,
            heard_at,
            counted_in_flight: 0,
        }
    }

    /// Runs until the producer is dropped and nothing is left.
    pub(super) async fn run(mut self) {
        loop {
            self.take_orders();
            self.follow_leader();
            self.end_if_gone();
            self.expire();
            self.transmit().await;
            self.count();
            let idle = self.queue.is_empty() && self.open.is_none();
            if idle {
                for done in self.flushes.drain(..) {
                    // Whoever does not wait any more does not miss it.
                    let _ = done.send(());
                }
                if self.closed {
                    return;
                }
            }
            self.wait().await;
        }
    }

    /// Keeps the producer's count of batches under way.
    fn count(&mut self) {
        let now = self.queue.in_flight();
        let count = &self.shared.in_flight;
        count.fetch_add(now, Ordering::Relaxed);
        count.fetch_sub(self.counted_in_flight, Ordering::Relaxed);
        self.counted_in_flight = now;
    }

    fn take_orders(&mut self) {
        loop {
            match self.orders.try_recv() {
                Ok(order) => self.take(order),
                Err(mpsc::error::TryRecvError::Empty) => return,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Flush(done) => self.flushes.push(done),
            Order::Record(entry) => {
                let full = |batch: &Batch| {
                    batch.len_bytes() + entry.record.bytes() > self.shared.settings.batch_bytes
                };
                if self.open.as_ref().is_some_and(|batch| batch.count() > 0 && full(batch)) {
                    self.seal();
                }
                self.open.get_or_insert_with(|| Batch::new(entry.since)).push(entry);
            }
        }
    }

    fn seal(&mut self) {
        if let Some(batch) = self.open.take().filter(|batch| batch.count() > 0) {
            let deadline = batch.since + self.shared.settings.delivery_timeout;
            let count = batch.count();
            self.queue.push(batch, count, deadline);
        }
    }

    /// Whether the open batch shall go now: its time is over, or somebody waits for it.
    fn open_is_due(&self) -> bool {
        let now = self.client.env().now();
        let hurry = self.closed || !self.flushes.is_empty();
        self.open.as_ref().is_some_and(|batch| hurry || now >= batch.since + self.shared.settings.linger)
    }

    /// Gives up what is under way at a former leader: its answers may never come.
    fn follow_leader(&mut self) {
        let image = self.image.borrow_and_update().clone();
        let Some(sent_to) = self.leader else { return };
        let newer = image.leader_epoch(self.partition).is_some_and(|known| known > sent_to.leader_epoch);
        if newer {
            self.leader = None;
            self.paused_until = None;
            self.backoff = self.client.backoff();
            self.queue.abandon(Outcome::Unknown, "the leader changed before it answered");
        }
    }

    /// A topic that was deleted does not come back: one of the same name is another (R82).
    fn end_if_gone(&mut self) {
        if self.image.borrow().topic_by_id(self.partition.topic).is_some() {
            return;
        }
        self.seal();
        for (batch, outcome) in self.queue.close() {
            let message = format!("topic {} was deleted", self.topic);
            let error = ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
            batch.fail(&ProduceError::Refused { error, outcome });
        }
    }

    fn expire(&mut self) {
        let after = self.shared.settings.delivery_timeout;
        for Finished { batch, end } in self.queue.expire(self.client.env().now()) {
            if let End::Expired { outcome, last } = end {
                let Heard { code, words: last } = last;
                batch.fail(&ProduceError::TimedOut { after, last, code, outcome });
            }
        }
    }

    /// Sends what may be sent.
    async fn transmit(&mut self) {
        if self.paused_until.is_some_and(|until| until > self.client.env().now()) {
            return;
        }
        self.paused_until = None;
        if self.queue.waiting() == 0 && self.queue.may_send() && self.open_is_due() {
            self.seal();
        }
        if self.queue.waiting() == 0 || !self.queue.may_send() {
            return;
        }
        let leader = self.image.borrow().leader(self.partition);
        let Some(leader) = leader else { return self.pause_and_refresh() };
        let Some((identity, link)) = self.reach(leader).await else { return self.pause_and_refresh() };
        if self.queue.in_flight() == 0 {
            self.heard_at = self.client.env().now();
        }
        self.leader = Some(leader);
        while self.send_one(&link, leader, identity).await {
            if self.queue.waiting() == 0 && self.open_is_due() {
                self.seal();
            }
        }
    }

    /// The producer id and a connection to the leader; none if there is neither, if the leader changes meanwhile, or if a
    /// batch's time is over.
    async fn reach(&mut self, leader: Leader) -> Option<(Option<ProducerIdentity>, Link)> {
        let (client, shared) = (self.client.clone(), Arc::clone(&self.shared));
        let reached = async move {
            let identity = match shared.settings.idempotent {
                true => Some(shared.identity(&client).await?),
                false => None,
            };
            Ok::<_, ClientError>((identity, client.link(leader.node).await?))
        };
        tokio::pin!(reached);
        let (partition, env, mut image) = (self.partition, self.client.env().clone(), self.image.clone());
        let deadline = self.queue.deadline();
        loop {
            if deadline.is_some_and(|deadline| env.now() >= deadline) {
                return None;
            }
            let suspicious_at = env.now() + SUSPICION;
            tokio::select! {
                biased;
                reached = &mut reached => return match reached {
                    Ok(reached) => Some(reached),
                    Err(error) => {
                        tracing::debug!(topic = %self.topic, %partition, %error, "leader not reached");
                        None
                    }
                },
                _ = image.wait_for(|image| image.leader(partition) != Some(leader)) => return None,
                Some(event) = self.events.recv() => self.happened(event),
                () = env.sleep_until(deadline.map_or(suspicious_at, |at| at.min(suspicious_at))) => self.refresh_if_old(),
            }
        }
    }

    /// Sends the next batch; false if there is none to send, or it could not be sent.
    async fn send_one(&mut self, link: &Link, leader: Leader, identity: Option<ProducerIdentity>) -> bool {
        let Some((attempt, stamp, batch)) = self.queue.send_next() else { return false };
        let Ok(bytes) = batch.encode(identity, stamp) else {
            let error = ApiError::new(ErrorCode::MessageTooLarge, "the batch does not fit the format");
            self.answered(attempt, leader, Err(ClientError::Refused(error)));
            return true;
        };
        let settings = &self.shared.settings;
        let left = self.queue.deadline_of(attempt).map(|deadline| deadline.since(self.client.env().now()));
        let timeout = self.client.settings().request_timeout;
        let timeout = left.map_or(timeout, |left| timeout.min(left)).max(Duration::from_millis(1));
        let size_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let request = Request::Produce {
            acks: settings.acks,
            // The broker's answer shall come before this side gives up.
            timeout_ms: u32::try_from((timeout * 9 / 10).as_millis()).unwrap_or(u32::MAX),
            partitions: vec![ProducePartition { partition: self.partition, size_bytes }],
        };
        if settings.acks == Acks::None {
            let told = link.tell(self.client.env(), &request, vec![bytes], timeout).await;
            let sent = told.is_ok();
            self.answered(attempt, leader, told.map(|()| Answer::Done));
            return sent;
        }
        match link.start(&request, vec![bytes], timeout).await {
            Ok(pending) => {
                let report = self.report.clone();
                self.client.env().spawn("await acknowledgement", async move {
                    let answer = pending.answer().await.map(|(answer, _)| answer);
                    // A lane that has ended has nobody waiting.
                    let _ = report.send(Event::Answered(attempt, leader, answer));
                });
                true
            }
            Err(error) => {
                self.answered(attempt, leader, Err(error));
                false
            }
        }
    }

    fn answered(&mut self, attempt: Attempt, leader: Leader, answer: Result<Answer, ClientError>) {
        self.heard_at = self.client.env().now();
        let (verdict, error) = verdict(self.shared.settings.acks, answer);
        match &verdict {
            Verdict::Acknowledged(_) => self.backoff = self.client.backoff(),
            Verdict::Retriable { why, .. } | Verdict::OutOfOrder { why } => {
                let (partition, why) = (self.partition.partition, &why.words);
                tracing::debug!(topic = %self.topic, %partition, why, "batch not acknowledged");
                self.pause_and_refresh();
            }
            Verdict::Refused => {}
        }
        match self.queue.answered(attempt, verdict) {
            Some(Finished { batch, end: End::Acknowledged(offset) }) => {
                let (partition, at) = (self.partition.partition, self.heard_at);
                batch.acknowledge(Delivered { partition, offset, leader, at });
            }
            Some(Finished { batch, end: End::Refused { outcome } }) => {
                let unnamed = || ApiError::new(ErrorCode::UnknownServerError, "refused without a reason");
                batch.fail(&ProduceError::Refused { error: error.unwrap_or_else(unnamed), outcome });
            }
            Some(Finished { end: End::Expired { .. }, .. }) | None => {}
        }
    }

    /// Nothing is sent for a while, and the metadata is asked for: there may be another leader.
    fn pause_and_refresh(&mut self) {
        if self.paused_until.is_none() {
            self.paused_until = Some(self.client.env().now() + self.backoff.next());
        }
        self.refresh();
    }

    fn refresh(&mut self) {
        if std::mem::replace(&mut self.refreshing, true) {
            return;
        }
        let (client, report, topic) = (self.client.clone(), self.report.clone(), self.topic.clone());
        self.client.env().spawn("refresh metadata", async move {
            if let Err(error) = client.refresh(Some(&[topic])).await {
                tracing::debug!(%error, "metadata not refreshed");
            }
            // As above.
            let _ = report.send(Event::Refreshed);
        });
    }

    /// Waits for whatever comes first: an answer, a record, another leader, or a deadline.
    async fn wait(&mut self) {
        let until = self.next_deadline();
        let env = self.client.env().clone();
        let timer = async move {
            match until {
                Some(until) => env.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => self.happened(event),
            _ = self.image.changed() => {}
            order = self.orders.recv(), if !self.closed => match order {
                Some(order) => self.take(order),
                None => self.closed = true,
            },
            () = timer => self.on_timer(),
        }
        while let Ok(event) = self.events.try_recv() {
            self.happened(event);
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Answered(attempt, leader, answer) => self.answered(attempt, leader, answer),
            Event::Refreshed => self.refreshing = false,
        }
    }

    /// A leader that is silent for long may not be the leader any more.
    fn on_timer(&mut self) {
        let now = self.client.env().now();
        if self.queue.in_flight() > 0 && now >= self.heard_at + SUSPICION {
            self.heard_at = now;
            self.refresh_if_old();
        }
    }

    /// What another lane was told of the topic just now is seen here too. Were each to ask for itself, thousands that wait for an
    /// overloaded broker would ask it for the metadata without end, and wait the longer.
    fn refresh_if_old(&mut self) {
        if !self.client.refreshed_within(&self.topic, SUSPICION / 2) {
            self.refresh();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let may_seal = self.queue.waiting() == 0 && self.queue.may_send() && self.paused_until.is_none();
        let linger =
            self.open.as_ref().filter(|_| may_seal).map(|batch| batch.since + self.shared.settings.linger);
        let suspicion = (self.queue.in_flight() > 0).then(|| self.heard_at + SUSPICION);
        let paused = self.paused_until.filter(|_| self.queue.waiting() > 0 || self.open.is_some());
        [self.queue.deadline(), linger, suspicion, paused].into_iter().flatten().min()
    }
}

impl Drop for Lane {
    /// The process ends while something is left.
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(self.counted_in_flight, Ordering::Relaxed);
        for (batch, outcome) in self.queue.close() {
            batch.fail(&ProduceError::Closed { outcome });
        }
        if let Some(batch) = self.open.take() {
            batch.fail(&ProduceError::Closed { outcome: Outcome::NotDone });
        }
    }
}

/// What an answer means for its batch, and the error in it if there is one.
fn verdict(acks: Acks, answer: Result<Answer, ClientError>) -> (Verdict, Option<ApiError>) {
    let error = match answer {
        Ok(Answer::Done) if acks == Acks::None => return (Verdict::Acknowledged(None), None),
        Ok(Answer::Produce(ProduceAnswer { partitions })) => {
            match partitions.into_iter().next().map(|partition| partition.result) {
                Some(Ok(offset)) => return (Verdict::Acknowledged(Some(offset)), None),
                Some(Err(error)) => error,
                None => return (unknown("an answer without the partition".to_owned()), None),
            }
        }
        Ok(_) => return (unknown("an answer to something else".to_owned()), None),
        Err(ClientError::Refused(error)) => error,
        Err(
            error @ (ClientError::Unreachable { .. }
            | ClientError::TimedOut { outcome: Outcome::NotDone, .. }),
        ) => {
            return (
                Verdict::Retriable { outcome: Outcome::NotDone, why: Heard::said(error.to_string()) },
                None,
            );
        }
        Err(error) => return (unknown(error.to_string()), None),
    };
    (verdict_of_code(&error), Some(error))
}

fn unknown(why: String) -> Verdict {
    Verdict::Retriable { outcome: Outcome::Unknown, why: Heard::said(why) }
}

/// What an error code says of the attempt. Where a broker may answer it after it has appended, the outcome is unknown (R3,
/// R6).
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "any other code is judged by whether it may be tried again"
)]
fn verdict_of_code(error: &ApiError) -> Verdict {
    let why = Heard { code: Some(error.code), words: error.to_string() };
    match error.code {
        ErrorCode::OutOfOrderSequence => Verdict::OutOfOrder { why },
        ErrorCode::NotEnoughReplicas
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::UnknownTopicId
        | ErrorCode::LeaderNotAvailable
        | ErrorCode::FencedLeaderEpoch
        | ErrorCode::UnknownLeaderEpoch
        | ErrorCode::KafkaStorageError
        | ErrorCode::ThrottlingQuotaExceeded
        | ErrorCode::CorruptMessage => Verdict::Retriable { outcome: Outcome::NotDone, why },
        code if code.is_retriable() => Verdict::Retriable { outcome: Outcome::Unknown, why },
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_has_too_much_to_do_has_written_nothing_and_is_asked_again() {
        let verdict = |code| verdict_of_code(&ApiError::new(code, "why"));
        let tried_again = |code, outcome| {
            let why = Heard { code: Some(code), words: ApiError::new(code, "why").to_string() };
            Verdict::Retriable { outcome, why }
        };

        let crowded = ErrorCode::ThrottlingQuotaExceeded;
        assert_eq!(verdict(crowded), tried_again(crowded, Outcome::NotDone));
        let timed_out = ErrorCode::RequestTimedOut;
        assert_eq!(verdict(timed_out), tried_again(timed_out, Outcome::Unknown));
    }
}
