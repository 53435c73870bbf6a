//! Reads the header WWW-Authenticate.

/// A challenge: its scheme and its parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub(super) fn is_bearer(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("bearer")
    }
}

/// Parses a header. Returns `None` if it violates the grammar.
///
/// RFC 9110 §11.6.1: a list of challenges, each a scheme followed by parameters that are separated
/// by commas, or by one token68.
pub(super) fn parse(header: &str) -> Option<Vec<Challenge>> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let (word, after) = token(rest)?;
        match parameter(after) {
            Some(read) => {
                let (value, after) = read?;
                challenges.last_mut()?.parameters.push((word.to_owned(), value));
                rest = separated(after)?;
            }
            None => {
                challenges.push(Challenge { scheme: word.to_owned(), parameters: Vec::new() });
                rest = match after.strip_prefix(' ') {
                    Some(after) => token68(after.trim_start()),
                    None => separated(after)?,
                };
            }
        }
    }
    (!challenges.is_empty()).then_some(challenges)
}

/// Reads the value of a parameter. Returns `None` if there is none, because the word before is a
/// scheme, and `Some(None)` if the value violates the grammar.
fn parameter(after: &str) -> Option<Option<(String, &str)>> {
    let after = after.trim_start().strip_prefix('=')?;
    let after = after.trim_start();
    Some(match after.strip_prefix('"') {
        Some(text) => quoted(text),
        None => token(after).map(|(value, rest)| (value.to_owned(), rest)),
    })
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            char => value.push(char),
        }
    }
    None
}

/// Passes the comma before the next element.
fn separated(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix(',').map(|rest| rest.trim_start_matches([' ', '\t', ',']))
    }
}

/// Passes a token68, such as the one of Negotiate.
fn token68(text: &str) -> &str {
    let end = text.find(|char: char| !(char.is_ascii_alphanumeric() || "-._~+/".contains(char))).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let rest = rest.trim_start_matches('=');
    match rest.trim_start().strip_prefix(',') {
        Some(after) if !word.is_empty() => after.trim_start(),
        None if rest.is_empty() => rest,
        _ => text,
    }
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
    let end = text.find(|char| !is_token(char)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_rfc_9110_writes_them() {
        for (header, expected) in [
            ("Bearer", Some(vec![("Bearer", vec![])])),
            (
                r#"Bearer resource_metadata="https://a/b", scope="x y""#,
                Some(vec![("Bearer", vec![("resource_metadata", "https://a/b"), ("scope", "x y")])]),
            ),
            (
                r#"Negotiate, Basic realm = "a \"b\"" , Bearer error=invalid_token"#,
                Some(vec![
                    ("Negotiate", vec![]),
                    ("Basic", vec![("realm", "a \"b\"")]),
                    ("Bearer", vec![("error", "invalid_token")]),
                ]),
            ),
            ("Negotiate YWJj==, Bearer", Some(vec![("Negotiate", vec![]), ("Bearer", vec![])])),
            // The form of an older release of the platform: spaces instead of commas.
            (r#"Bearer authorization_uri="https://a" resource_id="b""#, None),
            (r#"Bearer realm="a"#, None),
            ("", None),
            ("=", None),
        ] {
            let read = parse(header).map(|challenges| {
                let parameters = |challenge: Challenge| (challenge.scheme, challenge.parameters);
                challenges.into_iter().map(parameters).collect::<Vec<_>>()
            });
            let expected = expected.map(|challenges| {
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                let challenge = |(scheme, parameters): (&str, Vec<(&str, &str)>)| {
                    (scheme.to_owned(), parameters.into_iter().map(owned).collect::<Vec<_>>())
                };
                challenges.into_iter().map(challenge).collect::<Vec<_>>()
            });
            assert_eq!(read, expected, "{header}");
        }
    }
}
