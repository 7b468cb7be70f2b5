//! Text -> a tree of nodes, each with its place. The only module that names the YAML crate: what the rest of the room
//! sees is [`Node`]. Nothing is interpreted here: a scalar is its text, and repeated keys are all kept, so that every
//! mistake can be told of and not only the first that a deserialiser meets.
//!
//! Made of the crate's events rather than through serde: its `Spanned` gives the same places at four times the cost.

use super::place::Place;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use std::collections::HashMap;

/// Deepest nesting of a scenario. The language needs eight levels; the bound keeps hostile input off the stack.
const DEEPEST: usize = 32;

/// Most nodes of a file, with those that aliases stand for: ten lines of aliases can stand for a billion.
const MOST_NODES: usize = 100_000;

/// A YAML node with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it is.
    pub(super) value: Value,
    /// Where it stands; for an alias, where the alias stands.
    pub(super) place: Place,
    /// For a step of a group: where the group is used.
    pub(super) via: Option<Place>,
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
    /// Whether it is a plain `<<`, whose value is merged in.
    merge: bool,
}

/// What is no YAML.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) message: String,
    pub(super) place: Place,
}

impl Malformed {
    fn new(message: impl Into<String>, place: Place) -> Self {
        Malformed { message: message.into(), place }
    }
}

/// Parses one document.
pub(super) fn parse(text: &str) -> Result<Node, Malformed> {
    let options = serde_saphyr::granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    Tree { text, parser, anchors: HashMap::new(), nodes: 0 }.document()
}

struct Tree<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    /// Nodes that aliases can stand for, with the number of nodes in each.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'t> Tree<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Malformed> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let place = self.place(&span);
                Ok((event, place))
            }
            Some(Err(e)) => Err(self.malformed(&e)),
            None => Err(Malformed::new("the file ends too early", self.end())),
        }
    }

    fn place(&self, span: &Span) -> Place {
        let offset = span.start.byte_offset().unwrap_or(0).min(self.text.len());
        let end = span.end.byte_offset().unwrap_or(offset).clamp(offset, self.text.len());
        // The parser counts lines from 1 and columns from 0.
        Place {
            line: span.start.line().max(1) as u32,
            column: span.start.col() as u32 + 1,
            offset: offset as u32,
            length: (end - offset) as u32,
        }
    }

    fn malformed(&self, e: &ScanError) -> Malformed {
        Malformed::new(e.info(), self.place(&Span::empty(*e.marker())))
    }

    fn end(&self) -> Place {
        Place { line: self.text.lines().count().max(1) as u32, column: 1, offset: self.text.len() as u32, length: 0 }
    }

    fn document(mut self) -> Result<Node, Malformed> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => return Err(Malformed::new("the file is empty", self.end())),
                (event, place) => break self.node(event, place, 0)?.0,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(root),
                (_, place) => return Err(Malformed::new("a second document begins: a file holds one scenario", place)),
            }
        }
    }

    /// A node, and the number of nodes in it.
    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<(Node, usize), Malformed> {
        if depth > DEEPEST {
            return Err(Malformed::new("nested too deeply", place));
        }
        let before = self.count(1, place)?;
        let (value, anchor, tagged) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style), anchor, tag.is_some()),
            Event::SequenceStart(_, anchor, tag) => (self.list(depth)?, anchor, tag.is_some()),
            Event::MappingStart(_, anchor, tag) => (self.map(depth)?, anchor, tag.is_some()),
            Event::Alias(id) => return self.alias(id, place),
            _ => return Err(Malformed::new("a value is missing", place)),
        };
        if tagged {
            return Err(Malformed::new("tags (`!name`) have no use here", place));
        }
        let (node, size) = (Node { value, place, via: None }, self.nodes - before);
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok((node, size))
    }

    /// Adds to the number of nodes, and gives the number before.
    fn count(&mut self, more: usize, place: Place) -> Result<usize, Malformed> {
        let before = self.nodes;
        self.nodes += more;
        if self.nodes > MOST_NODES {
            return Err(Malformed::new(format!("more than {MOST_NODES} nodes"), place));
        }
        Ok(before)
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<(Node, usize), Malformed> {
        let Some(size) = self.anchors.get(&id).map(|(_, size)| *size) else {
            return Err(Malformed::new("an alias of what it stands in", place));
        };
        self.count(size, place)?;
        match self.anchors.get(&id) {
            Some((node, _)) => Ok((Node { place, value: node.value.clone(), via: None }, size + 1)),
            None => Err(Malformed::new("an alias of nothing", place)),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?.0),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut entries = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                return merged(entries).map(Value::Map);
            }
            let plain = matches!(&event, Event::Scalar(_, ScalarStyle::Plain, ..));
            let text = match (&event, self.node(event.clone(), place, depth + 1)?.0.value) {
                (Event::Scalar(text, ..), _) => text.clone().into_owned(),
                (_, Value::Scalar(text)) => text,
                _ => return Err(Malformed::new("a key is a single value", place)),
            };
            let key = Key { merge: plain && text == "<<", text, place };
            let (event, place) = self.next()?;
            entries.push((key, self.node(event, place, depth + 1)?.0));
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let null = style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    if null { Value::Null } else { Value::Scalar(text.to_owned()) }
}

/// Puts what `<<` refers to in its place; keys that are written out win, then those of the first mapping.
fn merged(entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Malformed> {
    if !entries.iter().any(|(k, _)| k.merge) {
        return Ok(entries);
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(k, _)| k.merge);
    for (key, node) in merges {
        let parts = match node.value {
            Value::List(items) => items.into_iter().map(|i| i.value).collect(),
            value => vec![value],
        };
        for part in parts {
            let Value::Map(more) = part else {
                return Err(Malformed::new("`<<` takes a mapping or a list of mappings", key.place));
            };
            let new = |(k, _): &(Key, Node)| !own.iter().any(|(o, _)| o.text == k.text);
            let more: Vec<_> = more.into_iter().filter(new).collect();
            own.extend(more);
        }
    }
    Ok(own)
}
