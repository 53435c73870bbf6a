//! Compiles a schema. A keyword with a value that is not allowed is an error; a keyword that is not
//! supported is noted.

use super::{Checker, Items, Members, Node, Pattern, Rule, Types, Unusable};
use crate::limits;
use core::ptr;
use schemars::Schema;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

impl Checker {
    /// Compiles a schema. If it was `derived` from a type, the reader of the arguments refuses
    /// unknown members, so that `unevaluatedProperties` need not be checked.
    ///
    /// # Errors
    /// Why the schema cannot be used.
    pub(in super::super) fn new(schema: &Value, derived: bool) -> Result<Self, Unusable> {
        let dialect = Dialect::of(schema)?;
        let mut compiler = Compiler {
            root: schema,
            dialect,
            derived,
            nodes: Vec::new(),
            known: HashMap::new(),
            depth: 0,
            unchecked: BTreeSet::new(),
        };
        compiler.node(schema)?;
        let Compiler { mut nodes, unchecked, .. } = compiler;
        if !ends(&nodes) {
            return Err(Unusable::Endless);
        }
        if !unchecked.is_empty() {
            nodes.iter_mut().for_each(loosen);
        }
        Ok(Self { nodes, unchecked: unchecked.into_iter().collect() })
    }
}

/// A branch of which a part is not checked may fit values that it should refuse. So `oneOf` becomes
/// `anyOf`, and `not` is left out, for otherwise they would refuse values that fit.
fn loosen(rules: &mut Vec<Rule>) {
    rules.retain(|rule| !matches!(rule, Rule::Not(_)));
    for rule in rules {
        if let Rule::One(branches) = rule {
            *rule = Rule::Any(core::mem::take(branches));
        }
    }
}

/// Whether every check ends: no schema applies itself to the same value. Removes, again and again,
/// the schemas that apply only removed ones.
fn ends(nodes: &[Vec<Rule>]) -> bool {
    let applied = |node: Node| nodes[node].iter().flat_map(Rule::in_place);
    let mut users: Vec<Vec<Node>> = vec![Vec::new(); nodes.len()];
    let mut waiting: Vec<usize> = (0..nodes.len()).map(|node| applied(node).count()).collect();
    for node in 0..nodes.len() {
        applied(node).for_each(|other| users[other].push(node));
    }
    let mut free: Vec<Node> = (0..nodes.len()).filter(|node| waiting[*node] == 0).collect();
    let mut removed = 0;
    while let Some(node) = free.pop() {
        removed += 1;
        for user in &users[node] {
            waiting[*user] -= 1;
            if waiting[*user] == 0 {
                free.push(*user);
            }
        }
    }
    removed == nodes.len()
}

impl Rule {
    /// Whether the rule applies subschemas.
    const fn looks_deeper(&self) -> bool {
        matches!(self, Self::Members(_) | Self::Items(_) | Self::All(_) | Self::Any(_) | Self::One(_) | Self::Not(_))
    }

    /// The subschemas that apply to the same value.
    fn in_place(&self) -> impl Iterator<Item = Node> {
        let nodes = match self {
            Self::All(nodes) | Self::Any(nodes) | Self::One(nodes) => nodes.as_slice(),
            Self::Not(node) => core::slice::from_ref(node),
            _ => &[],
        };
        nodes.iter().copied()
    }
}

/// The dialects of JSON Schema, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dialect {
    Draft4,
    Draft6,
    Draft7,
    Draft2019,
    Draft2020,
}

impl Dialect {
    // MCP 2026-07-28 basic/index: the dialect is 2020-12 unless `$schema` says otherwise.
    fn of(schema: &Value) -> Result<Self, Unusable> {
        let Some(named) = schema.get("$schema") else { return Ok(Self::Draft2020) };
        let named = named.as_str().ok_or_else(|| Unusable::Keyword("$schema".to_owned()))?;
        let (_, place) = named.split_once("://").unwrap_or_default();
        match place.trim_end_matches('#') {
            "json-schema.org/draft-04/schema" => Ok(Self::Draft4),
            "json-schema.org/draft-06/schema" => Ok(Self::Draft6),
            "json-schema.org/draft-07/schema" => Ok(Self::Draft7),
            "json-schema.org/draft/2019-09/schema" => Ok(Self::Draft2019),
            "json-schema.org/draft/2020-12/schema" => Ok(Self::Draft2020),
            _ => Err(Unusable::Dialect(named.to_owned())),
        }
    }
}

/// Keywords that restrict values and are not supported. Unknown keywords are annotations (JSON
/// Schema 2020-12 core §4.3.1), and so is `format`.
const UNSUPPORTED: [&str; 14] = [
    "multipleOf",
    "contains",
    "minContains",
    "maxContains",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "if",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
    "$dynamicRef",
    "$recursiveRef",
];

struct Compiler<'s> {
    root: &'s Value,
    dialect: Dialect,
    derived: bool,
    nodes: Vec<Vec<Rule>>,
    /// The nodes by the addresses of their schemas, so that a recursive schema ends.
    known: HashMap<*const Value, Node>,
    depth: usize,
    unchecked: BTreeSet<String>,
}

impl<'s> Compiler<'s> {
    fn node(&mut self, schema: &'s Value) -> Result<Node, Unusable> {
        let place = ptr::from_ref(schema);
        if let Some(known) = self.known.get(&place) {
            return Ok(*known);
        }
        let node = self.nodes.len();
        self.known.insert(place, node);
        self.nodes.push(Vec::new());
        if self.depth == limits::SCHEMA_DEPTH {
            return Err(Unusable::TooDeep);
        }
        self.depth += 1;
        self.nodes[node] = match schema {
            Value::Bool(true) => Vec::new(),
            Value::Bool(false) => vec![Rule::Never],
            // References inside of a schema with an identifier of its own start there.
            Value::Object(members) if node > 0 && members.get("$id").is_some_and(Value::is_string) => {
                self.skip("$id");
                Vec::new()
            }
            Value::Object(members) => self.rules(members)?,
            _ => return Err(Unusable::NotASchema),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn nodes(&mut self, keyword: &str, schemas: &'s Value) -> Result<Vec<Node>, Unusable> {
        let schemas = schemas.as_array().ok_or_else(|| Unusable::Keyword(keyword.to_owned()))?;
        schemas.iter().map(|schema| self.node(schema)).collect()
    }

    fn skip(&mut self, keyword: &str) {
        self.unchecked.insert(keyword.to_owned());
    }

    fn rules(&mut self, members: &'s Map<String, Value>) -> Result<Vec<Rule>, Unusable> {
        // Draft 7 core §8.3: "All other properties in a "$ref" object MUST be ignored."
        if let (Some(reference), true) = (members.get("$ref"), self.dialect <= Dialect::Draft7) {
            return Ok(self.reference(reference)?.into_iter().collect());
        }
        let mut rules = Vec::new();
        for (keyword, value) in members {
            rules.extend(self.rule(keyword, value)?);
        }
        rules.extend(self.members(members)?);
        rules.extend(self.items(members)?);
        // Rules that look at the value alone come first: they often decide, and cost little.
        rules.sort_by_key(Rule::looks_deeper);
        Ok(rules)
    }

    fn rule(&mut self, keyword: &str, value: &'s Value) -> Result<Option<Rule>, Unusable> {
        let wrong = || Unusable::Keyword(keyword.to_owned());
        let number = || value.as_number().cloned().ok_or_else(wrong);
        let size = || size(value).ok_or_else(wrong);
        Ok(Some(match keyword {
            "type" => Rule::Type(types(value).ok_or_else(wrong)?),
            "enum" => Rule::Values(value.as_array().ok_or_else(wrong)?.clone()),
            "const" if self.dialect >= Dialect::Draft6 => Rule::Values(vec![value.clone()]),
            "minimum" => Rule::AtLeast(number()?),
            "maximum" => Rule::AtMost(number()?),
            "exclusiveMinimum" | "exclusiveMaximum" if self.dialect == Dialect::Draft4 => {
                self.skip(keyword);
                return Ok(None);
            }
            "exclusiveMinimum" => Rule::MoreThan(number()?),
            "exclusiveMaximum" => Rule::LessThan(number()?),
            "minLength" => Rule::MinLength(size()?),
            "maxLength" => Rule::MaxLength(size()?),
            "minItems" => Rule::MinItems(size()?),
            "maxItems" => Rule::MaxItems(size()?),
            "minProperties" => Rule::MinProperties(size()?),
            "maxProperties" => Rule::MaxProperties(size()?),
            "uniqueItems" if value.as_bool().ok_or_else(wrong)? => Rule::UniqueItems,
            "required" => Rule::Required(texts(value).ok_or_else(wrong)?),
            "pattern" => match Pattern::new(value.as_str().ok_or_else(wrong)?) {
                Some(pattern) => Rule::Pattern(pattern),
                None => {
                    self.skip(keyword);
                    return Ok(None);
                }
            },
            "allOf" => Rule::All(self.nodes(keyword, value)?),
            "anyOf" => Rule::Any(self.nodes(keyword, value)?),
            "oneOf" => Rule::One(self.nodes(keyword, value)?),
            "not" => Rule::Not(self.node(value)?),
            "$ref" => return self.reference(value),
            "unevaluatedProperties" if self.derived => return Ok(None),
            _ => {
                if UNSUPPORTED.contains(&keyword) {
                    self.skip(keyword);
                }
                return Ok(None);
            }
        }))
    }

    fn reference(&mut self, reference: &'s Value) -> Result<Option<Rule>, Unusable> {
        let reference = reference.as_str().ok_or_else(|| Unusable::Keyword("$ref".to_owned()))?;
        let own = self.root.get("$id").and_then(Value::as_str).map(|id| id.trim_end_matches('#'));
        let local = own.and_then(|own| reference.strip_prefix(own)).unwrap_or(reference);
        let Some(place) = local.strip_prefix('#') else {
            return Err(Unusable::Elsewhere(reference.to_owned()));
        };
        // The name of an anchor.
        if !place.is_empty() && !place.starts_with('/') {
            self.skip("$ref");
            return Ok(None);
        }
        let target = <&Schema>::try_from(self.root).ok().and_then(|root| root.pointer(local));
        let target = target.ok_or_else(|| Unusable::Nowhere(reference.to_owned()))?;
        Ok(Some(Rule::All(vec![self.node(target)?])))
    }

    fn members(&mut self, members: &'s Map<String, Value>) -> Result<Option<Rule>, Unusable> {
        let object = |keyword: &str| match members.get(keyword) {
            None => Ok(None),
            Some(value) => value.as_object().map(Some).ok_or_else(|| Unusable::Keyword(keyword.to_owned())),
        };
        let (named, patterned) = (object("properties")?, object("patternProperties")?);
        let additional = members.get("additionalProperties");
        if named.is_none() && patterned.is_none() && additional.is_none() {
            return Ok(None);
        }
        let mut rule = Members { closed: additional == Some(&Value::Bool(false)), ..Members::default() };
        for (name, schema) in named.into_iter().flatten() {
            rule.named.insert(name.clone(), self.node(schema)?);
        }
        let mut all_known = true;
        for (pattern, schema) in patterned.into_iter().flatten() {
            match Pattern::new(pattern) {
                Some(pattern) => rule.patterns.push((pattern, self.node(schema)?)),
                None => all_known = false,
            }
        }
        match additional {
            // A member that an unsupported pattern allows cannot be told from others.
            _ if !all_known => {
                self.skip("patternProperties");
                rule.closed = false;
            }
            Some(schema) if !rule.closed => rule.others = Some(self.node(schema)?),
            _ => {}
        }
        Ok(Some(Rule::Members(rule)))
    }

    fn items(&mut self, members: &'s Map<String, Value>) -> Result<Option<Rule>, Unusable> {
        let first = match members.get("prefixItems").filter(|_| self.dialect == Dialect::Draft2020) {
            Some(schemas) => self.nodes("prefixItems", schemas)?,
            None => Vec::new(),
        };
        let others = match members.get("items") {
            // Before 2020-12, an array of schemas is a tuple.
            Some(Value::Array(_)) if self.dialect < Dialect::Draft2020 => {
                self.skip("items");
                None
            }
            Some(schema) => Some(self.node(schema)?),
            None => None,
        };
        let is_needed = !first.is_empty() || others.is_some();
        Ok(is_needed.then_some(Rule::Items(Items { first, others })))
    }
}

fn types(value: &Value) -> Option<Types> {
    let named = |name: &Value| Some(Types::named(name.as_str()?)).filter(|types| *types != Types::default());
    match value {
        Value::Array(names) => names.iter().try_fold(Types::default(), |types, name| Some(types.or(named(name)?))),
        name => named(name),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A size may be written as `2.0`.
fn size(value: &Value) -> Option<u64> {
    u64::try_from(super::order::integer(value.as_number()?)?).ok()
}
