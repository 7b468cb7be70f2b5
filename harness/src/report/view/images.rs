//! Node images side by side: what ran on each, and which cases ended otherwise on one than on another.

use super::{CaseView, nodes, text};
use crate::record::{CaseRecord, NODE_IMAGE, NodeRecord, Run, SIDE};
use serde::Serialize;

/// The node images of a run that had several.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct ImagesView {
    /// Their names, in order.
    pub names: Vec<String>,
    /// The components of which they have other versions, or that one lacks.
    pub versions: Vec<OnImages>,
    /// The cases that did not end alike on all.
    pub changes: Vec<OnImages>,
    /// How many ended alike.
    pub alike: usize,
}

/// One thing on each image.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct OnImages {
    /// The component, or the case without its image.
    pub name: String,
    /// What it is on each, in the order of the names: a version, or how the case ended and why.
    pub on: Vec<String>,
}

/// The image that a case ran on, if the run had several; the side, in a comparison.
pub(super) fn of_case(case: &CaseRecord) -> Option<&str> {
    case.params.get(NODE_IMAGE).or_else(|| case.params.get(SIDE)).map(String::as_str)
}

/// What is not the same on nodes of one image, for every image.
pub(super) fn differences(run: &Run) -> Vec<String> {
    let Some(names) = names(run) else { return nodes::differences(&run.nodes.iter().collect::<Vec<_>>()) };
    let told = |image: &String| {
        let lines = nodes::differences(&on(run, image));
        lines.into_iter().map(|line| format!("{}: {line}", text::line(image))).collect::<Vec<_>>()
    };
    names.iter().flat_map(told).collect()
}

/// Side by side; `None` of a run with one image.
pub(super) fn of(run: &Run) -> Option<ImagesView> {
    let names = names(run)?;
    // One node stands for all of its image: what differs between those is told elsewhere.
    let first: Vec<Option<&NodeRecord>> = names.iter().map(|image| on(run, image).first().copied()).collect();
    let mut components: Vec<&str> =
        first.iter().flatten().flat_map(|node| &node.components).map(|c| c.name.as_str()).collect();
    components.sort_unstable();
    components.dedup();
    let version = |node: &Option<&NodeRecord>, name: &str| match node {
        None => "no node was made".to_owned(),
        Some(node) => {
            let found = node.components.iter().find(|c| c.name == name);
            found.map_or_else(|| "absent".to_owned(), |c| text::line(&c.version))
        }
    };
    let versions = components
        .into_iter()
        .map(|name| OnImages { name: text::line(name), on: first.iter().map(|n| version(n, name)).collect() });
    let all = cases(run, &names);
    let (alike, changes): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, on)| on.iter().all(|case| case.map(|c| c.outcome) == on[0].map(|c| c.outcome)));
    let changes = changes.into_iter().map(|(name, on)| OnImages {
        name: text::line(&name),
        on: on.into_iter().map(|case| case.map_or_else(|| "not there".to_owned(), |c| ended(run, c))).collect(),
    });
    Some(ImagesView {
        versions: versions.filter(|v| v.on.iter().any(|version| *version != v.on[0])).collect(),
        changes: changes.collect(),
        alike: alike.len(),
        names: names.iter().map(|name| text::line(name)).collect(),
    })
}

fn names(run: &Run) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for image in run.cases.iter().filter_map(of_case) {
        if !names.iter().any(|name| name == image) {
            names.push(image.to_owned());
        }
    }
    (names.len() > 1).then_some(names)
}

fn on<'a>(run: &'a Run, image: &str) -> Vec<&'a NodeRecord> {
    run.nodes.iter().filter(|node| node.image.as_deref() == Some(image)).collect()
}

/// Each case without its image, with how it went on each.
fn cases<'a>(run: &'a Run, names: &[String]) -> Vec<(String, Vec<Option<&'a CaseRecord>>)> {
    let mut all: Vec<(String, Vec<Option<&CaseRecord>>)> = Vec::new();
    for case in &run.cases {
        let Some(at) = of_case(case).and_then(|image| names.iter().position(|name| name == image)) else { continue };
        let name = case.id.0.replace(&format!(",{NODE_IMAGE}={}", names[at]), "");
        let place = all.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
            all.push((name, vec![None; names.len()]));
            all.len() - 1
        });
        all[place].1[at] = Some(case);
    }
    all
}

/// `passed`, or another outcome with its reason.
fn ended(run: &Run, case: &CaseRecord) -> String {
    let view = CaseView::of(case, run.epoch);
    let why = view.headline.lines().next().unwrap_or_default();
    match (view.status, why) {
        (super::Status::Passed, _) | (_, "") => view.status.name().to_owned(),
        (status, why) => format!("{}: {why}", status.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{At, CaseId, ComponentRecord, EngineKind, Event, Line, Origin, Outcome, fold};
    use std::collections::BTreeMap;

    fn run(outcomes: &[(&str, &str, Outcome)]) -> Run {
        let mut lines = Vec::new();
        let mut say = |case: Option<&str>, event| {
            lines.push(Line { at: At(0), case: case.map(|c| CaseId(c.to_owned())), event });
        };
        for (image, criu) in [("sid", "4.2.1"), ("trixie", "4.1.1")] {
            let component = |name: &str, version: &str| ComponentRecord {
                name: name.to_owned(),
                version: version.to_owned(),
                ..ComponentRecord::default()
            };
            for name in ["a", "b"] {
                say(
                    None,
                    Event::NodeUp(NodeRecord {
                        name: name.to_owned(),
                        image: Some(image.to_owned()),
                        components: vec![component("criu", criu), component("redis-server", "8.0")],
                        ..NodeRecord::default()
                    }),
                );
            }
        }
        for (scenario, image, outcome) in outcomes {
            let id = format!("{scenario}[engine=cri,{NODE_IMAGE}={image}]");
            say(
                Some(&id),
                Event::CasePlanned {
                    scenario: (*scenario).to_owned(),
                    title: String::new(),
                    origin: Origin::default(),
                    engine: EngineKind::Cri,
                    params: BTreeMap::from([(NODE_IMAGE.to_owned(), (*image).to_owned())]),
                    labels: BTreeMap::new(),
                    rerun: String::new(),
                },
            );
            let reason = (*outcome == Outcome::Skipped).then(|| "it cannot".to_owned());
            say(Some(&id), Event::CaseFinished { outcome: *outcome, reason });
        }
        fold(&lines)
    }

    #[test]
    fn what_changed_between_images_is_told_and_nothing_else() {
        let (p, s) = (Outcome::Passed, Outcome::Skipped);
        let run = run(&[("x", "sid", p), ("y", "sid", p), ("x", "trixie", s), ("y", "trixie", p)]);
        let view = of(&run).unwrap();
        assert_eq!((view.names.join(" "), view.alike), ("sid trixie".to_owned(), 1));
        let line = |of: &OnImages| format!("{}: {}", of.name, of.on.join(" | "));
        assert_eq!(view.versions.iter().map(line).collect::<Vec<_>>(), ["criu: 4.2.1 | 4.1.1"]);
        assert_eq!(view.changes.iter().map(line).collect::<Vec<_>>(), ["x[engine=cri]: passed | skipped: it cannot"]);
        assert!(differences(&run).is_empty(), "nodes of one image are alike");
        assert_eq!(run.nodes.iter().map(|n| n.name.as_str()).collect::<String>(), "abab");
    }

    #[test]
    fn one_image_is_compared_to_nothing() {
        assert!(of(&run(&[("x", "sid", Outcome::Passed)])).is_none());
    }
}
