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
    shipped!("strategy-stream"),
    shipped!("strategy-post-copy"),
    shipped!("strategies"),
    shipped!("strategy-live-copy"),
    shipped!("strategy-placed"),
    shipped!("strategy-placed-fails"),
    shipped!("strategy-pre-copy"),
    shipped!("memory-migrates"),
    shipped!("memcached-migrates"),
    shipped!("nginx-migrates"),
    shipped!("python-migrates"),
    shipped!("restore-three-times"),
    shipped!("checkpoint-image"),
    shipped!("slow-start"),
    shipped!("snapshots"),
    shipped!("redis-snapshots"),
    shipped!("node-restart"),
    shipped!("memory-peak"),
    shipped!("memory-killed"),
    shipped!("eviction"),
    shipped!("twenty-hops"),
    shipped!("pod-one-instant"),
    shipped!("pod-two-instants"),
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
    shipped!("changed-archive-ctr"),
    shipped!("missing-entry-podman"),
    shipped!("missing-entry-unneeded"),
    shipped!("missing-entry-network"),
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
    shipped!("connections-kept"),
    shipped!("connections-kept-back"),
    shipped!("connections-kept-late"),
    shipped!("connections-reset"),
    shipped!("connections-refused"),
    shipped!("connections-restore-failed"),
    shipped!("outside-socket"),
    shipped!("kill-containerd"),
    shipped!("criu-missing"),
    shipped!("containerd-killed-dumping"),
    shipped!("containerd-killed-target"),
    shipped!("containerd-killed-source"),
    shipped!("dumper-killed"),
    shipped!("shim-killed"),
    shipped!("workload-killed"),
    shipped!("disk-full-images"),
    shipped!("disk-full-archive"),
    shipped!("disk-full-target"),
    shipped!("link-cut"),
    shipped!("stream-link-cut"),
    shipped!("post-copy-link-cut"),
    shipped!("post-copy-source-lost"),
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
    shipped!("trap-extra-mount"),
    shipped!("trap-killed-daemon"),
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

    /// Who learns from the guide copies them as they are.
    #[test]
    fn the_guides_scenarios_have_nothing_wrong() {
        let guide = include_str!("../../../docs/guide.md");
        let blocks: Vec<&str> = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(blocks.len() >= 2, "{blocks:?}");
        for block in blocks {
            let (scenario, found) = crate::scenario::load(block, "guide.yaml", crate::workload::KINDS);
            assert!(scenario.is_some() && found.is_empty(), "{found:?} in {block}");
        }
    }

    /// What the language's own tests run on nodes.
    #[test]
    fn the_languages_own_scenarios_have_nothing_wrong() {
        for text in [
            include_str!("../../../fixtures/language/tour.yaml"),
            include_str!("../../../fixtures/language/known.yaml"),
        ] {
            let (scenario, found) = crate::scenario::load(text, "language.yaml", crate::workload::KINDS);
            assert!(scenario.is_some() && found.is_empty(), "{found:?}");
        }
    }

    /// `docs/traps.md` and the scenarios tell of the same traps, by the same names and in the same words.
    #[test]
    fn the_page_of_traps_is_in_step() {
        let page = include_str!("../../../docs/traps.md");
        let scenarios = SUITE.iter().filter_map(|(file, text)| {
            let (scenario, found) = crate::scenario::load(text, file, crate::workload::KINDS);
            let scenario = scenario.unwrap_or_else(|| panic!("{file}: {found:?}"));
            let is_trap = scenario.labels().any(|label| label == ("area", "trap"));
            assert_eq!(scenario.trap().is_some(), is_trap, "{file}: a trap has `metadata.trap` and the label");
            scenario.trap().map(|trap| (scenario.name().to_owned(), trap.to_owned()))
        });
        let scenarios: BTreeSet<(String, String)> = scenarios.collect();
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows = page.lines().filter(|l| l.starts_with('|')).map(cells);
        let told: BTreeSet<(String, String)> = rows
            .filter_map(|row| {
                let name = row.iter().rev().find(|c| !c.is_empty())?.strip_prefix("`trap-")?.strip_suffix('`')?;
                Some((format!("trap-{name}"), row[1].clone()))
            })
            .collect();
        assert_eq!(told, scenarios, "the table");
        let heads: BTreeSet<(String, String)> = page
            .lines()
            .filter_map(|l| l.strip_prefix("## `")?.split_once("`: "))
            .map(|(name, trap)| (name.to_owned(), trap.to_owned()))
            .collect();
        assert_eq!(heads, scenarios, "the sections");
    }
}
