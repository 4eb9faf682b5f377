//! For how long nothing succeeded, and how soon something did once everything was mended.

use serde::{Deserialize, Serialize};

use crate::history::{Acks, Actor, FaultStep, Operation, Phase, What};

/// What clients had of the system: of operations that promise something. Sends that promise nothing prove nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Operations that took effect.
    pub succeeded: u64,
    /// The longest time between two successes, or from the first invocation to the first success, in nanoseconds.
    pub longest_gap_ns: u64,
    /// When that gap began, in nanoseconds since the beginning of the run.
    pub longest_gap_from_ns: u64,
    /// From when everything was mended to the next success, in nanoseconds; none if nothing was mended or none came.
    pub recovered_after_ns: Option<u64>,
    /// Whether everything was mended at the end.
    #[serde(default)]
    pub was_mended: bool,
}

/// Watches operations in the order in which they ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    found: Availability,
    first_invoked_ns: Option<u64>,
    last_success_ns: Option<u64>,
    healed_ns: Option<u64>,
}

impl Watch {
    /// Takes the next operation.
    pub fn take(&mut self, operation: &Operation) {
        match (&operation.what, operation.actor) {
            (What::Fault(fault), Actor::Nemesis) if fault.step == FaultStep::HealAll => {
                self.healed_ns = Some(operation.invoked_ns);
                self.found.was_mended = true;
                self.found.recovered_after_ns = None;
            }
            (What::Send(send), _) if send.acks != Acks::All => {}
            (What::Send(_) | What::Read(_) | What::Write(_) | What::CompareAndSet(_), Actor::Process(_)) => {
                self.tried(operation);
            }
            _ => {}
        }
    }

    fn tried(&mut self, operation: &Operation) {
        let first = *self.first_invoked_ns.get_or_insert(operation.invoked_ns);
        if operation.outcome != Phase::Ok {
            return;
        }
        self.found.succeeded += 1;
        let since = self.last_success_ns.replace(operation.completed_ns).unwrap_or(first);
        let gap = operation.completed_ns.saturating_sub(since);
        if gap > self.found.longest_gap_ns {
            self.found.longest_gap_ns = gap;
            self.found.longest_gap_from_ns = since;
        }
        if let Some(healed) = self.healed_ns
            && operation.invoked_ns >= healed
            && self.found.recovered_after_ns.is_none()
        {
            self.found.recovered_after_ns = Some(operation.completed_ns - healed);
        }
    }

    /// What was seen.
    #[must_use]
    pub fn finish(self) -> Availability {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Fault, Register, Send};

    fn write(invoked_ns: u64, completed_ns: u64, outcome: Phase) -> Operation {
        Operation {
            actor: Actor::Process(1),
            invoked: invoked_ns,
            completed: completed_ns,
            invoked_ns,
            completed_ns,
            outcome,
            what: What::Write(Register { key: 0, value: Some(1) }),
            error: None,
        }
    }

    fn healed(at_ns: u64) -> Operation {
        let what = What::Fault(Fault { kind: "all".into(), step: FaultStep::HealAll, detail: String::new() });
        Operation { actor: Actor::Nemesis, what, ..write(at_ns, at_ns, Phase::Ok) }
    }

    #[test]
    fn the_longest_gap_and_the_recovery_are_found() {
        let mut watch = Watch::default();
        for operation in [
            write(10, 20, Phase::Ok),
            write(20, 25, Phase::Fail),
            healed(50),
            write(30, 60, Phase::Ok),
            write(70, 75, Phase::Ok),
        ] {
            watch.take(&operation);
        }

        let expected = Availability {
            succeeded: 3,
            longest_gap_ns: 40,
            longest_gap_from_ns: 20,
            recovered_after_ns: Some(25),
            was_mended: true,
        };
        assert_eq!(watch.finish(), expected);
    }

    #[test]
    fn what_never_succeeds_never_recovers() {
        let mut watch = Watch::default();
        watch.take(&healed(5));
        watch.take(&write(10, 20, Phase::Info));

        assert_eq!(watch.finish(), Availability { was_mended: true, ..Availability::default() });
    }

    #[test]
    fn what_promises_nothing_proves_nothing() {
        let mut watch = Watch::default();
        let unpromised = What::Send(Send { acks: Acks::None, idempotent: false, records: Vec::new() });
        let promised = What::Send(Send { acks: Acks::All, idempotent: false, records: Vec::new() });
        watch.take(&Operation { what: unpromised, ..write(10, 20, Phase::Ok) });
        assert_eq!(watch.finish().succeeded, 0);

        watch.take(&Operation { what: promised, ..write(30, 40, Phase::Ok) });
        assert_eq!(watch.finish().succeeded, 1);
    }
}
