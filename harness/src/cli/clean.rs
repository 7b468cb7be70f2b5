use super::terminal::{complain, print};
use crate::ledger::{self, Claim};
use crate::provider::local;
use crate::record::RunId;
use crate::run::Exit;
use std::path::Path;

/// `podferry clean`: removes what dead runs left behind. Runs that live are not touched.
pub(super) fn clean() -> Exit {
    match sweep(true) {
        Ok(swept) if swept.runs == 0 => {
            print("nothing to clean: no dead run left anything behind");
            Exit::Passed
        }
        Ok(swept) => {
            print(&format!("swept up after {} dead run(s): {} thing(s)", swept.runs, swept.things));
            swept.exit()
        }
        Err(message) => {
            complain(&format!("error: {message}"));
            Exit::Surroundings
        }
    }
}

/// What a sweep found.
#[derive(Debug, Default)]
pub(super) struct Swept {
    pub(super) runs: usize,
    pub(super) things: usize,
    pub(super) stuck: Vec<String>,
}

impl Swept {
    fn exit(&self) -> Exit {
        for stuck in &self.stuck {
            complain(&format!("leaked: {stuck}"));
        }
        if self.stuck.is_empty() { Exit::Passed } else { Exit::Leaked }
    }
}

/// Sweeps up after dead runs; also done at each start of a run, but for what runs left on purpose (`kept`).
pub(super) fn sweep(kept: bool) -> Result<Swept, String> {
    let stays = |claim: &Claim| !kept && claim.kind == ledger::KEPT_KIND_CLUSTER;
    let mut swept = Swept::default();
    for dead in ledger::dead().map_err(|e| e.to_string())? {
        let run = RunId(dead.run.clone());
        if !dead.claims.is_empty() && dead.claims.iter().all(stays) {
            continue;
        }
        swept.runs += 1;
        let undone = |claim: &Claim| match stays(claim) {
            true => Err("it stays".to_owned()),
            false => undo(&run, claim, &mut swept.things),
        };
        let mut unswept = dead.sweep(undone).map_err(|e| e.to_string())?;
        unswept.retain(|u| !stays(&u.claim));
        swept.stuck.extend(unswept.into_iter().map(|u| format!("{} {}: {}", u.claim.kind, u.claim.name, u.reason)));
    }
    Ok(swept)
}

fn undo(run: &RunId, claim: &Claim, things: &mut usize) -> Result<(), String> {
    *things += 1;
    match claim.kind.as_str() {
        ledger::CGROUP => {
            let leaks = local::sweep_cgroups(&claimed(run, &claim.name)).map_err(|e| e.to_string())?;
            let stuck: Vec<String> = leaks.into_iter().map(|l| format!("{}: {}", l.name, l.reason)).collect();
            if stuck.is_empty() { Ok(()) } else { Err(stuck.join("; ")) }
        }
        ledger::UNFINISHED_IMAGE => {
            crate::component::sweep_unfinished(Path::new(&claim.name)).map_err(|e| e.to_string())
        }
        ledger::HIERARCHIES => crate::provider::hierarchies::sweep(&claim.name).map_err(|e| e.to_string()),
        ledger::CLUSTER_NAMESPACE => crate::provider::existing::sweep(&claim.name),
        ledger::KIND_CLUSTER | ledger::KEPT_KIND_CLUSTER => crate::provider::kind::sweep(claim),
        ledger::TEMP_DIR => match std::fs::remove_dir_all(&claim.name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.to_string()),
            _ => Ok(()),
        },
        ledger::MINIKUBE_PROFILE => crate::provider::minikube::sweep(&claim.name),
        other => Err(format!("this version of podferry does not know how to undo a `{other}`")),
    }
}

/// The name under which control groups were made: the run's, or one that begins with it. A comparison makes nodes twice, each
/// side under a name of its own.
fn claimed(run: &RunId, folder: &str) -> RunId {
    let own = folder.strip_prefix("podferry-").filter(|name| name.starts_with(&run.0) && !name.contains('/'));
    own.map_or_else(|| run.clone(), |name| RunId(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_bears_the_runs_name_is_swept() {
        let run = RunId("20300101-1".to_owned());
        let of = |folder: &str| claimed(&run, folder).0;
        assert_eq!(of("podferry-20300101-1"), "20300101-1");
        assert_eq!(of("podferry-20300101-1-candidate"), "20300101-1-candidate");
        for other in ["podferry-another", "/sys", "podferry-20300101-1/../../x"] {
            assert_eq!(of(other), "20300101-1");
        }
    }
}
