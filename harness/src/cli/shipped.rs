//! The shipped suite, inside the binary: it runs wherever the binary is.

macro_rules! shipped {
    ($name:literal) => {
        (concat!("scenarios/", $name, ".yaml"), include_str!(concat!("../../../scenarios/", $name, ".yaml")))
    };
}

/// (file, text), in the order in which they run.
pub(super) const SUITE: &[(&str, &str)] = &[
    shipped!("looper-migrates"),
    shipped!("counter-migrates"),
    shipped!("counter-round-trip"),
    shipped!("redis-migrates"),
    shipped!("redis-migrates-unfenced"),
    shipped!("memory-migrates"),
    shipped!("memcached-migrates"),
    shipped!("nginx-migrates"),
    shipped!("python-migrates"),
    shipped!("restore-three-times"),
    shipped!("checkpoint-image"),
    shipped!("slow-start"),
    shipped!("snapshots"),
    shipped!("node-restart"),
    shipped!("memory-peak"),
    shipped!("memory-killed"),
    shipped!("eviction"),
    shipped!("twenty-hops"),
    shipped!("volume-follows"),
    shipped!("volume-shared"),
    shipped!("volume-missing"),
    shipped!("truncated-archive"),
    shipped!("escaping-archive"),
    shipped!("escaping-link"),
    shipped!("damaged-archive"),
    shipped!("flipped-header"),
    shipped!("flipped-bit"),
    shipped!("missing-entry"),
    shipped!("missing-entry-cri"),
    shipped!("missing-entry-runc"),
    shipped!("missing-entry-unneeded"),
    shipped!("missing-entry-unneeded-cri"),
    shipped!("not-running"),
    shipped!("not-started"),
    shipped!("unknown-container"),
    shipped!("name-taken"),
    shipped!("port-taken"),
    shipped!("base-image"),
    shipped!("memory-short"),
    shipped!("process-state-refused"),
    shipped!("process-state-carried"),
    shipped!("connections-closed"),
    shipped!("outside-socket"),
    shipped!("kill-containerd"),
    shipped!("criu-missing"),
    shipped!("containerd-killed-dumping"),
    shipped!("containerd-killed-target"),
    shipped!("containerd-killed-source"),
    shipped!("dumper-killed"),
    shipped!("shim-killed"),
    shipped!("disk-full-images"),
    shipped!("disk-full-archive"),
    shipped!("disk-full-target"),
    shipped!("link-cut"),
    shipped!("link-slow"),
    shipped!("runtime-call-fails"),
    shipped!("runtime-call-late"),
    shipped!("node-paused"),
    shipped!("memory-short-target"),
    shipped!("archive-overwritten"),
    shipped!("trap-given-up"),
    shipped!("trap-two-at-once"),
    shipped!("trap-stale-tail"),
    shipped!("trap-cut-pages"),
    shipped!("trap-lost-files"),
    shipped!("trap-flipped-memory"),
    shipped!("trap-newer-log"),
    shipped!("trap-dropped-log"),
    shipped!("trap-other-user"),
];

#[cfg(test)]
mod tests {
    use super::SUITE;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_shipped_scenario_is_in_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|e| format!("scenarios/{}", e.expect("an entry").file_name().to_string_lossy()))
            .collect();
        let here: BTreeSet<String> = SUITE.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(there, here);
    }
}
