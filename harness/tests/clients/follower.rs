use crate::{config, soon};
use jiff::Timestamp;
use podferry::client::{Client, Endpoint, Kind};
use podferry::clock;
use podferry::record::{At, History};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

fn log(path: &Path) -> Endpoint {
    Endpoint::Log { path: path.to_owned(), not_before: None }
}

fn follow(path: &Path) -> Client {
    Client::start(config(Kind::LogFollower, "src", log(path))).unwrap()
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn values(history: &History, endpoint: u32) -> Vec<u64> {
    history.ops.iter().filter(|op| op.endpoint == endpoint).map(|op| op.value).collect()
}

#[test]
fn a_log_is_followed_from_before_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pods");
    let path = folder.join("0.log");
    let client = follow(&path);
    std::thread::sleep(Duration::from_millis(10));
    fs::create_dir(&folder).unwrap();
    append(&path, "1\n2\n");
    client.wait_answers(2, soon()).unwrap();
    let wrote = clock::now();
    append(&path, "3");
    append(&path, "4\nno number\n35\n");
    let seen = client.watch().wait_value(35, soon()).unwrap();
    assert!(seen.at >= wrote && seen.at.since(wrote) < Duration::from_millis(50), "{:?}", seen.at.since(wrote));
    let history = client.stop();
    assert_eq!(values(&history, 0), [1, 2, 34, 35]);
    assert_eq!((history.interval_ns, history.ended_early), (0, None));
}

#[test]
fn what_was_there_at_the_start_is_left_out_and_a_new_logs_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old.log"), dir.path().join("new.log"));
    append(&old, "1\n2\n");
    let client = follow(&old);
    std::thread::sleep(Duration::from_millis(20));
    append(&old, "3\n");
    client.wait_answers(1, soon()).unwrap();
    append(&new, "3\n4\n");
    client.switch("copy", log(&new)).unwrap();
    client.first_answer_from("copy", soon()).unwrap();
    append(&old, "5\n");
    append(&new, "6\n");
    client.wait_answers(4, soon()).unwrap();
    let history = client.stop();
    assert_eq!((values(&history, 0), values(&history, 1)), (vec![3], vec![3, 4, 6]));
}

/// containerd copies the source's log to the restored container's: those lines are no sign of life.
#[test]
fn a_copied_past_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old.log"), dir.path().join("new.log"));
    let line = |stamp: Timestamp, n: u64| format!("{stamp} stdout F {n}\n");
    let client = follow(&old);
    append(&old, &line(Timestamp::now(), 1));
    client.wait_answers(1, soon()).unwrap();
    append(&new, &fs::read_to_string(&old).unwrap());
    std::thread::sleep(Duration::from_millis(20));
    let restored: At = clock::now();
    append(&new, &line(Timestamp::now(), 2));
    std::thread::sleep(Duration::from_millis(5));
    let endpoint = Endpoint::Log { path: new.clone(), not_before: Some(restored) };
    client.switch("copy", endpoint).unwrap();
    append(&new, &line(Timestamp::now(), 3));
    client.wait_answers(3, soon()).unwrap();
    let history = client.stop();
    assert_eq!((values(&history, 0), values(&history, 1)), (vec![1], vec![2, 3]));
}
