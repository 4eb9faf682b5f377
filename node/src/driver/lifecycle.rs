//! The driver of a broker's standing in the cluster: registration, heartbeats, controlled shutdown.
//!
//! Owns the [`Lifecycle`] core, speaks to the active controller for it, and writes the start-up record of every log
//! directory before anybody acts under a new registration (R60).

use std::sync::Arc;
use std::time::Duration;

use highwater_model::id::{BrokerEpoch, DirectoryId, RequestId};
use highwater_model::metadata::{
    BrokerAnswer, BrokerRequest, Command, CommandRefusal, Image, Lifecycle, LifecycleEffect, LifecycleInput,
    LifecycleTenure, LifecycleTimer, Outcome,
};
use highwater_transport::env::{Env, Instant};
use highwater_transport::watch;
use tokio::sync::mpsc;

use crate::controller_client::ControllerClient;
use crate::driver::timers::Timers;
use crate::kept::LogDirectories;
use crate::server::Timing;

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
pub(crate) struct LifecycleParts {
    pub(crate) env: Env,
    pub(crate) timing: Timing,
    pub(crate) tenure: LifecycleTenure,
    pub(crate) controller: ControllerClient,
    pub(crate) images: watch::Receiver<Arc<Image>>,
    pub(crate) directories: LogDirectories,
    /// Directories that failed.
    pub(crate) failures: mpsc::Receiver<DirectoryId>,
    /// Set when the broker is to stop.
    pub(crate) stop: watch::Receiver<bool>,
}

/// The task's state.
pub(crate) struct LifecycleDriver {
    parts: LifecycleParts,
    core: Lifecycle,
    timers: Timers<LifecycleTimer, Instant>,
    answers: mpsc::Receiver<(RequestId, Option<BrokerAnswer>)>,
    answered: mpsc::Sender<(RequestId, Option<BrokerAnswer>)>,
    asked_at: Instant,
    broker_epoch: watch::Sender<Option<BrokerEpoch>>,
    fenced: watch::Sender<bool>,
    may_stop: watch::Sender<Option<Option<BrokerEpoch>>>,
}

/// Answers that may wait to be looked at; each request has one.
const ANSWERS_MAX: usize = 16;

impl LifecycleDriver {
    /// A broker that has not registered yet.
    pub(crate) fn new(parts: LifecycleParts) -> (Self, Standing) {
        let (broker_epoch, broker_epoch_fed) = watch::channel(None);
        let (fenced, fenced_fed) = watch::channel(true);
        let (may_stop, may_stop_fed) = watch::channel(None);
        let (answered, answers) = mpsc::channel(ANSWERS_MAX);
        let asked_at = parts.env.now();
        let core = Lifecycle::new();
        let timers = Timers::new();
        let driver =
            Self { parts, core, timers, answers, answered, asked_at, broker_epoch, fenced, may_stop };
        (driver, Standing { broker_epoch: broker_epoch_fed, fenced: fenced_fed, may_stop: may_stop_fed })
    }

    /// Runs until the broker may stop.
    pub(crate) async fn run(mut self) {
        let mut leaders = self.parts.controller.leaders();
        let mut stop = self.parts.stop.clone();
        self.step(LifecycleInput::Started).await;
        let metadata_offset = self.parts.images.borrow_and_update().end();
        self.step(LifecycleInput::Applied { metadata_offset }).await;
        while !self.core.may_stop() {
            let deadline =
                self.timers.next().unwrap_or_else(|| self.parts.env.now() + self.parts.timing.heartbeat);
            let asleep = self.parts.env.sleep_until(deadline);
            let input = tokio::select! {
                biased;
                Some((request, answer)) = self.answers.recv() => self.on_answer(request, answer),
                Ok(()) = self.parts.images.changed() => {
                    let metadata_offset = self.parts.images.borrow_and_update().end();
                    Some(LifecycleInput::Applied { metadata_offset })
                }
                Some(directory) = self.parts.failures.recv() => Some(LifecycleInput::DirectoryFailed(directory)),
                Ok(()) = stop.changed() => Some(LifecycleInput::StopAsked),
                Ok(()) = leaders.changed() => {
                    // A new controller has not heard from this broker yet.
                    leaders.borrow_and_update().is_some().then_some(LifecycleInput::Expired(LifecycleTimer::Heartbeat))
                }
                () = asleep => self.timers.expired(self.parts.env.now()).map(LifecycleInput::Expired),
            };
            if let Some(input) = input {
                self.step(input).await;
            }
        }
    }

    /// An answer ends the wait for it: the next request is due one interval after the last.
    fn on_answer(&mut self, request: RequestId, answer: Option<BrokerAnswer>) -> Option<LifecycleInput> {
        if self.timers.is_armed(LifecycleTimer::Heartbeat) {
            self.timers.arm(LifecycleTimer::Heartbeat, self.asked_at + self.parts.timing.heartbeat);
        }
        answer.map(|answer| LifecycleInput::Answered { request, answer })
    }

    async fn step(&mut self, input: LifecycleInput) {
        let mut effects = Vec::new();
        if let Err(refusal) = self.core.step(&self.parts.tenure, input, &mut effects) {
            tracing::debug!(?refusal, "the lifecycle refused an input");
        }
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
                self.parts.directories.note_registration(broker_epoch).await;
                self.broker_epoch.send_replace(Some(broker_epoch));
            }
            LifecycleEffect::Fenced(fenced) => {
                tracing::info!("{}", if fenced { "fenced: the broker leads nothing" } else { "ready" });
                self.fenced.send_replace(fenced);
            }
            LifecycleEffect::MayStop { broker_epoch } => {
                self.may_stop.send_replace(Some(broker_epoch));
            }
        }
    }

    /// How long an answer is waited for before the request is made again.
    fn patience(&self) -> Duration {
        (self.parts.timing.session / 2).max(self.parts.timing.heartbeat)
    }

    fn send(&self, request: RequestId, body: BrokerRequest) {
        let (controller, answered, patience) =
            (self.parts.controller.clone(), self.answered.clone(), self.patience());
        let command = match body {
            BrokerRequest::Register(registration) => Command::RegisterBroker(registration),
            BrokerRequest::Heartbeat(heartbeat) => Command::Heartbeat(heartbeat),
        };
        let asking = async move {
            let answer = controller.decide_once(command, patience).await.ok().map(|answer| told(&answer));
            let _ = answered.send((request, answer)).await;
        };
        drop(self.parts.env.spawn("ask the controller", asking));
    }
}

/// A controller's answer, as the core takes it.
fn told(answer: &Result<Outcome, CommandRefusal>) -> BrokerAnswer {
    match answer {
        Ok(Outcome::Registered { broker_epoch }) => BrokerAnswer::Registered { broker_epoch: *broker_epoch },
        Ok(Outcome::Heartbeat { fenced, may_stop }) => {
            BrokerAnswer::Heartbeat { fenced: *fenced, may_stop: *may_stop }
        }
        Ok(other) => {
            tracing::error!(?other, "the controller answered something else");
            BrokerAnswer::Refused(highwater_model::error_code::ErrorCode::UnknownServerError)
        }
        Err(CommandRefusal::RegistrationMoved { registered, .. }) => {
            BrokerAnswer::RegistrationMoved { registered: *registered }
        }
        Err(refusal) => {
            tracing::info!(%refusal, "the controller refused the broker");
            BrokerAnswer::Refused(refusal.code())
        }
    }
}
