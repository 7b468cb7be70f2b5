//! Steps that are written once and used in several places: put in the place of each `use` before anything else is read, so
//! that the rest of the room sees steps alone. Each keeps the place of its use.

use super::action::Step;
use super::explain;
use super::place::Place;
use super::read::{Read, Reader, error, shape, warning};
use super::value::{ByName, Fixed, Ident, Scalar};
use super::yaml::{Key, Node, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::collections::BTreeMap;

shape! {
    #[expect(dead_code, reason = "groups have taken their places before they are read; this is for the schema and unknown keys")]
    /// Steps that are written once, for `- use: NAME` in steps.
    pub(super) struct StepGroup ("a group of steps") {
        /// What a use gives under `with`, by name. `${args.NAME}`, as a whole value, stands for it in the steps.
        "arguments" => arguments: Option<ByName<Argument>>,
        /// The steps, in order. A group uses no other group.
        "steps" => steps: GroupSteps,
    }
}

shape! {
    #[expect(dead_code, reason = "as above")]
    /// What a use of the group gives.
    pub(super) struct Argument ("an argument") {
        /// What it is if it is not given; it must be given if left out.
        "default" => default: Option<Anything>,
        /// What it is, for people.
        "description" => description: Option<Fixed<String>>,
    }
}

/// What is read where it is put: a default may be an expression.
#[derive(Clone, Debug)]
pub(super) struct Anything;

impl Read for Anything {
    fn read(_: &Node, _: Place, _: &mut Reader) -> Option<Self> {
        Some(Anything)
    }
}

impl JsonSchema for Anything {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::from(true)
    }
}

/// The steps of a group, which are read where it is used.
#[derive(Clone, Debug)]
pub(super) struct GroupSteps;

impl Read for GroupSteps {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        r.list(node, owner, "`steps`").map(|_| GroupSteps)
    }
}

impl JsonSchema for GroupSteps {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "GroupSteps".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Vec<Step>>()
    }
}

/// The key of a step that stands for those of a group.
pub(super) const USE: &str = "use";
/// The key of what such a step gives them.
pub(super) const WITH: &str = "with";
const GROUPS: &str = "stepGroups";
const ARGS: &str = "args";

/// A group, and whether it was used.
struct Group {
    place: Place,
    /// Names, each with its default.
    arguments: Vec<(String, Option<Node>)>,
    steps: Vec<Node>,
    used: bool,
}

/// Puts the steps of groups in the place of their uses.
pub(super) fn expand(root: &mut Node, r: &mut Reader) {
    let Some(spec) = member(root, "spec") else { return };
    let mut groups = member(spec, GROUPS).map(groups).unwrap_or_default();
    for list in ["steps", "finally"] {
        let Some(Value::List(steps)) = member(spec, list).map(|node| &mut node.value) else { continue };
        let written = std::mem::take(steps);
        for step in written {
            match uses(&step) {
                Some(_) => steps.extend(used(step, &mut groups, r)),
                None => steps.push(step),
            }
        }
    }
    for (name, group) in groups.iter().filter(|(_, group)| !group.used && !group.steps.is_empty()) {
        if r.lost.contains(name) {
            continue;
        }
        let finding = warning(explain::UNUSED, format!("the group of steps `{name}` is never used"));
        r.tell(group.place, finding.help(format!("add the step `- {USE}: {name}`, or take it away")));
    }
}

fn member<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|(k, _)| k.text == key).map(|(_, v)| v),
        _ => None,
    }
}

fn entry<'n>(entries: &'n [(Key, Node)], key: &str) -> Option<&'n (Key, Node)> {
    entries.iter().find(|(k, _)| k.text == key)
}

/// What is wrong with the form of a group is told when it is read in its turn.
fn groups(node: &mut Node) -> BTreeMap<String, Group> {
    let Value::Map(entries) = &node.value else { return BTreeMap::new() };
    let group = |(key, node): &(Key, Node)| {
        let entries: &[(Key, Node)] = if let Value::Map(entries) = &node.value { entries } else { &[] };
        let arguments = match entry(entries, "arguments").map(|(_, node)| &node.value) {
            Some(Value::Map(all)) => all.iter().map(argument).collect(),
            _ => Vec::new(),
        };
        let steps = match entry(entries, "steps").map(|(_, node)| &node.value) {
            Some(Value::List(steps)) => steps.clone(),
            _ => Vec::new(),
        };
        (key.text.clone(), Group { place: key.place, arguments, steps, used: false })
    };
    entries.iter().map(group).collect()
}

fn argument((key, node): &(Key, Node)) -> (String, Option<Node>) {
    let entries: &[(Key, Node)] = if let Value::Map(entries) = &node.value { entries } else { &[] };
    (key.text.clone(), entry(entries, "default").map(|(_, node)| node.clone()))
}

fn uses(step: &Node) -> Option<&(Key, Node)> {
    match &step.value {
        Value::Map(entries) => entry(entries, USE),
        _ => None,
    }
}

/// The steps that a use stands for; none if it cannot be known which.
fn used(step: Node, groups: &mut BTreeMap<String, Group>, r: &mut Reader) -> Vec<Node> {
    let Value::Map(entries) = &step.value else { return Vec::new() };
    let none = |r: &mut Reader| {
        // What it may have given is not called unknown.
        r.lose(&step);
        Vec::new()
    };
    for (key, _) in entries.iter().filter(|(key, _)| key.text != USE && key.text != WITH) {
        let message = format!("a use of a group has `{USE}` and `{WITH}` alone, and here is `{}`", key.text);
        r.tell(key.place, error(explain::BAD_GROUP, message).help("make it a step of its own, or of the group"));
    }
    let Some((key, name)) = entry(entries, USE) else { return Vec::new() };
    let Value::Scalar(text) = &name.value else {
        r.tell(key.place, error(explain::WRONG_SHAPE, format!("`{USE}` is the name of a group of steps")));
        return none(r);
    };
    let Some(group) = groups.get_mut(text) else {
        let finding = error(explain::BAD_GROUP, format!("there is no group of steps `{text}`"));
        r.tell(name.place, finding.meant(text, groups.keys().map(String::as_str)));
        r.lost.extend(
            super::read::nearest(text, &groups.keys().map(String::as_str).collect::<Vec<_>>()).map(str::to_owned),
        );
        return none(r);
    };
    group.used = true;
    let given = match entry(entries, WITH) {
        None => &[][..],
        Some((_, Node { value: Value::Map(given), .. })) => given,
        Some((key, _)) => {
            r.tell(key.place, error(explain::WRONG_SHAPE, format!("`{WITH}` is a mapping of arguments")));
            return none(r);
        }
    };
    match arguments(text, group, given, name.place, r) {
        Some(arguments) => {
            let mut steps = group.steps.clone();
            let before = r.via.replace(name.place);
            let mut sound = true;
            for step in &mut steps {
                step.via = Some(name.place);
                if let Some((key, _)) = uses(step) {
                    let finding = error(explain::BAD_GROUP, "a group of steps uses no other group");
                    r.tell(key.place, finding.help("write those steps here, or use both groups one after the other"));
                }
                sound &= put(step, &arguments, r);
            }
            r.via = before;
            if !sound {
                return none(r);
            }
            steps.retain(|step| uses(step).is_none());
            steps
        }
        None => none(r),
    }
}

/// The arguments of a use. `None`: one is missing, which was told of.
fn arguments(
    name: &str,
    group: &Group,
    given: &[(Key, Node)],
    place: Place,
    r: &mut Reader,
) -> Option<BTreeMap<String, Node>> {
    let mut all = BTreeMap::new();
    let names = || group.arguments.iter().map(|(name, _)| name.as_str());
    for (key, node) in given {
        if names().any(|name| name == key.text) {
            all.insert(key.text.clone(), node.clone());
        } else {
            let finding = error(explain::BAD_GROUP, format!("the group `{name}` has no argument `{}`", key.text));
            r.tell(key.place, finding.meant(&key.text, names()));
        }
    }
    // One that was mistyped was told of just now.
    let mistyped = given.iter().any(|(key, _)| !names().any(|name| name == key.text));
    let mut whole = true;
    for (argument, default) in &group.arguments {
        if all.contains_key(argument) {
            continue;
        }
        match default {
            Some(default) => _ = all.insert(argument.clone(), default.clone()),
            None => {
                whole = false;
                if !mistyped {
                    let finding =
                        error(explain::BAD_GROUP, format!("the group `{name}` needs the argument `{argument}`"));
                    r.tell(place, finding.help(format!("add `{WITH}: {{{argument}: ...}}`")));
                }
            }
        }
    }
    whole.then_some(all)
}

/// Puts arguments in the places of `${args.NAME}`; whether all of them are there.
fn put(node: &mut Node, arguments: &BTreeMap<String, Node>, r: &mut Reader) -> bool {
    match &mut node.value {
        Value::Null => true,
        // All of them, also after one that is not there: each mistake is told.
        Value::List(items) => items.iter_mut().filter_map(|item| (!put(item, arguments, r)).then_some(())).count() == 0,
        Value::Map(entries) => {
            entries.iter_mut().filter_map(|(_, value)| (!put(value, arguments, r)).then_some(())).count() == 0
        }
        Value::Scalar(text) => {
            let Some(inner) = text.strip_prefix("${").and_then(|t| t.strip_suffix('}')) else { return true };
            let name = inner.trim().strip_prefix(ARGS).and_then(|rest| rest.strip_prefix('.'));
            let finding = match name.map(|name| (name, arguments.get(name))) {
                Some((_, Some(argument))) => {
                    node.value = argument.value.clone();
                    return true;
                }
                Some((name, None)) if Ident::parse(name).is_some() => {
                    let finding = error(explain::BAD_EXPRESSION, format!("the group has no argument `{name}`"));
                    let known: Vec<&str> = arguments.keys().map(String::as_str).collect();
                    match super::read::nearest(name, &known) {
                        Some(_) => finding.meant(name, known),
                        None => finding.help(format!("declare it in the group: `arguments: {{{name}: {{}}}}`")),
                    }
                }
                None if !inner.contains("args.") => return true,
                _ => error(explain::BAD_EXPRESSION, "an argument of a group is a whole value, `${args.NAME}`")
                    .help("give the whole expression as the argument: `with: {count: \"${matrix.n * 2}\"}`"),
            };
            r.tell(node.place, finding);
            false
        }
    }
}
