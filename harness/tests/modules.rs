//! Programs built from Go modules, for real. Needs Go and its module proxy, or Go's own cache.

use podferry::component::{Cache, Wanted, build, cluster, verify};
use podferry::record::Chain;
use std::fs;
use std::process::Command;

const PATCH: &str = r#"--- a/etcdmain/config.go
+++ b/etcdmain/config.go
@@ -156 +156 @@
-		fmt.Printf("etcd Version: %s\n", version.Version)
+		fmt.Printf("patched etcd Version: %s\n", version.Version)
"#;

#[tokio::test]
async fn a_patched_module_is_built_once_and_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path().join("cache"));
    let folder = dir.path().join("patches");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("0001-word.patch"), PATCH).unwrap();
    let patched = Wanted { patches: Some(folder.clone()), ..Wanted::named("etcd") };

    let built = build(&patched, &cache, &()).await.unwrap();
    assert!(built.now);
    let said = Command::new(&built.path).arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with(&format!("patched etcd Version: {}\n", built.record.version)), "{said}");
    let source =
        format!("module go.etcd.io/etcd/server/v3@v{} with the patches of {}", built.record.version, folder.display());
    assert_eq!(built.record.source, source);

    let again = build(&patched, &cache, &()).await.unwrap();
    assert_eq!((again.now, &again.path, &again.record), (false, &built.path, &built.record));
    assert_eq!(verify(&Wanted::named("etcd"), &cache).unwrap(), None, "without patches it is another program");

    fs::write(folder.join("0002-none.patch"), PATCH).unwrap();
    let error = build(&patched, &cache, &()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("can't build etcd: patch 0002-none.patch does not apply\n"),
        "{}",
        Chain(&error)
    );
    let left: Vec<_> = fs::read_dir(cache.dir().join("components")).unwrap().collect();
    assert_eq!(left.len(), 1, "what failed leaves nothing");
}

#[tokio::test]
async fn a_kubernetes_that_there_is_not_is_told_with_those_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let error = cluster("1.2", &[], &Cache::at(dir.path()), &()).await.unwrap_err();
    assert_eq!(error.to_string(), "podferry builds no Kubernetes 1.2");
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("it builds 1.") && hint.contains(", 1.35.") && !hint.contains("beta"), "{hint}");
}
