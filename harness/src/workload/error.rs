use crate::record::{Chain, ErrorClass, Failure};
use std::io;
use std::time::Duration;

/// A workload that cannot be made as the scenario wants it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// The catalogue has none of this name.
    #[error("there is no workload `{0}`")]
    UnknownKind(String),
    /// A setting is wrong.
    #[error("workload {kind}: `{key}`: {why}")]
    Setting {
        /// The workload.
        kind: String,
        /// The setting.
        key: String,
        /// What is wrong.
        why: String,
    },
}

impl From<WorkloadError> for Failure {
    fn from(e: WorkloadError) -> Self {
        Failure { class: ErrorClass::Other, message: e.to_string(), hint: None, log: Vec::new() }
    }
}

/// Why a workload could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It did not come to the point that was waited for.
    #[error("waited {limit:?} for {what}; last: {last}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
        /// What stood in the way the last time.
        last: String,
    },
    /// Its log was read, and no line of it ends in a number.
    #[error(
        "waited {limit:?} for a line of its log that ends in a number: {}",
        last.as_ref().map_or("it has said nothing yet".to_owned(), |last| format!("its lines do not; the last was {last}"))
    )]
    NoNumber {
        /// For how long.
        limit: Duration,
        /// The last line, quoted; `None`: there was none.
        last: Option<String>,
    },
    /// The connection or the log broke.
    #[error("{what} broke")]
    Io {
        /// Talking to whom.
        what: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It answered something that makes no sense.
    #[error("{what} answered {answer} to {asked}")]
    Nonsense {
        /// Who.
        what: String,
        /// The question, quoted.
        asked: String,
        /// The answer, quoted.
        answer: String,
    },
}

impl ProbeError {
    /// The error's kind.
    pub fn class(&self) -> ErrorClass {
        match self {
            ProbeError::Timeout { .. } | ProbeError::NoNumber { .. } => ErrorClass::Timeout,
            _ => ErrorClass::WorkloadUnreachable,
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            ProbeError::NoNumber { last: Some(_), .. } => Some(
                "`probe: log` wants whole lines whose last word is a number (`tick 5`): let it print such ones, or take another `probe`",
            ),
            ProbeError::NoNumber { last: None, .. } => Some(
                "what a program prints to a pipe may stay in its buffer: let it flush each line (Python: `print(n, flush=True)`)",
            ),
            ProbeError::Nonsense { .. } => Some("what each `probe` asks and wants to hear is in docs/scenarios.md"),
            _ => None,
        }
    }
}

impl From<ProbeError> for Failure {
    fn from(e: ProbeError) -> Self {
        Failure { hint: e.hint().map(str::to_owned), ..Failure::new(e.class(), Chain(&e).to_string()) }
    }
}
