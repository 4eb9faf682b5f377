//! How much of each kind of event a search of the replication world may spend.

use std::fmt;
use std::str::FromStr;

use highwater_model::api::Acks;
use highwater_model::replication::{FlushPolicy, REPLICAS_MAX};

use super::aside::Aside;
use super::reduce::Reductions;
use crate::bounds::BoundsError;

crate::bounds! {
    /// Bounds of the replication world.
    pub struct Bounds {
        /// Brokers, each with a replica of the one partition
        brokers("brokers"): u8 = 3,
        /// Records that clients produce
        records("records"): u8 = 1,
        /// Fences of running brokers: elections that no kill forces
        elections("elections"): u8 = 0,
        /// Expiries of a follower's lag timer at a leader
        shrinks("shrinks"): u8 = 0,
        /// Killed processes: what was written is kept
        kills("kills"): u8 = 0,
        /// Power losses: of what was not synced any prefix is kept
        power_losses("power-losses"): u8 = 0,
        /// Writes that find no room
        full_disks("full-disks"): u8 = 0,
        /// Controlled shutdowns
        shutdowns("shutdowns"): u8 = 0,
        /// Disks that are put back as they were when their broker last stopped under control: of flush=os alone
        restores("restores"): u8 = 0,
        /// Expiries of a leader's wait for the answer to a proposal
        timeouts("timeouts"): u8 = 0,
        /// Repetitions of a produce by its client; above 0 the producer is idempotent
        retries("retries"): u8 = 0,
        /// Deletions of whatever is committed at a replica: by retention, or by a client
        deletes("deletes"): u8 = 0,
        /// Changes of min.insync.replicas, between what it is at the start and one, or two if it is one
        configs("configs"): u8 = 0,
        /// Proposals that reach a controller of before, which knows nothing that was decided since the start
        deposed("deposed"): u8 = 0,
        /// Fetches and answers in flight per follower up to which it repeats a fetch
        in_flight("in-flight"): u8 = 2,
        /// When a record counts as held: commit or os
        flush("flush"): Flush = Flush(FlushPolicy::Commit),
        /// min.insync.replicas; 0 for two, or one with one broker
        min_isr("min-isr"): u8 = 0,
        /// Members of the ISR at the start; 0 for all
        isr("isr"): u8 = 0,
        /// Whether a write ends apart from the step that submits it (apart), or with it (at-once)
        writes("writes"): Writes = Writes::Apart,
        /// Whether a sync ends at any later moment (apart), before its broker does anything else (in-turn), or at-once
        syncs("syncs"): Syncs = Syncs::Apart,
        /// When a fenced broker is heard from again: at any later moment (apart), or once it has applied all metadata, before it does anything else (in-turn)
        heartbeats("heartbeats"): Heartbeats = Heartbeats::Apart,
        /// Whether a leader may apply later what it knows already from the answer to its proposal; else it does so at once
        known_views_wait("known-views-wait"): bool = true,
        /// What is left out because nothing can come of it: all, none, some (dead+told+views+waits+past+syncs+parked+proposals), or all but one (-dead)
        reduce("reduce"): Reductions = Reductions::ALL,
        /// Whether followers are interchangeable once nobody can be elected any more
        symmetry("symmetry"): bool = true,
        /// When producers are answered: all or one
        acks("acks"): Answered = Answered(Acks::All),
        /// Claims that are not judged while a bug is planted, which shows by them first (well_formed+strong_isr); or nothing
        aside("aside"): Aside = Aside::NOTHING,
    }
    where possible
}

fn possible(bounds: &Bounds) -> Result<(), BoundsError> {
    BoundsError::within("brokers", bounds.brokers.into(), 1, REPLICAS_MAX.into())?;
    BoundsError::within("min-isr", bounds.min_isr.into(), 0, REPLICAS_MAX.into())?;
    if bounds.restores > 0 && bounds.flush.0 == FlushPolicy::Commit {
        // A log under flush=commit is taken for kept wherever its directory is (R60).
        return Err(BoundsError::impossible("a disk that is put back is noticed under flush=os alone"));
    }
    BoundsError::within("records", bounds.records.into(), 0, 200)
}

impl Bounds {
    /// The configured `min.insync.replicas`.
    #[must_use]
    pub fn configured_min_isr(&self) -> u8 {
        if self.min_isr == 0 { self.brokers.min(2) } else { self.min_isr }
    }

    /// What `min.insync.replicas` may be changed to when it is `now`.
    #[must_use]
    pub fn other_min_isr(&self, now: u8) -> u8 {
        let other = if self.configured_min_isr() == 1 { 2 } else { 1 };
        if now == other { self.configured_min_isr() } else { other }
    }

    /// The least `min.insync.replicas` that a promise may have rested on.
    #[must_use]
    pub fn least_min_isr(&self) -> u8 {
        if self.configs > 0 { 1 } else { self.configured_min_isr() }
    }

    /// Members of the ISR at the start.
    #[must_use]
    pub fn isr_at_start(&self) -> u8 {
        if self.isr == 0 { self.brokers } else { self.isr.min(self.brokers) }
    }
}

/// A flush policy as a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush(pub FlushPolicy);

impl fmt::Display for Flush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            FlushPolicy::Os => "os",
            FlushPolicy::Commit => "commit",
        })
    }
}

impl FromStr for Flush {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "os" => Ok(Self(FlushPolicy::Os)),
            "commit" => Ok(Self(FlushPolicy::Commit)),
            _ => Err(()),
        }
    }
}

/// When a sync ends, as a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncs {
    /// At any later moment, or never.
    Apart,
    /// At any later moment until its broker does anything else, to apply metadata included: fewer states, and still the
    /// others may hear of a log before they hear that it is synced.
    InTurn,
    /// At once: fewer states still, and nobody hears of a log that is not synced.
    AtOnce,
}

impl fmt::Display for Syncs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apart => "apart",
            Self::InTurn => "in-turn",
            Self::AtOnce => "at-once",
        })
    }
}

impl FromStr for Syncs {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "apart" => Ok(Self::Apart),
            "in-turn" => Ok(Self::InTurn),
            "at-once" => Ok(Self::AtOnce),
            _ => Err(()),
        }
    }
}

/// When a write ends, as a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// At any later moment, or never.
    Apart,
    /// At once, as most do: fewer states, and no log with a tail that the kernel does not hold.
    AtOnce,
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apart => "apart",
            Self::AtOnce => "at-once",
        })
    }
}

impl FromStr for Writes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "apart" => Ok(Self::Apart),
            "at-once" => Ok(Self::AtOnce),
            _ => Err(()),
        }
    }
}

/// When a fenced broker is heard from again, as a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeats {
    /// At any later moment, or never.
    Apart,
    /// Not before it has applied all metadata, and then at any later moment until it does anything else: fewer states, and still
    /// a broker stays fenced for as long as it is behind, and whatever others do meanwhile.
    InTurn,
}

impl fmt::Display for Heartbeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apart => "apart",
            Self::InTurn => "in-turn",
        })
    }
}

impl FromStr for Heartbeats {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "apart" => Ok(Self::Apart),
            "in-turn" => Ok(Self::InTurn),
            _ => Err(()),
        }
    }
}

/// What a producer waits for, as a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered(pub Acks);

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Acks::None => "none",
            Acks::Leader => "one",
            Acks::All => "all",
        })
    }
}

impl FromStr for Answered {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "none" => Ok(Self(Acks::None)),
            "one" => Ok(Self(Acks::Leader)),
            "all" => Ok(Self(Acks::All)),
            _ => Err(()),
        }
    }
}
