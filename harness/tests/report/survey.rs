//! What readers of a survey see, as snapshots over one made by hand.

use podferry::record::{
    ComponentRecord, EngineKind, ErrorClass, Failure, Fate, Finding, HostRecord, NodeRecord, RunId, Survey,
    SurveyColumn, SurveyRow, SurveyStage,
};
use podferry::report::{self, Style};

fn row(name: &str, area: &str, about: &str, zdtm: &[&str]) -> SurveyRow {
    SurveyRow {
        name: name.to_owned(),
        area: area.to_owned(),
        about: about.to_owned(),
        zdtm: zdtm.iter().map(|t| (*t).to_owned()).collect(),
        alone: None,
    }
}

fn refused(how: &str, line: &str) -> Finding {
    Finding {
        stage: Some(SurveyStage::Checkpoint),
        class: Some(ErrorClass::DeletedFile),
        log: vec![line.to_owned()],
        ..Finding::new(Fate::Refused, how)
    }
}

fn column(engine: EngineKind, version: &str, findings: Vec<(&str, Finding)>) -> SurveyColumn {
    SurveyColumn {
        engine,
        versions: vec![version.to_owned()],
        unable: None,
        findings: findings.into_iter().map(|(name, f)| (name.to_owned(), f)).collect(),
        trials: 3,
        seconds: 4.25,
    }
}

pub(crate) fn survey() -> Survey {
    let kept = |how: &str| Finding::new(Fate::Kept, how);
    let ghost = |time: &str, container: &str| {
        refused(
            &format!("can't checkpoint container {container}: runc says: criu failed"),
            &format!("({time}) Error (criu/files-reg.c:1143): Can't dump ghost file /zoo/x of 3145728 size"),
        )
    };
    let hazard = Finding { hazard: Some("two restores draw the same numbers".to_owned()), ..kept("number 2 is ab") };
    let unable = SurveyColumn {
        unable: Some("containerd 2.4.0 can't restore: it has none".to_owned()),
        trials: 0,
        seconds: 0.0,
        ..column(EngineKind::Cri, "containerd 2.4.0", Vec::new())
    };
    let component = ComponentRecord {
        name: "criu".to_owned(),
        version: "4.2.1".to_owned(),
        source: "package sid".to_owned(),
        digest: "sha256:00".to_owned(),
    };
    Survey {
        schema: 1,
        id: RunId("20261122-170000-0000".to_owned()),
        podferry: "0.1.0".to_owned(),
        command: vec!["podferry".to_owned(), "survey".to_owned()],
        started: "2026-11-22T17:00:00Z".to_owned(),
        host: HostRecord {
            kernel: "6.18".to_owned(),
            os: "Debian".to_owned(),
            cpus: 2,
            cpu_model: "a <cpu>".to_owned(),
            memory_mib: 4096,
            cgroup: "hybrid".to_owned(),
        },
        image: "sid 0123".to_owned(),
        nodes: vec![NodeRecord {
            name: "a".to_owned(),
            address: "10.99.0.2".to_owned(),
            up_ms: 1.0,
            machine: Default::default(),
            components: vec![component],
            image: None,
        }],
        cold: false,
        rows: vec![
            row("heap", "memory", "8 MiB on the heap", &["mem-touch", "maps00"]),
            row("memfd", "memory", "a file in memory", &[]),
            row("huge-pages", "memory", "a page of 2 MiB", &["maps09"]),
            row("deleted-large", "open files", "an open file of 3 MiB | deleted", &["unlink_largefile"]),
            row("tcp-established", "network sockets", "an established <TCP> connection", &["socket-tcp"]),
            row("random-state", "identity", "a generator", &[]),
            row("address", "identity", "its addresses", &[]),
        ],
        columns: vec![
            column(
                EngineKind::Runc,
                "runc 1.3.6",
                vec![
                    ("heap", kept("digest ab")),
                    ("memfd", kept("100,000 bytes")),
                    ("huge-pages", Finding::new(Fate::NotApplicable, "the host has no huge page to spare")),
                    ("deleted-large", ghost("00.0205", "zoo-1-a")),
                    ("tcp-established", Finding::new(Fate::Lost, "failed to fill whole buffer")),
                    ("random-state", hazard),
                    ("address", Finding::new(Fate::Errored, "the zoo says nothing of it")),
                ],
            ),
            column(
                EngineKind::Crun,
                "crun 1.28",
                vec![
                    ("heap", kept("digest ab")),
                    ("memfd", kept("100,000 bytes")),
                    ("huge-pages", Finding::new(Fate::NotApplicable, "the host has no huge page to spare")),
                    ("deleted-large", ghost("00.0399", "zoo-9-a")),
                    ("tcp-established", Finding::new(Fate::Lost, "failed to fill whole buffer")),
                ],
            ),
            unable,
        ],
        leaks: Vec::new(),
        errors: vec![Failure::surroundings("node b did not come back")],
        interrupted: true,
        timed_out: false,
    }
}

#[test]
fn terminal_of_a_survey() {
    insta::assert_snapshot!(report::survey::terminal(&survey(), "target/e2e/latest", Style::PLAIN));
}

#[test]
fn markdown_of_a_survey() {
    insta::assert_snapshot!(report::survey::markdown(&survey()));
}

#[test]
fn json_of_a_survey() {
    let text = report::survey::json(&survey());
    insta::assert_snapshot!(text);
    assert_eq!(serde_json::from_str::<Survey>(&text).unwrap(), survey());
}

#[test]
fn a_survey_as_a_page_shows_what_strangers_say_as_text() {
    let mut hostile = survey();
    let script = "<script>alert(1)</script>";
    hostile.columns[0].findings.insert("heap".to_owned(), Finding::new(Fate::Lost, script));
    hostile.rows[1].about = script.to_owned();
    let page = report::survey::html(&hostile);
    assert!(!page.contains(script), "it is markup");
    assert!(page.contains("&lt;script&gt;alert(1)"), "it is not shown");
    for wanted in
        ["kept (!)", "not tried", "Can't dump ghost file", "can show nothing", "20261122-170000-0000", "s-failed"]
    {
        assert!(page.contains(wanted) || page.contains(&wanted.replace('\'', "&#x27;")), "no `{wanted}`");
    }
}

#[test]
fn an_empty_survey_says_so() {
    let none = Survey { rows: Vec::new(), columns: Vec::new(), nodes: Vec::new(), errors: Vec::new(), ..survey() };
    let said = report::survey::terminal(&none, "out", Style::PLAIN);
    assert!(said.contains("0 kinds of state on 0 engines: nothing was found (interrupted)"), "{said}");
    assert_eq!(none.count(Fate::Kept), 0);
}
