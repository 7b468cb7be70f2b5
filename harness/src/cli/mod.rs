//! Room `cli`.
pub mod scenario;
