//! What may be told to whoever asked.

use serde::Serialize;

use super::super::{CommandRefusal, Outcome};
use crate::id::RequestId;

/// The answer to a command. Only the controller can make one, once everything that it rests on is committed.
///
/// ```compile_fail
/// use highwater_model::metadata::{Outcome, Reply};
/// use highwater_model::id::RequestId;
/// let early = Reply { request: RequestId(1), answer: Ok(Outcome::Done) };
/// ```
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub(super) request: RequestId,
    pub(super) answer: Result<Outcome, CommandRefusal>,
}

impl Reply {
    /// Which command it answers.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// What came of it.
    pub fn answer(&self) -> &Result<Outcome, CommandRefusal> {
        &self.answer
    }

    /// What came of it, by value.
    #[expect(clippy::missing_errors_doc, reason = "the error is the answer")]
    pub fn into_answer(self) -> Result<Outcome, CommandRefusal> {
        self.answer
    }
}
