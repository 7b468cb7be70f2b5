//! `podferry survey`.

use super::args::SurveyArgs;
use super::progress::Progress;
use super::run::{
    Refusal, close_ledger, command, drop_images, interrupts, link_latest, make_folder, new_ledger, now, provider,
    sweep_first,
};
use super::terminal::{coloured, complain, print};
use super::{doctor, stack};
use crate::component;
use crate::image::Store;
use crate::provider::Provider;
use crate::record::{Chain, Failure, RunId, Survey};
use crate::report::{self, Style};
use crate::run::{Exit, Preparations, Recorder, Stores};
use crate::survey::{self, Row, Session};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Surveys, or lists the kinds.
pub(super) async fn survey(args: SurveyArgs) -> Exit {
    let rows = match survey::selected(&args.only) {
        Ok(rows) => rows,
        Err(message) => {
            complain(&format!("error: {message}\nhint: `podferry survey --list` names all"));
            return Exit::Usage;
        }
    };
    if args.list {
        print(&list(&rows));
        return Exit::Passed;
    }
    if let Some(exit) = doctor::refuse_early() {
        return exit;
    }
    prepared(&args, rows).await.unwrap_or_else(Refusal::tell)
}

/// A line a row, by areas.
fn list(rows: &[Row]) -> String {
    let mut out = String::new();
    let mut area = "";
    for row in rows {
        if row.kind.area.name() != area {
            area = row.kind.area.name();
            out += &format!("{area}\n");
        }
        out += &format!("  {:30} {}\n", row.name, row.about);
    }
    out
}

async fn prepared(args: &SurveyArgs, rows: Vec<Row>) -> Result<Exit, Refusal> {
    sweep_first();
    let progress = Progress::new(args.quiet);
    let (id, ledger) = new_ledger()?;
    let stack = stack::of(&args.stack, Arc::clone(&ledger), &progress).await?;
    let dir = make_folder(&args.out, &id)?;
    let recorder = Arc::new(
        Recorder::create(&dir, progress.listener())
            .map_err(|e| Failure::surroundings(format!("{}: {e}", dir.display())))?,
    );
    let provider = provider(&id, &stack, Arc::clone(&ledger))?;
    let open =
        |path: PathBuf| Store::open(path).map(Arc::new).map_err(|e| Failure::surroundings(Chain(&e).to_string()));
    let stores = Stores { lasting: open(stack.cache.dir().join("store"))?, of_run: open(dir.join("store"))? };
    let preparations = Preparations::new(&stack.image, Arc::clone(&stores.lasting), provider.vantage());
    let (of_tell, quiet, of_save) = (progress.clone(), args.quiet, dir.clone());
    let session = Session {
        rows,
        engines: args.engines.clone(),
        provider,
        stores,
        preparations,
        kubernetes: stack.kubernetes().then(|| dir.join("kubeconfig")),
        recorder: Arc::clone(&recorder),
        tell: Box::new(move |line| {
            if !quiet {
                component::Progress::say(&of_tell, line);
            }
        }),
        save: Box::new(move |survey| {
            if let Err(e) = survey::write(&of_save, survey) {
                complain(&format!("warning: {}", Chain(&e)));
            }
        }),
        cold: args.cold_start,
        timeout: args.timeout,
    };
    let head = head(&id, format!("{} {}", stack.image.suite, stack.image.key));
    let mut found = survey::execute(session, head, interrupts()).await;
    progress.finish();
    drop_images(&dir, &recorder);
    if let Err(reason) = close_ledger(&id, &ledger) {
        found.errors.push(Failure::surroundings(format!("sweeping up: {reason}; `podferry clean` tries again")));
    }
    finish(&dir, &found, &args.out)
}

fn head(id: &RunId, image: String) -> Survey {
    Survey {
        schema: 1,
        id: id.clone(),
        podferry: env!("CARGO_PKG_VERSION").to_owned(),
        command: command(),
        started: now(),
        host: component::host_record(),
        image,
        nodes: Vec::new(),
        cold: false,
        rows: Vec::new(),
        columns: Vec::new(),
        leaks: Vec::new(),
        errors: Vec::new(),
        interrupted: false,
        timed_out: false,
    }
}

fn finish(dir: &Path, found: &Survey, out: &Path) -> Result<Exit, Refusal> {
    let written = survey::write(dir, found);
    link_latest(out, dir);
    let folder = out.join("latest").display().to_string();
    print(&report::survey::terminal(found, &folder, Style { color: coloured() }));
    written.map_err(|e| Failure::surroundings(Chain(&e).to_string()))?;
    Ok(survey::exit(found))
}
