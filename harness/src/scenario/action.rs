//! Steps as written: one action each.

use super::examples;
use super::explain;
use super::faults::{During, Fault};
use super::field::Field;
use super::groups;
use super::known::KnownIssue;
use super::place::Place;
use super::plan::{Address, Medium, Over};
use super::pods::PodStep;
use super::read::{Read, Reader, choice, error, shape};
use super::units::{DamageKind, Pattern, Size, Times};
use super::value::{Fixed, Name};
use super::volumes::{CopyVolume, Mounts, Restart};
use super::yaml::{Key, Node};
use crate::record::{ErrorClass, SourceFate, Strategy};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::time::Duration;

/// A step: one action, with what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) around: Around,
    pub(super) action: Action,
    /// The key of the action.
    pub(super) place: Place,
    /// Where the group is used that it is of.
    pub(super) via: Option<Place>,
    /// Whether something in it could not be read, which was told of.
    pub(super) spoiled: bool,
}

shape! {
    /// What may stand beside the action of a step.
    pub(super) struct Around ("a step") {
        /// Name of the step, for checks and reports; `step-3` if left out.
        "id" => id: Option<Name>,
        /// What the step does, for people; made of the action if left out.
        "name" => name: Option<Fixed<String>>,
        /// How long it may take; 60s if left out.
        "timeout" => timeout: Option<Field<Duration>>,
        /// The error that it must end with; it must succeed if left out.
        "expect" => expect: Option<Expect>,
        /// A fault at a stage of this step: beside `checkpoint`, `transfer`, `restore` and `migrate`.
        "during" => during: Option<Box<During>>,
        /// Failures of this step that are known: they end the case as `known`, not as failed.
        "knownIssues" => known_issues: Option<Vec<KnownIssue>>,
    }
}

shape! {
    /// What a step must end with.
    pub(super) struct Expect ("`expect`") {
        /// The error. An unexpected success fails.
        "error" => error: ExpectError,
    }
}

shape! {
    /// An error that must come.
    pub(super) struct ExpectError ("`error`") {
        /// Its class.
        "class" => class: Field<ErrorClass>,
        /// A regular expression that its message must match.
        "text" => text: Option<Field<Pattern>>,
    }
}

impl Step {
    /// Whether it must end with an error of this class, in all cells.
    pub(super) fn expects(&self, class: ErrorClass) -> bool {
        self.around.expect.as_ref().is_some_and(|e| e.error.class.fixed() == Some(&class))
    }
}

choice! {
    /// What a step does.
    pub(super) enum Action {
        /// Starts a workload on a node and waits until it answers and holds its data.
        "deploy" => Deploy(Deploy),
        /// Starts or stops a client.
        "client" => Client(ClientStep),
        /// Waits for something to happen.
        "wait" => Wait(Wait),
        /// Captures the state of an instance, by two witnesses: what it says of itself and what the kernel says of it.
        "capture" => Capture(Capture),
        /// Freezes an instance.
        "freeze" => Freeze(Of),
        /// Thaws an instance.
        "thaw" => Thaw(Of),
        /// Takes a checkpoint.
        "checkpoint" => Checkpoint(Checkpoint),
        /// Carries a checkpoint to a node and verifies it there.
        "transfer" => Transfer(Transfer),
        /// Makes a damaged copy of a checkpoint.
        "tamper" => Tamper(Tamper),
        /// Restores a checkpoint as a new instance.
        "restore" => Restore(Restore),
        /// Checkpoint, transfer and restore in one, with the clients following.
        "migrate" => Migrate(Migrate),
        /// Starts a pod, or moves it.
        "pod" => Pod(PodStep),
        /// Stops and removes an instance.
        "remove" => Remove(Of),
        /// Takes a node down whole and brings it back: its programs and containers are gone, what is on its disk is there.
        "restart" => Restart(Restart),
        /// Copies what is in a volume from one node to another.
        "copyVolume" => CopyVolume(CopyVolume),
        /// Breaks something on a node; it is mended at the end of the case, or by `mend`.
        "fault" => Fault(Box<Fault>),
        /// Mends what the fault of this name broke.
        "mend" => Mend(Name),
    }
}

shape! {
    /// Starts a workload.
    pub(super) struct Deploy ("`deploy`") {
        /// The workload.
        "workload" => workload: Name,
        /// Where; the first node if left out.
        "node" => node: Option<Name>,
        /// Name of the instance; the workload's if left out.
        "as" => instance: Option<Name>,
        /// `false`: its container is made and not started; `true` if left out.
        "start" => start: Option<Field<bool>>,
        /// Memory limit of the container, which the kernel enforces; none if left out.
        "memory" => memory: Option<Field<Size>>,
    }
}

shape! {
    /// Starts or stops a client: one of the two.
    pub(super) struct ClientStep ("`client`") {
        /// The client to start.
        "start" => start: Option<Name>,
        /// The client to stop.
        "stop" => stop: Option<Name>,
    }
}

shape! {
    /// Waits: for `answers`, a `counter`, `memory`, an `end`, or a fixed `time` with its `reason`.
    pub(super) struct Wait ("`wait`") {
        /// Until a client has so many more answers.
        "answers" => answers: Option<Answers>,
        /// Until an instance's own counter is so high.
        "counter" => counter: Option<CounterAtLeast>,
        /// Until the kernel charges an instance with so much memory.
        "memory" => memory: Option<MemoryAtLeast>,
        /// Until an instance has ended by itself; why it ended is kept.
        "end" => end: Option<Of>,
        /// A fixed time; only where time itself is the subject.
        "time" => time: Option<Field<Duration>>,
        /// Why a fixed time is needed.
        "reason" => reason: Option<Fixed<String>>,
    }
}

shape! {
    /// Answers that a client is to get.
    pub(super) struct Answers ("`answers`") {
        /// The client.
        "client" => client: Name,
        /// How many more than when the step began.
        "count" => count: Field<u64>,
    }
}

shape! {
    /// A counter that is to grow.
    pub(super) struct CounterAtLeast ("`counter`") {
        /// The instance.
        "of" => of: Name,
        /// The value.
        "atLeast" => at_least: Field<u64>,
    }
}

shape! {
    /// Memory that is to grow.
    pub(super) struct MemoryAtLeast ("`memory`") {
        /// The instance.
        "of" => of: Name,
        /// The size.
        "atLeast" => at_least: Field<Size>,
    }
}

shape! {
    /// Captures a state.
    pub(super) struct Capture ("`capture`") {
        /// The instance.
        "of" => of: Name,
        /// Name of the capture.
        "as" => name: Name,
    }
}

shape! {
    /// An instance.
    pub(super) struct Of ("this step") {
        /// The instance.
        "of" => of: Name,
    }
}

shape! {
    /// Takes a checkpoint.
    pub(super) struct Checkpoint ("`checkpoint`") {
        /// The instance.
        "of" => of: Name,
        /// Name of the checkpoint.
        "as" => name: Name,
        /// What becomes of the source: `running` (if left out) goes on; `stopped` and `fenced` leave it frozen and then
        /// remove it.
        "source" => source: Option<Field<SourceFate>>,
        /// How it is kept: `native` (if left out) is what the engine writes; `image` a checkpoint OCI image (cri only).
        "medium" => medium: Option<Field<Medium>>,
        /// How many are taken of it at once, the others named `NAME-2` and so on; 1 if left out.
        "times" => times: Option<Field<Times>>,
        /// `false`: the bare call, as a client makes it that knows none of the stack's traps; `true` if left out.
        "guard" => guard: Option<Field<bool>>,
        /// Unguarded: the deadline that is sent with the call.
        "deadline" => deadline: Option<Field<Duration>>,
        /// Unguarded: when the client goes away in the middle of the call.
        "cancel" => cancel: Option<Field<Duration>>,
        /// Unguarded: the checkpoint whose path is used again.
        "over" => over: Option<Name>,
    }
}

shape! {
    /// Carries a checkpoint.
    pub(super) struct Transfer ("`transfer`") {
        /// The checkpoint.
        "checkpoint" => checkpoint: Name,
        /// The node.
        "to" => to: Name,
        /// By which way: `file` (if left out), copied by the harness; `link`, through the network of the nodes.
        "over" => over: Option<Field<Over>>,
    }
}

shape! {
    /// Damages a copy of a checkpoint.
    pub(super) struct Tamper ("`tamper`") {
        /// The checkpoint; it stays as it is.
        "checkpoint" => checkpoint: Name,
        /// Name of the damaged copy.
        "as" => name: Name,
        /// What is done to it.
        "damage" => damage: Field<DamageKind>,
        /// `truncate` and `cut-entry`: bytes that remain.
        "keep" => keep: Option<Field<Size>>,
        /// `drop-entry`, `cut-entry` and `flip-bit`: path of the entry in the archive, as `checkpoint/inventory.img`. A
        /// `*` stands for what differs from dump to dump (`checkpoint/mountpoints-*.img`); the last that fits is
        /// meant. `flip-bit` without one turns a bit in the first header of the tar file.
        "entry" => entry: Option<Field<String>>,
    }
}

shape! {
    /// Restores a checkpoint.
    pub(super) struct Restore ("`restore`") {
        /// The checkpoint.
        "checkpoint" => checkpoint: Name,
        /// Where; the first node if left out.
        "node" => node: Option<Name>,
        /// Name of the new instance.
        "as" => instance: Name,
        /// Whether the archive is verified before the engine gets it; `true` if left out.
        "verify" => verify: Option<Field<bool>>,
        /// Memory limit of the new container; that of the checkpointed one if left out.
        "memory" => memory: Option<Field<Size>>,
        /// The volumes that it gets; those of its workload if left out, none with `{}`.
        "volumes" => volumes: Option<Mounts>,
        /// `false`: the bare calls, as a client makes them that knows none of the stack's traps; `true` if left out.
        "guard" => guard: Option<Field<bool>>,
        /// Unguarded: when the client gives up. What still runs of the restore then is killed.
        "deadline" => deadline: Option<Field<Duration>>,
    }
}

shape! {
    /// Moves an instance.
    pub(super) struct Migrate ("`migrate`") {
        /// The instance.
        "of" => of: Name,
        /// The node.
        "to" => to: Name,
        /// Name of the new instance; `NAME-moved` if left out.
        "as" => into: Option<Name>,
        /// How its state gets there, and what becomes of the source. `stop-copy`: freeze, dump, move, restore. `live-copy`:
        /// the source goes on after the dump and is stopped when the copy answers. `stream`, `post-copy`, `placed` and
        /// `pre-copy` are an engine's own. If left out: as `source` says.
        "strategy" => strategy: Option<Field<Strategy>>,
        /// What becomes of the source. `fenced` (if left out): frozen before the checkpoint and never thawed, so that
        /// nothing that it acknowledged can be missing. `stopped`: goes on after the checkpoint, and is stopped when the
        /// copy answers. `running`: goes on beside the copy.
        "source" => source: Option<Field<SourceFate>>,
        /// How the checkpoint is kept: `native` (if left out) or `image` (cri only).
        "medium" => medium: Option<Field<Medium>>,
        /// Memory limit of the new container; that of the source if left out.
        "memory" => memory: Option<Field<Size>>,
        /// The volumes that it gets; those of its workload if left out, none with `{}`.
        "volumes" => volumes: Option<Mounts>,
        /// By which way it is carried: `file` (if left out), copied by the harness; `link`, through the network of the
        /// nodes.
        "over" => over: Option<Field<Over>>,
        /// What becomes of its address. `new` (if left out): the copy has one of its own, and clients are sent there.
        /// `moved`: it goes along, and clients keep their connections if CRIU keeps them (`criu: {tcp: keep}`).
        /// `moved-late`: likewise, with the way led to the other node only when the restore has returned.
        "address" => address: Option<Field<Address>>,
    }
}

impl Read for Step {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let entries = r.entries(node, owner, "a step")?;
        let before = std::mem::replace(&mut r.via, node.via);
        let step = read_step(entries, node, r);
        r.via = before;
        if step.is_none() {
            r.lose(node);
        }
        step
    }
}

pub(super) const BESIDE: [&str; 6] = ["id", "name", "timeout", "expect", "during", "knownIssues"];

fn read_step(entries: &[(Key, Node)], node: &Node, r: &mut Reader) -> Option<Step> {
    let before = r.diagnostics.len();
    let mut actions = Vec::new();
    let mut unknown = false;
    for entry in entries {
        let key = entry.0.text.as_str();
        if Action::KEYS.contains(&key) {
            // Twice the same is told of as a repeated key.
            if actions.iter().all(|(k, _): &&(Key, Node)| k.text != key) {
                actions.push(entry);
            }
        } else if !BESIDE.contains(&key) {
            unknown = true;
            r.tell(entry.0.place, examples::no_step(key, &BESIDE));
            r.lose(&entry.1);
        }
    }
    if let Some((second, _)) = actions.get(1) {
        let message = format!("a step does one thing, and this one has `{}` and `{}`", actions[0].0.text, second.text);
        r.tell(
            second.place,
            error(explain::NO_ACTION, message)
                .label("the second action")
                .help(format!("make two steps of it: a step begins with a dash, `- {}: ...`", second.text)),
        );
        for (_, value) in &actions[1..] {
            r.lose(value);
        }
    } else if actions.is_empty() && !unknown {
        let finding = error(explain::NO_ACTION, "this step does nothing").label("no action");
        r.tell(node.place, finding.help(format!("add one of {}", super::read::quoted(Action::KEYS))));
    }
    let map = r.checked(entries, node.place, "a step");
    let around = Around {
        id: map.take("id", r)?,
        name: map.take("name", r)?,
        timeout: map.take("timeout", r)?,
        expect: map.take("expect", r)?,
        during: map.take("during", r)?,
        known_issues: map.take("knownIssues", r)?,
    };
    let (key, value) = *actions.first()?;
    if let Some(finding) = examples::no_such_step(&key.text, value) {
        r.tell(key.place, finding);
        r.lose(value);
        return None;
    }
    let action = Action::read_as(key, value, r)?;
    Some(Step { around, place: key.place, via: node.via, action, spoiled: r.diagnostics.len() > before })
}

impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let around = Around::json_schema(generator);
        let mut actions = Action::json_schema(generator);
        let of_group = schemars::json_schema!({
            "description": "Steps of a group stand here.",
            "properties": {groups::USE: {"type": "string"}},
        });
        if let Some(all) = actions.get_mut("oneOf").and_then(|all| all.as_array_mut()) {
            all.push(of_group.into());
        }
        let with = schemars::json_schema!({
            "description": "What a group is given, beside `use`: its arguments, by name.",
            "type": "object",
        });
        let mut around = around;
        if let Some(properties) = around.get_mut("properties").and_then(|p| p.as_object_mut()) {
            properties.insert(groups::WITH.into(), with.into());
        }
        let keys: Vec<&str> = Action::KEYS.iter().copied().chain([groups::USE]).collect();
        super::schema::with_one_of(around, &actions, &keys, "One action, with what is expected of it.")
    }
}

impl Checkpoint {
    /// The names of the checkpoints that it takes: its own, and one more for each that is taken at the same time.
    pub(super) fn all_names(&self) -> Vec<String> {
        let times = self.times.as_ref().and_then(|t| t.fixed()).map_or(1, |t| t.0);
        let name = self.name.text();
        // As many as anybody can want at once; a scenario may ask for ten thousand.
        let more = (2..=times.min(100)).map(|n| format!("{name}-{n}"));
        std::iter::once(name.to_owned()).chain(more).collect()
    }
}

impl Migrate {
    /// Whether its strategy is, or may be, an engine's own.
    pub(super) fn of_engine(&self) -> bool {
        self.strategy.as_ref().is_some_and(|s| s.fixed().is_none_or(|s| !s.composed()))
    }

    /// Whether its strategy is this one for sure, in every case.
    pub(super) fn is_fixed(&self, strategy: Strategy) -> bool {
        self.strategy.as_ref().is_some_and(|s| s.fixed() == Some(&strategy))
    }

    /// The name of the instance that it makes.
    pub(super) fn new_name(&self) -> String {
        self.into.as_ref().map_or_else(|| format!("{}-moved", self.of.text()), |n| n.text().to_owned())
    }
}
