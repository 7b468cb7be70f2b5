//! The Container Runtime Interface (CRI v1) as its client sees it, whoever serves it: containerd or CRI-O.

mod calls;
mod containers;
pub(super) mod requests;

pub(super) use super::containerd::classify::During;
pub(super) use super::containerd::generated::runtime::v1;
pub(super) use calls::{LIMIT, Served};
pub(super) use containers::Sandboxes;

/// An id as the tools of CRI show it.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
