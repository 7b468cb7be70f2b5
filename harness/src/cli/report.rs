use super::args::ReportArgs;
use super::run::export;
use super::terminal::{coloured, complain, print};
use crate::record::Chain;
use crate::report;
use crate::run::{self, Exit};

/// `podferry report`: renders a stored run again, with today's templates. Needs no root.
pub(super) async fn report(args: &ReportArgs) -> Exit {
    let done =
        run::load_with_past(&args.run).and_then(|run| run::write_reports(&args.run, &run).map(|files| (run, files)));
    let (run, files) = match done {
        Ok(done) => done,
        Err(e) => {
            complain(&format!("error: {}", Chain(&e)));
            return Exit::Usage;
        }
    };
    let folder = args.run.display().to_string();
    print(&report::terminal::summary(&run, &folder, report::Style { color: coloured() }));
    for file in files {
        print(&file.display().to_string());
    }
    match export(&run, &args.otlp).await {
        Ok(()) => Exit::Passed,
        Err(refusal) => refusal.tell(),
    }
}
