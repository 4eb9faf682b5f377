//! Taking a recorded step on the core of this build, and holding what comes of it against what was recorded.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use highwater_model::trace::{Effects, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::digest;
use super::edge::{Wrong, wrong};

pub(super) const SAME_EFFECTS: &str = "the core gives the effects that were recorded";
pub(super) const SHOWN_WELL: &str = "a core that is shown can be read";
pub(super) const SOUND_CORE: &str = "no assertion of the core fails";

/// Runs something on a core; a panic is a finding.
pub(super) fn soundly<T>(at: &dyn Debug, run: impl FnOnce() -> T) -> Result<T, Wrong> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Wrong {
        rule: SOUND_CORE,
        expected: "a step that ends".to_owned(),
        recorded: format!("a panic at {at:?}"),
    })
}

/// The effects of a step, which must be the recorded ones; none, if it is refused as it was.
pub(super) fn taken<E: Debug + Serialize, R: Debug>(
    outcome: Outcome,
    input: &dyn Debug,
    step: impl FnOnce(&mut Vec<E>) -> Result<(), R>,
) -> Result<Option<Vec<E>>, Wrong> {
    let mut effects = Vec::new();
    let refused = soundly(input, || step(&mut effects))?.err();
    let found = refused.as_ref().map_or_else(|| Outcome::Took(digest_of(&effects)), |_| Outcome::Refused);
    if found != outcome {
        let expected = match &refused {
            Some(refusal) => format!("{input:?} is refused: {refusal:?}"),
            None => format!("{input:?} gives {effects:?} ({found:?})"),
        };
        wrong(SAME_EFFECTS, expected, format!("{outcome:?}"))?;
    }
    Ok(refused.is_none().then_some(effects))
}

/// The effects of a step as a trace has them.
pub(super) fn digest_of<E: Serialize>(effects: &[E]) -> Effects {
    let count = u32::try_from(effects.len()).unwrap_or(u32::MAX);
    Effects { count, digest: if effects.is_empty() { 0 } else { digest(effects) } }
}

/// A core that is shown in the midst of its life, or what is shown with it.
pub(super) fn shown<C: DeserializeOwned>(state: &[u8], what: &str) -> Result<C, Wrong> {
    let unreadable = |why: String| Wrong { rule: SHOWN_WELL, expected: what.to_owned(), recorded: why };
    match postcard::take_from_bytes(state) {
        Ok((shown, [])) => Ok(shown),
        Ok((_, rest)) => Err(unreadable(format!("{} bytes behind it", rest.len()))),
        Err(error) => Err(unreadable(error.to_string())),
    }
}
