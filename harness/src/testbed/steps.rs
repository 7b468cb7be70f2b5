//! Steps as tests write them: each is made with what it must know, changed as one likes, and done when it is awaited.

use super::thread::Ask;
use super::{
    Action, Address, CheckRecord, CheckSpec, ClientHandle, ClientKind, During, ErrorClass, Failed, Failure, Instance,
    Medium, Over, STEP, SourceFate, Strategy, TestBed,
};
use crate::record::Origin;
use crate::run::open::More;
use crate::scenario::plan::{self, Client, ExpectedError, Given, Migrate as Planned, Step, Volume};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

/// What awaiting a step is.
type Work<T> = Pin<Box<dyn Future<Output = Result<T, Failed>> + Send>>;

/// A step that is about to be done, and what it gives when it has been.
#[must_use = "a step is done when it is awaited"]
pub struct Doing<T> {
    bed: TestBed,
    more: More,
    step: Step,
    gives: T,
}

impl<T> Doing<T> {
    pub(super) fn new(bed: &TestBed, action: Action, at: Origin, gives: T) -> Doing<T> {
        let title = crate::scenario::step_title(&action);
        let step = Step {
            id: String::new(),
            title,
            origin: at,
            used_at: None,
            timeout: STEP,
            expect_error: None,
            during: None,
            action,
        };
        Doing { bed: bed.clone(), more: More::default(), step, gives }
    }

    /// How long it may take; by default a minute.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.step.timeout = limit;
        self
    }

    /// What reports and checks of steps call it.
    pub fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.step.id);
        self
    }

    /// A fault at one of its stages; it is mended at the end, if not before.
    pub fn during(mut self, fault: During) -> Self {
        self.step.during = Some(fault);
        self
    }

    /// It must fail in this way: gives the error, and fails if it succeeds.
    pub fn fails(mut self, class: ErrorClass) -> Failing {
        self.step.expect_error = Some(ExpectedError { class, text: None });
        Failing(Doing { bed: self.bed, more: self.more, step: self.step, gives: () })
    }

    async fn done(self) -> Result<(T, Option<Failure>), Failed> {
        let Doing { bed, more, mut step, gives } = self;
        step.title = crate::scenario::step_title(&step.action);
        let at = step.origin.clone();
        let met = bed.ask(|reply| Ask::Step(more, Box::new(step), reply)).await?;
        met.map(|met| (gives, met)).map_err(|stop| bed.failed(stop, &at))
    }
}

impl<T: Send + 'static> IntoFuture for Doing<T> {
    type Output = Result<T, Failed>;
    type IntoFuture = Work<T>;

    fn into_future(self) -> Work<T> {
        Box::pin(async { self.done().await.map(|(gives, _)| gives) })
    }
}

/// A step that must fail.
#[must_use = "a step is done when it is awaited"]
pub struct Failing(Doing<()>);

impl Failing {
    /// Its message must match this regular expression.
    pub fn saying(mut self, pattern: &str) -> Self {
        if let Some(expected) = &mut self.0.step.expect_error {
            expected.text = Some(pattern.to_owned());
        }
        self
    }
}

impl IntoFuture for Failing {
    type Output = Result<Failure, Failed>;
    type IntoFuture = Work<Failure>;

    fn into_future(self) -> Work<Failure> {
        let nothing = || Failure::surroundings("the step succeeded, and was to fail");
        Box::pin(async move { self.0.done().await.map(|(_, met)| met.unwrap_or_else(nothing)) })
    }
}

/// What steps with settings of their own have in common with others.
macro_rules! step {
    ($name:ident => $gives:ty) => {
        impl $name {
            /// How long it may take; by default a minute.
            pub fn timeout(self, limit: Duration) -> Self {
                Self(self.0.timeout(limit))
            }

            /// What reports and checks of steps call it.
            pub fn id(self, id: &str) -> Self {
                Self(self.0.id(id))
            }

            /// A fault at one of its stages; it is mended at the end, if not before.
            pub fn during(self, fault: During) -> Self {
                Self(self.0.during(fault))
            }

            /// It must fail in this way: gives the error, and fails if it succeeds.
            pub fn fails(self, class: ErrorClass) -> Failing {
                self.0.fails(class)
            }
        }

        impl IntoFuture for $name {
            type Output = Result<$gives, Failed>;
            type IntoFuture = Work<$gives>;

            fn into_future(self) -> Work<$gives> {
                self.0.into_future()
            }
        }
    };
}

/// A program to be run in a container: by its name in the catalogue (`redis`, `counter`, `memory`, ...), or `archive` for an
/// image of your own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    kind: String,
    with: BTreeMap<String, String>,
    volumes: BTreeMap<String, (String, bool)>,
    user: u32,
}

impl Workload {
    /// With the catalogue's settings.
    pub fn new(kind: &str) -> Workload {
        Workload { kind: kind.to_owned(), with: BTreeMap::new(), volumes: BTreeMap::new(), user: 0 }
    }

    /// An OCI or docker archive of your own.
    pub fn archive(file: impl AsRef<std::path::Path>) -> Workload {
        Workload::new("archive").with("archive", &file.as_ref().display().to_string())
    }

    /// A setting, as a scenario writes it: `data` and `64Mi`.
    #[must_use]
    pub fn with(mut self, setting: &str, value: &str) -> Self {
        self.with.insert(setting.to_owned(), value.to_owned());
        self
    }

    /// The user that it runs as; by default root.
    #[must_use]
    pub fn user(mut self, id: u32) -> Self {
        self.user = id;
        self
    }

    /// A folder of each node by this name, at a path in the container.
    #[must_use]
    pub fn volume(mut self, name: &str, path: &str) -> Self {
        self.volumes.insert(name.to_owned(), (path.to_owned(), false));
        self
    }

    /// A folder that all nodes see alike, at a path in the container.
    #[must_use]
    pub fn shared_volume(mut self, name: &str, path: &str) -> Self {
        self.volumes.insert(name.to_owned(), (path.to_owned(), true));
        self
    }
}

impl From<&str> for Workload {
    fn from(kind: &str) -> Workload {
        Workload::new(kind)
    }
}

/// A workload about to be started: on the first node, unless it is said where.
#[must_use = "a step is done when it is awaited"]
pub struct Deploy(Doing<Instance>);

step!(Deploy => Instance);

impl Deploy {
    pub(super) fn new(bed: &TestBed, workload: Workload, at: Origin) -> Deploy {
        let name = bed.0.names.take(&workload.kind);
        let node = bed.0.nodes.first().cloned().unwrap_or_default();
        let volumes = workload.volumes.iter();
        let more = More {
            volumes: volumes.map(|(name, (_, shared))| (name.clone(), Volume { shared: *shared })).collect(),
            workloads: vec![(
                name.clone(),
                plan::Workload {
                    kind: workload.kind,
                    with: workload.with,
                    volumes: workload.volumes.into_iter().map(|(name, (path, _))| (name, path)).collect(),
                    user: workload.user,
                    origin: at.clone(),
                },
            )],
            clients: Vec::new(),
        };
        let given = Given::default();
        let (workload, instance) = (name.clone(), name.clone());
        let action = Action::Deploy { workload, node, instance, start: true, given };
        let gives = Instance::new(bed, &name);
        Deploy(Doing { more, ..Doing::new(bed, action, at, gives) })
    }

    /// Where.
    pub fn on(mut self, to: &str) -> Self {
        if let Action::Deploy { node, .. } = &mut self.0.step.action {
            to.clone_into(node);
        }
        self
    }

    /// What it is called; by default what the catalogue calls it.
    pub fn named(mut self, name: &str) -> Self {
        let name = self.0.bed.0.names.take(name);
        if let Action::Deploy { instance, .. } = &mut self.0.step.action {
            instance.clone_from(&name);
        }
        self.0.gives = Instance::new(&self.0.bed, &name);
        self
    }

    /// How many bytes of memory it may take.
    pub fn memory(mut self, bytes: u64) -> Self {
        if let Action::Deploy { given, .. } = &mut self.0.step.action {
            given.memory = Some(bytes);
        }
        self
    }
}

/// A migration about to be done: its source is fenced, unless it is said otherwise.
#[must_use = "a step is done when it is awaited"]
pub struct Migrate(Doing<Instance>);

step!(Migrate => Instance);

impl Migrate {
    pub(super) fn new(bed: &TestBed, instance: &str, to: &str, at: Origin) -> Migrate {
        let into = bed.0.names.take(&format!("{instance}-moved"));
        let gives = Instance::new(bed, &into);
        let action = Action::Migrate(Planned {
            instance: instance.to_owned(),
            to: to.to_owned(),
            into,
            strategy: None,
            source: SourceFate::Fenced,
            medium: Medium::Native,
            given: Given::default(),
            over: Over::File,
            address: Address::New,
        });
        Migrate(Doing::new(bed, action, at, gives))
    }

    fn set(mut self, set: impl FnOnce(&mut Planned)) -> Self {
        if let Action::Migrate(planned) = &mut self.0.step.action {
            set(planned);
        }
        self
    }

    /// What the copy is called; by default `NAME-moved`.
    pub fn named(self, name: &str) -> Self {
        let name = self.0.bed.0.names.take(name);
        let gives = Instance::new(&self.0.bed, &name);
        let mut named = self.set(|planned| planned.into = name);
        named.0.gives = gives;
        named
    }

    /// How its state gets to the other node; it says what becomes of the source too.
    pub fn strategy(self, strategy: Strategy) -> Self {
        self.set(|planned| {
            planned.strategy = Some(strategy);
            planned.source = strategy.source();
        })
    }

    /// What becomes of the source.
    pub fn source(self, source: SourceFate) -> Self {
        self.set(|planned| planned.source = source)
    }

    /// How the checkpoint is kept.
    pub fn medium(self, medium: Medium) -> Self {
        self.set(|planned| planned.medium = medium)
    }

    /// By which way it is carried.
    pub fn over(self, over: Over) -> Self {
        self.set(|planned| planned.over = over)
    }

    /// What becomes of its address, and with that of established connections.
    pub fn address(self, address: Address) -> Self {
        self.set(|planned| planned.address = address)
    }

    /// How many bytes of memory the copy may take; by default as many as its source.
    pub fn memory(self, bytes: u64) -> Self {
        self.set(|planned| planned.given.memory = Some(bytes))
    }
}

/// A restore about to be done.
#[must_use = "a step is done when it is awaited"]
pub struct Restore(Doing<Instance>);

step!(Restore => Instance);

impl Restore {
    pub(super) fn new(bed: &TestBed, checkpoint: &str, node: &str, at: Origin) -> Restore {
        let instance = bed.0.names.take(&format!("{checkpoint}-restored"));
        let gives = Instance::new(bed, &instance);
        let (checkpoint, node) = (checkpoint.to_owned(), node.to_owned());
        let action = Action::Restore { checkpoint, node, instance, verify: true, given: Given::default(), raw: None };
        Restore(Doing::new(bed, action, at, gives))
    }

    /// Hands the checkpoint to the engine unseen, whatever is in it.
    pub fn unverified(mut self) -> Self {
        if let Action::Restore { verify, .. } = &mut self.0.step.action {
            *verify = false;
        }
        self
    }

    /// What it is called.
    pub fn named(mut self, name: &str) -> Self {
        let name = self.0.bed.0.names.take(name);
        if let Action::Restore { instance, .. } = &mut self.0.step.action {
            instance.clone_from(&name);
        }
        self.0.gives = Instance::new(&self.0.bed, &name);
        self
    }
}

/// A client about to be started: 1,000 operations a second, unless it is said otherwise.
#[must_use = "a step is done when it is awaited"]
pub struct StartClient(Doing<ClientHandle>);

step!(StartClient => ClientHandle);

impl StartClient {
    pub(super) fn new(bed: &TestBed, kind: ClientKind, target: &str, at: Origin) -> StartClient {
        let name = bed.0.names.take(kind.name());
        let gives = ClientHandle::new(bed, &name);
        let client = Client { kind, target: target.to_owned(), rate: 1000.0, op_timeout: None };
        let more = More { clients: vec![(name.clone(), client)], ..More::default() };
        StartClient(Doing { more, ..Doing::new(bed, Action::StartClient { client: name }, at, gives) })
    }

    fn set(mut self, set: impl FnOnce(&mut Client)) -> Self {
        if let Some((_, client)) = self.0.more.clients.first_mut() {
            set(client);
        }
        self
    }

    /// Operations a second, on a fixed schedule.
    pub fn rate(self, per_second: f64) -> Self {
        self.set(|client| client.rate = per_second)
    }

    /// How long an operation may go unanswered before the client reconnects; by default as long as its connection lives.
    pub fn op_timeout(self, limit: Duration) -> Self {
        self.set(|client| client.op_timeout = Some(limit))
    }
}

/// Checks about to be judged.
#[must_use = "a check is judged when it is awaited"]
pub struct Check {
    bed: TestBed,
    specs: Vec<CheckSpec>,
    at: Origin,
    violation: Option<String>,
}

impl Check {
    pub(super) fn new(bed: &TestBed, specs: Vec<CheckSpec>, at: Origin) -> Check {
        Check { bed: bed.clone(), specs, at, violation: None }
    }

    /// What is asked must *not* hold, and what is seen must match this regular expression: pins what the stack does wrong.
    pub fn violated(mut self, pattern: &str) -> Self {
        self.violation = Some(pattern.to_owned());
        self
    }

    async fn judged(self) -> Result<Vec<CheckRecord>, Failed> {
        let Check { bed, specs, at, violation } = self;
        let check = |spec| crate::record::Check { origin: at.clone(), spec, violation: violation.clone() };
        let checks = specs.into_iter().map(check).collect();
        let judged = bed.ask(|reply| Ask::Check(checks, reply)).await?;
        let records = judged.map_err(|stop| bed.failed(stop, &at))?;
        let red: Vec<CheckRecord> = records.iter().filter(|r| !r.verdict.passed).cloned().collect();
        if red.is_empty() { Ok(records) } else { Err(Failed::checks(red, &at, bed.dir())) }
    }
}

/// Gives the verdicts, with what each check saw, if all hold.
impl IntoFuture for Check {
    type Output = Result<Vec<CheckRecord>, Failed>;
    type IntoFuture = Work<Vec<CheckRecord>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.judged())
    }
}
