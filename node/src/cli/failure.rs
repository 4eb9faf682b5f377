//! How a command ends that was not done: one line for people, one entry for programs, one exit code.

use highwater_client::error::{ClientError, ConsumeError, ProduceError};
use highwater_model::api::ApiError;
use highwater_model::error_code::ErrorCode;

/// Exit codes, the same for all commands.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// An operation or an item failed.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// Nobody answered, or not in time.
    pub const UNREACHABLE: u8 = 3;
    /// A check said no.
    pub const CHECK_FAILED: u8 = 4;
    /// Nothing can be said either way.
    pub const INCONCLUSIVE: u8 = 5;
    /// Ctrl-C, SIGTERM, or a closed terminal.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a command, or one item of it, was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the process exits with.
    pub exit: u8,
    /// What it is about: a topic, a file, an address; may be empty.
    pub target: String,
    /// Kafka's code, if the cluster gave one.
    pub code: Option<ErrorCode>,
    /// What was seen against what was expected.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: u8, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, target: String::new(), code: None, message: message.into(), hint: hint.into() }
    }

    /// Something that failed.
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(exit::FAILED, message, hint)
    }

    /// Something that was asked for wrongly.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message, hint)
    }

    /// A file that could not be used.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::failed(error.to_string(), "").on(path.display().to_string())
    }

    /// The same failure, about this target.
    pub fn on(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// The one line for people, without the hint.
    pub fn line(&self) -> String {
        if self.target.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.target, self.message)
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = if error.is_unreachable() { exit::UNREACHABLE } else { exit::FAILED };
        Self { exit, code: error.code(), ..Self::failed(error.to_string(), error.hint()) }
    }
}

impl From<ProduceError> for Failure {
    fn from(error: ProduceError) -> Self {
        let exit = if error.is_unreachable() { exit::UNREACHABLE } else { exit::FAILED };
        Self { exit, code: error.code(), ..Self::failed(error.to_string(), error.hint()) }
    }
}

impl From<ConsumeError> for Failure {
    fn from(error: ConsumeError) -> Self {
        let (message, hint) = (error.to_string(), error.hint());
        let code = match error {
            ConsumeError::Client(error) => return Self::from(error),
            ConsumeError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ConsumeError::Compressed { .. } => ErrorCode::UnsupportedCompressionType,
            ConsumeError::Corrupt { .. } | _ => ErrorCode::CorruptMessage,
        };
        Self { code: Some(code), ..Self::failed(message, hint) }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::from(ClientError::Refused(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_answering_and_somebody_refusing_exit_differently() {
        let refused = ClientError::Refused(ApiError::new(ErrorCode::TopicAlreadyExists, "t exists"));
        let unreachable =
            ClientError::Unreachable { servers: "h:1".to_owned(), last: "no answer".to_owned() };

        let no_controller = ClientError::Refused(ApiError::new(ErrorCode::RequestTimedOut, "no controller"));
        let full = ProduceError::BufferFull { after: std::time::Duration::from_secs(1) };

        assert_eq!(Failure::from(refused).exit, exit::FAILED);
        assert_eq!(Failure::from(unreachable).exit, exit::UNREACHABLE);
        assert_eq!(Failure::from(no_controller.clone()).exit, exit::UNREACHABLE);
        assert_eq!(Failure::from(ProduceError::Lookup(no_controller)).exit, exit::UNREACHABLE);
        assert_eq!(Failure::from(full).exit, exit::UNREACHABLE);
    }

    #[test]
    fn a_record_that_was_not_acknowledged_in_time_keeps_the_code_of_the_last_refusal() {
        let timed_out = |code| ProduceError::TimedOut {
            after: std::time::Duration::from_secs(1),
            last: "why".to_owned(),
            code,
            outcome: highwater_client::error::Outcome::NotDone,
        };

        let refused = Failure::from(timed_out(Some(ErrorCode::NotEnoughReplicas)));
        assert_eq!((refused.exit, refused.code), (exit::UNREACHABLE, Some(ErrorCode::NotEnoughReplicas)));
        assert_eq!(Failure::from(timed_out(None)).code, Some(ErrorCode::RequestTimedOut));
    }
}
