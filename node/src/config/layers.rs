//! Where configuration values come from: flags, environment, file, defaults, in this order of precedence.
//!
//! Keeps the origin of each value. Leaves what the values mean to `config`.

use std::collections::BTreeMap;
use std::fmt;

use super::key::{self, KEYS, Key, Support, UNSUPPORTED};
use super::{Problem, Problems};

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere: the default holds.
    Default,
    /// In this file.
    File(String),
    /// In this environment variable.
    Environment(String),
    /// By `--set` on the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("flag --set"),
        }
    }
}

/// A value and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value as it was written.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

/// Environment variables of Kafka's container image that are no properties.
const NOT_PROPERTIES: &[&str] =
    &["KAFKA_VERSION", "KAFKA_OPTS", "KAFKA_HEAP_OPTS", "KAFKA_HOME", "KAFKA_CLASSPATH"];
const NOT_PROPERTY_PREFIXES: &[&str] =
    &["KAFKA_LOG4J", "KAFKA_TOOLS_LOG4J", "KAFKA_JMX", "KAFKA_JVM", "KAFKA_GC"];

/// Environment variables of the command line itself: twins of flags, not properties.
pub const COMMAND_LINE_VARIABLES: &[&str] = &[
    "HIGHWATER_BOOTSTRAP_SERVER",
    "HIGHWATER_COMMAND_CONFIG",
    "HIGHWATER_CONFIG",
    "HIGHWATER_TIMEOUT",
    "HIGHWATER_OUTPUT",
    "HIGHWATER_COLOR",
    "HIGHWATER_QUIET",
    "HIGHWATER_VERBOSE",
    "HIGHWATER_LOG",
    "HIGHWATER_LOG_FORMAT",
    "HIGHWATER_PLANT",
    "HIGHWATER_TRACE",
];

/// Variables that a process of a cluster on this machine takes over from whoever starts it. No other of ours: its
/// properties are in its file, and one that is meant for another node must not beat them.
const INHERITED: &[&str] = &["HIGHWATER_LOG", "HIGHWATER_LOG_FORMAT", "HIGHWATER_PLANT", "HIGHWATER_TRACE"];

/// Whether a variable is kept from the processes of a cluster on this machine.
#[must_use]
pub fn is_kept_from_children(variable: &str) -> bool {
    let ours = variable.starts_with("KAFKA_") || variable.starts_with("HIGHWATER_");
    ours && !INHERITED.contains(&variable)
}

/// Whether a variable is one of those that Kubernetes and Docker set for a service, such as `KAFKA_SERVICE_HOST` and
/// `KAFKA_PORT_9092_TCP` for one called `kafka`.
fn is_of_a_service(variable: &str) -> bool {
    let numbered = |(_, rest): (&str, &str)| rest.starts_with(|first: char| first.is_ascii_digit());
    variable.ends_with("_SERVICE_HOST")
        || variable.ends_with("_PORT")
        || variable.contains("_SERVICE_PORT_")
        || variable.split_once("_PORT_").is_some_and(numbered)
}

/// Settings by key, the layer with the highest precedence winning.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    settings: BTreeMap<&'static str, Setting>,
    /// Settings that take no effect, in words.
    pub warnings: Vec<String>,
    /// Settings that are refused.
    pub problems: Problems,
}

impl Layers {
    /// Adds the settings of one source. Sources may come in any order; precedence is by [`Origin`].
    pub fn add(&mut self, settings: impl IntoIterator<Item = (String, Setting)>) {
        for (name, setting) in settings {
            self.add_one(&name, setting);
        }
    }

    /// Adds the `KAFKA_…` and `HIGHWATER_…` variables of the environment.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in variables {
            if let Some(name) = property_of(&variable) {
                self.add_one(&name, Setting { value, origin: Origin::Environment(variable) });
            }
        }
    }

    /// Adds `name=value` pairs of `--set`.
    pub fn add_flags<'a>(&mut self, pairs: impl IntoIterator<Item = &'a str>) {
        for pair in pairs {
            match pair.split_once('=') {
                Some((name, value)) => {
                    self.add_one(
                        name.trim(),
                        Setting { value: value.trim().to_owned(), origin: Origin::Flag },
                    );
                }
                None => self.problems.push(Problem::new(pair, "is not name=value", "write --set name=value")),
            }
        }
    }

    fn add_one(&mut self, name: &str, setting: Setting) {
        let Some(found) = key::find(name) else { return self.add_unknown(name, &setting) };
        if found.support == Support::Accepted {
            self.warnings.push(format!("{name} ({}) is accepted but has no effect yet", setting.origin));
        }
        let target = if let Support::AliasOf(of) = found.support { of } else { found.name };
        match self.settings.get(target) {
            Some(present) if present.origin > setting.origin => {}
            Some(present) if present.origin == setting.origin && present.value != setting.value => {
                let seen = format!("is set twice, to {:?} and {:?}", present.value, setting.value);
                self.problems.push(Problem::new(target, seen, "keep one of the two"));
            }
            _ => {
                self.settings.insert(target, setting);
            }
        }
    }

    fn add_unknown(&mut self, name: &str, setting: &Setting) {
        if UNSUPPORTED.contains(&name) {
            self.warnings
                .push(format!("{name} ({}) is a Kafka property that Highwater ignores", setting.origin));
            return;
        }
        let known = KEYS.iter().map(|key| key.name).chain(UNSUPPORTED.iter().copied());
        let hint = match key::nearest(name, known) {
            Some(near) => format!("did you mean {near}?"),
            None => "docs/CONFIGURATION.md lists every property".to_owned(),
        };
        self.problems.push(Problem::new(name, format!("is not a known property ({})", setting.origin), hint));
    }

    /// What holds for this key: what was set, or the default.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Setting> {
        let default =
            || key.default.map(|value| Setting { value: value.to_owned(), origin: Origin::Default });
        self.settings.get(key.name).cloned().or_else(default)
    }
}

/// The property that an environment variable names, by the convention of Kafka's container image: `_` for a dot, `__` for
/// an underscore, `___` for a dash. `None` for a variable that is none of ours.
fn property_of(variable: &str) -> Option<String> {
    let ours = COMMAND_LINE_VARIABLES.contains(&variable)
        || NOT_PROPERTIES.contains(&variable)
        || NOT_PROPERTY_PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
        || is_of_a_service(variable);
    if ours {
        return None;
    }
    let rest = variable.strip_prefix("KAFKA_").or_else(|| variable.strip_prefix("HIGHWATER_"))?;
    Some(
        rest.to_ascii_lowercase()
            .replace("___", "-")
            .replace("__", "\u{0}")
            .replace('_', ".")
            .replace('\u{0}', "_"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(layers: &Layers, name: &str) -> Option<(String, Origin)> {
        key::find(name).and_then(|key| layers.get(key)).map(|setting| (setting.value, setting.origin))
    }

    fn file(name: &str, value: &str) -> (String, Setting) {
        (name.to_owned(), Setting { value: value.to_owned(), origin: Origin::File("f".to_owned()) })
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let mut layers = Layers::default();
        assert_eq!(value(&layers, "num.partitions"), Some(("1".to_owned(), Origin::Default)));

        layers.add_flags(["num.partitions=4"]);
        layers.add([file("num.partitions", "2"), file("min.insync.replicas", "2")]);
        layers.add_environment([
            ("KAFKA_NUM_PARTITIONS".to_owned(), "3".to_owned()),
            ("HIGHWATER_MIN_INSYNC_REPLICAS".to_owned(), "3".to_owned()),
        ]);

        assert_eq!(value(&layers, "num.partitions"), Some(("4".to_owned(), Origin::Flag)));
        let from = Origin::Environment("HIGHWATER_MIN_INSYNC_REPLICAS".to_owned());
        assert_eq!(value(&layers, "min.insync.replicas"), Some(("3".to_owned(), from)));
        assert!(layers.problems.is_empty());
    }

    #[test]
    fn an_unknown_property_is_refused_with_what_was_meant() {
        let mut layers = Layers::default();

        layers.add_flags(["min.insync.replica=2"]);

        let problem = layers.problems.0.first().expect("one problem");
        assert_eq!(problem.hint, "did you mean min.insync.replicas?");
    }

    #[test]
    fn a_kafka_property_without_effect_is_a_warning() {
        let mut layers = Layers::default();

        layers.add([file("num.io.threads", "8"), file("log.retention.hours", "1")]);

        assert_eq!(layers.warnings.len(), 2);
        assert!(layers.problems.is_empty());
    }

    #[test]
    fn both_spellings_of_an_id_may_not_disagree() {
        let mut layers = Layers::default();

        layers.add([file("node.id", "1"), file("broker.id", "2")]);

        assert_eq!(layers.problems.0.len(), 1);
    }

    #[test]
    fn variables_of_the_image_and_of_the_command_line_are_no_properties() {
        assert_eq!(property_of("KAFKA_HEAP_OPTS"), None);
        assert_eq!(property_of("HIGHWATER_BOOTSTRAP_SERVER"), None);
        assert_eq!(property_of("PATH"), None);
        for of_a_service in
            ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_QUIC", "PORT", "PORT_9092_TCP_ADDR"]
        {
            assert_eq!(property_of(&format!("HIGHWATER_{of_a_service}")), None);
        }
        assert_eq!(property_of("KAFKA_A_B__C___D"), Some("a.b_c-d".to_owned()));
    }
}
