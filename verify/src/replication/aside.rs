//! Claims that are set aside while a bug is planted, so that what follows from it shows beside what shows it first.

use std::fmt;
use std::str::FromStr;

use super::claims;

/// Claims that are not judged. With no bug planted every claim is, whatever this says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside(Vec<&'static str>);

impl Aside {
    /// None of them.
    pub const NOTHING: Self = Self(Vec::new());

    /// Whether the claim of this name is judged all the same.
    pub(super) fn judges(&self, claim: &str) -> bool {
        !self.0.contains(&claim)
    }

    /// The claims' names.
    pub(super) fn names(&self) -> &[&'static str] {
        &self.0
    }
}

/// A claim's name without the world's.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

impl fmt::Display for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.0.iter().copied().map(short);
        f.write_str(names.next().unwrap_or("nothing"))?;
        names.try_for_each(|name| write!(f, "+{name}"))
    }
}

impl FromStr for Aside {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "nothing" {
            return Ok(Self::NOTHING);
        }
        let known = |name: &str| claims::ALWAYS.iter().map(|claim| claim.name).find(|one| short(one) == name);
        text.split('+').map(|name| known(name).ok_or(())).collect::<Result<_, ()>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_reads_what_it_prints() {
        for text in ["nothing", "well_formed", "well_formed+unclean_exclusion"] {
            assert_eq!(text.parse::<Aside>().map(|read| read.to_string()), Ok(text.to_owned()));
        }
        assert!("well_formed+no_such_claim".parse::<Aside>().is_err());
        assert!("".parse::<Aside>().is_err());
    }
}
