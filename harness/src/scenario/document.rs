//! The scenario as written: its sections. The comments of the fields are what editors show, by way of the schema.

use super::action::Step;
use super::field::Field;
use super::groups::StepGroup;
use super::judge::WrittenCheck;
use super::known::KnownIssue;
use super::parameters::Parameter;
use super::place::Place;
use super::pods::Pod;
use super::read::{AxisValues, Needed, Read, Reader, error, shape};
use super::units::{Rate, Size, Times, User};
use super::value::{ByName, Fixed, Name, Scalar};
use super::volumes::{Mounts, Volume};
use super::yaml::{Node, Value};
use super::{
    explain,
    plan::{ClientKind, HostTrait, Repeat, Weight},
};
use crate::record::{EngineKind, TcpChoice, Tier, Trick};
use schemars::JsonSchema;
use std::time::Duration;

shape! {
    #[expect(dead_code, reason = "version and kind are there to be checked when they are read")]
    /// A podferry scenario: what is run, what is done to it, and what must be true of it then.
    pub(super) struct Document ("a scenario") {
        /// Version of the language.
        "apiVersion" => api_version: Needed<Fixed<ApiVersion>>,
        /// What the file is.
        "kind" => kind: Needed<Fixed<Kind>>,
        /// Name and description.
        "metadata" => metadata: Needed<Metadata>,
        /// What is done and judged.
        "spec" => spec: Spec,
    }
}

/// The version of the language.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiVersion;

impl Scalar for ApiVersion {
    const WHAT: &'static str = "a version of the language that is known";
    const CODE: &'static str = explain::NOT_A_SCENARIO;

    fn parse(text: &str) -> Option<Self> {
        (text == super::API_VERSION).then_some(ApiVersion)
    }

    fn words() -> Vec<&'static str> {
        vec![super::API_VERSION]
    }
}

/// The kind of file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind;

impl Scalar for Kind {
    const WHAT: &'static str = "a kind of file that is known";
    const CODE: &'static str = explain::NOT_A_SCENARIO;

    fn parse(text: &str) -> Option<Self> {
        (text == "Scenario").then_some(Kind)
    }

    fn words() -> Vec<&'static str> {
        vec!["Scenario"]
    }
}

shape! {
    /// Name and description of a scenario.
    pub(super) struct Metadata ("`metadata`") {
        /// Unique name; reports, filters and histories go by it.
        "name" => name: Needed<Name>,
        /// One line for people.
        "title" => title: Option<Fixed<String>>,
        /// Why the scenario is there, at length.
        "description" => description: Option<Fixed<String>>,
        /// `core` (if left out): runs when nothing is asked for. `full`: runs with `--tier all`, or when it is named.
        "tier" => tier: Option<Fixed<Tier>>,
        /// Labels to select by (`podferry run area=migration`).
        "labels" => labels: Option<ByName<Fixed<String>>>,
        /// The trap of today's stack that the scenario shows, in a line: it fails when the stack changes. `docs/traps.md` tells
        /// more of each.
        "trap" => trap: Option<Fixed<String>>,
    }
}

shape! {
    /// What is done and judged.
    pub(super) struct Spec ("`spec`") {
        /// The engines that it is for; all that the run asks for if left out.
        "engines" => engines: Option<Vec<Fixed<EngineKind>>>,
        /// What the host must lack: where it has it, the scenario has nothing to show and is skipped, with that reason.
        "hostLacks" => host_lacks: Option<Vec<Fixed<HostTrait>>>,
        /// The nodes, by name; `[a, b]` if left out.
        "nodes" => nodes: Option<Vec<Name>>,
        /// Values that can be given from outside, by name.
        "parameters" => parameters: Option<ByName<Parameter>>,
        /// Values to run the scenario with: one case for each cell.
        "matrix" => matrix: Option<Matrix>,
        /// The programs that are run, by name.
        "workloads" => workloads: ByName<Workload>,
        /// Folders that outlive containers, by name.
        "volumes" => volumes: Option<ByName<Volume>>,
        /// Pods of several containers, by name.
        "pods" => pods: Option<ByName<Pod>>,
        /// How much memory all containers of a node may take together, by node; without a bound if left out.
        "allocatable" => allocatable: Option<ByName<Field<Size>>>,
        /// Outside observers, by name.
        "clients" => clients: Option<ByName<Client>>,
        /// What CRIU is told of things that it does not carry by itself.
        "criu" => criu: Option<Criu>,
        /// What engines do to keep a migration short, to be left out: all of it is done if left out here.
        "tricks" => tricks: Option<Tricks>,
        /// Steps that are written once and used in several places, by name: `- use: NAME`.
        #[expect(dead_code, reason = "the groups have taken their places before this is read")]
        "stepGroups" => step_groups: Option<ByName<StepGroup>>,
        /// What is done, in order.
        "steps" => steps: Vec<Step>,
        /// What is done after those, in order, whatever became of them: also after a step that failed, and when the time of
        /// the case is up. What fails here is told beside the first failure.
        "finally" => finally: Option<Vec<Step>>,
        /// What must be true at the end, or of what was recorded.
        "checks" => checks: Option<Vec<WrittenCheck>>,
        /// Failures of the whole case that are known: they end it as `known`, not as failed.
        "knownIssues" => known_issues: Option<Vec<KnownIssue>>,
        /// How often the steps are done.
        "measure" => measure: Option<Measure>,
        /// How much of the machine a case takes, where cases run side by side (`--jobs`): a number of jobs, or `exclusive`. If
        /// left out, 1; but `exclusive` where a time is measured or bounded.
        "weight" => weight: Option<Field<Weight>>,
        /// How long a case may take; 5m if left out.
        "timeout" => timeout: Option<Field<Duration>>,
    }
}

shape! {
    /// Values to run the scenario with: a case for each combination.
    pub(super) struct Matrix ("`matrix`") {
        /// The axes with their values. `${matrix.AXIS}` stands for the value in a cell.
        "axes" => axes: ByName<Vec<Fixed<String>>>,
        /// Cells that are left out: every cell that has these values.
        "exclude" => exclude: Option<Vec<ByName<Fixed<String>>>>,
        /// Cells that are added: every axis with a value.
        "include" => include: Option<Vec<ByName<Fixed<String>>>>,
    }
}

shape! {
    /// A program to run in a container.
    pub(super) struct Workload ("a workload") {
        /// The program's name in the catalogue, or `archive` for an image of your own.
        "use" => kind: Field<String>,
        /// Its settings; each program has its own.
        "with" => with: Option<Settings>,
        /// The volumes that its containers get, each with its path in them.
        "volumes" => volumes: Option<Mounts>,
        /// The user that it runs as; 0, root, if left out.
        "user" => user: Option<Field<User>>,
    }
}

/// Settings of a workload: any keys; the catalogue judges them.
#[derive(Clone, Debug)]
pub(super) struct Settings(pub(super) Vec<(String, Place, Field<String>)>);

impl Read for Settings {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let entries = r.entries(node, owner, "`with`")?;
        let read = |(k, v): &(super::yaml::Key, Node), r: &mut Reader| {
            Field::read(v, k.place, r).map(|f| (k.text.clone(), k.place, f))
        };
        Some(Settings(entries.iter().filter_map(|e| read(e, r)).collect()))
    }
}

impl JsonSchema for Settings {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": {"type": ["string", "integer", "number", "boolean"]},
        })
    }
}

shape! {
    /// An outside observer, which talks to a workload all the while and records every operation.
    pub(super) struct Client ("a client") {
        /// What it does.
        "kind" => kind: Field<ClientKind>,
        /// The instance that it talks to; it follows migrations of it.
        "target" => target: Name,
        /// Operations a second, on a fixed schedule; 1000/s if left out.
        "rate" => rate: Option<Field<Rate>>,
        /// How long an operation may go unanswered before the client reconnects; as long as the connection lives if
        /// left out.
        "opTimeout" => op_timeout: Option<Field<Duration>>,
    }
}

shape! {
    /// What CRIU is told of things that it does not carry by itself, in dumps and in restores.
    pub(super) struct Criu ("`criu`") {
        /// Established TCP connections: `close` (if left out) closes them in the copy; `keep` carries them, for copies
        /// with the address of their source; `refuse` makes a dump with one fail, as CRIU does by itself.
        "tcp" => tcp: Option<Field<TcpChoice>>,
        /// Whether locks on files are carried; `true` if left out. Without, a dump with one fails.
        "fileLocks" => file_locks: Option<Field<bool>>,
        /// The largest deleted file that is carried while it is held open; 1Mi, CRIU's own limit, if left out.
        "ghostLimit" => ghost_limit: Option<Field<Size>>,
        /// A folder of the container in which CRIU looks for watched files (inotify). Without, a dump with a watch on
        /// the root filesystem fails.
        "irmap" => irmap: Option<Field<String>>,
    }
}

shape! {
    /// What engines do to keep a migration short. `false` leaves it out, to show what it is worth.
    pub(super) struct Tricks ("`tricks`") {
        /// The runtime freezes a container before its dump. Without, CRIU does, and the source of a fenced migration ends
        /// with its dump.
        "pauseFirst" => pause_first: Option<Field<bool>>,
        /// Containers have no more mounts than they need. Without, those that containerd gives its containers.
        "leanMounts" => lean_mounts: Option<Field<bool>>,
        /// What CRIU knows of the kernel is kept. Without, it finds it out in every dump and restore.
        "warmProbe" => warm_probe: Option<Field<bool>>,
        /// CRIU does not lock the network where connections are closed anyway.
        "skipNetworkLock" => skip_network_lock: Option<Field<bool>>,
    }
}

impl Spec {
    /// All steps, those of `finally` last.
    pub(super) fn all_steps(&self) -> impl Iterator<Item = &Step> + Clone {
        self.steps.iter().chain(self.finally.iter().flatten())
    }

    /// The id of a step that has none: `step-3`, `finally-1`.
    pub(super) fn default_id(&self, index: usize) -> String {
        match index.checked_sub(self.steps.len()) {
            None => format!("step-{}", index + 1),
            Some(later) => format!("finally-{}", later + 1),
        }
    }
}

impl Tricks {
    /// Each that is written, with what it says.
    pub(super) fn written(&self) -> impl Iterator<Item = (Trick, &Field<bool>)> {
        let all = [
            (Trick::PauseFirst, &self.pause_first),
            (Trick::LeanMounts, &self.lean_mounts),
            (Trick::WarmProbe, &self.warm_probe),
            (Trick::SkipNetworkLock, &self.skip_network_lock),
        ];
        all.into_iter().filter_map(|(trick, field)| Some((trick, field.as_ref()?)))
    }
}

shape! {
    /// How often the steps are done. Figures are collected over all repetitions, and the checks judge each.
    pub(super) struct Measure ("`measure`") {
        /// Repetitions; 1 if left out. A time (`10m`): as many as it allows, one at least.
        "repetitions" => repetitions: Option<Field<Repeat>>,
        /// Repetitions before those, whose figures are thrown away; 0 if left out.
        "warmup" => warmup: Option<Field<Times>>,
    }
}

/// The axes of the matrix and all their values, taken from the tree before anything else is read, so that an expression
/// can be judged where it stands. What is wrong with the matrix itself is told when it is read in its turn.
pub(super) fn axes(root: &Node) -> Vec<AxisValues> {
    let Some(matrix) = member(root, "spec").and_then(|s| member(s, "matrix")) else { return Vec::new() };
    let Some(Value::Map(axes)) = member(matrix, "axes").map(|a| &a.value) else { return Vec::new() };
    let mut all: Vec<AxisValues> = axes
        .iter()
        .map(|(key, node)| {
            let items: &[Node] = if let Value::List(items) = &node.value { items } else { &[] };
            AxisValues { name: key.text.clone(), values: items.iter().filter_map(scalar).collect() }
        })
        .collect();
    if let Some(Value::List(cells)) = member(matrix, "include").map(|i| &i.value) {
        for axis in &mut all {
            let added = cells.iter().filter_map(|c| member(c, &axis.name)).filter_map(scalar);
            for (text, place) in added.collect::<Vec<_>>() {
                if !axis.values.iter().any(|(v, _)| *v == text) {
                    axis.values.push((text, place));
                }
            }
        }
    }
    all
}

/// The parameters with their defaults, taken as [`axes`] are.
pub(super) fn parameters(root: &Node) -> Vec<AxisValues> {
    let Some(Value::Map(all)) = member(root, "spec").and_then(|s| member(s, "parameters")).map(|p| &p.value) else {
        return Vec::new();
    };
    let of = |(key, node): &(super::yaml::Key, Node)| AxisValues {
        name: key.text.clone(),
        values: member(node, "default").and_then(scalar).into_iter().collect(),
    };
    all.iter().map(of).collect()
}

fn scalar(node: &Node) -> Option<(String, Place)> {
    if let Value::Scalar(text) = &node.value { Some((text.clone(), node.place)) } else { None }
}

fn member<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
        _ => None,
    }
}

/// Whether the file says that it is something else, in which case all else that could be said of it is noise.
pub(super) fn is_foreign(root: &Node, r: &mut Reader) -> bool {
    let foreign = |key: &str, wanted: &str| {
        member(root, key)
            .and_then(scalar)
            .filter(|(text, _)| text != wanted && super::read::nearest(text, &[wanted]).is_none())
    };
    match foreign("kind", "Scenario").or_else(|| foreign("apiVersion", super::API_VERSION)) {
        Some((text, place)) => {
            let message = format!("this is a `{text}`, not a scenario of a version that is known");
            let help = format!("a scenario begins with `apiVersion: {}` and `kind: Scenario`", super::API_VERSION);
            r.tell(place, error(explain::NOT_A_SCENARIO, message).help(help));
            true
        }
        None => false,
    }
}

impl Document {
    /// Its name; none only in a document with errors.
    pub(super) fn name(&self) -> Option<&Name> {
        self.metadata.0.as_ref().and_then(|m| m.name.0.as_ref())
    }

    /// Where its name stands: what concerns the whole scenario is told there.
    pub(super) fn place(&self) -> Place {
        self.name().map_or(Place { line: 1, column: 1, ..Place::default() }, |n| n.place)
    }

    /// The names of the nodes.
    pub(super) fn nodes(&self) -> Vec<String> {
        match &self.spec.nodes {
            Some(nodes) if !nodes.is_empty() => nodes.iter().map(|n| n.text().to_owned()).collect(),
            _ => vec!["a".to_owned(), "b".to_owned()],
        }
    }

    /// The node of steps that name none.
    pub(super) fn first_node(&self) -> String {
        self.nodes().swap_remove(0)
    }
}
