//! Single values of the language, those that are the same in all cases.

use super::explain;
use super::place::Place;
use super::read::{Finding, Read, Reader, error};
use super::yaml::Node;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A cell of the matrix: values by axis.
pub(super) type Cell = BTreeMap<String, String>;

/// A type of single value.
pub(super) trait Scalar: Sized + Clone + std::fmt::Debug {
    /// What is wanted, for people, with an example.
    const WHAT: &'static str;
    /// The diagnostic's code when it is not that.
    const CODE: &'static str = explain::INVALID_VALUE;
    /// Parses what was written.
    fn parse(text: &str) -> Option<Self>;
    /// The words that there are, if they are a fixed set.
    fn words() -> Vec<&'static str> {
        Vec::new()
    }
    /// A regular expression that all of its values match.
    fn pattern() -> Option<&'static str> {
        None
    }
}

/// What is wrong with a text that is no `T`.
pub(super) fn not_a<T: Scalar>(text: &str) -> Finding {
    let words = T::words();
    let finding = error(T::CODE, format!("`{}` is not {}", short(text), T::WHAT));
    if words.is_empty() { finding.help(format!("write {}", T::WHAT)) } else { finding.meant(text, words) }
}

pub(super) fn short(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((cut, _)) => Cow::Owned(format!("{}...", &text[..cut])),
        None => Cow::Borrowed(text),
    }
}

/// A value that is the same in all cells.
#[derive(Clone, Debug)]
pub(super) struct Fixed<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T: Scalar> Read for Fixed<T> {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let text = r.scalar(node, owner, r.here)?;
        if text.contains("${") {
            let finding = error(explain::BAD_EXPRESSION, format!("`{}` stands where no expression can", short(text)));
            r.tell(node.place, finding.help(format!("write {}", T::WHAT)));
            return None;
        }
        match T::parse(text) {
            Some(value) => Some(Fixed { value, place: node.place }),
            None => {
                r.tell(node.place, not_a::<T>(text));
                r.lose(node);
                None
            }
        }
    }
}

impl<T: Scalar> JsonSchema for Fixed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Fixed")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // In a group of steps an argument may stand for it.
        let argument = r"^\$\{ *args\.[a-z0-9-]+ *\}$";
        match (T::words(), T::pattern()) {
            (words, _) if !words.is_empty() => {
                json_schema!({"anyOf": [{"enum": words}, {"type": "string", "pattern": argument}]})
            }
            (_, Some(pattern)) => json_schema!({"type": "string", "pattern": format!("({pattern})|({argument})")}),
            // Text is what is written: YAML's own types (`true`, `16`) are none here.
            _ => json_schema!({"type": ["string", "integer", "number", "boolean"]}),
        }
    }
}

/// A name given in the scenario.
pub(super) type Name = Fixed<Ident>;

impl Name {
    pub(super) fn text(&self) -> &str {
        &self.value.0
    }
}

/// Lower case letters, digits and dashes; 1 to 40 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ident(pub(super) String);

impl Scalar for Ident {
    const WHAT: &'static str = "a name such as `redis-moved` (`a-z`, `0-9`, `-`; at most 40)";

    fn parse(text: &str) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=40).contains(&text.len()) && text.bytes().all(legal);
        (fits && !text.starts_with('-') && !text.ends_with('-')).then(|| Ident(text.to_owned()))
    }

    fn pattern() -> Option<&'static str> {
        Some("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    }
}

/// Values by name, in order.
#[derive(Clone, Debug)]
pub(super) struct ByName<T>(pub(super) Vec<(Name, T)>);

impl<T: Read> Read for ByName<T> {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let entries = r.entries(node, owner, &format!("`{}`", r.here))?;
        let mut all = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            match Ident::parse(&key.text) {
                Some(name) => match T::read(value, key.place, r) {
                    Some(v) => all.push((Name { value: name, place: key.place }, v)),
                    None => {
                        r.lost.insert(key.text.clone());
                    }
                },
                None => r.tell(key.place, not_a::<Ident>(&key.text)),
            }
        }
        Some(ByName(all))
    }

    fn broken() -> Option<Self> {
        Some(ByName(Vec::new()))
    }
}

impl<T: JsonSchema> JsonSchema for ByName<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("ByName")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": {"pattern": Ident::pattern()},
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}
