//! What only some engines can: done, or refused as what it is.

use crate::bed::{spec, start};
use crate::pair::{Pair, answer, can, goes_on, look, refused, shown, teller, tells};
use podferry::engine::BareCheckpoint;
use podferry::image::checkpoint_image;
use podferry::record::{EngineKind, ErrorClass};
use std::sync::Arc;

pub(crate) async fn checkpoint_images_are_restored_or_refused(pair: Arc<Pair>) {
    let (a, b) = (&pair.a, &pair.b);
    let image = teller(&pair.bed).await;
    let source = start(a, "teller", &image).await;
    let at = tells(a, &source, 2).await;
    let slot = shown(b.prepare(&spec("pulled", &image)).await);
    if can(&b.capabilities().restore_image) {
        let checkpoint = shown(a.checkpoint(&source, "image").await);
        let path = a.node().host_path(&checkpoint.path);
        let wrapped = checkpoint_image(&pair.bed.store, &path, "teller", "image").unwrap();
        let copy = shown(b.restore_image(&slot, &wrapped.reference).await).container;
        assert_eq!(tells(b, &copy, at.last + 3).await.nonce, at.nonce);
        shown(b.remove(&copy).await);
        // An ordinary image is not taken for one.
        let slot = shown(b.prepare(&spec("afresh", &image)).await);
        refused(b.restore_image(&slot, &image.reference).await, ErrorClass::InvalidArchive);
        shown(b.discard(&slot).await);
    } else {
        let error = refused(b.restore_image(&slot, "localhost:5000/podferry/none:1").await, ErrorClass::Unsupported);
        assert!(error.message.contains("localhost:5000/podferry/none:1"), "{error}");
        shown(b.discard(&slot).await);
    }
    pair.clean(&[&source], &[]).await;
}

pub(crate) async fn bare_checkpoints_are_taken_or_refused(pair: Arc<Pair>) {
    let a = &pair.a;
    let source = start(a, "teller", &teller(&pair.bed).await).await;
    tells(a, &source, 1).await;
    let bare = BareCheckpoint { name: "bare".to_owned(), over: None, give_up: None };
    let taken = a.checkpoint_bare(&source, &bare).await;
    if can(&a.capabilities().bare_checkpoint) {
        assert!(a.node().host_path(&shown(taken).path).exists());
        shown(a.heal().await);
    } else {
        refused(taken, ErrorClass::Unsupported);
    }
    goes_on(a, &source).await;
    pair.clean(&[&source], &[]).await;
}

pub(crate) async fn a_killed_daemon_comes_back_or_there_is_none(pair: Arc<Pair>) {
    let a = &pair.a;
    let source = start(a, "redis", &pair.bed.redis().await).await;
    answer(a, &source, &["set", "mark", "here"]).await;
    if can(&a.capabilities().daemon) {
        shown(a.kill_daemon().await);
        refused(a.checkpoint(&source, "nobody").await, ErrorClass::DaemonGone);
        // A kubelet freezes nothing itself: what it is over does, and that is there.
        if pair.kind == EngineKind::Kubelet {
            shown(a.freeze(&source).await);
            shown(a.thaw(&source).await);
        } else {
            refused(a.freeze(&source).await, ErrorClass::DaemonGone);
        }
        assert_eq!(answer(a, &source, &["get", "mark"]).await, "here", "the workload does not need it");
        shown(a.revive().await);
    } else {
        refused(a.kill_daemon().await, ErrorClass::Unsupported);
    }
    let seen = look(a, &source).await;
    assert_eq!((seen.engine_state.as_str(), seen.frozen), ("running", Some(false)));
    shown(a.checkpoint(&source, "again").await);
    assert_eq!(answer(a, &source, &["get", "mark"]).await, "here");
    pair.clean(&[&source], &[]).await;
}
