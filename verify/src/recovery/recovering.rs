//! A world whose states are judged by what becomes of them once faults stop.
//!
//! It is the world itself to every search, with other claims: so whatever searches, samples or shows a world does so with
//! recovery runs, too. The world's own claims are left to its own check; within a run, beyond what that check visits, they
//! are held against every step.

use std::sync::atomic::{AtomicU64, Ordering};

use highwater_model::fault::Bug;
use stateright::{Model, Property};

use super::memo::Memo;
use super::run::{Listener, run};
use super::{ActionOf, Aim, COMES_TO_REST, Calm, Eventually, Recovers, StateOf};
use crate::engine::Encoder;
use crate::world::{Always, Broken, Checked, Mutant, Notes, Part, Picture, Seen, Sometimes, properties};

/// The world `W` with the claims of its recovery runs.
pub struct Recovering<W: Recovers> {
    world: W,
    aim: Aim<W::Bounds>,
    is_planted: bool,
    calms: Vec<(W::Calm, Memo)>,
    /// Bit per event of [`Recovers::HEALS_BY`] that a run has shown, and then per claim that a run has brought about.
    shown: AtomicU64,
}

/// No more claims than this.
const CLAIMS_MAX: usize = 16;

impl<W: Recovers> Recovering<W> {
    /// How much runs must show.
    const SHOWN: usize = W::HEALS_BY.len() + W::EVENTUALLY.len();

    const EXERCISED_BY: &'static str = match W::HEALS_BY {
        [first, ..] => first,
        [] => "",
    };

    const fn claim(name: &'static str, rule: &'static str, exercised_by: &'static str) -> Always<Self> {
        Always { name, rule, holds: None, exercised_by }
    }

    #[expect(clippy::indexing_slicing, reason = "an index out of bounds does not compile")]
    const ALWAYS: [Always<Self>; CLAIMS_MAX] = {
        let mut claims = [const { Self::claim(COMES_TO_REST, "RL1", Self::EXERCISED_BY) }; CLAIMS_MAX];
        let mut at = 0;
        while at < W::EVENTUALLY.len() {
            let Eventually { name, rule, comes_about, .. } = &W::EVENTUALLY[at];
            claims[at] = Self::claim(name, rule, comes_about);
            at += 1;
        }
        claims
    };

    #[expect(clippy::indexing_slicing, reason = "an index out of bounds does not compile")]
    const SOMETIMES: [Sometimes<Self>; CLAIMS_MAX] = {
        let seen: [fn(&Self, &W::State) -> bool; CLAIMS_MAX] = [
            Self::has_shown::<0>,
            Self::has_shown::<1>,
            Self::has_shown::<2>,
            Self::has_shown::<3>,
            Self::has_shown::<4>,
            Self::has_shown::<5>,
            Self::has_shown::<6>,
            Self::has_shown::<7>,
            Self::has_shown::<8>,
            Self::has_shown::<9>,
            Self::has_shown::<10>,
            Self::has_shown::<11>,
            Self::has_shown::<12>,
            Self::has_shown::<13>,
            Self::has_shown::<14>,
            Self::has_shown::<15>,
        ];
        let mut claims = [const { Sometimes { name: "", seen: Seen::Step } }; CLAIMS_MAX];
        let mut at = 0;
        while at < W::HEALS_BY.len() {
            claims[at] = Sometimes { name: W::HEALS_BY[at], seen: Seen::State(seen[at]) };
            at += 1;
        }
        while at < Self::SHOWN {
            let name = W::EVENTUALLY[at - W::HEALS_BY.len()].comes_about;
            claims[at] = Sometimes { name, seen: Seen::State(seen[at]) };
            at += 1;
        }
        claims
    };

    fn has_shown<const AT: usize>(&self, _: &W::State) -> bool {
        self.shown.load(Ordering::Relaxed) & (1 << AT) != 0
    }

    fn is_sampled(&self, state: &W::State) -> bool {
        if self.aim.sample == 1 {
            return true;
        }
        let mut encoder = Encoder::new();
        self.world.encode(state, &mut encoder);
        encoder.fingerprint().is_multiple_of(self.aim.sample)
    }

    fn watch(&self) -> Watch<'_, W> {
        Watch { of: self, broken: None }
    }

    /// Bit per claim that no run has brought about yet, and that does not hold where this run begins.
    fn unmet(&self, calm: &W::Calm, state: &W::State) -> u64 {
        let claims = W::EVENTUALLY.iter().enumerate();
        let claims = claims.map(|(at, claim)| (1 << (W::HEALS_BY.len() + at), claim));
        let shown = self.shown.load(Ordering::Relaxed);
        let mut missing = claims.filter(|(bit, _)| shown & bit == 0).peekable();
        if missing.peek().is_none() {
            return 0;
        }
        let begun = calm.begin(state);
        let unmet = missing.filter(|(_, claim)| (claim.holds)(calm.world(), &begun).is_err());
        unmet.map(|(bit, _)| bit).fold(0, |bits, bit| bits | bit)
    }

    /// Bit per claim that is made of a state at rest: only of such a one can it be said that it came about.
    fn promised(calm: &W::Calm, rest: &W::State) -> u64 {
        let claims = (0..).zip(W::EVENTUALLY);
        let promised = claims.filter(|(_, claim)| calm.is_promised(rest, claim.name));
        promised.fold(0, |bits, (at, _): (usize, _)| bits | 1 << (W::HEALS_BY.len() + at))
    }

    /// Makes all runs from a state.
    fn recover(&self, state: &W::State) -> Result<(), Broken> {
        for (calm, memo) in &self.calms {
            let comes_about = self.unmet(calm, state);
            let mut watch = self.watch();
            let rest = run::<W>(calm, state, Some(memo), &mut watch)?;
            watch.broken.map_or(Ok(()), Err)?;
            if let Some(rest) = rest.filter(|_| comes_about != 0) {
                self.shown.fetch_or(comes_about & Self::promised(calm, &rest), Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Watches the steps of a run.
struct Watch<'a, W: Recovers> {
    of: &'a Recovering<W>,
    /// A claim of the world itself that does not hold.
    broken: Option<Broken>,
}

impl<W: Recovers> Listener<W::Calm> for Watch<'_, W> {
    fn step(
        &mut self,
        calm: &W::Calm,
        _: &StateOf<W::Calm>,
        _: &ActionOf<W::Calm>,
        after: &StateOf<W::Calm>,
        notes: &Notes,
    ) {
        for (at, event) in W::HEALS_BY.iter().enumerate() {
            if notes.events().contains(event) {
                self.of.shown.fetch_or(1 << at, Ordering::Relaxed);
            }
        }
        if self.broken.is_none() && !self.of.is_planted {
            let judged = || calm.world().judge(after).err();
            let broken = notes.broken().cloned().or_else(judged);
            let amid = |values| format!("{}, and in what follows\n{values}", calm.describe());
            self.broken = broken.map(|broken| Broken { values: amid(broken.values), ..broken });
        }
    }
}

/// Writes a run down, up to the step that breaks a claim of the world itself.
struct Scribe<'a, W: Recovers> {
    watch: Watch<'a, W>,
    story: Vec<(String, W::State)>,
}

impl<W: Recovers> Listener<W::Calm> for Scribe<'_, W> {
    fn step(
        &mut self,
        calm: &W::Calm,
        before: &StateOf<W::Calm>,
        action: &ActionOf<W::Calm>,
        after: &StateOf<W::Calm>,
        notes: &Notes,
    ) {
        if self.watch.broken.is_none() {
            self.watch.step(calm, before, action, after, notes);
            self.story.push((calm.world().describe(before, action), after.clone()));
        }
    }
}

impl<W: Recovers> Model for Recovering<W> {
    type State = W::State;
    type Action = W::Action;

    fn init_states(&self) -> Vec<W::State> {
        self.world.init_states()
    }

    fn actions(&self, state: &W::State, actions: &mut Vec<W::Action>) {
        self.world.actions(state, actions);
    }

    fn next_state(&self, state: &W::State, action: W::Action) -> Option<W::State> {
        Some(self.step(state, &action, &mut Notes::default()))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::<Self>()
    }
}

impl<W: Recovers> Checked for Recovering<W> {
    const NAME: &'static str = W::NAME_OF_RECOVERY;
    const KINDS: &'static [&'static str] = W::KINDS;
    const WALK_STEPS_MAX: Option<u64> = W::WALK_STEPS_MAX;
    type Bounds = Aim<W::Bounds>;

    fn new(aim: Aim<W::Bounds>, planted: Option<Bug>) -> Self {
        let world = W::new(aim.bounds.clone(), planted);
        let calms = world.calms().into_iter().map(|calm| (calm, Memo::new())).collect();
        Self { world, aim, is_planted: planted.is_some(), calms, shown: AtomicU64::new(0) }
    }

    fn bounds(&self) -> &Aim<W::Bounds> {
        &self.aim
    }

    fn step(&self, state: &W::State, action: &W::Action, _: &mut Notes) -> W::State {
        self.world.step(state, action, &mut Notes::default())
    }

    fn kind(action: &W::Action) -> usize {
        W::kind(action)
    }

    fn always() -> &'static [Always<Self>] {
        let (claims, _) = const { &Self::ALWAYS }.split_at(W::EVENTUALLY.len() + 1);
        claims
    }

    fn sometimes() -> &'static [Sometimes<Self>] {
        let (claims, _) = const { &Self::SOMETIMES }.split_at(Self::SHOWN);
        claims
    }

    fn judge(&self, state: &W::State) -> Result<(), Broken> {
        if self.is_sampled(state) { self.recover(state) } else { Ok(()) }
    }

    fn encode(&self, state: &W::State, sink: &mut Encoder) {
        self.world.encode(state, sink);
    }

    fn identity(&self, state: &W::State) -> Option<u64> {
        self.world.identity(state)
    }

    fn keep(&self, state: &mut W::State) {
        self.world.keep(state);
    }

    fn describe(&self, before: &W::State, action: &W::Action) -> String {
        self.world.describe(before, action)
    }

    fn token(&self, before: &W::State, action: &W::Action) -> u64 {
        self.world.token(before, action)
    }

    fn party(&self, before: &W::State, action: &W::Action) -> u64 {
        self.world.party(before, action)
    }

    fn changes(&self, before: &W::State, after: &W::State) -> Vec<String> {
        self.world.changes(before, after)
    }

    fn picture(&self, state: &W::State) -> Picture {
        self.world.picture(state)
    }

    fn part(&self, before: &W::State, action: &W::Action) -> Part {
        self.world.part(before, action)
    }

    fn aftermath(&self, end: &W::State) -> Vec<(String, W::State)> {
        for (calm, _) in &self.calms {
            let story = vec![(calm.describe(), calm.begin(end))];
            let mut scribe = Scribe { watch: self.watch(), story };
            let ended = run::<W>(calm, end, None, &mut scribe);
            if ended.is_err() || scribe.watch.broken.is_some() {
                return scribe.story;
            }
        }
        Vec::new()
    }

    fn profile(name: &str) -> Vec<Aim<W::Bounds>> {
        W::RECOVERIES.profile(name)
    }

    fn mutants() -> Vec<Mutant<Aim<W::Bounds>>> {
        W::RECOVERIES.mutants()
    }
}

impl<W: Recovers> std::fmt::Debug for Recovering<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovering").field("aim", &self.aim).finish_non_exhaustive()
    }
}
