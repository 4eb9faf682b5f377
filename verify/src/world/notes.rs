//! What a step tells beside the state that it leads to.
//!
//! Kept out of the state so that history which no rule depends on does not multiply the states.

/// A claim that does not hold, and the values that break it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The claim's name.
    pub claim: &'static str,
    /// The values, in words.
    pub values: String,
}

/// Events of one step, and the claim that it broke, if any.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    events: Vec<&'static str>,
    broken: Option<Broken>,
    /// Claims that nobody asks for.
    aside: Vec<&'static str>,
}

impl Notes {
    /// The step did what the sometimes-claim of this name asks for.
    pub fn event(&mut self, name: &'static str) {
        self.events.push(name);
    }

    /// The step broke the always-claim of this name. The first one counts.
    pub fn broke(&mut self, claim: &'static str, values: impl FnOnce() -> String) {
        if self.broken.is_none() && !self.aside.contains(&claim) {
            self.broken = Some(Broken { claim, values: values() });
        }
    }

    /// From here on, until all is forgotten, these claims are nothing that a step can break.
    pub fn set_aside(&mut self, claims: &[&'static str]) {
        self.aside.extend_from_slice(claims);
    }

    /// The events so far.
    #[must_use]
    pub fn events(&self) -> &[&'static str] {
        &self.events
    }

    /// The claim that the step broke.
    #[must_use]
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// Forgets everything, for the next step.
    pub fn clear(&mut self) {
        self.events.clear();
        self.aside.clear();
        self.broken = None;
    }
}
