//! minikube's own program with a real dockerd, in a node of podferry's: that it takes what podferry tells it, and refuses what it
//! should. Needs root, and `cargo xtask ci minikube`, which builds minikube.

mod bed;

use bed::Bed;
use podferry::cluster::PROGRAMS;
use podferry::node::{Program, SharedNode};
use podferry::process::{Exec, Output};
use podferry::provider::minikube::{Network, Start, delete, start};
use std::path::Path;
use std::time::{Duration, Instant};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const START: Start<'static> = Start {
    profile: "tried",
    image: "podferry/none:1",
    nodes: 3,
    kubernetes: Some("v1.35.1"),
    network: Network::Minikube,
    cached: false,
};

/// A node with a dockerd; minikube's home is in it.
struct Ground {
    node: SharedNode,
    _dockerd: Box<dyn Program>,
    _bed: Bed,
}

impl Ground {
    async fn up() -> Ground {
        let bed = Bed::up().await;
        let node = bed.a.clone();
        let program = node.host_path(&Path::new(PROGRAMS).join("minikube"));
        assert!(
            program.is_file(),
            "PODFERRY_TEST_KUBERNETES names no minikube: this is run by `cargo xtask ci minikube`"
        );
        let args = ["--data-root", "/data/docker", "--exec-root", "/run/docker", "--host", "unix:///run/docker.sock"];
        let dockerd = Exec::new("dockerd").args(args).args(["--ip-forward=false"]).env("PATH", PATH);
        let dockerd = node.spawn(dockerd, Path::new("/data/dockerd.log")).await.unwrap();
        let ground = Ground { node, _dockerd: dockerd, _bed: bed };
        let deadline = Instant::now() + Duration::from_secs(60);
        while ground.run("docker", &["version"]).await.code != 0 {
            assert!(Instant::now() < deadline, "dockerd does not answer within a minute");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ground
    }

    async fn run(&self, program: &str, args: &[&str]) -> Output {
        let exec = Exec::new(program).args(args).env("PATH", PATH).env("DOCKER_HOST", "unix:///run/docker.sock");
        let exec =
            exec.env("HOME", "/root").env("MINIKUBE_HOME", "/data/.minikube").env("KUBECONFIG", "/data/kubeconfig");
        let exec = exec.env("MINIKUBE_IN_STYLE", "false").timeout(Duration::from_secs(120));
        self.node.output(exec).await.unwrap()
    }

    /// minikube's exit code, and all that it said.
    async fn minikube(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(&format!("{PROGRAMS}/minikube"), args).await;
        (output.code, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// A start that looks at what it is told and does nothing.
    async fn dry(&self, told: &Start<'_>, more: &[&str]) -> (i32, String) {
        let args = start(told);
        let args: Vec<&str> =
            args.iter().map(String::as_str).chain(["--dry-run"]).chain(more.iter().copied()).collect();
        self.minikube(&args).await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minikube takes minutes to build: cargo xtask ci minikube"]
async fn what_podferry_tells_minikube_is_taken_and_nonsense_is_refused() {
    let ground = Ground::up().await;
    let (code, said) = ground.minikube(&["version", "--short"]).await;
    assert_eq!((code, said.trim()), (0, "v1.38.1"));

    // What podferry says of each kind of cluster, the article's among them.
    let article = Start { network: Network::Named("cilium"), ..START };
    let own = Start { network: Network::Podferry, cached: true, ..START };
    for told in [START, article, own, Start { kubernetes: Some("v1.29.0"), ..START }] {
        let (code, said) = ground.dry(&told, &[]).await;
        assert_eq!(code, 0, "{told:?}: {said}");
        assert!(said.contains("dry-run validation complete!"), "{said}");
    }
    for (wrong, words) in [
        (&["--container-runtime=nonsense"][..], "Invalid Container Runtime"),
        (&["--extra-config=nonsense"], "extra-config"),
        (&["--extra-config=kubeadm.nonsense=1"], "kubeadm"),
        (&["--no-such-flag"], "unknown flag"),
    ] {
        let (code, said) = ground.dry(&START, wrong).await;
        assert!(code != 0 && said.contains(words), "{wrong:?}: {code}: {said}");
    }
    // Built without cgo it has no driver for virtual machines by libvirt.
    let (code, said) = ground.minikube(&["start", "--dry-run", "--profile=machine", "--driver=kvm2"]).await;
    assert!(code != 0, "{said}");

    assert_eq!(ground.run("docker", &["ps", "--all", "--quiet"]).await.text(), "", "a dry run made a container");
    let (code, said) = ground.minikube(&["profile", "list", "--output", "json"]).await;
    // It leaves a folder of its own, which minikube itself takes for no profile.
    assert!(said.contains("\"valid\":[]"), "a dry run made a profile: {code}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minikube takes minutes to build: cargo xtask ci minikube"]
async fn configuration_is_validated_and_profiles_are_listed_and_deleted() {
    let ground = Ground::up().await;
    for (property, value) in [("driver", "nonsense"), ("memory", "nonsense"), ("nonsense", "1")] {
        let (code, said) = ground.minikube(&["config", "set", property, value]).await;
        assert!(code != 0, "{property} = {value} is taken: {said}");
    }
    let (code, said) = ground.minikube(&["config", "set", "cpus", "2"]).await;
    assert_eq!(code, 0, "{said}");
    let (_, said) = ground.minikube(&["config", "view"]).await;
    assert!(said.contains("cpus: 2"), "{said}");

    // A start that fails, for want of its image, leaves a profile: it is listed, and gone when it is deleted.
    let left = Start { nodes: 1, ..START };
    let args = start(&left);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--preload=false", "--cache-images=false"]).collect();
    let (code, said) = ground.minikube(&args).await;
    assert!(code != 0, "{said}");
    let (_, said) = ground.minikube(&["profile", "list", "--output", "json"]).await;
    assert!(said.contains("\"Name\":\"tried\""), "{said}");
    let gone = delete("tried");
    let (code, said) = ground.minikube(&gone.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(code, 0, "{said}");
    let (_, said) = ground.minikube(&["profile", "list", "--output", "json"]).await;
    assert!(!said.contains("tried"), "{said}");
    let networks = ground.run("docker", &["network", "ls", "--format", "{{.Name}}"]).await.text();
    assert!(!networks.contains("tried"), "{networks}");
}
