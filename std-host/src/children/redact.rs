//! Removes secrets from the output of a child before it becomes a part of an error message, which
//! callers see.

use regex_lite::Regex;
use std::sync::OnceLock;

/// Stands in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// Shortest value of an environment variable that is a secret. Shorter ones, such as `true` or
/// `debug`, are words that messages need.
const SHORTEST: usize = 8;

/// Patterns of secrets. What the first group matches stays.
const PATTERNS: &[&str] = &[
    // Header fields with credentials, up to the end of the line.
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)\b.*",
    r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}",
    // Members and variables whose name says that they are secret.
    r#"(?i)([\w.-]*(?:password|passwd|passphrase|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]*["']?\s*[:=]\s*)(?:"[^"]*"?|'[^']*'?|[^\s,;&"'}]+)"#,
    // User information in a URL (RFC 3986 §3.2.1).
    r"(://)[^/\s@]+@",
    // A JSON Web Token.
    r"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*",
    // Tokens of common services, which are recognized by their beginning.
    r"()\b(?:gh[opsur]_|github_pat_|glpat-|sk-|xox[a-z]-|AKIA|ASIA)[\w-]{12,}",
];

/// Parts of the names of environment variables that hold secrets.
const SECRET_NAMES: &[&str] = &["key", "token", "secret", "pass", "pwd", "credential", "auth", "dsn", "connection"];

/// Whether an environment variable with this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Returns the lines without secrets: without the values in `known`, and without what looks like a
/// credential.
pub(super) fn redacted(lines: &[String], known: &[String]) -> Vec<String> {
    let mut is_in_key = false;
    lines.iter().map(|line| without_key(line, &mut is_in_key).unwrap_or_else(|| without_secrets(line, known))).collect()
}

/// RFC 7468 §2: a key takes several lines. Returns `None` for a line outside of one.
fn without_key(line: &str, is_in_key: &mut bool) -> Option<String> {
    let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY");
    let was_in_key = *is_in_key;
    *is_in_key = (was_in_key || begins) && !line.contains("-----END ");
    (was_in_key || begins).then(|| HIDDEN.to_owned())
}

fn without_secrets(line: &str, known: &[String]) -> String {
    let secrets = known.iter().filter(|secret| secret.len() >= SHORTEST);
    let line = secrets.fold(line.to_owned(), |line, secret| line.replace(secret.as_str(), HIDDEN));
    patterns().iter().fold(line, |line, pattern| {
        let replaced = pattern.replace_all(&line, |found: &regex_lite::Captures<'_>| {
            let kept = found.get(1).map_or("", |kept| kept.as_str());
            let space = if kept.ends_with(|end: char| end.is_alphanumeric()) { " " } else { "" };
            let at = if kept == "://" { "@" } else { "" };
            format!("{kept}{space}{HIDDEN}{at}")
        });
        replaced.into_owned()
    })
}

fn patterns() -> &'static [Regex] {
    static PATTERNS_READ: OnceLock<Vec<Regex>> = OnceLock::new();
    // A test checks that all of them can be read.
    PATTERNS_READ.get_or_init(|| PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_removed_and_other_text_stays() {
        assert_eq!(patterns().len(), PATTERNS.len());
        let known = ["correct-horse".to_owned(), "true".to_owned()];
        for (line, expected) in [
            ("it is true: no such file", "it is true: no such file"),
            ("cannot use correct-horse here", "cannot use (hidden) here"),
            ("Error: Authorization: Bearer abc.def", "Error: Authorization (hidden)"),
            ("sent bearer abcdef123456, got 401", "sent bearer (hidden), got 401"),
            (r#"{"apiKey":"a b","user":"ann"}"#, r#"{"apiKey":(hidden),"user":"ann"}"#),
            ("DB_PASSWORD=hunter2 DEBUG=1", "DB_PASSWORD=(hidden) DEBUG=1"),
            ("access_token: 'x y'", "access_token: (hidden)"),
            ("GET https://h/?api_key=abc&x=1", "GET https://h/?api_key=(hidden)&x=1"),
            ("postgres://ann:hunter2@db/x refused", "postgres://(hidden)@db/x refused"),
            ("got eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln from it", "got (hidden) from it"),
            ("ghp_0123456789abcdefghij is revoked", "(hidden) is revoked"),
            ("Unexpected token in JSON at position 3", "Unexpected token in JSON at position 3"),
            ("TypeError: undefined is not a function", "TypeError: undefined is not a function"),
        ] {
            assert_eq!(redacted(&[line.to_owned()], &known), [expected], "{line}");
        }
    }

    #[test]
    fn lines_of_a_private_key_are_removed() {
        let lines = ["before", "-----BEGIN EC PRIVATE KEY-----", "MHcCAQ", "-----END EC PRIVATE KEY-----", "after"];
        let lines = lines.map(str::to_owned);
        assert_eq!(redacted(&lines, &[]), ["before", HIDDEN, HIDDEN, HIDDEN, "after"]);
    }
}
