//! A checkpoint that goes from node to node while CRIU writes it: no image lies anywhere on the way.
//!
//! `criu dump --stream` asks a streamer for a pipe for each image (see [`request`]). [`Capture`] is that streamer: it sends
//! what comes through the pipes, in frames over one connection, to [`extract`], which writes the files as they come. What
//! is under way is bounded by one frame and the sockets' buffers: a slow target slows the dump down.

mod capture;
mod extract;
mod frame;
mod request;
#[cfg(test)]
mod tests;

pub use capture::{Beside, Capture};
pub use extract::extract;

/// What went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Bytes, frames included.
    pub bytes: u64,
    /// XXH3 over all of them, the same at both ends.
    pub digest: u128,
}
