//! The survey on real nodes, through the program itself: what is kept, lost and refused comes out so, and a cold start as
//! lost. Needs root, the node image and `PODFERRY_WORKLOADS`.

#[path = "machine/mod.rs"]
mod machine;
#[path = "node_image/mod.rs"]
mod node_image;

use machine::{Place, Traces, runs};
use podferry::record::{Fate, Survey, SurveyStage};
use std::fs;

/// A survey on runc of these kinds, and its exit code; nothing of it may be left.
fn survey(only: &str, more: &[&str]) -> (Survey, i32) {
    drop(node_image::rootfs());
    let place = Place::new();
    let before = Traces::now();
    let args = ["survey", "--quiet", "--engine", "runc", "--out", "out", "--only", only];
    let done = place.podferry(&args).args(more).output().expect("podferry starts");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    place.assert_clean(&before, &said);
    let folder = runs(&place.out()).pop().unwrap_or_else(|| panic!("no run: {said}"));
    for file in ["survey.md", "survey.html"] {
        assert!(folder.join(file).is_file(), "{file}: {said}");
    }
    let text = fs::read_to_string(folder.join("survey.json")).expect("survey.json");
    (serde_json::from_str(&text).expect("a survey"), done.status.code().unwrap_or(-1))
}

fn fates(survey: &Survey) -> Vec<(&str, Fate)> {
    survey.columns[0].findings.iter().map(|(name, f)| (name.as_str(), f.fate)).collect()
}

/// Two that are kept, one that is lost, one that CRIU refuses, and that one with another limit; and the hazard.
#[test]
fn each_kind_gets_a_word_of_its_own() {
    let (survey, code) = survey("heap,umask,tcp-established,deleted-large,random-state", &[]);
    assert_eq!(code, 0, "{survey:#?}");
    // As another user a container can be dumped where CRIU has CAP_SYS_RESOURCE: that is the host's.
    let found: Vec<_> = fates(&survey).into_iter().filter(|(name, _)| *name != "heap/another-user").collect();
    let wanted = [
        ("deleted-large", Fate::Refused),
        ("deleted-large/ghost-limit", Fate::Kept),
        ("heap", Fate::Kept),
        ("random-state", Fate::Kept),
        ("tcp-established", Fate::Lost),
        ("tcp-established/keep", Fate::Kept),
        ("tcp-established/refuse", Fate::Refused),
        ("umask", Fate::Kept),
    ];
    assert_eq!(found, wanted, "{:#?}", survey.columns[0].findings);
    let finding = |name: &str| &survey.columns[0].findings[name];
    let refused = finding("deleted-large");
    assert_eq!(refused.stage, Some(SurveyStage::Checkpoint));
    assert!(refused.log.iter().any(|l| l.contains("ghost")), "{refused:#?}");
    assert!(finding("random-state").hazard.is_some(), "{:#?}", finding("random-state"));
    assert_eq!((survey.leaks.len(), survey.errors.len()), (0, 0), "{survey:#?}");
}

/// The very same judgement of copies that were started anew: nothing of it may come out kept.
#[test]
fn a_cold_start_has_lost_everything() {
    let kinds = "heap,umask,process-tree,pipe,rootfs-created,rootfs-deleted,sysv-shm,environment,random-state";
    let (survey, code) = survey(kinds, &["--cold-start"]);
    assert_eq!(code, 0, "{survey:#?}");
    let kept: Vec<_> = fates(&survey).into_iter().filter(|(_, fate)| *fate == Fate::Kept).collect();
    assert_eq!(kept, []);
    let lost = fates(&survey).into_iter().filter(|(_, fate)| *fate == Fate::Lost).count();
    assert!(lost >= 9, "{:#?}", survey.columns[0].findings);
}

#[test]
fn an_unknown_kind_is_told() {
    let place = Place::new();
    let done = place.podferry(&["survey", "--only", "hep"]).output().expect("podferry starts");
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("no kind of state is named `hep`: did you mean `heap`?"), "{said}");
}
