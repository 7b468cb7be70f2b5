//! Two real nodes with their registry, and images from the node image: what the engines' tests stand on. Needs root.
#![allow(dead_code, reason = "each test file takes what it needs")]

#[path = "../node_image/mod.rs"]
mod node_image;

pub(crate) use node_image::rootfs;
use podferry::cluster::PROGRAMS;
use podferry::engine::{Container, ContainerSpec, Engine};
use podferry::image::{Image, ImageSpec, NodeRoot, Registry, RegistryHandle, Store, WorkloadBinaries, build};
use podferry::node::SharedNode;
use podferry::process::Exec;
use podferry::provider::Provider;
use podferry::provider::local::{LocalConfig, LocalProvider, NoClaims, sweep_cgroups};
use podferry::record::{CriuChoices, RunId};
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
    provider: LocalProvider,
    run: RunId,
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
        let (a, b) = tokio::join!(provider.node("a"), provider.node("b"));
        let (a, b) = (a.unwrap(), b.unwrap());
        let store = Arc::new(Store::open(Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")).unwrap());
        let registries = vec![serve(&store, &a), serve(&store, &b)];
        Bed { a, b, store, registries, provider, run }
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

    /// One more node with a registry; to be taken down by [`Bed::down`].
    pub(crate) async fn node(&self, name: &str) -> (SharedNode, RegistryHandle) {
        let node = self.provider.node(name).await.unwrap();
        let registry = serve(&self.store, &node);
        (node, registry)
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
                self.provider.down("control-plane")
            )
        };
        let _ = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(down));
        let _ = sweep_cgroups(&self.run);
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
    let address = container.slot.address.to_string();
    let exec = Exec::new("redis-cli").args(["-t", "1", "-h", &address]).args(words).timeout(Duration::from_secs(2));
    let output = engine.node().output(exec).await.ok()?;
    (output.code == 0).then(|| output.text())
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
