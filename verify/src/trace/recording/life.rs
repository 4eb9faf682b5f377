//! The life of one core that is being replayed, whatever kind of core it is.

use highwater_model::trace::{Beginning, Life};

use crate::trace::controller::ControllerLife;
use crate::trace::edge::Wrong;
use crate::trace::encoded;
use crate::trace::lifecycle::LifecycleLife;
use crate::trace::quorum::QuorumLife;
use crate::trace::replica::ReplicaLife;

/// What the life of a core is replayed with.
pub(in crate::trace) enum Replayed {
    /// A replica of a partition.
    Replica(Box<ReplicaLife>),
    /// A member of the quorum.
    Quorum(Box<QuorumLife>),
    /// The controller upon it.
    Controller(Box<ControllerLife>),
    /// A broker's standing.
    Lifecycle(Box<LifecycleLife>),
}

impl Replayed {
    /// A life at its beginning, or in its midst.
    pub(super) fn begin(life: Life) -> Result<Self, Wrong> {
        match life {
            Life::Replica { tenure, from } => {
                ReplicaLife::begin(tenure, from).map(|life| Self::Replica(Box::new(life)))
            }
            Life::Quorum { tenure, from } => {
                QuorumLife::begin(tenure, from).map(|life| Self::Quorum(Box::new(life)))
            }
            Life::Controller { tenure, from } => {
                ControllerLife::begin(tenure, from).map(|life| Self::Controller(Box::new(life)))
            }
            Life::Lifecycle { tenure, from } => {
                LifecycleLife::begin(tenure, from).map(|life| Self::Lifecycle(Box::new(life)))
            }
        }
    }

    /// Its life ends in order.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        match self {
            Self::Replica(life) => life.book.end(),
            Self::Quorum(life) => life.book.end(),
            Self::Controller(life) => life.book.end(),
            Self::Lifecycle(life) => life.book.end(),
        }
    }

    /// A core that is shown in the midst of its life must be as it was replayed.
    pub(super) fn is_as(&self, shown: &Life) -> Result<(), Wrong> {
        let Some(recorded) = self.state_in(shown) else {
            return Err(Wrong {
                rule: "a core begins its life once",
                expected: "one beginning of each core".to_owned(),
                recorded: "another one".to_owned(),
            });
        };
        let (replayed, words) = self.state();
        if replayed == *recorded {
            return Ok(());
        }
        let recorded = format!("{} other bytes", recorded.len());
        Err(Wrong { rule: "a core is as its replay", expected: words(), recorded })
    }

    /// The state in a record that shows a core of the same kind.
    fn state_in<'a>(&self, shown: &'a Life) -> Option<&'a Vec<u8>> {
        let state = match (self, shown) {
            (Self::Replica(_), Life::Replica { from: Beginning::Shown(shown), .. })
            | (Self::Quorum(_), Life::Quorum { from: Beginning::Shown(shown), .. })
            | (Self::Controller(_), Life::Controller { from: Beginning::Shown(shown), .. })
            | (Self::Lifecycle(_), Life::Lifecycle { from: Beginning::Shown(shown), .. }) => &shown.state,
            _ => return None,
        };
        Some(state)
    }

    fn state(&self) -> (Vec<u8>, Box<dyn Fn() -> String + '_>) {
        match self {
            Self::Replica(life) => (encoded(&life.core), Box::new(|| format!("{:?}", life.core))),
            Self::Quorum(life) => (encoded(&life.core), Box::new(|| format!("{:?}", life.core))),
            Self::Controller(life) => (encoded(&life.core), Box::new(|| format!("{:?}", life.core))),
            Self::Lifecycle(life) => (encoded(&life.core), Box::new(|| format!("{:?}", life.core))),
        }
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Replica(life) => format!("replica of {}", life.tenure.partition),
            Self::Quorum(_) => "metadata quorum".to_owned(),
            Self::Controller(_) => "controller".to_owned(),
            Self::Lifecycle(_) => "lifecycle of the broker".to_owned(),
        }
    }
}
