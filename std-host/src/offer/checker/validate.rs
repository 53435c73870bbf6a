//! Checks a value against a compiled schema, and says in a sentence why it does not fit.

use super::order::{numbers, order};
use super::{Checker, Items, Members, Node, Rule, Types};
use crate::limits;
use crate::offer::shortened::echoed;
use core::cell::Cell;
use core::cmp::Ordering;
use core::fmt;
use serde_json::{Map, Number, Value};

/// Where and why a value does not fit.
#[derive(Debug)]
pub(in super::super) struct Misfit<'c> {
    /// The steps to the place, the last one first.
    steps: Vec<Step<'c>>,
    why: Why<'c>,
}

#[derive(Debug)]
enum Step<'c> {
    Member(String),
    Known(&'c str),
    Item(usize),
}

#[derive(Debug)]
enum Why<'c> {
    Rule(&'c Rule),
    Type(Types, Types),
    Missing(&'c str),
    Unknown(String, &'c Members),
    Several,
    TooDeep,
    TooLong,
}

type Checked<'c> = Result<(), Misfit<'c>>;

/// The check of one value.
struct Check<'c> {
    nodes: &'c [Vec<Rule>],
    /// The number of subschemas that may still be applied.
    work: Cell<usize>,
}

impl Checker {
    /// Checks a value that was `bytes` long.
    ///
    /// # Errors
    /// The first place that does not fit.
    pub(in super::super) fn check(&self, value: &Value, bytes: usize) -> Checked<'_> {
        let work = limits::SCHEMA_WORK.saturating_add(bytes.saturating_mul(limits::SCHEMA_WORK_PER_BYTE));
        let check = Check { nodes: &self.nodes, work: Cell::new(work) };
        let checked = check.node(0, value, 0);
        if check.work.get() == 0 { Err(Why::TooLong.here()) } else { checked }
    }
}

impl<'c> Check<'c> {
    fn node(&self, node: Node, value: &Value, depth: usize) -> Checked<'c> {
        // Branches that refer to each other can multiply the work with each level of the value.
        self.work.set(self.work.get().saturating_sub(1));
        if self.work.get() == 0 {
            return Err(Why::TooLong.here());
        }
        if depth == limits::SCHEMA_DEPTH {
            return Err(Why::TooDeep.here());
        }
        let rules = self.nodes.get(node).map(Vec::as_slice).unwrap_or_default();
        rules.iter().try_for_each(|rule| self.rule(rule, value, depth + 1))
    }

    fn rule(&self, rule: &'c Rule, value: &Value, depth: usize) -> Checked<'c> {
        let fits = match (rule, value) {
            (Rule::Never, _) => false,
            (Rule::Type(types), value) => {
                let found = Types::of(value);
                return if types.meets(found) { Ok(()) } else { Err(Why::Type(*types, found).here()) };
            }
            (Rule::Values(values), value) => values.iter().any(|allowed| order(allowed, value).is_eq()),
            (Rule::All(nodes), value) => return nodes.iter().try_for_each(|node| self.node(*node, value, depth)),
            (Rule::Any(nodes), value) => return self.branches(rule, nodes, value, depth, false),
            (Rule::One(nodes), value) => return self.branches(rule, nodes, value, depth, true),
            (Rule::Not(node), value) => self.node(*node, value, depth).is_err(),
            (rule, Value::Number(number)) => is_within(rule, number),
            (rule, Value::String(text)) => fits_text(rule, text),
            (Rule::Items(items), Value::Array(values)) => return self.items(items, values, depth),
            (rule, Value::Array(values)) => fits_array(rule, values),
            (Rule::Required(names), Value::Object(members)) => {
                let missing = names.iter().find(|name| !members.contains_key(*name));
                return missing.map_or(Ok(()), |name| Err(Why::Missing(name).here()));
            }
            (Rule::Members(known), Value::Object(members)) => return self.members(known, members, depth),
            (Rule::MinProperties(least), Value::Object(members)) => members.len() as u64 >= *least,
            (Rule::MaxProperties(most), Value::Object(members)) => members.len() as u64 <= *most,
            _ => true,
        };
        if fits { Ok(()) } else { Err(Why::Rule(rule).here()) }
    }

    /// Checks `anyOf`, or `oneOf` if the branches exclude each other. If a single branch accepts the
    /// type of a value that fits none, its reason is the useful one.
    fn branches(&self, rule: &'c Rule, nodes: &[Node], value: &Value, depth: usize, exclusive: bool) -> Checked<'c> {
        let (mut near, mut nearby, mut fitting) = (None, 0, 0);
        for node in nodes {
            match self.node(*node, value, depth) {
                Ok(()) if exclusive => fitting += 1,
                Ok(()) => return Ok(()),
                Err(Misfit { steps, why: Why::Type(..) }) if steps.is_empty() => {}
                Err(misfit) => {
                    nearby += 1;
                    near = Some(misfit);
                }
            }
        }
        match fitting {
            0 => Err(near.filter(|_| nearby == 1).unwrap_or_else(|| Why::Rule(rule).here())),
            1 => Ok(()),
            _ => Err(Why::Several.here()),
        }
    }

    fn items(&self, items: &Items, values: &[Value], depth: usize) -> Checked<'c> {
        for (index, value) in values.iter().enumerate() {
            if let Some(node) = items.first.get(index).copied().or(items.others) {
                self.node(node, value, depth).map_err(|misfit| misfit.under(Step::Item(index)))?;
            }
        }
        Ok(())
    }

    fn members(&self, known: &'c Members, members: &Map<String, Value>, depth: usize) -> Checked<'c> {
        // Simple values first: they often tell which branch is meant, and cost little.
        for nested in [false, true] {
            for (name, node) in &known.named {
                let value = members.get(name).filter(|value| (value.is_object() || value.is_array()) == nested);
                if let Some(value) = value {
                    self.node(*node, value, depth).map_err(|misfit| misfit.under(Step::Known(name)))?;
                }
            }
        }
        if known.patterns.is_empty() && known.others.is_none() && !known.closed {
            return Ok(());
        }
        members.iter().try_for_each(|(name, value)| self.other(known, name, value, depth))
    }

    /// Checks a member by the rules for members without a name in the schema.
    fn other(&self, known: &'c Members, name: &str, value: &Value, depth: usize) -> Checked<'c> {
        let under = |misfit: Misfit<'c>| misfit.under(Step::Member(echoed(name.chars())));
        let mut is_known = known.named.contains_key(name);
        for (_, node) in known.patterns.iter().filter(|(pattern, _)| pattern.matches(name)) {
            is_known = true;
            self.node(*node, value, depth).map_err(under)?;
        }
        match known.others {
            _ if is_known => Ok(()),
            Some(node) => self.node(node, value, depth).map_err(under),
            None if known.closed => Err(Why::Unknown(echoed(name.chars()), known).here()),
            None => Ok(()),
        }
    }
}

fn is_within(rule: &Rule, number: &Number) -> bool {
    match rule {
        Rule::AtLeast(bound) => numbers(number, bound) != Ordering::Less,
        Rule::AtMost(bound) => numbers(number, bound) != Ordering::Greater,
        Rule::MoreThan(bound) => numbers(number, bound) == Ordering::Greater,
        Rule::LessThan(bound) => numbers(number, bound) == Ordering::Less,
        _ => true,
    }
}

fn fits_text(rule: &Rule, text: &str) -> bool {
    // JSON Schema 2020-12 validation §6.3.1: the length is the number of characters.
    let length = || text.chars().count() as u64;
    match rule {
        Rule::MinLength(least) => length() >= *least,
        Rule::MaxLength(most) => length() <= *most,
        Rule::Pattern(pattern) => pattern.matches(text),
        _ => true,
    }
}

fn fits_array(rule: &Rule, values: &[Value]) -> bool {
    match rule {
        Rule::MinItems(least) => values.len() as u64 >= *least,
        Rule::MaxItems(most) => values.len() as u64 <= *most,
        Rule::UniqueItems => {
            let mut sorted: Vec<&Value> = values.iter().collect();
            sorted.sort_unstable_by(|a, b| order(a, b));
            sorted.is_sorted_by(|a, b| order(a, b).is_ne())
        }
        _ => true,
    }
}

impl<'c> Why<'c> {
    const fn here(self) -> Misfit<'c> {
        Misfit { steps: Vec::new(), why: self }
    }
}

impl<'c> Misfit<'c> {
    fn under(mut self, step: Step<'c>) -> Self {
        self.steps.push(step);
        self
    }

    /// Returns the path to the place, such as `filter.tags[2]`. Empty for the whole value.
    pub(in super::super) fn path(&self) -> String {
        let steps = self.steps.iter().rev().map(|step| match step {
            Step::Member(name) => format!(".{name}"),
            Step::Known(name) => format!(".{name}"),
            Step::Item(index) => format!("[{index}]"),
        });
        let path: String = steps.collect();
        echoed(path.trim_start_matches('.').chars())
    }

    /// Returns the reason as a part of a sentence.
    pub(in super::super) fn reason(&self) -> String {
        self.why.to_string()
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "{rule}"),
            Self::Type(wanted, found) => {
                // An integer is a number, too. The narrower word says more.
                let found = found.to_string();
                write!(f, "it must be of type {wanted}, not {}", found.split(' ').next().unwrap_or_default())
            }
            Self::Missing(name) => write!(f, "'{name}' is missing"),
            Self::Unknown(name, members) => {
                let known: Vec<&str> = members.named.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                write!(f, "there is no member '{name}'; its members are: {known}")
            }
            Self::Several => f.write_str("it fits more than one of the forms that exclude each other"),
            Self::TooDeep => f.write_str("it is nested too deeply"),
            Self::TooLong => f.write_str("checking them takes too long: send less, or nest it less"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                let words = if values.len() == 1 { "it must be" } else { "it must be one of" };
                write!(f, "{words} {}", values.join(", "))
            }
            Self::AtLeast(bound) => write!(f, "it must be at least {bound}"),
            Self::AtMost(bound) => write!(f, "it must be at most {bound}"),
            Self::MoreThan(bound) => write!(f, "it must be more than {bound}"),
            Self::LessThan(bound) => write!(f, "it must be less than {bound}"),
            Self::MinLength(least) => write!(f, "it must have at least {least} characters"),
            Self::MaxLength(most) => write!(f, "it must have at most {most} characters"),
            Self::Pattern(pattern) => write!(f, "it must match the pattern {}", pattern.text()),
            Self::MinItems(least) => write!(f, "it must have at least {least} items"),
            Self::MaxItems(most) => write!(f, "it must have at most {most} items"),
            Self::UniqueItems => f.write_str("its items must differ from each other"),
            Self::MinProperties(least) => write!(f, "it must have at least {least} members"),
            Self::MaxProperties(most) => write!(f, "it must have at most {most} members"),
            Self::Any(_) | Self::One(_) => f.write_str("it has none of the allowed forms"),
            _ => f.write_str("this value is not allowed"),
        }
    }
}
