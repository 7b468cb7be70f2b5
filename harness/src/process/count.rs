//! How many programs were started, wherever they run: a figure without noise.

use std::sync::atomic::{AtomicU64, Ordering};

static STARTED: AtomicU64 = AtomicU64::new(0);

/// To be called for each program that is started: on the host, or in a node by its PID 1.
pub(crate) fn note_start() {
    STARTED.fetch_add(1, Ordering::Relaxed);
}

/// How many there were so far. What programs start by themselves (a shim its runtime) is not counted.
pub(crate) fn started() -> u64 {
    STARTED.load(Ordering::Relaxed)
}
