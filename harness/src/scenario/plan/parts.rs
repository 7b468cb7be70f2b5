//! A plan on several node images, many times over, or a part of it.

use super::{Case, Plan};
use crate::record::NODE_IMAGE;
use std::str::FromStr;

impl Plan {
    /// The cases on each of these node images, all of one image after the other. Only of several images a case's name says
    /// which it is on: so that a case of one image has the name that it always had.
    #[must_use]
    pub fn on_images(self, images: &[String]) -> Plan {
        if images.len() < 2 {
            return self;
        }
        let on = |case: &Case, image: &String| {
            let mut case = case.clone();
            case.id.0 = format!("{},{NODE_IMAGE}={image}]", case.id.0.trim_end_matches(']'));
            case.params.insert(NODE_IMAGE.to_owned(), image.clone());
            case
        };
        let cases = images.iter().flat_map(|image| self.cases.iter().map(move |case| on(case, image))).collect();
        Plan { cases, ..self }
    }

    /// The same, with each case's repetitions done so many times over, and time for them.
    #[must_use]
    pub fn repeated(mut self, times: u32) -> Plan {
        for case in &mut self.cases {
            case.repetitions = case.repetitions.saturating_mul(times);
            case.timeout = case.timeout.saturating_mul(times);
        }
        self
    }

    /// One part of several that together are all of it: every `of`th case, so that what is alike, and takes as long, is spread.
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Plan {
        let mut n = 0;
        self.cases.retain(|_| {
            n += 1;
            (n - 1) % shard.of == shard.number - 1
        });
        self
    }
}

/// Which part of a plan: `2/4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let wrong = || format!("`{text}` is no part of several, like 2/4");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let shard = Shard { number: number.parse().map_err(|_| wrong())?, of: of.parse().map_err(|_| wrong())? };
        if (1..=shard.of).contains(&shard.number) { Ok(shard) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Selection, load, plan};
    use proptest::prelude::*;
    use rstest::rstest;

    fn all() -> Plan {
        let text = "apiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata: {name: x}\nspec:\n  matrix: {axes: {data: [1Mi, 2Mi, 3Mi, \
                    4Mi, 5Mi]}}\n  workloads: {redis: {use: redis, with: {data: \"${matrix.data}\"}}}\n  steps:\n    \
                    - deploy: {workload: redis, node: a}\n  checks:\n    - instance: {of: redis, state: running}\n";
        let (scenario, found) = load(text, "x.yaml", crate::workload::KINDS);
        let scenario = scenario.unwrap_or_else(|| panic!("{found:?}"));
        let engines = vec![crate::record::EngineKind::Cri, crate::record::EngineKind::Runc];
        plan(&[scenario], &Selection { engines, ..Selection::default() }).expect("a plan")
    }

    proptest! {
        #[test]
        fn shards_are_all_of_it_each_case_once(of in 1usize..20) {
            let all = all();
            let shards = (1..=of).map(|n| all.clone().shard(format!("{n}/{of}").parse().unwrap()));
            let mut together: Vec<String> = shards.flat_map(|s| s.cases).map(|case| case.id.0).collect();
            together.sort();
            let mut whole: Vec<String> = all.cases.iter().map(|case| case.id.0.clone()).collect();
            whole.sort();
            prop_assert_eq!(together, whole);
        }
    }

    #[rstest]
    #[case("0/4")]
    #[case("5/4")]
    #[case("1/0")]
    #[case("1")]
    #[case("a/b")]
    #[case("-1/4")]
    fn a_wrong_shard_is_told(#[case] text: &str) {
        assert_eq!(text.parse::<Shard>().unwrap_err(), format!("`{text}` is no part of several, like 2/4"));
    }
}
