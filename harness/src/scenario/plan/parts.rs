//! A plan on several node images, many times over, or a part of it.

use super::{Case, Plan};
use crate::record::NODE_IMAGE;
use crate::scenario::units::Times;
use crate::scenario::value::Scalar;
use std::str::FromStr;
use std::time::Duration;

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

    /// The same, with each case's repetitions done so many times over, or as often as there is time for; with time for them.
    #[must_use]
    pub fn repeated(mut self, repeat: Repeat) -> Plan {
        for case in &mut self.cases {
            match repeat {
                Repeat::Times(times) => {
                    case.repetitions = case.repetitions.saturating_mul(times);
                    case.timeout = case.timeout.saturating_mul(times);
                }
                Repeat::For(time) => {
                    case.timeout = case.timeout.saturating_sub(case.repeat_for.unwrap_or_default()) + time;
                    case.repeat_for = Some(time);
                }
            }
        }
        self
    }

    /// The same cases in an order that is drawn by a seed: what one leaves behind for the next shows.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Plan {
        fastrand::Rng::with_seed(seed).shuffle(&mut self.cases);
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

/// How often something is done: `20` times, or for `10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// So many times.
    Times(u32),
    /// As often as this time allows, once at least.
    For(Duration),
}

impl FromStr for Repeat {
    type Err = String;

    fn from_str(text: &str) -> Result<Repeat, String> {
        let repeat = Repeat::parse(text);
        repeat.filter(|r| *r != Repeat::Times(0)).ok_or_else(|| format!("`{text}` is not {}", Repeat::WHAT))
    }
}

impl Scalar for Repeat {
    const WHAT: &'static str = "a number of repetitions, at most `10000`, or a time such as `10m`";

    fn parse(text: &str) -> Option<Self> {
        let times = || Times::parse(text).map(|times| Repeat::Times(times.0));
        times().or_else(|| Duration::parse(text).map(Repeat::For))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9]+$|^[0-9]+(\.[0-9]+)?(us|ms|s|m|h)$")
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

    proptest! {
        #[test]
        fn an_order_that_is_drawn_is_drawn_again_by_its_seed(seed in any::<u64>()) {
            let (one, other) = (all().shuffled(seed), all().shuffled(seed));
            prop_assert_eq!(&one, &other);
            let sorted = |plan: Plan| {
                let mut ids: Vec<String> = plan.cases.into_iter().map(|case| case.id.0).collect();
                ids.sort();
                ids
            };
            prop_assert_eq!(sorted(one), sorted(all()));
        }
    }

    #[test]
    fn seeds_differ() {
        assert!((0..20).any(|seed| all().shuffled(seed) != all().shuffled(seed + 1)));
    }

    #[rstest]
    #[case("20", Some(Repeat::Times(20)))]
    #[case("10m", Some(Repeat::For(Duration::from_secs(600))))]
    #[case("0", None)]
    #[case("often", None)]
    fn a_repetition_is_a_count_or_a_time(#[case] text: &str, #[case] wanted: Option<Repeat>) {
        assert_eq!(text.parse::<Repeat>().ok(), wanted);
    }

    #[test]
    fn cases_that_are_repeated_for_a_time_have_that_much_more() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let longer = all().repeated(Repeat::For(minutes(10)));
        assert_eq!((longer.cases[0].repeat_for, longer.cases[0].timeout), (Some(minutes(10)), minutes(15)));
        let other = longer.repeated(Repeat::For(minutes(1)));
        assert_eq!((other.cases[0].repeat_for, other.cases[0].timeout), (Some(minutes(1)), minutes(6)));
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
