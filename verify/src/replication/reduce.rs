//! What may be left out of the states and steps of this world, each with a name of its own, so that each can be taken back.

use std::fmt;
use std::str::FromStr;

/// A reduction: something that is left out because nothing can come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Messages that can only be refused (`dead`).
    Dead,
    /// Messages that tell their receiver nothing (`dead`).
    Told,
    /// Waiting for views that tell a replica nothing (`tidy`).
    Views,
    /// Waiting for views of a replica that can do nothing else (`tidy`).
    Waits,
    /// What leaders of the past know but for what they can still bring about (`past`).
    Past,
    /// Syncs that nothing can ask for yet (`action`).
    Syncs,
    /// Deliveries and repetitions of fetches that would only be parked, or refused until the receiver has caught up with the
    /// metadata (`action`).
    Parked,
    /// What of proposals only a core that is not sound reads (`encode`).
    Proposals,
}

/// Every reduction with its name.
const NAMES: [(Reduction, &str); 8] = [
    (Reduction::Dead, "dead"),
    (Reduction::Told, "told"),
    (Reduction::Views, "views"),
    (Reduction::Waits, "waits"),
    (Reduction::Past, "past"),
    (Reduction::Syncs, "syncs"),
    (Reduction::Parked, "parked"),
    (Reduction::Proposals, "proposals"),
];

/// A set of reductions. As a bound: `all`, `none`, names joined by `+`, or `-` and a name for all but that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reductions(u8);

impl Reductions {
    /// All of them.
    pub const ALL: Self = Self(u8::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether this one is made. What leaders of the past know is told by messages that are not dead, so that one needs the other.
    #[must_use]
    pub fn has(self, reduction: Reduction) -> bool {
        let needs = if reduction == Reduction::Past { Self::bit(Reduction::Dead) } else { 0 };
        let bits = Self::bit(reduction) | needs;
        self.0 & bits == bits
    }

    fn bit(reduction: Reduction) -> u8 {
        1 << reduction as u8
    }

    fn with(self, reduction: Reduction) -> Self {
        Self(self.0 | Self::bit(reduction))
    }

    fn without(self, reduction: Reduction) -> Self {
        Self(self.0 & !Self::bit(reduction))
    }

    /// Those that hold whatever the cores make of what they should refuse or never read: they stay when a bug is planted.
    #[must_use]
    pub fn for_any_core(self) -> Self {
        let trusted = [
            Reduction::Dead,
            Reduction::Told,
            Reduction::Waits,
            Reduction::Past,
            Reduction::Syncs,
            Reduction::Proposals,
        ];
        trusted.into_iter().fold(self, Self::without)
    }
}

impl fmt::Display for Reductions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let mut names = NAMES.iter().filter(|(one, _)| self.0 & Self::bit(*one) != 0).map(|(_, name)| *name);
        f.write_str(names.next().unwrap_or("none"))?;
        names.try_for_each(|name| write!(f, "+{name}"))
    }
}

impl FromStr for Reductions {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let named =
            |name: &str| NAMES.iter().find(|(_, known)| *known == name).map(|(one, _)| *one).ok_or(());
        match text {
            "all" => Ok(Self::ALL),
            "none" => Ok(Self::NONE),
            _ => match text.strip_prefix('-') {
                Some(name) => Ok(Self::ALL.without(named(name)?)),
                None => text.split('+').try_fold(Self::NONE, |all, name| Ok(all.with(named(name)?))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reductions_read_what_they_print() {
        for text in ["all", "none", "dead+past", "views+parked"] {
            assert_eq!(text.parse::<Reductions>().map(|read| read.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(
            "-told".parse::<Reductions>().map(|read| read.to_string()),
            Ok("dead+views+waits+past+syncs+parked+proposals".to_owned())
        );
        assert!("dead+nothing".parse::<Reductions>().is_err());
    }

    #[test]
    fn leaders_of_the_past_need_dead_messages_gone() {
        assert!(Reductions::ALL.has(Reduction::Past));
        assert!(!Reductions::ALL.without(Reduction::Dead).has(Reduction::Past));
    }
}
