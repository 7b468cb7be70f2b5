//! What the workloads of podferry share: the line protocol that they speak, the values fixed at their start, and how
//! they end. They run as process 1 of a container, on plain blocking threads.

mod boot;
mod end;
mod hold;
mod kernel;
mod options;
mod pages;
mod serve;
mod shared;
mod startup;
mod xxh64;
pub mod zoo;

pub use boot::{Boot, json_string};
pub use end::end_on_signals;
pub use hold::Hold;
pub use kernel::Watch;
pub use options::{Options, OptionsError};
pub use pages::{PAGE, Pages, Verdict};
pub use serve::{MAX_LINE, listen, serve};
pub use shared::SharedWords;
pub use startup::Startup;
pub use xxh64::Xxh64;
