use std::time::Duration;

/// How a naive client gives up a call that takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// It sends a deadline with the call: the server is told, and ends it by itself.
    Deadline(Duration),
    /// It goes away after this time, as a client does that is ended.
    Cancel(Duration),
}

impl GiveUp {
    /// The time after which it gives up.
    pub fn after(self) -> Duration {
        match self {
            GiveUp::Deadline(after) | GiveUp::Cancel(after) => after,
        }
    }
}
