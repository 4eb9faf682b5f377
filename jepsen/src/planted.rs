//! Faults planted in simulated brokers, and how many seeds it takes until a run finds each: a harness that finds nothing is to
//! be believed only if it would.

use std::ops::ControlFlow;
use std::time::Duration;

use jepsen_judge::verdict::Validity;

use crate::campaign::{Campaign, Line};
use crate::cluster::simulated::{Identities, Plant};
use crate::nemesis::{Kind, Pace, Troubles};
use crate::run::Plan;
use crate::simulation::Scenario;
use crate::verdicts::JudgeError;
use crate::workload::{Work, log, register};

/// How long each seed has things go wrong.
const TIME: Duration = Duration::from_secs(60);

/// Brokers of each cluster.
const BROKERS: u8 = 3;

/// A fault, and where it must show.
#[derive(Clone, Debug)]
pub struct Planted {
    /// The fault in words.
    pub what: &'static str,
    /// The id of what is planted.
    pub id: &'static str,
    /// Names of anomalies, any of which is this fault's.
    pub shows_as: &'static [&'static str],
    work: fn() -> Work,
    kinds: &'static [Kind],
}

/// What came of the seeds of one fault.
#[derive(Clone, Debug)]
pub struct Sought {
    /// The first seed whose history showed the fault from the outside, if one did.
    pub found: Option<Line>,
    /// The first seed in which anything at all was wrong, runtime monitors of the brokers included.
    pub noticed: Option<Line>,
    /// How many seeds were run.
    pub seeds: u64,
}

fn records() -> Work {
    Work::Log(log::Plan::simulated())
}

fn registers() -> Work {
    Work::Register(register::Plan::default())
}

const LOST: &[&str] = &["lost-write", "unseen", "inconsistent-offsets"];

/// Every fault that is planted.
pub const ALL: &[Planted] = &[
    Planted::new("P-01", "acks=all is answered when the leader has appended", LOST, records),
    Planted::new("B-06", "the high watermark counts the committed in-sync replicas only", LOST, records)
        .under(&[Kind::Late, Kind::KillLeader, Kind::KillOne]),
    Planted::new("B-26", "any live replica may be elected", LOST, records),
    Planted::new(
        "lying-sync",
        "a sync ends and nothing is synced, and all machines lose power",
        LOST,
        records,
    ),
    Planted::new("B-53", "a deposed controller answers a linearizable read", &["nonlinearizable"], registers)
        .under(&[Kind::Late, Kind::PauseLeader, Kind::LeaderAlone]),
    Planted::new("B-01", "a follower cuts its log to its own high watermark", LOST, records),
    Planted::new("B-27c", "the leader remembers no batch of a producer", &["duplicate"], records),
    Planted::new("P-06", "a consumer is given records beyond the high watermark", LOST, records),
];

impl Planted {
    const fn new(
        id: &'static str,
        what: &'static str,
        shows_as: &'static [&'static str],
        work: fn() -> Work,
    ) -> Self {
        Self { what, id, shows_as, work, kinds: Kind::ALL }
    }

    /// Looked for among these kinds of fault alone.
    const fn under(self, kinds: &'static [Kind]) -> Self {
        Self { kinds, ..self }
    }

    /// Runs seeds from 0 on until one shows the fault, or `seeds_max` were run.
    ///
    /// # Errors
    /// If there is no such fault, no keys can be made, or a history cannot be judged: faults of the harness.
    pub fn seek(&self, seeds_max: u64, jobs: u16) -> Result<Sought, SeekError> {
        let identities = Identities::new(BROKERS).map_err(|error| SeekError::Keys(error.to_string()))?;
        let plant = Plant::parse(self.id).map_err(SeekError::NoSuchFault)?;
        let mut work = (self.work)();
        if let Work::Log(log) = &mut work {
            log.salvages = plant == Plant::LyingSync;
        }
        let troubles = Troubles { kinds: self.kinds.to_vec(), pace: Pace::default(), frail: None };
        let plan = Plan { seed: 0, time: TIME, troubles, work };
        let scenario = Scenario {
            plan,
            plant,
            rerun: format!("jepsen run --on sim --plant {}", self.id),
            keeps_evidence: false,
        };
        let campaign = Campaign { scenario, seeds: (0..seeds_max).collect(), jobs, verified_by: None };
        let mut sought = Sought { found: None, noticed: None, seeds: 0 };
        campaign.run(&identities, |_, line| {
            sought.seeds += 1;
            if sought.noticed.is_none() && line.validity == Validity::Invalid {
                sought.noticed = Some(line.clone());
            }
            if !self.is_named_by(line) {
                return ControlFlow::Continue(());
            }
            sought.found = Some(line.clone());
            ControlFlow::Break(())
        })?;
        Ok(sought)
    }

    /// Whether what was found in a seed is what this fault shows as.
    fn is_named_by(&self, line: &Line) -> bool {
        line.anomalies.keys().any(|name| self.shows_as.contains(&name.as_str()))
    }
}

/// Why a fault cannot be looked for.
#[derive(Debug, thiserror::Error)]
pub enum SeekError {
    /// Its id.
    #[error("{0}")]
    NoSuchFault(String),
    /// Certificates.
    #[error("no keys can be made: {0}")]
    Keys(String),
    /// A history.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}
