use super::*;
use crate::record::RunId;
use std::sync::Mutex;

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn say(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

fn publish(cache: &Cache, spec: &NodeImageSpec, key: &str) -> Held {
    for sub in ["images", "locks", "specs"] {
        fs::create_dir_all(cache.dir().join(sub)).unwrap();
    }
    let unfinished = cache.unfinished(&spec.key(1), &()).unwrap();
    fs::write(unfinished.dir.join("image.json"), key).unwrap();
    cache.publish(spec, &spec.key(1), key, unfinished).unwrap()
}

fn names(cache: &Cache) -> Vec<String> {
    let mut names: Vec<_> = entries(&cache.images())
        .unwrap()
        .into_iter()
        .map(|p| p.file_name().unwrap().to_string_lossy().chars().take(4).collect())
        .collect();
    names.sort();
    names
}

#[test]
fn an_image_is_found_once_it_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let spec = NodeImageSpec::named("sid").unwrap();
    assert!(cache.find(&spec.key(1)).is_none());
    publish(&cache, &spec, "aaaa");
    let found = cache.find(&spec.key(1)).unwrap();
    assert_eq!(fs::read(found.dir.join("image.json")).unwrap(), b"aaaa");
    assert!(cache.find(&spec.key(2)).is_none());
}

#[test]
fn an_old_image_goes_unless_someone_uses_it_and_other_suites_stay() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let (sid, trixie) = (NodeImageSpec::named("sid").unwrap(), NodeImageSpec::named("trixie").unwrap());
    drop(publish(&cache, &trixie, "cccc"));
    let used = publish(&cache, &sid, "aaaa");
    drop(publish(&cache, &sid, "bbbb"));
    assert_eq!(names(&cache), ["aaaa", "bbbb", "cccc"]);
    assert!(used.dir.join("image.json").exists());
    drop(used);
    let again = publish(&cache, &sid, "bbbb");
    assert_eq!(names(&cache), ["bbbb", "cccc"]);
    // The same content made anew while the old one is in use: both are there, and the old one goes later.
    drop(publish(&cache, &sid, "bbbb"));
    assert_eq!(names(&cache), [".old", "bbbb", "cccc"]);
    drop(again);
    drop(publish(&cache, &sid, "bbbb"));
    assert_eq!(names(&cache), ["bbbb", "cccc"]);
}

#[test]
fn an_unfinished_image_is_claimed_and_goes_when_it_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("images")).unwrap();
    let ledger = Arc::new(Ledger::open_in(&dir.path().join("runs"), &RunId("r".into())).unwrap());
    let cache = Cache::at(dir.path()).with_ledger(ledger.clone());
    let unfinished = cache.unfinished("k", &()).unwrap();
    let place = unfinished.dir.clone();
    assert_eq!(ledger.claims().unwrap()[0].name, place.display().to_string());
    assert!(place.exists());
    drop(unfinished);
    assert!(!place.exists());
    assert!(ledger.claims().unwrap().is_empty());
}

#[test]
fn what_a_killed_run_had_begun_goes_and_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let left = dir.path().join("images/.unfinished-k/rootfs/etc/passwd");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, "").unwrap();
    let told = Told::default();
    let unfinished = cache.unfinished("k", &told).unwrap();
    assert_eq!(fs::read_dir(&unfinished.dir).unwrap().count(), 0);
    assert_eq!(*told.0.lock().unwrap(), ["node image: removing what an interrupted run had begun"]);
}

#[tokio::test]
async fn a_sweep_leaves_what_a_living_run_is_making() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let lock = cache.lock("k", "node image sid", &()).await.unwrap();
    let unfinished = cache.unfinished("k", &()).unwrap();
    sweep_unfinished(&unfinished.dir).unwrap();
    assert!(unfinished.dir.exists());
    drop(lock);
    sweep_unfinished(&unfinished.dir).unwrap();
    assert!(!unfinished.dir.exists());
    sweep_unfinished(&unfinished.dir).unwrap();
    sweep_unfinished(dir.path()).unwrap_err();
    assert!(dir.path().exists());
}

#[tokio::test]
async fn the_second_waits_for_the_first_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let first = cache.lock("k", "node image sid", &()).await.unwrap();
    let told = Told::default();
    let second = async {
        let lock = cache.lock("k", "node image sid", &told).await.unwrap();
        assert!(told.0.lock().unwrap()[1].starts_with("node image sid: the other run is done after "));
        lock
    };
    let release = async {
        while told.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*told.0.lock().unwrap(), ["node image sid: another run is making it; waiting for it to be done"]);
        drop(first);
    };
    tokio::join!(second, release);
}
