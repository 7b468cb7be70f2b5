use super::super::terminal::{complain, print};
use super::args::AckArgs;
use super::{refuse, today};
use crate::perf::acks;
use crate::record::{Ack, CaseId};
use crate::run::Exit;

/// `podferry perf ack`.
pub(super) fn ack(args: AckArgs) -> Exit {
    let (today, expires) = (today(), args.expires.to_string());
    if expires < today {
        complain(&format!("error: {expires} is past"));
        return Exit::Usage;
    }
    let known = crate::perf::figure_names();
    if !known.contains(&args.figure.as_str()) {
        complain(&format!("error: `{}` is no figure that is compared\nhint: one of {}", args.figure, known.join(", ")));
        return Exit::Usage;
    }
    let reason = args.reason.trim().to_owned();
    if reason.is_empty() {
        complain("error: the reason is empty");
        return Exit::Usage;
    }
    let (case, figure) = (CaseId(args.case), args.figure);
    let told = format!("{figure} of {case} is acknowledged until {expires}, in {}", args.acks.display());
    let ack = Ack { case, figure, reason, issue: args.issue, expires, since: today.clone() };
    match acks::add(&args.acks, ack, today) {
        Ok(()) => {
            print(&told);
            Exit::Passed
        }
        Err(e) => refuse(&e),
    }
}
