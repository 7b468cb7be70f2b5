//! What a case needs of its engine, asked before anything is made.

use super::world::World;
use crate::doctor;
use crate::engine;
use crate::record::{ErrorClass, Failure, Strategy};
use crate::scenario::plan::{Action, Address, Case, HostTrait, Medium};
use crate::workload::Workload;
use std::collections::BTreeSet;
use std::path::Path;

/// The reason to skip the case, if the engine lacks what its steps need on one of its nodes.
pub(super) async fn unmet(world: &World, case: &Case) -> Result<Option<String>, Failure> {
    if case.host_lacks.contains(&HostTrait::CapSysResource) && doctor::host_has(HostTrait::CapSysResource) {
        let reason = "this host has CAP_SYS_RESOURCE, and what the scenario shows is what happens without";
        return Ok(Some(reason.to_owned()));
    }
    if let Some((what, whose)) = breaks_nodes(case).zip(world.foreign()) {
        return Ok(Some(format!("{what} on a node is not to be had: {whose}")));
    }
    let needs = Needs::of(case);
    for node in &case.nodes {
        let engine = match world.engine(case.engine, node).await {
            Err(e) if e.class == ErrorClass::Unsupported => {
                let hint = e.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                return Ok(Some(format!("{}{hint}", e.message)));
            }
            other => other?,
        };
        let can = engine.capabilities();
        let able = [
            &can.checkpoint,
            &can.restore,
            &can.root_changes,
            &can.restore_mounts,
            &can.remembers,
            &can.changed_archive,
            &can.refused_locks,
            &can.bare_checkpoint,
            &can.bare_restore,
            &can.restore_image,
            &engine.pods(),
            &engine.moved_address(),
            &engine.unstarted(),
        ];
        for ((needed, what), able) in needs.of_engine().into_iter().zip(able) {
            if let (true, Err(reason)) = (needed, able) {
                return Ok(Some(format!("{} on node {node} can't {what}: {reason}", can.version)));
            }
        }
        if let Some(trick) = case.without.iter().find(|t| !engine.tricks().contains(t)) {
            return Ok(Some(format!("{} on node {node} can't leave out the trick {trick}", can.version)));
        }
        for strategy in &needs.strategies {
            if let Err(reason) = can.strategies.of(*strategy) {
                return Ok(Some(format!("{} on node {node} can't migrate by {strategy}: {reason}", can.version)));
            }
        }
        if needs.sockets
            && let Some(reason) = engine::refuses_sockets(engine.node()).await?
        {
            return Ok(Some(format!("{} on node {node} can't dump a process with a socket: {reason}", can.version)));
        }
    }
    Ok(None)
}

/// What a case does to its nodes themselves, if it does such a thing.
pub(crate) fn breaks_nodes(case: &Case) -> Option<&'static str> {
    if !case.allocatable.is_empty() {
        return Some("a limit of memory");
    }
    if case.volumes.values().any(|volume| volume.shared) {
        return Some("a folder that other nodes see");
    }
    case.steps.iter().find_map(|step| match &step.action {
        _ if step.during.is_some() => Some("a fault"),
        Action::Fault(_) => Some("a fault"),
        Action::Restart { .. } => Some("a restart"),
        _ => None,
    })
}

/// What the steps of a case ask of an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    checkpoint: bool,
    restore: bool,
    restore_image: bool,
    restore_mounts: bool,
    bare_checkpoint: bool,
    bare_restore: bool,
    /// CRIU is told not to carry locks.
    refused_locks: bool,
    /// A checkpoint with a changed entry is given to the engine, past the harness's own look at it.
    changed_archive: bool,
    /// A node is restarted, and what ended with it is looked at.
    remembers: bool,
    moved_address: bool,
    strategies: BTreeSet<Strategy>,
    pods: bool,
    unstarted: bool,
    /// A workload that is checkpointed listens.
    sockets: bool,
    /// One that is restored has files in its root that its image has not.
    root_changes: bool,
}

/// What a case needs, in words: of its engine, of the nodes and of the host.
pub(crate) fn needs(case: &Case) -> Vec<String> {
    let needs = Needs::of(case);
    let engine = needs.of_engine().into_iter().filter(|(needed, _)| *needed).map(|(_, what)| what.to_owned());
    let sockets = needs.sockets.then(|| "dump a process with a socket".to_owned());
    let strategies = needs.strategies.iter().map(|strategy| format!("migrate by {strategy}"));
    let tricks = case.without.iter().map(|trick| format!("leave out the trick {trick}"));
    let nodes = breaks_nodes(case).map(|what| format!("{what} on a node"));
    let host = case.host_lacks.iter().map(|HostTrait::CapSysResource| "a host without CAP_SYS_RESOURCE".to_owned());
    engine.chain(sockets).chain(strategies).chain(tricks).chain(nodes).chain(host).collect()
}

impl Needs {
    /// What an engine is asked for, in the words that follow `it can't`.
    fn of_engine(&self) -> [(bool, &'static str); 13] {
        [
            (self.checkpoint, "checkpoint"),
            (self.restore, "restore"),
            (self.root_changes, "carry what a container has written into its root"),
            (self.restore_mounts, "restore a container with a volume"),
            (self.remembers, "tell of a container that ended with its node"),
            (self.changed_archive, "take an archive that was changed"),
            (self.refused_locks, "refuse what holds a lock on a file"),
            (self.bare_checkpoint, "take a bare checkpoint"),
            (self.bare_restore, "make a bare restore"),
            (self.restore_image, "restore from a checkpoint image"),
            (self.pods, "make a pod"),
            (self.moved_address, "move an address"),
            (self.unstarted, "make a container without starting it"),
        ]
    }

    pub(super) fn of(case: &Case) -> Self {
        let mut needs = Needs { refused_locks: !case.criu.file_locks, ..Needs::default() };
        let mut changed = BTreeSet::new();
        for step in &case.steps {
            match &step.action {
                Action::Checkpoint { medium, raw, .. } => {
                    needs.checkpoint = true;
                    needs.bare_checkpoint |= raw.is_some();
                    needs.restore_image |= *medium == Medium::Image;
                }
                Action::Migrate(migrate) => {
                    needs.moved_address |= migrate.address != Address::New;
                    needs.checkpoint = true;
                    needs.restore = true;
                    needs.restore_image |= migrate.medium == Medium::Image;
                    needs.strategies.extend(migrate.strategy);
                }
                Action::Deploy { start, .. } => needs.unstarted |= !start,
                Action::Restart { .. } => needs.remembers = true,
                Action::StartPod { .. } => needs.pods = true,
                Action::MigratePod { .. } => {
                    needs.checkpoint = true;
                    needs.restore = true;
                }
                Action::Tamper { name, damage, .. } if damage.entry().is_some() => {
                    changed.insert(name);
                }
                Action::Restore { checkpoint, verify, raw, .. } => {
                    needs.restore = true;
                    needs.bare_restore |= raw.is_some();
                    // That is what one which looks at digests says too.
                    let refused = step.expect_error.as_ref().is_some_and(|e| e.class == ErrorClass::InvalidArchive);
                    needs.changed_archive |= !refused && (!verify || raw.is_some()) && changed.contains(checkpoint);
                }
                _ => {}
            }
        }
        for wanted in case.workloads.values() {
            // What cannot be made is told when it is to be.
            let Ok(workload) = Workload::new(&wanted.kind, &wanted.with) else { continue };
            let on_volume = |file: &str| wanted.volumes.values().any(|at| Path::new(file).starts_with(at));
            needs.sockets |= needs.checkpoint && workload.port.is_some();
            needs.root_changes |= needs.restore && workload.writes().any(|file| !on_volume(file));
        }
        needs.restore_mounts = needs.restore && case.workloads.values().any(|w| !w.volumes.is_empty());
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::Needs;
    use crate::record::Strategy;
    use crate::scenario::{Selection, load, plan};
    use std::collections::BTreeSet;

    fn needs(steps: &str) -> Needs {
        let text = format!(
            "apiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata: {{name: x}}\nspec:\n  workloads: {{c: {{use: \
             counter}}}}\n  steps:\n    - deploy: {{workload: c, node: a}}\n{steps}  checks:\n    - budget: {{metric: checkpoint, max: 1s}}\n"
        );
        needs_of(&text)
    }

    fn needs_of(text: &str) -> Needs {
        let (scenario, found) = load(text, "x.yaml", crate::workload::KINDS);
        let scenario = scenario.unwrap_or_else(|| panic!("{found:?}"));
        let selection = Selection { engines: vec![crate::record::EngineKind::Cri], ..Selection::default() };
        Needs::of(&plan(&[scenario], &selection).expect("a plan").cases[0])
    }

    #[test]
    fn steps_say_what_they_need() {
        let checkpoint = Needs { checkpoint: true, sockets: true, ..Needs::default() };
        assert_eq!(needs("    - checkpoint: {of: c, as: s}\n"), checkpoint);
        let migrate = Needs { restore: true, root_changes: true, ..checkpoint.clone() };
        assert_eq!(needs("    - migrate: {of: c, to: b}\n"), migrate);
        assert_eq!(needs("    - migrate: {of: c, to: b, source: stopped}\n"), migrate);
        let image = Needs { restore_image: true, ..migrate.clone() };
        assert_eq!(needs("    - migrate: {of: c, to: b, medium: image}\n"), image);
        let placed = Needs { strategies: BTreeSet::from([Strategy::Placed]), ..migrate.clone() };
        assert_eq!(needs("    - migrate: {of: c, to: b, strategy: placed}\n"), placed);
        let tampered = "    - checkpoint: {of: c, as: s}\n    - tamper: {checkpoint: s, as: t, damage: drop-entry, entry: stats-dump}\n";
        let seen = format!("{tampered}    - restore: {{checkpoint: t, node: a, as: d}}\n");
        assert_eq!(needs(&seen), migrate);
        let unseen = format!("{tampered}    - restore: {{checkpoint: t, node: a, as: d, verify: false}}\n");
        assert_eq!(needs(&unseen), Needs { changed_archive: true, ..migrate });
        let bare = Needs { bare_checkpoint: true, ..checkpoint };
        assert_eq!(needs("    - checkpoint: {of: c, as: s, guard: false}\n"), bare);
    }

    #[test]
    fn what_is_on_a_volume_is_no_change_of_the_root() {
        let needs = |with: &str, rest: &str| {
            let text = format!(
                "apiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata: {{name: x}}\nspec:\n  volumes: {{v: {{shared: true}}}}\n  \
                 workloads: {{c: {{use: {with}{rest}}}}}\n  steps:\n    - deploy: {{workload: c, node: a}}\n    - migrate: {{of: c, to: b}}\n  \
                 checks:\n    - budget: {{metric: checkpoint, max: 1s}}\n"
            );
            needs_of(&text)
        };
        assert!(needs("counter", ", with: {file: /vol/journal}, volumes: {v: /v}").root_changes);
        assert!(!needs("counter", ", with: {file: /v/journal}, volumes: {v: /v}").root_changes);
        assert!(!needs("counter", ", with: {journal: false}").root_changes);
        let looper = needs("looper", "");
        assert!(!looper.root_changes && !looper.sockets);
    }
}
