//! Hides secrets in texts that the status page shows: standard error of child processes, and exchanges.

use super::config::Config;
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};

/// Hides what is a secret by the configuration, and what looks like one. It cannot know every form of a
/// secret. Clones share the secrets of the configuration.
#[derive(Clone, Default)]
pub(super) struct SecretFilter(Arc<RwLock<Vec<String>>>);

// Does not print the secrets.
impl core::fmt::Debug for SecretFilter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SecretFilter").finish_non_exhaustive()
    }
}

/// The text instead of a secret.
const HIDDEN: &str = "[hidden]";

/// Parts of names whose values are secrets.
const NAMES: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "private_key",
    "credential",
    "authorization",
];

/// Names that are like those of secrets.
const HARMLESS: [&str; 4] = ["progresstoken", "tokens", "max_tokens", "maxtokens"];

/// Beginnings of tokens and keys that are widely used.
const BEGINNINGS: [&str; 13] =
    ["sk-", "sk_", "pk_", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "AIza", "ya29."];

/// Shortest value of the configuration that is searched for in texts. Shorter ones, such as `1`, are in every text.
const SHORTEST: usize = 6;

/// Shortest word that is a secret by its letters alone.
const RANDOM: usize = 32;

impl SecretFilter {
    /// Learns the secrets of a configuration: variables of children whose names are those of secrets, and header
    /// fields. Earlier secrets stay known.
    pub(super) fn learn(&self, config: &Config) {
        let backends = config.servers.iter().flat_map(|server| &server.backends);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for backend in backends {
            let variables = backend.variables().filter(|(name, _)| is_secret(name));
            let variables = variables.map(|(_, value)| value.to_string_lossy().into_owned());
            let fields = backend.headers.iter().filter_map(|(_, value)| value.to_str().ok().map(str::to_owned));
            for secret in variables.chain(fields).filter(|secret| secret.len() >= SHORTEST) {
                if !known.contains(&secret) {
                    known.push(secret);
                }
            }
        }
    }

    /// Hides the secrets in a line of text.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            if text.contains(secret) {
                text = text.replace(secret, HIDDEN);
            }
        }
        hidden(&text)
    }

    /// Hides the secrets in messages: JSON values one after the other, of which the last may be incomplete.
    pub(super) fn json(&self, messages: &[u8]) -> Vec<Value> {
        let mut values = serde_json::Deserializer::from_slice(messages).into_iter::<Value>();
        let mut read = Vec::new();
        while let Some(Ok(value)) = values.next() {
            read.push(self.value(value));
        }
        let rest = messages.get(values.byte_offset()..).unwrap_or_default();
        if !rest.trim_ascii().is_empty() {
            read.push(Value::from(self.text(&String::from_utf8_lossy(rest))));
        }
        read
    }

    /// serde_json limits the depth of values, and with it this recursion.
    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.text(&text).into(),
            Value::Array(values) => values.into_iter().map(|value| self.value(value)).collect(),
            Value::Object(members) => {
                let member = |(name, value): (String, Value)| match is_secret(&name) && !value.is_object() {
                    true => (name, Value::from(HIDDEN)),
                    false => (name, self.value(value)),
                };
                Value::Object(members.into_iter().map(member).collect())
            }
            other => other,
        }
    }
}

/// Whether a value with this name is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !HARMLESS.contains(&name.as_str()) && NAMES.iter().any(|part| name.contains(part))
}

const fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '~' | '+')
}

/// Hides the words that look like secrets, and those behind the name of a secret.
fn hidden(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    // Whether the next word is a secret because of the word before it.
    let mut is_named = false;
    while !rest.is_empty() {
        let gap = rest.find(is_word).unwrap_or(rest.len());
        let (separator, from) = rest.split_at(gap);
        shown.push_str(separator);
        is_named &= separator.len() <= 4 && !separator.contains(['\n', ',', ';', '{', '[']);
        let (word, after) = from.split_at(from.find(|letter| !is_word(letter)).unwrap_or(from.len()));
        let is_scheme = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
        match (is_scheme, is_named) {
            (true, _) => shown.push_str(word),
            (false, true) => shown.push_str(HIDDEN),
            (false, false) if looks_secret(word) => shown.push_str(HIDDEN),
            (false, false) => shown.push_str(word),
        }
        let is_assigned = || after.trim_start_matches(['"', '\'', ' ']).starts_with(['=', ':']);
        let is_flag = word.starts_with("--") && after.starts_with(' ');
        is_named = is_scheme && after.starts_with(' ') || is_secret(word) && (is_flag || is_assigned());
        rest = after;
    }
    shown
}

/// Whether a word is a secret by its form: it begins as widely used tokens do, or it is long and random.
fn looks_secret(word: &str) -> bool {
    let is_known = BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)) && word.len() >= 16;
    let is_signed = word.starts_with("eyJ") && word.contains('.');
    is_known || is_signed || word.len() >= RANDOM && is_random(word) && !is_uuid(word)
}

/// Whether digits, small and large letters alternate as they do in random texts.
fn is_random(word: &str) -> bool {
    let class = |byte: &u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let letters: Vec<u8> = word.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let changes = letters.windows(2).filter(|pair| class(&pair[0]) != class(&pair[1])).count();
    changes * 5 >= letters.len()
}

fn is_uuid(word: &str) -> bool {
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_in_lines_and_other_words_are_not() {
        let filter = SecretFilter::default();
        filter.0.write().expect("not poisoned").push("correct horse".to_owned());
        for (line, shown) in [
            ("listening on port 3000", "listening on port 3000"),
            ("the phrase is correct horse.", "the phrase is [hidden]."),
            ("password=hunter2 user=ann", "password=[hidden] user=ann"),
            ("DB_PASSWORD: hunter2", "DB_PASSWORD: [hidden]"),
            (r#"{"apiKey":"abc","n":1}"#, r#"{"apiKey":"[hidden]","n":1}"#),
            ("run --api-key abc --port 1", "run --api-key [hidden] --port 1"),
            ("Authorization: Bearer abc", "Authorization: Bearer [hidden]"),
            ("token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln is bad", "token [hidden] is bad"),
            ("uses ghp_0123456789abcdefghij", "uses [hidden]"),
            ("hash 0f3a9b1c2d4e5f60718293a4b5c6d7e8", "hash [hidden]"),
            ("id 7f3b2c10-1111-4222-8333-444455556666", "id 7f3b2c10-1111-4222-8333-444455556666"),
            ("/usr/lib/node_modules/server.js:12", "/usr/lib/node_modules/server.js:12"),
            ("modelcontextprotocol-server-filesystem-2026.8.31", "modelcontextprotocol-server-filesystem-2026.8.31"),
            ("a token was refused, try again", "a token was refused, try again"),
        ] {
            assert_eq!(filter.text(line), shown, "{line}");
        }
    }

    #[test]
    fn members_with_the_name_of_a_secret_are_hidden_in_messages_and_the_rest_is_kept() {
        let filter = SecretFilter::default();
        let message = r#"{"params":{"arguments":{"password":"p","api_key":[1],"n":1},"progressToken":"t"}}
            {"result":{"text":"Bearer xyz"#;
        let read = filter.json(message.as_bytes());
        let first = json!({"params": {"arguments": {"password": "[hidden]", "api_key": "[hidden]", "n": 1}, "progressToken": "t"}});
        assert_eq!(read[0], first);
        assert!(read[1].as_str().is_some_and(|rest| rest.ends_with("Bearer [hidden]")), "{read:?}");
    }
}
