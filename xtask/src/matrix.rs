//! The lanes of CI, parted into cells for as many machines: provider, engine, versions of components, a part of the cases. Every
//! cell runs anywhere by its name: `cargo xtask ci NAME`.

use crate::build::{self, Profile};
use crate::ci;

/// One job of a matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The lane that it is a part of; it is the lane itself if that is its name.
    pub(crate) lane: &'static str,
    /// `e2e-cri-1of2`: fit for the name of a job and of a file.
    pub(crate) name: String,
    provider: &'static str,
    /// The version of the cluster, if there is one.
    kubernetes: &'static str,
    engine: String,
    /// The versions that the lane chooses by itself; what the others are, the report of each run says.
    components: String,
    shard: String,
    /// Arguments of `podferry run`, after those that the rest makes.
    more: Vec<&'static str>,
}

/// All cells: those of the lanes that are parted, and each other lane as one.
pub(crate) fn cells() -> Vec<Cell> {
    ci::lanes().flat_map(parts).collect()
}

fn parts(lane: &'static str) -> Vec<Cell> {
    let local = || Cell { lane, provider: "local", ..Cell::default() };
    match lane {
        "e2e" => {
            let engines = ["cri", "runc"].into_iter();
            let cell = |(engine, shard): (&str, u32)| Cell {
                name: format!("e2e-{engine}-{shard}of2"),
                engine: engine.to_owned(),
                shard: format!("{shard}/2"),
                more: vec!["--deny-skips", "--tier", "all"],
                ..local()
            };
            engines.flat_map(|engine| [(engine, 1), (engine, 2)]).map(cell).collect()
        }
        "engines" => {
            let cell = |engine: &str| Cell {
                name: format!("engines-{engine}"),
                engine: engine.to_owned(),
                more: vec!["--param", "data=16Mi"],
                ..local()
            };
            ci::BESIDE.split(',').map(cell).collect()
        }
        "containerd" => {
            let cell = |release: &str| Cell {
                name: format!("containerd-{}", release.trim_start_matches("module@")),
                engine: "cri".to_owned(),
                components: format!("containerd={release}"),
                more: [&["--param", "data=16Mi"], ci::CONTAINERD_CASES].concat(),
                ..local()
            };
            let runs = ci::RELEASES.trim_start_matches("containerd=").split(',').map(cell);
            // Whether the first and the last restore is asked by a test.
            runs.chain([Cell { name: ci::ASKED.to_owned(), engine: "cri".to_owned(), ..local() }]).collect()
        }
        "kubernetes" => {
            let on = |kubernetes: &'static str| Cell { kubernetes, engine: "kubelet".to_owned(), ..local() };
            let pinned = |shard: u32| Cell {
                name: format!("kubernetes-{}-{shard}of2", ci::KUBERNETES),
                shard: format!("{shard}/2"),
                more: vec!["--param", "data=16Mi"],
                ..on(ci::KUBERNETES)
            };
            // One that is not pinned, of which the newest is built.
            let other = Cell {
                name: "kubernetes-1.35".to_owned(),
                more: vec!["--param", "data=16Mi", "looper-migrates", "redis-migrates"],
                ..on("1.35")
            };
            let tests = Cell { name: ci::ENDPOINT.to_owned(), ..on(ci::KUBERNETES) };
            let there = Cell { name: ci::EXISTING.to_owned(), provider: "existing", ..tests.clone() };
            vec![tests, there, pinned(1), pinned(2), other]
        }
        "kind" => {
            let cell = |shard: u32| Cell {
                name: format!("kind-{shard}of2"),
                lane,
                provider: "kind",
                engine: "kubelet".to_owned(),
                shard: format!("{shard}/2"),
                more: vec!["--param", "data=16Mi"],
                ..Cell::default()
            };
            let red = Cell {
                name: ci::KIND_RED.to_owned(),
                lane,
                provider: "kind",
                engine: "kubelet".to_owned(),
                ..Cell::default()
            };
            let conforms = Cell { name: ci::KIND_CONFORMS.to_owned(), ..red.clone() };
            let there = Cell { name: ci::KIND_EXISTING.to_owned(), provider: "existing", ..red.clone() };
            vec![cell(1), cell(2), red, conforms, there]
        }
        "minikube" => {
            let on = || Cell { lane, provider: "minikube", engine: "kubelet".to_owned(), ..Cell::default() };
            let core = Cell { name: "minikube-core".to_owned(), more: vec!["--param", "data=16Mi"], ..on() };
            vec![Cell { name: ci::MINIKUBE_TOLD.to_owned(), ..on() }, core]
        }
        whole => vec![Cell { name: whole.to_owned(), ..local() }],
    }
}

impl Cell {
    /// The arguments of `podferry` that run it.
    fn args(&self) -> Vec<String> {
        let mut args = vec!["run", "--provider", self.provider];
        let options = [
            ("--kubernetes", self.kubernetes),
            ("--engine", &self.engine),
            ("--component", &self.components),
            ("--shard", &self.shard),
        ];
        args.extend(options.into_iter().filter(|(_, value)| !value.is_empty()).flat_map(|(name, value)| [name, value]));
        args.into_iter().chain(self.more.iter().copied()).map(str::to_owned).collect()
    }

    fn json(&self) -> String {
        let fields = [
            ("name", self.name.as_str()),
            ("lane", self.lane),
            ("provider", self.provider),
            ("kubernetes", self.kubernetes),
            ("engine", &self.engine),
            ("components", &self.components),
            ("shard", &self.shard),
        ];
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// The matrix of a job of GitHub Actions.
pub(crate) fn json() -> String {
    let cells: Vec<String> = cells().iter().map(Cell::json).collect();
    format!("{{\"include\":[{}]}}\n", cells.join(","))
}

/// Runs the cell of a name that is no lane's; `None`: there is none.
pub(crate) fn run(name: &str) -> Option<Result<u8, String>> {
    let cell = cells().into_iter().find(|cell| cell.name == name && cell.lane != name)?;
    Some(match name {
        ci::ASKED => ci::asked(),
        ci::ENDPOINT => ci::endpoint(),
        ci::EXISTING => ci::existing(),
        ci::KIND_RED => ci::kind_red(),
        ci::MINIKUBE_TOLD => ci::minikube_told(),
        ci::KIND_EXISTING => ci::kind_existing(),
        ci::KIND_CONFORMS => ci::kind_conforms(),
        _ => build::binaries(Profile::Dev).and_then(|built| built.podferry(&cell.args())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_lane_is_in_the_matrix_and_every_cell_has_a_name_of_its_own() {
        let cells = cells();
        let lanes: BTreeSet<&str> = cells.iter().map(|cell| cell.lane).collect();
        assert_eq!(lanes, ci::lanes().collect());
        let names: BTreeSet<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(names.len(), cells.len(), "{names:?}");
        let fit = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        assert!(names.iter().all(|name| name.chars().all(fit)), "{names:?}");
        let text = json();
        assert!(names.iter().all(|name| text.contains(&format!("{{\"name\":\"{name}\",\"lane\":\""))), "{text}");
        assert!(!text.trim_end().contains('\n'), "one line: it is an output of a step");
    }

    #[test]
    fn a_cell_is_run_by_what_it_is() {
        let cell = |name: &str| cells().into_iter().find(|cell| cell.name == name).unwrap().args().join(" ");
        assert_eq!(cell("e2e-cri-2of2"), "run --provider local --engine cri --shard 2/2 --deny-skips --tier all");
        assert_eq!(
            cell("kubernetes-1.35"),
            "run --provider local --kubernetes 1.35 --engine kubelet --param data=16Mi looper-migrates redis-migrates"
        );
        assert!(
            cell("containerd-v2.3.7").contains("--component containerd=module@v2.3.7 "),
            "{}",
            cell("containerd-v2.3.7")
        );
    }

    /// The shards of a lane are all that there are: a part that nobody runs would be missed by nobody.
    #[test]
    fn shards_are_whole() {
        let mut of: std::collections::BTreeMap<(String, String, u32), BTreeSet<u32>> = Default::default();
        for cell in cells().into_iter().filter(|cell| !cell.shard.is_empty()) {
            let (nth, all) = cell.shard.split_once('/').unwrap();
            let key = (cell.lane.to_owned(), format!("{}{}", cell.engine, cell.kubernetes), all.parse().unwrap());
            of.entry(key).or_default().insert(nth.parse().unwrap());
        }
        assert!(!of.is_empty());
        for ((lane, on, all), parts) in of {
            assert_eq!(parts, (1..=all).collect(), "{lane} on {on}");
        }
    }
}
