use super::{ImageSource, KINDS, Speech, Workload};
use crate::record::{ErrorClass, Failure};
use std::collections::BTreeMap;

fn workload(kind: &str, with: &[(&str, &str)]) -> Result<Workload, String> {
    let with: BTreeMap<String, String> = with.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Workload::new(kind, &with).map_err(|e| e.to_string())
}

#[test]
fn every_workload_has_an_image_and_arguments() {
    let mut text = String::new();
    for kind in KINDS.iter().filter(|k| k.name != "archive") {
        let w = workload(kind.name, &[]).unwrap();
        let ImageSource::Made(spec) = &w.source else { panic!("{} is not made", kind.name) };
        assert_eq!(spec.repository, format!("podferry/{}", kind.name));
        text += &format!("{} port {:?}: {:?}\n", kind.name, w.port, w.args);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn an_image_serves_all_settings() {
    let plain = workload("redis", &[]).unwrap();
    let full = workload("redis", &[("data", "64Mi"), ("digest", "false")]).unwrap();
    assert_eq!(plain.source, full.source);
    assert_eq!(full.speech, Speech::Redis { keys: (64 << 20) / 4000 + 1, digest: false });
}

#[test]
fn a_users_own_image() {
    let w = workload("archive", &[("archive", "x.tar"), ("args", "/bin/x  -v"), ("port", "80")]).unwrap();
    assert_eq!(
        (w.args.as_slice(), w.port, w.speech),
        (&["/bin/x".to_owned(), "-v".to_owned()][..], Some(80), Speech::Tcp)
    );
    assert_eq!(w.source, ImageSource::Archive("x.tar".into()));
    assert_eq!(workload("archive", &[("archive", "x.tar")]).unwrap().speech, Speech::None);
}

#[test]
fn wrong_settings_are_told() {
    let wrong = |kind, with: &[(&str, &str)]| workload(kind, with).unwrap_err();
    assert_eq!(wrong("mysql", &[]), "there is no workload `mysql`");
    assert_eq!(wrong("memory", &[("data", "5Ki")]), "workload memory: `data`: less than 1Mi");
    assert_eq!(wrong("archive", &[("archive", "x"), ("port", "99999")]), "workload archive: `port`: no port");
    let probe = wrong("archive", &[("archive", "x"), ("probe", "redis")]);
    assert_eq!(probe, "workload archive: `port`: is needed by this probe");
    let probe = wrong("archive", &[("archive", "x"), ("probe", "mysql")]);
    assert_eq!(probe, "workload archive: `probe`: there is no probe `mysql`");
}

/// What is listened to but never answers, and what is not listened to at all, end with the wait's own words.
#[test]
fn a_wait_ends_and_says_what_it_waited_for() {
    use super::{Connect, Target};
    use crate::client::Vantage;
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    let here: Vantage = Arc::new(|| Ok(()));
    let target =
        Target { connect: Arc::new(here) as Arc<dyn Connect>, address: [127, 0, 0, 1].into(), log: "/none".into() };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut counter = workload("counter", &[]).unwrap();
    counter.port = Some(silent.local_addr().unwrap().port());
    let began = Instant::now();
    let failure = Failure::from(counter.ready(&target, Duration::from_millis(100)).unwrap_err());
    assert_eq!(failure.class, ErrorClass::Timeout);
    assert!(failure.message.starts_with("waited 100ms for an answer of 127.0.0.1:"), "{}", failure.message);
    drop(silent);
    let failure = Failure::from(counter.ready(&target, Duration::from_millis(100)).unwrap_err());
    assert!(
        failure.message.ends_with("to accept a connection; last: Connection refused (os error 111)"),
        "{}",
        failure.message
    );
    let looper = workload("looper", &[]).unwrap();
    let failure = Failure::from(looper.ready(&target, Duration::from_millis(20)).unwrap_err());
    assert!(
        failure.message.starts_with("waited 20ms for a number in the log /none; last: No such file"),
        "{}",
        failure.message
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}
