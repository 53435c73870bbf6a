//! The schema of a tool's arguments, out of their Rust type.

use schemars::JsonSchema;
use serde_json::{Value, json};

/// A schema, and the names it allows.
#[derive(Debug)]
pub(super) struct Schema {
    /// The schema.
    pub(super) value: Value,
    /// The names of the arguments; `None` if any name will do.
    pub(super) names: Option<Vec<String>>,
}

impl Schema {
    /// The schema of `A`. An object that does not say what it thinks of other members refuses them: an argument that is
    /// silently dropped is a misspelt one that nobody notices. Where the schema cannot be closed without refusing what
    /// the type takes, it stays open.
    ///
    /// # Panics
    /// If `A` is not an object.
    #[track_caller]
    pub(super) fn of<A: JsonSchema>(tool: &str) -> Self {
        let mut schema = schemars::schema_for!(A);
        // MCP server/tools: `inputSchema` has the root type "object".
        assert!(
            schema.get("type").and_then(Value::as_str) == Some("object"),
            "the arguments of tool {tool:?} must be a struct with named fields, not {}",
            A::schema_name(),
        );
        let said = RULES.iter().find_map(|rule| schema.get(*rule));
        let names = match said {
            Some(rule) if rule != &Value::Bool(false) => None,
            _ => names(schema.as_value()),
        };
        if names.is_some() && said.is_none() {
            // JSON Schema 2020-12 core §10.3.2.3 and §11.3: `additionalProperties` sees the properties beside it alone and
            // would refuse those of the branches, which `unevaluatedProperties` sees too.
            let branches = BRANCHES.iter().chain(&["$ref"]).any(|keyword| schema.get(*keyword).is_some());
            let rule = if branches { "unevaluatedProperties" } else { "additionalProperties" };
            schema.insert(rule.to_owned(), Value::Bool(false));
        }
        Self { names, value: schema.to_value() }
    }

    /// The fields as the arguments of a prompt (MCP server/prompts, "PromptArgument").
    pub(super) fn prompt_arguments(&self) -> Value {
        let required = self.value["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let argument = |(name, property): (&String, &Value)| {
            let mut argument = json!({ "name": name, "required": required.iter().any(|needed| needed == name) });
            for member in ["description", "title"] {
                if let Some(text) = property.get(member) {
                    argument[member] = text.clone();
                }
            }
            argument
        };
        self.value["properties"]
            .as_object()
            .map(|fields| fields.iter().map(argument).collect())
            .unwrap_or_else(|| json!([]))
    }
}

/// The names that a schema lists, in its branches too; `None` if it can allow others. A name of a branch that a call has
/// not taken is among them: which branch was taken is known only to the type.
fn names(schema: &Value) -> Option<Vec<String>> {
    let mut listing = Listing { root: schema, names: Vec::new(), seen: Vec::new() };
    listing.list(schema).then_some(listing.names)
}

/// What is found on the way through a schema and its branches.
struct Listing<'a> {
    root: &'a Value,
    names: Vec<String>,
    /// Targets of references, so that a reference to itself ends.
    seen: Vec<&'a str>,
}

impl<'a> Listing<'a> {
    /// Adds the names that `part` lists, and says whether it lists all that it allows.
    fn list(&mut self, part: &'a Value) -> bool {
        let Some(part) = part.as_object() else {
            return true;
        };
        if OTHERS.iter().any(|keyword| part.contains_key(*keyword)) {
            return false;
        }
        for name in
            part.get("properties").and_then(Value::as_object).into_iter().flat_map(|properties| properties.keys())
        {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        let branches = BRANCHES.iter().filter_map(|keyword| part.get(*keyword)?.as_array()).flatten();
        branches.into_iter().all(|branch| self.branch(branch)) && self.reference(part.get("$ref"))
    }

    /// A branch with a rule of its own judges the names of the others too, so what is allowed in all is not plain.
    fn branch(&mut self, branch: &'a Value) -> bool {
        RULES.iter().all(|rule| branch.get(rule).is_none()) && self.list(branch)
    }

    fn reference(&mut self, reference: Option<&'a Value>) -> bool {
        let Some(reference) = reference else {
            return true;
        };
        let Some(place) = reference.as_str().and_then(|reference| reference.strip_prefix('#')) else {
            return false;
        };
        if self.seen.contains(&place) {
            return true;
        }
        self.seen.push(place);
        self.root.pointer(place).is_some_and(|target| self.branch(target))
    }
}

/// What a schema thinks of the members that it does not name.
const RULES: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];
/// Schemas for the same object.
const BRANCHES: [&str; 3] = ["oneOf", "anyOf", "allOf"];
/// What can allow members without naming them where one would look.
const OTHERS: [&str; 6] = ["patternProperties", "dependentSchemas", "if", "then", "else", "$dynamicRef"];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Flat<T> {
        id: u8,
        #[serde(flatten)]
        rest: T,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Way {
        Level(u8),
        Named { x: f64 },
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Either {
        Plain(Plain),
        Other { other: Option<Box<Either>> },
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Plain {
        plain: u8,
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum WithStrict {
        Strict(Strict),
        Other { other: u8 },
    }

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Strict {
        strict: u8,
    }

    type Map = std::collections::BTreeMap<String, u8>;

    /// The names, and the rules for other names.
    fn outcome<A: JsonSchema>() -> (Option<Vec<String>>, Value, Value) {
        let Schema { value: schema, names } = Schema::of::<A>("t");
        let [additional, unevaluated] = RULES.map(|rule| schema.get(rule).cloned().unwrap_or_default());
        (names, additional, unevaluated)
    }

    #[test]
    fn schema_with_branches_lists_their_names_and_is_closed_by_the_rule_that_sees_them() {
        let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (no, none) = (json!(false), Value::Null);
        assert_eq!(outcome::<Plain>(), (names(&["plain"]), no.clone(), none.clone()));
        assert_eq!(outcome::<Strict>(), (names(&["strict"]), no.clone(), none.clone()));
        assert_eq!(outcome::<Flat<Plain>>(), (names(&["id", "plain"]), no.clone(), none.clone()));
        assert_eq!(outcome::<Flat<Way>>(), (names(&["id", "Level", "Named"]), none.clone(), no.clone()));
        assert_eq!(outcome::<Flat<Option<Way>>>(), (names(&["id", "Level", "Named"]), none.clone(), no.clone()));
        assert_eq!(outcome::<Flat<Either>>(), (names(&["id", "plain", "other"]), none.clone(), no.clone()));
        assert_eq!(outcome::<Flat<Flat<Way>>>().0, names(&["id", "Level", "Named"]));
    }

    #[test]
    fn schema_that_may_allow_names_it_does_not_list_is_left_as_it_is() {
        assert_eq!(outcome::<Flat<WithStrict>>(), (None, Value::Null, Value::Null));
        let (names, additional, unevaluated) = outcome::<Flat<Map>>();
        assert_eq!((names, unevaluated), (None, Value::Null));
        assert!(additional.is_object());
    }
}
