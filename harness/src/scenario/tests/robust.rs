//! What holds for any text.

use super::lint;
use crate::scenario::{bench_corpus, new_template};
use proptest::prelude::*;

const VALID: &str = include_str!("../../../../scenarios/redis-migrates.yaml");
const TOUR: &str = include_str!("../../../../fixtures/language/tour.yaml");
const GROUPS: &str = include_str!("../../../../fixtures/invalid/E0119-groups.yaml");
const TEN: &str = include_str!("../../../../fixtures/invalid/ten-mistakes.yaml");

fn well_told(text: &str) {
    let (scenario, found) = lint(text);
    assert_eq!(scenario.is_none(), found.iter().any(|d| d.is_error()));
    for d in &found {
        assert!(d.place.line >= 1 && d.place.column >= 1);
        assert!((d.place.offset + d.place.length) as usize <= text.len(), "{d} points outside of the text");
        assert!(d.render(text).contains(d.code), "rendered: {}", d.render(text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        well_told(&text);
    }

    #[test]
    fn any_yaml_like_text_is_answered(text in "[a-z:{}\\[\\],*&!|>'\"\\-#\n \\$%@`~<?0-9.é]{0,120}") {
        well_told(&text);
    }

    #[test]
    fn a_scenario_with_a_part_cut_out_is_answered(at in 0usize..1000, len in 0usize..80, of in 0usize..4) {
        let mut chars: Vec<char> = [VALID, TEN, TOUR, GROUPS][of].chars().collect();
        let from = at.min(chars.len());
        chars.drain(from..(from + len).min(chars.len()));
        well_told(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn a_scenario_with_a_part_put_in_is_answered(
        at in 0usize..1500,
        part in prop::sample::select(vec!["[", "{", "}", ": ", "\n- ", "*x", "&x ", "!t ", "${matrix.data}", "${matrix.data * 2}", "${args.of}", "${", "null", "\t", "\"", "é"]),
        of in 0usize..4,
    ) {
        let mut chars: Vec<char> = [VALID, TEN, TOUR, GROUPS][of].chars().collect();
        let from = at.min(chars.len());
        chars.splice(from..from, part.chars());
        well_told(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn lines_in_another_order_are_answered(seed in any::<u64>()) {
        let mut lines: Vec<&str> = VALID.lines().collect();
        let n = lines.len() as u64;
        for i in 0..4u64 {
            let (a, b) = (seed.rotate_left(i as u32 * 7) % n, seed.rotate_left(i as u32 * 13 + 5) % n);
            lines.swap(a as usize, b as usize);
        }
        well_told(&lines.join("\n"));
    }
}

#[test]
fn hostile_nesting_and_aliases_end() {
    well_told(&"[".repeat(100_000));
    well_told(&"{a: ".repeat(10_000));
    well_told(&"- ".repeat(5_000));
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x]\n".to_owned();
    for (new, old) in ('b'..='j').zip('a'..='i') {
        bomb.push_str(&format!("{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"));
    }
    well_told(&bomb);
}

#[test]
fn aliases_and_merges_are_read() {
    let text = VALID.replace("{use: redis, with: {data: \"${matrix.data}\"}}", "&w {use: redis, with: {data: 1Mi}}");
    let text = text.replace("  clients:", "    other: {<<: *w}\n  clients:");
    let (scenario, found) = lint(&text);
    let codes: Vec<_> = found.iter().map(|d| d.code).collect();
    assert!(scenario.is_some(), "{found:?}");
    assert_eq!(codes, ["E0202", "E0202"], "the axis and the second workload are not used: {found:?}");
}

#[test]
fn numbers_and_words_stay_what_was_written() {
    let text = VALID.replace("count: 200", "count: 0200").replace("title: redis moves", "title: 1e3 moves");
    assert!(lint(&text).0.is_some());
    let (_, found) = lint(&VALID.replace("opTimeout: 1s", "opTimeout: 1_0"));
    assert_eq!(found[0].message, "`1_0` is not a time such as `250ms` or `2s`");
    let (_, found) = lint(&VALID.replace("rate: 1000/s", "rate: 0x10"));
    assert!(found[0].message.starts_with("`0x10` is not a rate"), "{}", found[0].message);
}

#[test]
fn the_corpus_and_the_template_are_clean() {
    for (file, text) in bench_corpus(50).into_iter().chain([("template".to_owned(), new_template().to_owned())]) {
        let (scenario, found) = lint(&text);
        assert!(scenario.is_some() && found.is_empty(), "{file}: {found:?}\n{text}");
    }
}

/// A guard against quadratic work, with a bound far above what it takes; the benchmark measures it in earnest.
#[test]
fn a_thousand_scenarios_are_read_in_seconds() {
    let corpus = bench_corpus(1000);
    let begin = std::time::Instant::now();
    let all = crate::scenario::load_all(&corpus, super::KINDS, &|_| Ok(()));
    assert!(all.iter().zip(0..).all(|((s, _), i)| s.as_ref().is_some_and(|s| s.name() == format!("generated-{i}"))));
    assert_eq!(all.len(), 1000);
    let took = begin.elapsed();
    assert!(took.as_secs() < 10, "{took:?}");
}
