//! What runs on the nodes, looked at before anything is done there.

use super::failure;
use super::nodes::Worker;
use crate::component::Progress;
use crate::node::{Node, Remote};
use crate::process::Exec;
use crate::record::{ComponentRecord, Failure};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked of each node, and whether a node without it can do nothing that is tested here.
const QUESTIONS: [(&str, &[&str], bool); 4] = [
    ("containerd", &["containerd", "--version"], true),
    ("runc", &["runc", "--version"], false),
    ("criu", &["criu", "--version"], true),
    ("kubelet", &["kubelet", "--version"], false),
];

/// The programs of a node, each with its own word on its version.
pub(super) async fn components(remote: &Remote, worker: &Worker) -> Result<Vec<ComponentRecord>, Failure> {
    let mut found = Vec::new();
    for (name, argv, needed) in QUESTIONS {
        let said = remote.run(Exec::new(argv[0]).args(&argv[1..])).await;
        match said {
            Ok(said) => found.push(ComponentRecord {
                name: name.to_owned(),
                version: said.text().lines().next().unwrap_or_default().trim().to_owned(),
                source: format!("node {}", worker.known_as),
                digest: String::new(),
            }),
            // What is not on its path need not be missing: but no checkpoint comes from a node without these.
            Err(e) if needed => {
                let cannot = format!("node {} has no working {name}", worker.known_as);
                let hint = "containers are checkpointed and restored by containerd with runc and criu, on every node"
                    .to_owned();
                return Err(Failure { hint: Some(hint), ..failure(&cannot, &e) });
            }
            Err(_) => {}
        }
    }
    Ok(found)
}

/// Tells where workers differ: a checkpoint of the one may be none for the other.
pub(super) async fn look(workers: &BTreeMap<String, Arc<Remote>>, progress: &dyn Progress) -> Result<(), Failure> {
    let version = |remote: &Remote, name: &str| {
        let record = remote.record().components.iter().find(|c| c.name == name).cloned();
        record.map(|record| record.version)
    };
    for (name, ..) in QUESTIONS {
        let mut first: Option<(&str, Option<String>)> = None;
        for remote in workers.values() {
            let (node, is) = (remote.known_as(), version(remote, name));
            match &first {
                None => first = Some((node, is)),
                Some((_, was)) if *was == is => {}
                Some((other, was)) => {
                    let word = |version: &Option<String>| version.clone().unwrap_or_else(|| "not found".to_owned());
                    let (was, is) = (word(was), word(&is));
                    progress.say(&format!("existing: nodes {other} and {node} differ in {name}: `{was}` and `{is}`"));
                }
            }
        }
    }
    Ok(())
}
