//! The second look: each operation around one moment, by process.

use std::collections::{BTreeMap, BTreeSet};

use jepsen_judge::history::{Actor, Operation, Phase};

use super::action::Action;
use super::crop::Crop;
use super::described;

/// The most operations that are drawn, beside those that are cited.
const BARS_MAX: usize = 2_000;

/// The most processes that are drawn, beside those of cited operations.
const LANES_MAX: usize = 48;

/// An operation as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// When it began.
    pub(super) from_ns: u64,
    /// When it ended; [`u64::MAX`] if it never did.
    pub(super) until_ns: u64,
    /// How it ended.
    pub(super) outcome: Phase,
    /// What it does.
    pub(super) action: Action,
    /// What it was, in words.
    pub(super) words: String,
    /// Whether one of its events shows an anomaly.
    pub(super) is_cited: bool,
}

/// The operations of each process within a crop.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    from_ns: u64,
    until_ns: u64,
    cited: BTreeSet<u64>,
    bars: usize,
    /// Operations by the number of their process.
    pub(super) by_process: BTreeMap<u32, Vec<Bar>>,
    /// How many operations are not drawn.
    pub(super) left_out: usize,
}

impl Lanes {
    /// Empty lanes for this part of a run.
    pub(super) fn of(crop: &Crop) -> Self {
        Self {
            from_ns: crop.from_ns,
            until_ns: crop.until_ns,
            cited: crop.cited.clone(),
            bars: 0,
            by_process: BTreeMap::new(),
            left_out: 0,
        }
    }

    /// Takes the next operation.
    pub(super) fn take(&mut self, operation: &Operation) {
        let Actor::Process(process) = operation.actor else { return };
        let Some(action) = Action::of(&operation.what) else { return };
        if operation.invoked_ns > self.until_ns || operation.completed_ns < self.from_ns {
            return;
        }
        let is_cited = self.cited.contains(&operation.invoked) || self.cited.contains(&operation.completed);
        if self.bars >= BARS_MAX && !is_cited {
            self.left_out += 1;
            return;
        }
        self.bars += 1;
        self.by_process.entry(process).or_default().push(Bar {
            from_ns: operation.invoked_ns,
            until_ns: operation.completed_ns,
            outcome: operation.outcome,
            action,
            words: described::operation(operation),
            is_cited,
        });
    }

    /// Leaves out processes that there is no room for.
    pub(super) fn finish(&mut self) {
        let mut room = LANES_MAX;
        let left_out = &mut self.left_out;
        self.by_process.retain(|_, bars| {
            let is_kept = bars.iter().any(|bar| bar.is_cited) || room > 0;
            room = room.saturating_sub(1);
            *left_out += if is_kept { 0 } else { bars.len() };
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use jepsen_judge::history::{Register, What};

    use super::super::crop::Focus;
    use super::*;

    fn lanes(cited: &[u64]) -> Lanes {
        Lanes::of(&Crop {
            focus: Focus::Beginning,
            at_ns: 100,
            to_ns: 100,
            from_ns: 100,
            until_ns: 200,
            cited: cited.iter().copied().collect(),
        })
    }

    fn write(process: u32, invoked_ns: u64, completed_ns: u64) -> Operation {
        Operation {
            actor: Actor::Process(process),
            invoked: invoked_ns,
            completed: completed_ns,
            invoked_ns,
            completed_ns,
            outcome: if completed_ns == u64::MAX { Phase::Info } else { Phase::Ok },
            what: What::Write(Register { key: 0, value: Some(1) }),
            error: None,
        }
    }

    #[test]
    fn what_touches_the_crop_is_drawn() {
        let mut lanes = lanes(&[150]);
        for operation in [
            write(1, 10, 99),
            write(1, 99, 100),
            write(2, 150, 160),
            write(3, 201, 300),
            write(4, 50, u64::MAX),
        ] {
            lanes.take(&operation);
        }
        lanes.finish();

        let drawn: Vec<_> = lanes
            .by_process
            .iter()
            .flat_map(|(process, bars)| bars.iter().map(|bar| (*process, bar.from_ns, bar.is_cited)))
            .collect();
        assert_eq!(drawn, [(1, 99, false), (2, 150, true), (4, 50, false)]);
        assert_eq!(lanes.left_out, 0);
    }

    #[test]
    fn there_is_always_room_for_what_is_cited() {
        let mut lanes = lanes(&[177]);
        for at in 0..BARS_MAX + 5 {
            lanes.take(&write(u32::try_from(at % 60).unwrap_or_default(), 150, 160));
        }
        lanes.take(&write(59, 177, 178));
        lanes.finish();

        assert_eq!(lanes.by_process.len(), LANES_MAX + 1);
        let drawn: usize = lanes.by_process.values().map(Vec::len).sum();
        assert_eq!(drawn + lanes.left_out, BARS_MAX + 6);
        assert!(lanes.by_process[&59].iter().any(|bar| bar.is_cited));
    }
}
