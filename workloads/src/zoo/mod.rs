//! The zoo: kinds of state that a process can hold, each with a way to take it and a way to see, from the inside, whether
//! it is still there. What CRIU's own tests (zdtm) hold is the measure of what there should be.
//!
//! Each kind lives in a process of its own, its cell: one that changes the whole process (its limits, its user) is in
//! nobody's way, one that is broken is told by its cell's end, and who looks from outside knows which process to look at.

mod cell;
mod idle;
mod keeper;
mod kind;
mod kinds;
mod sys;

pub use cell::live;
pub use idle::{be_idle, be_orphaned};
pub use keeper::{Answer, Keeper};
pub use kind::{Area, Label, Specimen};
pub use kinds::{KINDS, find};
