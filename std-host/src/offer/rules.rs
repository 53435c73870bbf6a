//! Rules of a schema beyond the Rust type of the arguments: bounds, patterns, conditions. Whether
//! there are any is decided once, when the tool is added, so that a tool without such rules does
//! not pay for them.

use super::checker::Checker;
use crate::limits;
use core::fmt;
use serde_json::Value;

/// Whether `schema`, which was derived from a type, has rules that deserializing into that type
/// does not enforce.
pub(super) fn says_more(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else {
        return false;
    };
    let format = members.get("format").and_then(Value::as_str).unwrap_or_default();
    members.iter().any(|(keyword, value)| match keyword.as_str() {
        // Annotations of the schema, and rules that serde enforces itself.
        "$schema"
        | "$defs"
        | "$ref"
        | "title"
        | "description"
        | "default"
        | "examples"
        | "deprecated"
        | "type"
        | "required"
        | "format"
        | "enum"
        | "const"
        | "unevaluatedProperties"
        | "x-mcp-header" => keyword == "$defs" && value.as_object().is_some_and(|types| types.values().any(says_more)),
        "properties" => value.as_object().is_some_and(|properties| properties.values().any(says_more)),
        "items" | "additionalProperties" => says_more(value),
        "oneOf" | "anyOf" | "allOf" | "prefixItems" => {
            value.as_array().is_some_and(|parts| parts.iter().any(says_more))
        }
        // Not a rule if these are the bounds of the integer type itself.
        "minimum" => !is_bound(format, value, false),
        "maximum" => !is_bound(format, value, true),
        // Not a rule if this is the length of a tuple.
        "minItems" | "maxItems" => {
            let places = members.get("prefixItems").and_then(Value::as_array).map(Vec::len);
            places.is_none() || value.as_u64().and_then(|len| usize::try_from(len).ok()) != places
        }
        _ => true,
    })
}

/// Whether `value` is the bound of the integer type that `format` names, as schemars writes it.
fn is_bound(format: &str, value: &Value, upper: bool) -> bool {
    let (signed, bits) = match format.strip_prefix("uint") {
        Some(bits) => (false, bits),
        None => (true, format.strip_prefix("int").unwrap_or_default()),
    };
    if !signed && !upper {
        return value.as_f64() == Some(0.0);
    }
    let Ok(bits @ 1..=64) = bits.parse::<u32>() else {
        return false;
    };
    let bound: i128 = match (signed, upper) {
        (false, _) => (1 << bits) - 1,
        (true, false) => -(1 << (bits - 1)),
        (true, true) => (1 << (bits - 1)) - 1,
    };
    value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)) == Some(bound)
}

/// A compiled schema that arguments and results are validated against.
#[derive(Debug)]
pub(crate) enum Rules {
    /// Checks the keywords that [`Checker`] knows.
    Own(Checker),
    /// Checks all keywords.
    #[cfg(feature = "schema")]
    Engine(jsonschema::Validator),
}

/// Where and why a value does not fit its schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The place, such as `filter.tags[2]`. Empty for the whole value.
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// The sentence for the model.
impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "The arguments do not fit: {}", self.reason),
            path => write!(f, "Argument '{path}' does not fit: {}", self.reason),
        }
    }
}

impl Rules {
    /// Compiles a schema of the tool `tool`. `derived` is set if it was derived from the type of the
    /// arguments. The keywords that are not checked are named once in the log.
    ///
    /// # Errors
    /// If the schema is invalid, or refers to a schema outside of itself.
    // MCP 2026-07-28 basic/index: the dialect is 2020-12 unless `$schema` says otherwise. Nothing
    // is fetched.
    pub(crate) fn compile(tool: &str, schema: &Value, derived: bool) -> Result<Self, String> {
        let checker = Checker::new(schema, derived).map_err(|error| error.to_string())?;
        if checker.unchecked().is_empty() {
            return Ok(Self::Own(checker));
        }
        Self::beyond(tool, schema, checker)
    }

    #[cfg(feature = "schema")]
    fn beyond(_: &str, schema: &Value, _: Checker) -> Result<Self, String> {
        jsonschema::validator_for(schema).map(Self::Engine).map_err(|error| error.to_string())
    }

    #[cfg(not(feature = "schema"))]
    #[expect(clippy::unnecessary_wraps, reason = "the other one can fail")]
    fn beyond(tool: &str, _: &Value, checker: Checker) -> Result<Self, String> {
        let keywords = checker.unchecked().join(", ");
        tracing::warn!(
            tool,
            keywords,
            "these keywords of a schema are not checked: build with feature `schema`, or check them in the tool"
        );
        Ok(Self::Own(checker))
    }

    /// Checks the text of arguments. The error is a sentence for the model.
    pub(crate) fn check(&self, arguments: &[u8]) -> Result<(), String> {
        let value = serde_json::from_slice(arguments).map_err(|error| error.to_string())?;
        self.check_value(&value, arguments.len()).map_err(|unfit| unfit.to_string())
    }

    /// Checks a value that was `bytes` long.
    ///
    /// # Errors
    /// The first place that does not fit.
    pub(crate) fn check_value(&self, value: &Value, bytes: usize) -> Result<(), Unfit> {
        let unfit = |path, reason: String| Unfit { path, reason: reason.chars().take(limits::REASON).collect() };
        match self {
            Self::Own(checker) => checker.check(value, bytes).map_err(|misfit| unfit(misfit.path(), misfit.reason())),
            #[cfg(feature = "schema")]
            Self::Engine(validator) => validator.validate(value).map_err(|error| {
                let path = error.instance_path().as_str().trim_start_matches('/');
                unfit(super::shortened::echoed(path.chars()), error.masked().to_string())
            }),
        }
    }
}

/// Returns the rules of a schema that go beyond its type. `own` is set if the schema was not
/// derived from the type.
///
/// # Errors
/// Why the schema cannot be used.
pub(super) fn rules(tool: &str, schema: &Value, own: bool) -> Result<Option<Rules>, String> {
    (own || says_more(schema)).then(|| Rules::compile(tool, schema, !own)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::schema::Schema;
    use schemars::JsonSchema;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Types {
        a: u8,
        b: Option<i64>,
        c: Vec<f32>,
        d: Mode,
        e: std::collections::BTreeMap<String, u16>,
        f: Option<Box<Types>>,
        g: (bool, String),
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Mode {
        Off,
        Level(u32),
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Ranged {
        #[schemars(range(min = 5, max = 30))]
        celsius: i32,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Nested {
        inner: Vec<Patterned>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Patterned {
        #[schemars(regex(pattern = "^a+$"))]
        text: String,
    }

    #[test]
    fn plain_types_need_no_rules_but_bounds_and_patterns_do() {
        let of = |schema: Schema| says_more(&schema.value);
        assert!(of(Schema::of::<Ranged>("t")));
        assert!(of(Schema::of::<Nested>("t")));
        assert!(!of(Schema::of::<Types>("t")), "{}", Schema::of::<Types>("t").value);
    }

    // SCH-02
    #[test]
    fn schema_derived_from_a_type_is_valid_in_its_dialect() {
        for schema in [Schema::of::<Types>("t"), Schema::of::<Ranged>("t"), Schema::of::<Nested>("t")] {
            assert_eq!(schema.value["$schema"], "https://json-schema.org/draft/2020-12/schema");
            assert!(jsonschema::meta::is_valid(&schema.value), "{}", schema.value);
        }
    }

    // SCH-01, SCH-03, SCH-04, SCH-05
    #[test]
    fn schema_of_a_dialect_that_is_known_is_checked_by_it_and_any_other_stops_the_program_at_its_start() {
        let rules = |schema: Value| Rules::compile("t", &schema, false).ok();
        let x = |of: Value| serde_json::json!({"type": "object", "properties": {"x": of}});
        // The dialect is 2020-12 unless `$schema` says otherwise. In draft 7, `prefixItems` is not
        // a keyword.
        let tuple = x(serde_json::json!({"prefixItems": [{"type": "string"}]}));
        let with = |dialect: &str| {
            let mut schema = tuple.clone();
            schema["$schema"] = dialect.into();
            schema
        };
        for (schema, refuses) in [
            (tuple.clone(), true),
            (with("https://json-schema.org/draft/2020-12/schema"), true),
            (with("http://json-schema.org/draft-07/schema#"), false),
        ] {
            let rules = rules(schema.clone()).unwrap_or_else(|| panic!("{schema}"));
            assert_eq!(rules.check(br#"{"x":[7]}"#).is_err(), refuses, "{schema}");
        }
        for schema in [
            with("https://a.example/dialect"),
            x(serde_json::json!({"$ref": "https://a.example/elsewhere"})),
            x(serde_json::json!({"$ref": "#/$defs/nowhere"})),
            x(serde_json::json!({"type": "text"})),
        ] {
            assert!(rules(schema.clone()).is_none(), "{schema}");
        }
    }

    #[test]
    fn keyword_that_needs_the_engine_is_checked_with_feature_schema_alone() {
        let schema = serde_json::json!({
            "type": "object", "properties": {"x": {"multipleOf": 5, "maximum": 50}}, "required": ["x"],
        });
        let rules = Rules::compile("t", &schema, false).expect("a schema");
        assert_eq!(rules.check(br#"{"x":7}"#).is_err(), cfg!(feature = "schema"));
        assert_eq!(rules.check(br#"{"x":50}"#), Ok(()));
        for refused in [&br#"{"x":55}"#[..], br#"{"y":5}"#, br#"[]"#] {
            assert!(rules.check(refused).is_err(), "{}", refused.escape_ascii());
        }
    }
}
