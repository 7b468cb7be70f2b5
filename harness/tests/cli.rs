//! The command line as its user meets it: what it prints and how it exits. Nothing here needs a node.

use assert_cmd::Command;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use tempfile::TempDir;

const PODFERRY: &str = env!("CARGO_BIN_EXE_podferry");
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// An empty home, and a working folder in it.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().expect("a home"));
        fs::create_dir(home.work()).expect("a working folder");
        home
    }

    fn work(&self) -> std::path::PathBuf {
        self.0.path().join("work")
    }

    fn run(&self, mut command: Command) -> Said {
        let command = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .timeout(std::time::Duration::from_secs(60));
        let done = command.output().expect("it starts");
        Said {
            code: done.status.code().expect("it exits"),
            out: String::from_utf8(done.stdout).expect("text"),
            err: String::from_utf8(done.stderr).expect("text"),
        }
    }

    fn podferry(&self, args: &[&str]) -> Said {
        let mut command = Command::new(PODFERRY);
        command.args(args).current_dir(self.work());
        self.run(command)
    }
}

fn podferry(args: &[&str]) -> Said {
    Home::new().podferry(args)
}

/// In the repository, so that the files under fixtures/ have the names that they have for a developer.
fn in_repository(args: &[&str]) -> Said {
    let mut command = Command::new(PODFERRY);
    command.args(args).current_dir(REPOSITORY);
    Home::new().run(command)
}

#[test]
fn help_tells_of_every_command() {
    let all = podferry(&["--help"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    let names: Vec<String> = all
        .out
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| Some(l.split_whitespace().next()?.to_owned()))
        .filter(|name| name != "help")
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    let mut text = format!("$ podferry --help\n{}", all.out);
    for name in &names {
        let help = podferry(&[name, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{name}");
        text += &format!("\n$ podferry {name} --help\n{}", help.out);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn version() {
    let said = podferry(&["--version"]);
    assert_eq!((said.code, said.out.as_str()), (0, concat!("podferry ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn what_is_typed_wrongly_is_told_with_what_was_probably_meant() {
    let engine = podferry(&["run", "--engine", "rnuc"]);
    assert_eq!(engine.code, 2, "{engine:?}");
    assert!(
        engine.err.contains("unknown engine `rnuc`: one of cri, cri-crun, cri-crio, runc, crun, kubelet, ctr"),
        "{}",
        engine.err
    );
    let flag = podferry(&["run", "--enginee", "runc"]);
    assert_eq!(flag.code, 2, "{flag:?}");
    assert!(flag.err.contains("a similar argument exists: '--engine'"), "{}", flag.err);
    let time = podferry(&["run", "--timeout", "soon"]);
    assert_eq!(time.code, 2, "{time:?}");
    assert!(time.err.contains("`soon` is no time, like 90s or 30m"), "{}", time.err);
    let under = podferry(&["component", "lisst"]);
    assert_eq!(under.code, 2, "{under:?}");
    assert!(under.err.contains("a similar subcommand exists: 'list'"), "{}", under.err);
}

#[test]
fn nothing_selected_is_an_error_that_tells_how_to_see_what_there_is() {
    for command in ["run", "list", "plan"] {
        let said = podferry(&[command, "no-such-case"]);
        assert_eq!(said.code, 4, "{command}: {said:?}");
        let text = said.out + &said.err;
        assert!(text.contains("no case matches `no-such-case` with engines cri, runc"), "{text}");
        assert!(text.contains("scenarios: `podferry list --tier all` shows their cases"), "{text}");
    }
    let said = podferry(&["run", "loper-migrates"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!((said.out + &said.err).contains("hint: did you mean `looper-migrates`?"));
    let said = podferry(&["plan", "no/such.yaml"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!((said.out + &said.err).contains("cannot read `no/such.yaml`"));
}

/// A word that is no command is taken for a filter; when it selects nothing, the command that was meant is named.
#[test]
fn a_command_typed_wrongly_is_named() {
    let said = podferry(&["docter"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("if a command was meant: `podferry doctor`"), "{}", said.err);
    let said = podferry(&["no-such-case"]);
    assert!(!said.err.contains("if a command was meant"), "{}", said.err);
}

#[test]
fn ten_mistakes_get_ten_diagnostics_at_once() {
    let lint = in_repository(&["lint", "fixtures/invalid/ten-mistakes.yaml"]);
    assert_eq!(lint.code, 3);
    insta::assert_snapshot!(lint.out);
    let short = in_repository(&["lint", "--format", "short", "fixtures/invalid/ten-mistakes.yaml"]);
    let places: Vec<&str> = short.out.lines().filter_map(|l| l.split(": error[").next()).collect();
    assert_eq!(places.len(), 10, "{}", short.out);
    for place in places {
        let numbers = place.strip_prefix("fixtures/invalid/ten-mistakes.yaml:").expect(place);
        let (line, column) = numbers.split_once(':').expect(place);
        assert!(line.parse::<u32>().is_ok_and(|l| l > 0) && column.parse::<u32>().is_ok_and(|c| c > 0), "{place}");
    }
    let run = in_repository(&["run", "--scenario", "fixtures/invalid/ten-mistakes.yaml"]);
    assert_eq!(run.code, 3);
    assert_eq!(run.err.matches("ten-mistakes.yaml:").count(), lint.out.matches("ten-mistakes.yaml:").count());
}

#[test]
fn every_broken_fixture_is_refused_with_its_code() {
    let folder = Path::new(REPOSITORY).join("fixtures/invalid");
    let mut seen = 0;
    for file in fs::read_dir(folder).expect("the folder").map(|e| e.expect("an entry").file_name()) {
        let file = file.into_string().expect("text");
        let Some((code, _)) = file.split_once('-').filter(|(code, _)| code.starts_with('E')) else { continue };
        let said = in_repository(&["lint", "--format", "short", &format!("fixtures/invalid/{file}")]);
        assert!(said.out.contains(&format!("[{code}]")), "{file}: {}", said.out);
        let explained = podferry(&["explain", code]);
        assert_eq!(explained.code, 0, "{code}");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_scenario_that_is_not_there_is_named() {
    for args in [["lint", "nowhere.yaml"].as_slice(), &["run", "--scenario", "nowhere.yaml"]] {
        let said = podferry(args);
        assert!([2, 3].contains(&said.code), "{said:?}");
        assert!((said.out + &said.err).contains("cannot read `nowhere.yaml`: No such file"), "{args:?}");
    }
}

fn component(given: &str) -> Said {
    let home = Home::new();
    let said = home.podferry(&["component", "list", "--component", given]);
    // Told before a node image is made, and with nothing begun.
    assert!(!home.0.path().join(".cache").exists(), "{given}");
    let state = home.0.path().join(".local/state/podferry/runs");
    assert_eq!(fs::read_dir(state).map_or(0, Iterator::count), 0, "{given}: a ledger is left");
    said
}

#[test]
fn a_component_that_cannot_be_used_is_named() {
    let unknown = component("foo=/x");
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.err.contains("unknown component `foo`"), "{}", unknown.err);
    assert!(unknown.err.contains("hint: one of containerd, "), "{}", unknown.err);
    let near = component("cruin=/x");
    assert!(near.err.contains("did you mean crun?"), "{}", near.err);
    let missing = component("runc=/no/such/runc");
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.err.contains("can't read /no/such/runc: No such file"), "{}", missing.err);
    let script = component(&format!("runc={REPOSITORY}/Cargo.toml"));
    assert_eq!(script.code, 2, "{script:?}");
    assert!(script.err.contains("Cargo.toml is no ELF program"), "{}", script.err);
    let form = component("runc");
    assert_eq!(form.code, 2, "{form:?}");
    assert!(form.err.contains("hint: for example --component runc="), "{}", form.err);
    let version = component("containerd=module@2.3");
    assert_eq!(version.code, 2, "{version:?}");
    assert!(version.err.contains("`2.3` is no version of containerd\nhint: for example v2.3.7"), "{}", version.err);
    let pinned = component("etcd=module@v3.5.0");
    assert_eq!(pinned.code, 2, "{pinned:?}");
    assert!(pinned.err.contains("podferry builds no etcd v3.5.0\nhint: it builds v3."), "{}", pinned.err);
    let release = component("runc=release@https://a.example/runc");
    assert_eq!(release.code, 2, "{release:?}");
    assert!(release.err.contains("it has no digest"), "{}", release.err);
    assert!(release.err.contains("hint: a source is release@URL#sha256=HEX"), "{}", release.err);
}

/// Every file and folder below, with its time of change.
fn everything(dir: &Path) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("there");
        found.push((path.display().to_string(), meta.mtime_nsec()));
        if meta.is_dir() {
            found.extend(everything(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn without_root_it_says_so_and_makes_nothing() {
    let home = Home::new();
    let mine = home.0.path().join("podferry");
    fs::copy(PODFERRY, &mine).expect("a copy of the program");
    fs::set_permissions(home.0.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let root = fs::metadata("/proc/self").expect("/proc").uid() == 0;
    let mut command = if root {
        chown(home.work(), Some(65534), Some(65534)).expect("chown");
        chown(home.0.path(), Some(65534), Some(65534)).expect("chown");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&mine);
        command
    } else {
        Command::new(&mine)
    };
    let before = everything(home.0.path());
    command.args(["run", "counter-migrates"]).current_dir(home.work());
    let said = home.run(command);
    assert_eq!(said.code, 21, "{said:?}");
    assert!(said.err.contains("error: root: podferry needs root: "), "{}", said.err);
    assert!(said.err.contains("hint: run the same command by sudo"), "{}", said.err);
    assert_eq!(everything(home.0.path()), before, "it made something");
}

#[test]
fn the_suite_is_listed_and_planned() {
    let listed = podferry(&["list", "--engine", "runc"]);
    assert_eq!(listed.code, 0);
    assert!(listed.out.lines().any(|l| l == "counter-migrates[engine=runc]"), "{}", listed.out);
    let json = podferry(&["list", "--engine", "runc", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(value["cases"].as_array().map(Vec::len), Some(listed.out.lines().count()));
    let plan = podferry(&["plan", "counter-migrates[engine=runc]"]);
    assert_eq!(plan.code, 0);
    assert!(plan.out.contains("scenarios/counter-migrates.yaml:"), "{}", plan.out);
    assert!(!podferry(&["list", "!redis"]).out.contains("redis"));
}

#[test]
fn what_new_prints_is_a_good_scenario() {
    let home = Home::new();
    let new = podferry(&["new"]).out;
    assert!(new.contains("podferry lint FILE") && !new.contains("cargo"), "{new}");
    assert!(new.starts_with("# yaml-language-server: $schema=./scenario.schema.json\n"), "{new}");
    fs::write(home.work().join("mine.yaml"), new).expect("written");
    let lint = home.podferry(&["lint", "mine.yaml"]);
    assert_eq!((lint.code, lint.out.as_str()), (0, "1 file, 0 errors, 0 warnings\n"));
    let plan = home.podferry(&["plan", "--scenario", "mine.yaml"]);
    assert_eq!(plan.code, 0, "{plan:?}");
}

/// Before anything is built or fetched: what there will be of several versions, what lacks something, and how long it takes.
#[test]
fn stacks_skips_and_times_are_planned() {
    let versions = "containerd=module@v2.1.9,module@v2.3.7";
    let listed = podferry(&["list", "looper-migrates", "--engine", "cri", "--component", versions]);
    let cases: Vec<&str> = listed.out.lines().collect();
    let case = |version| format!("looper-migrates[engine=cri,node-image=sid+containerd@{version}]");
    assert_eq!(cases, [case("v2.1.9"), case("v2.3.7")], "{listed:?}");
    let plan = podferry(&["plan", "looper-migrates", "--engine", "kubelet,cri-crio"]);
    for reason in ["engine kubelet needs `--kubernetes 1.36`", "engine cri-crio needs `--component crio=PATH`"] {
        assert!(plan.out.contains(&format!("will be skipped: {reason}")), "{}", plan.out);
    }
    let given = podferry(&["plan", "looper-migrates", "--engine", "cri-crio", "--component", "crio=/a/crio"]);
    assert!(!given.out.contains("skipped") && given.out.contains("\n  takes about "), "{}", given.out);
    // What a run took is told for what it will take.
    let home = Home::new();
    let stored = home.work().join("runs/20260101-000000-1");
    fs::create_dir_all(&stored).expect("a folder");
    let run = r#"{"cases": [{"id": "looper-migrates[engine=runc]", "status": "passed", "ms": 5620.0}]}"#;
    fs::write(stored.join("run.json"), run).expect("written");
    let plan = home.podferry(&["plan", "looper-migrates", "--engine", "runc", "--out", "runs"]);
    assert!(plan.out.contains("\n  takes 5.6 s, with the machine for itself\n"), "{}", plan.out);
    assert!(plan.out.ends_with("\n1 case, 5.6 s one after the other\n"), "{}", plan.out);
}

#[test]
fn the_shipped_suite_lints_clean_and_the_committed_schema_is_todays() {
    let lint = podferry(&["lint"]);
    assert_eq!(lint.code, 0, "{}", lint.out);
    assert!(lint.out.contains(", 0 errors, 0 warnings"), "{}", lint.out);
    let committed = fs::read_to_string(Path::new(REPOSITORY).join("fixtures/scenario.schema.json")).expect("it");
    assert_eq!(podferry(&["schema"]).out.trim(), committed.trim());
}

#[test]
fn codes_and_classes_are_explained() {
    let all = podferry(&["explain"]);
    assert_eq!(all.code, 0);
    assert!(all.out.contains("E0111") && all.out.contains("\nrestore-failed  "), "{}", all.out);
    let class = podferry(&["explain", "invalid-archive"]);
    assert!(class.code == 0 && class.out.starts_with("invalid-archive: "), "{class:?}");
    let none = podferry(&["explain", "E9999"]);
    assert_eq!(none.code, 2);
    assert!((none.out + &none.err).contains("no such code: `E9999`"));
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let said = podferry(&["completions", shell]);
        assert!(said.code == 0 && said.out.contains("doctor"), "{shell}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_panic() {
    let script = format!("'{PODFERRY}' schema | head -c 10");
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let said = Home::new().run(command);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(said.out.len(), 10);
}

#[test]
fn a_run_that_is_not_there_cannot_be_reported() {
    let said = podferry(&["report", "nowhere"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("can't read nowhere/events.jsonl: No such file"), "{}", said.err);
}

#[test]
fn a_run_that_is_not_there_is_told() {
    for command in ["report", "recheck", "bundle"] {
        let said = podferry(&[command, "nowhere"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("can't read nowhere/events.jsonl"), "{said:?}");
    }
    let said = podferry(&["report", "nowhere", "--otlp", "grpc://localhost:4317"]);
    assert!(said.code == 2 && said.err.contains("gRPC is not spoken here"), "{said:?}");
}

/// A stored run is bundled and traced without root and without what it ran on.
#[test]
fn a_stored_run_is_bundled_and_traced() {
    let home = Home::new();
    let run = home.work().join("run");
    fs::create_dir(&run).expect("a folder");
    fs::copy(format!("{REPOSITORY}/fixtures/golden/run.jsonl"), run.join("events.jsonl")).expect("the golden run");
    let said = home.podferry(&["bundle", "run"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out.lines().count(), 4, "what did not pass: {}", said.out);
    let said = home.podferry(&["bundle", "run", "redis-migrates[engine=cri,data=64Mi]", "--out", "."]);
    assert!(said.code == 0 && said.out.contains("64Mi_.zip  "), "{said:?}");
    let said = home.podferry(&["bundle", "run", "no such case"]);
    assert!(said.code == 4 && said.err.contains("no case `no such case` in run 2026"), "{said:?}");
    let said = home.podferry(&["report", "run", "--otlp", "traces.jsonl"]);
    assert_eq!(said.code, 0, "{said:?}");
    let traces = fs::read_to_string(home.work().join("traces.jsonl")).expect("traces");
    assert_eq!(traces.lines().count(), 1 + 8, "the run and its cases");
    // Nobody listens: the verdict is told, and then that.
    let said = home.podferry(&["report", "run", "--otlp", "http://127.0.0.1:9"]);
    assert!(
        said.code == 20 && said.out.starts_with("ERRORED") && said.err.contains("can't send traces to"),
        "{said:?}"
    );
}
