//! Website activity, made up from a seed: who looked at what, when, in which session. The same seed gives the same records.

use bytes::Bytes;

/// One record to produce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Decides its partition, if there is one.
    pub key: Option<Bytes>,
    /// What happened.
    pub value: Bytes,
}

/// The records of a run, by number; each can be made again to compare with what was consumed.
#[derive(Clone, Debug)]
pub enum Events {
    /// Made up from this seed; so many.
    Made {
        /// The seed.
        seed: u64,
        /// How many.
        count: u64,
    },
    /// The lines of a file.
    Lines(Vec<Bytes>),
}

const PAGES: [&str; 12] = [
    "/",
    "/search",
    "/products/7",
    "/products/42",
    "/products/1001",
    "/cart",
    "/checkout",
    "/account",
    "/help",
    "/blog",
    "/blog/how-logs-replicate",
    "/status",
];
const ACTIONS: [&str; 6] = ["view", "view", "view", "click", "scroll", "buy"];
const BROWSERS: [&str; 4] = ["firefox", "chrome", "safari", "curl"];
/// The first millisecond of the made-up day.
const DAY_START_MS: u64 = 1_767_225_600_000;

impl Events {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Made { count, .. } => *count,
            Self::Lines(lines) => lines.len() as u64,
        }
    }

    /// The record of this number.
    pub fn event(&self, number: u64) -> Option<Event> {
        match self {
            Self::Made { seed, count } => (number < *count).then(|| made(*seed, number)),
            Self::Lines(lines) => {
                let value = usize::try_from(number).ok().and_then(|at| lines.get(at))?;
                Some(Event { key: None, value: value.clone() })
            }
        }
    }
}

fn made(seed: u64, number: u64) -> Event {
    let mut dice = Dice::new(seed, number);
    let user = format!("user-{}", dice.roll(5_000));
    let session = dice.next();
    let value = format!(
        "{{\"event\":{number},\"at_ms\":{},\"user\":\"{user}\",\"session\":\"{session:016x}\",\"page\":\"{}\",\
         \"action\":\"{}\",\"browser\":\"{}\",\"took_ms\":{}}}",
        DAY_START_MS + number * 3 + dice.roll(3),
        dice.pick(&PAGES),
        dice.pick(&ACTIONS),
        dice.pick(&BROWSERS),
        dice.roll(900) + 20,
    );
    Event { key: Some(Bytes::from(user)), value: Bytes::from(value) }
}

/// Numbers that look random and depend on nothing but seed and stream (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(stream ^ 0x6869_6768_7761_7465);
        Self(seed ^ mixed.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`, which is at least 1.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        usize::try_from(self.roll(from.len() as u64)).ok().and_then(|at| from.get(at)).copied().unwrap_or("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_gives_the_same_records_and_another_gives_others() {
        let events = |seed| Events::Made { seed, count: 10 };

        assert_eq!(events(1).event(3), events(1).event(3));
        assert_ne!(events(1).event(3), events(2).event(3));
        assert_eq!(events(1).event(10), None);
    }

    #[test]
    fn every_record_is_json_and_differs_from_every_other() {
        let events = Events::Made { seed: 7, count: 1_000 };

        let values: BTreeSet<Bytes> =
            (0..1_000).filter_map(|number| events.event(number)).map(|e| e.value).collect();

        assert_eq!(values.len(), 1_000);
        assert!(values.iter().all(|value| serde_json::from_slice::<serde_json::Value>(value).is_ok()));
    }

    #[test]
    fn users_spread_over_the_partitions() {
        let events = Events::Made { seed: 7, count: 3_000 };
        let mut counts = [0u32; 3];
        for event in (0..3_000).filter_map(|number| events.event(number)) {
            let partition =
                highwater_client::partitioner::Partitioner::default().choose(event.key.as_deref(), 3);
            counts[partition as usize] += 1;
        }

        assert!(counts.iter().all(|count| *count > 700), "{counts:?}");
    }
}
