use super::args::ReportArgs;
use super::terminal::{coloured, complain, print};
use crate::record::Chain;
use crate::report;
use crate::run::{self, Exit};

/// `podferry report`: renders a stored run again, with today's templates. Needs no root.
pub(super) fn report(args: &ReportArgs) -> Exit {
    let done = run::load(&args.run).and_then(|run| run::write_reports(&args.run, &run).map(|files| (run, files)));
    match done {
        Ok((run, files)) => {
            print(&report::terminal::summary(
                &run,
                &args.run.display().to_string(),
                report::Style { color: coloured() },
            ));
            for file in files {
                print(&file.display().to_string());
            }
            Exit::Passed
        }
        Err(e) => {
            complain(&format!("error: {}", Chain(&e)));
            Exit::Usage
        }
    }
}
