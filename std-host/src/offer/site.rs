//! One place of a JSON Schema: the members that an object may have there, across references and
//! branches.

use serde_json::{Map, Value};

/// The combined statements of one or more schemas about the same object.
#[derive(Debug)]
pub(super) struct Site<'a> {
    root: &'a Value,
    /// The schemas that apply, including the targets of references and all branches.
    pub(super) parts: Vec<&'a Map<String, Value>>,
    /// The named members. They include those of branches that a value does not take, because only
    /// the type knows which branch was taken.
    names: Vec<&'a str>,
    /// Whether members without a name here are possible.
    open: bool,
    /// Whether one of the schemas describes an object.
    describes: bool,
    /// The targets of references, so that a recursive reference ends.
    seen: Vec<&'a str>,
}

impl<'a> Site<'a> {
    /// Creates the place of these schemas, which are parts of `root`.
    pub(super) fn of(root: &'a Value, schemas: &[&'a Value]) -> Self {
        let mut site = Self { root, parts: vec![], names: vec![], open: false, describes: false, seen: vec![] };
        schemas.iter().for_each(|schema| site.read(schema, false));
        site
    }

    /// Returns all members that an object may have here. `None` if others are possible, or if no
    /// schema describes an object.
    pub(super) fn names(&self) -> Option<&[&'a str]> {
        (self.describes && !self.open).then_some(&self.names)
    }

    /// Reads one schema. `joined` is set if a value must also fit other schemas.
    fn read(&mut self, schema: &'a Value, joined: bool) {
        let Some(part) = schema.as_object() else {
            // The schema `true` accepts anything. If it is joined with others, the others determine
            // the members.
            self.open |= !joined && schema == &Value::Bool(true);
            return;
        };
        self.parts.push(part);
        if allows_object(part) {
            self.object(part, joined);
        }
        let joined = joined || is_joined(part);
        for branch in branches(part) {
            self.read(branch, joined);
        }
        if let Some(reference) = part.get("$ref") {
            self.reference(reference, joined);
        }
    }

    fn object(&mut self, part: &'a Map<String, Value>, joined: bool) {
        let rule = RULES.iter().find_map(|rule| part.get(*rule));
        // A joined schema with its own rule also applies to the members of the others, so the set
        // that all of them allow is not known.
        self.open |= rule.is_some_and(|rule| joined || rule != &Value::Bool(false));
        self.open |= OTHERS.iter().any(|keyword| part.contains_key(*keyword));
        let properties = part.get("properties").and_then(Value::as_object);
        for name in properties.into_iter().flat_map(Map::keys) {
            if !self.names.contains(&name.as_str()) {
                self.names.push(name);
            }
        }
        let says = |keyword: &&str| part.contains_key(*keyword);
        self.describes |= properties.is_some() || rule.is_some() || part.contains_key("type");
        self.open |= !joined && !SHAPES.iter().chain(&BRANCHES).chain(&RULES).any(says);
    }

    fn reference(&mut self, reference: &'a Value, joined: bool) {
        let target = place_of(reference).and_then(|place| Some((place, self.root.pointer(place)?)));
        match target {
            Some((place, _)) if self.seen.contains(&place) => {}
            Some((place, target)) => {
                self.seen.push(place);
                self.read(target, joined);
            }
            None => self.open = true,
        }
    }
}

/// Returns the place in the same document that a `$ref` points to, as a JSON pointer.
pub(super) fn place_of(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix('#')
}

/// Returns the schemas of all branches.
fn branches(part: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    BRANCHES.iter().filter_map(|keyword| part.get(*keyword)?.as_array()).flatten()
}

/// Whether the `type`, `const` and `enum` of a schema allow an object.
pub(super) fn allows_object(part: &Map<String, Value>) -> bool {
    match part.get("type") {
        Some(Value::String(of)) => of == "object",
        Some(Value::Array(of)) => of.iter().any(|of| of == "object"),
        _ => !part.contains_key("const") && !part.contains_key("enum"),
    }
}

/// Whether a value must fit several schemas at once, as opposed to one of several alternatives.
pub(super) fn is_joined(part: &Map<String, Value>) -> bool {
    let composed = BRANCHES.iter().chain(&["$ref"]).filter(|keyword| part.contains_key(**keyword)).count();
    let several = |all: &Value| all.as_array().is_some_and(|all| all.len() > 1);
    composed > 1 || composed == 1 && part.contains_key("properties") || part.get("allOf").is_some_and(several)
}

/// Keywords with a rule for members that a schema does not name.
pub(super) const RULES: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];
/// Keywords with further schemas for the same object.
pub(super) const BRANCHES: [&str; 3] = ["oneOf", "anyOf", "allOf"];
/// Keywords that can allow members without naming them in `properties`.
const OTHERS: [&str; 6] = ["patternProperties", "dependentSchemas", "if", "then", "else", "$dynamicRef"];
/// Keywords without which a schema accepts any value.
const SHAPES: [&str; 3] = ["type", "properties", "$ref"];
