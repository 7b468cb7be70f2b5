//! What a person reads: a line for each case as it ends, and a summary at the end. Both read well without colour.

use super::Style;
use super::text::{self, thousands};
use super::view::{
    CaseView, ImagesView, KnownView, MetricView, Problem, ProblemKind, RunView, Status, bundle_command,
    migration_timeline, state_sentence,
};
use crate::record::{At, CaseRecord, Metric, Millis, Run};

/// One line for a case that ended:
/// `PASS   1.2 s  redis-migrates[engine=runc,data=64Mi]  downtime 141 ms, 1,200 writes acknowledged, none lost`.
/// What it says of writes needs the case's histories; without them the check's own words stand there.
pub fn case_line(case: &CaseRecord, style: Style) -> String {
    let view = CaseView::of(case, At(0));
    let first = view.headline.lines().next().unwrap_or_default();
    format!("{}  {:>8}  {}  {first}", mark(view.status, style), time(view.ms), style.bold(&view.id))
        .trim_end()
        .to_owned()
}

/// The summary of a run: the verdict, then each case that needs a look with all that helps to understand it, then the
/// table of cases, the counts, and what to look at next. `folder` is the run's folder as the user would name it.
pub fn summary(run: &Run, folder: &str, style: Style) -> String {
    let view = RunView::of(run);
    let mut out = vec![verdict(&view, style)];
    out.extend(view.seed.map(|seed| format!("{}  drawn, again with --seed {seed}", style.dim("order of cases"))));
    out.extend(view.differences.iter().map(|d| format!("{}  {d}", style.dim("nodes differ"))));
    for failure in &view.errors {
        out.push(String::new());
        out.push(format!("{}  outside any case", mark(Status::Errored, style)));
        out.extend(field(style, "error", &format!("{}: {}", failure.class, failure.message)));
        out.extend(failure.log.iter().map(|l| format!("{:12}  {l}", "")));
        out.extend(failure.hint.iter().flat_map(|h| field(style, "hint", h)));
    }
    for case in view.troubled().into_iter().filter(|c| c.status != Status::NotRun) {
        out.push(String::new());
        out.extend(trouble(case, run, folder, style));
    }
    let outside: Vec<_> = view.leaks.iter().filter(|l| !view.cases.iter().any(|c| c.leaks.contains(l))).collect();
    if !outside.is_empty() {
        out.push(String::new());
        out.push(format!("{}  outside any case", mark(Status::Leaked, style)));
        out.extend(outside.iter().flat_map(|l| field(style, &l.kind, &format!("{}: {}", l.name, l.reason))));
    }
    if !view.cases.is_empty() {
        out.push(String::new());
        out.extend(table(&view, style));
    }
    out.extend(view.images.iter().flat_map(|images| between_images(images, style)));
    out.push(String::new());
    out.push(counts(&view));
    out.extend(reasons(&view, style));
    out.push(String::new());
    out.push(format!("{} {folder}/report.html", style.bold("Next: open")));
    if let Some(case) = view.troubled().into_iter().find(|c| c.bundle.is_some()) {
        let command = bundle_command(run, folder, &case.id);
        out.push(format!("{} {command}", style.bold("Next:")));
    }
    out.push(String::new());
    out.join("\n")
}

fn verdict(view: &RunView, style: Style) -> String {
    let word = style.status(view.verdict.word.status(), view.verdict.word.name().to_uppercase());
    let time = view.ms.map(|ms| format!(", in {}", Millis(ms))).unwrap_or_default();
    format!("{word}  {}{time}", view.verdict.sentence)
}

pub(super) fn mark(status: Status, style: Style) -> String {
    style.status(status, format!("{:<5}", status.mark()))
}

fn time(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| Millis(ms).to_string())
}

/// A name and its text, further lines of the text below its first.
pub(super) fn field(style: Style, name: &str, text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let first = format!("  {}  {}", style.dim(format!("{name:<10}")), lines.next().unwrap_or_default());
    std::iter::once(first).chain(lines.map(|l| format!("{:14}{l}", ""))).collect()
}

fn trouble(case: &CaseView, run: &Run, folder: &str, style: Style) -> Vec<String> {
    let mut out = vec![format!("{}  {}  {}", mark(case.status, style), style.bold(&case.id), time(case.ms))];
    for problem in case.problems.iter().filter(|p| !p.consequence) {
        out.extend(tell(problem, style));
    }
    out.extend(case.nodes.iter().flat_map(|n| field(style, "nodes", &n.brief())));
    out.extend(state_sentence(case).iter().flat_map(|s| field(style, "state", s)));
    out.extend(case.faults.iter().flat_map(|f| field(style, "fault", &f.sentence())));
    out.extend(migration_timeline(case).iter().flat_map(|t| field(style, "timeline", t)));
    out.extend(case.outages().iter().flat_map(|o| field(style, "outage", o)));
    out.extend(case.past.iter().flat_map(|p| field(style, "history", &p.lines().join("\n"))));
    if let Some(at) = evidence_folder(&case.files) {
        out.extend(field(style, "evidence", &format!("{folder}/{at}")));
    }
    let named = case.bundle.as_ref().map(|_| bundle_command(run, folder, &case.id));
    out.extend(named.iter().flat_map(|b| field(style, "bundle", b)));
    out.extend(field(style, "rerun", &case.rerun));
    out
}

fn tell(problem: &Problem, style: Style) -> Vec<String> {
    let mut out = field(style, "at", &format!("{}  {}", problem.origin, problem.subject));
    out.extend(problem.used_at.iter().flat_map(|used| field(style, "used at", &used.to_string())));
    out.extend(
        problem.source.iter().map(|s| format!("{:14}{}", "", style.dim(format!("{:>4} | {s}", problem.origin.line)))),
    );
    let name = if problem.kind == ProblemKind::Check { "saw" } else { "error" };
    let class = problem.class.map(|c| format!("{c}: ")).unwrap_or_default();
    out.extend(field(style, name, &format!("{class}{}", problem.message)));
    out.extend(problem.wanted.iter().flat_map(|w| field(style, "wanted", w)));
    out.extend(problem.log.iter().map(|l| format!("{:14}  {l}", "")));
    out.extend(problem.at_work.iter().flat_map(|f| field(style, "while", f)));
    out.extend(problem.hint.iter().flat_map(|h| field(style, "hint", h)));
    out.extend(problem.so.iter().flat_map(|so| field(style, "and so", so)));
    out
}

/// The folder that holds all of a case's files.
pub(super) fn evidence_folder(files: &[String]) -> Option<String> {
    let mut parts: Vec<&str> = files.first()?.split('/').collect();
    parts.pop();
    for file in files {
        let same = parts.iter().zip(file.split('/')).take_while(|(a, b)| **a == *b).count();
        parts.truncate(same);
    }
    Some(parts.join("/"))
}

/// What a case lost, for a narrow column: `0 of 1,200`.
pub(super) fn loss(case: &CaseView) -> String {
    let writes: Vec<_> = case.clients.iter().filter_map(|c| c.writes.as_ref()).collect();
    if writes.is_empty() {
        return "-".to_owned();
    }
    let acknowledged: u64 = writes.iter().map(|w| w.acknowledged).sum();
    let lost: Option<u64> = writes.iter().map(|w| w.lost).sum();
    format!("{} of {}", lost.map_or("?".to_owned(), thousands), thousands(acknowledged))
}

/// The downtime, for a narrow column.
pub(super) fn downtime(case: &CaseView) -> String {
    case.metric(Metric::Downtime).map_or_else(|| "-".to_owned(), MetricView::shown)
}

fn table(view: &RunView, style: Style) -> Vec<String> {
    let width = view.cases.iter().map(|c| c.id.chars().count()).max().unwrap_or(4).clamp(4, 72);
    let head = format!("       {:<width$}  {:>8}  {:>8}  {:>15}", "case", "time", "downtime", "lost");
    let mut rows = vec![style.dim(head)];
    for case in &view.cases {
        let figures = format!("{:>8}  {:>8}  {:>15}", time(case.ms), downtime(case), loss(case));
        rows.push(format!("{}  {:<width$}  {figures}", mark(case.status, style), case.id));
    }
    rows
}

/// What changed from image to image: the versions, and the cases that ended otherwise.
fn between_images(images: &ImagesView, style: Style) -> Vec<String> {
    let mut out = vec![String::new(), style.bold(format!("Node images {}", images.names.join(", ")))];
    for (what, all) in [("version", &images.versions), ("case", &images.changes)] {
        for thing in all {
            out.extend(field(style, what, &thing.name));
            out.extend(images.names.iter().zip(&thing.on).map(|(name, on)| format!("{:14}{name}: {on}", "")));
        }
    }
    out.push(format!("  {} ended alike on all", text::count(images.alike, "case")));
    out
}

fn counts(view: &RunView) -> String {
    let below = view.counts.skipped + view.counts.not_run + view.counts.known > 0;
    format!("{}{}", view.counts.sentence(), if below { " (reasons below)" } else { "" })
}

/// Why cases were skipped, never ran, or are known to fail: each reason once, with the cases it holds for.
fn reasons(view: &RunView, style: Style) -> Vec<String> {
    let mut told: Vec<(String, Vec<&str>)> = Vec::new();
    for case in view.cases.iter().filter(|c| matches!(c.status, Status::Skipped | Status::NotRun | Status::Known)) {
        // Of a known failure the issue: what was seen differs from case to case.
        let issues: Vec<String> = case.known.iter().map(KnownView::sentence).collect();
        let why = if case.status == Status::Known { issues.join("; ") } else { case.headline.clone() };
        let reason = format!("{}: {why}", case.status.name());
        match told.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, cases)) => cases.push(&case.id),
            None => told.push((reason, vec![&case.id])),
        }
    }
    let tell = |(reason, cases): (String, Vec<&str>)| {
        std::iter::once(format!("  {reason}"))
            .chain(cases.into_iter().map(|c| format!("    {}", style.dim(c))))
            .collect::<Vec<_>>()
    };
    told.into_iter().flat_map(tell).collect()
}
