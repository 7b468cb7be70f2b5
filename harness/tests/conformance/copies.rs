//! One checkpoint, several copies, and a second hop.

use crate::bed::start;
use crate::pair::{Pair, carry, goes_on, look, restore, shown, teller, tells};
use std::sync::Arc;

pub(crate) async fn copies_of_one_checkpoint_count_on(pair: Arc<Pair>) {
    let (a, b) = (&pair.a, &pair.b);
    let image = teller(&pair.bed).await;
    let source = start(a, "teller", &image).await;
    tells(a, &source, 3).await;

    // Running before, running after.
    let live = shown(a.checkpoint(&source, "live").await);
    assert_eq!(look(a, &source).await.frozen, Some(false));
    goes_on(a, &source).await;
    // Frozen before, frozen after.
    shown(a.freeze(&source).await);
    let frozen = shown(a.checkpoint(&source, "frozen").await);
    assert_eq!(look(a, &source).await.frozen, Some(true));
    let at = tells(a, &source, 0).await;
    assert_ne!(live.path, frozen.path);

    let carried = carry(a, b, &frozen);
    let mut copies = Vec::new();
    for name in ["one", "two", "three"] {
        copies.push(shown(restore(b, name, &image, &carried).await).container);
    }
    for copy in &copies {
        let told = tells(b, copy, at.last + 3).await;
        assert_eq!(told.nonce, at.nonce, "{} is another process", copy.slot.spec.name);
    }
    // From the live one too, which is older.
    let older = shown(restore(b, "older", &image, &carry(a, b, &live)).await).container;
    assert_eq!(tells(b, &older, at.last + 1).await.nonce, at.nonce);

    // A second hop, back to where it came from, beside the source.
    let hop = shown(b.checkpoint(&copies[0], "hop").await);
    let back = shown(restore(a, "back", &image, &carry(b, a, &hop)).await).container;
    let told = tells(a, &back, at.last + 4).await;
    assert_eq!(told.nonce, at.nonce, "the second hop is another process");
    shown(a.thaw(&source).await);
    assert_eq!(goes_on(a, &source).await.nonce, at.nonce);

    let cold = start(b, "cold", &image).await;
    assert_ne!(tells(b, &cold, 0).await.nonce, at.nonce, "a cold start passes for a copy");
    let on_b: Vec<_> = copies.iter().chain([&older, &cold]).collect();
    pair.clean(&[&source, &back], &on_b).await;
}
