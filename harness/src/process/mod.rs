//! The only place that spawns programs on the host.

mod exec;
mod here;
mod host;

pub use exec::{Exec, ExecError, Output};
pub(crate) use here::{init_in_new_pid_namespace, output_here};
pub use host::HostProgram;
