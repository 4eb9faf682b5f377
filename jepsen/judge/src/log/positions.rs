//! How far each process has polled, which stretches of a log somebody has passed, and steps to be judged once the whole log
//! is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Actor, Assign, AssignFrom, SeenRecord};

/// A step forward over offsets that may all have been empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leap {
    pub(super) actor: Actor,
    pub(super) key: u32,
    /// The last offset read before, in this event; none if it began before the first one.
    pub(super) from: Option<(u64, u64)>,
    /// The next offset read, in this event.
    pub(super) to: (u64, u64),
    /// Whether both were in one poll.
    pub(super) is_internal: bool,
}

/// How one record follows another of the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is next, or the first.
    Next,
    /// It is beyond the next offset.
    Leap(Leap),
    /// It is not behind the last.
    Back(Leap),
}

/// Where a process is in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first offset that it has passed since it was assigned.
    first: u64,
    /// The last offset read, and in which event; none if it has read nothing yet.
    last: Option<(u64, u64)>,
}

impl Place {
    /// Everything before this offset was passed.
    fn end(&self) -> u64 {
        self.last.map_or(self.first, |(offset, _)| offset.saturating_add(1))
    }
}

/// What one process does.
#[derive(Clone, Debug, Default)]
struct Process {
    /// The keys that it polls, once it has assigned some.
    assigned: Option<BTreeSet<u32>>,
    places: BTreeMap<u32, Place>,
    /// The highest offset that it was ever given, and in which event.
    highest: BTreeMap<u32, (u64, u64)>,
}

/// Where all processes are, and what they have passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Polls {
    processes: BTreeMap<Actor, Process>,
    /// Stretches of logs that somebody has passed from one end to the other: the first offset, and the end, exclusive.
    passed: BTreeMap<u32, Vec<(u64, u64)>>,
}

impl Polls {
    /// A process polls other keys from here on.
    pub(super) fn assign(&mut self, actor: Actor, assign: &Assign) {
        let process = self.processes.entry(actor).or_default();
        let before = std::mem::take(&mut process.places);
        process.assigned = Some(assign.keys.iter().copied().collect());
        for key in &assign.keys {
            match (assign.from, before.get(key)) {
                (AssignFrom::Position, Some(place)) => drop(process.places.insert(*key, *place)),
                (AssignFrom::Position, None) | (AssignFrom::Beginning, _) => {
                    process.places.insert(*key, Place { first: 0, last: None });
                }
                (AssignFrom::End, _) => {}
            }
        }
        self.keep(&before);
    }

    /// A process does nothing any more.
    pub(super) fn retire(&mut self, actor: Actor) {
        if let Some(process) = self.processes.remove(&actor) {
            self.keep(&process.places);
        }
    }

    fn keep(&mut self, places: &BTreeMap<u32, Place>) {
        for (key, place) in places.iter().filter(|(_, place)| place.end() > place.first) {
            self.passed.entry(*key).or_default().push((place.first, place.end()));
        }
    }

    /// Whether a process may be given records of this key.
    pub(super) fn is_assigned(&self, actor: Actor, key: u32) -> bool {
        let assigned = self.processes.get(&actor).and_then(|process| process.assigned.as_ref());
        assigned.is_none_or(|keys| keys.contains(&key))
    }

    /// A process has polled a record in an event.
    pub(super) fn poll(&mut self, actor: Actor, record: SeenRecord, index: u64) -> Step {
        let (offset, to) = (record.offset, (record.offset, index));
        let process = self.processes.entry(actor).or_default();
        let highest = process.highest.entry(record.key).or_insert(to);
        *highest = to.max(*highest);
        let Some(place) = process.places.get_mut(&record.key) else {
            process.places.insert(record.key, Place { first: offset, last: Some(to) });
            return Step::Next;
        };
        let (next, from) = (place.end(), place.last.replace(to));
        let is_internal = from.is_some_and(|from| from.1 == index);
        let leap = Leap { actor, key: record.key, from, to, is_internal };
        match offset.cmp(&next) {
            std::cmp::Ordering::Equal => Step::Next,
            std::cmp::Ordering::Greater => Step::Leap(leap),
            std::cmp::Ordering::Less => Step::Back(leap),
        }
    }

    /// A process says that it has read a log from its beginning to this end; whether it has begun there.
    pub(super) fn drain(&mut self, actor: Actor, key: u32, end: u64) -> bool {
        let place = self.processes.get(&actor).and_then(|process| process.places.get(&key));
        // Who was given nothing may have begun anywhere: only nothing at all is as good as all of nothing.
        let from_beginning = place.map_or(end == 0, |place| place.first == 0);
        if from_beginning {
            self.passed.entry(key).or_default().push((0, end));
        }
        from_beginning
    }

    /// The highest offset of a log that a process was ever given, and in which event.
    pub(super) fn highest(&self, actor: Actor, key: u32) -> Option<(u64, u64)> {
        self.processes.get(&actor).and_then(|process| process.highest.get(&key)).copied()
    }

    /// Where a process is.
    pub(super) fn places_of(&self, actor: Actor) -> BTreeMap<u32, Place> {
        self.processes.get(&actor).map(|process| process.places.clone()).unwrap_or_default()
    }

    /// A process is where it was before.
    pub(super) fn go_back(&mut self, actor: Actor, places: BTreeMap<u32, Place>) {
        self.processes.entry(actor).or_default().places = places;
    }

    /// All stretches that somebody has passed, once nothing more comes.
    pub(super) fn passed(mut self) -> BTreeMap<u32, Passed> {
        let processes = std::mem::take(&mut self.processes);
        processes.values().for_each(|process| self.keep(&process.places));
        self.passed.into_iter().map(|(key, stretches)| (key, Passed::of(stretches))).collect()
    }
}

/// Stretches of one log that somebody has passed: none touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed(Vec<(u64, u64)>);

impl Passed {
    fn of(mut stretches: Vec<(u64, u64)>) -> Self {
        stretches.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (first, end) in stretches {
            match merged.last_mut() {
                Some(last) if first <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((first, end)),
            }
        }
        Self(merged)
    }

    /// Whether somebody passed this offset, and would have been given what is there.
    pub(super) fn holds(&self, offset: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= offset);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| offset < *end)
    }
}
