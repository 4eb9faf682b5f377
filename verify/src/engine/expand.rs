//! One worker: takes states off the frontier, takes every step from each, and judges what is new.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stateright::Model;

use super::PANIC;
use super::encoder::Encoder;
use super::outcome::Limits;
use super::process::resident_bytes;
use super::quiet::quietly;
use super::recent::Recent;
use super::trace::Found;
use super::visited::{Table, Visited, Way};
use crate::world::{Broken, Checked, Notes, Seen};

/// States handed to a worker at a time.
pub(super) const CHUNK: usize = 256;

/// Some states of a level, each with its fingerprint.
pub(super) type Chunk<W> = Vec<(u64, <W as Model>::State)>;

/// What the workers of a search share.
pub(super) struct Shared<'w, W: Checked> {
    pub(super) world: &'w W,
    pub(super) visited: Visited,
    recent: Recent,
    /// The room of chunks that were expanded, for those to come: fresh room would have to be cleared.
    spare: Mutex<Vec<Chunk<W>>>,
    pub(super) unique: AtomicU64,
    pub(super) generated: AtomicU64,
    /// Bit per sometimes-claim that has been met.
    pub(super) seen: AtomicU64,
    pub(super) stop: AtomicBool,
    /// Whether it stopped for want of memory.
    pub(super) full: AtomicBool,
    pub(super) found: Mutex<Option<Found<W::Action>>>,
}

impl<'w, W: Checked> Shared<'w, W> {
    /// For a search within these limits.
    pub(super) fn new(world: &'w W, limits: Limits) -> Self {
        Self {
            world,
            visited: Visited::new(limits.threads, limits.memory, || resident_bytes().unwrap_or(0)),
            recent: Recent::new(),
            spare: Mutex::default(),
            unique: AtomicU64::new(0),
            generated: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            full: AtomicBool::new(false),
            found: Mutex::new(None),
        }
    }

    /// Makes room for so many threads, and for what the expansion of this level meets, if its states have identities.
    pub(super) fn make_room(&mut self, level: &[Chunk<W>], threads: usize) {
        self.visited.keep_room(threads);
        let mut states = level.iter().flatten().map(|(_, state)| state);
        if states.next().is_some_and(|state| self.world.identity(state).is_some()) {
            self.recent.fit(level.len() * CHUNK);
        }
    }

    /// Bytes of what was met lately.
    pub(super) fn bytes(&self) -> u64 {
        self.recent.bytes()
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Chunk<W>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first violation and stops the search.
    fn report(&self, found: Found<W::Action>) {
        let mut first = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(found);
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A worker's own part of a search; merged when it ends.
pub(super) struct Worker<'s, 'w, W: Checked> {
    shared: &'s Shared<'w, W>,
    encoder: Encoder,
    notes: Notes,
    actions: Vec<W::Action>,
    /// Where the steps from one state lead, each with the identity of that state (0 for none), then with its fingerprint.
    ends: Vec<(u64, W::State)>,
    /// How often each kind of action was taken.
    taken: Vec<u64>,
    /// The next level, in chunks.
    next: Vec<Chunk<W>>,
    /// How the states were reached that came of this chunk.
    ways: Vec<Way>,
}

impl<'s, 'w, W: Checked> Worker<'s, 'w, W> {
    pub(super) fn new(shared: &'s Shared<'w, W>) -> Self {
        Self {
            shared,
            encoder: Encoder::new(),
            notes: Notes::default(),
            actions: Vec::new(),
            ends: Vec::new(),
            taken: vec![0; W::KINDS.len()],
            next: Vec::new(),
            ways: Vec::new(),
        }
    }

    /// Visits an initial state.
    pub(super) fn begin(&mut self, state: W::State) {
        self.ends.push((0, state));
        let table = self.shared.visited.table(0).expect("an empty table has room");
        self.visit_ends(0, &table);
        self.shared.visited.reached(&self.ways);
        self.ways.clear();
    }

    /// Ends the worker's part in a level: gives how often each kind of action was taken, and the states of the next one.
    pub(super) fn finish(self) -> (Vec<u64>, Vec<Chunk<W>>) {
        (self.taken, self.next)
    }

    /// Takes every step from every state of `chunk`.
    pub(super) fn expand(&mut self, mut chunk: Chunk<W>) {
        let mut taken = 0;
        let Some(table) = self.shared.visited.table(self.shared.unique.load(Ordering::Relaxed)) else {
            self.shared.full.store(true, Ordering::Relaxed);
            self.shared.stop.store(true, Ordering::Relaxed);
            return;
        };
        for (fingerprint, state) in chunk.drain(..) {
            if self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
            taken += self.expand_one(fingerprint, &state, &table);
        }
        self.shared.spare().push(chunk);
        self.shared.generated.fetch_add(taken, Ordering::Relaxed);
        self.shared.visited.reached(&self.ways);
        self.ways.clear();
    }

    fn expand_one(&mut self, parent: u64, state: &W::State, table: &Table) -> u64 {
        let world = self.shared.world;
        let mut actions = std::mem::take(&mut self.actions);
        if let Err(message) = quietly(|| world.actions(state, &mut actions)) {
            self.broken(parent, None, Broken { claim: PANIC, values: message });
        }
        let count = actions.len() as u64;
        for action in actions.drain(..) {
            if let Some(count) = self.taken.get_mut(W::kind(&action)) {
                *count += 1;
            }
            self.step(parent, state, action);
        }
        self.actions = actions;
        self.visit_ends(parent, table);
        count
    }

    /// Visits where the steps from `parent` led, all together: so that one need not wait for the memory of another.
    fn visit_ends(&mut self, parent: u64, table: &Table) {
        let mut ends = std::mem::take(&mut self.ends);
        let recent = &self.shared.recent;
        ends.iter().for_each(|(identity, _)| recent.approach(*identity));
        ends.retain(|(identity, _)| *identity == 0 || !recent.has(*identity));
        for (at, state) in &mut ends {
            *at = self.fingerprint(state);
        }
        ends.iter().for_each(|(fingerprint, _)| table.approach(*fingerprint));
        for (fingerprint, state) in ends.drain(..) {
            if table.insert(fingerprint) {
                self.visit(parent, fingerprint, state);
            }
        }
        self.ends = ends;
    }

    fn step(&mut self, parent: u64, state: &W::State, action: W::Action) {
        let world = self.shared.world;
        self.notes.clear();
        let notes = &mut self.notes;
        let next = match quietly(|| world.step(state, &action, notes)) {
            Ok(next) => next,
            Err(values) => return self.broken(parent, Some(action), Broken { claim: PANIC, values }),
        };
        if !self.notes.events().is_empty() {
            self.note_events();
        }
        if let Some(broken) = self.notes.broken().cloned() {
            return self.broken(parent, Some(action), broken);
        }
        self.ends.push((world.identity(&next).unwrap_or(0), next));
    }

    /// Judges a state that is new.
    fn visit(&mut self, parent: u64, fingerprint: u64, mut state: W::State) {
        self.ways.push((fingerprint, parent));
        self.shared.unique.fetch_add(1, Ordering::Relaxed);
        let world = self.shared.world;
        match quietly(|| world.judge(&state)) {
            Ok(Ok(())) => {}
            Ok(Err(broken)) => return self.broken(fingerprint, None, broken),
            Err(values) => return self.broken(fingerprint, None, Broken { claim: PANIC, values }),
        }
        self.note_state(&state);
        world.keep(&mut state);
        match self.next.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push((fingerprint, state)),
            None => {
                let mut chunk = self.shared.spare().pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
                chunk.push((fingerprint, state));
                self.next.push(chunk);
            }
        }
    }

    fn broken(&self, at: u64, step: Option<W::Action>, broken: Broken) {
        self.shared.report(Found { broken, at, step });
    }

    fn fingerprint(&mut self, state: &W::State) -> u64 {
        self.encoder.clear();
        self.shared.world.encode(state, &mut self.encoder);
        self.encoder.fingerprint()
    }

    fn note_events(&self) {
        for (at, claim) in W::sometimes().iter().enumerate() {
            if matches!(claim.seen, Seen::Step) && self.notes.events().contains(&claim.name) {
                self.met(at);
            }
        }
    }

    fn note_state(&self, state: &W::State) {
        let met = self.shared.seen.load(Ordering::Relaxed);
        for (at, claim) in W::sometimes().iter().enumerate().filter(|(at, _)| met & (1 << at) == 0) {
            if let Seen::State(seen) = claim.seen
                && seen(self.shared.world, state)
            {
                self.met(at);
            }
        }
    }

    fn met(&self, at: usize) {
        let bit = 1 << at;
        if self.shared.seen.load(Ordering::Relaxed) & bit == 0 {
            self.shared.seen.fetch_or(bit, Ordering::Relaxed);
        }
    }
}
