//! Text -> a tree of nodes, each with its place. The only module that names the YAML crate: what the rest of the room
//! sees is [`Node`]. Nothing is interpreted here: a scalar is its text, and repeated keys are all kept, so that every
//! mistake can be told of and not only the first that a deserialiser meets.

use super::place::Place;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Deepest nesting of a scenario. The language needs six levels; the bound keeps hostile input off the stack.
const DEEPEST: usize = 32;

/// A YAML node with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it is.
    pub(super) value: Value,
    /// Where it stands; for an alias, where the alias stands.
    pub(super) place: Place,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing was written.
    Null,
    /// A scalar, as written, without its quotes.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in order, with repeated keys.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) place: Place,
}

/// What is no YAML.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) message: String,
    pub(super) place: Place,
}

/// Parses one document.
pub(super) fn parse(text: &str) -> Result<Node, Malformed> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEEPEST, max_nodes: 100_000, max_documents: 2 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000, max_replay_stack_depth: 8 },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        leading_zero_numbers_as_strings: true,
        emit_comments: false,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Raw>(text, options) {
        Ok(raw) => Ok(node(raw, text)),
        Err(error) => Err(Malformed {
            // Some errors (an empty file, an anchor that is not closed) have no place or line 0.
            place: error.location().filter(|l| l.line() > 0).map_or_else(|| end_of(text), |l| place(l, text)),
            message: message_of(&error),
        }),
    }
}

/// The crate's message without the position that it appends: the diagnostic has one of its own.
fn message_of(error: &serde_saphyr::Error) -> String {
    let formatter = serde_saphyr::DefaultMessageFormatter;
    serde_saphyr::MessageFormatter::format_message(&formatter, error.without_snippet()).into_owned()
}

fn end_of(text: &str) -> Place {
    let line = text.lines().count().max(1) as u32;
    Place { line, column: 1, offset: text.len() as u32, length: 0 }
}

fn place(l: Location, text: &str) -> Place {
    let size = text.len() as u64;
    let offset = l.span().byte_offset().unwrap_or(0).min(size);
    let length = l.span().byte_len().unwrap_or(0).min(size - offset);
    Place { line: l.line() as u32, column: l.column().max(1) as u32, offset: offset as u32, length: length as u32 }
}

/// A node as the YAML crate hands it over, before its text is cut out of the source.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Text(String),
    /// A plain scalar that the YAML crate took for a number or boolean: what was written stands in the source.
    Inferred(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

fn node(raw: Raw, text: &str) -> Node {
    let Spanned { value, referenced, defined } = raw.0;
    let value = match value {
        RawValue::Null => Value::Null,
        RawValue::Text(s) => Value::Scalar(s),
        RawValue::Inferred(shown) => Value::Scalar(as_written(defined, text).map_or(shown, str::to_owned)),
        RawValue::List(items) => Value::List(items.into_iter().map(|i| node(i, text)).collect()),
        RawValue::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(k, v)| (Key { place: place(k.referenced, text), text: k.value }, node(v, text)))
                .collect(),
        ),
    };
    Node { value, place: place(referenced, text) }
}

fn as_written(defined: Location, text: &str) -> Option<&str> {
    let at = place(defined, text);
    let cut = text.get(at.offset as usize..(at.offset + at.length) as usize)?.trim();
    (!cut.is_empty()).then_some(cut)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Spanned::deserialize(d).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(d)
    }

    fn visit_bool<E>(self, v: bool) -> Result<RawValue, E> {
        Ok(RawValue::Inferred(v.to_string()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<RawValue, E> {
        Ok(RawValue::Inferred(v.to_string()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<RawValue, E> {
        Ok(RawValue::Inferred(v.to_string()))
    }

    fn visit_i128<E>(self, v: i128) -> Result<RawValue, E> {
        Ok(RawValue::Inferred(v.to_string()))
    }

    fn visit_u128<E>(self, v: u128) -> Result<RawValue, E> {
        Ok(RawValue::Inferred(v.to_string()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<RawValue, E> {
        Ok(RawValue::Inferred(v.to_string()))
    }

    fn visit_str<E>(self, v: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<RawValue, E> {
        Ok(RawValue::Text(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((key, map.next_value()?));
        }
        Ok(RawValue::Map(entries))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<RawValue, E> {
        Err(E::custom("binary values have no use here"))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<RawValue, A::Error> {
        Err(A::Error::custom("tags (`!name`) have no use here"))
    }
}
