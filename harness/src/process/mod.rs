//! The only place that spawns programs on the host.

mod exec;

pub use exec::{Exec, ExecError, Output};
