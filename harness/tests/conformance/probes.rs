//! Capabilities are data, and true.

use crate::pair::{Pair, can, without_criu};
use std::sync::Arc;

/// Shown as the row of the table in `docs/engines.md`.
pub(crate) async fn capabilities_are_asked_for(pair: Arc<Pair>) {
    let (of_a, of_b) = (pair.a.capabilities(), pair.b.capabilities());
    assert_eq!(of_a, of_b, "two nodes of one image");
    assert_eq!((pair.a.kind(), pair.b.kind()), (pair.kind, pair.kind));
    assert!(of_a.version.chars().any(|c| c.is_ascii_digit()), "`{}` is no version", of_a.version);
    eprintln!("| `{}` | {} | {}", pair.kind, of_a.version, if of_a.shared_images { "shared" } else { "carried" });
    for (name, able) in of_a.named() {
        let can = can(able);
        eprintln!("    {name}: {}", if can { "yes" } else { able.as_ref().unwrap_err().as_str() });
    }
}

/// They come from a look at the node: without CRIU on it they are others.
pub(crate) async fn an_engine_without_criu_says_so(pair: Arc<Pair>) {
    let (node, registry) = pair.bed.node("c").await;
    let engine = without_criu(&node, pair.connect(&node)).await.unwrap_or_else(|e| panic!("{}: {e}", e.class));
    for able in [&engine.capabilities().checkpoint, &engine.capabilities().restore] {
        let reason = able.as_ref().expect_err("there is no criu");
        assert!(reason.contains("criu"), "{reason}");
    }
    drop((engine, registry));
    pair.bed.down("c").await;
}
