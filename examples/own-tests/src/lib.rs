//! The crate whose tests these are: yours. See `tests/`, and docs/library.md.
