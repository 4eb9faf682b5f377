//! Topic configuration: Kafka's property names, their legal values, their defaults.
//!
//! Values come and go as text and are kept as numbers, so that an image is small. There are no broker-level overrides
//! of what leader and controller must agree on (B-14).

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::replication::FlushPolicy;

/// Effective min.insync.replicas: what is configured, at most the number of replicas, at least one (R4). The one place
/// where it is computed.
#[must_use]
pub fn effective_min_isr(configured: u16, replicas: u8) -> u8 {
    u8::try_from(configured).unwrap_or(u8::MAX).min(replicas).max(1)
}

/// A property that can be set on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConfigKey {
    /// How many replicas must be in sync for acks=all.
    MinInsyncReplicas,
    /// What a replica may count: what the kernel holds, or what has been synced (X13a).
    FlushPolicy,
    /// Whether a replica that may lack committed records may be elected (R53).
    UncleanLeaderElection,
    /// Size at which a segment is closed, in bytes.
    SegmentBytes,
    /// Age at which a closed segment is deleted, in ms; `-1` for never.
    RetentionMs,
    /// Size of a partition above which its oldest segments are deleted, in bytes; `-1` for none.
    RetentionBytes,
    /// Largest record batch, in bytes.
    MaxMessageBytes,
    /// What happens to old records.
    CleanupPolicy,
}

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CleanupPolicy {
    /// Old segments are deleted.
    Delete,
    /// The newest record of each key is kept.
    Compact,
    /// Both.
    CompactDelete,
}

/// A property is unknown, or its value is not legal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConfigError {
    /// The property as it was given.
    pub name: String,
    /// The value as it was given.
    pub value: String,
    /// What is legal; `None` when the property is unknown.
    pub expected: Option<String>,
}

impl core::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, expected } = self;
        match expected {
            Some(expected) => write!(f, "{name}={value} is not legal; give {expected}"),
            None => {
                write!(f, "there is no topic property {name:?}; known are")?;
                ConfigKey::ALL.iter().try_for_each(|key| write!(f, " {}", key.name()))
            }
        }
    }
}

/// How a property's text reads.
enum Syntax {
    /// A whole number within these bounds, inclusive.
    Number(i64, i64),
    /// One of these words; the number kept is the place.
    Words(&'static [&'static str]),
}

impl ConfigKey {
    /// Every property.
    pub const ALL: &'static [Self] = &[
        Self::MinInsyncReplicas,
        Self::FlushPolicy,
        Self::UncleanLeaderElection,
        Self::SegmentBytes,
        Self::RetentionMs,
        Self::RetentionBytes,
        Self::MaxMessageBytes,
        Self::CleanupPolicy,
    ];

    /// Kafka's property name (`flush.policy` is Highwater's own).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MinInsyncReplicas => "min.insync.replicas",
            Self::FlushPolicy => "flush.policy",
            Self::UncleanLeaderElection => "unclean.leader.election.enable",
            Self::SegmentBytes => "segment.bytes",
            Self::RetentionMs => "retention.ms",
            Self::RetentionBytes => "retention.bytes",
            Self::MaxMessageBytes => "max.message.bytes",
            Self::CleanupPolicy => "cleanup.policy",
        }
    }

    /// The property of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name() == name)
    }

    const fn syntax(self) -> Syntax {
        match self {
            Self::MinInsyncReplicas => Syntax::Number(1, 32),
            Self::FlushPolicy => Syntax::Words(&["os", "commit"]),
            Self::UncleanLeaderElection => Syntax::Words(&["false", "true"]),
            Self::SegmentBytes => Syntax::Number(4096, 1 << 30),
            Self::RetentionMs | Self::RetentionBytes => Syntax::Number(-1, i64::MAX),
            // An answer of 32 MiB that takes one more batch must fit into a frame of 64 MiB.
            Self::MaxMessageBytes => Syntax::Number(256, 32 << 20),
            Self::CleanupPolicy => Syntax::Words(&["delete", "compact", "compact,delete"]),
        }
    }

    const fn default_value(self) -> i64 {
        match self {
            Self::MinInsyncReplicas | Self::FlushPolicy => 1,
            Self::UncleanLeaderElection | Self::CleanupPolicy => 0,
            Self::SegmentBytes => 1 << 30,
            Self::RetentionMs => 7 * 24 * 3_600_000,
            Self::RetentionBytes => -1,
            Self::MaxMessageBytes => 1_048_588,
        }
    }

    fn parse(self, text: &str) -> Option<i64> {
        match self.syntax() {
            Syntax::Number(least, most) => text.parse().ok().filter(|number| (least..=most).contains(number)),
            Syntax::Words(words) => {
                let place = words.iter().position(|word| *word == text)?;
                i64::try_from(place).ok()
            }
        }
    }

    fn print(self, value: i64) -> String {
        match self.syntax() {
            Syntax::Number(..) => value.to_string(),
            Syntax::Words(words) => {
                let word = usize::try_from(value).ok().and_then(|place| words.get(place));
                word.map_or_else(|| value.to_string(), ToString::to_string)
            }
        }
    }

    fn expected(self) -> String {
        match self.syntax() {
            Syntax::Number(least, most) => alloc::format!("a whole number from {least} to {most}"),
            Syntax::Words(words) => alloc::format!("one of {}", words.join(" | ")),
        }
    }
}

/// What was set on one topic; everything else has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TopicConfig {
    /// Sorted by key.
    set: SmallVec<[(ConfigKey, i64); 1]>,
}

impl TopicConfig {
    /// Sets or unsets one property.
    ///
    /// # Errors
    /// When there is no such property, or the value is not legal.
    pub fn change(&mut self, name: &str, value: Option<&str>) -> Result<(), ConfigError> {
        let error =
            |expected| ConfigError { name: name.into(), value: value.unwrap_or_default().into(), expected };
        let key = ConfigKey::by_name(name).ok_or_else(|| error(None))?;
        let place = self.set.binary_search_by_key(&key, |(key, _)| *key);
        let Some(text) = value else {
            if let Ok(at) = place {
                self.set.remove(at);
            }
            return Ok(());
        };
        let number = key.parse(text).ok_or_else(|| error(Some(key.expected())))?;
        match place.map(|at| self.set.get_mut(at)) {
            Ok(slot) => *slot.expect("a search gives a place that is there") = (key, number),
            Err(at) => self.set.insert(at, (key, number)),
        }
        Ok(())
    }

    /// What was set, as text, sorted by property.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.set.iter().map(|(key, value)| (key.name(), key.print(*value)))
    }

    /// The value of a property as text, and whether it was set on the topic.
    #[must_use]
    pub fn describe(&self, key: ConfigKey) -> (String, bool) {
        (key.print(self.value(key)), self.set.iter().any(|(set, _)| *set == key))
    }

    fn value(&self, key: ConfigKey) -> i64 {
        let set = self.set.iter().find(|(set, _)| *set == key);
        set.map_or_else(|| key.default_value(), |(_, value)| *value)
    }

    /// `min.insync.replicas` as configured; see [`effective_min_isr`].
    #[must_use]
    pub fn min_insync_replicas(&self) -> u16 {
        u16::try_from(self.value(ConfigKey::MinInsyncReplicas)).unwrap_or(u16::MAX)
    }

    /// `flush.policy`.
    #[must_use]
    pub fn flush_policy(&self) -> FlushPolicy {
        if self.value(ConfigKey::FlushPolicy) == 0 { FlushPolicy::Os } else { FlushPolicy::Commit }
    }

    /// `unclean.leader.election.enable`.
    #[must_use]
    pub fn unclean_leader_election(&self) -> bool {
        self.value(ConfigKey::UncleanLeaderElection) != 0
    }

    /// `segment.bytes`.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.value(ConfigKey::SegmentBytes).unsigned_abs()
    }

    /// `retention.ms`, or `None` for no limit.
    #[must_use]
    pub fn retention_ms(&self) -> Option<u64> {
        u64::try_from(self.value(ConfigKey::RetentionMs)).ok()
    }

    /// `retention.bytes`, or `None` for no limit.
    #[must_use]
    pub fn retention_bytes(&self) -> Option<u64> {
        u64::try_from(self.value(ConfigKey::RetentionBytes)).ok()
    }

    /// `max.message.bytes`.
    #[must_use]
    pub fn max_message_bytes(&self) -> u32 {
        u32::try_from(self.value(ConfigKey::MaxMessageBytes)).unwrap_or(u32::MAX)
    }

    /// `cleanup.policy`.
    #[must_use]
    pub fn cleanup_policy(&self) -> CleanupPolicy {
        match self.value(ConfigKey::CleanupPolicy) {
            0 => CleanupPolicy::Delete,
            1 => CleanupPolicy::Compact,
            _ => CleanupPolicy::CompactDelete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_minimum_is_within_one_and_the_replicas() {
        assert_eq!(effective_min_isr(2, 3), 2);
        assert_eq!(effective_min_isr(2, 1), 1);
        assert_eq!(effective_min_isr(0, 3), 1);
        assert_eq!(effective_min_isr(700, 3), 3);
    }

    #[test]
    fn a_property_set_and_unset_leaves_no_trace() {
        let mut config = TopicConfig::default();
        config.change("min.insync.replicas", Some("2")).unwrap();
        config.change("flush.policy", Some("os")).unwrap();

        assert_eq!((config.min_insync_replicas(), config.flush_policy()), (2, FlushPolicy::Os));
        config.change("min.insync.replicas", None).unwrap();
        config.change("flush.policy", None).unwrap();
        assert_eq!(config, TopicConfig::default());
        assert_eq!(config.flush_policy(), FlushPolicy::Commit);
    }

    #[test]
    fn an_illegal_value_is_refused_with_what_is_legal() {
        let mut config = TopicConfig::default();
        let unknown = config.change("min.insync", Some("2")).unwrap_err();
        let illegal = config.change("flush.policy", Some("never")).unwrap_err();

        assert_eq!(unknown.expected, None);
        assert_eq!(illegal.to_string(), "flush.policy=never is not legal; give one of os | commit");
        // What no answer could carry beside others.
        assert!(config.change("max.message.bytes", Some("33554433")).is_err());
        assert_eq!(config, TopicConfig::default());
    }

    #[test]
    fn what_was_not_set_has_its_default_and_says_so() {
        let mut config = TopicConfig::default();
        let values = ["1", "commit", "false", "1073741824", "604800000", "-1", "1048588", "delete"];
        for (key, value) in ConfigKey::ALL.iter().zip(values) {
            assert_eq!(config.describe(*key), (value.to_string(), false), "{key:?}");
        }
        config.change("cleanup.policy", Some("compact")).unwrap();

        assert_eq!(config.describe(ConfigKey::CleanupPolicy), ("compact".to_string(), true));
        assert_eq!(config.describe(ConfigKey::FlushPolicy), ("commit".to_string(), false));
        let entries: alloc::vec::Vec<_> = config.entries().collect();
        assert_eq!(entries, [("cleanup.policy", "compact".to_string())]);
    }

    #[test]
    fn a_property_is_read_as_it_was_set() {
        let mut config = TopicConfig::default();
        let read = |config: &TopicConfig| {
            (
                config.segment_bytes(),
                config.retention_ms(),
                config.retention_bytes(),
                config.max_message_bytes(),
            )
        };
        assert_eq!(read(&config), (1 << 30, Some(604_800_000), None, 1_048_588));
        assert_eq!(
            (config.cleanup_policy(), config.unclean_leader_election()),
            (CleanupPolicy::Delete, false)
        );
        let set = [
            ("segment.bytes", "4096"),
            ("retention.ms", "-1"),
            ("retention.bytes", "9"),
            ("max.message.bytes", "256"),
            ("cleanup.policy", "compact"),
            ("unclean.leader.election.enable", "true"),
        ];
        set.iter().for_each(|(name, value)| config.change(name, Some(value)).unwrap());

        assert_eq!(read(&config), (4096, None, Some(9), 256));
        assert_eq!(
            (config.cleanup_policy(), config.unclean_leader_election()),
            (CleanupPolicy::Compact, true)
        );
        config.change("cleanup.policy", Some("compact,delete")).unwrap();
        assert_eq!(config.cleanup_policy(), CleanupPolicy::CompactDelete);
    }

    #[test]
    fn the_ends_of_a_range_are_legal_and_what_is_beyond_is_not() {
        let legal = |name: &str, value: &str| TopicConfig::default().change(name, Some(value)).is_ok();
        let ends = [
            ("min.insync.replicas", ["1", "32"], ["0", "33"]),
            ("segment.bytes", ["4096", "1073741824"], ["4095", "1073741825"]),
            ("max.message.bytes", ["256", "33554432"], ["255", "33554433"]),
            ("retention.ms", ["-1", "9223372036854775807"], ["-2", "9223372036854775808"]),
        ];
        for (name, within, beyond) in ends {
            assert!(within.iter().all(|value| legal(name, value)), "{name}");
            assert!(!beyond.iter().any(|value| legal(name, value)), "{name}");
        }
    }
}
