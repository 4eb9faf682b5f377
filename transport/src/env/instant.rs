//! A moment of the monotonic clock, as a time since the environment's origin.
//!
//! Leaves the reading of the clock to [`super::Env`].

use core::ops::{Add, AddAssign};
use core::time::Duration;

/// A moment of an environment's monotonic clock.
///
/// Moments of environments of one simulation compare; moments of two real environments do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The moment that lies `elapsed` after the origin.
    #[must_use]
    pub const fn since_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time since the origin.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to here, or zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// A deadline beyond the end of the clock is the end of the clock, some hundred years on.
    fn add(self, duration: Duration) -> Self {
        const END: Duration = Duration::from_secs(100 * 365 * 86_400);
        Self(self.0.saturating_add(duration).min(END))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_duration_gives_a_deadline_that_a_timer_accepts() {
        let origin = Instant::default();

        assert!(origin + Duration::MAX > origin + Duration::from_secs(86_400));
        assert_eq!((origin + Duration::MAX).since(origin + Duration::MAX), Duration::ZERO);
    }
}
