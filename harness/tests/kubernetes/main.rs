//! What users of a real kubelet's checkpoint endpoint meet, beside what every engine must do. Needs root, and the programs of a
//! cluster (`PODFERRY_TEST_KUBERNETES`), which take minutes to build: the lane `cargo xtask ci kubernetes` runs it.

#[path = "../bed/mod.rs"]
mod bed;
mod ground;

use ground::{Ground, pod};
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::api::{DeleteParams, ListParams, PostParams};
use podferry::cluster::{Api, wait_for};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const PODS: &str = include_str!("../../../fixtures/kubernetes/migration-test.yaml");
const NEEDS: Duration = Duration::from_secs(90);

/// The two pods of the article, as they stand but for what no offline cluster has: the name `redis` is that of an image in the
/// node's registry, and `clonePod` is the image of a checkpoint. They have limits, a node selector, and the token of a service
/// account, which neither asks for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of a cluster: cargo xtask ci kubernetes"]
async fn the_articles_redis_moves_and_counts_on() {
    let ground = Ground::up(&["node1", "node2"]).await;
    let image = ground.bed.redis().await.reference.clone();
    let pods: Vec<Value> = PODS.split("\n---\n").map(|pod| serde_saphyr::from_str(pod).unwrap()).collect();
    let [mut source, mut clone] = <[Value; 2]>::try_from(pods).unwrap();
    assert_eq!(source["spec"]["containers"][0]["image"], "redis");
    source["spec"]["containers"][0]["image"] = json!(image);

    let address = ground.run("default", &source).await;
    for n in ["1", "2", "3"] {
        assert_eq!(ground.redis(0, address, &["incr", "n"]).await.trim(), n);
    }
    let archive = ground.checkpoint(0, "default/migration-test/redis").await;
    ground.delete("default", "migration-test").await;

    let reference = "localhost/podferry/migration-test:1";
    ground.carry(&archive, 0, 1, "redis", reference).await;
    assert_eq!(clone["spec"].as_object_mut().unwrap().remove("clonePod"), Some(json!("migration-test")));
    clone["spec"]["containers"][0]["image"] = json!(reference);
    clone["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": "node2"});
    let address = ground.run("default", &clone).await;
    // "A request to it returns a number above 1."
    assert_eq!(ground.redis(1, address, &["incr", "n"]).await.trim(), "4");

    let cold = pod("cold", "node2", &image, &json!({}));
    let address = ground.run("default", &cold).await;
    assert_eq!(ground.redis(1, address, &["incr", "n"]).await.trim(), "1", "a cold start has counted nothing");
}

/// The endpoint's archives: whose they are, what they are called, and what is counted of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of a cluster: cargo xtask ci kubernetes"]
async fn two_checkpoints_of_one_second_have_one_name_and_only_root_reads_it() {
    let ground = Ground::up(&["node1"]).await;
    let image = ground.bed.redis().await.reference.clone();
    ground.run("default", &pod("twice", "node1", &image, &json!({}))).await;

    // A second may turn between the two.
    let mut paths = Vec::new();
    for _ in 0..10 {
        paths =
            vec![ground.checkpoint(0, "default/twice/redis").await, ground.checkpoint(0, "default/twice/redis").await];
        if paths[0] == paths[1] {
            break;
        }
    }
    assert_eq!(paths[0], paths[1], "the trap is gone: two checkpoints of one second have names of their own");
    let archive = ground.node(0).host_path(&paths[0]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&archive), mode(archive.parent().unwrap())), (0o600, 0o700));

    // Without the API server between, with podferry's certificate: the kubelet asks whether it may.
    let direct = ground.cluster.direct(ground.node(0)).unwrap();
    let path = ground.post(direct.client.clone(), "/checkpoint/default/twice/redis").await;
    assert!(ground.node(0).host_path(&path).is_file(), "{}", path.display());
    let nobody = http::Request::post("/checkpoint/default/nobody/redis").body(Vec::new()).unwrap();
    let kube::Error::Api(refused) = direct.client.request_text(nobody).await.unwrap_err() else { panic!("no answer") };
    assert_eq!(refused.code, 404, "{refused:?}");

    let metrics = http::Request::get("/api/v1/nodes/node1/proxy/metrics").body(Vec::new()).unwrap();
    let metrics = ground.admin.request_text(metrics).await.unwrap();
    let counted = |line: &str| {
        line.strip_prefix("kubelet_runtime_operations_total{operation_type=\"checkpoint_container\"} ")
            .and_then(|n| n.parse::<f64>().ok())
    };
    let counted = metrics.lines().find_map(counted).expect("the kubelet counts checkpoints");
    assert!(counted >= 3.0, "{counted}");
}

/// What a restored container is to its kubelet: a container of an image that happens to be a checkpoint. Started again, it is
/// restored again, and all that it did since is gone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of a cluster: cargo xtask ci kubernetes"]
async fn a_restored_container_that_ends_is_rolled_back_and_goes_with_its_namespace() {
    let ground = Ground::up(&["node1"]).await;
    let image = ground.bed.redis().await.reference.clone();
    let namespaces: Api<Namespace> = Api::all(ground.admin.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": "tried"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(ground.admin.clone(), "tried");
    wait_for(&accounts, "default", NEEDS, |account| Ok(account.map(drop))).await.unwrap();

    let address = ground.run("tried", &pod("source", "node1", &image, &json!({}))).await;
    ground.redis(0, address, &["set", "n", "3"]).await;
    let archive = ground.checkpoint(0, "tried/source/redis").await;
    ground.carry(&archive, 0, 0, "redis", "localhost/podferry/tried:1").await;
    let address = ground.run("tried", &pod("copy", "node1", "localhost/podferry/tried:1", &json!({}))).await;
    assert_eq!(ground.redis(0, address, &["incrby", "n", "7"]).await.trim(), "10");

    // It ends by itself; the pod's policy is `Always`.
    let exec = podferry::process::Exec::new("redis-cli").args(["-h", &address.to_string(), "shutdown", "nosave"]);
    let _ = ground.node(0).output(exec.timeout(NEEDS)).await;
    let address = ground.runs("tried", "copy", 1).await;
    let rolled_back = ground.redis(0, address, &["get", "n"]).await;
    assert_eq!(
        rolled_back.trim(),
        "3",
        "the trap is gone: a restored container that is started again keeps what it did"
    );

    namespaces.delete("tried", &DeleteParams::default()).await.unwrap();
    wait_for(&namespaces, "tried", NEEDS, |namespace| Ok(namespace.is_none().then_some(()))).await.unwrap();
    let left = ground.pods("tried").list(&ListParams::default()).await.unwrap();
    assert!(left.items.is_empty(), "{:?}", left.items);
}

/// Probes go on while a container is checkpointed. One that asks its port each second is answered in time by a small one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of a cluster: cargo xtask ci kubernetes"]
async fn a_liveness_probe_does_not_kill_what_is_checkpointed() {
    let ground = Ground::up(&["node1"]).await;
    let image = ground.bed.redis().await.reference.clone();
    let probe = json!({"tcpSocket": {"port": 6379}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1});
    let address = ground.run("default", &pod("probed", "node1", &image, &json!({"livenessProbe": probe}))).await;
    ground.redis(0, address, &["set", "n", "1"]).await;
    for _ in 0..5 {
        ground.checkpoint(0, "default/probed/redis").await;
    }
    let events: Api<Event> = Api::namespaced(ground.admin.clone(), "default");
    let events = events.list(&ListParams::default()).await.unwrap();
    let unhealthy: Vec<_> = events.items.iter().filter(|e| e.reason.as_deref() == Some("Unhealthy")).collect();
    assert!(unhealthy.is_empty(), "{unhealthy:?}");
    assert_eq!(ground.runs("default", "probed", 0).await, address);
    assert_eq!(ground.redis(0, address, &["get", "n"]).await.trim(), "1");
}

/// A probe that runs a program in the container, while that stands still: during a checkpoint, and as long as somebody froze it.
/// The kubelet takes "cannot exec in a paused state" for no answer, and an answer that is none for no failure.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the programs of a cluster: cargo xtask ci kubernetes"]
async fn an_exec_probe_neither_kills_what_is_frozen_nor_ever_will() {
    let ground = Ground::up(&["node1"]).await;
    let image = ground.bed.looper().await.reference.clone();
    let probed = |word: &str, delay: u32| {
        let exec = json!({"command": ["/usr/bin/busybox", word]});
        json!({"livenessProbe": {
            "exec": exec, "initialDelaySeconds": delay, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1,
        }})
    };
    ground.run("default", &pod("probed", "node1", &image, &probed("true", 0))).await;
    for _ in 0..3 {
        ground.checkpoint(0, "default/probed/redis").await;
    }
    ground.runs("default", "probed", 0).await;

    ground.task("pause", 0, "default", "probed").await;
    ground.checkpoint(0, "default/probed/redis").await;
    let unknown = bed::within("three probes of what is frozen", async || {
        let told = ground.told("default", "probed").await;
        let unknown =
            |line: &&String| line.starts_with("Unhealthy: Liveness probe errored and resulted in unknown state: ");
        let unknown: Vec<String> = told.iter().filter(unknown).cloned().collect();
        (unknown.len() >= 3).then_some(unknown)
    });
    for line in unknown.await {
        assert!(line.contains("cannot exec in a paused state"), "{line}");
    }
    ground.runs("default", "probed", 0).await;
    ground.task("resume", 0, "default", "probed").await;
    ground.runs("default", "probed", 0).await;

    // A probe that fails does kill.
    ground.run("default", &pod("failing", "node1", &image, &probed("false", 4))).await;
    ground.runs("default", "failing", 1).await;
}
