//! podferry on a cluster that is there already: one that the test makes, of local nodes, and that a second podferry finds by its
//! kubeconfig alone. What is ignored here needs root, and the programs of a cluster (`PODFERRY_TEST_KUBERNETES`): the lane `kubernetes`
//! has them.

#[path = "../bed/mod.rs"]
mod bed;
mod cluster;
#[path = "../machine/mod.rs"]
mod machine;

use cluster::{Held, NODES};
use machine::{Place, await_event, ledgers};
use serde_json::json;
use std::process::{Output, Stdio};
use std::time::Duration;

/// Neither file nor context is found by itself: who has a kubeconfig for his own cluster never meets podferry in it.
#[test]
fn what_is_not_named_is_not_taken() {
    let place = Place::new();
    let context = |name: &str| json!({"name": name, "context": {"cluster": "c", "user": "u"}});
    let config =
        json!({"contexts": [context("one"), context("two")], "current-context": "one", "clusters": [], "users": []});
    std::fs::write(place.path("kubeconfig"), config.to_string()).unwrap();
    let run = |args: &[&str]| {
        let mut command = place.podferry(&[&["run", "looper-migrates", "--provider", "existing"], args].concat());
        let output = command.env("KUBECONFIG", place.path("kubeconfig")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("needs --kubeconfig FILE and --context NAME"), "{said}");
    let (code, said) = run(&["--kubeconfig", "kubeconfig"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("needs --context NAME") && said.contains("kubeconfig has one, two"), "{said}");
    assert!(!place.out().exists(), "nothing was begun");
}

/// With the rights of the manifest and no more: a looper and a redis with its client move; nothing is left in the cluster, nor on
/// its nodes. Two parts of the cases go side by side. Without one of the rights that one is named. A run that is killed is swept up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of a cluster"]
async fn containers_move_on_a_cluster_that_was_there_before() {
    let place = Place::new();
    let held = Held::up(&place).await;
    held.needs_no_registry().await;
    held.import_agent(&place).await;

    held.allow(&place, Some("nodes/proxy")).await;
    let refused = run(&place, &["--out", "out", "looper-migrates"]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(20), "{said}");
    let told = String::from_utf8_lossy(&refused.stdout).into_owned() + &said;
    assert!(told.contains("the user of context tester may not create nodes/proxy"), "{told}");
    assert_eq!(held.namespaces().await, Vec::<String>::new(), "nothing was made");

    held.allow(&place, None).await;
    let done = run(&place, &["--out", "out", "looper-migrates", "redis-migrates[", "--param", "data=16Mi"]).await;
    let told = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{told}");
    assert!(told.contains("2 passed"), "{told}");
    nothing_is_left(&held, &place).await;
    let (one, other) = tokio::join!(part(&held, &place, 0), part(&held, &place, 1));
    for done in [one, other] {
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("1 passed"), "{told}");
    }
    nothing_is_left(&held, &place).await;

    let mut child = place.podferry(&args(&["--out", "out", "redis-migrates["])).stdout(Stdio::null()).spawn().unwrap();
    let out = place.out();
    std::fs::rename(&out, place.path("passed")).unwrap();
    let seen = tokio::task::spawn_blocking(move || {
        await_event(&out, &["\"phase\":\"checkpoint\""], || child.try_wait().unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    });
    seen.await.unwrap();
    assert_eq!(held.namespaces().await.len(), 1, "the kill hit a run");
    assert_eq!(ledgers(&place.state()).len(), 1);
    let cleaned = place.podferry(&["clean"]).output().unwrap();
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
    nothing_is_left(&held, &place).await;
    held.down().await;
}

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let existing = ["--provider", "existing", "--kubeconfig", "kubeconfig", "--context", "tester"];
    [&["run", "--quiet"], &existing[..], more].concat()
}

async fn run(place: &Place, more: &[&str]) -> Output {
    let mut command = place.podferry(&args(more));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// One of two parts of two cases, on two nodes of its own.
async fn part(held: &Held, place: &Place, nth: usize) -> Output {
    let (a, b) = (held.known_as(2 * nth), held.known_as(2 * nth + 1));
    let (shard, out) = (format!("{}/2", nth + 1), format!("part-{nth}"));
    run(place, &["--out", &out, "--shard", &shard, "--node", &a, "--node", &b, "looper-migrates", "counter-migrates"])
        .await
}

async fn nothing_is_left(held: &Held, place: &Place) {
    assert_eq!(held.namespaces().await, Vec::<String>::new());
    assert_eq!(ledgers(&place.state()), Vec::<std::path::PathBuf>::new());
    for (nth, name) in NODES.iter().enumerate() {
        // The agents remove it when their harness has gone.
        let gone = tokio::time::timeout(Duration::from_secs(20), async {
            while !held.left(nth).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(gone.await.is_ok(), "on node {name} there is still {:?}", held.left(nth));
    }
}
