//! Checks values against the part of JSON Schema that schemas of tools use most: types, members,
//! items, bounds, lengths, patterns, lists of values, branches, and references inside of the schema.
//!
//! [`Checker::unchecked`] names the other keywords of a schema. They are not checked here. A value
//! that fits the schema is never refused because of them: the check is only less strict.
//!
//! Recursion is bounded by [`limits::SCHEMA_DEPTH`](crate::limits::SCHEMA_DEPTH), while a schema is
//! compiled and while a value is checked. The work of a check is bounded by the length of the value.

mod compile;
mod order;
mod pattern;
mod validate;

use core::fmt;
use pattern::Pattern;
use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Checker {
    /// The rules of each subschema. The first one is the root.
    nodes: Vec<Vec<Rule>>,
    /// The keywords that are not checked, sorted and without duplicates.
    unchecked: Vec<String>,
}

/// The index of a subschema in [`Checker::nodes`].
type Node = usize;

/// One keyword, or several that only have a meaning together.
#[derive(Debug)]
enum Rule {
    /// The schema `false`.
    Never,
    Type(Types),
    /// `enum` and `const`.
    Values(Vec<Value>),
    AtLeast(Number),
    AtMost(Number),
    MoreThan(Number),
    LessThan(Number),
    MinLength(u64),
    MaxLength(u64),
    Pattern(Pattern),
    MinItems(u64),
    MaxItems(u64),
    UniqueItems,
    MinProperties(u64),
    MaxProperties(u64),
    Required(Vec<String>),
    Members(Members),
    Items(Items),
    /// `allOf`, and a reference.
    All(Vec<Node>),
    Any(Vec<Node>),
    One(Vec<Node>),
    Not(Node),
}

/// `properties`, `patternProperties` and `additionalProperties`.
#[derive(Debug, Default)]
struct Members {
    named: BTreeMap<String, Node>,
    patterns: Vec<(Pattern, Node)>,
    /// The schema of all other members.
    others: Option<Node>,
    /// Whether other members are refused.
    closed: bool,
}

/// `prefixItems` and `items`.
#[derive(Debug)]
struct Items {
    first: Vec<Node>,
    others: Option<Node>,
}

/// A set of types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Types(u8);

/// The types by name. Each one is a bit of [`Types`].
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

impl Types {
    /// Returns the set with one type, or the empty set if there is no such type.
    fn named(name: &str) -> Self {
        TYPES.iter().position(|known| *known == name).map_or(Self(0), |bit| Self(1 << bit))
    }

    /// The types of a value. A number without a fraction is an integer, however it is written (JSON
    /// Schema 2020-12 core §4.2.3).
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::named("null"),
            Value::Bool(_) => Self::named("boolean"),
            Value::Number(number) if order::is_whole(number) => Self::named("integer").or(Self::named("number")),
            Value::Number(_) => Self::named("number"),
            Value::String(_) => Self::named("string"),
            Value::Array(_) => Self::named("array"),
            Value::Object(_) => Self::named("object"),
        }
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            TYPES.iter().enumerate().filter(|(bit, _)| self.meets(Self(1 << bit))).map(|(_, name)| *name).collect();
        f.write_str(&names.join(" or "))
    }
}

impl Checker {
    /// The keywords of the schema that [`check`](Self::check) does not check.
    pub(super) fn unchecked(&self) -> &[String] {
        &self.unchecked
    }
}

/// Why a schema cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The dialect that `$schema` names is not known.
    Dialect(String),
    /// The keyword has a value that is not allowed.
    Keyword(String),
    /// A subschema is neither an object nor a boolean.
    NotASchema,
    /// A reference leads to a place outside of the schema, and nothing is fetched.
    Elsewhere(String),
    /// A reference leads to a place that is not in the schema.
    Nowhere(String),
    /// A schema refers to itself for the same value, so that checking it would never end.
    Endless,
    TooDeep,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dialect(dialect) => {
                write!(f, "the dialect {dialect:?} is not known: use https://json-schema.org/draft/2020-12/schema")
            }
            Self::Keyword(keyword) => write!(f, "the value of {keyword} is not allowed"),
            Self::NotASchema => f.write_str("a part of it is neither an object nor true or false"),
            Self::Elsewhere(reference) => {
                write!(f, "{reference:?} is outside of it, and nothing is fetched: put that schema into $defs")
            }
            Self::Nowhere(reference) => write!(f, "{reference:?} is not in it"),
            Self::Endless => f.write_str("a $ref leads back to itself"),
            Self::TooDeep => f.write_str("it is nested too deeply"),
        }
    }
}

impl core::error::Error for Unusable {}

#[cfg(test)]
mod tests;
