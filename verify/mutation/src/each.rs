//! Does something for each of many things, several at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What `act` gives for each thing, in order; it stops when one fails.
///
/// # Errors
/// The first that `act` gave.
pub(crate) fn each<A: Sync, T: Send>(
    jobs: usize,
    things: &[A],
    act: &(dyn Fn(&A) -> anyhow::Result<T> + Sync),
) -> anyhow::Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let worker = || -> anyhow::Result<()> {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(place) else {
                return Ok(());
            };
            // When one fails the others stop too.
            let made = act(thing).inspect_err(|_| next.store(things.len(), Ordering::Relaxed))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(place, made);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        let ends = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
        ends.collect::<Vec<_>>().into_iter().collect::<anyhow::Result<()>>()
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_things_is_in_their_order() {
        let double = |n: &u32| Ok(n * 2);
        assert_eq!(each(3, &[1, 2, 3, 4], &double).unwrap(), [2, 4, 6, 8]);
    }

    #[test]
    fn one_that_fails_ends_it() {
        let odd = |n: &u32| if n % 2 == 1 { Ok(()) } else { anyhow::bail!("{n} is even") };
        assert_eq!(each(1, &[1, 2, 3], &odd).unwrap_err().to_string(), "2 is even");
    }
}
