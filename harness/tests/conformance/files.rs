//! Files: of the container's root, and of folders of the node.

use crate::bed::{spec, start};
use crate::pair::{Pair, Shared, can, carry, goes_on, refused, restore, restore_as, shown, start_as, tells};
use podferry::engine::{Container, ContainerSpec, Mount};
use podferry::process::Exec;
use podferry::record::ErrorClass;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const WORK: &str = "cd /srv; B=/usr/bin/busybox; $B rm gone; $B rm -r tree; $B mkdir tree; echo 2 > tree/new; \
    echo 2 > kept; echo 2 > made; $B ln made same; $B ln -s made link; $B chmod 640 made; \
    read n < /proc/sys/kernel/random/uuid; i=0; while true; do echo $n $i; i=$((i+1)); $B sleep 0.05; done";

const CHANGED: &str = ".\n./kept\n./link\n./made\n./same\n./same-as-ever\n./tree\n./tree/new\n2\n2\n2\n2\n2\n640 2";

/// The same without what became of the image's own: the file that was changed is as the image has it (without an end of its
/// line), and the folder that was removed and made again is not there.
const WITHOUT_IMAGE_CHANGES: &str = ".\n./kept\n./link\n./made\n./same\n./same-as-ever\n12\n2\n2\n640 2";

/// As the container's first process sees it: where an engine keeps roots is its own affair.
async fn srv(engine: &Shared, container: &Container) -> String {
    let pid = shown(engine.first_process(container).await).expect("a process");
    let script =
        "cd /proc/$0/root/srv && find . | sort && cat tree/new kept made same link 2>/dev/null; stat -c '%a %h' made";
    engine.node().output(Exec::new("sh").args(["-c", script, &pid.to_string()])).await.expect("a look").text()
}

pub(crate) async fn changes_of_the_root_travel(pair: Arc<Pair>) {
    let (a, b) = (&pair.a, &pair.b);
    let files = [("/srv/gone", "1"), ("/srv/tree/old", "1"), ("/srv/kept", "1"), ("/srv/same-as-ever", "1")];
    let image = pair.bed.script("changes", WORK, &files).await;
    let source = start(a, "changes", &image).await;
    goes_on(a, &source).await;
    assert_eq!(srv(a, &source).await, CHANGED);
    let checkpoint = shown(a.checkpoint(&source, "changed").await);
    let copy = restore(b, "changes", &image, &carry(a, b, &checkpoint)).await;
    if !can(&a.capabilities().root_changes) {
        // Either there is no copy, since it had files open; or it has none of the changes.
        if let Ok(restored) = copy {
            assert_ne!(srv(b, &restored.container).await, CHANGED, "the capability is there after all");
            shown(b.remove(&restored.container).await);
        }
        return pair.clean(&[&source], &[]).await;
    }
    let copy = shown(copy).container;
    goes_on(b, &copy).await;
    if !can(&a.capabilities().image_changes) {
        assert_eq!(srv(b, &copy).await, WITHOUT_IMAGE_CHANGES, "these are lost and nothing else, or it can do it");
        return pair.clean(&[&source], &[&copy]).await;
    }
    assert_eq!(srv(b, &copy).await, CHANGED);
    // And once more, from the copy.
    let again = shown(b.checkpoint(&copy, "changed-again").await);
    let back = shown(restore(a, "changes-back", &image, &carry(b, a, &again)).await).container;
    goes_on(a, &back).await;
    assert_eq!(srv(a, &back).await, CHANGED);
    pair.clean(&[&source, &back], &[&copy]).await;
}

pub(crate) async fn a_mounted_folder_is_given_again(pair: Arc<Pair>) {
    let (a, b) = (&pair.a, &pair.b);
    let script = "read n < /proc/sys/kernel/random/uuid; i=0; \
        while true; do echo $i > /vol/at; echo $n $i; i=$((i+1)); /usr/bin/busybox sleep 0.05; done";
    let image = pair.bed.script("volume", script, &[]).await;
    let on = |engine: &Shared, name: &str| {
        let source = Path::new("/data/volumes").join(name);
        std::fs::create_dir_all(engine.node().host_path(&source)).unwrap();
        Mount { source, target: "/vol".into() }
    };
    let with = |name: &str, mount: Mount| ContainerSpec { mounts: vec![mount], ..spec(name, &image) };
    let source = start_as(a, &with("volume", on(a, "old"))).await;
    let at = tells(a, &source, 2).await;
    let checkpoint = shown(a.checkpoint(&source, "volume").await);
    let carried = carry(a, b, &checkpoint);
    // Where it lies may differ.
    let again = with("volume", on(b, "new"));
    if can(&b.capabilities().restore_mounts) {
        let copy = shown(restore_as(b, &again, &carried).await).container;
        assert_eq!(tells(b, &copy, at.last + 3).await.nonce, at.nonce);
        let file = b.node().host_path(Path::new("/data/volumes/new/at"));
        let number: u64 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        assert!(number > at.last, "the copy writes to its mount: {number}");
        refused(restore(b, "bare", &image, &carried).await, ErrorClass::MountMissing);
        shown(b.remove(&copy).await);
    } else {
        refused(restore_as(b, &again, &carried).await, ErrorClass::Unsupported);
        // It is true: the engine's own call fails.
        let slot = shown(b.prepare(&again).await);
        refused(b.restore_bare(&slot, &carried, Duration::from_secs(20)).await, ErrorClass::MountMissing);
        shown(b.discard(&slot).await);
    }
    goes_on(a, &source).await;
    pair.clean(&[&source], &[]).await;
}
