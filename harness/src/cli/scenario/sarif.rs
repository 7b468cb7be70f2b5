//! What the linter finds as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the code.

use super::Loaded;
use crate::scenario::{CODES, Diagnostic};
use serde_json::json;
use serde_sarif::sarif::{
    ArtifactLocation, Invocation, Location, Message, MultiformatMessageString, Notification, PhysicalLocation, Region,
    ReportingDescriptor, Result as Finding, ResultLevel, Run, Sarif, Tool, ToolComponent, Version,
};

/// One document with one run of the linter.
pub(super) fn sarif(loaded: &Loaded) -> String {
    let unread: Vec<Notification> = loaded.unreadable.iter().map(|why| notification(why)).collect();
    let ran =
        Invocation::builder().execution_successful(unread.is_empty()).tool_execution_notifications(unread).build();
    let linter =
        ToolComponent::builder().name("podferry lint").version(env!("CARGO_PKG_VERSION")).rules(rules(loaded)).build();
    let run = Run::builder()
        .tool(Tool::builder().driver(linter).build())
        .invocations(vec![ran])
        .results(loaded.findings.iter().map(|(d, _)| finding(d)).collect::<Vec<_>>())
        // Columns count what a reader of the line counts.
        .column_kind(json!("unicodeCodePoints"))
        .build();
    let log = Sarif::builder()
        .schema("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
        .version(json!(Version::V2_1_0))
        .runs(vec![run])
        .build();
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text.push('\n');
    text
}

/// What `podferry explain` tells of each code that was found.
fn rules(loaded: &Loaded) -> Vec<ReportingDescriptor> {
    let found = |code: &str| loaded.findings.iter().any(|(d, _)| d.code == code);
    let said = |text: &str| MultiformatMessageString::builder().text(text).build();
    CODES
        .iter()
        .filter(|c| found(c.code))
        .map(|c| {
            ReportingDescriptor::builder()
                .id(c.code)
                .short_description(said(c.title))
                .full_description(said(c.text))
                .build()
        })
        .collect()
}

fn finding(d: &Diagnostic) -> Finding {
    let help = d.help.as_ref().map_or(String::new(), |help| format!(" ({help})"));
    let level = if d.is_error() { ResultLevel::Error } else { ResultLevel::Warning };
    Finding::builder()
        .rule_id(d.code)
        .level(level)
        .message(Message::builder().text(format!("{}{help}", d.message)).build())
        .locations(vec![location(d)])
        .build()
}

fn location(d: &Diagnostic) -> Location {
    let region = Region::builder().start_line(i64::from(d.place.line)).start_column(i64::from(d.place.column)).build();
    let file = ArtifactLocation::builder().uri(&d.file).build();
    let at = PhysicalLocation::builder().artifact_location(file).region(region).build();
    Location::builder().physical_location(at).build()
}

fn notification(why: &str) -> Notification {
    Notification::builder().message(Message::builder().text(why).build()).level(json!("error")).build()
}
