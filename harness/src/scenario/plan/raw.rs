//! Calls without the harness's guard (`guard: false`): as a client makes them that knows none of the stack's traps.

use crate::record::GiveUp;
use std::time::Duration;

/// A checkpoint as a naive client takes it: at a path that may have been used before, not in turn with others of its
/// container, given up when it takes long, and with nothing put back when it fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawCheckpoint {
    /// When it is given up; `None`: it is waited for.
    pub give_up: Option<GiveUp>,
    /// The checkpoint whose path it is written to; `None`: a path of its own.
    pub over: Option<String>,
}

/// A restore as a naive client does it: of what was not looked at, without a folder for the log, and with no watchdog.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawRestore {
    /// When the client gives up; what still runs of it then is killed, so that the case can go on. `None`: a default of
    /// the runner's.
    pub deadline: Option<Duration>,
}
