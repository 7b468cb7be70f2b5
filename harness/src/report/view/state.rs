use super::ms;
use crate::record::{At, Capture, Evidence, InstanceRecord};
use crate::report::text;
use serde::Serialize;

/// One instance with its state at the end of the case.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct InstanceView {
    /// Its name in the scenario.
    pub name: String,
    /// `source` or `copy` of a migration, or nothing.
    pub role: &'static str,
    /// The workload.
    pub workload: String,
    /// The node.
    pub node: String,
    /// The engine's id.
    pub container_id: String,
    /// The checkpoint that it was restored from.
    pub restored_from: Option<String>,
    /// When it was started.
    pub from_ms: f64,
    /// When it ended, if it did.
    pub ended_ms: Option<f64>,
    /// Its state at the end: `running, answers (counter 41 -> 97)`, `frozen`, `gone`, `not looked at`.
    pub state: String,
}

pub(super) fn of(e: &Evidence, epoch: At) -> Vec<InstanceView> {
    e.instances
        .iter()
        .map(|i| InstanceView {
            name: text::line(&i.name),
            role: role(e, &i.name),
            workload: text::line(&i.workload),
            node: text::line(&i.node),
            container_id: text::line(&i.container_id),
            restored_from: i.restored_from.as_deref().map(text::line),
            from_ms: ms(epoch, i.started),
            ended_ms: i.ended.map(|t| ms(epoch, t)),
            state: at_end(e, i),
        })
        .collect()
}

fn role(e: &Evidence, name: &str) -> &'static str {
    if e.migrations.iter().any(|m| m.of == name) {
        "source"
    } else if e.migrations.iter().any(|m| m.into == name) {
        "copy"
    } else {
        ""
    }
}

/// The state by the runner's final capture, told by what is different from the one before it.
fn at_end(e: &Evidence, i: &InstanceRecord) -> String {
    let of_it: Vec<&Capture> = e.captures.iter().filter(|c| c.instance == i.name).collect();
    let last = of_it.iter().rev().find(|c| c.name.starts_with("final:"));
    let Some(last) = last else {
        return if i.ended.is_some() { "removed".to_owned() } else { "not looked at".to_owned() };
    };
    let Some(outside) = &last.outside else { return "gone".to_owned() };
    let frozen = outside.frozen == Some(true) && outside.engine_state != "frozen";
    let mut state = if frozen { "frozen".to_owned() } else { text::line(&outside.engine_state) };
    let Some(inside) = &last.inside else { return state };
    state.push_str(", answers");
    let before = of_it.iter().find(|c| c.at < last.at && c.inside.is_some()).and_then(|c| c.inside.as_ref());
    let mut details = Vec::new();
    if let (Some(was), Some(is)) = (before.and_then(|b| b.counter), inside.counter) {
        details.push(format!("counter {was} -> {is}"));
    }
    if let (Some(was), Some(is)) = (before.and_then(|b| b.nonce.as_ref()), &inside.nonce) {
        details.push(if was == is { "same process".to_owned() } else { "another process".to_owned() });
    }
    if !details.is_empty() {
        state.push_str(&format!(" ({})", details.join(", ")));
    }
    state
}

/// The state of everything in one line, and whether anything was lost: `source redis on a: frozen; copy redis-moved on
/// b: gone; 1,042 writes acknowledged, none lost`.
pub(in crate::report) fn sentence(case: &super::CaseView) -> Option<String> {
    let mut parts: Vec<String> = case
        .instances
        .iter()
        .map(|i| format!("{} on {}: {}", format!("{} {}", i.role, i.name).trim(), i.node, i.state))
        .collect();
    let never = case.migrations.iter().filter(|m| m.error.is_some() && case.instances.iter().all(|i| i.name != m.into));
    parts.extend(never.map(|m| format!("copy {} on {}: never came to be", m.into, m.to_node)));
    parts.extend(case.clients.iter().filter_map(|c| c.writes.as_ref()).map(|w| w.sentence()));
    (!parts.is_empty()).then(|| parts.join("; "))
}
