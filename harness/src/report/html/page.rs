use super::lanes::Lanes;
use super::plot::{Plot, plots};
use crate::record::{CaseRecord, Millis, PartKind, Run};
use crate::report::text;
use crate::report::view::{CaseView, MigrationView, RunView, Status, state_sentence};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub(in crate::report) const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
const TEMPLATES: [(&str, &str); 4] = [
    ("page", include_str!("page.html.j2")),
    ("case", include_str!("case.html.j2")),
    ("figures", include_str!("figures.html.j2")),
    ("tables", include_str!("tables.html.j2")),
];

/// A case with its figures.
#[derive(Serialize)]
struct CaseContext {
    anchor: String,
    view: CaseView,
    word: &'static str,
    /// The status as a style class.
    class: String,
    trouble: bool,
    /// For a case that needs a look: what became of everything, and whether anything was lost.
    state: Option<String>,
    lanes: Option<Lanes>,
    plots: Vec<Plot>,
    bars: Vec<Downtime>,
    /// What of the greatest outage of the run its own is, in percent.
    outage: Option<Share>,
    files: Vec<Link>,
}

/// The outage of one migration, part by part.
#[derive(Serialize)]
struct Downtime {
    /// From whom to whom, or that nobody took over.
    note: String,
    ms: f64,
    parts: Vec<Slice>,
}

#[derive(Serialize)]
struct Slice {
    name: &'static str,
    class: String,
    ms: f64,
    /// Percent of the whole.
    x: f64,
    w: f64,
}

#[derive(Serialize)]
struct Share {
    ms: f64,
    w: f64,
}

#[derive(Serialize)]
struct Link {
    href: String,
    name: String,
}

/// The whole report of a run as one HTML file. Links to evidence are relative to the run's folder.
pub fn html(run: &Run) -> String {
    let view = RunView::of(run);
    let nodes: Vec<String> = view.nodes.iter().map(|n| n.name.clone()).collect();
    let worst = run.cases.iter().zip(&view.cases).filter_map(|(_, v)| outage(v)).fold(0.0, f64::max);
    // What needs a look comes first: among hundreds of cases nobody finds it otherwise.
    let mut both: Vec<_> = run.cases.iter().zip(&view.cases).enumerate().collect();
    both.sort_by_key(|(_, (_, view))| !view.status.is_trouble());
    let cases: Vec<CaseContext> =
        both.into_iter().map(|(i, (record, view))| case(i, record, view, run, &nodes, worst)).collect();
    let statuses: Vec<(&str, String, usize)> =
        Status::WORST_FIRST.into_iter().map(|s| (s.name(), class(s), view.counts.get(s))).filter(|s| s.2 > 0).collect();
    let mut engines: Vec<&str> = view.cases.iter().map(|c| c.engine.name()).collect();
    engines.sort_unstable();
    engines.dedup();
    let verdict = (view.verdict.word.name(), class(view.verdict.word.status()));
    let page = context! {
        policy => policy(), style => STYLE, script => SCRIPT, run => Serde(&view), cases => Serde(&cases),
        statuses => Serde(statuses), engines, verdict => Serde(verdict),
    };
    render(("page", TEMPLATES[0].1), page)
}

/// A page by its template, which may use the others.
pub(in crate::report) fn render((name, source): (&'static str, &'static str), values: minijinja::Value) -> String {
    let made = environment().and_then(|mut env| {
        env.add_template(name, source)?;
        env.get_template(name)?.render(values)
    });
    made.unwrap_or_else(|e| {
        format!("<!doctype html><title>podferry</title><p>This report could not be made: {}", plain(&e))
    })
}

/// The templates are embedded and a test renders every branch of them; should one fail all the same, the file says so.
fn plain(error: &minijinja::Error) -> String {
    format!("{error:#}").replace('&', "&amp;").replace('<', "&lt;")
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    env.add_filter("ms", |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| Millis(v).to_string()));
    env.add_filter("part", part_title);
    env.add_filter("figure", text::figure);
    env.add_filter("bytes", |v: f64| text::bytes(v));
    env.add_filter("thousands", |v: Option<u64>| v.map_or_else(|| "?".to_owned(), text::thousands));
    for (name, source) in TEMPLATES {
        env.add_template(name, source)?;
    }
    Ok(env)
}

/// What a part of a checkpoint is, by its name in the view.
fn part_title(kind: String) -> String {
    let known: Result<PartKind, _> = serde_json::from_value(kind.clone().into());
    known.map_or(kind, |known| known.title().to_owned())
}

/// Nothing is fetched, and only the embedded style and script count, by their digests.
pub(in crate::report) fn policy() -> String {
    let digest = |text: &str| BASE64.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

fn class(status: Status) -> String {
    format!("s-{}", status.name().replace(' ', "-"))
}

fn outage(case: &CaseView) -> Option<f64> {
    let worst = case.migrations.iter().filter_map(|m| m.outage_ms).fold(0.0, f64::max);
    (worst > 0.0).then_some(worst)
}

fn case(i: usize, record: &CaseRecord, view: &CaseView, run: &Run, nodes: &[String], worst: f64) -> CaseContext {
    let drawn = view.clients.iter().zip(record.evidence.histories.values());
    CaseContext {
        anchor: format!("case-{}", i + 1),
        word: view.status.name(),
        class: class(view.status),
        trouble: view.status.is_trouble(),
        state: state_sentence(view).filter(|_| view.status.is_trouble()),
        lanes: Lanes::of(view, nodes),
        plots: drawn.flat_map(|(client, history)| plots(view, client, history, run.epoch)).collect(),
        bars: view.migrations.iter().filter_map(downtime).collect(),
        outage: outage(view).map(|ms| Share { ms, w: super::scale::round(ms / worst * 100.0) }),
        files: view.files.iter().map(|f| link(f)).collect(),
        view: view.clone(),
    }
}

fn downtime(m: &MigrationView) -> Option<Downtime> {
    let whole = m.outage_ms.filter(|w| *w > 0.0)?;
    let mut x = 0.0;
    let slice = |p: &crate::report::view::Part| {
        let w = p.ms / whole * 100.0;
        x += w;
        let at = super::scale::round(x - w);
        let class = format!("p-{}", p.name().replace(' ', "-"));
        Slice { name: p.name(), class, ms: p.ms, x: at, w: super::scale::round(w) }
    };
    let note = m.no_downtime().unwrap_or_else(|| format!("{} to {}", m.of, m.into));
    Some(Downtime { note, ms: whole, parts: m.parts.iter().map(slice).collect() })
}

/// A link that stays in the run's folder: a relative path, each of its parts encoded, so that no name becomes a scheme.
fn link(file: &str) -> Link {
    let encode = |part: &str| {
        part.bytes().fold(String::new(), |mut out, b| {
            let plain = b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
            if plain {
                out.push(char::from(b))
            } else {
                out.push_str(&format!("%{b:02X}"))
            }
            out
        })
    };
    let parts = file.split('/').filter(|p| !p.is_empty() && *p != ".." && *p != ".");
    Link { href: format!("./{}", parts.map(encode).collect::<Vec<_>>().join("/")), name: file.to_owned() }
}
