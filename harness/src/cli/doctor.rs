use super::args::DoctorArgs;
use super::progress::Progress;
use super::run::{Refusal, new_ledger};
use super::stack;
use super::terminal::{complain, print};
use crate::component::Cache;
use crate::doctor::{self, Context, State};
use crate::run::Exit;

/// `podferry doctor`.
pub(super) async fn doctor(args: &DoctorArgs) -> Exit {
    examine(args).await.unwrap_or_else(Refusal::tell)
}

async fn examine(args: &DoctorArgs) -> Result<Exit, Refusal> {
    let (_, ledger) = new_ledger()?;
    let cache = Cache::of_user().with_ledger(ledger);
    let podferry = super::run::own_program()?;
    let progress = Progress::lines();
    let (spec, overrides) = stack::named(&args.stack, &cache, &progress).await?;
    let context = Context { podferry, cache: &cache, image: &spec, overrides: &overrides, progress: &progress };
    let findings = doctor::doctor(&context).await;
    progress.finish();
    print(&doctor::render(&findings));
    Ok(if doctor::healthy(&findings) { Exit::Passed } else { Exit::HostLacks })
}

/// Looks at the host before a run begins: what is missing is said, with what to do, and nothing less is done instead.
pub(super) fn refuse_early() -> Option<Exit> {
    let findings = doctor::quick_host_check();
    if doctor::healthy(&findings) {
        return None;
    }
    for finding in findings.iter().filter(|f| f.state == State::Missing) {
        complain(&format!("error: {}: {}", finding.name, finding.detail));
        if let Some(remedy) = &finding.remedy {
            complain(&format!("hint: {remedy}"));
        }
    }
    complain("`podferry doctor` looks at everything that a run needs");
    Some(Exit::HostLacks)
}
