//! What stands first in a bundle of one case.

use super::Style;
use super::terminal;
use super::text;
use super::view::RunView;
use crate::record::Run;

/// `README.md` of a bundle: what it is, how the case ended, how to do it again, and on what it ran.
pub fn bundle_readme(run: &Run) -> String {
    let view = RunView::of(run);
    let name = view.cases.first().map_or("no case", |c| c.id.as_str());
    let mut out = format!("# {name}\n\nOne case of run {}, by podferry {}.\n\n", view.id, view.podferry);
    let said = terminal::summary(run, ".", Style::PLAIN);
    // That it can be bundled is no news here.
    let told = |line: &&str| !line.starts_with("Next: ") && !line.starts_with("  bundle ");
    let said: Vec<&str> = said.lines().filter(told).collect();
    out += &format!("{}\n", super::markdown::fence(said.join("\n").trim_end()));
    out += "| file | |\n|---|---|\n";
    for (file, what) in [
        ("report.html", "the report of this case; it works from a disk"),
        ("cases/", "operations of the clients, logs of CRIU, the runtime and the engine"),
        ("scenarios/", "the scenario as it was, if the run kept it"),
        ("events.jsonl", "all that was recorded; everything else is made from it"),
        ("run.json, summary.md", "the same for programs, and for people who read Markdown"),
        ("traces.otlp.jsonl", "the timeline as traces of OpenTelemetry"),
    ] {
        out += &format!("| `{file}` | {what} |\n");
    }
    out +=
        "\nIn this folder, without root: `podferry recheck .` judges it again, `podferry report .` renders it again.\n";
    for case in &view.cases {
        out += &format!("To run it again:\n{}", super::markdown::fence(&case.rerun));
    }
    let host = &view.host;
    out += &format!(
        "\n## What it ran on\n\n{}, Linux {}, {} x {}, {} MiB, cgroup {}; node image {}\n\n",
        host.os, host.kernel, host.cpus, host.cpu_model, host.memory_mib, host.cgroup, view.image
    );
    out += "| node | component | version | from | sha256 |\n|---|---|---|---|---|\n";
    for node in &view.nodes {
        for c in &node.components {
            let cells = [&node.name, &c.name, &c.version, &c.source, &c.digest]
                .map(|t| super::markdown::escape(&text::line(t)));
            out += &format!("| {} |\n", cells.join(" | "));
        }
    }
    out
}
