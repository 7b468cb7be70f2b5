//! Fixtures for `#[rstest]`.

use super::{Setup, TestBed};
use rstest::fixture;

/// A bed with nodes `a` and `b`, by the default engine and node image or those of `PODFERRY_ARGS`: change it as you like, and run
/// a test on it with [`Setup::test`].
#[fixture]
pub fn bed() -> Setup {
    TestBed::setup()
}
