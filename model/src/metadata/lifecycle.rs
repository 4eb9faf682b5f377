//! A broker's side of its standing in the cluster: registration, heartbeats, controlled shutdown.
//!
//! It speaks to whichever node is the active controller; finding that node is the driver's. One request is open at a time;
//! the timer repeats it, so that a lost request or answer costs one interval. What a broker does with its partitions is
//! left to [`crate::replication`].

mod input;
#[cfg(test)]
mod tests;

pub use input::{
    BrokerAnswer, BrokerRequest, LifecycleEffect, LifecycleInput, LifecycleRefusal, LifecycleTenure,
    LifecycleTimer,
};

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{DirectoryFacts, Heartbeat, Registration};
use crate::error_code::ErrorCode;
use crate::id::{BrokerEpoch, DirectoryId, Offset, RequestId};

/// The lifecycle core.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lifecycle {
    /// The registration, while it is believed to be current.
    broker_epoch: Option<BrokerEpoch>,
    /// The last registration of this run: what its directories kept, they kept under it (R60).
    last_broker_epoch: Option<BrokerEpoch>,
    /// The registration that the next one must replace, if the controller has said.
    must_replace: Option<Option<BrokerEpoch>>,
    fenced: bool,
    /// End of the metadata that the broker has applied, exclusive.
    metadata_offset: Offset,
    stop_asked: bool,
    stopped: bool,
    /// The last request that was sent.
    last_request: RequestId,
    /// Whether its answer is awaited.
    open: bool,
    failed: Vec<DirectoryId>,
}

impl Lifecycle {
    /// A broker that has just started and is not registered.
    #[must_use]
    pub fn new() -> Self {
        Self {
            broker_epoch: None,
            last_broker_epoch: None,
            must_replace: None,
            fenced: true,
            metadata_offset: Offset::ZERO,
            stop_asked: false,
            stopped: false,
            last_request: RequestId(0),
            open: false,
            failed: Vec::new(),
        }
    }

    /// Its registration, if it has one.
    #[must_use]
    pub fn broker_epoch(&self) -> Option<BrokerEpoch> {
        self.broker_epoch
    }

    /// Whether it is fenced, as far as it knows.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop_asked
    }

    /// Whether it may stop, or has.
    #[must_use]
    pub fn may_stop(&self) -> bool {
        self.stopped
    }

    /// The request whose answer is awaited.
    #[must_use]
    pub fn awaited(&self) -> Option<RequestId> {
        self.open.then_some(self.last_request)
    }

    /// The same with the requests numbered on from `last_request`: for a checker, to which states that differ in that
    /// number alone are one.
    #[must_use]
    pub fn renumbered(self, last_request: RequestId) -> Self {
        Self { last_request, ..self }
    }

    /// Takes one input to completion.
    ///
    /// # Errors
    /// [`LifecycleRefusal`] when the input does not belong here; the state is as it was.
    pub fn step(
        &mut self,
        tenure: &LifecycleTenure,
        input: LifecycleInput,
        effects: &mut Vec<LifecycleEffect>,
    ) -> Result<(), LifecycleRefusal> {
        if self.stopped {
            return Err(LifecycleRefusal::Stopped);
        }
        match input {
            LifecycleInput::Started | LifecycleInput::Expired(LifecycleTimer::Heartbeat) => {
                self.ask(tenure, effects)
            }
            LifecycleInput::Answered { request, answer } => {
                self.on_answered(tenure, request, answer, effects)?
            }
            LifecycleInput::Applied { metadata_offset } => self.on_applied(tenure, metadata_offset, effects),
            LifecycleInput::DirectoryFailed(directory) => {
                if !self.failed.contains(&directory) {
                    self.failed.push(directory);
                    self.ask(tenure, effects);
                }
            }
            LifecycleInput::StopAsked => {
                self.stop_asked = true;
                self.stop_or_ask(tenure, effects);
            }
        }
        Ok(())
    }

    /// Registers, or sends a heartbeat, and sets the timer that will do so again.
    fn ask(&mut self, tenure: &LifecycleTenure, effects: &mut Vec<LifecycleEffect>) {
        let body = match self.broker_epoch {
            None => BrokerRequest::Register(self.registration(tenure)),
            Some(broker_epoch) => BrokerRequest::Heartbeat(Heartbeat {
                node: tenure.node,
                broker_epoch,
                metadata_offset: self.metadata_offset,
                want_fence: false,
                want_shutdown: self.stop_asked,
                offline_directories: self.failed.clone(),
            }),
        };
        self.last_request = self.last_request.next();
        self.open = true;
        effects.push(LifecycleEffect::Send { request: self.last_request, body });
        effects.push(LifecycleEffect::Arm(LifecycleTimer::Heartbeat));
    }

    /// The facts found at the start, until a registration has stated them; from then on the process has kept what it
    /// counted, in every directory that did not fail (R60).
    fn registration(&self, tenure: &LifecycleTenure) -> Registration {
        let mut directories = tenure.directories.clone();
        if self.last_broker_epoch.is_some() {
            let kept = |facts: DirectoryFacts| DirectoryFacts {
                clean_stop: None,
                same_boot: self.last_broker_epoch,
                damaged: Vec::new(),
                incomplete: false,
                ..facts
            };
            directories = directories.into_iter().map(kept).collect();
        }
        directories.retain(|facts| !self.failed.contains(&facts.directory));
        Registration {
            node: tenure.node,
            incarnation: tenure.incarnation,
            replaces: self.replaces(tenure),
            address: tenure.address.clone(),
            directories,
        }
    }

    /// What the controller said, or else the newest registration that this process or its disk knows of.
    fn replaces(&self, tenure: &LifecycleTenure) -> Option<BrokerEpoch> {
        let found = tenure.directories.iter().flat_map(|facts| [facts.clean_stop, facts.same_boot]);
        self.must_replace.unwrap_or_else(|| self.last_broker_epoch.max(found.flatten().max()))
    }

    fn on_answered(
        &mut self,
        tenure: &LifecycleTenure,
        request: RequestId,
        answer: BrokerAnswer,
        effects: &mut Vec<LifecycleEffect>,
    ) -> Result<(), LifecycleRefusal> {
        if !self.open || request != self.last_request {
            return Err(LifecycleRefusal::NotAsked { request });
        }
        self.open = false;
        match answer {
            BrokerAnswer::Registered { broker_epoch } => self.on_registered(tenure, broker_epoch, effects),
            BrokerAnswer::Heartbeat { fenced, may_stop } => {
                self.set_fenced(fenced, effects);
                if may_stop && self.stop_asked {
                    self.stop(effects);
                }
            }
            BrokerAnswer::Refused(ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered) => {
                self.broker_epoch = None;
                self.set_fenced(true, effects);
                self.stop_or_ask(tenure, effects);
            }
            BrokerAnswer::RegistrationMoved { registered } => {
                self.must_replace = Some(registered);
                self.stop_or_ask(tenure, effects);
            }
            BrokerAnswer::Refused(_) => {}
        }
        Ok(())
    }

    fn on_registered(
        &mut self,
        tenure: &LifecycleTenure,
        broker_epoch: BrokerEpoch,
        effects: &mut Vec<LifecycleEffect>,
    ) {
        self.broker_epoch = Some(broker_epoch);
        self.last_broker_epoch = self.broker_epoch;
        self.must_replace = None;
        effects.push(LifecycleEffect::Registered { broker_epoch });
        if self.stop_asked || self.has_caught_up() {
            self.ask(tenure, effects);
        }
    }

    /// A broker that has just seen its own registration need not wait for the timer to be unfenced (Q54).
    fn on_applied(
        &mut self,
        tenure: &LifecycleTenure,
        metadata_offset: Offset,
        effects: &mut Vec<LifecycleEffect>,
    ) {
        let behind = !self.has_caught_up();
        self.metadata_offset = self.metadata_offset.max(metadata_offset);
        if behind && self.has_caught_up() && self.fenced {
            self.ask(tenure, effects);
        }
    }

    fn has_caught_up(&self) -> bool {
        self.broker_epoch.is_some_and(|broker_epoch| self.metadata_offset.0 > broker_epoch.0)
    }

    /// Without a registration there is nobody to hand anything over for.
    fn stop_or_ask(&mut self, tenure: &LifecycleTenure, effects: &mut Vec<LifecycleEffect>) {
        if self.stop_asked && self.broker_epoch.is_none() {
            self.stop(effects);
        } else {
            self.ask(tenure, effects);
        }
    }

    fn stop(&mut self, effects: &mut Vec<LifecycleEffect>) {
        self.stopped = true;
        effects.push(LifecycleEffect::MayStop { broker_epoch: self.broker_epoch });
    }

    fn set_fenced(&mut self, fenced: bool, effects: &mut Vec<LifecycleEffect>) {
        if self.fenced != fenced {
            self.fenced = fenced;
            effects.push(LifecycleEffect::Fenced(fenced));
        }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
