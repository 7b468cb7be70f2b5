use super::args::BundleArgs;
use super::terminal::{complain, print};
use crate::record::{CaseRecord, Chain, Outcome, Run};
use crate::run::{self, Exit};

/// `podferry bundle`: one zip file a case. Needs no root.
pub(super) fn bundle(args: &BundleArgs) -> Exit {
    let refuse = |e: &run::StoredRunError| {
        complain(&format!("error: {}", Chain(e)));
        Exit::Usage
    };
    let stored = match run::load(&args.run) {
        Ok(stored) => stored,
        Err(e) => return refuse(&e),
    };
    let chosen = match chosen(&stored, &args.cases) {
        Ok(chosen) => chosen,
        Err(told) => {
            complain(&told);
            return Exit::NothingSelected;
        }
    };
    let into = args.out.clone().unwrap_or_else(|| args.run.join("bundles"));
    for case in chosen {
        match run::bundle(&args.run, &case.id, &into) {
            Ok(made) => {
                let size = made.bytes.div_ceil(1024);
                print(&format!("{}  {} files, {size} KiB  {}", made.path.display(), made.files, case.id));
            }
            Err(e) => return refuse(&e),
        }
    }
    Exit::Passed
}

/// The cases that are meant: by name, else by a part of it; all that did not pass if none is named.
fn chosen<'a>(run: &'a Run, words: &[String]) -> Result<Vec<&'a CaseRecord>, String> {
    let well = |c: &&CaseRecord| matches!(c.outcome, Some(Outcome::Passed | Outcome::Skipped));
    if words.is_empty() {
        let troubled: Vec<&CaseRecord> = run.cases.iter().filter(|c| c.started && !well(c)).collect();
        return match troubled.as_slice() {
            [] => Err("nothing to bundle: every case passed or was skipped\nhint: name one".to_owned()),
            _ => Ok(troubled),
        };
    }
    let mut all = Vec::new();
    for word in words {
        let named: Vec<&CaseRecord> = run.cases.iter().filter(|c| c.id.0 == *word).collect();
        let alike = || run.cases.iter().filter(|c| c.id.0.contains(word)).collect::<Vec<_>>();
        let found = if named.is_empty() { alike() } else { named };
        if found.is_empty() {
            let there: Vec<&str> = run.cases.iter().map(|c| c.id.0.as_str()).collect();
            return Err(format!("no case `{word}` in run {}\nhint: it has {}", run.id, there.join(", ")));
        }
        all.extend(found.into_iter().filter(|c| !all.iter().any(|a: &&CaseRecord| a.id == c.id)).collect::<Vec<_>>());
    }
    Ok(all)
}
