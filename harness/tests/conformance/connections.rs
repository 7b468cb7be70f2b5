//! What CRIU is told of connections reaches it.

use crate::bed::{redis, spec, within};
use crate::pair::{Pair, answer, ask, refused, restore, shown, start_as};
use podferry::engine::ContainerSpec;
use podferry::record::{CriuChoices, ErrorClass, TcpChoice};
use std::sync::Arc;

pub(crate) async fn clients_are_refused_or_dropped_as_criu_is_told(pair: Arc<Pair>) {
    let engine = &pair.a;
    let image = pair.bed.redis().await;
    for (tcp, dropped) in [(TcpChoice::Refuse, false), (TcpChoice::Close, true)] {
        let criu = CriuChoices { tcp, ..CriuChoices::default() };
        let source = start_as(engine, &ContainerSpec { criu, ..spec("redis", &image) }).await;
        answer(engine, &source, &["set", "mark", "here"]).await;
        let subscribe = ["subscribe", "news"].map(str::to_owned);
        let client = redis::send(engine.node(), source.slot.address, &subscribe).unwrap();
        let connected = async || (ask(engine, &source, &["pubsub", "channels"]).await? == "news").then_some(());
        within("a connected client", connected).await;
        let result = engine.checkpoint(&source, "connected").await;
        if dropped {
            let copy = shown(restore(engine, "copy", &image, &shown(result)).await).container;
            assert_eq!(answer(engine, &copy, &["get", "mark"]).await, "here");
            assert_eq!(ask(engine, &copy, &["pubsub", "channels"]).await.as_deref(), Some(""));
            shown(engine.remove(&copy).await);
        } else {
            let error = refused(result, ErrorClass::ConnectedTcp);
            assert!(error.hint.is_some() && error.log.iter().any(|l| l.contains("Connected TCP")), "{error:?}");
        }
        // The source's client has noticed nothing.
        assert_eq!(ask(engine, &source, &["pubsub", "channels"]).await.as_deref(), Some("news"));
        drop(client);
        pair.clean(&[&source], &[]).await;
    }
}
