use super::terminal::{downtime, loss};
use super::text;
use super::view::{CaseView, ImagesView, Problem, ProblemKind, RunView, Status, migration_timeline, state_sentence};
use crate::record::{Millis, Run};

/// The most bytes of [`markdown`]. GitHub drops a step summary above 1 MiB; other steps' parts need room too.
pub const SUMMARY_LIMIT: usize = 900 * 1024;

/// `summary.md`, for the step summary of a GitHub workflow: the verdict, what is the matter, the table of cases. At most
/// [`SUMMARY_LIMIT`] bytes; what does not fit is said to be left out.
pub fn markdown(run: &Run) -> String {
    within(run, SUMMARY_LIMIT)
}

fn within(run: &Run, limit: usize) -> String {
    let view = RunView::of(run);
    let mut page = Page { out: String::new(), limit: limit.saturating_sub(200), left_out: 0 };
    page.add(&head(&view));
    for failure in &view.errors {
        let log = fence(&failure.log.join("\n"));
        let hint = failure.hint.as_ref().map(|h| format!("\nhint: {}\n", escape(h))).unwrap_or_default();
        page.add(&format!(
            "### Error outside any case\n\n**{}**: {}\n{log}{hint}\n",
            failure.class,
            escape(&failure.message)
        ));
    }
    for case in view.troubled().into_iter().filter(|c| c.status != Status::NotRun) {
        page.add(&trouble(case));
    }
    for leak in &view.leaks {
        page.add(&format!("- left behind: {} {}: {}\n", code(&leak.kind), code(&leak.name), escape(&leak.reason)));
    }
    if !view.cases.is_empty() {
        page.add("\n| | case | time | downtime | lost | |\n|---|---|---:|---:|---:|---|\n");
        for case in &view.cases {
            page.add(&row(case));
        }
    }
    page.add(&view.images.as_ref().map(between_images).unwrap_or_default());
    page.add(&foot(&view));
    page.end()
}

/// Text that grows to a limit and no further. A part is there whole or not at all.
struct Page {
    out: String,
    limit: usize,
    left_out: usize,
}

impl Page {
    fn add(&mut self, part: &str) {
        if self.out.len() + part.len() <= self.limit { self.out.push_str(part) } else { self.left_out += 1 }
    }

    fn end(mut self) -> String {
        if self.left_out > 0 {
            self.out.push_str(&format!("\n{} parts left out: they do not fit here. See report.html.\n", self.left_out));
        }
        self.out
    }
}

fn head(view: &RunView) -> String {
    let word = view.verdict.word.name();
    let time = view.ms.map(|ms| format!(" in {}", Millis(ms))).unwrap_or_default();
    let counts = if view.cases.is_empty() { String::new() } else { format!("{}{time}.\n\n", view.counts.sentence()) };
    format!("## podferry: {word}\n\n{}.\n\n{counts}", capital(&escape(&view.verdict.sentence)))
}

fn trouble(case: &CaseView) -> String {
    let time = case.ms.map(|ms| format!(", {}", Millis(ms))).unwrap_or_default();
    let mut out = format!("### {} {}{time}\n\n{}\n\n", case.status.mark(), code(&case.id), escape(&case.title));
    for problem in case.problems.iter().filter(|p| !p.consequence) {
        out.push_str(&tell(problem));
    }
    out.extend(case.nodes.iter().map(|n| format!("Nodes: {}\n\n", escape(&n.brief()))));
    if let Some(sentence) = state_sentence(case) {
        out.push_str(&format!("State: {}\n\n", escape(&sentence)));
    }
    for line in migration_timeline(case) {
        out.push_str(&format!("Timeline: {}\n\n", escape(&line)));
    }
    out.extend(case.outages().iter().map(|o| format!("Outage: {}\n\n", escape(o))));
    out.extend(case.past.iter().map(|p| format!("History: {}\n\n", escape(&p.lines().join("\n")))));
    out.push_str(&format!("Rerun:\n{}\n", fence(&case.rerun)));
    out
}

fn tell(p: &Problem) -> String {
    let class = p.class.map(|c| format!("**{c}**: ")).unwrap_or_default();
    let saw = if p.kind == ProblemKind::Check { "saw: " } else { "" };
    let used = p.used_at.iter().map(|used| format!(", used at {}", code(&used.to_string()))).collect::<String>();
    let (at, subject) = (code(&p.origin.to_string()), escape(&p.subject));
    let mut out = format!("{at}{used}, {subject}\n\n{saw}{class}{}\n\n", escape(&p.message));
    out.extend(p.source.iter().map(|s| fence(&format!("{:>4} | {s}", p.origin.line)) + "\n"));
    out.extend(p.wanted.iter().map(|w| format!("wanted: {}\n\n", escape(w))));
    if !p.log.is_empty() {
        out.push_str(&format!("{}\n", fence(&p.log.join("\n"))));
    }
    out.extend(p.at_work.iter().map(|f| format!("while {}\n\n", escape(f))));
    out.extend(p.hint.iter().map(|h| format!("hint: {}\n\n", escape(h))));
    out.extend(p.so.iter().map(|so| format!("and so {}\n\n", escape(so))));
    out
}

fn row(case: &CaseView) -> String {
    let time = case.ms.map_or_else(|| "-".to_owned(), |ms| Millis(ms).to_string());
    let said: String = case.headline.lines().next().unwrap_or_default().chars().take(300).collect();
    let what = format!("{} | {} | {time} | {} | {}", case.status.mark(), code(&case.id), downtime(case), loss(case));
    format!("| {what} | {} |\n", escape(&said))
}

/// What changed from image to image: the versions, and the cases that ended otherwise.
fn between_images(images: &ImagesView) -> String {
    let row = |first: &str, rest: Vec<String>| format!("| {first} | {} |\n", rest.join(" | "));
    let mut out =
        format!("\n### Node images {}\n\n", images.names.iter().map(|n| code(n)).collect::<Vec<_>>().join(", "));
    out += &row("", images.names.iter().map(|n| escape(n)).collect());
    out += &row("---", images.names.iter().map(|_| "---".to_owned()).collect());
    for thing in images.versions.iter().chain(&images.changes) {
        out += &row(
            &code(&thing.name),
            thing.on.iter().map(|on| escape(&on.chars().take(300).collect::<String>())).collect(),
        );
    }
    out += &format!("\n{} ended alike on all.\n", text::count(images.alike, "case"));
    out
}

fn foot(view: &RunView) -> String {
    let mut out = format!(
        "\n<details><summary>Run {}</summary>\n\npodferry {}, started {}, Linux {}, {} CPUs, node image {}\n\n",
        escape(&view.id),
        escape(&view.podferry),
        escape(&view.started),
        escape(&view.host.kernel),
        view.host.cpus,
        code(&view.image)
    );
    for node in &view.nodes {
        let parts: Vec<String> = node.components.iter().map(|c| escape(&format!("{} {}", c.name, c.version))).collect();
        let image = node.image.as_ref().map(|image| format!(" of {}", code(image))).unwrap_or_default();
        out.push_str(&format!("- node {}{image}: {}\n", code(&node.name), parts.join(", ")));
    }
    out.extend(
        view.seed.map(|seed| {
            format!("- the order of the cases was drawn; again with {}\n", code(&format!("--seed {seed}")))
        }),
    );
    out.push_str("\n</details>\n");
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Text that Markdown and HTML leave alone, on one line (a table row must not end).
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' => out.push_str("<br>"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // A mention must not call a person.
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out
}

/// Inline code. Backticks cannot be escaped in it, so they are replaced; nor can a table's bar.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'").replace('|', "\u{2502}").replace('\n', " "))
}

/// A block of code, fenced by more backticks than the text has.
pub(super) fn fence(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}text\n{text}\n{ticks}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fence_outlasts_the_text() {
        assert_eq!(fence("a ```` b"), "`````text\na ```` b\n`````\n");
    }

    proptest! {
        #[test]
        fn a_page_never_grows_past_its_limit(parts in prop::collection::vec(".{0,200}", 0..50), limit in 0usize..2000) {
            let mut page = Page { out: String::new(), limit, left_out: 0 };
            for part in &parts {
                page.add(part);
            }
            let (kept, left_out) = (page.out.len(), page.left_out);
            prop_assert!(kept <= limit);
            prop_assert_eq!(page.end().contains("left out: they do not fit"), left_out > 0);
        }
    }
}
