//! Scenario as written -> cases: every expression resolved, every default filled in.

mod checks;
mod faults;
mod known;
mod migrate;
mod pods;

use super::action::{Action as Written, Checkpoint, Expect, Restore, Step as WrittenStep, Tamper, Wait};
use super::catalogue::beside;
use super::condition::{Choice, WHERE};
use super::diagnostic::Diagnostic;
use super::document::Document;
use super::field::{Field, Inputs};
use super::place::Place;
use super::plan::STEP_TIMEOUT;
use super::plan::{
    Action, Case, Client, Damage, ExpectedError, Given, Medium, Over, Plan, RawCheckpoint, RawRestore, Repeat, Step,
    Volume, Weight, Workload,
};
use super::read::{Finding, Reader, error};
use super::select::Selection;
use super::units::{DamageKind, Rate, Size, Times, User};
use super::value::{Cell, Name, Scalar};
use super::volumes::Mounts;
use super::{Scenario, explain, matrix, parameters, title};
use crate::record::{CaseId, CriuChoices, EngineKind, GiveUp, Origin, SourceFate, Trick};
use std::collections::BTreeMap;
use std::time::Duration;

const CASE_TIMEOUT: Duration = Duration::from_secs(300);
const RATE: f64 = 1000.0;

/// Makes the cases of scenarios that are wanted, in a stable order: scenarios as given, then cells, then engines. Errors
/// only come of what `selection` gives, its values and its expression, and of two scenarios with one name.
pub fn plan(scenarios: &[Scenario], selection: &Selection) -> Result<Plan, Vec<Diagnostic>> {
    let mut plan = Plan::default();
    let mut wrong = same_names(scenarios);
    let choice = selection.condition.as_deref().map(|text| Choice::read(text, scenarios)).transpose();
    let choice = choice.map_err(|told| told.into_iter().map(|told| of_choice(selection, told)).collect::<Vec<_>>())?;
    for scenario in scenarios {
        let params = parameters::values(&scenario.document, &selection.params);
        for cell in matrix::cells(scenario.document.spec.matrix.as_ref(), &selection.params) {
            let inputs = Inputs::new(cell, params.clone());
            for engine in selection.engines_of(scenario) {
                match (Cellular { scenario, inputs: &inputs, given: &selection.params }).case(engine) {
                    Ok(case) if !selection.wants(&case) => {}
                    Ok(case)
                        if choice.as_ref().is_some_and(|choice| left_out(choice, &case, selection, &mut wrong)) => {}
                    Ok(case) if selection.tier.is_none_or(|tier| tier == case.tier) => plan.cases.push(case),
                    Ok(_) => plan.beyond += 1,
                    Err(diagnostic) => wrong.push(*diagnostic),
                }
            }
        }
    }
    wrong.dedup();
    if wrong.is_empty() { Ok(plan) } else { Err(wrong) }
}

/// Whether a case is left out by the expression that chooses.
fn left_out(choice: &Choice<'_>, case: &Case, selection: &Selection, wrong: &mut Vec<Diagnostic>) -> bool {
    match choice.wants(case) {
        Ok(wanted) => !wanted,
        Err(told) => {
            // One case is enough: others would say the same of the same mistake.
            if !wrong.iter().any(|d| d.file == WHERE) {
                wrong.push(of_choice(selection, told));
            }
            true
        }
    }
}

fn of_choice(selection: &Selection, (at, finding): (usize, Finding)) -> Diagnostic {
    let mut r = Reader { file: WHERE.to_owned(), ..Reader::default() };
    r.tell(Choice::place(selection.condition.as_deref().unwrap_or_default(), at), finding);
    r.diagnostics.remove(0)
}

/// Two scenarios of one name would write over each other's evidence.
fn same_names(scenarios: &[Scenario]) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    for scenario in scenarios {
        if let Some(other) = first.insert(scenario.name(), scenario.file()) {
            let mut r = Reader { file: scenario.file.clone(), ..Reader::default() };
            let message = format!("the scenario `{}` is in `{other}` too", scenario.name());
            let finding = error(explain::NAME_TAKEN, message).help("give one of them another name");
            r.tell(scenario.document.place(), finding);
            wrong.append(&mut r.diagnostics);
        }
    }
    wrong
}

/// Boxed, since it is large and rare.
type Resolved<T> = Result<T, Box<Diagnostic>>;

/// A scenario in a cell.
struct Cellular<'a> {
    scenario: &'a Scenario,
    inputs: &'a Inputs,
    /// What is given from outside.
    given: &'a [(String, String)],
}

impl Cellular<'_> {
    fn document(&self) -> &Document {
        &self.scenario.document
    }

    fn origin(&self, place: Place) -> Origin {
        Origin { file: self.scenario.file.clone(), line: place.line, column: place.column }
    }

    fn wrong(&self, place: Place, finding: Finding) -> Box<Diagnostic> {
        let mut r = Reader { file: self.scenario.file.clone(), ..Reader::default() };
        r.tell(place, finding);
        Box::new(r.diagnostics.remove(0))
    }

    fn get<T: Scalar>(&self, field: &Field<T>) -> Resolved<T> {
        field.resolve(self.inputs).map_err(|finding| self.wrong(field.place, finding))
    }

    fn or<T: Scalar>(&self, field: &Option<Field<T>>, default: T) -> Resolved<T> {
        field.as_ref().map_or(Ok(default), |f| self.get(f))
    }

    fn given<T: Scalar>(&self, field: &Option<Field<T>>) -> Resolved<Option<T>> {
        field.as_ref().map(|f| self.get(f)).transpose()
    }

    fn case(&self, engine: EngineKind) -> Resolved<Case> {
        let spec = &self.document().spec;
        let measure = spec.measure.as_ref();
        let repeat = measure.map_or(Ok(Repeat::Times(1)), |m| self.or(&m.repetitions, Repeat::Times(1)))?;
        let repeat_for = if let Repeat::For(time) = repeat { Some(time) } else { None };
        let repetitions = if let Repeat::Times(times) = repeat { times.max(1) } else { 1 };
        let warmup = measure.map_or(Ok(0), |m| self.or(&m.warmup, Times(0)).map(|t| t.0))?;
        let mut steps: Vec<Step> =
            spec.all_steps().enumerate().map(|(i, s)| self.step(i, s)).collect::<Resolved<_>>()?;
        let for_engine = spec.checks.iter().flatten().filter(|c| c.is_for(engine));
        let checks = for_engine.map(|c| self.check(c)).collect::<Resolved<Vec<_>>>()?;
        let usual = Weight::usual(&steps, &checks, repeat_for.is_some() || repetitions + warmup > 1);
        Ok(Case {
            id: self.id(engine),
            scenario: self.scenario.name().to_owned(),
            title: self.scenario.title().to_owned(),
            origin: self.origin(self.document().place()),
            engine,
            params: self.cell(),
            parameters: self.inputs.params.clone(),
            tier: self.scenario.tier(),
            labels: self.scenario.labels().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            host_lacks: spec.host_lacks.iter().flatten().map(|t| t.value).collect(),
            nodes: self.document().nodes(),
            workloads: self.workloads()?,
            volumes: self.volumes()?,
            pods: self.pods(),
            allocatable: self.allocatable()?,
            clients: self.clients()?,
            criu: self.criu()?,
            without: self.without()?,
            known: self.known(engine, &ids(&steps))?,
            finally: steps.split_off(spec.steps.len()),
            steps,
            checks,
            repetitions,
            repeat_for,
            warmup,
            weight: self.or(&spec.weight, usual)?,
            timeout: self.or(&spec.timeout, CASE_TIMEOUT)? + repeat_for.unwrap_or_default(),
        })
    }

    /// The parameters that have another value than their default has: cases with different ones are different cases.
    fn parameters_given(&self) -> impl Iterator<Item = (&String, &String)> {
        self.inputs.params.iter().filter(|(name, _)| self.given.iter().any(|(given, _)| given == *name))
    }

    fn cell(&self) -> Cell {
        let given = self.parameters_given().map(|(name, value)| (name.clone(), value.clone()));
        self.inputs.cell.clone().into_iter().chain(given).collect()
    }

    fn id(&self, engine: EngineKind) -> CaseId {
        let mut parts = vec![format!("engine={engine}")];
        let axes = self.document().spec.matrix.iter().flat_map(|m| &m.axes.0);
        parts.extend(axes.filter_map(|(a, _)| self.inputs.cell.get(a.text()).map(|v| format!("{}={v}", a.text()))));
        parts.extend(self.parameters_given().map(|(name, value)| format!("{name}={value}")));
        CaseId(format!("{}[{}]", self.scenario.name(), parts.join(",")))
    }

    fn criu(&self) -> Resolved<CriuChoices> {
        let lock_network = self.without()?.contains(&Trick::SkipNetworkLock);
        let usual = CriuChoices { lock_network, ..CriuChoices::default() };
        let Some(written) = &self.document().spec.criu else { return Ok(usual) };
        Ok(CriuChoices {
            tcp: self.or(&written.tcp, usual.tcp)?,
            file_locks: self.or(&written.file_locks, usual.file_locks)?,
            ghost_limit: written.ghost_limit.as_ref().map(|s| self.get(s)).transpose()?.map(|s| s.0),
            irmap: written.irmap.as_ref().map(|p| self.get(p)).transpose()?,
            lock_network,
        })
    }

    fn workloads(&self) -> Resolved<BTreeMap<String, Workload>> {
        let mut all = BTreeMap::new();
        for (name, written) in &self.document().spec.workloads.0 {
            let settings = written.with.iter().flat_map(|w| &w.0);
            let value = |(key, _, field): &(String, _, Field<String>)| {
                let is_file = self.scenario.files.contains(&(name.text().to_owned(), key.clone()));
                let text = self.get(field)?;
                Ok((key.clone(), if is_file { beside(self.scenario.file(), &text) } else { text }))
            };
            let with = settings.map(value).collect::<Resolved<_>>()?;
            let volumes = written.volumes.as_ref().map(mounts).unwrap_or_default();
            let workload = Workload {
                kind: self.get(&written.kind)?,
                with,
                volumes,
                user: self.or(&written.user, User(0))?.0,
                origin: self.origin(name.place),
            };
            all.insert(name.text().to_owned(), workload);
        }
        Ok(all)
    }

    fn volumes(&self) -> Resolved<BTreeMap<String, Volume>> {
        let all = self.document().spec.volumes.iter().flat_map(|v| &v.0);
        all.map(|(name, v)| Ok((name.text().to_owned(), Volume { shared: self.or(&v.shared, false)? }))).collect()
    }

    fn allocatable(&self) -> Resolved<BTreeMap<String, u64>> {
        let all = self.document().spec.allocatable.iter().flat_map(|a| &a.0);
        all.map(|(node, size)| Ok((node.text().to_owned(), self.get(size)?.0))).collect()
    }

    fn allotted(&self, memory: &Option<Field<Size>>, volumes: Option<&Mounts>) -> Resolved<Given> {
        let memory = memory.as_ref().map(|m| self.get(m)).transpose()?.map(|size| size.0);
        Ok(Given { memory, volumes: volumes.map(mounts) })
    }

    fn clients(&self) -> Resolved<BTreeMap<String, Client>> {
        let mut all = BTreeMap::new();
        for (name, written) in self.document().spec.clients.iter().flat_map(|c| &c.0) {
            let client = Client {
                kind: self.get(&written.kind)?,
                target: written.target.text().to_owned(),
                rate: self.or(&written.rate, Rate(RATE))?.0,
                op_timeout: written.op_timeout.as_ref().map(|t| self.get(t)).transpose()?,
            };
            all.insert(name.text().to_owned(), client);
        }
        Ok(all)
    }

    fn step(&self, index: usize, written: &WrittenStep) -> Resolved<Step> {
        let around = &written.around;
        let action = self.action(&written.action)?;
        Ok(Step {
            id: around.id.as_ref().map_or_else(|| self.document().spec.default_id(index), |id| id.text().to_owned()),
            title: around.name.as_ref().map_or_else(|| title::of(&action), |n| n.value.clone()),
            origin: self.origin(written.place),
            used_at: written.via.map(|place| self.origin(place)),
            timeout: self.or(&around.timeout, STEP_TIMEOUT)?,
            during: around.during.as_ref().map(|d| self.during(d)).transpose()?,
            expect_error: around.expect.as_ref().map(|e| self.expected(e)).transpose()?,
            action,
        })
    }

    fn expected(&self, expect: &Expect) -> Resolved<ExpectedError> {
        let text = expect.error.text.as_ref().map(|t| self.get(t)).transpose()?;
        Ok(ExpectedError { class: self.get(&expect.error.class)?, text: text.map(|p| p.0) })
    }

    fn action(&self, written: &Written) -> Resolved<Action> {
        let text = |name: &Name| name.text().to_owned();
        let node = |name: &Option<Name>| name.as_ref().map_or_else(|| self.document().first_node(), text);
        Ok(match written {
            Written::Deploy(d) => Action::Deploy {
                workload: text(&d.workload),
                node: node(&d.node),
                instance: text(d.instance.as_ref().unwrap_or(&d.workload)),
                start: self.or(&d.start, true)?,
                given: self.allotted(&d.memory, None)?,
            },
            Written::Client(c) => match (&c.start, &c.stop) {
                (Some(client), _) => Action::StartClient { client: text(client) },
                (None, client) => Action::StopClient { client: client.as_ref().map(text).unwrap_or_default() },
            },
            Written::Wait(w) => self.wait(w)?,
            Written::Capture(c) => Action::Capture { instance: text(&c.of), name: text(&c.name) },
            Written::Freeze(f) => Action::Freeze { instance: text(&f.of) },
            Written::Thaw(t) => Action::Thaw { instance: text(&t.of) },
            Written::Checkpoint(c) => Action::Checkpoint {
                instance: text(&c.of),
                name: text(&c.name),
                source: self.or(&c.source, SourceFate::Running)?,
                medium: self.or(&c.medium, Medium::Native)?,
                times: self.or(&c.times, Times(1))?.0.max(1),
                raw: self.raw_checkpoint(c)?,
            },
            Written::Transfer(t) => Action::Transfer {
                checkpoint: text(&t.checkpoint),
                to: text(&t.to),
                over: self.or(&t.over, Over::File)?,
            },
            Written::Tamper(t) => {
                Action::Tamper { checkpoint: text(&t.checkpoint), name: text(&t.name), damage: self.damage(t)? }
            }
            Written::Restore(written) => self.restore(written, node(&written.node))?,
            Written::Migrate(m) => Action::Migrate(self.migrate(m)?),
            Written::Restart(r) => Action::Restart { node: text(&r.node) },
            Written::CopyVolume(c) => {
                Action::CopyVolume { volume: text(&c.volume), from: text(&c.from), to: text(&c.to) }
            }
            Written::Pod(p) => self.pod_step(p)?,
            Written::Remove(o) => Action::Remove { instance: text(&o.of) },
            Written::Fault(f) => Action::Fault(self.fault(f)?),
            Written::Mend(name) => Action::Mend { name: text(name) },
        })
    }

    fn restore(&self, written: &Restore, node: String) -> Resolved<Action> {
        Ok(Action::Restore {
            checkpoint: written.checkpoint.text().to_owned(),
            node,
            instance: written.instance.text().to_owned(),
            verify: self.or(&written.verify, true)?,
            given: self.allotted(&written.memory, written.volumes.as_ref())?,
            raw: match self.or(&written.guard, true)? {
                true => None,
                false => Some(RawRestore { deadline: self.given(&written.deadline)? }),
            },
        })
    }

    fn raw_checkpoint(&self, written: &Checkpoint) -> Resolved<Option<RawCheckpoint>> {
        if self.or(&written.guard, true)? {
            return Ok(None);
        }
        let deadline = self.given(&written.deadline)?.map(GiveUp::Deadline);
        let cancel = self.given(&written.cancel)?.map(GiveUp::Cancel);
        let over = written.over.as_ref().map(|n| n.text().to_owned());
        Ok(Some(RawCheckpoint { give_up: deadline.or(cancel), over }))
    }

    fn wait(&self, written: &Wait) -> Resolved<Action> {
        if let Some(m) = &written.memory {
            return Ok(Action::AwaitMemory { instance: m.of.text().to_owned(), at_least: self.get(&m.at_least)?.0 });
        }
        if let Some(end) = &written.end {
            return Ok(Action::AwaitEnd { instance: end.of.text().to_owned() });
        }
        Ok(match (&written.answers, &written.counter, &written.time) {
            (Some(a), ..) => Action::AwaitAnswers { client: a.client.text().to_owned(), count: self.get(&a.count)? },
            (_, Some(c), _) => {
                Action::AwaitCounter { instance: c.of.text().to_owned(), at_least: self.get(&c.at_least)? }
            }
            (.., time) => Action::Pause { time: self.or(time, Duration::ZERO)? },
        })
    }

    fn damage(&self, written: &Tamper) -> Resolved<Damage> {
        let entry = written.entry.as_ref().map(|e| self.get(e)).transpose()?;
        Ok(match self.get(&written.damage)? {
            DamageKind::Truncate => Damage::Truncate { keep: self.or(&written.keep, Size(0))?.0 },
            DamageKind::Empty => Damage::Empty,
            DamageKind::Random => Damage::Random,
            DamageKind::DropEntry => Damage::DropEntry { entry: entry.unwrap_or_default() },
            DamageKind::CutEntry => {
                let keep = self.or(&written.keep, Size(0))?.0;
                Damage::CutEntry { entry: entry.unwrap_or_default(), keep }
            }
            DamageKind::FlipBit => Damage::FlipBit { entry },
            DamageKind::EscapingEntry => Damage::EscapingEntry,
            DamageKind::EscapingLink => Damage::EscapingLink,
        })
    }
}

fn mounts(written: &Mounts) -> super::plan::Mounts {
    written.0.iter().map(|(name, path)| (name.text().to_owned(), path.value.0.clone())).collect()
}

fn ids(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| step.id.clone()).collect()
}
