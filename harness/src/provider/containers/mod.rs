//! What clusters have in common whose nodes are containers, whichever program makes them: where dockerd is, what a node image is
//! made of, podferry's guests in the nodes, the pods' network, and what is left to be looked at or removed.

pub(super) mod alike;
pub(super) mod dock;
pub(super) mod image;
pub(super) mod joined;
pub(super) mod logs;
mod network;
mod programs;
pub(super) mod sweep;

pub use image::{PLUGINS, PROGRAMS, Pieces};

use crate::record::{Chain, Failure};

fn failure(cannot: &str, e: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{cannot}: {}", Chain(e)))
}
