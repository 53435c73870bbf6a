//! The policy of a server or of a backend: `allow`, `deny`, `scopes`, `roles` and `read_only`.

use super::Protection;
use crate::fault::{Fault, Faults, Origin};
use crate::print::complain;
use attache_core::auth::Gate;
use attache_host::policy::Policy;
use serde_json::{Value, json};
use toml::de::DeValue;

/// The rules of one table of the file, with their places.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyRules {
    allow: Option<(Vec<String>, Origin)>,
    deny: Option<(Vec<String>, Origin)>,
    scopes: Option<(Vec<Permission>, Origin)>,
    roles: Option<(Vec<Permission>, Origin)>,
    read_only: Option<(bool, Origin)>,
}

/// A pattern, and the scopes or roles that entries need which it matches.
type Permission = (String, Vec<String>);

/// The keys of a table that are rules.
pub(super) const KEYS: [&str; 5] = ["allow", "deny", "scopes", "roles", "read_only"];

impl PolicyRules {
    /// Takes the value of a key. Returns `false` if the key is not a rule.
    pub(super) fn take(&mut self, key: &str, value: &DeValue<'_>, origin: Origin) -> Result<bool, String> {
        match key {
            "allow" => self.allow = Some((patterns(key, value)?, origin)),
            "deny" => self.deny = Some((patterns(key, value)?, origin)),
            "scopes" => self.scopes = Some((permissions(key, value)?, origin)),
            "roles" => self.roles = Some((permissions(key, value)?, origin)),
            "read_only" => match value {
                DeValue::Boolean(switch) => self.read_only = Some((*switch, origin)),
                _ => return Err("read_only must be true or false".to_owned()),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sets the rules of flags.
    pub(crate) fn of_flags(allow: &[String], deny: &[String], read_only: bool) -> Self {
        let list = |name: &str, patterns: &[String]| {
            (!patterns.is_empty()).then(|| (patterns.to_vec(), Origin::Flag(name.to_owned())))
        };
        Self {
            allow: list("allow", allow),
            deny: list("deny", deny),
            read_only: read_only.then(|| (true, Origin::Flag("read-only".to_owned()))),
            ..Self::default()
        }
    }

    /// Returns these rules, and those of `other` for which this table has none.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            allow: self.allow.or(other.allow),
            deny: self.deny.or(other.deny),
            scopes: self.scopes.or(other.scopes),
            roles: self.roles.or(other.roles),
            read_only: self.read_only.or(other.read_only),
        }
    }

    /// Whether there is no rule.
    pub(super) const fn is_empty(&self) -> bool {
        let Self { allow, deny, scopes, roles, read_only } = self;
        allow.is_none() && deny.is_none() && scopes.is_none() && roles.is_none() && read_only.is_none()
    }

    /// Returns the policy.
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::new();
        if let Some((patterns, _)) = &self.allow {
            policy = policy.allow(patterns);
        }
        if let Some((patterns, _)) = &self.deny {
            policy = policy.deny(patterns);
        }
        for (pattern, names) in self.scopes.iter().flat_map(|(scopes, _)| scopes) {
            policy = names.iter().fold(policy, |policy, scope| policy.scope(pattern, scope));
        }
        for (pattern, names) in self.roles.iter().flat_map(|(roles, _)| roles) {
            policy = names.iter().fold(policy, |policy, role| policy.role(pattern, role));
        }
        match self.read_only {
            Some((true, _)) => policy.read_only(),
            _ => policy,
        }
    }

    /// Checks the rules for names with `prefix`, and for callers that `protection` admits. `of`
    /// names the table in errors.
    pub(crate) fn check(&self, of: &str, prefix: &str, protection: &Protection, faults: &mut Faults) {
        let places = [self.deny.as_ref().map(|(_, at)| at), self.allow.as_ref().map(|(_, at)| at)];
        let permissions = [self.scopes.as_ref().map(|(_, at)| at), self.roles.as_ref().map(|(_, at)| at)];
        let place = places.into_iter().chain(permissions).flatten().next();
        let origin = || place.cloned().unwrap_or(Origin::Default);
        for problem in self.policy().problems(prefix) {
            match problem.is_error() {
                true => faults.add(Fault::at(origin(), format!("{of}: {problem}"))),
                false => complain(&format!("warning: {}: {of}: {problem}", origin())),
            }
        }
        let Some(place) = permissions.into_iter().flatten().next() else { return };
        let has_tokens = !protection.policies.is_empty() || protection.vouched;
        if !has_tokens {
            let what = format!(
                "{of}: scopes and roles are read from access tokens, and this server accepts none, so every caller would be admitted: \
                 set auth.issuer, or use allow and deny"
            );
            faults.add(Fault::at(place.clone(), what));
        } else if protection.gate == Some(Gate::Either) {
            complain(&format!(
                "warning: {place}: {of}: holders of keys need no scopes or roles (auth.require = \"either\")"
            ));
        }
    }
}

fn patterns(key: &str, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    texts(value).ok_or_else(|| format!(r#"{key} must be an array of names, URIs or patterns, such as ["get_*"]"#))
}

/// Reads `["scope"]`, which every entry needs, or `{ "pattern" = ["scope"] }`.
fn permissions(key: &str, value: &DeValue<'_>) -> Result<Vec<Permission>, String> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(vec![text.to_string()]),
        _ => texts(value),
    };
    let read = match value {
        DeValue::Table(table) => {
            table.iter().map(|(name, value)| Some((name.get_ref().to_string(), one(value.get_ref())?))).collect()
        }
        _ => one(value).map(|names| vec![("*".to_owned(), names)]),
    };
    // RFC 6749 §3.3: a scope is one word.
    let is_good = |(_, names): &Permission| {
        !names.is_empty() && names.iter().all(|name| !name.is_empty() && !name.contains(char::is_whitespace))
    };
    read.filter(|all: &Vec<_>| all.iter().all(is_good)).ok_or_else(|| {
        format!(r#"{key} must be an array of words that every entry needs, or a table such as {{ "write_*" = ["notes.write"] }}"#)
    })
}

fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    let DeValue::Array(values) = value else { return None };
    let text = |value: &toml::Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    values.iter().map(text).collect()
}

/// The properties of the rules in the schema of the file.
pub(super) fn schema() -> Vec<(&'static str, Value)> {
    let list = |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    let words = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
    let permissions = |description: &str| json!({"anyOf": [words, {"type": "object", "additionalProperties": words}], "description": description});
    vec![
        ("allow", list("Names and URIs to offer, with * for any text; everything else is hidden. Unset: all")),
        ("deny", list("Names and URIs to hide; takes precedence over allow")),
        ("scopes", permissions("Scopes that tokens need, for all entries or by pattern")),
        ("roles", permissions("Roles that tokens need, for all entries or by pattern")),
        (
            "read_only",
            json!({"type": "boolean", "default": false, "description": "Offer only tools annotated with readOnlyHint"}),
        ),
    ]
}
