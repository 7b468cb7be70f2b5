//! From a slot to nothing.

use crate::bed::{spec, start, within};
use crate::pair::{Pair, can, look, refused, shown, teller, tells};
use podferry::engine::Container;
use podferry::record::ErrorClass;
use std::path::Path;
use std::sync::Arc;

pub(crate) async fn a_container_is_made_seen_and_removed(pair: Arc<Pair>) {
    let a = &pair.a;
    let image = teller(&pair.bed).await;
    let slot = shown(a.prepare(&spec("life", &image)).await);
    let network = async || a.node().host_path(&shown(a.network("life").await));
    // A slot without an address has no network either.
    let addressed = !slot.address.is_unspecified();
    assert!(!addressed || network().await.exists(), "{}", network().await.display());
    let container = shown(a.start(&slot).await);
    assert!(network().await.exists(), "{}", network().await.display());
    assert!(!addressed || container.slot.address == slot.address, "{}", container.slot.address);
    assert!(!container.slot.address.is_unspecified());
    tells(a, &container, 1).await;

    let seen = look(a, &container).await;
    assert_eq!((seen.engine_state.as_str(), seen.frozen, seen.pid_inside), ("running", Some(false), Some(1)));
    assert_eq!((seen.comm.as_deref(), seen.address), (Some("busybox"), Some(container.slot.address.to_string())));
    assert!(
        seen.processes.is_some_and(|n| n >= 1) && seen.argv.contains(&"-c".to_owned()),
        "{seen:?}",
        seen = look(a, &container).await
    );
    let pid = shown(a.first_process(&container).await).expect("a process");
    assert!(a.node().host_path(Path::new(&format!("/proc/{pid}"))).exists());
    assert!(a.memory(&container).is_some_and(|m| m.bytes > 0), "{:?}", a.memory(&container));
    assert!(!shown(a.left().await).is_empty(), "who asks what is left is told of it");

    refused(a.prepare(&spec("life", &image)).await, ErrorClass::NameTaken);
    let at = tells(a, &container, 1).await.last;
    tells(a, &container, at + 2).await;

    let slot = shown(a.prepare(&spec("waiting", &image)).await);
    let waiting = if can(&a.unstarted()) {
        let waiting = shown(a.create(&slot).await);
        assert_eq!(look(a, &waiting).await.engine_state, "created");
        refused(a.checkpoint(&waiting, "early").await, ErrorClass::NotRunning);
        vec![waiting]
    } else {
        refused(a.create(&slot).await, ErrorClass::Unsupported);
        Vec::new()
    };

    let unused = shown(a.prepare(&spec("unused", &image)).await);
    shown(a.discard(&unused).await);
    shown(a.discard(&unused).await);
    pair.clean(&waiting.iter().chain([&container]).collect::<Vec<_>>(), &[]).await;
    // The name is free again.
    let again = start(a, "life", &image).await;
    tells(a, &again, 1).await;
    pair.clean(&[&again], &[]).await;
}

pub(crate) async fn ended_and_unknown_containers_are_told(pair: Arc<Pair>) {
    let a = &pair.a;
    let image = pair.bed.image("short", "/usr/bin/busybox", &["sleep", "0.2"]).await;
    let ended = start(a, "ended", &image).await;
    within("its end", async || (look(a, &ended).await.engine_state == "stopped").then_some(())).await;
    let end = look(a, &ended).await.end.expect("how it ended");
    assert_eq!(end.exit_code, Some(0));
    refused(a.checkpoint(&ended, "late").await, ErrorClass::NotRunning);
    refused(a.freeze(&ended).await, ErrorClass::NotRunning);

    let unknown = Container { id: "deadbeef".to_owned(), ..ended.clone() };
    refused(a.checkpoint(&unknown, "whose").await, ErrorClass::UnknownContainer);
    refused(a.freeze(&unknown).await, ErrorClass::UnknownContainer);
    refused(a.thaw(&unknown).await, ErrorClass::UnknownContainer);
    assert_eq!(shown(a.inspect(&unknown).await), None);
    pair.clean(&[&ended], &[]).await;
}
