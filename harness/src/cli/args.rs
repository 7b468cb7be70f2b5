mod existing;
mod kind;
mod provider;

pub(crate) use existing::{AgentImageArgs, ExistingArgs};
pub(crate) use kind::KindArgs;
pub(crate) use provider::{MinikubeArgs, ProviderArg};

use super::perf::PerfArgs;
use super::scenario::{Format, PlanFormat, SchemaOf};
use crate::bench::What;
use crate::record::{EngineKind, Tier};
use crate::run::OtlpTarget;
use crate::scenario::Selection;
use crate::scenario::plan::{Repeat, Shard};
use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0 passed (skips are listed)    1 a bug in podferry        2 usage
  3 invalid scenario             4 nothing selected        10 a scenario failed
 12 a regression (perf --gate)  13 skipped, --deny-skips   20 surroundings failed
 21 the host lacks something    22 the run timed out       23 something leaked
130 interrupted

Start with `podferry doctor` if anything is amiss; `podferry explain CODE` tells of a diagnostic or error class.";

/// The suite that carries containerd 2.1 and CRIU 4.2.
pub(super) const DEFAULT_NODE_IMAGE: &str = "sid";

/// End-to-end tests for checkpoint, restore and migration of stateful containers: real nodes, real state, with proof.
#[derive(Debug, Parser)]
#[command(name = "podferry", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios (the default: also meant when only flags or filters are given)
    Run(RunArgs),
    /// List the cases that a run would do
    List(ShowArgs),
    /// Show the cases with every step and check
    Plan(ShowArgs),
    /// Check scenario files without running them
    Lint(LintArgs),
    /// Print the JSON Schema of scenario files, or of run.json
    Schema {
        /// Of what
        #[arg(value_enum, default_value_t)]
        of: SchemaOf,
    },
    /// Print a commented scenario to start from
    New,
    /// Tell what a diagnostic code or an error class means
    Explain {
        /// E0103, invalid-archive, ...; none: lists them all
        code: Option<String>,
    },
    /// Check this host by doing: make a node, dump and restore a listening process in it
    Doctor(DoctorArgs),
    /// Show or prepare what runs on the nodes
    Component(ComponentArgs),
    /// Sweep up what killed runs left behind
    Clean,
    /// Write the image of the agent that `--provider existing` starts on each node, and print its name
    AgentImage(AgentImageArgs),
    /// Render a stored run again
    Report(ReportArgs),
    /// Judge a stored run again, with today's checks, and say what is judged otherwise
    Recheck(RecheckArgs),
    /// Make one zip file of a case, to look at it elsewhere
    Bundle(BundleArgs),
    /// Try which kinds of state come through a checkpoint, on each engine: kept, lost, or refused
    Survey(SurveyArgs),
    /// Measure podferry against bare shell scripts that do the same
    Bench(BenchArgs),
    /// Tell whether something got slower: two stacks in turn
    Perf(PerfArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// A tier of the suite, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TierArg {
    Core,
    Full,
    All,
}

/// Which cases.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct SelectArgs {
    /// Part of a case's name, a pattern with * and ?, or a label or cell (`data=64Mi`); `!` before it leaves those out. Or a file of
    /// scenarios (`my.yaml`, `./mine`), as with --scenario
    #[arg(value_name = "FILTER|FILE")]
    filters: Vec<String>,
    /// Scenario files or folders instead of the shipped suite
    #[arg(long = "scenario", value_name = "PATH")]
    scenarios: Vec<PathBuf>,
    /// Engines: cri, runc, crun, ... If none is named: cri and runc; of a kind or minikube cluster, kubelet
    #[arg(long = "engine", value_name = "ENGINE", value_delimiter = ',')]
    pub(super) engines: Vec<EngineKind>,
    /// Which part of the suite: core (if nothing is named), full (what core leaves out), or all
    #[arg(long, value_enum, value_name = "TIER")]
    pub(super) tier: Option<TierArg>,
    /// Only cases of which this holds, over engine, tier, scenario, labels, matrix and params: 'engine == "cri" && tier == "core"'
    #[arg(long = "where", value_name = "EXPRESSION")]
    pub(super) condition: Option<String>,
    /// Another value for a parameter, or in the place of those that an axis of the matrix has: data=2Mi
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(super) params: Vec<(String, String)>,
}

impl SelectArgs {
    /// Files and folders of scenarios; none: the shipped suite.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let named = self.filters.iter().filter(|word| is_file(word)).map(PathBuf::from);
        self.scenarios.iter().cloned().chain(named).collect()
    }

    /// Whether anything is chosen: cases, or files.
    pub(super) fn chooses(&self) -> bool {
        !self.scenarios.is_empty() || !self.filters.is_empty() || self.condition.is_some()
    }

    /// The same, as the scenario room wants it.
    pub(super) fn selection(&self, provider: ProviderArg) -> Selection {
        Selection {
            engines: if self.engines.is_empty() { provider.engines().to_vec() } else { self.engines.clone() },
            tier: self.tier(),
            filters: self.filters.iter().filter(|word| !is_file(word)).cloned().collect(),
            condition: self.condition.clone(),
            params: self.params.clone(),
        }
    }

    /// The tier that is meant: who names cases or files means those, whatever their tier.
    fn tier(&self) -> Option<Tier> {
        match self.tier {
            Some(TierArg::Core) => Some(Tier::Core),
            Some(TierArg::Full) => Some(Tier::Full),
            Some(TierArg::All) => None,
            None => {
                let excluded_alone = self.filters.iter().all(|f| f.starts_with('!')) && self.condition.is_none();
                (self.files().is_empty() && excluded_alone).then_some(Tier::Core)
            }
        }
    }
}

/// Whether a word is meant for a file: no case's name has a slash, or ends so.
fn is_file(word: &str) -> bool {
    word.ends_with(".yaml") || word.ends_with(".yml") || (word.contains('/') && Path::new(word).exists())
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) stack: StackArgs,
    /// Where runs are stored: what cases took there is what they are said to take
    #[arg(long, value_name = "DIR", default_value = "target/e2e")]
    pub(super) out: PathBuf,
    /// How to print them
    #[arg(long, value_enum, default_value = "human")]
    pub(super) format: PlanFormat,
}

/// The node images.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct ImageArgs {
    /// Debian suite of the node image, or a file that lists suite and packages; of several, each case runs on each
    #[arg(long = "node-image", value_name = "SUITE|FILE", value_delimiter = ',', default_value = DEFAULT_NODE_IMAGE)]
    pub(crate) names: Vec<String>,
}

/// What runs on the nodes.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct StackArgs {
    #[command(flatten)]
    pub(crate) images: ImageArgs,
    /// A binary of your own in place of the node image's: containerd=PATH, crio=, runc=, crun=, criu=, podman=, dockerd=; or of
    /// the cluster's: kubelet=. Or one that is built from its sources: containerd=module@v2.3.7, kubelet=module+patches/; or a
    /// release: runc=release@URL#sha256=HEX; of several (containerd=module@v2.1.9,module@v2.3.7) each case runs on each
    #[arg(long = "component", value_name = "NAME=PATH|module[@VERSION][+PATCHES]|release@URL#sha256=HEX")]
    pub(crate) components: Vec<String>,
    /// What makes the nodes
    #[arg(long, value_enum, default_value = "local")]
    pub(crate) provider: ProviderArg,
    #[command(flatten)]
    pub(crate) kind: KindArgs,
    #[command(flatten)]
    pub(crate) minikube: MinikubeArgs,
    #[command(flatten)]
    pub(crate) existing: ExistingArgs,
    /// Have the nodes join a Kubernetes cluster of this version, for the engine kubelet; its programs are built if need be
    #[arg(long, value_name = "VERSION")]
    pub(crate) kubernetes: Option<String>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) stack: StackArgs,
    /// Where the run's folder is made
    #[arg(long, value_name = "DIR", default_value = "target/e2e")]
    pub(super) out: PathBuf,
    /// Do the steps of each case so many times, or for so long (10m), on the same nodes; the first time that goes otherwise ends
    /// the case
    #[arg(long, value_name = "N|TIME")]
    pub(super) repeat: Option<Repeat>,
    /// Do the cases in an order that is drawn; its seed is told
    #[arg(long)]
    pub(super) shuffle: bool,
    /// The order that was drawn with this seed
    #[arg(long, value_name = "NUMBER")]
    pub(super) seed: Option<u64>,
    /// One part of several that together are all cases, for as many machines: 2/4
    #[arg(long, value_name = "N/OF")]
    pub(super) shard: Option<Shard>,
    /// How many cases may run at the same time, on nodes of their own; what is timed has the machine for itself all the same
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) jobs: u8,
    /// Exit with 13 if anything was skipped
    #[arg(long)]
    pub(super) deny_skips: bool,
    /// How long the whole run may take
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) otlp: OtlpArgs,
    /// Plain lines, no live progress
    #[arg(long)]
    pub(super) quiet: bool,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct LintArgs {
    /// Scenario files or folders; none: the shipped suite
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// How to print what is found
    #[arg(long, value_enum, default_value = "human")]
    pub(super) format: Format,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) stack: StackArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct ComponentArgs {
    #[command(subcommand)]
    pub(super) command: ComponentCommand,
}

/// Components that podferry gets by itself.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct NamesArgs {
    /// etcd, kube-apiserver, kubelet, containerd@v2.3.7, runc=release@URL#sha256=HEX, ...; all if not given
    #[arg(value_name = "NAME[@VERSION]|NAME=SOURCE")]
    pub(super) names: Vec<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ComponentCommand {
    /// Show components with version, source and digest
    List(StackArgs),
    /// Fetch what components are made of, so that they are to be had without a network
    Fetch(NamesArgs),
    /// Build components from Go modules, or get them as releases, unless the cache has them
    Build {
        #[command(flatten)]
        names: NamesArgs,
        /// A folder of *.patch files for the module of the component, which is named alone then
        #[arg(long, value_name = "DIR")]
        patches: Option<PathBuf>,
        /// Print only the paths of the programs
        #[arg(long)]
        path: bool,
    },
    /// Compare what was got with its digest
    Verify(NamesArgs),
    /// Prepare the node image
    Image {
        #[command(flatten)]
        stack: StackArgs,
        /// Build it anew from today's packages, and drop older ones
        #[arg(long)]
        refresh: bool,
        /// Print only the path of its root
        #[arg(long)]
        path: bool,
    },
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct ReportArgs {
    /// The run's folder
    #[arg(value_name = "RUN", default_value = "target/e2e/latest")]
    pub(super) run: PathBuf,
    #[command(flatten)]
    pub(super) otlp: OtlpArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct BundleArgs {
    /// The run's folder
    #[arg(value_name = "RUN", default_value = "target/e2e/latest")]
    pub(super) run: PathBuf,
    /// A case, or part of its name; none: all that did not pass
    #[arg(value_name = "CASE")]
    pub(super) cases: Vec<String>,
    /// Where the files are put; none: the folder `bundles` in the run's
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

/// Traces of OpenTelemetry.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct OtlpArgs {
    /// Export the timeline as traces of OpenTelemetry: to a file of JSON lines, or to an endpoint (http://localhost:4318)
    #[arg(long = "otlp", value_name = "FILE|URL")]
    pub(super) targets: Vec<OtlpTarget>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct RecheckArgs {
    /// The run's folder
    #[arg(value_name = "RUN", default_value = "target/e2e/latest")]
    pub(super) run: PathBuf,
    /// Judge by the checks that these files have now, in the place of those that the run was judged by
    #[arg(long = "scenario", value_name = "PATH")]
    pub(super) scenarios: Vec<PathBuf>,
    /// Exit with 13 if anything was skipped
    #[arg(long)]
    pub(super) deny_skips: bool,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct BenchArgs {
    /// What to measure; nothing: everything
    #[arg(value_enum, value_name = "WHAT")]
    pub(super) what: Vec<What>,
    /// Samples of each side
    #[arg(long, value_name = "N", default_value = "10")]
    pub(super) pairs: usize,
    /// The smallest data set of redis, in MiB
    #[arg(long, value_name = "MIB", default_value = "1")]
    pub(super) smallest: u64,
    /// The largest data set of redis, in MiB
    #[arg(long, value_name = "MIB", default_value = "1024")]
    pub(super) largest: u64,
    /// Keep the raw samples in this file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    #[command(flatten)]
    pub(super) stack: StackArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct SurveyArgs {
    /// Engines, a column each: all that need no `--component` if not given
    #[arg(long = "engine", value_name = "ENGINE", value_delimiter = ',', default_values_t = EngineKind::usual(), hide_default_value = true)]
    pub(super) engines: Vec<EngineKind>,
    /// Kinds, with their variants, or whole areas; all if not given
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Print the kinds and end
    #[arg(long)]
    pub(super) list: bool,
    /// Start the copies anew instead of restoring them: all must come out lost, which shows that the survey can tell
    #[arg(long)]
    pub(super) cold_start: bool,
    #[command(flatten)]
    pub(super) stack: StackArgs,
    /// Where the survey's folder is made
    #[arg(long, value_name = "DIR", default_value = "target/e2e")]
    pub(super) out: PathBuf,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub(super) timeout: Duration,
    /// Say nothing while it goes on
    #[arg(long)]
    pub(super) quiet: bool,
}

fn param(text: &str) -> Result<(String, String), String> {
    let (axis, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    Ok((axis.to_owned(), value.to_owned()))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| format!("`{text}` is no time, like 90s or 30m"))?;
    Duration::try_from(span).map_err(|_| format!("`{text}` is below zero"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_a_part_of_a_name() {
        let words =
            ["mine.yaml", "./no/such.yml", env!("CARGO_MANIFEST_DIR"), "redis", "entry=checkpoint/mm-1.img", "!x"];
        let select = SelectArgs { filters: words.map(str::to_owned).to_vec(), ..SelectArgs::default() };
        assert_eq!(select.files(), words[..3].iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(select.selection(ProviderArg::Local).filters, words[3..]);
        let file = SelectArgs { filters: vec!["mine.yaml".to_owned()], ..SelectArgs::default() };
        assert_eq!(file.selection(ProviderArg::Local).tier, None, "who names a file means all that is in it");
        assert_eq!(SelectArgs::default().selection(ProviderArg::Local).tier, Some(Tier::Core));
    }
}
