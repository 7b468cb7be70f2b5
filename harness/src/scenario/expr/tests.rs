use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn env() -> Env {
    let matrix = [("data", "64Mi"), ("pause", "250ms"), ("load", "1000/s"), ("n", "4"), ("on", "true"), ("x-y", "1Ki")];
    let matrix = matrix.map(|(name, value)| (name.to_owned(), Value::parse(value)));
    Env {
        words: BTreeMap::from([("engine", Value::Text("cri".to_owned()))]),
        maps: BTreeMap::from([("matrix", BTreeMap::from(matrix))]),
    }
}

fn known() -> Known {
    let members = env().maps["matrix"].keys().cloned().collect();
    Known::from([("engine", Vec::new()), ("matrix", members)])
}

fn value(text: &str) -> Result<String, Wrong> {
    Expr::parse(text)?.value(text, &env()).map(|value| value.to_string())
}

#[rstest]
#[case("matrix.data * 2", "128Mi")]
#[case("2 * matrix.data", "128Mi")]
#[case("matrix.data * 1.5", "96Mi")]
#[case("matrix.data / 3", "22369621B")]
#[case("matrix.data - size(\"1Mi\")", "63Mi")]
#[case("matrix.data / size(\"64Ki\")", "1024")]
#[case("matrix[\"x-y\"] + matrix.data", "65537Ki")]
#[case("matrix.pause * 3", "750ms")]
#[case("matrix.pause * 4", "1s")]
#[case("matrix.pause / 3", "83333us")]
#[case("matrix.pause + time(\"2s\")", "2250ms")]
#[case("matrix.load / 4", "250/s")]
#[case("matrix.load * 0.0015", "1.5/s")]
#[case("matrix.n * 50 + 1", "201")]
#[case("matrix.n % 3 == 1 && !(matrix.n > 4)", "true")]
#[case("matrix.n / 3", "1")]
#[case("matrix.n / 8.0", "0.5")]
#[case("int(matrix.n * 0.7)", "2")]
#[case("min(matrix.n, 3) + max(1, 2)", "5")]
#[case("if matrix.on { matrix.data } else { size(\"1Mi\") }", "64Mi")]
#[case("engine == \"cri\" && matrix.data > \"32Mi\"", "true")]
#[case("matrix.data == \"64Mi\" && \"65536Ki\" == matrix.data", "true")]
#[case("engine in [\"runc\", \"cri\"]", "true")]
#[case("engine.starts_with(\"c\")", "true")]
#[case("matrix.n == 4.0", "true")]
fn values_are_worked_out_with_their_units(#[case] text: &str, #[case] wanted: &str) {
    assert_eq!(value(text).as_deref(), Ok(wanted));
}

#[rstest]
#[case("matrix.data + 1", "`+` gives no value for 64Mi and 1 (a size and a number)", 12)]
#[case("matrix.data > 3", "`>` gives no value for 64Mi and 3 (a size and a number)", 12)]
#[case("matrix.data == \"x\"", "`==` gives no value for 64Mi and x (a size and a text)", 12)]
#[case("size(\"1Ki\") - matrix.data", "`-` gives no value for 1Ki and 64Mi (a size and a size)", 12)]
#[case("matrix.n / 0", "`/` gives no value for 4 and 0 (a number and a number)", 9)]
#[case("9223372036854775807 + 1", "`+` gives no value for 9223372036854775807 and 1 (a number and a number)", 20)]
#[case("engine + \"x\"", "`+` gives no value for cri and x (a text and a text)", 7)]
#[case("size(\"1 Mi\")", "`1 Mi` is not a size such as `64Mi`", 0)]
#[case("matrix", "it comes to a group of values, which is no value", 0)]
#[case("if false { 1 }", "it comes to nothing, which is no value", 0)]
#[case("1 +", "it ends too early", 3)]
#[case("64Mi * 2", "unexpected 'Mi'", 2)]
#[case("(1 + 2", "expecting ')' for a matching ( in this expression", 6)]
#[case("let x = 3", "unexpected 'let'", 0)]
#[case("1; 2", "unexpected ';'", 1)]
#[case("  ", "there is nothing in it", 0)]
#[case("eval(\"1\")", "reserved keyword 'eval' is disabled", 0)]
fn what_has_no_meaning_is_told_with_its_place(#[case] text: &str, #[case] wanted: &str, #[case] at: usize) {
    let wrong = value(text).expect_err("no value");
    assert_eq!((wrong.message.as_str(), wrong.at), (wanted, at));
}

#[rstest]
#[case("matrix.dta * 2", "`matrix` has no `dta`", 7)]
#[case("true || matrix.dta == 2", "`matrix` has no `dta`", 15)]
#[case("matrix[\"dta\"]", "`matrix` has no `dta`", 8)]
#[case("matrx.data", "there is no `matrx`", 0)]
#[case("1 + sise(\"1Mi\")", "there is no function `sise`", 4)]
fn a_name_that_is_not_there_is_told_in_every_branch(#[case] text: &str, #[case] wanted: &str, #[case] at: usize) {
    let names = names(text);
    let (wrong, word, all) = names.iter().find_map(|name| name.check(&known()).err()).expect("a wrong name");
    assert_eq!((wrong.message.as_str(), wrong.at), (wanted, at));
    assert!(crate::scenario::read::nearest(&word, &all.iter().map(String::as_str).collect::<Vec<_>>()).is_some());
}

#[test]
fn names_in_texts_and_of_methods_are_none() {
    let text = "engine == \"matrix.x \\\" y\" && engine.contains(\"z\") && 1.5 < 2";
    assert!(names(text).iter().all(|name| name.check(&known()).is_ok()), "{:?}", names::of(text));
}

#[test]
fn it_ends() {
    let deep = "(".repeat(1000) + "1" + &")".repeat(1000);
    assert!(Expr::parse(&deep).is_err());
    let long = vec!["1"; 20_000].join("+");
    assert!(value(&long).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_answered_with_a_place_in_it(text in "[a-z0-9 .()\\[\\]\"+*/%<>=!&|{}é-]{0,40}") {
        if let Err(wrong) = value(&text) {
            prop_assert!(wrong.at <= text.len() && text.is_char_boundary(wrong.at), "{wrong:?}");
        }
        for name in names(&text) {
            let _ = name.check(&known());
        }
    }

    #[test]
    fn a_value_is_read_as_it_is_written(bytes in 0u64..1 << 50, micros in 0u64..1 << 40, int in any::<i64>()) {
        for value in [Value::Size(bytes), Value::Time(std::time::Duration::from_micros(micros)), Value::Int(int)] {
            prop_assert_eq!(Value::parse(&value.to_string()), value);
        }
    }
}
