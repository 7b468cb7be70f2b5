//! `podferry perf baseline`, `compare` and `history`: on stored runs, so without root.

use super::super::terminal::{coloured, complain, print};
use super::args::{BaselineArgs, CompareArgs, HistoryArgs};
use super::{refuse, today};
use crate::component;
use crate::perf::{self, PerfError, acks, history as log, stored};
use crate::record::{Chain, Run};
use crate::report::{self, Style};
use crate::run::{self, Exit};
use std::path::Path;

pub(super) fn baseline(args: &BaselineArgs) -> Exit {
    told(run_of(&args.run).and_then(|run| {
        let made = stored::baseline(&run).map_err(|e| refuse(&e))?;
        stored::save(&args.file, &made).map_err(|e| refuse(&e))?;
        let samples = made.series.values().flat_map(|f| f.values()).map(Vec::len).max().unwrap_or(0);
        let (cases, file) = (made.series.len(), args.file.display());
        print(&format!(
            "{file}: {cases} cases of run {}, at most {samples} samples each, machine {}",
            run.id, made.machine
        ));
        Ok(Exit::Passed)
    }))
}

pub(super) fn compare(args: &CompareArgs) -> Exit {
    told(run_of(&args.run).and_then(|run| {
        let compared = || -> Result<_, PerfError> {
            let baseline = stored::load(&args.baseline)?;
            let acks = acks::load(&args.judge.acks, today())?;
            let comparison = stored::compare(&run, &baseline, args.judge.rule(), args.allow_other_machine, &acks)?;
            perf::write_reports(&args.run, &comparison)?;
            Ok(comparison)
        };
        let comparison = compared().map_err(|e| refuse(&e))?;
        let folder = args.run.display().to_string();
        print(&report::perf::terminal(&comparison, &folder, Style { color: coloured() }));
        Ok(perf::exit(&comparison, args.judge.gate))
    }))
}

pub(super) fn history(args: &HistoryArgs) -> Exit {
    if let Some(folder) = &args.add {
        return told(run_of(folder).and_then(|run| {
            let added = log::line(&run).and_then(|line| log::add(&args.file, &line)).map_err(|e| refuse(&e))?;
            let word = if added { "added to" } else { "is already in" };
            print(&format!("run {} {word} {}", run.id, args.file.display()));
            Ok(Exit::Passed)
        }));
    }
    let machine = args.machine.clone().unwrap_or_else(|| perf::fingerprint(&component::host_record()));
    match log::load(&args.file) {
        Ok(lines) => {
            let trends = log::trends(&lines, &machine);
            print(&report::perf::history(&trends, &machine, Style { color: coloured() }));
            Exit::Passed
        }
        Err(e) => refuse(&e),
    }
}

fn run_of(folder: &Path) -> Result<Run, Exit> {
    run::load(folder).map_err(|e| {
        complain(&format!("error: {}", Chain(&e)));
        Exit::Usage
    })
}

fn told(done: Result<Exit, Exit>) -> Exit {
    done.unwrap_or_else(|exit| exit)
}
