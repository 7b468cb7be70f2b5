//! Reports in a real browser: what no look at the text of a page can tell. A lane of CI of their own runs them (`cargo xtask ci
//! browser`), for a browser is no part of what podferry needs.

#[path = "../report/golden/mod.rs"]
#[allow(dead_code, reason = "the tests of the other formats use the rest")]
mod golden;

mod chromium;

use chromium::{Browser, url};
use podferry::record::Run;
use podferry::report;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PROBE: &str = include_str!("probe.js");
/// CSS pixels of a phone.
const PHONE: u32 = 390;
const DESK: u32 = 1280;
/// What a client of 100 s at 1 kHz leaves.
const SAMPLES: u64 = 100_000;
/// In how long the page of a run must be there.
const OPENS_IN_MS: f64 = 1_000.0;

/// A page in a file.
struct Page(TempDir);

impl Page {
    fn of(html: &str) -> Page {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("report.html"), html).expect("the page is written");
        Page(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("report.html")
    }
}

/// A run in which a migration of redis failed, among cases that passed; with as many samples as a long run has.
fn run() -> Run {
    let mut run = golden::run();
    golden::lengthen(&mut run, SAMPLES);
    assert_eq!(run.cases[0].evidence.histories["writer"].ops.len() as u64, SAMPLES);
    run
}

fn opened(width: u32, scheme: &str) -> (Browser, Page) {
    let page = Page::of(&report::html(&run()));
    let mut browser = Browser::start();
    browser.look(width, scheme);
    browser.open(&page.file());
    browser.eval(PROBE);
    (browser, page)
}

/// What is wrong, by one of the probe's functions.
fn found(browser: &mut Browser, expression: &str) -> Vec<String> {
    serde_json::from_value(browser.eval(expression)).expect("a list")
}

#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn a_run_of_100_000_samples_opens_in_under_a_second() {
    let (mut browser, page) = opened(DESK, "light");
    // Other work on the machine only ever makes it slower: the best of some tries is what the page takes.
    let mut tries: Vec<f64> = Vec::new();
    for _ in 0..7 {
        browser.open(&page.file());
        browser.eval(PROBE);
        let took = browser.eval("probe.timing()");
        let of = |name: &str| took[name].as_f64().unwrap_or_else(|| panic!("no {name} in {took}"));
        tries.push(of("dom").max(of("load")).max(of("paint")));
    }
    let best = tries.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best < OPENS_IN_MS, "{tries:?}");
}

/// Whether the time that is looked at tells: a dot for each sample, as a report without a thought would draw them.
#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn a_page_that_draws_every_sample_takes_longer() {
    let (mut browser, page) = opened(DESK, "light");
    browser.open(&page.file());
    browser.eval(PROBE);
    let ours = browser.eval("probe.timing()")["load"].as_f64().expect("a time");
    let dots: String = (0..SAMPLES).map(|i| format!("<circle cx='{}' cy='{}' r='2'/>", i % 1000, i % 170)).collect();
    let naive = Page::of(&format!("<!doctype html><svg viewBox='0 0 1000 200'>{dots}</svg>"));
    browser.open(&naive.file());
    browser.eval(PROBE);
    let theirs = browser.eval("probe.timing()")["load"].as_f64().expect("a time");
    assert!(theirs > ours, "{theirs} ms with a circle a sample, {ours} ms with ours");
}

#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn a_page_is_as_wide_as_a_phone_and_no_wider() {
    let (mut browser, _page) = opened(PHONE, "light");
    browser.picture("phone", true);
    assert_eq!(found(&mut browser, "probe.wide()"), Vec::<String>::new());
    browser.eval("probe.openAll()");
    assert_eq!(found(&mut browser, "probe.wide()"), Vec::<String>::new(), "with every case open");
    browser.picture("phone-all-open", true);
    // What is wider is found.
    browser.eval("{ const e = document.createElement('p'); e.textContent = 'wide'; e.style.width = '500px'; document.body.append(e); }");
    assert!(found(&mut browser, "probe.wide()")[0].ends_with(" px wide"));
}

#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn text_is_readable_in_the_dark_and_in_the_light() {
    for scheme in ["dark", "light"] {
        let (mut browser, _page) = opened(DESK, scheme);
        browser.picture(scheme, true);
        browser.eval("probe.openAll()");
        browser.picture(&format!("{scheme}-all-open"), true);
        let ground = browser.eval("getComputedStyle(document.body).backgroundColor");
        let pale = browser.eval("probe.pale()");
        assert!(pale["seen"].as_u64() > Some(200), "{scheme}: {pale}");
        assert_eq!(pale["found"], json!([]), "{scheme}, on {ground}");
        // What is pale is found.
        browser.eval("document.querySelector('h2').style.color = getComputedStyle(document.body).backgroundColor");
        assert_eq!(browser.eval("probe.pale()")["found"].as_array().map(Vec::len), Some(1), "{scheme}");
    }
}

#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn the_schemes_differ() {
    let ground = |scheme| opened(DESK, scheme).0.eval("getComputedStyle(document.body).backgroundColor");
    assert_ne!(ground("dark"), ground("light"));
}

#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn the_filter_shows_what_is_asked_for() {
    let (mut browser, _page) = opened(DESK, "light");
    let shown = |browser: &mut Browser| {
        let told = browser.eval("document.getElementById('shown').textContent");
        (browser.eval("probe.rows()"), browser.eval("probe.details()"), told)
    };
    let all = golden::run().cases.len();
    assert_eq!(shown(&mut browser), (json!(all), json!(all), json!("")));
    browser.eval("document.getElementById('text').focus()");
    browser.type_text("512Mi");
    assert_eq!(shown(&mut browser), (json!(1), json!(1), json!(format!("1 of {all} shown"))));
    browser.type_text(" no such thing");
    assert_eq!(shown(&mut browser).0, json!(0));
    browser.eval("document.getElementById('text').select()");
    browser.type_text("redis");
    assert_eq!(shown(&mut browser).0, json!(3));
    // Without those that passed.
    browser.eval("document.querySelector('.chip.s-passed input').click()");
    assert_eq!(shown(&mut browser).0, json!(1));
    browser.eval("{ const e = document.getElementById('engine'); e.value = 'runc'; e.dispatchEvent(new Event('input', {bubbles: true})); }");
    assert_eq!(shown(&mut browser).0, json!(0));
}

/// What a page told of itself that it should not have: requests but for its own file, errors of scripts, refusals of its policy.
fn complaints(told: &[Value], file: &Path) -> Vec<String> {
    let wrong = |event: &&Value| match event["method"].as_str() {
        Some("Network.requestWillBeSent") => event["params"]["request"]["url"] != url(file),
        Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => true,
        Some("Log.entryAdded") => event["params"]["entry"]["level"] != "verbose",
        _ => false,
    };
    told.iter().filter(wrong).map(Value::to_string).collect()
}

#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn nothing_is_fetched_and_no_script_fails() {
    let (mut browser, page) = opened(DESK, "dark");
    browser.eval("probe.openAll(); location.hash = '#case-2'; window.dispatchEvent(new Event('resize'))");
    browser.eval("document.querySelector('[data-copy]').click()");
    browser.eval("new Promise((done) => setTimeout(done, 300))");
    let sent = browser.told.iter().filter(|e| e["method"] == "Network.requestWillBeSent").count();
    assert_eq!(sent, 1, "the page itself");
    assert_eq!(complaints(&browser.told, &page.file()), Vec::<String>::new());
    // What is fetched and what fails is told.
    browser.eval("void fetch('http://127.0.0.1:9/').catch(() => 0)");
    browser.eval("setTimeout(() => { throw new Error('on purpose') }, 0)");
    browser.eval("new Promise((done) => setTimeout(done, 300))");
    let told = complaints(&browser.told, &page.file()).join("\n");
    assert!(told.contains("Content Security Policy") && told.contains("on purpose"), "{told}");
}

#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn a_comparison_reads_well_on_a_phone_and_in_the_dark() {
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/golden/comparison.json");
    let stored = std::fs::read_to_string(stored).expect("the golden comparison");
    let page = Page::of(&report::perf::html(&serde_json::from_str(&stored).expect("a comparison")));
    for (width, scheme) in [(PHONE, "dark"), (DESK, "light")] {
        let mut browser = Browser::start();
        browser.look(width, scheme);
        browser.open(&page.file());
        browser.eval(PROBE);
        browser.eval("probe.openAll()");
        browser.picture(&format!("comparison-{width}-{scheme}"), true);
        assert_eq!(found(&mut browser, "probe.wide()"), Vec::<String>::new());
        assert_eq!(browser.eval("probe.pale()")["found"], json!([]), "{scheme}");
        assert_eq!(complaints(&browser.told, &page.file()), Vec::<String>::new());
    }
}

/// Within a minute one must be able to say what failed, where, and whether data was lost: it is there without a click, and in
/// this order.
#[test]
#[ignore = "wants a browser: cargo xtask ci browser"]
fn a_failed_migration_of_redis_explains_itself_without_a_click() {
    let (mut browser, _page) = opened(PHONE, "light");
    let text = browser.eval(
        "[...document.querySelectorAll('details.case[open]')].find((d) => d.textContent.includes('512Mi')).innerText",
    );
    let text = text.as_str().expect("text");
    let wanted = [
        "failed",
        "scenarios/redis-migrates.yaml:28:7",
        "- id: move",
        "restore-failed",
        "Restoring FAILED",
        "criu: 4.2.1 on a, 4.2.1 (patched) on b",
        "899 writes acknowledged, not read back",
        "The crossing",
        "did not pass in the run before this one",
        "since it passed: criu 4.1",
        "podferry bundle target/e2e/",
        "cargo xtask e2e run 'redis-migrates[engine=cri,data=512Mi]'",
    ];
    let mut at = 0;
    for words in wanted {
        let found = text[at..].find(words);
        at += found.unwrap_or_else(|| panic!("`{words}` is not there, or not in its place: {text}"));
    }
    browser.eval("document.querySelector('details.case[open]').scrollIntoView()");
    browser.picture("phone-failure", false);
}
