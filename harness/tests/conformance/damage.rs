//! Checkpoints that are not whole, and dumps that fail.

use crate::bed::start;
use crate::pair::{Pair, goes_on, look, refused, restore, shown, teller, tells, without_criu};
use podferry::archive;
use podferry::engine::Checkpoint;
use podferry::record::ErrorClass;
use podferry::scenario::plan::Damage;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

pub(crate) async fn damaged_checkpoints_are_refused(pair: Arc<Pair>) {
    let a = &pair.a;
    let image = teller(&pair.bed).await;
    let source = start(a, "teller", &image).await;
    tells(a, &source, 1).await;
    let good = shown(a.checkpoint(&source, "good").await);
    let entry = |name: &str| name.to_owned();
    let damages = [
        ("empty", Damage::Empty),
        ("random", Damage::Random),
        ("no-inventory", Damage::DropEntry { entry: entry("checkpoint/inventory.img") }),
        // CRIU reads past its end for ever; a watchdog must end that.
        ("half-pages", Damage::CutEntry { entry: entry("checkpoint/pages-1.img"), keep: 16384 }),
    ];
    for (name, damage) in damages {
        let bad = beside(&good, name);
        let on_host = |c: &Checkpoint| a.node().host_path(&c.path);
        archive::tamper(&on_host(&good), &on_host(&bad), &damage).unwrap();
        let form = bad.form();
        let told = archive::verify(&on_host(&bad), form).expect_err("it is not whole");
        assert_eq!(told.class(), ErrorClass::InvalidArchive, "{name}: {told}");
        // And by who does not look before.
        let (before, from) = (sorted(shown(a.left().await)), Instant::now());
        let error = refused(restore(a, "copy", &image, &bad).await, ErrorClass::InvalidArchive);
        eprintln!("    {name}: {:.1} s: {error}", from.elapsed().as_secs_f64());
        assert_eq!(sorted(shown(a.left().await)), before, "{name}");
    }
    refused(restore(a, "copy", &image, &beside(&good, "absent")).await, ErrorClass::InvalidArchive);
    goes_on(a, &source).await;
    let copy = shown(restore(a, "copy", &image, &good).await).container;
    goes_on(a, &copy).await;
    pair.clean(&[&source, &copy], &[]).await;
}

fn sorted(mut left: Vec<String>) -> Vec<String> {
    left.sort();
    left
}

/// A checkpoint of another name in the same folder.
fn beside(good: &Checkpoint, name: &str) -> Checkpoint {
    let path: PathBuf = match good.path.extension() {
        Some(extension) => good.path.with_file_name(name).with_extension(extension),
        None => good.path.with_file_name(name),
    };
    Checkpoint { name: name.to_owned(), path, ..good.clone() }
}

pub(crate) async fn a_failed_dump_leaves_the_source_as_it_was(pair: Arc<Pair>) {
    let a = &pair.a;
    // criu 4.2.1 carries files that are open and gone only up to 1 MiB.
    let ghost = "B=/usr/bin/busybox; exec 9> /ghost; $B dd if=/dev/zero bs=1M count=3 >&9 2>/dev/null; $B rm /ghost; \
        read n < /proc/sys/kernel/random/uuid; i=0; while true; do echo $n $i; i=$((i+1)); $B sleep 0.05; done";
    let image = pair.bed.script("ghost", ghost, &[]).await;
    let source = start(a, "ghost", &image).await;
    tells(a, &source, 1).await;
    let error = refused(a.checkpoint(&source, "fails").await, ErrorClass::DeletedFile);
    assert!(error.log.iter().any(|l| l.contains("ghost file")), "CRIU's own words: {:?}", error.log);
    assert!(error.hint.is_some() && error.message.contains("on node "), "{error}");
    goes_on(a, &source).await;
    assert_eq!(look(a, &source).await.frozen, Some(false), "what ran runs on");
    shown(a.freeze(&source).await);
    refused(a.checkpoint(&source, "fails").await, ErrorClass::DeletedFile);
    assert_eq!(look(a, &source).await.frozen, Some(true), "what was frozen stays so");
    shown(a.thaw(&source).await);

    let fails = without_criu(a.node(), a.checkpoint(&source, "fails")).await;
    refused(fails, ErrorClass::CriuMissing);
    goes_on(a, &source).await;
    let whole = start(a, "whole", &teller(&pair.bed).await).await;
    // crun, as the process is until it has executed its program, is mapped from a mount that CRIU cannot find.
    tells(a, &whole, 1).await;
    let good = shown(a.checkpoint(&whole, "good").await);
    let copy = without_criu(a.node(), restore(a, "copy", &whole.slot.spec.image, &good)).await;
    refused(copy, ErrorClass::CriuMissing);
    let logs = tempfile::tempdir().unwrap();
    shown(a.collect_logs(logs.path()).await);
    assert!(std::fs::read_dir(logs.path()).unwrap().count() > 0, "logs are kept");
    shown(a.remove(&whole).await);
    std::fs::remove_dir_all(a.node().host_path(&good.path))
        .or_else(|_| std::fs::remove_file(a.node().host_path(&good.path)))
        .unwrap();
    // No partial checkpoint is left of those that failed.
    shown(a.remove(&source).await);
    pair.nothing_is_left().await;
    pair.clean(&[&source, &whole], &[]).await;
}
