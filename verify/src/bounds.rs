//! Bounds of a world: how many brokers, records, faults and messages in flight the search may spend.
//!
//! A bound is a typed struct that prints itself and reads itself from `key=value` words, so that every claim of the
//! checker can be made beside the bounds that it was made for. The [`bounds!`](crate::bounds!) macro declares one.

use std::fmt::{Debug, Write as _};

/// The bounds of a world.
pub trait Bounds: Clone + Debug + PartialEq + Default + Send + Sync + 'static {
    /// Key and meaning of every field, in the order in which they print.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// Key and value of every field, in the order of [`Self::FIELDS`].
    fn pairs(&self) -> Vec<(&'static str, String)>;

    /// Sets one field.
    ///
    /// # Errors
    /// When there is no such key, or the value is not one of its kind.
    fn set(&mut self, key: &str, value: &str) -> Result<(), BoundsError>;

    /// Whether there is a world of these bounds.
    ///
    /// # Errors
    /// When there is none: no broker, or more than it has names for.
    fn check(&self) -> Result<(), BoundsError> {
        Ok(())
    }

    /// Sets each `key=value` of `words`.
    ///
    /// # Errors
    /// As [`Self::set`] and [`Self::check`], and when a word has no `=`.
    fn read<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Result<Self, BoundsError> {
        for word in words {
            let (key, value) =
                word.split_once('=').ok_or_else(|| BoundsError::new::<Self>(word, "a key=value"))?;
            self.set(key, value)?;
        }
        self.check()?;
        Ok(self)
    }

    /// All fields on one line, as `key=value` words that [`Self::read`] accepts.
    #[must_use]
    fn line(&self) -> String {
        let mut line = String::new();
        for (at, (key, value)) in self.pairs().into_iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(line, "{gap}{key}={value}").expect("writing to a string never fails");
        }
        line
    }
}

/// The bounds of a line of a sweep.
///
/// # Panics
/// When they are not well formed: a sweep is written by us.
#[must_use]
pub fn at<B: Bounds>(line: &str) -> B {
    B::default().read(line.split(' ')).expect("the bounds of a sweep are well formed")
}

/// A word that is no bound of this world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundsError(String);

impl BoundsError {
    /// An error that names what was seen, what was expected, and the keys that there are.
    #[must_use]
    pub fn new<B: Bounds>(seen: &str, expected: &str) -> Self {
        let keys: Vec<&str> = B::FIELDS.iter().map(|(key, _)| *key).collect();
        Self(format!("`{seen}` where {expected} was expected; the bounds are {}", keys.join(", ")))
    }

    /// Bounds of which there is no world.
    #[must_use]
    pub fn impossible(why: &str) -> Self {
        Self(why.to_owned())
    }

    /// Refuses bounds of which this number is not within these limits, both inclusive.
    ///
    /// # Errors
    /// When it is not.
    pub fn within(what: &str, number: u16, least: u16, most: u16) -> Result<(), Self> {
        if (least..=most).contains(&number) {
            return Ok(());
        }
        Err(Self(format!("{what} is {number}, and may be from {least} to {most}")))
    }
}

impl std::fmt::Display for BoundsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for BoundsError {}

/// Declares the bounds of a world: each field with its meaning, its `key`, its type (`FromStr + Display`) and default.
///
/// ```
/// highwater_verify::bounds! {
///     /// Bounds of an example.
///     pub struct Small {
///         /// Brokers in the cluster.
///         brokers("brokers"): u8 = 3,
///         /// Power losses in a run.
///         power_losses("power-losses"): u8 = 0,
///     }
/// }
/// use highwater_verify::bounds::Bounds;
/// assert_eq!(Small::default().line(), "brokers=3 power-losses=0");
/// assert_eq!(Small::default().read(["power-losses=1"]).expect("a bound").power_losses, 1);
/// ```
///
/// `where check` after the struct names a function that says of which bounds there is a world ([`Bounds::check`]).
#[macro_export]
macro_rules! bounds {
    ($(#[$doc:meta])* $vis:vis struct $name:ident {
        $(#[doc = $what:literal] $field:ident($key:literal): $kind:ty = $default:expr,)*
    } $(where $check:path)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name {
            $(#[doc = $what] $vis $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::bounds::Bounds for $name {
            const FIELDS: &'static [(&'static str, &'static str)] = &[$(($key, $what),)*];

            fn pairs(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, self.$field.to_string()),)*]
            }

            $(
                fn check(&self) -> Result<(), $crate::bounds::BoundsError> {
                    $check(self)
                }
            )?

            fn set(&mut self, key: &str, value: &str) -> Result<(), $crate::bounds::BoundsError> {
                match key {
                    $($key => {
                        let expected = concat!($key, "=", stringify!($kind));
                        self.$field = value
                            .parse()
                            .map_err(|_| $crate::bounds::BoundsError::new::<Self>(value, expected))?;
                    })*
                    _ => return Err($crate::bounds::BoundsError::new::<Self>(key, "one of the bounds")),
                }
                Ok(())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::Bounds;
    use crate::engine::quietly;
    use crate::recovery::Aim;
    use crate::world::Checked;
    use crate::{metadata, quorum, replication};

    bounds! {
        /// Bounds of a test.
        struct Probe {
            /// Brokers.
            brokers("brokers"): u8 = 3,
            /// Whether messages get lost.
            lossy("lossy"): bool = false,
        }
    }

    #[test]
    fn bounds_read_what_they_print() {
        let bounds = Probe { brokers: 5, lossy: true };

        assert_eq!(Probe::default().read(bounds.line().split(' ')), Ok(bounds));
    }

    #[test]
    fn a_word_that_is_no_bound_is_refused_with_the_keys_that_there_are() {
        let error = Probe::default().read(["brokes=2"]).expect_err("a misspelt key");

        assert_eq!(
            error.to_string(),
            "`brokes` where one of the bounds was expected; the bounds are brokers, lossy"
        );
        assert!(Probe::default().read(["brokers=-1"]).is_err());
        assert!(Probe::default().read(["brokers"]).is_err());
    }

    const NUMBERS: [&str; 14] = ["0", "1", "2", "3", "4", "5", "7", "8", "15", "16", "17", "32", "33", "255"];

    /// Takes bounds that are read to a first step: a world that is not refused is there.
    fn begins<W: Checked>(words: &[String]) {
        let Ok(bounds) = W::Bounds::default().read(words.iter().map(String::as_str)) else { return };
        let begun = quietly(|| {
            let world = W::new(bounds, None);
            let mut actions = Vec::new();
            world.init_states().iter().for_each(|state| world.actions(state, &mut actions));
        });
        assert_eq!(begun, Ok(()), "{} {words:?}", W::NAME);
    }

    fn every_number_begins<W: Checked>() {
        for (key, _) in W::Bounds::FIELDS {
            NUMBERS.iter().for_each(|number| begins::<W>(&[format!("{key}={number}")]));
        }
    }

    #[test]
    fn what_is_not_refused_can_be_searched() {
        every_number_begins::<quorum::World>();
        every_number_begins::<metadata::World>();
        every_number_begins::<replication::World>();
        for start in ["cold", "led", "second", "tail", "removal"] {
            for voters in NUMBERS {
                let words = [format!("start={start}"), format!("voters={voters}"), "changes=1".to_owned()];
                begins::<quorum::World>(&words);
            }
        }
    }

    #[test]
    fn bounds_of_no_world_are_refused() {
        let refused = |words: &[&str]| quorum::Bounds::default().read(words.iter().copied()).is_err();

        assert!(refused(&["voters=1", "start=second"]) && refused(&["voters=2", "start=removal"]));
        assert!(refused(&["voters=200", "observers=100"]) && refused(&["voters=0"]));
        assert!(refused(&["kills=200", "power-losses=200"]));
        assert!(metadata::Bounds::default().read(["brokers=0"]).is_err());
        assert!(replication::Bounds::default().read(["brokers=33"]).is_err());
        assert!(Aim::<quorum::Bounds>::default().read(["voters=0"]).is_err());
    }
}
