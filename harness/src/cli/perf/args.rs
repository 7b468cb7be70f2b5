use super::super::args::{DEFAULT_NODE_IMAGE, SelectArgs, duration};
use crate::record::RuleRecord;
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, ClapArgs)]
pub(in crate::cli) struct PerfArgs {
    #[command(subcommand)]
    pub(super) command: PerfCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum PerfCommand {
    /// Compare two stacks in one run, in turn: is the candidate slower?
    Ab(Box<AbArgs>),
    /// Store the figures of a run, to hold later ones against
    Baseline(BaselineArgs),
    /// Hold the figures of a run against stored ones: counts decide, times advise
    Compare(CompareArgs),
    /// Add a run to the history, or show where levels changed over time
    History(HistoryArgs),
    /// Accept a regression, with a reason and until a day
    Ack(AckArgs),
}

/// By what to judge.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct RuleArgs {
    /// A change of less than this is nobody's matter
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    pub(super) margin: f64,
    /// A change of a time by less than this is nobody's matter, in ms
    #[arg(long, value_name = "MS", default_value = "1")]
    pub(super) least: f64,
    /// A change that is to be told: only if one this large is ruled out, a figure is called unchanged
    #[arg(long, value_name = "PERCENT", default_value = "20", value_parser = percent)]
    pub(super) find: f64,
    /// Exit with 12 if a regression is confirmed and not acknowledged
    #[arg(long)]
    pub(super) gate: bool,
    /// The file of acknowledged regressions
    #[arg(long, value_name = "FILE", default_value = "perf/acks.json")]
    pub(super) acks: PathBuf,
}

impl RuleArgs {
    pub(super) fn rule(&self) -> RuleRecord {
        RuleRecord { margin: self.margin, least_ms: self.least, find: self.find, ..crate::perf::shipped_rule() }
    }
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct AbArgs {
    #[command(flatten)]
    pub(super) select: SelectArgs,
    /// A binary in place of the node image's, on the baseline's nodes: containerd=PATH, runc=, crun=, criu=
    #[arg(long = "baseline-component", value_name = "NAME=PATH")]
    pub(super) baseline: Vec<String>,
    /// The same, on the candidate's nodes
    #[arg(long = "candidate-component", value_name = "NAME=PATH")]
    pub(super) candidate: Vec<String>,
    /// Another build of podferry, for the baseline: each sample is a run of its own then; none: this one, if the candidate has one
    #[arg(long, value_name = "PODFERRY")]
    pub(super) baseline_build: Option<PathBuf>,
    /// The same, for the candidate
    #[arg(long, value_name = "PODFERRY")]
    pub(super) candidate_build: Option<PathBuf>,
    /// Debian suite of the baseline's node image, or a file that lists suite and packages
    #[arg(long, value_name = "SUITE|FILE", default_value = DEFAULT_NODE_IMAGE)]
    pub(super) baseline_node_image: String,
    /// The same, of the candidate
    #[arg(long, value_name = "SUITE|FILE", default_value = DEFAULT_NODE_IMAGE)]
    pub(super) candidate_node_image: String,
    /// Repetitions of each side in each round; an even number
    #[arg(long, value_name = "N", default_value = "40", value_parser = clap::value_parser!(u32).range(16..=1000))]
    pub(super) pairs: u32,
    /// Discarded pairs before those; an even number
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) warmup: u32,
    /// Draws which side goes first; none: drawn by chance, and told
    #[arg(long, value_name = "NUMBER")]
    pub(super) seed: Option<u64>,
    /// Beyond this share of the processors' time that other machines on the same host took, times are invalid
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = percent)]
    pub(super) max_stolen: f64,
    /// Beyond this load for each processor while figures are taken, times are invalid; what is measured is in it
    #[arg(long, value_name = "LOAD", default_value = "4")]
    pub(super) max_load: f64,
    #[command(flatten)]
    pub(super) judge: RuleArgs,
    /// Where the run's folder is made
    #[arg(long, value_name = "DIR", default_value = "target/e2e")]
    pub(super) out: PathBuf,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = duration)]
    pub(super) timeout: Duration,
    /// Plain lines, no live progress
    #[arg(long)]
    pub(super) quiet: bool,
}

impl AbArgs {
    pub(super) fn rule(&self) -> RuleRecord {
        RuleRecord { most_stolen: self.max_stolen, most_load: self.max_load, ..self.judge.rule() }
    }
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct BaselineArgs {
    /// The run's folder
    #[arg(value_name = "RUN", default_value = "target/e2e/latest")]
    pub(super) run: PathBuf,
    /// Where they are stored
    #[arg(long, value_name = "FILE", default_value = "perf/baseline.json")]
    pub(super) file: PathBuf,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct CompareArgs {
    /// The run's folder; the comparison is written into it
    #[arg(value_name = "RUN", default_value = "target/e2e/latest")]
    pub(super) run: PathBuf,
    /// What to hold it against
    #[arg(long, value_name = "FILE", default_value = "perf/baseline.json")]
    pub(super) baseline: PathBuf,
    /// Compare also with figures of another machine; the report says so
    #[arg(long)]
    pub(super) allow_other_machine: bool,
    #[command(flatten)]
    pub(super) judge: RuleArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct HistoryArgs {
    /// Add this run's medians (a folder)
    #[arg(long, value_name = "RUN")]
    pub(super) add: Option<PathBuf>,
    /// The file; it is only ever added to
    #[arg(long, value_name = "FILE", default_value = "perf/history.jsonl")]
    pub(super) file: PathBuf,
    /// The fingerprint of the machine to show; none: this one's
    #[arg(long, value_name = "FINGERPRINT")]
    pub(super) machine: Option<String>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct AckArgs {
    /// The case, as the comparison names it: `redis-migrates[engine=runc,data=64Mi]`
    pub(super) case: String,
    /// The figure: checkpoint, total, ...
    pub(super) figure: String,
    /// Why it is accepted
    #[arg(long)]
    pub(super) reason: String,
    /// The last day on which that counts: 2027-01-31
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(super) expires: jiff::civil::Date,
    /// A link to what will end it
    #[arg(long)]
    pub(super) issue: Option<String>,
    /// The file
    #[arg(long, value_name = "FILE", default_value = "perf/acks.json")]
    pub(super) acks: PathBuf,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim().parse::<f64>().ok().filter(|p| (0.0..=1000.0).contains(p));
    number.map(|p| p / 100.0).ok_or_else(|| format!("`{text}` is no percentage, like 5 or 12.5"))
}

fn day(text: &str) -> Result<jiff::civil::Date, String> {
    text.parse().map_err(|_| format!("`{text}` is no day, like 2027-01-31"))
}
