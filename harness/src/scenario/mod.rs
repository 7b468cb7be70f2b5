//! YAML as written -> checked [`Plan`] with source positions. Pure: text in, plan or diagnostics out. It may name the
//! plain data of `record`, and nothing else of the crate.

pub mod plan;

pub use plan::Plan;
