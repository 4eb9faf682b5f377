//! What a check is asked for, and whether it can be done: told before anything is searched.

use std::path::PathBuf;

use anyhow::bail;
use highwater_model::fault::Bug;

use super::mutant_of;
use crate::bounds::Bounds as _;
use crate::engine::{EngineName, Limits, PANIC, Plan};
use crate::world::Checked;

/// The profile of bounds that are for walks alone.
pub const WALK: &str = "walk";

/// The profile of a check that names neither one nor bounds.
pub const USUAL: &str = "quick";

/// What a check is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The sweep to run, if one was named; only when no bounds are given.
    pub profile: Option<String>,
    /// `key=value` words.
    pub bounds: Vec<String>,
    /// A bug to plant.
    pub planted: Option<Bug>,
    /// Of the profile's bounds, the places of those to search; all of them if there are none given.
    pub only: Option<Vec<usize>>,
    /// What searches.
    pub engine: EngineName,
    /// Walks instead of a search.
    pub walk: Option<Plan>,
    /// The program that this is, if it may run itself for a bound of a sweep, and for a part of long walks.
    pub program: Option<PathBuf>,
    /// What the whole check may spend.
    pub limits: Limits,
}

impl Request {
    /// The profile whose sweep is run, when no bounds are given.
    #[must_use]
    pub fn profile(&self) -> &str {
        let usual = if self.walk.is_some() { WALK } else { USUAL };
        self.profile.as_deref().unwrap_or(usual)
    }
}

/// The bounds that a request asks for, and whether they are a profile's whole sweep.
pub(super) fn asked<W: Checked>(request: &Request) -> anyhow::Result<(Vec<W::Bounds>, bool)> {
    makes_sense::<W>(request)?;
    let usual = request.planted.and_then(mutant_of::<W>).map(|mutant| mutant.bounds);
    let usual = usual.filter(|_| request.walk.is_none());
    if !request.bounds.is_empty() || usual.is_some() {
        let words = request.bounds.iter().map(String::as_str);
        return Ok((vec![usual.unwrap_or_default().read(words)?], false));
    }
    let profile = request.profile();
    let sweep = W::profile(profile);
    if sweep.is_empty() {
        bail!("{} has no profile `{profile}`; `{USUAL}` is the one that every model has", W::NAME);
    }
    match &request.only {
        Some(places) => {
            let chosen = (0..).zip(sweep).filter(|(place, _)| places.contains(place));
            Ok((chosen.map(|(_, bounds)| bounds).collect(), false))
        }
        None => Ok((sweep, true)),
    }
}

/// Refuses what would be ignored, or could come to no verdict.
fn makes_sense<W: Checked>(request: &Request) -> anyhow::Result<()> {
    if let Some(bug) = request.planted
        && mutant_of::<W>(bug).is_none()
    {
        bail!("{} has no mutant for {}; see `verify list`", W::NAME, bug.id());
    }
    match (&request.profile, request.walk) {
        (Some(profile), Some(_)) if profile != WALK => {
            bail!("walks are taken within bounds, or those of profile `{WALK}`; leave `{profile}` out")
        }
        (Some(profile), None) if profile == WALK => {
            bail!("the bounds of profile `{WALK}` are out of any search's reach; use --walk")
        }
        (Some(_), None) if request.planted.is_some() => {
            bail!(
                "a planted bug is searched for at the bounds that show it, or at given ones; leave --profile out"
            )
        }
        _ => {}
    }
    if request.walk.is_some() && request.limits.memory.is_some() {
        bail!("walks keep nothing that --memory could limit; use --timeout or --steps");
    }
    is_seen_by::<W>(request)
}

/// Refuses what stateright's checkers do not evaluate or do not keep.
fn is_seen_by<W: Checked>(request: &Request) -> anyhow::Result<()> {
    let engine = request.engine;
    if engine.sees_steps() {
        return Ok(());
    }
    if request.limits.memory.is_some() {
        bail!("{} keeps no limit of memory; use --timeout, or the own engine", engine.name());
    }
    let judges = |name: &str| {
        name == PANIC || W::always().iter().any(|claim| claim.name == name && engine.judges(claim))
    };
    if !W::always().iter().any(|claim| judges(claim.name)) {
        bail!("{} evaluates none of the claims of {}; use the own engine", engine.name(), W::NAME);
    }
    match request.planted.and_then(mutant_of::<W>) {
        Some(mutant) if !mutant.breaks.iter().all(|name| judges(name)) => {
            let (id, name) = (mutant.bug.id(), engine.name());
            bail!("what {id} breaks only a step shows, and {name} does not look at steps; use the own engine")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::Recovering;
    use crate::{metadata, quorum, replication};

    /// Why a request is refused; nothing if it is not.
    fn refusal<W: Checked>(request: &Request) -> String {
        asked::<W>(request).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn walk() -> Request {
        Request { walk: Some(Plan::default()), ..Request::default() }
    }

    #[test]
    fn a_bug_is_planted_only_where_it_is_to_be_caught() {
        let planted = |bug| Request { planted: Some(bug), ..Request::default() };
        let replication_only = planted(Bug::AckAtLeaderAppend);

        assert!(refusal::<metadata::World>(&replication_only).starts_with("metadata has no mutant for "));
        let bounds = Request { bounds: vec!["brokers=1".to_owned()], ..replication_only.clone() };
        assert!(refusal::<metadata::World>(&bounds).starts_with("metadata has no mutant for "));
        assert!(refusal::<Recovering<replication::World>>(&replication_only).contains("no mutant for"));
        assert_eq!(refusal::<replication::World>(&replication_only), "");
        let profile = Request { profile: Some("quick".to_owned()), ..replication_only };
        assert!(refusal::<replication::World>(&profile).contains("leave --profile out"));
    }

    #[test]
    fn walks_take_no_profile_of_searches_and_no_limit_of_memory() {
        let profile = |name: &str, request| Request { profile: Some(name.to_owned()), ..request };
        let limited = Request { limits: Limits { memory: Some(1), ..Limits::default() }, ..walk() };

        assert_eq!(refusal::<quorum::World>(&walk()), "");
        assert_eq!(refusal::<quorum::World>(&profile(WALK, walk())), "");
        assert!(refusal::<quorum::World>(&profile("standard", walk())).contains("leave `standard` out"));
        assert!(refusal::<quorum::World>(&profile(WALK, Request::default())).contains("use --walk"));
        assert!(refusal::<quorum::World>(&limited).contains("--memory"));
    }

    #[test]
    fn stateright_is_not_asked_for_what_it_does_not_do() {
        let stateright = |request| Request { engine: EngineName::StaterightDfs, ..request };
        let planted = |bug| stateright(Request { planted: Some(bug), ..Request::default() });
        let limited =
            Request { limits: Limits { memory: Some(1), ..Limits::default() }, ..Request::default() };

        assert_eq!(refusal::<quorum::World>(&stateright(Request::default())), "");
        assert!(refusal::<Recovering<quorum::World>>(&stateright(Request::default())).contains("none of"));
        assert!(refusal::<quorum::World>(&stateright(limited)).contains("no limit of memory"));
        let of_steps =
            |name| quorum::World::always().iter().any(|claim| claim.name == name && claim.holds.is_none());
        for mutant in quorum::World::mutants() {
            let refused = refusal::<quorum::World>(&planted(mutant.bug)).contains("only a step shows");
            assert_eq!(refused, mutant.breaks.iter().any(|name| of_steps(*name)), "{}", mutant.bug.id());
        }
    }
}
