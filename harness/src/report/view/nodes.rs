//! Nodes side by side: what was not the same on them. Whoever reads of a restore that failed on one node asks that first.

use super::{Status, text};
use crate::record::{CaseRecord, ComponentRecord, MachineRecord, NodeRecord};
use serde::Serialize;
use std::collections::BTreeSet;

/// The nodes that a case ran on, side by side.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct NodesView {
    /// Whether they differ in anything that is known of them.
    pub differ: bool,
    /// In what, a line each; or one line that says that they do not.
    pub lines: Vec<String>,
    /// What is the same, without its list.
    #[serde(skip)]
    same: Option<String>,
}

impl NodesView {
    /// What a narrow page says: that nodes are the same without all that is.
    pub(in crate::report) fn brief(&self) -> String {
        self.same.clone().unwrap_or_else(|| self.lines.join("\n"))
    }
}

pub(super) fn node(n: &NodeRecord) -> NodeRecord {
    let component = |c: &ComponentRecord| ComponentRecord {
        name: text::line(&c.name),
        version: text::line(&c.version),
        source: text::line(&c.source),
        digest: text::line(&c.digest),
    };
    NodeRecord {
        name: text::line(&n.name),
        address: text::line(&n.address),
        up_ms: n.up_ms,
        components: n.components.iter().map(component).collect(),
        machine: MachineRecord {
            kernel: text::line(&n.machine.kernel),
            cpu_model: text::line(&n.machine.cpu_model),
            cpu_flags: n.machine.cpu_flags.iter().map(|f| text::line(f)).collect(),
        },
        image: n.image.as_deref().map(text::line),
    }
}

/// What differs between nodes, a line each: components by their digests, kernels, processors.
pub(super) fn differences(nodes: &[&NodeRecord]) -> Vec<String> {
    let names: BTreeSet<&str> = nodes.iter().flat_map(|n| &n.components).map(|c| c.name.as_str()).collect();
    let components = names.into_iter().filter_map(|name| {
        let found: Vec<_> = nodes.iter().map(|n| n.components.iter().find(|c| c.name == name)).collect();
        let same: BTreeSet<_> = found.iter().map(|c| c.map(|c| (&c.digest, &c.version))).collect();
        (same.len() > 1).then(|| told(name, nodes, &versions(&found)))
    });
    let machine = |what: &str, of: fn(&MachineRecord) -> &String| {
        let values: Vec<String> = nodes.iter().map(|n| of(&n.machine).clone()).collect();
        let same: BTreeSet<&String> = values.iter().collect();
        (same.len() > 1).then(|| told(what, nodes, &values))
    };
    let machines = [machine("kernel", |m| &m.kernel), machine("cpu", |m| &m.cpu_model), flags(nodes)];
    components.chain(machines.into_iter().flatten()).map(|line| text::line(&line)).collect()
}

fn told(what: &str, nodes: &[&NodeRecord], values: &[String]) -> String {
    let parts: Vec<String> = nodes.iter().zip(values).map(|(n, v)| format!("{v} on {}", n.name)).collect();
    format!("{what}: {}", parts.join(", "))
}

/// The versions; where two builds call themselves alike, with the begin of the digest.
fn versions(found: &[Option<&ComponentRecord>]) -> Vec<String> {
    let said: BTreeSet<Option<&str>> = found.iter().map(|c| c.map(|c| c.version.as_str())).collect();
    let unlike = said.len() == found.len();
    let digest = |c: &ComponentRecord| c.digest.trim_start_matches("sha256:").chars().take(8).collect::<String>();
    let one = |c: &ComponentRecord| if unlike { c.version.clone() } else { format!("{} ({})", c.version, digest(c)) };
    found.iter().map(|c| c.map_or_else(|| "absent".to_owned(), one)).collect()
}

/// Flags of the processors that not every node has.
fn flags(nodes: &[&NodeRecord]) -> Option<String> {
    let of = |n: &NodeRecord| n.machine.cpu_flags.iter().cloned().collect::<BTreeSet<String>>();
    let everywhere = nodes.iter().map(|n| of(n)).reduce(|a, b| &a & &b)?;
    let beyond: Vec<String> = nodes.iter().map(|n| Vec::from_iter(&of(n) - &everywhere).join(" ")).collect();
    let own: Vec<String> = nodes
        .iter()
        .zip(&beyond)
        .filter(|(_, b)| !b.is_empty())
        .map(|(n, b)| format!("only {} has {b}", n.name))
        .collect();
    (!own.is_empty()).then(|| format!("cpu flags: {}", own.join(", ")))
}

/// For a case that needs a look: how the nodes that it ran on differ, or that they do not.
pub(super) fn of_case(case: &CaseRecord, all: &[NodeRecord]) -> Option<NodesView> {
    if !Status::of(case).is_trouble() {
        return None;
    }
    let e = &case.evidence;
    let names: BTreeSet<&str> = (e.instances.iter().map(|i| i.node.as_str()))
        .chain(e.migrations.iter().map(|m| m.to_node.as_str()))
        .chain(e.transfers.iter().map(|t| t.to_node.as_str()))
        .chain(e.phases.iter().map(|p| p.node.as_str()))
        .collect();
    let nodes: Vec<&NodeRecord> = all
        .iter()
        .filter(|n| names.contains(n.name.as_str()) && n.image.as_deref() == super::images::of_case(case))
        .collect();
    let [first, _, ..] = nodes.as_slice() else { return None };
    let lines = differences(&nodes);
    if !lines.is_empty() {
        return Some(NodesView { differ: true, lines, same: None });
    }
    let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
    let parts: Vec<String> = first.components.iter().map(|c| format!("{} {}", c.name, c.version)).collect();
    let names = names.join(" and ");
    let whole = format!("{names} are the same in components ({}), kernel and CPU", parts.join(", "));
    let same = format!("{names} are the same in all {}, kernel and CPU", text::count(parts.len(), "component"));
    Some(NodesView { differ: false, lines: vec![text::line(&whole)], same: Some(text::line(&same)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, criu: (&str, &str), kernel: &str, flags: &[&str]) -> NodeRecord {
        let component = |name: &str, (version, digest): (&str, &str)| ComponentRecord {
            name: name.to_owned(),
            version: version.to_owned(),
            digest: digest.to_owned(),
            ..ComponentRecord::default()
        };
        NodeRecord {
            name: name.to_owned(),
            components: vec![component("criu", criu), component("runc", ("1.3.6", "sha256:77"))],
            machine: MachineRecord {
                kernel: kernel.to_owned(),
                cpu_model: "Xeon".to_owned(),
                cpu_flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            },
            ..NodeRecord::default()
        }
    }

    #[test]
    fn nodes_that_are_the_same_differ_in_nothing() {
        let (a, b) = (node("a", ("4.2", "x"), "6.18", &["sse"]), node("b", ("4.2", "x"), "6.18", &["sse"]));
        assert_eq!(differences(&[&a, &b]), Vec::<String>::new());
        assert_eq!(differences(&[&a]), Vec::<String>::new());
        assert_eq!(differences(&[]), Vec::<String>::new());
    }

    #[test]
    fn versions_builds_kernels_and_flags_that_differ_are_told() {
        let a = node("a", ("4.2", "sha256:aaaaaaaaaa"), "6.18", &["sse", "erms"]);
        let b = node("b", ("4.2", "sha256:bbbbbbbbbb"), "6.12", &["sse", "pku"]);
        let c = node("c", ("4.1", "sha256:cccccccccc"), "6.18", &["sse"]);
        let expected = [
            "criu: 4.2 (aaaaaaaa) on a, 4.2 (bbbbbbbb) on b",
            "kernel: 6.18 on a, 6.12 on b",
            "cpu flags: only a has erms, only b has pku",
        ];
        assert_eq!(differences(&[&a, &b]), expected);
        assert_eq!(differences(&[&a, &c])[0], "criu: 4.2 on a, 4.1 on c");
    }

    #[test]
    fn a_component_that_one_node_lacks_is_told() {
        let (a, mut b) = (node("a", ("4.2", "x"), "6.18", &[]), node("b", ("4.2", "x"), "6.18", &[]));
        b.components.remove(0);
        assert_eq!(differences(&[&a, &b]), ["criu: 4.2 on a, absent on b"]);
    }
}
