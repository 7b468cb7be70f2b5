//! Many different scenarios, to measure how fast they are read.

use std::fmt::Write as _;

/// `n` scenarios, each different, all sound against the shipped catalogue: (file name, text).
pub fn bench_corpus(n: usize) -> Vec<(String, String)> {
    (0..n).map(|i| (format!("generated-{i}.yaml"), scenario(i))).collect()
}

fn scenario(i: usize) -> String {
    let mut text = format!(
        "# Generated, number {i}.\napiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata:\n  name: generated-{i}\n  \
         title: redis moves, variant {i}\n  labels: {{area: migration, number: \"{i}\"}}\nspec:\n  matrix:\n    axes:\n      \
         data: [1Mi, {}Mi]\n  workloads:\n    redis: {{use: redis, with: {{data: \"${{matrix.data}}\"}}}}\n  clients:\n    \
         writer: {{kind: redis-writer, target: redis, rate: {}/s, opTimeout: 1s}}\n  steps:\n    \
         - deploy: {{workload: redis, node: a}}\n    - client: {{start: writer}}\n",
        2 + i % 500,
        100 + i % 900,
    );
    let mut now = "redis".to_owned();
    for hop in 0..1 + i % 3 {
        let (next, to) = (format!("redis-{hop}"), if hop % 2 == 0 { "b" } else { "a" });
        let _ = write!(
            text,
            "    - wait: {{answers: {{client: writer, count: {}}}}}\n    - capture: {{of: {now}, as: before-{hop}}}\n    \
             - id: move-{hop}\n      timeout: 30s\n      migrate: {{of: {now}, to: {to}, as: {next}, source: fenced}}\n",
            100 + i % 100,
        );
        now = next;
    }
    let _ = write!(
        text,
        "    - client: {{stop: writer}}\n  checks:\n    - ackedWrites: {{client: writer, lost: none, atLeast: 100}}\n    \
         - sameProcess: {{of: {now}, asOf: before-0}}\n    - instance: {{of: redis, state: absent}}\n    \
         - instance: {{of: {now}, state: running}}\n    - budget: {{metric: downtime, max: {}s}}\n",
        1 + i % 30,
    );
    text
}
