//! Two real nodes with their registry, and images from the node image: what the engines' tests stand on. Needs root.
#![allow(dead_code, reason = "each test file takes what it needs")]

#[path = "../node_image/mod.rs"]
mod node_image;
pub(crate) mod redis;

pub(crate) use node_image::rootfs;
use podferry::cluster::{Cluster, PROGRAMS};
use podferry::engine::{Container, ContainerSpec, Engine};
use podferry::image::{Image, ImageSpec, NodeRoot, Registry, RegistryHandle, Store, WorkloadBinaries, build};
use podferry::node::SharedNode;
use podferry::provider::Provider;
use podferry::provider::local::{LocalConfig, LocalProvider, NoClaims, sweep_cgroups};
use podferry::record::{CriuChoices, RunId};
use podferry::testbed::Nodes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Nodes `a` and `b`; both go when this is dropped.
pub(crate) struct Bed {
    pub(crate) a: SharedNode,
    pub(crate) b: SharedNode,
    pub(crate) store: Arc<Store>,
    registries: Vec<RegistryHandle>,
    provider: Arc<dyn Provider>,
    owner: Owner,
}

/// What is still to be done when the nodes are gone.
enum Owner {
    /// Control groups of this run are to be removed.
    Bed(RunId),
    Run(Nodes),
}

impl Bed {
    pub(crate) async fn up() -> Bed {
        Bed::with(Vec::new()).await
    }

    /// With files of the host in places of the nodes.
    pub(crate) async fn with(overrides: Vec<(PathBuf, PathBuf)>) -> Bed {
        Bed::over(rootfs(), overrides).await
    }

    /// Over a node image of another suite.
    pub(crate) async fn of(suite: &str) -> Bed {
        Bed::over(node_image::suite(suite), Vec::new()).await
    }

    /// On nodes that arguments of `podferry run` name: `--provider kind`. `names`: those that there may be.
    pub(crate) async fn by(args: &str, names: &[&str]) -> Bed {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runs");
        let nodes = Nodes::by(&format!("{args} --out {}", out.display()), names).await;
        let nodes = nodes.unwrap_or_else(|e| panic!("{e}"));
        Bed::on(nodes.provider(), Owner::Run(nodes)).await
    }

    async fn over(image_rootfs: PathBuf, overrides: Vec<(PathBuf, PathBuf)>) -> Bed {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let run = RunId(format!("bed-{}-{count}", std::process::id()));
        let provider = LocalProvider::new(LocalConfig {
            run_id: run.clone(),
            podferry: env!("CARGO_BIN_EXE_podferry").into(),
            image_rootfs,
            overrides,
            binds: kubernetes(),
            components: Vec::new(),
            data_size: 4 << 30,
            claims: Arc::new(NoClaims),
        })
        .unwrap();
        Bed::on(Arc::new(provider), Owner::Bed(run)).await
    }

    async fn on(provider: Arc<dyn Provider>, owner: Owner) -> Bed {
        let (a, b) = tokio::join!(provider.node("a"), provider.node("b"));
        let (a, b) = (a.unwrap(), b.unwrap());
        let store = Arc::new(Store::open(Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")).unwrap());
        let registries = vec![serve(&store, &a), serve(&store, &b)];
        Bed { a, b, store, registries, provider, owner }
    }

    /// An image made of the node image's programs.
    pub(crate) async fn image(&self, repository: &str, program: &str, args: &[&str]) -> Arc<Image> {
        let dir = rootfs();
        // Static: it has no libraries to look for.
        let (programs, files) = match program {
            "/usr/bin/busybox" => (vec![], vec![program.to_owned()]),
            _ => (vec![program.to_owned()], vec![]),
        };
        let spec = ImageSpec {
            repository: format!("podferry/{repository}"),
            programs,
            files,
            entrypoint: std::iter::once(&program).chain(args).map(|arg| (*arg).to_owned()).collect(),
            ..Default::default()
        };
        let root = NodeRoot { dir: &dir, key: dir.to_str().unwrap() };
        Arc::new(build(&self.store, root, &WorkloadBinaries::find(), &spec).await.unwrap())
    }

    /// A busybox that runs a script, over an image with the given files.
    pub(crate) async fn script(&self, name: &str, script: &str, texts: &[(&str, &str)]) -> Arc<Image> {
        let dir = rootfs();
        let spec = ImageSpec {
            repository: format!("podferry/{name}"),
            files: vec!["/usr/bin/busybox".into()],
            texts: texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned(), 0o644)).collect(),
            entrypoint: ["/usr/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec(),
            ..Default::default()
        };
        let root = NodeRoot { dir: &dir, key: dir.to_str().unwrap() };
        Arc::new(build(&self.store, root, &WorkloadBinaries::find(), &spec).await.unwrap())
    }

    /// With the registries' port free.
    pub(crate) fn without_registries(mut self) -> Bed {
        self.registries.clear();
        self
    }

    /// The folder of the run that made the nodes, if one did.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.owner {
            Owner::Bed(_) => None,
            Owner::Run(nodes) => Some(nodes.folder()),
        }
    }

    /// One more node with a registry; to be taken down by [`Bed::down`].
    pub(crate) async fn node(&self, name: &str) -> (SharedNode, RegistryHandle) {
        let node = self.provider.node(name).await.unwrap();
        let registry = serve(&self.store, &node);
        (node, registry)
    }

    /// The cluster that the nodes belong to; those of podferry's own belong to none.
    pub(crate) async fn cluster(&self) -> Option<Arc<Cluster>> {
        self.provider.cluster().await.unwrap()
    }

    pub(crate) async fn down(&self, name: &str) {
        self.provider.down(name).await.unwrap();
    }

    pub(crate) async fn redis(&self) -> Arc<Image> {
        let args = ["--save", "", "--protected-mode", "no", "--dir", "/tmp", "--enable-debug-command", "yes"];
        self.image("redis", "/usr/bin/redis-server", &args).await
    }

    /// Counts on its standard output, ten times a second.
    pub(crate) async fn looper(&self) -> Arc<Image> {
        let script = "i=0; while true; do echo $i; i=$((i+1)); /usr/bin/busybox sleep 0.1; done";
        self.image("looper", "/usr/bin/busybox", &["sh", "-c", script]).await
    }

    pub(crate) async fn pause(&self) -> Arc<Image> {
        self.image("pause", "/usr/bin/busybox", &["sleep", "2147483647"]).await
    }
}

/// The programs of a Kubernetes cluster, for who tests the engine `kubelet`: the paths in `PODFERRY_TEST_KUBERNETES`, parted by
/// colons, as `podferry component build --path` prints them. They are built from source, so nobody has them by chance.
pub(crate) fn kubernetes() -> Vec<(PathBuf, PathBuf)> {
    let paths = std::env::var_os("PODFERRY_TEST_KUBERNETES").unwrap_or_default();
    let inside = |path: &PathBuf| Path::new(PROGRAMS).join(path.file_name().expect("a program"));
    std::env::split_paths(&paths).filter(|p| p.is_absolute()).map(|path| (path.clone(), inside(&path))).collect()
}

fn serve(store: &Arc<Store>, node: &SharedNode) -> RegistryHandle {
    let listener = node.listen("127.0.0.1:5000".parse().unwrap()).unwrap();
    Registry::serve(vec![Arc::clone(store)], listener).unwrap()
}

/// Nodes end with the process anyway; their empty control groups would not.
impl Drop for Bed {
    fn drop(&mut self) {
        let down = async {
            tokio::join!(
                self.provider.down("a"),
                self.provider.down("b"),
                self.provider.down("c"),
                self.provider.down("d"),
                self.provider.down("control-plane")
            )
        };
        let _ = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(down));
        match &self.owner {
            Owner::Bed(run) => drop(sweep_cgroups(run)),
            Owner::Run(nodes) => nodes.close(),
        }
    }
}

pub(crate) fn spec(name: &str, image: &Arc<Image>) -> ContainerSpec {
    ContainerSpec {
        name: name.to_owned(),
        image: Arc::clone(image),
        args: Vec::new(),
        env: Vec::new(),
        user: 0,
        memory_limit: None,
        mounts: Vec::new(),
        criu: CriuChoices::default(),
        without: std::collections::BTreeSet::new(),
    }
}

pub(crate) async fn start(engine: &Arc<dyn Engine>, name: &str, image: &Arc<Image>) -> Container {
    let slot = engine.prepare(&spec(name, image)).await.unwrap();
    engine.start(&slot).await.unwrap()
}

/// Asks redis over its address, from its own node; `None` if it does not answer within a second.
pub(crate) async fn ask(engine: &Arc<dyn Engine>, container: &Container, words: &[&str]) -> Option<String> {
    let (node, address) = (Arc::clone(engine.node()), container.slot.address);
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    tokio::task::spawn_blocking(move || redis::ask(&node, address, &words)).await.unwrap()
}

/// Asks until redis answers.
pub(crate) async fn answer(engine: &Arc<dyn Engine>, container: &Container, words: &[&str]) -> String {
    within("an answer of redis", async || ask(engine, container, words).await).await
}

/// The numbers in a container's log, in order.
pub(crate) fn numbers(engine: &Arc<dyn Engine>, container: &Container) -> Vec<u64> {
    let log = std::fs::read_to_string(engine.node().host_path(&container.log)).unwrap_or_default();
    podferry::workload::numbers(&log)
}

/// The last number of the log once it is at least `least`.
pub(crate) async fn counted(engine: &Arc<dyn Engine>, container: &Container, least: u64) -> u64 {
    within("the looper's count", async || numbers(engine, container).last().copied().filter(|n| *n >= least)).await
}

/// Tries until there is a value.
pub(crate) async fn within<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let from = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(from.elapsed() < Duration::from_secs(20), "waited 20 s for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
