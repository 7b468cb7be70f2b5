//! The only place that spawns programs on the host.

mod count;
mod exec;
mod here;
mod host;

pub(crate) use count::{note_start, started};
pub use exec::{Exec, ExecError, Output};
pub(crate) use here::{guest_in_pid_namespace, init_in_new_pid_namespace, output_here, start_between};
pub use host::HostProgram;
