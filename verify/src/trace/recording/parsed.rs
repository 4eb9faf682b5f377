//! What a record holds, by the kind of the core that it is of.

use highwater_model::metadata;
use highwater_model::quorum;
use highwater_model::replication;
use highwater_model::trace::{Acted, Began, CoreNumber, Ended, Gap, Life, Step, kind};

use crate::trace::read::{Record, decode};

/// Which kind of core a number belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Replica,
    Quorum,
    Controller,
    Lifecycle,
}

impl Known {
    pub(super) const fn of(life: &Life) -> Self {
        match life {
            Life::Replica { .. } => Self::Replica,
            Life::Quorum { .. } => Self::Quorum,
            Life::Controller { .. } => Self::Controller,
            Life::Lifecycle { .. } => Self::Lifecycle,
        }
    }
}

/// A step or an act, of one kind of core.
pub(super) enum Entry<I, T> {
    Step(Box<Step<I>>),
    Act(Box<Acted<T>>),
}

/// What a record holds.
pub(super) enum Parsed {
    Began(Box<Began>),
    Replica(Entry<replication::Input, replication::Timer>),
    Quorum(Entry<quorum::Input, quorum::Timer>),
    Controller(Entry<metadata::Input, metadata::Timer>),
    Lifecycle(Entry<metadata::LifecycleInput, metadata::LifecycleTimer>),
    Gap(Gap),
    Ended(Ended),
    /// It can not be judged, or need not be.
    Passed {
        is_unjudged: bool,
    },
    Malformed(String),
}

/// What a record holds of which that core is judged; `None` if it is of one that cannot be judged.
pub(super) fn parse(record: &Record, judged: impl FnOnce(CoreNumber) -> Judged) -> Parsed {
    let parsed = match record.kind {
        kind::BEGAN => decode(record).map(|began| Parsed::Began(Box::new(began))),
        kind::STEP | kind::ACT => core(record).and_then(|core| match judged(core) {
            Judged::Unknown => Ok(Parsed::Passed { is_unjudged: true }),
            Judged::Spoilt => Ok(Parsed::Passed { is_unjudged: false }),
            Judged::As(Known::Replica) => entry(record).map(Parsed::Replica),
            Judged::As(Known::Quorum) => entry(record).map(Parsed::Quorum),
            Judged::As(Known::Controller) => entry(record).map(Parsed::Controller),
            Judged::As(Known::Lifecycle) => entry(record).map(Parsed::Lifecycle),
        }),
        kind::GAP => decode(record).map(Parsed::Gap),
        kind::ENDED => decode(record).map(Parsed::Ended),
        kind::CLOSED => Ok(Parsed::Passed { is_unjudged: false }),
        other => Err(format!("kind {other}, unknown to this build")),
    };
    parsed.unwrap_or_else(Parsed::Malformed)
}

/// Whether a core is judged.
pub(super) enum Judged {
    As(Known),
    /// Its beginning is missing.
    Unknown,
    /// Something was found of it already, and the rest of its life follows from that.
    Spoilt,
}

fn core(record: &Record) -> Result<CoreNumber, String> {
    let (core, _) = postcard::take_from_bytes(&record.body).map_err(|error| error.to_string())?;
    Ok(core)
}

fn entry<I, T>(record: &Record) -> Result<Entry<I, T>, String>
where
    I: serde::de::DeserializeOwned,
    T: serde::de::DeserializeOwned,
{
    match record.kind {
        kind::STEP => decode(record).map(|step| Entry::Step(Box::new(step))),
        _ => decode(record).map(|act| Entry::Act(Box::new(act))),
    }
}

impl Parsed {
    /// The core that it is of; 0 for none.
    pub(super) fn core(&self) -> CoreNumber {
        match self {
            Self::Replica(entry) => entry.core(),
            Self::Quorum(entry) => entry.core(),
            Self::Controller(entry) => entry.core(),
            Self::Lifecycle(entry) => entry.core(),
            Self::Began(began) => began.core,
            Self::Ended(ended) => ended.core,
            Self::Gap(_) | Self::Passed { .. } | Self::Malformed(_) => CoreNumber(0),
        }
    }

    /// The input or act, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Replica(entry) => entry.words(),
            Self::Quorum(entry) => entry.words(),
            Self::Controller(entry) => entry.words(),
            Self::Lifecycle(entry) => entry.words(),
            Self::Began(_) | Self::Gap(_) | Self::Ended(_) | Self::Passed { .. } | Self::Malformed(_) => {
                String::new()
            }
        }
    }
}

impl<I: std::fmt::Debug, T: std::fmt::Debug> Entry<I, T> {
    fn core(&self) -> CoreNumber {
        match self {
            Self::Step(step) => step.core,
            Self::Act(acted) => acted.core,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Step(step) => format!("{:?}", step.input),
            Self::Act(acted) => format!("{:?}", acted.act),
        }
    }
}
