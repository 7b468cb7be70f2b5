//! What the daemons under test count of themselves: kept as files of a case, and what a case added as figures of its own.

use super::recorder::Recorder;
use super::world::World;
use crate::record::{EngineKind, Event};
use crate::scenario::plan::Case;
use std::collections::BTreeMap;

/// What each daemon of each node said, in the form of Prometheus; `Err`: why it said nothing.
pub(super) struct Counters(BTreeMap<(String, &'static str), Result<String, String>>);

impl Counters {
    /// Asks the daemons of a case's nodes. Engines whose daemons count nothing say nothing.
    pub(super) async fn now(world: &World, nodes: &[String], kind: EngineKind) -> Counters {
        let mut all = BTreeMap::new();
        for node in nodes {
            for engine in world.engines(node).await.into_iter().filter(|engine| engine.kind() == kind) {
                let said = engine.counters().await;
                all.extend(said.into_iter().map(|(name, text)| ((node.clone(), name), text.map_err(|e| e.message))));
            }
        }
        Counters(all)
    }

    /// What was added since: the figures of [`FIGURES`] that have a value, over all nodes.
    pub(super) fn since(&self, before: &Counters) -> Vec<(&'static str, f64)> {
        FIGURES.iter().filter_map(|figure| Some((figure.name, figure.of(self, before)?))).collect()
    }

    fn added(&self, before: &Counters, daemon: &str, counter: &str, label: &str) -> f64 {
        let of = |counters: &Counters, key| match counters.0.get(key) {
            Some(Ok(text)) => sum(text, counter, label),
            _ => 0.0,
        };
        let each = self.0.keys().filter(|(_, name)| *name == daemon).map(|key| {
            let (then, now) = (of(before, key), of(self, key));
            // One that was killed and came back counts from nothing.
            if now >= then { now - then } else { now }
        });
        each.sum()
    }
}

/// Keeps what the daemons say now among a case's files.
pub(super) async fn keep(world: &World, case: &Case, folder: &str, recorder: &Recorder) {
    let Counters(all) = Counters::now(world, &case.nodes, case.engine).await;
    for ((node, daemon), text) in all {
        let path = format!("cases/{folder}/metrics/{node}-{daemon}.txt");
        // Why there are none is evidence too.
        let text = text.map_or_else(|why| format!("# {why}\n"), |text| counted(&text));
        let whole = recorder.dir().join(&path);
        let made = whole.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&whole, text));
        match made {
            Ok(()) => recorder.case(&case.id, Event::File { path }),
            Err(e) => recorder.error(crate::record::Failure::surroundings(format!("can't write {path}: {e}"))),
        }
    }
}

/// What has been counted: nine of ten series are of things that never were, and would make each case a megabyte.
fn counted(text: &str) -> String {
    let head = std::iter::once("# Series whose value is 0 are left out.");
    let lines = head.chain(text.lines().filter(|line| line.starts_with("# TYPE ") || !line.starts_with('#')));
    let mut kept = String::new();
    let mut of = None;
    for line in lines.filter(|line| !line.ends_with(" 0")) {
        // A series is told with its type, and a type that has no series is not.
        if line.starts_with("# TYPE ") {
            of = Some(line);
            continue;
        }
        kept.extend(of.take().into_iter().flat_map(|of| [of, "\n"]));
        kept.extend([line, "\n"]);
    }
    kept
}

/// A figure that is made of counters.
struct Figure {
    /// `_ms` at its end says its unit.
    name: &'static str,
    daemon: &'static str,
    counter: &'static str,
    label: &'static str,
    /// Whether the counter is one of seconds, with `_sum` and `_count`, whose mean is told.
    mean: bool,
}

const CHECKPOINT: &str = "operation_type=\"checkpoint_container\"";
const START: &str = "operation_type=\"start_container\"";
const OPERATIONS: &str = "kubelet_runtime_operations_duration_seconds";

/// How long checkpoints and starts took, as the kubelet sees its runtime, and as containerd sees itself; a restore is a start.
const FIGURES: [Figure; 6] = [
    Figure {
        name: "kubelet_checkpoints",
        daemon: "kubelet",
        counter: "kubelet_runtime_operations_total",
        label: CHECKPOINT,
        mean: false,
    },
    Figure {
        name: "kubelet_checkpoint_errors",
        daemon: "kubelet",
        counter: "kubelet_runtime_operations_errors_total",
        label: CHECKPOINT,
        mean: false,
    },
    Figure { name: "kubelet_checkpoint_ms", daemon: "kubelet", counter: OPERATIONS, label: CHECKPOINT, mean: true },
    Figure { name: "kubelet_start_ms", daemon: "kubelet", counter: OPERATIONS, label: START, mean: true },
    Figure {
        name: "containerd_checkpoint_ms",
        daemon: "containerd",
        counter: "containerd_cri_container_checkpoint_seconds",
        label: "",
        mean: true,
    },
    Figure {
        name: "containerd_start_ms",
        daemon: "containerd",
        counter: "containerd_cri_container_start_seconds",
        label: "",
        mean: true,
    },
];

impl Figure {
    fn of(&self, now: &Counters, before: &Counters) -> Option<f64> {
        let added = |end: &str| now.added(before, self.daemon, &format!("{}{end}", self.counter), self.label);
        if self.mean {
            let count = added("_count");
            (count > 0.0).then(|| added("_sum") / count * 1e3)
        } else {
            Some(added("")).filter(|count| *count > 0.0)
        }
    }
}

/// The sum over all series of a counter that have a label.
fn sum(text: &str, counter: &str, label: &str) -> f64 {
    let value = |line: &str| -> Option<f64> {
        let rest = line.strip_prefix(counter)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let has = label.is_empty() || labels.split(',').any(|one| one == label);
        // A time may follow.
        has.then(|| value.split(' ').next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KUBELET: &str =
        "# HELP kubelet_runtime_operations_total Cumulative number of runtime operations by operation type.
# TYPE kubelet_runtime_operations_total counter
kubelet_runtime_operations_total{operation_type=\"checkpoint_container\"} 3
kubelet_runtime_operations_total{operation_type=\"start_container\"} 5
kubelet_runtime_operations_duration_seconds_sum{operation_type=\"checkpoint_container\"} 0.75
kubelet_runtime_operations_duration_seconds_count{operation_type=\"checkpoint_container\"} 3
";
    const CONTAINERD: &str =
        "containerd_cri_container_checkpoint_seconds_bucket{runtime=\"io.containerd.runc.v2\",le=\"0.5\"} 1
containerd_cri_container_checkpoint_seconds_sum{runtime=\"io.containerd.runc.v2\"} 0.5
containerd_cri_container_checkpoint_seconds_count{runtime=\"io.containerd.runc.v2\"} 1
";

    fn counters(kubelet: &str, containerd: Result<&str, &str>) -> Counters {
        let said = |text: &str| text.to_owned();
        Counters(BTreeMap::from([
            (("a".to_owned(), "kubelet"), Ok(said(kubelet))),
            (("a".to_owned(), "containerd"), containerd.map(said).map_err(said)),
        ]))
    }

    #[test]
    fn what_a_case_added_is_told() {
        let none = counters("", Ok(""));
        let now = counters(KUBELET, Ok(CONTAINERD));
        let figures =
            [("kubelet_checkpoints", 3.0), ("kubelet_checkpoint_ms", 250.0), ("containerd_checkpoint_ms", 500.0)];
        assert_eq!(now.since(&none), figures);
        assert_eq!(now.since(&now), [], "nothing was added");
        let back = KUBELET.replace("} 3", "} 1").replace("0.75", "0.1");
        let restarted = counters(&back, Err("refused")).since(&now);
        assert_eq!(restarted, [("kubelet_checkpoints", 1.0), ("kubelet_checkpoint_ms", 100.0)], "it came back");
    }

    #[test]
    fn what_was_counted_is_kept() {
        let text = "# HELP a x\n# TYPE a counter\na{b=\"c\"} 0\na{b=\"d\"} 10\n# TYPE e gauge\ne 0\n";
        assert_eq!(counted(text), "# Series whose value is 0 are left out.\n# TYPE a counter\na{b=\"d\"} 10\n");
        assert_eq!(sum(&counted(KUBELET), "kubelet_runtime_operations_total", ""), 8.0);
    }

    #[test]
    fn only_the_counter_itself_is_counted() {
        let text = "x_total 1\nx_total{a=\"b\"} 2\nx_total{a=\"c\",d=\"e\"} 4 1700000000\nx_total_more 8\nx_total{a=\"b\"} no\n";
        assert_eq!(sum(text, "x_total", ""), 7.0);
        assert_eq!(sum(text, "x_total", "a=\"c\""), 4.0);
        assert_eq!(sum(text, "x_total", "a=\"d\""), 0.0);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(x_total|[a-z{}\", =0-9.\n]){0,200}") {
            let _ = sum(&text, "x_total", "a=\"b\"");
        }
    }
}
