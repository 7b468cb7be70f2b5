//! The commands that look at scenarios and run none: `lint`, `plan`, `list`, `schema`, `new`, `explain`. Each gives the
//! text to print and the exit code; only reading the files is done here.

use crate::scenario::{
    CODES, Diagnostic, FileLookup, Plan, Scenario, Selection, WHERE, WorkloadKind, classes, load_all, plan as make_plan,
};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

mod listing;
mod sarif;

pub use listing::{About, PlanFormat, list, plan};

pub(super) use listing::beyond;

/// Exit codes of the commands here.
mod exit {
    pub(super) const PASSED: u8 = 0;
    pub(super) const USAGE: u8 = 2;
    pub(super) const INVALID: u8 = 3;
    pub(super) const NOTHING: u8 = 4;
}

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, with the line itself.
    #[default]
    Human,
    /// A line a finding, `file:line:column: ...`, as editors read it.
    Short,
    /// One JSON document.
    Json,
    /// Annotations of GitHub Actions.
    Github,
    /// SARIF 2.1.0, as code hosts and editors read it.
    Sarif,
}

/// Text to print, and the exit code.
pub type Printed = (String, u8);

/// A file that was read, or why it was not.
#[derive(Clone)]
struct Source {
    file: String,
    text: Result<String, String>,
}

/// The scenario files that paths stand for: a folder stands for all `*.yaml` and `*.yml` in it and below, in order.
fn files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() { walk(path, 0, &mut all) } else { all.push(path.clone()) }
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|p| seen.insert(p.clone()));
    all
}

/// Folders nested deeper than this are not scenarios but a loop of links.
const DEEPEST: usize = 16;

fn walk(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        // Told of as a file that cannot be read.
        all.push(folder.to_owned());
        return;
    };
    let mut entries: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, all);
            }
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            all.push(path);
        }
    }
}

/// No paths: the shipped suite.
fn sources(paths: &[PathBuf]) -> Vec<Source> {
    if paths.is_empty() {
        let shipped = |(file, text): (&str, &str)| Source { file: file.to_owned(), text: Ok(text.to_owned()) };
        return super::shipped::SUITE.iter().copied().map(shipped).collect();
    }
    let read = |path: PathBuf| Source {
        file: path.display().to_string(),
        text: std::fs::read_to_string(&path).map_err(|e| e.to_string()),
    };
    files(paths).into_iter().map(read).collect()
}

/// Scenarios that were read, and what was found in all files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The sound ones.
    pub scenarios: Vec<Scenario>,
    /// All findings with the text of their file.
    pub findings: Vec<(Diagnostic, String)>,
    /// Files that cannot be read, with the reason.
    pub unreadable: Vec<String>,
    /// Number of files.
    pub files: usize,
}

impl Loaded {
    /// Whether anything keeps the scenarios from being run: the exit code, if so.
    pub fn refused(&self) -> Option<u8> {
        let errors = self.findings.iter().any(|(d, _)| d.is_error());
        if !self.unreadable.is_empty() {
            Some(exit::USAGE)
        } else if errors {
            Some(exit::INVALID)
        } else {
            (self.files == 0).then_some(exit::NOTHING)
        }
    }

    /// The findings, shown.
    pub fn show(&self, format: Format) -> String {
        if format == Format::Json {
            let all: Vec<&Diagnostic> = self.findings.iter().map(|(d, _)| d).collect();
            let value = serde_json::json!({"diagnostics": all, "unreadable": self.unreadable, "files": self.files});
            return format!("{value:#}\n");
        }
        if format == Format::Sarif {
            return sarif::sarif(self);
        }
        let mut out = String::new();
        for message in &self.unreadable {
            let _ = writeln!(out, "error: {message}");
        }
        for (d, text) in &self.findings {
            match format {
                Format::Human => out.push_str(&d.render(text)),
                Format::Github => out.push_str(&annotation(d)),
                Format::Short | Format::Json | Format::Sarif => {
                    let _ = writeln!(out, "{d}");
                }
            }
        }
        out
    }
}

/// `::error file=...,line=...,col=...,title=...::message`, escaped as the runner wants it.
fn annotation(d: &Diagnostic) -> String {
    let level = if d.is_error() { "error" } else { "warning" };
    let data = |s: &str| s.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |s: &str| data(s).replace(':', "%3A").replace(',', "%2C");
    let help = d.help.as_ref().map_or(String::new(), |h| format!(" ({h})"));
    let (file, line, column) = (property(&d.file), d.place.line, d.place.column);
    format!(
        "::{level} file={file},line={line},col={column},title={}::{}\n",
        d.code,
        data(&format!("{}{help}", d.message))
    )
}

/// The files that a plan's cases come from, with their text; no paths: of the shipped suite.
pub(super) fn texts(paths: &[PathBuf], plan: &Plan) -> Vec<(String, String)> {
    let used: std::collections::BTreeSet<&str> = plan.cases.iter().map(|c| c.origin.file.as_str()).collect();
    let read = |s: Source| Some((s.file, s.text.ok()?));
    sources(paths).into_iter().filter(|s| used.contains(s.file.as_str())).filter_map(read).collect()
}

/// Whether a file that a scenario names is there; if not, where it was looked for.
fn is_there(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => Ok(()),
        _ => Err(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()),
    }
}

/// Reads scenarios from files and folders; the files that they name must be there.
pub fn read(paths: &[PathBuf], workloads: &[WorkloadKind]) -> Loaded {
    read_with(paths, workloads, &is_there)
}

fn read_with(paths: &[PathBuf], workloads: &[WorkloadKind], is_there: FileLookup<'_>) -> Loaded {
    let mut loaded = Loaded::default();
    let mut texts = Vec::new();
    for Source { file, text } in sources(paths) {
        loaded.files += 1;
        match text {
            Ok(text) => texts.push((file, text)),
            Err(why) => loaded.unreadable.push(format!("cannot read `{file}`: {why}")),
        }
    }
    for ((_, text), (scenario, found)) in texts.iter().zip(load_all(&texts, workloads, is_there)) {
        loaded.scenarios.extend(scenario);
        loaded.findings.extend(found.into_iter().map(|d| (d, text.clone())));
    }
    // Names must differ over all files.
    if let Err(found) = make_plan(&loaded.scenarios, &Selection::default()) {
        loaded.findings.extend(found.into_iter().map(|d| {
            let text = std::fs::read_to_string(&d.file).unwrap_or_default();
            (d, text)
        }));
    }
    loaded
}

/// `podferry lint`: all that is wrong with the files.
pub fn lint(paths: &[PathBuf], workloads: &[WorkloadKind], format: Format) -> Printed {
    let loaded = read(paths, workloads);
    let mut out = loaded.show(format);
    if format == Format::Human {
        let errors = loaded.findings.iter().filter(|(d, _)| d.is_error()).count();
        let (errors, warnings) = (counted(errors, "error"), counted(loaded.findings.len() - errors, "warning"));
        let (all, unread) = (loaded.files, loaded.unreadable.len());
        let _ = match (unread, all - unread) {
            (0, _) => writeln!(out, "{}, {errors}, {warnings}", counted(all, "file")),
            (_, 0) => writeln!(out, "{} could not be read, and nothing was checked", counted(all, "file")),
            (_, read) => {
                let read = counted(read, "file");
                writeln!(
                    out,
                    "{} could not be read; in the other {read}: {errors}, {warnings}",
                    counted(unread, "file")
                )
            }
        };
        if let Some((d, _)) = loaded.findings.first() {
            let _ = writeln!(out, "`podferry explain {}` tells more about a code", d.code);
        }
    }
    (out, loaded.refused().unwrap_or(exit::PASSED))
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The plan of the files, or what to print in its place.
pub fn planned(paths: &[PathBuf], workloads: &[WorkloadKind], selection: &Selection) -> Result<Plan, Printed> {
    plan_of(read(paths, workloads), selection)
}

/// [`planned`], for what runs none of it: the files that the scenarios name may be elsewhere.
pub(super) fn planned_only(
    paths: &[PathBuf],
    workloads: &[WorkloadKind],
    selection: &Selection,
) -> Result<Plan, Printed> {
    plan_of(read_with(paths, workloads, &|_| Ok(())), selection)
}

fn plan_of(loaded: Loaded, selection: &Selection) -> Result<Plan, Printed> {
    if let Some(code) = loaded.refused() {
        return Err((loaded.show(Format::Human), code));
    }
    if let Some(told) = unknown_params(&loaded.scenarios, &selection.params) {
        return Err((told, exit::USAGE));
    }
    let plan = make_plan(&loaded.scenarios, selection).map_err(|found| {
        let show = |d: &Diagnostic| match &selection.condition {
            Some(text) if d.file == WHERE => d.render(text),
            _ => d.render(&std::fs::read_to_string(&d.file).unwrap_or_default()),
        };
        let of_where = found.iter().all(|d| d.file == WHERE);
        (found.iter().map(show).collect::<String>(), if of_where { exit::USAGE } else { exit::INVALID })
    })?;
    if plan.cases.is_empty() {
        return Err((nothing(&loaded.scenarios, selection), exit::NOTHING));
    }
    Ok(plan)
}

/// A value for what no scenario has would be given to nothing, and nobody would be told.
fn unknown_params(scenarios: &[Scenario], params: &[(String, String)]) -> Option<String> {
    let parameters = || scenarios.iter().flat_map(Scenario::parameters);
    let names: Vec<&str> = scenarios.iter().flat_map(Scenario::axes).chain(parameters().map(|(n, ..)| n)).collect();
    let (name, _) = params.iter().find(|(name, _)| !names.contains(&name.as_str()))?;
    let mut told = format!("error: no scenario has an axis or a parameter `{name}`\n");
    if let Some(near) = nearest(name, &names) {
        told += &format!("hint: did you mean `{near}`?\n");
    }
    for (name, default, about) in parameters().take(SHOWN) {
        let about = about.map(|about| format!(": {about}")).unwrap_or_default();
        told += &format!("parameter {name}={default}{about}\n");
    }
    Some(told)
}

fn nothing(scenarios: &[Scenario], selection: &Selection) -> String {
    let names: Vec<&str> = scenarios.iter().map(Scenario::name).collect();
    let engines: Vec<&str> = selection.engines.iter().map(|e| e.name()).collect();
    let asked = match selection.filters.as_slice() {
        [] if selection.condition.is_some() => format!("`{}`", selection.condition.clone().unwrap_or_default()),
        [] => "the selection".to_owned(),
        filters => format!("`{}`", filters.join(" ")),
    };
    let there = match names.len() {
        ..=SHOWN => format!("scenarios: {}", names.join(", ")),
        many => format!("there are {many} scenarios: `podferry list --tier all` shows their cases"),
    };
    let mut told = format!("nothing selected: no case matches {asked} with engines {}\n{there}\n", engines.join(", "));
    for word in &selection.filters {
        if let Some(name) = nearest(word, &names) {
            told += &format!("hint: did you mean `{name}`?\n");
        }
    }
    let meant = selection.filters.first().and_then(|word| command_like(word));
    told.extend(meant.map(|name| format!("if a command was meant: `podferry {name}`\n")));
    told
}

/// So many names are read; of more, who asked is told how to see them.
const SHOWN: usize = 12;

/// The name that a word was probably meant for.
fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let alike = names.iter().map(|name| (strsim::jaro_winkler(word, name), *name));
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > 0.85).map(|(_, name)| name)
}

/// The command that a word looks like. Words that are no command are taken for filters, so a slip of the finger ends here.
fn command_like(word: &str) -> Option<String> {
    use clap::CommandFactory;
    let command = super::args::Args::command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    names
        .filter(|n| strsim::osa_distance(word, n) <= n.len() / 4 + 1)
        .min_by_key(|n| strsim::osa_distance(word, n))
        .map(str::to_owned)
}

/// What a schema is asked of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaOf {
    /// Scenario files.
    #[default]
    Scenario,
    /// The file run.json of a run.
    Run,
}

/// `podferry schema`: the JSON schema of the language, or of a run's `run.json`.
pub fn schema(of: SchemaOf) -> Printed {
    let text = match of {
        SchemaOf::Scenario => crate::scenario::schema(),
        SchemaOf::Run => crate::report::json_schema(),
    };
    (text, exit::PASSED)
}

/// `podferry new`: a scenario to start from.
pub fn new() -> Printed {
    (crate::scenario::new_template().to_owned(), exit::PASSED)
}

/// `podferry explain CODE`; without a code, the list of all.
pub fn explain(code: Option<&str>) -> Printed {
    let Some(code) = code else {
        let codes: String = CODES.iter().map(|c| format!("{}  {}\n", c.code, c.title)).collect();
        let classes: String = classes().map(|(name, title)| format!("{name:<21}  {title}\n")).collect();
        let all = format!(
            "Codes of diagnostics, which `podferry lint` tells:\n{codes}\nClasses of errors, which steps end with:\n{classes}"
        );
        return (all, exit::PASSED);
    };
    match crate::scenario::explain(code) {
        Some(text) => (format!("{code}: {text}\n"), exit::PASSED),
        None => (format!("no such code: `{code}`; `podferry explain` lists them all\n"), exit::USAGE),
    }
}

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
