use super::view::{CaseView, RunView, Status};
use crate::record::Run;

/// Annotations for GitHub Actions: a line `::error file=..,line=..::..` for each thing that is the matter, and a notice
/// for each skip and each failure that is known. Empty when nothing is. To be printed to stdout as it is.
///
/// The form is that of GitHub's documentation "Workflow commands for GitHub Actions": `%`, CR and LF are escaped in
/// messages, `:` and `,` in properties too.
pub fn annotations(run: &Run) -> String {
    let view = RunView::of(run);
    let mut out = String::new();
    for failure in &view.errors {
        out.push_str(&format!(
            "::error title=podferry::{}\n",
            message(&format!("{}: {}", failure.class, failure.message))
        ));
    }
    for case in view.troubled() {
        for problem in case.problems.iter().filter(|p| !p.consequence) {
            let mut text = problem.headline();
            text.extend(problem.used_at.iter().map(|used| format!("\nused at {used}")));
            text.extend(problem.wanted.iter().map(|w| format!("\nwanted: {w}")));
            text.extend(problem.log.iter().map(|l| format!("\n  {l}")));
            text.extend(problem.at_work.iter().map(|f| format!("\nwhile {f}")));
            text.extend(problem.hint.iter().map(|h| format!("\nhint: {h}")));
            text.extend(problem.so.iter().map(|so| format!("\nand so {so}")));
            text.push_str(&format!("\nrerun: {}", case.rerun));
            out.push_str(&annotation("error", &problem.origin, &title(case), &text));
        }
    }
    for case in view.cases.iter().filter(|c| matches!(c.status, Status::Skipped | Status::Known)) {
        // A known failure is told where the issue is named.
        let origin = case.known.first().map_or(&case.origin, |known| &known.origin);
        out.push_str(&annotation("notice", origin, &title(case), &case.headline));
    }
    for leak in view.leaks.iter().filter(|l| !view.cases.iter().any(|c| c.leaks.contains(l))) {
        let text = format!("{} {} was left behind: {}", leak.kind, leak.name, leak.reason);
        out.push_str(&format!("::error title=podferry leaked::{}\n", message(&text)));
    }
    out
}

fn title(case: &CaseView) -> String {
    format!("{} {}", case.status.name(), case.id)
}

fn annotation(level: &str, origin: &crate::record::Origin, title: &str, text: &str) -> String {
    let at = format!("file={},line={},col={}", property(&origin.file), origin.line, origin.column);
    format!("::{level} {at},title={}::{}\n", property(title), message(text))
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
