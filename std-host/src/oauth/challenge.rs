//! Reads the challenge of a server that refuses a request (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728
//! §5.1).

/// The parameters of a `Bearer` challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) error: Option<String>,
    /// The scopes that the request needs.
    pub(crate) scope: Option<String>,
    /// The URL of the metadata of the protected resource.
    pub(crate) resource_metadata: Option<String>,
}

impl Challenge {
    /// Reads the first `Bearer` challenge in the fields `WWW-Authenticate`, which may hold several
    /// challenges. Malformed parts are skipped.
    pub(crate) fn read(fields: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut is_bearer = false;
        let mut rest = fields;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let name = rest.get(..token_len(rest))?;
            if name.is_empty() {
                // A character that begins neither a scheme nor a parameter.
                let Some(next) = rest.char_indices().nth(1) else { return found };
                rest = rest.get(next.0..)?;
                continue;
            }
            rest = rest.get(name.len()..)?;
            match rest.trim_start_matches([' ', '\t']).strip_prefix('=') {
                Some(value) if !is_token68(value) => {
                    let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
                    rest = after;
                    if let Some(challenge) = found.as_mut().filter(|_| is_bearer) {
                        challenge.put(name, value);
                    }
                }
                // The credentials of another scheme, such as `Negotiate abc==`.
                Some(value) => rest = value.trim_start_matches('='),
                None if found.is_some() && is_bearer => return found,
                None => {
                    is_bearer = name.eq_ignore_ascii_case("bearer");
                    found = found.or_else(|| is_bearer.then(Self::default));
                }
            }
            if rest.is_empty() {
                return found;
            }
        }
    }

    fn put(&mut self, name: &str, value: String) {
        let member = match name.to_ascii_lowercase().as_str() {
            "error" => &mut self.error,
            "scope" => &mut self.scope,
            "resource_metadata" => &mut self.resource_metadata,
            _ => return,
        };
        // RFC 9110 §11.2: a parameter occurs once. The first one counts.
        member.get_or_insert(value);
    }
}

/// Whether what follows `=` shows that the text before was a token68, and not the name of a parameter.
fn is_token68(after: &str) -> bool {
    let after = after.trim_start_matches('=');
    after.is_empty() || after.trim_start_matches([' ', '\t']).starts_with(',')
}

/// The length of the token at the start (RFC 9110 §5.6.2).
fn token_len(text: &str) -> usize {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(byte);
    text.bytes().take_while(|byte| is_token(byte)).count()
}

/// Reads a token or a quoted string, and returns it with the text behind it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text.get(..end).unwrap_or_default().to_owned(), text.get(end..).unwrap_or_default());
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            char => value.push(char),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_challenge_is_found_among_others_in_every_form_that_the_grammar_allows() {
        let all = |error: &str, scope: &str, resource_metadata: &str| {
            let own = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Some(Challenge { error: own(error), scope: own(scope), resource_metadata: own(resource_metadata) })
        };
        for (fields, expected) in [
            ("", None),
            ("Basic realm=\"a\"", None),
            ("Bearer", all("", "", "")),
            ("bearer scope=\"a b\"", all("", "a b", "")),
            ("Bearer error=invalid_token, scope=\"a\"", all("invalid_token", "a", "")),
            ("Bearer resource_metadata=\"https://a.example/x?y=1,2\"", all("", "", "https://a.example/x?y=1,2")),
            ("Basic realm=\"Bearer scope=x\", Bearer scope=\"y\"", all("", "y", "")),
            ("Negotiate abc==, Bearer scope=\"y\"", all("", "y", "")),
            ("Negotiate, Bearer scope=\"y\", Basic realm=\"z\", scope=\"w\"", all("", "y", "")),
            ("Bearer scope = \"y\" , error=\"e\\\"f\"", all("e\"f", "y", "")),
            ("Bearer scope=\"y\", scope=\"z\"", all("", "y", "")),
            ("Bearer scope=\"never closed", all("", "never closed", "")),
            ("Bearer @@, scope=\"y\"", all("", "y", "")),
            ("Bearer scope=\"é\"", all("", "é", "")),
            ("é Bearer scope=\"y\"", all("", "y", "")),
        ] {
            assert_eq!(Challenge::read(fields), expected, "{fields}");
        }
    }
}
