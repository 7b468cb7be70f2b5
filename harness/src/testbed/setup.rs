use super::thread::{self, Ready};
use super::{EngineKind, Failed, STEP, TestBed, TestResult};
use crate::cli::args::StackArgs;
use crate::cli::terminal::complain;
use crate::record::{CaseId, CriuChoices, Origin, Tier};
use crate::run::LIBRARY_ARGS;
use crate::scenario::plan::{Case, Weight};
use clap::Parser;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a bed is to be. What the test does not say, the words in the environment's `PODFERRY_ARGS` do, and what they leave open is
/// as for `podferry run`: nodes `a` and `b`, containerd by CRI, the node image `sid`.
#[derive(Clone, Debug)]
#[must_use = "it is started by `test` or `start`"]
pub struct Setup {
    name: String,
    at: Origin,
    nodes: Vec<String>,
    allocatable: BTreeMap<String, u64>,
    criu: CriuChoices,
    engine: Option<EngineKind>,
    image: Option<String>,
    components: Vec<String>,
    kubernetes: Option<String>,
    out: Option<PathBuf>,
}

/// The words of `PODFERRY_ARGS`.
#[derive(Debug, Parser)]
#[command(name = LIBRARY_ARGS, no_binary_name = true, disable_help_flag = true)]
struct Words {
    /// The engine
    #[arg(long)]
    engine: Option<EngineKind>,
    #[command(flatten)]
    stack: StackArgs,
    /// Where the folders of beds are made
    #[arg(long)]
    out: Option<PathBuf>,
    /// A skipped test fails
    #[arg(long)]
    deny_skips: bool,
}

/// A setup with all that was left open decided.
pub(super) struct Decided {
    pub(super) case: Case,
    pub(super) stack: StackArgs,
    pub(super) out: PathBuf,
    pub(super) deny_skips: bool,
}

impl Setup {
    pub(super) fn new(at: Origin) -> Setup {
        Setup {
            name: test_name(),
            at,
            nodes: ["a", "b"].map(str::to_owned).to_vec(),
            allocatable: BTreeMap::new(),
            criu: CriuChoices::default(),
            engine: None,
            image: None,
            components: Vec::new(),
            kubernetes: None,
            out: None,
        }
    }

    /// What reports call the test; by default its own name, as the test harness has it.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The nodes.
    pub fn nodes<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.nodes = names.into_iter().map(str::to_owned).collect();
        self
    }

    /// The engine, whatever the environment says.
    pub fn engine(mut self, engine: EngineKind) -> Self {
        self.engine = Some(engine);
        self
    }

    /// The node image: a Debian suite, or a file that lists suite and packages.
    pub fn node_image(mut self, image: &str) -> Self {
        self.image = Some(image.to_owned());
        self
    }

    /// A binary of your own on the nodes, as `--component` takes it: `containerd=./bin/containerd`.
    pub fn component(mut self, component: &str) -> Self {
        self.components.push(component.to_owned());
        self
    }

    /// The nodes join a Kubernetes cluster of this version, for [`EngineKind::Kubelet`].
    pub fn kubernetes(mut self, version: &str) -> Self {
        self.kubernetes = Some(version.to_owned());
        self
    }

    /// How many bytes of memory all containers of a node may take together.
    pub fn allocatable(mut self, node: &str, bytes: u64) -> Self {
        self.allocatable.insert(node.to_owned(), bytes);
        self
    }

    /// What CRIU is told, in dumps and restores.
    pub fn criu(mut self, choices: CriuChoices) -> Self {
        self.criu = choices;
        self
    }

    /// Where the bed's folder is made; by default `e2e` in cargo's target folder.
    pub fn out(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out = Some(dir.into());
        self
    }

    /// Runs a test on a bed of its own, on a runtime of its own. The bed goes when the body has ended, however it did. A test
    /// that the host or the engine lacks something for is skipped, which is told on standard error, and passes; with
    /// `--deny-skips` in `PODFERRY_ARGS` it fails.
    ///
    /// # Errors
    /// What the body gave back; or else what [`TestBed::finish`] says.
    ///
    /// # Panics
    /// The body does.
    pub fn test(self, body: impl AsyncFnOnce(&TestBed) -> TestResult) -> TestResult {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.run(body))
    }

    /// [`Setup::test`] on the runtime that one is on.
    ///
    /// # Errors
    /// As there.
    pub async fn run(self, body: impl AsyncFnOnce(&TestBed) -> TestResult) -> TestResult {
        let name = self.name.clone();
        let (done, deny_skips) = match self.decided() {
            Err(failed) => (Err(failed.into()), false),
            Ok(decided) => {
                let deny_skips = decided.deny_skips;
                (on_a_bed(decided, body).await, deny_skips)
            }
        };
        let skipped = done.as_ref().err().and_then(|e| e.downcast_ref::<Failed>()).and_then(Failed::skipped);
        match skipped {
            Some(reason) if !deny_skips => {
                complain(&format!("{name}: skipped: {reason}"));
                Ok(())
            }
            _ => done,
        }
    }

    /// Makes the bed. To be ended by [`TestBed::finish`]; one that is dropped is taken down too, and its report says that it was
    /// left.
    ///
    /// # Errors
    /// The host or the engine lacks something ([`Failed::skipped`] says what); the nodes can't be made; what was asked for is
    /// not there.
    pub async fn start(self) -> Result<TestBed, Failed> {
        start(self.decided()?).await
    }

    fn decided(self) -> Result<Decided, Failed> {
        let given = std::env::var(LIBRARY_ARGS).unwrap_or_default();
        self.decided_by(&given)
    }

    pub(super) fn decided_by(self, given: &str) -> Result<Decided, Failed> {
        let words = Words::try_parse_from(given.split_whitespace())
            .map_err(|e| Failed::usage(format!("{LIBRARY_ARGS}=`{given}` is not understood: {}", e.render())))?;
        let mut stack = words.stack;
        if let Some(image) = self.image {
            stack.images.names = vec![image];
        }
        if let [_, _, ..] = stack.images.names.as_slice() {
            return Err(Failed::usage(format!("a bed has one node image: {}", stack.images.names.join(", "))));
        }
        stack.components.extend(self.components);
        stack.kubernetes = self.kubernetes.or(stack.kubernetes);
        let engine = self.engine.or(words.engine).unwrap_or(stack.provider.engines()[0]);
        let case = Case {
            id: CaseId(format!("{}[engine={engine}]", self.name)),
            title: self.name.clone(),
            scenario: self.name,
            origin: self.at,
            engine,
            params: BTreeMap::new(),
            parameters: BTreeMap::new(),
            tier: Tier::Core,
            labels: BTreeMap::new(),
            host_lacks: Vec::new(),
            nodes: self.nodes,
            workloads: BTreeMap::new(),
            volumes: BTreeMap::new(),
            pods: BTreeMap::new(),
            allocatable: self.allocatable,
            clients: BTreeMap::new(),
            criu: self.criu,
            without: BTreeSet::new(),
            steps: Vec::new(),
            finally: Vec::new(),
            checks: Vec::new(),
            known: Vec::new(),
            repetitions: 1,
            repeat_for: None,
            warmup: 0,
            weight: Weight::Exclusive,
            timeout: STEP,
        };
        let out = self.out.or(words.out).unwrap_or_else(default_out);
        Ok(Decided { case, stack, out, deny_skips: words.deny_skips })
    }
}

async fn on_a_bed(decided: Decided, body: impl AsyncFnOnce(&TestBed) -> TestResult) -> TestResult {
    let bed = start(decided).await?;
    let done = body(&bed).await;
    let finished = bed.finish().await;
    // What the body met is told; the report has both.
    done?;
    finished?;
    Ok(())
}

async fn start(decided: Decided) -> Result<TestBed, Failed> {
    let Ready { asks, thread, engine, nodes, dir, deny_skips } = thread::start(decided).await?;
    let (thread, names) = (std::sync::Mutex::new(Some(thread)), super::Names::default());
    Ok(TestBed(std::sync::Arc::new(super::Inner { asks, thread, engine, nodes, dir, deny_skips, names })))
}

/// The test's own name: the test harness gives it to the thread. On the main thread, where tests run when there is one at a time,
/// the program's.
fn test_name() -> String {
    let thread = std::thread::current().name().filter(|name| *name != "main").map(str::to_owned);
    let program = || std::env::current_exe().ok()?.file_stem().map(|s| s.to_string_lossy().into_owned());
    thread.or_else(program).unwrap_or_else(|| "test".to_owned())
}

/// `e2e` in cargo's target folder, which test programs lie in (`target/debug/deps/NAME`); else below the working directory.
fn default_out() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let tagged = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    let of_tests = || program.ancestors().find(|dir| dir.ends_with("deps"))?.ancestors().nth(2);
    tagged.or_else(of_tests).map_or_else(|| PathBuf::from("target/e2e"), |target| target.join("e2e"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(setup: Setup, given: &str) -> Decided {
        setup.decided_by(given).unwrap_or_else(|failed| panic!("{failed}"))
    }

    #[test]
    fn the_environment_says_what_the_test_leaves_open() {
        let setup = || TestBed::setup().name("mine");
        let plain = decided(setup(), "");
        assert_eq!((plain.case.id.0.as_str(), plain.stack.images.names), ("mine[engine=cri]", vec!["sid".to_owned()]));
        assert!(!plain.deny_skips);
        let given = "--engine runc --node-image trixie --component runc=/a/runc --deny-skips --out /tmp/x";
        let by = decided(setup(), given);
        assert_eq!((by.case.engine, by.out), (EngineKind::Runc, PathBuf::from("/tmp/x")));
        assert_eq!(
            (by.stack.images.names, by.stack.components),
            (vec!["trixie".to_owned()], vec!["runc=/a/runc".to_owned()])
        );
        assert!(by.deny_skips);
        let own = decided(setup().engine(EngineKind::Crun).node_image("sid").component("crun=/b"), given);
        assert_eq!((own.case.engine, own.stack.images.names), (EngineKind::Crun, vec!["sid".to_owned()]));
        assert_eq!(own.stack.components, ["runc=/a/runc", "crun=/b"]);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let told = |given| TestBed::setup().decided_by(given).err().expect("it is refused").to_string();
        assert!(told("--engine rank").contains("unknown engine `rank`"), "{}", told("--engine rank"));
        assert_eq!(told("--node-image sid,trixie"), "a bed has one node image: sid, trixie");
    }

    #[test]
    fn a_test_is_called_by_its_name_and_place() {
        let setup = TestBed::setup();
        assert!(setup.name.ends_with("a_test_is_called_by_its_name_and_place") || setup.name.starts_with("podferry"));
        assert!(setup.at.file.ends_with("testbed/setup.rs"), "{}", setup.at);
        let out = default_out();
        assert!(out.is_absolute() && out.ends_with("e2e"), "in the target folder: {}", out.display());
    }
}
