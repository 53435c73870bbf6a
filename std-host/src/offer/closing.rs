//! Closes a schema that was derived from a type: each object without a rule for additional members
//! refuses them, at every depth. A misspelt member is then reported, and not silently ignored.
//!
//! An object stays open if closing it would refuse values that its type accepts, such as one with a
//! flattened map.

use super::site::{BRANCHES, RULES, Site, allows_object, is_joined, place_of};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Closes all objects of `schema` that can be closed.
pub(super) fn close(schema: &mut Value) {
    let mut plan = Plan::default();
    plan.visit(schema);
    for (place, rule) in plan.rules(schema) {
        if let Some(Value::Object(part)) = schema.pointer_mut(&place) {
            part.insert(rule.to_owned(), Value::Bool(false));
        }
    }
}

/// The places in a schema, as JSON pointers.
#[derive(Default)]
struct Plan {
    /// Schemas that describe a value alone.
    sites: BTreeSet<String>,
    /// Schemas that a value must fit in addition to others. Closing one of these would refuse the
    /// members of the others.
    joined: BTreeSet<String>,
    due: Vec<String>,
}

impl Plan {
    fn visit(&mut self, schema: &Value) {
        self.site(String::new());
        while let Some(place) = self.due.pop() {
            let Some(Value::Object(part)) = schema.pointer(&place) else {
                continue;
            };
            members(part).for_each(|member| self.site(format!("{place}/{member}")));
            let is_joined = is_joined(part) || self.joined.contains(&place);
            for other in others(part, &place) {
                match is_joined {
                    true => self.join(other),
                    false => self.site(other),
                }
            }
        }
    }

    fn site(&mut self, place: String) {
        if self.sites.insert(place.clone()) {
            self.due.push(place);
        }
    }

    fn join(&mut self, place: String) {
        if self.joined.insert(place.clone()) {
            self.due.push(place);
        }
    }

    /// Returns the rules to add, with their places.
    fn rules(&self, schema: &Value) -> Vec<(String, &'static str)> {
        let rule = |place: &String| {
            let part = schema.pointer(place)?;
            let object = part.as_object()?;
            let has_rule = RULES.iter().any(|rule| object.contains_key(*rule));
            let closed = !has_rule && allows_object(object) && Site::of(schema, &[part]).names().is_some();
            let mut others = others(object, place).peekable();
            let leads_to_joined = others.clone().any(|other| self.joined.contains(&other));
            let rule = match others.peek() {
                None => "additionalProperties",
                // JSON Schema 2020-12 core §10.3.2.3 and §11.3: `additionalProperties` only
                // considers the `properties` next to it, and would refuse those of the branches.
                // `unevaluatedProperties` considers them, too.
                Some(_) if is_joined(object) || leads_to_joined => "unevaluatedProperties",
                // Each alternative is closed separately.
                Some(_) => return None,
            };
            (closed && !self.joined.contains(place)).then(|| (place.clone(), rule))
        };
        self.sites.iter().filter_map(rule).collect()
    }
}

/// Returns the places of the schemas for parts of a value, relative to the schema of the value.
fn members(part: &Map<String, Value>) -> impl Iterator<Item = String> {
    let named = part.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let named = named.map(|name| format!("properties/{}", name.replace('~', "~0").replace('/', "~1")));
    let places = part.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
    let places = (0..places).map(|place| format!("prefixItems/{place}"));
    let all = ["items", "additionalProperties"].into_iter().filter(|keyword| part.contains_key(*keyword));
    named.chain(places).chain(all.map(str::to_owned))
}

/// Returns the places of further schemas for the same value: branches, and the target of a
/// reference.
fn others(part: &Map<String, Value>, place: &str) -> impl Iterator<Item = String> + Clone {
    let branches = BRANCHES.iter().flat_map(move |keyword| {
        let count = part.get(*keyword).and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).map(move |branch| format!("{place}/{keyword}/{branch}"))
    });
    branches.chain(part.get("$ref").and_then(place_of).map(str::to_owned))
}
