//! Goes through the steps in order, keeping what is there and what is gone, and tells of what cannot be.

mod checkpoints;
mod clients;
mod disks;
mod faults;
mod pods;

use super::action::{Action, Deploy, Step};
use super::catalogue::{WorkloadKind, kind_of, others};
use super::document::{Client, Document, Workload};
use super::explain;
use super::place::Place;
use super::read::{Reader, error, warning};
use super::value::Name;
use std::collections::{BTreeMap, BTreeSet};

/// What became of an instance so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there.
    Alive { frozen: bool },
    /// Its container was made and not started.
    Created,
    /// It is gone since the step at this line.
    Gone(u32),
    /// It has ended by the step at this line, and what is left of it is there.
    Ended(u32),
    /// The step that would have made it is expected to fail.
    Never,
    /// It depends on the cell of the matrix.
    Unsure,
}

/// An instance, as far as the steps tell.
#[derive(Clone, Debug)]
pub(super) struct Life<'a> {
    pub(super) fate: Fate,
    node: Option<String>,
    pub(super) kind: Option<&'a WorkloadKind>,
    /// The instance that it is a copy of, and the index of the step that checkpointed that one.
    pub(super) copy_of: Option<(String, usize)>,
}

struct Held<'a> {
    of: String,
    taken: usize,
    kind: Option<&'a WorkloadKind>,
    /// `None`: any node can get it.
    nodes: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Running,
    Stopped,
}

/// A capture: whose, and the index of its step.
pub(super) type Taken = (String, usize);

/// All names of a kind that the scenario gives anywhere, with the line of each.
pub(super) type Given = BTreeMap<String, u32>;

pub(super) struct Flow<'a, 'r> {
    pub(super) document: &'a Document,
    pub(super) kinds: &'a [WorkloadKind],
    pub(super) r: &'r mut Reader,
    nodes: Vec<String>,
    workloads: BTreeMap<&'a str, &'a Workload>,
    pub(super) clients: BTreeMap<&'a str, &'a Client>,
    pub(super) lives: BTreeMap<String, Life<'a>>,
    pub(super) captures: BTreeMap<String, Taken>,
    checkpoints: BTreeMap<String, Held<'a>>,
    started: BTreeMap<String, Use>,
    pub(super) steps: BTreeMap<String, (usize, &'a Step)>,
    pub(super) instances_given: Given,
    pub(super) captures_given: Given,
    /// Whether the check at hand refers to nothing that may have been given where something could not be read.
    pub(super) certain: bool,
    checkpoints_given: Given,
    /// Whether the step at hand is expected to fail: then it may ask for what cannot be.
    fails: bool,
    /// Whether the step at hand is one of `finally`: it is passed over where what it acts on is gone.
    finally: bool,
    /// Named faults, with the line that each was mended at.
    faults: BTreeMap<String, Option<u32>>,
    faults_given: Given,
    /// Pods that were started or that others became.
    pub(super) made: BTreeMap<String, pods::Made<'a>>,
}

/// Checks a document.
pub(super) fn check(document: &Document, kinds: &[WorkloadKind], r: &mut Reader) {
    let unread = r.diagnostics.len();
    let mut flow = Flow::new(document, kinds, r);
    flow.unique_nodes();
    flow.disks();
    flow.pods();
    for (index, step) in document.spec.all_steps().enumerate() {
        flow.r.via = step.via;
        flow.finally = index >= document.spec.steps.len();
        flow.step(index, step);
    }
    flow.r.via = None;
    super::verdicts::check(&mut flow);
    flow.unused();
    let expects = document.spec.all_steps().any(|s| s.around.expect.is_some());
    let checks = document.spec.checks.as_ref().is_some_and(|c| !c.is_empty());
    // Where something could not be read, that is why there is nothing.
    if unread == 0 && document.spec.steps.is_empty() {
        r.tell(document.place(), error(explain::NOTHING_TO_DO, "the scenario has no steps").help("add steps"));
    } else if unread == 0 && !checks && !expects {
        let finding = error(explain::NOTHING_TO_DO, "the scenario judges nothing: it would pass whatever happens");
        r.tell(document.place(), finding.help("add `checks`"));
    }
}

impl<'a, 'r> Flow<'a, 'r> {
    fn new(document: &'a Document, kinds: &'a [WorkloadKind], r: &'r mut Reader) -> Self {
        let mut flow = Flow {
            document,
            kinds,
            r,
            nodes: document.nodes(),
            workloads: document.spec.workloads.0.iter().map(|(n, w)| (n.text(), w)).collect(),
            clients: document.spec.clients.iter().flat_map(|c| &c.0).map(|(n, c)| (n.text(), c)).collect(),
            lives: BTreeMap::new(),
            captures: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            started: BTreeMap::new(),
            steps: BTreeMap::new(),
            instances_given: Given::new(),
            captures_given: Given::new(),
            certain: true,
            checkpoints_given: Given::new(),
            fails: false,
            finally: false,
            faults: BTreeMap::new(),
            faults_given: Given::new(),
            made: BTreeMap::new(),
        };
        for step in document.spec.all_steps() {
            flow.gives(step);
        }
        flow
    }

    fn gives(&mut self, step: &Step) {
        let line = step.place.line;
        if let Action::Deploy(d) = &step.action
            && !self.workloads.contains_key(d.workload.text())
        {
            // What was meant is deployed, and an instance of that name is there.
            let known: Vec<&str> = self.workloads.keys().copied().collect();
            self.r.lost.extend(super::read::nearest(d.workload.text(), &known).map(str::to_owned));
        }
        if let Action::Pod(p) = &step.action {
            for name in self.given_by(p) {
                self.instances_given.entry(name).or_insert(line);
            }
        }
        let (given, name) = match &step.action {
            Action::Deploy(d) => {
                (&mut self.instances_given, d.instance.as_ref().unwrap_or(&d.workload).text().to_owned())
            }
            Action::Restore(d) => (&mut self.instances_given, d.instance.text().to_owned()),
            Action::Migrate(m) => (&mut self.instances_given, m.new_name()),
            Action::Capture(c) => (&mut self.captures_given, c.name.text().to_owned()),
            Action::Checkpoint(c) => {
                for name in c.all_names() {
                    self.checkpoints_given.entry(name).or_insert(line);
                }
                return;
            }
            Action::Tamper(t) => (&mut self.checkpoints_given, t.name.text().to_owned()),
            _ => return self.gives_fault(step),
        };
        given.entry(name).or_insert(line);
        self.gives_fault(step);
    }

    fn gives_fault(&mut self, step: &Step) {
        let by_step = match &step.action {
            Action::Fault(f) => f.name.as_ref(),
            _ => None,
        };
        let during = step.around.during.as_ref().and_then(|d| d.fault.name.as_ref());
        for name in by_step.into_iter().chain(during) {
            self.faults_given.entry(name.text().to_owned()).or_insert(step.place.line);
        }
    }

    fn unique_nodes(&mut self) {
        let mut seen = BTreeSet::new();
        for node in self.document.spec.nodes.iter().flatten() {
            if !seen.insert(node.text()) {
                let finding = error(explain::NAME_TAKEN, format!("the node `{}` is there twice", node.text()));
                self.r.tell(node.place, finding.help("give it another name"));
            }
        }
    }

    fn step(&mut self, index: usize, step: &'a Step) {
        let id =
            step.around.id.as_ref().map_or_else(|| self.document.spec.default_id(index), |id| id.text().to_owned());
        if self.steps.insert(id.clone(), (index, step)).is_some() {
            let place = step.around.id.as_ref().map_or(step.place, |i| i.place);
            self.r.tell(
                place,
                error(explain::NAME_TAKEN, format!("the step id `{id}` is given twice")).help("change one"),
            );
        }
        let fails = step.around.expect.is_some();
        self.fails = fails;
        if let Some(during) = &step.around.during {
            self.during(during, step);
        }
        match &step.action {
            Action::Deploy(d) => self.deploy(d, fails),
            Action::Client(c) => self.client(c, step),
            Action::Wait(w) => self.wait(w, step),
            Action::Capture(c) => {
                let known = self.present(&c.of).is_some();
                if self.fresh(&c.name, "capture", self.captures.contains_key(c.name.text())) && known {
                    self.captures.insert(c.name.text().to_owned(), (c.of.text().to_owned(), index));
                }
            }
            Action::Freeze(f) => self.set(&f.of, Fate::Alive { frozen: true }),
            Action::Thaw(t) => self.set(&t.of, Fate::Alive { frozen: false }),
            Action::Checkpoint(c) => self.checkpoint(c, index, step),
            Action::Transfer(t) => self.transfer(t, fails),
            Action::Tamper(t) => self.tamper(t, step),
            Action::Restore(d) => self.restore(d, step),
            Action::Migrate(m) => self.migrate(m, index, step),
            Action::Pod(p) => self.pod_step(p, index, step),
            Action::Remove(o) => self.set(&o.of, Fate::Gone(step.place.line)),
            Action::Restart(r) => self.restart(r, step.place.line),
            Action::CopyVolume(c) => self.copy_volume(c),
            Action::Fault(f) => self.fault(f, step),
            Action::Mend(name) => self.mend(name, step.place.line),
        }
    }

    /// Tells of a name that is unknown, unless it may have been given where something could not be read.
    pub(super) fn unknown(&mut self, what: &str, name: &Name, known: Vec<String>) {
        if !self.r.lost.contains(name.text()) {
            let finding = error(explain::UNKNOWN_NAME, format!("there is no {what} `{}`", name.text()));
            let finding = match made_by(what, name.text()).filter(|_| known.is_empty()) {
                Some(help) => finding.help(help),
                None => finding.meant(name.text(), known.iter().map(String::as_str)),
            };
            self.r.tell(name.place, finding);
        }
    }

    /// A name that something given somewhere has, but not yet.
    fn early(&mut self, what: &str, name: &Name, line: u32) {
        let message = format!("the {what} `{}` is not there yet: it is made at line {line}", name.text());
        self.r.tell(name.place, error(explain::TOO_EARLY, message).help("move this step behind that line"));
    }

    /// An instance that runs, or may run.
    fn instance(&mut self, name: &Name) -> Option<Life<'a>> {
        let life = self.present(name)?;
        if let (Fate::Ended(line), false) = (life.fate, self.fails) {
            let message = format!("the instance `{}` has ended at line {line}", name.text());
            let help = "move this step before that line, or expect its error";
            self.r.tell(name.place, error(explain::TOO_LATE, message).help(help));
            return None;
        }
        Some(life)
    }

    /// An instance that was made and not removed.
    fn present(&mut self, name: &Name) -> Option<Life<'a>> {
        match self.lives.get(name.text()) {
            Some(life) => match life.fate {
                Fate::Gone(_) | Fate::Never if self.finally => None,
                Fate::Alive { .. } | Fate::Created | Fate::Ended(_) | Fate::Unsure => Some(life.clone()),
                Fate::Gone(line) => {
                    let message = format!("the instance `{}` is gone since line {line}", name.text());
                    let finding = error(explain::TOO_LATE, message).help("move this step before that line");
                    self.r.tell(name.place, finding);
                    None
                }
                Fate::Never => {
                    let message =
                        format!("the instance `{}` never is there: its step is expected to fail", name.text());
                    self.r.tell(name.place, error(explain::TOO_LATE, message).help("use another instance"));
                    None
                }
            },
            None => {
                match self.instances_given.get(name.text()) {
                    Some(&line) => self.early("instance", name, line),
                    None => self.unknown("instance", name, self.instances_given.keys().cloned().collect()),
                }
                None
            }
        }
    }

    fn set(&mut self, name: &Name, fate: Fate) {
        let there = if matches!(fate, Fate::Gone(_)) { self.present(name) } else { self.instance(name) };
        if there.is_some()
            && let Some(life) = self.lives.get_mut(name.text())
        {
            life.fate = fate;
        }
    }

    fn node(&mut self, name: &Name) {
        if !self.nodes.iter().any(|n| n == name.text()) {
            self.unknown("node", name, self.nodes.clone());
        }
    }

    /// Whether a new name is free; tells if it is not.
    fn fresh(&mut self, name: &Name, what: &str, taken: bool) -> bool {
        if taken {
            let message = format!("the {what} `{}` is there already", name.text());
            self.r.tell(name.place, error(explain::NAME_TAKEN, message).help("give it another name"));
            // Which of the two is meant further on cannot be known.
            self.r.lost.insert(name.text().to_owned());
        }
        !taken
    }

    fn born(&mut self, name: &str, place: Place, life: Life<'a>) {
        if self.lives.contains_key(name) {
            let finding = error(explain::NAME_TAKEN, format!("the instance `{name}` is there already"));
            self.r.tell(place, finding.help("name this one otherwise with `as`"));
            // Which of the two is meant further on cannot be known.
            self.r.lost.insert(name.to_owned());
            self.lives.insert(name.to_owned(), Life { fate: Fate::Unsure, node: None, kind: None, copy_of: None });
        } else {
            self.lives.insert(name.to_owned(), life);
        }
    }

    fn known_workload(&mut self, name: &Name) -> Option<&'a Workload> {
        let workload = self.workloads.get(name.text()).copied();
        if workload.is_none() && !self.r.lost.contains(name.text()) {
            let known = self.workloads.keys().copied();
            let finding = error(explain::UNKNOWN_NAME, format!("there is no workload `{}`", name.text()));
            self.r.tell(name.place, finding.meant(name.text(), known));
        }
        workload
    }

    fn deploy(&mut self, d: &Deploy, fails: bool) {
        let workload = self.known_workload(&d.workload);
        if let Some(node) = &d.node {
            self.node(node);
        }
        let name = d.instance.as_ref().unwrap_or(&d.workload);
        let node = d.node.as_ref().map_or_else(|| self.document.first_node(), |n| n.text().to_owned());
        let kind = workload.and_then(|w| kind_of(w, self.kinds));
        let fate = match d.start.as_ref().map(|s| s.fixed()) {
            _ if fails => Fate::Never,
            None | Some(Some(true)) => alive(false),
            Some(Some(false)) => Fate::Created,
            Some(None) => Fate::Unsure,
        };
        self.born(name.text(), name.place, Life { fate, node: Some(node), kind, copy_of: None });
    }

    /// What else the program could be asked by, that tells what this does not.
    pub(super) fn told_by(
        &self,
        kind: &WorkloadKind,
        tells: impl Fn(&WorkloadKind) -> bool,
        otherwise: &str,
    ) -> String {
        others(kind, self.kinds, tells).unwrap_or_else(|| otherwise.to_owned())
    }

    fn unused(&mut self) {
        let deploys = |name: &str| {
            let of = |s: &Step| match &s.action {
                Action::Deploy(d) => d.workload.text() == name,
                Action::Pod(p) => self
                    .made
                    .get(p.start.as_ref().map_or("", Name::text))
                    .is_some_and(|made| made.containers.iter().any(|c| c.text() == name)),
                _ => false,
            };
            self.document.spec.all_steps().any(of)
        };
        let mut found = Vec::new();
        for (name, _) in &self.document.spec.workloads.0 {
            if !deploys(name.text()) {
                found.push((name, "the workload", "never deployed", format!("deploy: {{workload: {}}}", name.text())));
            }
        }
        for (name, _) in self.document.spec.clients.iter().flat_map(|c| &c.0) {
            if !self.started.contains_key(name.text()) {
                found.push((name, "the client", "never started", format!("client: {{start: {}}}", name.text())));
            }
        }
        for (name, what, never, step) in found {
            if !self.r.lost.contains(name.text()) {
                let finding = warning(explain::UNUSED, format!("{what} `{}` is {never}", name.text()));
                self.r.tell(name.place, finding.help(format!("add the step `- {step}`, or take it away")));
            }
        }
    }
}

fn alive(fails: bool) -> Fate {
    if fails { Fate::Never } else { Fate::Alive { frozen: false } }
}

/// How there comes to be a thing of this kind, where there is none at all.
fn made_by(what: &str, name: &str) -> Option<String> {
    Some(match what {
        "capture" => format!("add a step `- capture: {{of: INSTANCE, as: {name}}}`"),
        "checkpoint" => format!("add a step `- checkpoint: {{of: INSTANCE, as: {name}}}`"),
        "fault" => format!("give the fault this name: `as: {name}`"),
        "step" => format!("give the step this id: `id: {name}`"),
        "client" => format!("add it to `spec.clients`: `{name}: {{kind: ..., target: INSTANCE}}`"),
        "volume" => format!("add it to `spec.volumes`: `{name}: {{}}`"),
        "pod" => format!("add it to `spec.pods`: `{name}: {{containers: [...]}}`"),
        _ => return None,
    })
}
