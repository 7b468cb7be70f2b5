//! Room `component`.
