//! Two nodes with one engine on each, and the steps that topics are made of.

use crate::bed::{self, Bed, spec, within};
use async_trait::async_trait;
use podferry::archive;
use podferry::client::LogLine;
use podferry::cluster::Cluster;
use podferry::engine::{self, Checkpoint, Container, ContainerSpec, Engine, EngineError, Restored, Stored, Supplies};
use podferry::image::Image;
use podferry::node::SharedNode;
use podferry::record::{EngineKind, ErrorClass, Given, OutsideReport};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;

pub(crate) type Shared = Arc<dyn Engine>;

/// The engine on nodes `a` and `b`.
pub(crate) struct Pair {
    pub(crate) kind: EngineKind,
    pub(crate) a: Shared,
    pub(crate) b: Shared,
    pub(crate) bed: Bed,
    cluster: OnceCell<Arc<Cluster>>,
}

/// The program that an engine has to be given, and where a variable says that it is: `PODFERRY_TEST_CRIO=PATH`.
pub(crate) fn given(kind: EngineKind) -> Option<(&'static str, PathBuf)> {
    let Some(Given::Program(program)) = kind.given() else { return None };
    std::env::var_os(variable(program)).map(|path| (program, PathBuf::from(path)))
}

pub(crate) fn variable(program: &str) -> String {
    format!("PODFERRY_TEST_{}", program.to_uppercase())
}

/// Other nodes than podferry's own that an engine is to be tried on, by arguments of `podferry run`: `PODFERRY_TEST_NODES="--provider kind"`.
pub(crate) fn nodes(kind: EngineKind) -> Option<String> {
    std::env::var("PODFERRY_TEST_NODES").ok().filter(|_| kind == EngineKind::Kubelet)
}

struct FromBed<'a>(&'a Bed, &'a OnceCell<Arc<Cluster>>);

#[async_trait]
impl Supplies for FromBed<'_> {
    async fn pause(&self) -> Result<Arc<Image>, EngineError> {
        Ok(self.0.pause().await)
    }

    async fn cluster(&self) -> Result<Arc<Cluster>, EngineError> {
        let up = async {
            if let Some(cluster) = self.0.cluster().await {
                return Ok(cluster);
            }
            // Of its registry it has no need.
            let (node, _) = self.0.node("control-plane").await;
            Cluster::up(node, None).await
        };
        Ok(Arc::clone(self.1.get_or_try_init(|| up).await?))
    }
}

impl Pair {
    pub(crate) async fn up(kind: EngineKind) -> Result<Pair, EngineError> {
        let given = given(kind).map(|(program, path)| (path, Path::new("/usr/bin").join(program)));
        let bed = match nodes(kind) {
            Some(args) => Bed::by(&args, &["a", "b", "c"]).await,
            None => Bed::with(given.into_iter().collect()).await,
        };
        let cluster = OnceCell::new();
        let connect = |node: &SharedNode| {
            let (node, supplies) = (Arc::clone(node), FromBed(&bed, &cluster));
            async move { engine::connect(kind, node, &supplies).await }
        };
        let (a, b) = tokio::join!(connect(&bed.a), connect(&bed.b));
        let (a, b) = (a?, b?);
        Ok(Pair { kind, a, b, bed, cluster })
    }

    /// The engine on one more node.
    pub(crate) async fn connect(&self, node: &SharedNode) -> Result<Shared, EngineError> {
        engine::connect(self.kind, Arc::clone(node), &FromBed(&self.bed, &self.cluster)).await
    }

    pub(crate) async fn nothing_is_left(&self) {
        for engine in [&self.a, &self.b] {
            assert_eq!(shown(engine.left().await), Vec::<String>::new(), "on node {}", engine.node().name());
        }
    }

    /// Removes containers, each twice, and the checkpoints of both nodes.
    pub(crate) async fn clean(&self, on_a: &[&Container], on_b: &[&Container]) {
        for (engine, containers) in [(&self.a, on_a), (&self.b, on_b)] {
            for container in containers {
                shown(engine.remove(container).await);
                shown(engine.remove(container).await);
                assert_eq!(shown(engine.inspect(container).await), None);
            }
            forget_checkpoints(engine);
        }
    }
}

fn forget_checkpoints(engine: &Shared) {
    for folder in [engine.folder(Stored::Archives), engine.folder(Stored::Images)] {
        for entry in std::fs::read_dir(engine.node().host_path(&folder)).into_iter().flatten().flatten() {
            let path = entry.path();
            let gone = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            gone.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}

/// The value, or a panic that shows all of the error.
#[track_caller]
pub(crate) fn shown<T>(result: Result<T, EngineError>) -> T {
    match result {
        Ok(value) => value,
        Err(e) => panic!("{}: {e}\n{}", e.class, e.log.join("\n")),
    }
}

/// The error, which must be of this class and read as all errors do.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, EngineError>, class: ErrorClass) -> EngineError {
    let Some(error) = result.err() else { panic!("no error, where `{class}` was to come") };
    assert_eq!(error.class, class, "{error}\n{}", error.log.join("\n"));
    assert!(error.message.starts_with(char::is_lowercase), "{error}");
    error
}

/// Whether the engine can do a thing; what it cannot, it must have a reason for.
#[track_caller]
pub(crate) fn can(able: &Result<(), String>) -> bool {
    if let Err(reason) = able {
        assert!(reason.len() > 8, "no reason: `{reason}`");
    }
    able.is_ok()
}

pub(crate) async fn look(engine: &Shared, container: &Container) -> OutsideReport {
    shown(engine.inspect(container).await).expect("the container")
}

/// Copies a checkpoint to the other engine's node, as a run does.
pub(crate) fn carry(from: &Shared, to: &Shared, checkpoint: &Checkpoint) -> Checkpoint {
    if !checkpoint.shared {
        let (source, target) = (from.node().host_path(&checkpoint.path), to.node().host_path(&checkpoint.path));
        std::fs::create_dir_all(target.parent().expect("a folder")).unwrap();
        archive::copy(&source, &target).unwrap();
        assert_eq!(archive::digest(&source).unwrap(), archive::digest(&target).unwrap());
    }
    checkpoint.clone()
}

pub(crate) async fn restore(
    engine: &Shared,
    name: &str,
    image: &Arc<Image>,
    from: &Checkpoint,
) -> Result<Restored, EngineError> {
    restore_as(engine, &spec(name, image), from).await
}

/// Restores into a slot of its own, which goes again if that fails.
pub(crate) async fn restore_as(
    engine: &Shared,
    spec: &ContainerSpec,
    from: &Checkpoint,
) -> Result<Restored, EngineError> {
    let slot = engine.prepare(spec).await?;
    let restored = engine.restore(&slot, from).await;
    if restored.is_err() {
        engine.discard(&slot).await?;
    }
    restored
}

pub(crate) async fn start_as(engine: &Shared, spec: &ContainerSpec) -> Container {
    let slot = shown(engine.prepare(spec).await);
    shown(engine.start(&slot).await)
}

/// What a program counts aloud: `NONCE NUMBER`. The nonce is only in its memory, so that who says it is that process or
/// its copy.
const TELLER: &str = "read n < /proc/sys/kernel/random/uuid; i=0; \
    while true; do echo $n $i; i=$((i+1)); /usr/bin/busybox sleep 0.05; done";

pub(crate) async fn teller(bed: &Bed) -> Arc<Image> {
    bed.script("teller", TELLER, &[]).await
}

/// What a teller's log has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) nonce: String,
    pub(crate) last: u64,
}

/// The log's lines by nonce and number; `Err` if it has been begun anew, or if a number is missing.
pub(crate) fn told(engine: &Shared, container: &Container) -> Result<Option<Told>, String> {
    let log = std::fs::read_to_string(engine.node().host_path(&container.log)).unwrap_or_default();
    let mut last: Option<Told> = None;
    // The last line may still be on its way.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let said = LogLine::read(line).text;
        let mut words = said.rsplit(' ');
        let number = words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(number), Some(nonce)) = (number, words.next()) else { return Err(format!("strange line `{line}`")) };
        if let Some(before) = &last {
            if before.nonce != nonce {
                return Err(format!("{nonce} counts, and {} did before", before.nonce));
            }
            // A log that is carried may have been copied a line after the memory was.
            if number != before.last + 1 && number != before.last {
                return Err(format!("{number} after {}", before.last));
            }
        }
        last = Some(Told { nonce: nonce.to_owned(), last: number });
    }
    Ok(last)
}

/// Waits until a teller has counted to a number; panics if it began anew.
pub(crate) async fn tells(engine: &Shared, container: &Container, least: u64) -> Told {
    within("the teller's count", async || {
        told(engine, container)
            .unwrap_or_else(|e| panic!("{}: {e}", container.slot.spec.name))
            .filter(|t| t.last >= least)
    })
    .await
}

/// Waits until it counts on from where it is.
pub(crate) async fn goes_on(engine: &Shared, container: &Container) -> Told {
    let at = tells(engine, container, 0).await.last;
    tells(engine, container, at + 2).await
}

/// Hides the program `criu` of a node while something is done: all that it has.
pub(crate) async fn without_criu<T>(node: &SharedNode, work: impl Future<Output = T>) -> T {
    let at = |name: &str| node.host_path(Path::new(name));
    let hidden = |place: &str| at(&format!("{place}.hidden"));
    let mut places = ["/usr/local/sbin/criu", "/usr/sbin/criu", "/usr/bin/criu"].to_vec();
    places.retain(|place| at(place).exists());
    assert!(!places.is_empty(), "criu on the node");
    places.iter().for_each(|place| std::fs::rename(at(place), hidden(place)).unwrap());
    let done = work.await;
    places.iter().for_each(|place| std::fs::rename(hidden(place), at(place)).unwrap());
    done
}

pub(crate) use bed::{answer, ask};
