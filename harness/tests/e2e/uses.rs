//! Use cases on stacks that do less than they must: the checks and steps that they rest on see it, on real nodes.

use super::machine::Place;
use super::{assert_failed, json, read, run};

/// A copy under the limit of its source, which it must outgrow.
const SAME_LIMIT: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms, grow: 512Ki}}}
  steps:
    - deploy: {workload: counter, node: a, memory: 48Mi}
    - wait: {memory: {of: counter, atLeast: 8Mi}}
    - migrate: {of: counter, to: b, as: copy}
    - wait: {memory: {of: copy, atLeast: 56Mi}}
  checks:
    - instance: {of: copy, state: running}
";

/// Killed for want of memory, and work lost: both told otherwise.
const KILLED: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms, grow: 1Mi}}}
  clients:
    reader: {kind: counter-reader, target: counter, rate: 500/s, opTimeout: 1s}
  steps:
    - deploy: {workload: counter, node: a, memory: 48Mi}
    - client: {start: reader}
    - wait: {counter: {of: counter, atLeast: 5}}
    - checkpoint: {of: counter, as: snap}
    - wait: {end: {of: counter}}
    - transfer: {checkpoint: snap, to: b}
    - restore: {checkpoint: snap, node: b, as: copy, memory: 512Mi}
  checks:
    - instance: {of: counter, state: stopped, reason: exited}
    - workLost: {of: copy, since: counter, atMost: 1}
";

/// Nothing ends.
const ENDS: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - id: never
      wait: {end: {of: counter}}
      timeout: 400ms
  checks:
    - instance: {of: counter, state: stopped}
";

const NOT_FASTER: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - id: cold
      deploy: {workload: counter, node: a}
    - checkpoint: {of: counter, as: snap}
    - id: warm
      restore: {checkpoint: snap, node: a, as: copy}
  checks:
    - faster: {step: warm, than: cold, times: 1000}
";

/// Nobody restarts the node.
const STILL_UP: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - checkpoint: {of: counter, as: snap}
  checks:
    - instance: {of: counter, state: stopped}
";

/// Nobody copies the volume.
const NO_FILE: &str = "  volumes: {data: {}}
  workloads: {counter: {use: counter, with: {interval: 10ms, file: /vol/journal}, volumes: {data: /vol}}}
  steps:
    - deploy: {workload: counter, node: a}
    - id: move
      migrate: {of: counter, to: b, as: copy}
  checks:
    - instance: {of: copy, state: running}
";

#[test]
fn what_use_cases_rest_on_is_seen_when_it_is_missing() {
    let place = Place::new();
    let scenarios = [
        ("same-limit", SAME_LIMIT),
        ("killed", KILLED),
        ("ends", ENDS),
        ("not-faster", NOT_FASTER),
        ("still-up", STILL_UP),
        ("no-file", NO_FILE),
    ];
    let ended = run(&place, &scenarios, &["--engine", "runc,cri"]);
    ended.exits(10);
    let run = json(&place);
    let failed = |name: &str, words: &[&str]| assert_failed(&run, name, words);
    failed("same-limit", &["before it had 58720256 bytes"]);
    failed("killed", &["instance: `counter` ended with exit code 137", "workLost: `counter` was seen at "]);
    failed("ends", &["did not end"]);
    failed("not-faster", &["faster: "]);
    failed("still-up", &["instance: the engine says `running` of `counter`"]);
    failed("no-file", &["vol/journal"]);
    let page = read(&place, "report.html");
    assert!(page.contains("speed-up") && page.contains("work-lost"), "figures are in the report");
}
