//! How many calls of daemons' interfaces were made: a figure without noise.

use std::sync::atomic::{AtomicU64, Ordering};

static MADE: AtomicU64 = AtomicU64::new(0);

/// To be called for each call.
pub(super) fn note() {
    MADE.fetch_add(1, Ordering::Relaxed);
}

/// How many calls all engines have made so far.
pub(crate) fn calls() -> u64 {
    MADE.load(Ordering::Relaxed)
}
