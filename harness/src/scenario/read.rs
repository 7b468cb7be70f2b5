//! Tree -> the scenario as written. Every shape reads itself from a node and tells of all that is wrong with it, then
//! goes on: what cannot be read is left out, so one mistake does not hide the next.

use super::diagnostic::{Diagnostic, Severity};
use super::explain;
use super::expr::Expr;
use super::field::{self, Inputs, Inside};
use super::place::Place;
use super::yaml::{Key, Node, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::collections::HashSet;

/// An axis of the matrix with all values that it takes anywhere.
#[derive(Clone, Debug)]
pub(super) struct AxisValues {
    pub(super) name: String,
    pub(super) values: Vec<(String, Place)>,
}

/// Collects diagnostics while a file is read and checked.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) file: String,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) axes: Vec<AxisValues>,
    /// Parameters, each with its default.
    pub(super) params: Vec<AxisValues>,
    /// What some value refers to: the word and the name, `("matrix", "data")`.
    pub(super) used: HashSet<(String, String)>,
    /// Where the group is used that the step at hand is of.
    pub(super) via: Option<Place>,
    /// Expressions whose values are looked at when all is read.
    pub(super) pending: Vec<Pending>,
    /// What expressions are worked out of: each cell, with the defaults of the parameters.
    pub(super) inputs: Vec<Inputs>,
    /// The key whose value is read: what findings about its shape are about.
    pub(super) here: &'static str,
    /// Texts inside of what could not be read: names that may have been given there, and are not called unknown.
    pub(super) lost: HashSet<String>,
}

/// An expression whose value is looked at when all is read.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) expr: Expr,
    /// The expression as text.
    pub(super) text: String,
    pub(super) inside: Inside,
    pub(super) place: Place,
    pub(super) via: Option<Place>,
    /// What is wrong with a value, as scenarios write it.
    pub(super) check: fn(&str) -> Option<Finding>,
}

/// A finding before its place and file are known.
pub(super) struct Finding {
    code: &'static str,
    severity: Severity,
    message: String,
    label: Option<String>,
    help: Option<String>,
}

/// An error with this code.
pub(super) fn error(code: &'static str, message: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Error, message: message.into(), label: None, help: None }
}

/// A warning with this code.
pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warning, ..error(code, message) }
}

impl Finding {
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same by another code.
    pub(super) fn of(self, code: &'static str) -> Self {
        Finding { code, ..self }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what was probably meant, or else what there is.
    pub(super) fn meant<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(word, &known) {
            Some(near) => self.label(format!("did you mean `{near}`?")).help(format!("write `{near}`")),
            None if known.is_empty() => self,
            None => self.help(format!("one of {}", quoted(&known))),
        }
    }
}

/// `a`, `b` and so on, at most a dozen.
pub(super) fn quoted(words: &[&str]) -> String {
    let mut shown: Vec<String> = words.iter().take(24).map(|w| format!("`{w}`")).collect();
    if words.len() > shown.len() {
        shown.push(format!("{} more", words.len() - shown.len()));
    }
    shown.join(", ")
}

/// The known word that a mistyped one most likely stands for.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    // Of one letter, anything is near; of a page of text, nothing is, and the distance takes its square.
    if word.len() < 2 || word.len() > 64 {
        return None;
    }
    let wanted = plain(word);
    let score = |k: &str| {
        let candidate = plain(k);
        let jaro = strsim::jaro_winkler(&wanted, &candidate);
        let edits = strsim::damerau_levenshtein(&wanted, &candidate);
        if candidate == wanted {
            2.0
        } else if edits <= 1 + candidate.len() / 5 {
            1.0 + jaro
        } else {
            jaro
        }
    };
    let best = known.iter().map(|k| (score(k), *k)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.87).then_some(best.1)
}

/// A mapping whose keys were checked.
pub(super) struct Mapping<'n> {
    entries: &'n [(Key, Node)],
    /// Keys that mistyped ones stand for: that those are missing says nothing new.
    meant: Vec<String>,
    /// What a missing key is reported at.
    owner: Place,
    what: &'static str,
}

impl<'n> Mapping<'n> {
    /// The value of a key; of the first, if it was given twice.
    pub(super) fn get(&self, key: &str) -> Option<(&'n Key, &'n Node)> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(k, v)| (k, v))
    }

    /// Reads the value of a key. `None`: the mapping cannot be used without it.
    pub(super) fn take<T: Read>(&self, key: &'static str, r: &mut Reader) -> Option<T> {
        r.here = key;
        match self.get(key) {
            Some((k, node)) => T::read(node, k.place, r).or_else(T::broken),
            None if self.meant.iter().any(|meant| meant == key) => T::absent().or_else(T::broken),
            None => T::absent().or_else(|| {
                let finding = error(explain::MISSING_KEY, format!("{} needs `{key}`", self.what));
                r.tell(self.owner, finding.label(format!("`{key}` is missing")).help(format!("add `{key}: ...`")));
                T::broken()
            }),
        }
    }
}

impl Reader {
    /// Adds a finding at a place.
    pub(super) fn tell(&mut self, place: Place, f: Finding) {
        let Finding { code, severity, message, label, help } = f;
        let place = Place { line: place.line.max(1), column: place.column.max(1), ..place };
        let (file, used_at) = (self.file.clone(), self.via);
        self.diagnostics.push(Diagnostic { code, severity, message, file, place, used_at, label, help });
    }

    /// Notes that an expression refers to something; without a name: to all that there is.
    pub(super) fn use_of(&mut self, root: &str, name: Option<&str>) {
        let all = if root == field::PARAMS { &self.params } else { &self.axes };
        let names = all.iter().map(|a| &a.name).filter(|n| name.is_none_or(|name| name == *n)).cloned();
        let used: Vec<_> = names.map(|name| (root.to_owned(), name)).collect();
        self.used.extend(used);
    }

    /// Whether some expression refers to it.
    pub(super) fn is_used(&self, root: &str, name: &str) -> bool {
        self.used.contains(&(root.to_owned(), name.to_owned()))
    }

    /// A mapping with its keys checked against those known, and against each other.
    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n Node,
        owner: Place,
        what: &'static str,
        known: &[&str],
    ) -> Option<Mapping<'n>> {
        let entries = self.entries(node, owner, what)?;
        let mut meant = Vec::new();
        for (key, value) in entries {
            if !known.contains(&key.text.as_str()) {
                let finding = error(explain::UNKNOWN_KEY, format!("{what} has no key `{}`", key.text));
                self.tell(key.place, finding.meant(&key.text, known.iter().copied()));
                self.lose(value);
                meant.extend(nearest(&key.text, known).map(str::to_owned));
            }
        }
        Some(Mapping { entries, meant, owner, what })
    }

    /// A mapping whose keys were checked by the caller.
    pub(super) fn checked<'n>(&self, entries: &'n [(Key, Node)], owner: Place, what: &'static str) -> Mapping<'n> {
        Mapping { entries, meant: Vec::new(), owner, what }
    }

    /// The entries of a mapping with any keys, none of them twice.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, owner: Place, what: &str) -> Option<&'n [(Key, Node)]> {
        let Value::Map(entries) = &node.value else {
            self.wrong_shape(node, owner, what, "a mapping (`key: value`)");
            return None;
        };
        let mut seen = HashSet::with_capacity(entries.len());
        for (key, _) in entries {
            if !seen.insert(key.text.as_str()) {
                let finding = error(explain::REPEATED_KEY, format!("`{}` is given twice in {what}", key.text));
                self.tell(key.place, finding.label("the second time").help("keep one of them"));
            }
        }
        Some(entries)
    }

    /// A list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, owner: Place, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            _ => {
                self.wrong_shape(node, owner, what, "a list (`- item` or `[item, item]`)");
                None
            }
        }
    }

    /// A single value.
    pub(super) fn scalar<'n>(&mut self, node: &'n Node, owner: Place, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar(text) => Some(text),
            _ => {
                self.wrong_shape(node, owner, &format!("`{what}`"), "a single value");
                None
            }
        }
    }

    fn wrong_shape(&mut self, node: &Node, owner: Place, what: &str, wanted: &str) {
        let (found, at) = match &node.value {
            Value::Null => ("nothing", owner),
            Value::Scalar(_) => ("a single value", node.place),
            Value::List(_) => ("a list", owner),
            Value::Map(_) => ("a mapping", owner),
        };
        let finding = error(explain::WRONG_SHAPE, format!("{what} is {wanted}, and here is {found}")).label(found);
        let help = match &node.value {
            Value::Null => super::examples::section(what.trim_matches('`'))
                .map(|line| format!("write {wanted} below it, further in than this line: `  {line}`")),
            Value::Scalar(text) => super::slips::spaced(text)
                .filter(|_| !wanted.contains("single"))
                .map(|right| format!("put a space after the colon: `{right}`")),
            _ => None,
        };
        self.tell(at, finding.help(help.unwrap_or_else(|| format!("write {wanted}"))));
        self.lose(node);
    }

    /// Remembers the texts of what cannot be read.
    pub(super) fn lose(&mut self, node: &Node) {
        match &node.value {
            Value::Null => {}
            Value::Scalar(text) => {
                self.lost.insert(text.clone());
            }
            Value::List(items) => items.iter().for_each(|i| self.lose(i)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    self.lost.insert(key.text.clone());
                    self.lose(value);
                }
            }
        }
    }
}

/// What can be read from a node.
pub(super) trait Read: Sized {
    /// The keys of a mapping that has a fixed set of them.
    const KEYS: &'static [&'static str] = &[];

    /// Reads; `None` if it cannot be read, which was told of. `owner` is the place of its key.
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self>;

    /// What it is when it is left out; `None` if it must not be.
    fn absent() -> Option<Self> {
        None
    }

    /// What to go on with when it is missing or cannot be read; `None`: what holds it cannot be used either.
    fn broken() -> Option<Self> {
        Self::absent()
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        Some(T::read(node, owner, r))
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Box<T> {
    const KEYS: &'static [&'static str] = T::KEYS;

    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        T::read(node, owner, r).map(Box::new)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let items = r.list(node, owner, &format!("`{}`", r.here))?;
        Some(items.iter().filter_map(|i| T::read(i, i.place, r)).collect())
    }

    fn broken() -> Option<Self> {
        Some(Vec::new())
    }
}

/// What must be there, and without which the rest can be checked all the same. `None` only after an error was told.
#[derive(Clone, Debug)]
pub(super) struct Needed<T>(pub(super) Option<T>);

impl<T: Read> Read for Needed<T> {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        Some(Needed(T::read(node, owner, r)))
    }

    fn broken() -> Option<Self> {
        Some(Needed(None))
    }
}

impl<T: JsonSchema> JsonSchema for Needed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Declares a mapping of the language: its struct, its schema, and how it is read, in one place.
macro_rules! shape {
    (
        $(#[$meta:meta])*
        pub(super) struct $name:ident ($what:literal) {
            $( $(#[$field_meta:meta])* $key:literal => $field:ident : $ty:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name {
            $( $(#[$field_meta])* #[schemars(rename = $key)] pub(super) $field: $ty, )*
        }

        impl $crate::scenario::read::Read for $name {
            const KEYS: &'static [&'static str] = &[$($key),*];

            fn read(
                node: &$crate::scenario::yaml::Node,
                owner: $crate::scenario::place::Place,
                r: &mut $crate::scenario::read::Reader,
            ) -> Option<Self> {
                let map = r.mapping(node, owner, $what, Self::KEYS)?;
                $( let $field = map.take::<$ty>($key, r); )*
                let whole = (|| Some($name { $($field: $field?),* }))();
                if whole.is_none() {
                    r.lose(node);
                }
                whole
            }
        }
    };
}

/// Declares a choice of the language: a mapping with one key that says which it is.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub(super) enum $name:ident {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident ( $ty:ty ), )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        pub(super) enum $name {
            $( $(#[$variant_meta])* #[schemars(rename = $key)] $variant($ty), )*
        }

        impl $name {
            /// The keys that say which it is.
            pub(super) const KEYS: &'static [&'static str] = &[$($key),*];

            /// The keys of the mapping that stands in one of them.
            pub(super) fn keys_in(key: &str) -> &'static [&'static str] {
                match key {
                    $( $key => <$ty as $crate::scenario::read::Read>::KEYS, )*
                    _ => &[],
                }
            }

            /// Reads the value of one of [`Self::KEYS`].
            pub(super) fn read_as(
                key: &$crate::scenario::yaml::Key,
                node: &$crate::scenario::yaml::Node,
                r: &mut $crate::scenario::read::Reader,
            ) -> Option<Self> {
                match key.text.as_str() {
                    $( $key => <$ty as $crate::scenario::read::Read>::read(node, key.place, r).map(Self::$variant), )*
                    _ => None,
                }
            }
        }
    };
}

pub(super) use {choice, shape};
