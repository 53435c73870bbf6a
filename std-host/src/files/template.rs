//! A prompt file: Markdown, with a part in TOML at its front.
//!
//! ```text
//! +++
//! description = "Review a change"
//! [[arguments]]
//! name = "language"
//! required = true
//! +++
//! Review this change. It is written in {{language}}.
//! ```

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The part at the front.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    description: Option<String>,
    title: Option<String>,
    #[serde(default)]
    arguments: Vec<Argument>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Argument {
    name: String,
    description: Option<String>,
    #[serde(default)]
    required: bool,
}

/// A prompt.
#[derive(Debug)]
pub(super) struct Template {
    front: Front,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The value of the argument of this name.
    Argument(String),
}

const FENCE: &str = "+++";

impl Template {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (front, text) = split(text)?;
        let front: Front = toml::from_str(front).map_err(|error| error.message().to_owned())?;
        let parts = parts(text);
        let is_known = |name: &str| front.arguments.iter().any(|argument| argument.name == name);
        for part in &parts {
            if let Part::Argument(name) = part
                && !is_known(name)
            {
                return Err(format!("the text has {{{{{name}}}}}, but there is no argument {name:?}"));
            }
        }
        Ok(Self { front, parts })
    }

    /// The entry of the list of prompts.
    pub(super) fn listed(&self, name: &str) -> Value {
        let argument = |argument: &Argument| {
            let mut listed = json!({ "name": argument.name, "required": argument.required });
            if let Some(description) = &argument.description {
                listed["description"] = description.as_str().into();
            }
            listed
        };
        let mut listed = json!({ "name": name });
        let Front { description, title, arguments } = &self.front;
        for (member, text) in [("description", description), ("title", title)] {
            if let Some(text) = text {
                listed[member] = text.as_str().into();
            }
        }
        if !arguments.is_empty() {
            listed["arguments"] = arguments.iter().map(argument).collect();
        }
        listed
    }

    /// The text with these arguments. Their values are not searched for placeholders.
    pub(super) fn filled(&self, arguments: &Map<String, Value>) -> Result<String, String> {
        for (name, value) in arguments {
            if !self.front.arguments.iter().any(|argument| argument.name == *name) {
                return Err(format!("There is no argument {name:?}"));
            }
            // MCP server/prompts: the values of arguments are strings.
            if !value.is_string() {
                return Err(format!("The argument {name:?} must be a string"));
            }
        }
        let is_missing = |argument: &&Argument| argument.required && !arguments.contains_key(&argument.name);
        if let Some(missing) = self.front.arguments.iter().find(is_missing) {
            return Err(format!("The argument {:?} is missing", missing.name));
        }
        let value = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Argument(name) => arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        Ok(self.parts.iter().map(value).collect())
    }

    pub(super) fn description(&self) -> Option<&str> {
        self.front.description.as_deref()
    }
}

/// Splits a file into the part between two lines of three plus signs at its front, and the rest.
fn split(text: &str) -> Result<(&str, &str), String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(rest) = text.strip_prefix(FENCE).and_then(|rest| rest.trim_start_matches([' ', '\r']).strip_prefix('\n'))
    else {
        return Ok(("", text));
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == FENCE {
            let front = rest.get(..at).unwrap_or_default();
            return Ok((front, rest.get(at + line.len()..).unwrap_or_default()));
        }
        at += line.len();
    }
    Err(format!("the part at the front has no end: write a line {FENCE} after it"))
}

/// Splits a text at its placeholders `{{name}}`.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, name, after)) = placeholder(rest) {
        parts.push(Part::Text(before.to_owned()));
        parts.push(Part::Argument(name.to_owned()));
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts
}

fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name.trim(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVIEW: &str = "+++\ndescription = \"Review\"\n[[arguments]]\nname = \"language\"\nrequired = true\n\
                          [[arguments]]\nname = \"focus\"\n+++\nReview this {{language}} change. {{ focus }}\n";

    #[test]
    fn arguments_are_filled_in_once_and_missing_ones_are_named() {
        let template = Template::read(REVIEW).expect("it is sound");
        let filled = |arguments: Value| template.filled(arguments.as_object().expect("an object"));
        assert_eq!(filled(json!({"language": "{{focus}}"})).as_deref(), Ok("Review this {{focus}} change. \n"));
        assert_eq!(
            filled(json!({"language": "Rust", "focus": "Be kind."})).as_deref(),
            Ok("Review this Rust change. Be kind.\n")
        );
        for (arguments, word) in
            [(json!({}), "language"), (json!({"language": "x", "y": "z"}), "\"y\""), (json!({"language": 1}), "string")]
        {
            assert!(filled(arguments.clone()).is_err_and(|error| error.contains(word)), "{arguments}");
        }
        assert_eq!(template.listed("review")["arguments"][0], json!({"name": "language", "required": true}));
    }

    #[test]
    fn file_without_a_front_is_a_prompt_without_arguments_and_a_broken_front_is_refused() {
        let plain = Template::read("Say hello.").expect("it is sound");
        assert_eq!(plain.filled(&Map::new()).as_deref(), Ok("Say hello."));
        assert_eq!(plain.listed("hello"), json!({"name": "hello"}));
        for (text, word) in [("+++\ntitle = \"x\"\n", "no end"), ("+++\nx = 1\n+++\n", "x"), ("Hello {{name}}", "name")]
        {
            assert!(Template::read(text).is_err_and(|error| error.contains(word)), "{text}");
        }
    }
}
