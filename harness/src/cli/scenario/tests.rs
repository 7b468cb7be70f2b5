use super::*;
use crate::cli::estimate::Past;
use crate::record::{EngineKind, Tier};
use crate::scenario::plan::{Case, Repeat};
use crate::scenario::{Setting, SettingKind};

const SETTINGS: &[Setting] = &[Setting { name: "data", kind: SettingKind::Size, required: false, about: "size" }];
const KINDS: &[WorkloadKind] = &[WorkloadKind {
    name: "redis",
    about: "redis",
    settings: SETTINGS,
    counter: false,
    identity: true,
    memory_digest: false,
    clients: &[crate::scenario::plan::ClientKind::RedisWriter],
    variants: &[],
}];

fn template(folder: &Path, name: &str, change: (&str, &str)) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, crate::scenario::new_template().replace(change.0, change.1)).unwrap();
    path
}

fn selection(filters: &[&str]) -> Selection {
    Selection {
        engines: vec![EngineKind::Cri, EngineKind::Runc],
        tier: None,
        filters: filters.iter().map(|f| (*f).to_owned()).collect(),
        condition: None,
        params: Vec::new(),
    }
}

#[test]
fn clean_files_pass_and_broken_ones_exit_3() {
    let folder = tempfile::tempdir().unwrap();
    template(folder.path(), "good.yaml", ("", ""));
    let paths = [folder.path().to_owned()];
    let (out, code) = lint(&paths, KINDS, Format::Human);
    assert_eq!((out.as_str(), code), ("1 file, 0 errors, 0 warnings\n", 0));

    let bad = template(folder.path(), "bad.yaml", ("workload: redis,", "workload: rediss,"));
    let (out, code) = lint(&paths, KINDS, Format::Short);
    assert_eq!(code, 3);
    assert!(out.contains("bad.yaml:25:26: error[E0101]: there is no workload `rediss` (write `redis`)"), "{out}");
    let (out, _) = lint(&[bad], KINDS, Format::Github);
    assert!(out.starts_with("::error file=") && out.contains(",line=25,col=26,title=E0101::"), "{out}");
    let (out, _) = lint(&paths, KINDS, Format::Json);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["diagnostics"][0]["code"], "E0101");
    assert_eq!(value["diagnostics"][0]["line"], 25);
}

#[test]
fn findings_are_told_as_sarif() {
    let folder = tempfile::tempdir().unwrap();
    let bad = template(folder.path(), "bad.yaml", ("workload: redis,", "workload: rediss,"));
    let read = |paths: &[PathBuf]| -> (serde_sarif::sarif::Sarif, u8) {
        let (out, code) = lint(paths, KINDS, Format::Sarif);
        (serde_json::from_str(&out).expect("SARIF"), code)
    };
    let (log, code) = read(&[bad.clone(), folder.path().join("none.yaml")]);
    assert_eq!(code, 2, "a file that is not there");
    let run = &log.runs[0];
    let ran = &run.invocations.as_ref().expect("an invocation")[0];
    assert!(!ran.execution_successful);
    let (log, code) = read(std::slice::from_ref(&bad));
    assert_eq!(code, 3);
    let run = &log.runs[0];
    let (finding, rules) = (&run.results.as_ref().unwrap()[0], run.tool.driver.rules.as_ref().unwrap());
    assert_eq!((finding.rule_id.as_deref(), rules[0].id.as_str()), (Some("E0101"), "E0101"));
    assert_eq!(finding.message.text.as_deref(), Some("there is no workload `rediss` (write `redis`)"));
    let place = finding.locations.as_ref().unwrap()[0].physical_location.as_ref().unwrap();
    let (region, file) = (place.region.as_ref().unwrap(), place.artifact_location.as_ref().unwrap());
    assert_eq!((region.start_line, region.start_column), (Some(25), Some(26)));
    assert_eq!(file.uri.as_deref(), bad.to_str());
}

#[test]
fn two_scenarios_of_one_name_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    template(folder.path(), "one.yaml", ("", ""));
    template(folder.path(), "two.yaml", ("", ""));
    let (out, code) = lint(&[folder.path().to_owned()], KINDS, Format::Human);
    assert_eq!(code, 3);
    assert!(out.contains("E0107") && out.contains("one.yaml"), "{out}");
}

#[test]
fn a_file_that_is_not_there_is_a_usage_error() {
    let (out, code) = lint(&[PathBuf::from("no/such.yaml")], KINDS, Format::Human);
    assert_eq!(code, 2);
    assert!(out.starts_with("error: cannot read `no/such.yaml`: "), "{out}");
    assert!(out.ends_with("\n1 file could not be read, and nothing was checked\n"), "{out}");
    let folder = tempfile::tempdir().unwrap();
    let good = template(folder.path(), "good.yaml", ("", ""));
    let (out, code) = lint(&[PathBuf::from("no/such.yaml"), good], KINDS, Format::Human);
    assert_eq!(code, 2);
    assert!(out.ends_with("\n1 file could not be read; in the other 1 file: 0 errors, 0 warnings\n"), "{out}");
}

/// As every path in a file of settings: it stays right where the file is called from elsewhere.
#[test]
fn an_archive_is_looked_for_from_the_scenarios_own_folder() {
    let kinds = crate::workload::KINDS;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("images")).unwrap();
    let path = folder.path().join("own.yaml");
    let text = "apiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata: {name: own}\nspec:\n  workloads:\n    job:\n      \
                use: archive\n      with:\n        archive: images/job.tar\n        probe: log\n  steps:\n    - deploy: \
                {workload: job}\n  checks:\n    - instance: {of: job, state: running}\n";
    std::fs::write(&path, text).unwrap();
    let paths = [path.clone()];
    let there = folder.path().join("images/job.tar").display().to_string();
    let wanted = format!(
        "{}:9:18: error[E0103]: there is no file `images/job.tar` (it was looked for as `{there}`: a path is one from the \
         scenario's own folder)\n",
        path.display()
    );
    assert_eq!(lint(&paths, kinds, Format::Short), (wanted, 3));
    assert_eq!(planned(&paths, kinds, &selection(&[])).unwrap_err().1, 3);
    assert!(planned_only(&paths, kinds, &selection(&[])).is_ok(), "a stored run is judged where its images are not");
    std::fs::create_dir(&there).unwrap();
    assert_eq!(lint(&paths, kinds, Format::Short).1, 3, "a folder is no file");
    std::fs::remove_dir(&there).unwrap();
    std::fs::write(&there, "").unwrap();
    assert_eq!(lint(&paths, kinds, Format::Short), (String::new(), 0));
    let plan = planned(&paths, kinds, &selection(&[])).unwrap();
    assert_eq!(plan.cases[0].workloads["job"].with["archive"], there, "what is run is what was looked for");
    std::fs::write(&path, text.replace("images/job.tar", &there)).unwrap();
    assert_eq!(planned(&paths, kinds, &selection(&[])).unwrap().cases[0].workloads["job"].with["archive"], there);
}

#[test]
fn selections() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [template(folder.path(), "good.yaml", ("", ""))];
    let names = |s: &Selection| list(&paths, KINDS, s, &[], PlanFormat::Human);
    let all = "my-redis-migrates[engine=cri,data=1Mi]\nmy-redis-migrates[engine=runc,data=1Mi]\n\
               my-redis-migrates[engine=cri,data=64Mi]\nmy-redis-migrates[engine=runc,data=64Mi]\n";
    assert_eq!(names(&selection(&[])), (all.to_owned(), 0));
    assert_eq!(names(&selection(&["redis"])).0, all);
    assert_eq!(names(&selection(&["my-*-migrates"])).0, all);
    assert_eq!(names(&selection(&["area=migration"])).0, all);
    assert_eq!(names(&selection(&["engine=cri", "!data=64Mi"])).0.lines().count(), 1);
    assert_eq!(names(&selection(&["my-redis-migrates[engine=cri,data=1Mi]"])).0.lines().count(), 1);
    let (out, code) = names(&selection(&["memcached"]));
    assert_eq!(code, 4);
    assert!(out.contains("no case matches `memcached` with engines cri, runc"), "{out}");
    let (out, _) = names(&selection(&["my-redis-migrats"]));
    assert!(out.ends_with("hint: did you mean `my-redis-migrates`?\n"), "{out}");
    let mut other = selection(&["engine=cri"]);
    other.params = vec![("data".into(), "2Mi".into())];
    assert_eq!(names(&other).0, "my-redis-migrates[engine=cri,data=2Mi]\n");
}

#[test]
fn a_selection_by_expression() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [template(folder.path(), "good.yaml", ("", ""))];
    let of = |text: &str| Selection { condition: Some(text.to_owned()), ..selection(&[]) };
    let chosen = |text: &str| list(&paths, KINDS, &of(text), &[], PlanFormat::Human);
    let one = "my-redis-migrates[engine=runc,data=64Mi]\n";
    assert_eq!(chosen("engine == \"runc\" && matrix.data > \"1Mi\"").0, one);
    assert_eq!(chosen("tier == \"core\" && labels.area == \"migration\"").0.lines().count(), 4);
    assert_eq!(chosen("scenario.starts_with(\"my-\") && !(engine in [\"cri\"])").0.lines().count(), 2);
    let (out, code) = chosen("engine == \"crio\"");
    assert!(code == 4 && out.contains("no case matches `engine == \"crio\"`"), "{out}");
    for (text, wanted) in [
        ("engin == \"cri\"", "did you mean `engine`?"),
        ("matrix.dta > 1", "did you mean `data`?"),
        ("engine = \"cri\"", "unexpected '='"),
        ("matrix.data > 3", "for my-redis-migrates[engine=cri,data=1Mi]"),
        ("matrix.data", "neither true nor false"),
    ] {
        let (out, code) = chosen(text);
        assert_eq!(code, 2, "{out}");
        assert!(out.contains(wanted) && out.contains("--where:1:"), "{text}: {out}");
    }
}

#[test]
fn values_for_what_is_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let more = "  parameters: {count: {default: 200, description: how many answers}}\n  workloads:";
    let path = template(folder.path(), "good.yaml", ("  workloads:", more));
    let text = std::fs::read_to_string(&path).unwrap().replacen("count: 200", "count: \"${params.count}\"", 1);
    std::fs::write(&path, text).unwrap();
    let paths = [path];
    let of =
        |name: &str, value: &str| Selection { params: vec![(name.to_owned(), value.to_owned())], ..selection(&[]) };
    let (out, code) = list(&paths, KINDS, &of("cuont", "5"), &[], PlanFormat::Human);
    let wanted = "error: no scenario has an axis or a parameter `cuont`\nhint: did you mean `count`?\n\
                  parameter count=200: how many answers\n";
    assert_eq!((out.as_str(), code), (wanted, 2));
    let (out, _) = list(&paths, KINDS, &of("count", "500"), &[], PlanFormat::Human);
    assert!(out.starts_with("my-redis-migrates[engine=cri,data=1Mi,count=500]\n"), "{out}");
    let (out, code) = list(&paths, KINDS, &of("count", "many"), &[], PlanFormat::Human);
    assert!(code == 3 && out.contains("`many` is not a count such as `200`"), "{out}");
    let usual = list(&paths, KINDS, &selection(&[]), &[], PlanFormat::Human).0;
    assert!(
        usual.starts_with("my-redis-migrates[engine=cri,data=1Mi]\n"),
        "who gives nothing has the name as ever: {usual}"
    );
}

#[test]
fn a_tier_leaves_cases_out_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    template(folder.path(), "core.yaml", ("", ""));
    template(folder.path(), "full.yaml", ("name: my-redis-migrates", "name: deep\n  tier: full"));
    let paths = [folder.path().to_owned()];
    let of = |tier| Selection { tier, ..selection(&[]) };
    let planned = |tier| planned(&paths, KINDS, &of(tier)).unwrap();
    let core = planned(Some(Tier::Core));
    assert_eq!((core.cases.len(), core.beyond), (4, 4));
    assert!(core.cases.iter().all(|c| c.scenario == "my-redis-migrates"));
    assert_eq!(beyond(&core).unwrap(), "4 cases of one tier; 4 more with --tier all");
    assert!(planned(Some(Tier::Full)).cases.iter().all(|c| c.scenario == "deep"));
    let all = planned(None);
    assert_eq!((all.cases.len(), beyond(&all)), (8, None));
    let by_label = list(&paths, KINDS, &selection(&["tier=full"]), &[], PlanFormat::Human).0;
    assert_eq!(by_label.lines().count(), 4);
}

#[test]
fn repeated_cases_have_time_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [template(folder.path(), "good.yaml", ("", ""))];
    let once = planned(&paths, KINDS, &selection(&[])).unwrap();
    let often = once.clone().repeated(Repeat::Times(200));
    assert_eq!(often.cases[0].repetitions, 200 * once.cases[0].repetitions);
    assert_eq!(often.cases[0].timeout, 200 * once.cases[0].timeout);
}

#[test]
fn a_plan_shows_steps_and_checks() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [template(folder.path(), "good.yaml", ("", ""))];
    let (past, skip) =
        (Past::default(), |case: &Case| (case.engine == EngineKind::Runc).then(|| "no runc here".to_owned()));
    let about = About { stacks: &[], past: &past, skip: &skip };
    let (out, code) = plan(&paths, KINDS, &selection(&["data=1Mi"]), &about, PlanFormat::Human);
    assert_eq!(code, 0);
    insta::assert_snapshot!(out.replace(&folder.path().display().to_string(), "DIR"));
    let (out, _) = plan(&paths, KINDS, &selection(&[]), &about, PlanFormat::Json);
    let cases = serde_json::from_str::<serde_json::Value>(&out).unwrap()["cases"].take();
    assert_eq!(cases.as_array().unwrap().len(), 4);
    assert_eq!(
        (&cases[0]["estimate_is_measured"], &cases[1]["will_be_skipped"]),
        (&false.into(), &"no runc here".into())
    );
}

#[test]
fn explanations() {
    assert!(explain(Some("E0001")).0.starts_with("E0001: "));
    assert!(explain(Some("invalid-archive")).1 == 0);
    assert_eq!(explain(Some("E9")).1, 2);
    let all = explain(None).0;
    let (codes, errors) = all.split_once("\n\n").expect("two groups");
    let heading = "Codes of diagnostics, which `podferry lint` tells:";
    assert!(codes.starts_with(&format!("{heading}\nE0001  the file is not YAML\n")), "{all}");
    assert_eq!(codes.lines().count(), 1 + CODES.len());
    assert!(errors.starts_with("Classes of errors, which steps end with:\ninvalid-archive        The "), "{all}");
    assert_eq!(errors.lines().count(), 1 + classes().count());
    for (name, _) in classes() {
        assert_eq!(explain(Some(name)).1, 0, "{name}");
    }
}
