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

    /// Sets each `key=value` of `words`.
    ///
    /// # Errors
    /// As [`Self::set`], and when a word has no `=`.
    fn read<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Result<Self, BoundsError> {
        for word in words {
            let (key, value) =
                word.split_once('=').ok_or_else(|| BoundsError::new::<Self>(word, "a key=value"))?;
            self.set(key, value)?;
        }
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
#[macro_export]
macro_rules! bounds {
    ($(#[$doc:meta])* $vis:vis struct $name:ident {
        $(#[doc = $what:literal] $field:ident($key:literal): $kind:ty = $default:expr,)*
    }) => {
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
}
