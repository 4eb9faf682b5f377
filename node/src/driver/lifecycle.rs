//! The driver of a broker's standing in the cluster: registration, heartbeats, controlled shutdown.
//!
//! Owns the [`Lifecycle`] core, speaks to the active controller for it, and writes the start-up record of every log
//! directory before anybody acts under a new registration (R60).

mod recording;
mod slips;

use std::sync::Arc;
use std::time::Duration;

use highwater_model::fault::{Faults, Slip};
use highwater_model::id::{BrokerEpoch, DirectoryId, RequestId};
use highwater_model::invariant::Monitor;
use highwater_model::invariant::metadata::registration_is_committed;
use highwater_model::metadata::{
    BrokerAnswer, BrokerRequest, CommandRefusal, Image, Lifecycle, LifecycleEffect, LifecycleInput,
    LifecycleTenure, LifecycleTimer, Outcome,
};
use highwater_model::trace::{Act, Stands};
use highwater_transport::env::{Env, Instant};
use highwater_transport::watch;
use tokio::sync::mpsc;

use crate::controller_client::ControllerClient;
use crate::kept::LogDirectories;
use crate::monitor::{CoreMonitor, Monitors, Place};
use crate::server::Timing;
use crate::trace::edge::EdgeTimers;
use crate::trace::{CoreTrace, Recorder};

/// What the lifecycle tells the rest of the broker.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The registration that requests carry, once its start-up record is written.
    pub(crate) broker_epoch: watch::Receiver<Option<BrokerEpoch>>,
    /// Whether the broker is fenced, as far as it knows.
    pub(crate) fenced: watch::Receiver<bool>,
    /// That the broker may stop, and under which registration its directories are clean then.
    pub(crate) may_stop: watch::Receiver<Option<Option<BrokerEpoch>>>,
}

/// What the lifecycle's driver is made of.
pub(crate) struct LifecycleParts<F> {
    pub(crate) env: Env,
    pub(crate) faults: F,
    pub(crate) timing: Timing,
    pub(crate) tenure: LifecycleTenure,
    pub(crate) controller: ControllerClient,
    pub(crate) images: watch::Receiver<Arc<Image>>,
    pub(crate) directories: LogDirectories,
    /// Directories that failed.
    pub(crate) failures: mpsc::Receiver<DirectoryId>,
    pub(crate) monitors: Monitors,
    /// Set when the broker is to stop.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) recorder: Recorder,
}

/// What the controller answered, if it did.
type Answer = Option<Result<Outcome, CommandRefusal>>;

/// The task's state.
pub(crate) struct LifecycleDriver<F> {
    parts: LifecycleParts<F>,
    core: Lifecycle,
    monitor: CoreMonitor,
    trace: CoreTrace,
    timers: EdgeTimers<LifecycleTimer>,
    answers: mpsc::Receiver<(RequestId, Answer)>,
    answered: mpsc::Sender<(RequestId, Answer)>,
    asked_at: Instant,
    /// Counts the chances of a planted slip.
    chances: u32,
    /// The answer before, for a planted slip.
    earlier: Option<BrokerAnswer>,
    broker_epoch: watch::Sender<Option<BrokerEpoch>>,
    fenced: watch::Sender<bool>,
    may_stop: watch::Sender<Option<Option<BrokerEpoch>>>,
}

/// Answers that may wait to be looked at; each request has one.
const ANSWERS_MAX: usize = 16;

impl<F: Faults> LifecycleDriver<F> {
    /// A broker that has not registered yet.
    pub(crate) fn new(parts: LifecycleParts<F>) -> (Self, Standing) {
        let (broker_epoch, broker_epoch_fed) = watch::channel(None);
        let (fenced, fenced_fed) = watch::channel(true);
        let (may_stop, may_stop_fed) = watch::channel(None);
        let (answered, answers) = mpsc::channel(ANSWERS_MAX);
        let asked_at = parts.env.now();
        let core = Lifecycle::new();
        let monitor = parts.monitors.core(&parts.env, Place::Broker);
        let trace = recording::begin(&parts.recorder, &parts.tenure);
        let timers = EdgeTimers::new(&trace);
        let (chances, earlier) = (0, None);
        let driver = Self {
            parts,
            core,
            monitor,
            trace,
            timers,
            answers,
            answered,
            asked_at,
            chances,
            earlier,
            broker_epoch,
            fenced,
            may_stop,
        };
        (driver, Standing { broker_epoch: broker_epoch_fed, fenced: fenced_fed, may_stop: may_stop_fed })
    }

    /// Runs until the broker may stop.
    pub(crate) async fn run(mut self) {
        let mut leaders = self.parts.controller.leaders();
        let mut stop = self.parts.stop.clone();
        self.step(LifecycleInput::Started).await;
        let applied = self.applied();
        self.step(applied).await;
        while !self.core.may_stop() {
            let deadline =
                self.timers.next().unwrap_or_else(|| self.parts.env.now() + self.parts.timing.heartbeat);
            let asleep = self.parts.env.sleep_until(deadline);
            let input = tokio::select! {
                biased;
                Some((request, answer)) = self.answers.recv() => self.on_answer(request, answer),
                Ok(()) = self.parts.images.changed() => Some(self.applied()),
                Some(directory) = self.parts.failures.recv() => Some(LifecycleInput::DirectoryFailed(directory)),
                Ok(()) = stop.changed() => Some(LifecycleInput::StopAsked),
                Ok(()) = leaders.changed() => {
                    // A new controller has not heard from this broker yet.
                    let is_led = leaders.borrow_and_update().is_some();
                    (is_led && self.timers.expire(LifecycleTimer::Heartbeat))
                        .then_some(LifecycleInput::Expired(LifecycleTimer::Heartbeat))
                }
                () = asleep => self.timers.expired(self.parts.env.now()).map(LifecycleInput::Expired),
            };
            if let Some(input) = input {
                self.step(input).await;
            }
        }
        self.trace.ended();
        self.step_after_end().await;
    }

    /// How far the broker has applied the metadata.
    fn applied(&mut self) -> LifecycleInput {
        let metadata_offset = self.parts.images.borrow_and_update().end();
        LifecycleInput::Applied { metadata_offset: self.reported(metadata_offset) }
    }

    /// An answer ends the wait for it: the next request is due one interval after the last.
    fn on_answer(&mut self, request: RequestId, answer: Answer) -> Option<LifecycleInput> {
        self.trace.did(|| Act::Heard { request, answer: answer.clone() });
        self.timers.defer(LifecycleTimer::Heartbeat, self.asked_at + self.parts.timing.heartbeat);
        let answer = self.passed_off(told(&answer?));
        Some(LifecycleInput::Answered { request, answer })
    }

    async fn step(&mut self, input: LifecycleInput) {
        let mut effects = Vec::new();
        let applied = matches!(input, LifecycleInput::Applied { .. });
        if let Err(refusal) = self.take(input, &mut effects) {
            tracing::debug!(?refusal, "the lifecycle refused an input");
        }
        if let Some(told) = self.core.broker_epoch().filter(|_| applied) {
            let (node, images) = (self.parts.tenure.node, &self.parts.images);
            self.monitor.check(Monitor::AnswerIsCommitted, || {
                registration_is_committed(node, told, &images.borrow())
            });
        }
        self.slip_in_order(&mut effects);
        for effect in effects {
            self.issue(effect).await;
        }
    }

    async fn issue(&mut self, effect: LifecycleEffect) {
        match effect {
            LifecycleEffect::Send { request, body } => self.send(request, body),
            LifecycleEffect::Arm(timer) => {
                self.asked_at = self.parts.env.now();
                self.timers.arm(timer, self.asked_at + self.patience());
            }
            LifecycleEffect::Registered { broker_epoch } => {
                tracing::info!(%broker_epoch, "registered");
                self.stand_before_noted(broker_epoch);
                self.parts.directories.note_registration(broker_epoch).await;
                self.trace.did(|| Act::Noted(broker_epoch));
                self.stand(Stands::Registered(broker_epoch));
            }
            LifecycleEffect::Fenced(fenced) => {
                tracing::info!("{}", if fenced { "fenced: the broker leads nothing" } else { "ready" });
                self.stand(Stands::Fenced(fenced));
            }
            LifecycleEffect::MayStop { broker_epoch } => self.stand(Stands::MayStop(broker_epoch)),
        }
    }

    /// Tells the rest of the broker how it stands.
    fn stand(&self, stands: Stands) {
        self.trace.did(|| Act::Stands(stands));
        match stands {
            Stands::Registered(broker_epoch) => {
                self.broker_epoch.send_replace(Some(broker_epoch));
            }
            Stands::Fenced(fenced) => {
                self.fenced.send_replace(fenced);
            }
            Stands::MayStop(broker_epoch) => {
                self.may_stop.send_replace(Some(broker_epoch));
            }
        }
    }

    /// How long an answer is waited for before the request is made again.
    fn patience(&self) -> Duration {
        (self.parts.timing.session / 2).max(self.parts.timing.heartbeat)
    }

    fn send(&mut self, request: RequestId, body: BrokerRequest) {
        if self.slips_now(Slip::AskTwice) {
            self.ask(request, body.clone());
        }
        self.ask(request, body);
    }

    fn ask(&self, request: RequestId, body: BrokerRequest) {
        let (controller, answered, patience) =
            (self.parts.controller.clone(), self.answered.clone(), self.patience());
        self.trace.did(|| Act::Asked { request, body: body.clone() });
        let command = body.into_command();
        let asking = async move {
            let answer = controller.decide_once(command, patience).await.ok();
            let _ = answered.send((request, answer)).await;
        };
        drop(self.parts.env.spawn("ask the controller", asking));
    }
}

/// A controller's answer, as the core takes it.
fn told(answer: &Result<Outcome, CommandRefusal>) -> BrokerAnswer {
    if let Err(refusal) = answer
        && !matches!(refusal, CommandRefusal::RegistrationMoved { .. })
    {
        tracing::info!(%refusal, "the controller refused the broker");
    }
    BrokerAnswer::of(answer)
}
