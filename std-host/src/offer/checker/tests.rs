//! The checker against the engine `jsonschema`: both must agree on every schema without unchecked
//! keywords.

use super::*;
use serde_json::json;

/// Checks a value, and that the engine agrees if the schema is checked as a whole.
fn fits(schema: &Value, value: &Value) -> bool {
    let checker = Checker::new(schema, false).unwrap_or_else(|error| panic!("{error}: {schema}"));
    let fits = checker.check(value, 0).is_ok();
    if checker.unchecked.is_empty() {
        assert_eq!(fits, jsonschema::is_valid(schema, value), "{value} {schema}");
    }
    fits
}

fn sentence(schema: &Value, value: &Value) -> String {
    let checker = Checker::new(schema, false).expect("a schema");
    let misfit = checker.check(value, 0).expect_err("it does not fit");
    format!("{}: {}", misfit.path(), misfit.reason())
}

/// A generator of pseudorandom numbers (xorshift), so that a failing case can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap_or_default()
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        let small = |random: &mut Self| random.below(4);
        match self.below(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(5)),
            3 => json!(self.below(5) as f64),
            4 => json!(self.below(10) as f64 / 2.0 - 2.0),
            5 => {
                [json!(u64::MAX), json!(i64::MIN), json!(1e300), json!(9_007_199_254_740_993_u64)][small(self)].clone()
            }
            6 => json!(self.one(&["", "a", "aa", "b1", "äö", "1", "\u{a0}", "a\n", "😀"])),
            7 => (0..small(self)).map(|_| self.value(depth - 1)).collect(),
            _ => (0..small(self))
                .map(|_| (self.one(&["a", "b", "c", "b1"]).to_owned(), self.value(depth - 1)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    fn schema(&mut self, depth: usize) -> Value {
        if self.below(12) == 0 {
            return json!(self.below(4) > 0);
        }
        let mut schema = json!({});
        for _ in 0..=self.below(3) {
            let (keyword, value) = self.keyword(depth);
            schema[keyword] = value;
        }
        schema
    }

    fn keyword(&mut self, depth: usize) -> (&'static str, Value) {
        let number = |random: &mut Self| [json!(1), json!(2.0), json!(0.5), json!(u64::MAX)][random.below(4)].clone();
        let kinds = if depth == 0 { 18 } else { 28 };
        match self.below(kinds) {
            0..=2 => ("type", json!(TYPES[self.below(7)])),
            3 => ("type", json!([TYPES[self.below(3)], TYPES[3 + self.below(4)]])),
            4 => ("enum", json!([self.value(1), self.value(1), self.value(1)])),
            5 => ("const", self.value(1)),
            6 => ("minimum", number(self)),
            7 => ("maximum", number(self)),
            8 => ("exclusiveMinimum", number(self)),
            9 => ("exclusiveMaximum", number(self)),
            10 => ("minLength", json!(self.below(3))),
            11 => ("maxLength", json!(self.below(3))),
            12 => ("pattern", json!(self.one(&["^a+$", "b", r"^\w*$", r"^\d$", r"\s", "^.?$", "[^a]"]))),
            13 => ("minItems", json!(self.below(3))),
            14 => ("maxItems", json!(self.below(3))),
            15 => ("uniqueItems", json!(self.below(3) > 0)),
            16 => (self.one(&["minProperties", "maxProperties"]), json!(self.below(3))),
            17 => ("required", json!([self.one(&["a", "b"])])),
            18 | 19 => ("properties", json!({"a": self.schema(depth - 1), "b": self.schema(depth - 1)})),
            20 => ("additionalProperties", self.schema(depth - 1)),
            21 => ("patternProperties", json!({"^b": self.schema(depth - 1)})),
            22 => ("items", self.schema(depth - 1)),
            23 => ("prefixItems", json!([self.schema(depth - 1)])),
            24 => ("$ref", json!(self.one(&["#/$defs/one", "#/$defs/list"]))),
            25 => ("not", self.schema(depth - 1)),
            _ => (
                self.one(&["anyOf", "oneOf", "allOf"]),
                json!([self.schema(depth - 1), self.schema(depth - 1), {"type": "null"}]),
            ),
        }
    }
}

#[test]
fn checker_and_engine_agree_on_any_schema_and_value() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut fitting, mut others) = (0, 0);
    for _ in 0..3_000 {
        let mut schema = random.schema(3);
        if schema.is_object() {
            // A list that contains itself, and a schema that refers to it.
            schema["$defs"] = json!({
                "one": random.schema(0),
                "list": {"anyOf": [{"$ref": "#/$defs/one"}, {"type": "array", "items": {"$ref": "#/$defs/list"}}]},
            });
        }
        for _ in 0..8 {
            let value = random.value(3);
            if fits(&schema, &value) { fitting += 1 } else { others += 1 }
        }
    }
    assert!(fitting > 3_000 && others > 3_000, "{fitting} {others}");
}

#[test]
fn schemas_of_rust_types_are_checked_as_a_whole() {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Order {
        #[schemars(range(min = 1, max = 5))]
        count: u8,
        #[schemars(length(min = 1, max = 3), regex(pattern = "^[a-z]+$"))]
        name: String,
        tags: std::collections::HashSet<String>,
        by_number: std::collections::BTreeMap<i32, Option<Box<Order>>>,
        some: core::num::NonZeroI8,
        kind: Kind,
    }

    #[derive(schemars::JsonSchema)]
    #[serde(tag = "kind")]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Kind {
        Plain,
        Pair {
            pair: (u8, String),
            #[schemars(length(min = 2))]
            word: String,
        },
    }

    let schema = schemars::schema_for!(Order).to_value();
    assert_eq!(Checker::new(&schema, true).expect("a schema").unchecked(), [""; 0]);
    let good = json!({"count": 1, "name": "a", "tags": ["x"], "by_number": {"-7": null}, "some": 1,
        "kind": {"kind": "Pair", "pair": [1, "a"], "word": "ab"}});
    assert!(fits(&schema, &good));
    for (place, wrong) in [
        ("/count", json!(6)),
        ("/name", json!("abcd")),
        ("/name", json!("A")),
        ("/tags", json!(["x", "x"])),
        ("/by_number", json!({"x": null})),
        ("/by_number/-7", json!({"count": 1})),
        ("/some", json!(0)),
        ("/kind/kind", json!("Plan")),
        ("/kind/pair/1", json!(1)),
        ("/kind/word", json!("a")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).expect("a place") = wrong;
        assert!(!fits(&schema, &bad), "{place}");
    }
}

#[test]
fn numbers_are_compared_without_rounding() {
    for (bound, value, good) in [
        (json!({"maximum": 9_007_199_254_740_992_u64}), json!(9_007_199_254_740_993_u64), false),
        (json!({"minimum": 0.5}), json!(0), false),
        (json!({"minimum": -0.5}), json!(0), true),
        (json!({"maximum": 1e300}), json!(u64::MAX), true),
        (json!({"const": 1}), json!(1.0), true),
        (json!({"enum": [{"a": 1, "b": [2]}]}), json!({"b": [2.0], "a": 1}), true),
        (json!({"type": "integer"}), json!(3.0), true),
    ] {
        assert_eq!(fits(&bound, &value), good, "{bound} {value}");
    }
}

#[test]
fn schema_is_checked_in_the_dialect_that_it_names() {
    let with = |dialect: &str, mut schema: Value| {
        schema["$schema"] = dialect.into();
        schema
    };
    let tuple = json!({"prefixItems": [{"type": "string"}]});
    let seven = "http://json-schema.org/draft-07/schema#";
    assert!(!fits(&with("https://json-schema.org/draft/2020-12/schema", tuple.clone()), &json!([7])));
    assert!(fits(&with(seven, tuple), &json!([7])));
    // In draft 7, a reference excludes its neighbours.
    let reference = json!({"$ref": "#/definitions/a", "minimum": 5, "definitions": {"a": {"type": "integer"}}});
    assert!(fits(&with(seven, reference.clone()), &json!(1)));
    assert!(!fits(&reference, &json!(1)));
}

#[test]
fn schema_that_cannot_be_used_is_refused_with_the_reason() {
    let x = |of: Value| json!({"type": "object", "properties": {"x": of}});
    let keyword = |name: &str| Unusable::Keyword(name.to_owned());
    for (schema, expected) in [
        (json!({"$schema": "https://a.example/dialect"}), Unusable::Dialect("https://a.example/dialect".to_owned())),
        (x(json!({"$ref": "https://a.example/b"})), Unusable::Elsewhere("https://a.example/b".to_owned())),
        (x(json!({"$ref": "#/$defs/nowhere"})), Unusable::Nowhere("#/$defs/nowhere".to_owned())),
        (x(json!({"type": "text"})), keyword("type")),
        (x(json!({"minimum": "1"})), keyword("minimum")),
        (x(json!({"minLength": -1})), keyword("minLength")),
        (x(json!({"required": "a"})), keyword("required")),
        (x(json!({"anyOf": {}})), keyword("anyOf")),
        (x(json!("string")), Unusable::NotASchema),
        (json!({"$ref": "#"}), Unusable::Endless),
        (json!({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}), Unusable::Endless),
        ((0..600).fold(json!(true), |inner, _| json!({"items": inner})), Unusable::TooDeep),
    ] {
        assert_eq!(Checker::new(&schema, false).expect_err("it cannot be used"), expected);
    }
}

#[test]
fn keyword_that_is_not_checked_is_named_and_refuses_nothing() {
    for (schema, value, unchecked) in [
        (json!({"multipleOf": 2}), json!(3), &["multipleOf"][..]),
        (json!({"pattern": "(?=a)"}), json!("b"), &["pattern"]),
        (
            json!({"patternProperties": {"(?=a)": true}, "additionalProperties": false}),
            json!({"a": 1}),
            &["patternProperties"],
        ),
        // Without `contains`, the value fits both branches.
        (json!({"oneOf": [{"contains": {"const": 1}}, {"type": "array"}]}), json!([2]), &["contains"]),
        (json!({"not": {"if": {"type": "string"}, "then": false}}), json!("a"), &["if"]),
        (json!({"$ref": "#anchor", "$defs": {"a": {"$anchor": "anchor", "type": "null"}}}), json!(1), &["$ref"]),
        (json!({"properties": {"a": {"$id": "https://b.example", "$ref": "#/c"}}}), json!({"a": 1}), &["$id"]),
    ] {
        let checker = Checker::new(&schema, false).expect("a schema");
        assert_eq!(checker.unchecked(), unchecked, "{schema}");
        assert!(checker.check(&value, 0).is_ok(), "{schema}");
    }
}

#[test]
fn reason_names_the_place_and_what_would_fit() {
    let filter = json!({
        "type": "object", "required": ["tags"], "additionalProperties": false,
        "properties": {
            "tags": {"type": "array", "items": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}},
            "mode": {"enum": ["on", "off"]},
            "level": {"type": "integer", "maximum": 9},
        },
    });
    let schema = json!({"properties": {"filter": filter}, "minProperties": 1});
    for (value, expected) in [
        (json!({}), ": it must have at least 1 members"),
        (json!({"filter": 1}), "filter: it must be of type object, not integer"),
        (json!({"filter": {}}), "filter: 'tags' is missing"),
        (json!({"filter": {"tags": [], "x": 1}}), "filter: there is no member 'x'; its members are: level, mode, tags"),
        (json!({"filter": {"tags": ["a", "abcd"]}}), "filter.tags[1]: it must have at most 3 characters"),
        (json!({"filter": {"tags": [], "mode": "of"}}), "filter.mode: it must be one of \"on\", \"off\""),
        (json!({"filter": {"tags": [], "level": 10}}), "filter.level: it must be at most 9"),
    ] {
        assert_eq!(sentence(&schema, &value), expected);
    }
}

#[test]
fn branches_that_refer_to_each_other_do_not_multiply_the_work() {
    let branch = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/tree"}}, "required": ["a"]});
    let schema = json!({
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {"anyOf": [branch, branch, {"const": 1}]}},
    });
    let checker = Checker::new(&schema, false).expect("a schema");
    let nested = |leaf: Value| (0..60).fold(leaf, |inner, _| json!({"a": inner}));
    assert!(checker.check(&nested(json!(1)), 300).is_ok());
    let refused = checker.check(&nested(json!(2)), 300).expect_err("its leaf does not fit").reason();
    assert!(refused.contains("takes too long"), "{refused}");
}
