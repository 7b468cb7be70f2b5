//! Stacks that are wrong must not pass: each check sees on real nodes what it is there to see.

use super::archives::{Form, image, save};
use super::machine::Place;
use super::{QUICK, assert_failed, case, folder, json, junit, read, run};

/// Watches the addresses of its network. When those change, as they do when it was moved, it starts its counter anew, a
/// little later, so that the migration has had its first answer: a cold start that answers just as a copy would.
const REBORN: &str = "#!/bin/sh
while true; do
  was=$(cat /proc/net/fib_trie)
  /usr/bin/counter --port 7000 --interval-ms 5 --journal none &
  while [ \"$was\" = \"$(cat /proc/net/fib_trie)\" ]; do sleep 0.02; done
  sleep 0.3
  kill -9 $!
  wait
done
";

const COLD: &str = "  workloads: {counter: {use: archive, with: {archive: reborn.tar, port: 7000, probe: counter}}}
  steps:
    - deploy: {workload: counter, node: a}
    - wait: {counter: {of: counter, atLeast: 300}}
    - capture: {of: counter, as: before}
    - migrate: {of: counter, to: b, as: copy, source: fenced}
    - wait: {time: 1s, reason: the watcher in the copy starts its counter anew meanwhile}
  checks:
    - sameProcess: {of: copy, asOf: before}
    - counter: {of: copy, resumesFrom: before, tolerance: 5}
    - instance: {of: copy, state: running}
";

const LOST: &str = "  workloads: {redis: {use: redis}}
  clients:
    writer: {kind: redis-writer, target: redis, rate: 2000/s, opTimeout: 1s}
  steps:
    - deploy: {workload: redis, node: a}
    - client: {start: writer}
    - wait: {answers: {client: writer, count: 200}}
    - migrate: {of: redis, to: b, as: copy, strategy: live-copy}
    - wait: {answers: {client: writer, count: 200}}
    - client: {stop: writer}
  checks:
    - ackedWrites: {client: writer, lost: none, atLeast: 200}
";

const BOTH: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  clients:
    one: {kind: counter-reader, target: counter, rate: 500/s, opTimeout: 1s}
    two: {kind: counter-reader, target: copy, rate: 500/s, opTimeout: 1s}
  steps:
    - deploy: {workload: counter, node: a}
    - client: {start: one}
    - checkpoint: {of: counter, as: snap, source: running}
    - transfer: {checkpoint: snap, to: b}
    - restore: {checkpoint: snap, node: b, as: copy}
    - client: {start: two}
    - wait: {answers: {client: two, count: 100}}
    - wait: {answers: {client: one, count: 100}}
  checks:
    - exclusive: {between: [counter, copy]}
";

const CUT: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - checkpoint: {of: counter, as: snap, source: running}
    - tamper: {checkpoint: snap, as: cut, damage: truncate, keep: 1Ki}
    - id: from-the-cut
      restore: {checkpoint: cut, node: a, as: copy}
  checks:
    - instance: {of: counter, state: running}
";

const OVER: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - checkpoint: {of: counter, as: snap, source: running}
  checks:
    - budget: {metric: checkpoint, max: 1ms}
    - budget: {metric: checkpoint-size, max: 4Ki}
";

const NOT_CUT: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - checkpoint: {of: counter, as: snap, source: running}
    - id: from-the-good
      restore: {checkpoint: snap, node: a, as: copy}
      expect: {error: {class: invalid-archive}}
  checks:
    - error: {step: from-the-good, class: invalid-archive}
";

const RESET: &str = "  matrix: {axes: {tcp: [close]}}
  criu: {tcp: \"${matrix.tcp}\"}
  workloads: {redis: {use: redis}}
  clients:
    writer: {kind: redis-writer, target: redis, rate: 1000/s}
  steps:
    - deploy: {workload: redis, node: a}
    - client: {start: writer}
    - wait: {answers: {client: writer, count: 100}}
    - id: move
      migrate: {of: redis, to: b, as: copy, address: moved}
    - wait: {answers: {client: writer, count: 100}}
    - client: {stop: writer}
  checks:
    - connection: {client: writer, step: move, state: kept}
";

const TORN: &str = "  volumes: {common: {}}
  workloads:
    first: {use: exchange, with: {role: first, file: /common/words}, volumes: {common: /common}}
    second: {use: exchange, with: {role: second, file: /common/words}, volumes: {common: /common}}
  pods: {pair: {containers: [first, second]}}
  steps:
    - pod: {start: pair, node: a}
    - wait: {counter: {of: pair-second, atLeast: 20}}
    - pod: {migrate: pair, to: b, as: moved, freeze: each}
    - wait: {counter: {of: moved-second, atLeast: 200}}
  checks:
    - consistent: {of: moved}
";

const SLOW: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - id: never
      wait: {counter: {of: counter, atLeast: 1000000}}
      timeout: 300ms
  checks:
    - instance: {of: counter, state: running}
";

#[test]
fn wrong_stacks_fail_with_line_and_cause_and_the_other_cases_run() {
    let place = Place::new();
    save(&image("reborn", Some(REBORN)), Form::Oci, &place.path("reborn.tar"));
    let scenarios = [
        ("cold", COLD),
        ("lost", LOST),
        ("both", BOTH),
        ("over", OVER),
        ("cut", CUT),
        ("not-cut", NOT_CUT),
        ("reset", RESET),
        ("torn", TORN),
        ("slow", SLOW),
        ("quick", QUICK),
    ];
    let ended = run(&place, &scenarios, &["--engine", "runc"]);
    ended.exits(10);
    let run = json(&place);
    let failed = |name: &str, words: &[&str]| assert_failed(&run, name, words);
    failed("cold", &["sameProcess: ", "counter: "]);
    failed("lost", &["ackedWrites: of ", "lost"]);
    failed("both", &["exclusive: `counter` still answered"]);
    failed("over", &["budget: checkpoint of 1 sample", "budget: checkpoint-size of 1 sample"]);
    failed("cut", &["-cut", "it has 1024 bytes, and its pagemap says"]);
    failed("not-cut", &["from-the-good"]);
    failed("reset", &["connection: the connection of `writer` was reset"]);
    failed("torn", &["consistent: ", " is out of step: "]);
    failed("slow", &["the counter of counter did not reach 1000000: it is at "]);
    assert_eq!(case(&run, "quick").0, "passed");

    let report = junit(&place);
    assert_eq!((report.tests, report.failures, report.errors), (10, 9, 0));
    let page = read(&place, "report.html");
    // The line of each broken check, as an editor opens it (the head of a scenario is four lines).
    let line = |spec: &str, what: &str| 5 + spec.lines().position(|l| l.contains(what)).expect(what);
    for (name, spec, what) in
        [("cold", COLD, "- sameProcess"), ("lost", LOST, "- ackedWrites"), ("both", BOTH, "- exclusive")]
    {
        let place = format!("{name}.yaml:{}", line(spec, what));
        assert!(page.contains(&place) && ended.out.contains(&place), "{place} is not told of:\n{}", ended.out);
    }
    assert!(
        ended.out.contains("podferry run --engine runc --scenario cold.yaml"),
        "how to run it again:\n{}",
        ended.out
    );
    let logs = folder(&place).join("cases").join("cold_engine=runc_").join("logs");
    assert!(logs.is_dir(), "what was said on the nodes is kept: {}", logs.display());
}
