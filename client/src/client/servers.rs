//! Which servers were silent lately: whom to ask last.
//!
//! Remembers what came of questions; leaves asking to `client`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_transport::env::Instant;
use highwater_transport::identity::Expect;

/// How long a server that was silent is asked after the others.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// When which addresses last gave no answer, of those that have given none since.
#[derive(Debug, Default)]
pub(super) struct Servers {
    silent: Mutex<BTreeMap<String, Instant>>,
}

impl Servers {
    pub(super) fn note_answer(&self, address: &str) {
        self.silent().remove(address);
    }

    pub(super) fn note_silence(&self, address: &str, now: Instant) {
        let mut silent = self.silent();
        silent.retain(|_, at| now.since(*at) < SILENT_FOR);
        silent.insert(address.to_owned(), now);
    }

    pub(super) fn is_silent(&self, address: &str, now: Instant) -> bool {
        self.silent().get(address).is_some_and(|at| now.since(*at) < SILENT_FOR)
    }

    /// The places of all addresses in the order in which to ask: from the one at `turn` on, and round, but those that were
    /// silent lately last.
    pub(super) fn order(&self, addresses: &[(String, Expect)], turn: usize, now: Instant) -> Vec<usize> {
        let mut places: Vec<usize> = (0..addresses.len()).collect();
        places.rotate_left(turn.checked_rem(addresses.len()).unwrap_or_default());
        places.sort_by_key(|place| addresses.get(*place).is_some_and(|(at, _)| self.is_silent(at, now)));
        places
    }

    fn silent(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_take_turns_and_those_that_were_silent_lately_come_last() {
        let addresses: Vec<_> = ["a", "b", "c"].map(|at| (at.to_owned(), Expect::AnyBroker)).into();
        let (servers, now) = (Servers::default(), Instant::since_origin(Duration::from_secs(60)));
        assert_eq!(servers.order(&addresses, 4, now), [1, 2, 0]);

        servers.note_silence("b", now);
        servers.note_silence("c", now);
        servers.note_answer("c");

        assert_eq!(servers.order(&addresses, 4, now), [2, 0, 1]);
        assert_eq!(servers.order(&addresses, 4, now + SILENT_FOR), [1, 2, 0]);
        assert_eq!(servers.order(&[], 4, now), [0; 0]);
    }
}
