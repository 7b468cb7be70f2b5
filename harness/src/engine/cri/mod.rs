//! containerd by the Container Runtime Interface (CRI v1).

mod client;
/// Written by `cargo run -p codegen`.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, rustdoc::all)]
mod generated;
